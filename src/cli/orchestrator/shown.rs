//! What the pages say of the monitor itself, read at each call.

use std::sync::Arc;

use super::Chosen;
use super::args::StartArgs;
use crate::engine::Engine;
use crate::mirror::Mirror;
use crate::ops::health::Check;
use crate::ops::now;
use crate::ops::server::Shown;
use crate::view::system::{CanaryAnswer, MassFailure, Mode, ProbeNumbers, RegistryLink};
use crate::view::{System, View};

pub fn system(
    args: &StartArgs,
    mode: &Chosen,
    engine: &Engine,
    mirror: &Mirror,
    view: &View,
    shown: &Shown,
) -> Arc<dyn Fn() -> System + Send + Sync> {
    let (engine, mirror, view, health) = (engine.clone(), mirror.clone(), view.clone(), shown.health.clone());
    let started_at = now();
    let configuration = args.config.settings.clone();
    let (mode, objects, database) = match mode {
        Chosen::Cluster(cluster) => {
            (Mode::Kubernetes, format!("{}:{}", cluster.server.0, cluster.server.1), None)
        }
        Chosen::Directory => {
            let directory = args.manifests.as_deref().unwrap_or(std::path::Path::new("."));
            (Mode::Standalone, directory.display().to_string(), Some(args.db_url.clone()))
        }
    };
    Arc::new(move || {
        let (role, leader) = view.standing();
        let checks = health.all().into_iter().map(|(name, check)| match check {
            Check::Ok => (name, String::new()),
            Check::Trouble(why) | Check::NotReady(why) | Check::Dead(why) => (name, why),
        });
        let registry = mirror.link().map(|link| RegistryLink {
            url: link.url,
            reachable: link.reachable,
            away_since: link.away_for.map(|away| now() - away),
            problem: link.problem,
            mirrored: link.mirrored,
            pending: link.pending,
        });
        let mass_failure = engine.mass_failure().map(|failure| MassFailure {
            since: now() - failure.ago,
            healthy: failure.healthy,
            failing: failure.failing,
            held_until: failure.unknown_in.map(|left| now() + left),
            canaries: failure
                .canaries
                .into_iter()
                .map(|(name, answer)| CanaryAnswer { name, problem: answer.err() })
                .collect(),
        });
        let (pace, (targets, in_flight)) = (engine.pace(), engine.load());
        System {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode,
            role,
            leader,
            started_at,
            now: now(),
            objects: objects.clone(),
            heard_at: view.heard_at(),
            database: database.clone(),
            counts: view.counts(),
            checks: checks.collect(),
            registry,
            probes: ProbeNumbers {
                targets,
                in_flight,
                per_second: pace.per_second,
                missed_slots: engine.counters().missed_slots.load(std::sync::atomic::Ordering::Relaxed),
                lag_p95_seconds: pace.lag_p95.map(|lag| lag.as_secs_f64()),
                last_finished_at: pace.last_finished.map(|ago| now() - ago),
            },
            mass_failure,
            configuration: configuration.clone(),
        }
    })
}
