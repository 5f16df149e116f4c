//! Cluster mode: objects come from watches, status goes back by server-side apply, one replica of
//! several is active.
//!
//! ```text
//! watch → cache ─┐                    ┌→ status (server-side apply, only if different)
//!                ├→ queue → look ─────┼→ Events (transitions only)
//! engine, mirror ┘   (hints)          └→ mirror → registry
//! ```

mod caches;
mod connect;
mod effects;
mod error;
mod lease;
mod meters;
mod queue;
mod reconcile;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use kube::runtime::events::{Recorder, Reporter};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::convert::Rules;
use crate::engine::Engine;
use crate::mirror::{Mirror, Source, Surroundings};
use crate::ops::health::{Check, Health};
use crate::registry_client::OrchestratorIdentity;
use crate::view::View;
use crate::view::system::Role;

use caches::Caches;
pub use connect::{Cluster, ClusterSettings, connect};
use effects::Publisher;
pub use error::{Error, Problem};
use lease::Election;
pub use lease::LeaseSettings;
pub use meters::{ApiCalls, Meters};
use reconcile::Context;

/// For one call to the API server.
const CALL: Duration = Duration::from_secs(10);
/// Deletes that a watch missed are looked for this often.
const RETAIN_EVERY: Duration = Duration::from_secs(30);

/// How cluster mode runs.
pub struct Settings {
    /// Namespaces to watch; none means all.
    pub watch_namespaces: Vec<String>,
    /// `--class`.
    pub class: String,
    /// The operator's part, read at each look.
    pub rules: Box<dyn Fn() -> Rules + Send + Sync>,
    /// The Lease of this installation and class.
    pub lease: LeaseSettings,
    /// How the orchestrator shows itself in the registry (the id is filled in from the Lease).
    pub identity: OrchestratorIdentity,
    /// Where objects are shown.
    pub view: View,
}

/// Runs until `shutdown` (clean: `Ok`) or until going on would be wrong.
pub async fn run(
    cluster: Cluster,
    settings: Settings,
    engine: Engine,
    mirror: Mirror,
    health: Health,
    meters: Meters,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let client = cluster.client.clone();
    let changes = engine.changes();
    let tasks = TaskTracker::new();
    let (fatal, mut died) = tokio::sync::mpsc::channel::<String>(8);
    let watching = CancellationToken::new();
    let caches = Caches::start(
        &client,
        &settings,
        &changes,
        &engine,
        &settings.view,
        &health,
        &meters,
        &tasks,
        &fatal,
        &watching,
    );

    health.set("started", Check::Ok);
    // A standby is as ready as the active replica: otherwise a rolling update would wait for ever.
    let heard = settings.view.clone();
    let heard = Box::new(move || heard.heard());
    let mut election = Election::new(client.clone(), settings.lease.clone(), heard, meters.renewals.clone());
    let mut told = String::new();
    let view = settings.view.clone();
    view.stand(Role::Standby, None);
    let acquired = election.acquire(&shutdown, |report| {
        if let Ok(holder) = report {
            view.stand(Role::Standby, holder.map(str::to_owned));
        }
        let text = match report {
            Ok(holder) => format!("waiting: {} holds the Lease", holder.unwrap_or("nobody")),
            Err(problem) => problem.to_string(),
        };
        if text != told {
            tracing::info!(lease = %settings.lease.name, "{text}");
            told = text;
        }
    });
    let held = tokio::select! {
        held = acquired => held,
        cause = died.recv() => return Err(Error::WatchDead { cause: cause.unwrap_or_default() }),
    };
    let Some(held) = held else {
        watching.cancel();
        return Ok(());
    };
    tracing::info!(lease = %settings.lease.name, epoch = held.epoch, "this replica is active");
    settings.view.stand(Role::Active, Some(settings.lease.identity.clone()));

    let active = CancellationToken::new();
    let reporter = Reporter {
        controller: crate::api::FIELD_MANAGER.to_owned(),
        instance: Some(settings.lease.identity.clone()),
    };
    let (publisher, publishing) = Publisher::new(
        Recorder::new(client.clone(), reporter),
        active.clone(),
        meters.events_dropped.clone(),
    );
    let context = Arc::new(Context {
        client: client.clone(),
        endpoints: caches.endpoints.clone(),
        services: caches.services.clone(),
        class: settings.class,
        rules: settings.rules,
        engine: engine.clone(),
        mirror: mirror.clone(),
        changes: changes.clone(),
        publisher,
        held: held.clone(),
        written: Mutex::new(HashMap::new()),
        unseen: Mutex::new(None),
        looks: meters.looks,
    });
    let activity = TaskTracker::new();
    activity.spawn(publishing);
    activity.spawn(activate(
        Arc::clone(&context),
        caches.clone(),
        settings.identity,
        active.clone(),
        activity.clone(),
    ));

    let keeping = election.keep(&held, shutdown.clone());
    let outcome = tokio::select! {
        kept = keeping => if kept { Ok(()) } else { Err(Error::LeaseLost) },
        cause = died.recv() => Err(Error::WatchDead { cause: cause.unwrap_or_default() }),
    };
    // In this order: no new work, the mirror's last words, then the Lease, so that nothing of ours
    // comes after a successor's first write.
    active.cancel();
    activity.close();
    tokio::time::timeout(Duration::from_secs(6), activity.wait()).await.ok();
    if outcome.is_ok() {
        election.release(&held).await;
    }
    watching.cancel();
    tasks.close();
    tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await.ok();
    outcome
}

/// The active replica's work.
async fn activate(
    context: Arc<Context>,
    caches: Caches,
    mut identity: OrchestratorIdentity,
    active: CancellationToken,
    tracker: TaskTracker,
) {
    tokio::select! {
        () = active.cancelled() => return,
        () = caches.ready() => {}
    }
    caches.catch_up(&context.client).await;
    let ids = caches.ids();
    let first = ids.clone();
    ids.iter().for_each(|id| context.arm(id));
    if ids.is_empty() {
        context.mirror.open();
    } else {
        *context.unseen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(first);
    }
    ids.into_iter().for_each(|id| context.changes.push(id));

    let engine = context.engine.clone();
    let stop = active.clone();
    tracker.spawn(async move { engine.run(stop).await });
    let looking = Arc::clone(&context);
    tracker.spawn(queue::work(
        context.changes.clone(),
        move |id| Arc::clone(&looking).look(id),
        context.looks.clone(),
        active.clone(),
    ));
    tracker.spawn(retain(Arc::clone(&context), caches.clone(), active.clone()));

    identity.orchestrator_id.clone_from(&context.held.uid);
    let source = Source { id: context.held.uid.clone(), epoch: context.held.epoch };
    let (client, changes, held) = (context.client.clone(), context.changes.clone(), context.held.clone());
    let listing = Arc::clone(&context);
    let surroundings = Surroundings {
        relist: Arc::new(move || {
            let (caches, client, listing) = (caches.clone(), client.clone(), Arc::clone(&listing));
            async move {
                let listed = caches.list(&client).await?;
                // Only those that we mirror count.
                let known = listing.mirror.known();
                Some(if listed.is_superset(&known) { known } else { listed })
            }
            .boxed()
        }),
        hint: Arc::new(move |id| changes.push(id)),
        may_write: Arc::new(move || held.is_certain()),
    };
    context.mirror.run(source, identity, surroundings, active).await;
}

/// Has what the caches do not hold any more looked at (deletes that a watch missed).
async fn retain(context: Arc<Context>, caches: Caches, active: CancellationToken) {
    loop {
        tokio::select! {
            () = active.cancelled() => return,
            () = tokio::time::sleep(RETAIN_EVERY) => {}
            () = caches.listed.notified() => {}
        }
        let cached = caches.ids();
        let known = context.mirror.known().into_iter().chain(context.engine.known());
        known.filter(|id| !cached.contains(id)).for_each(|id| context.changes.push(id));
    }
}
