//! What the orchestrator's `/metrics` shows: every name and its help.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::Gauge;

use crate::engine::{Counters, Engine};
use crate::kubernetes::{ApiCalls, Meters};
use crate::mirror::Mirror;
use crate::ops::calls::Calls;
use crate::ops::metrics::{Described, Metrics, PREFIX};
use crate::ops::now;
use crate::ops::server::Shown;
use crate::view::View;
use crate::view::series::{FAMILIES, Series};
use crate::view::system::Role;

/// What counts for itself, wherever it is used.
#[derive(Clone, Default)]
pub struct Instruments {
    /// Looks at endpoints, and what only a cluster has.
    pub cluster: Meters,
    /// HTTP calls that are answered.
    pub calls: Calls,
    /// Browsers that follow changes.
    pub followers: Gauge<i64>,
}

impl Instruments {
    /// Shows them; those of a cluster with its `api`.
    pub fn show(&self, metrics: &Metrics, api: Option<&ApiCalls>) {
        self.calls.show(metrics);
        metrics.show("sse_clients", &[], "Browsers that follow changes", self.followers.clone());
        match api {
            Some(api) => self.cluster.show(metrics, api),
            None => self.cluster.looks.show(metrics),
        }
    }
}

/// Shows what is read when somebody scrapes.
pub fn show(shown: &Shown, engine: &Engine, mirror: &Mirror, view: &View, single: bool) {
    let metrics = &shown.metrics;
    metrics.checks(&shown.health);
    probes(metrics, engine);
    endpoints(metrics, engine, view, single);
    if mirror.link().is_some() {
        registry(metrics, mirror);
    }
    let standing = view.clone();
    let help = "Whether this process is the active one: it probes and writes";
    metrics.gauge("leader", help, move || Some(f64::from(u8::from(standing.standing().0 == Role::Active))));
    let heard = view.clone();
    let help = "When the API server last answered, or the directory was last read";
    metrics.gauge("objects_heard_timestamp_seconds", help, move || {
        heard.heard_at().map(jiff::Timestamp::as_duration).map(|since| since.as_secs_f64())
    });
}

/// Numbers of a size that a gauge holds exactly.
#[allow(clippy::cast_precision_loss, reason = "counts of things in memory")]
fn number(count: usize) -> f64 {
    count as f64
}

fn probes(metrics: &Metrics, engine: &Engine) {
    type Get = fn(&Counters) -> &AtomicU64;
    let counters: [(&'static str, &'static str, Get); 4] = [
        ("probes_started", "Probes begun", |c| &c.started),
        (
            "probe_slots_missed",
            "Slots in which no probe could start: the one before still ran, or a limit was reached",
            |c| &c.missed_slots,
        ),
        ("probes_outdated", "Outcomes that came after their target was edited or removed", |c| &c.outdated),
        ("probe_panics", "Probes that panicked (a bug)", |c| &c.panics),
    ];
    for (name, help, get) in counters {
        let engine = engine.clone();
        metrics.count(name, help, move || get(engine.counters()).load(Ordering::Relaxed));
    }
    let outcomes = [described(
        "probes_total",
        "counter",
        &["protocol", "result", "reason"],
        "Probes that ended, by what they came to: passed, failed, not_asked (our side could not), denied (by policy)",
    )];
    metrics.collect(&outcomes, Box::new(Outcomes { engine: engine.clone(), help: outcomes[0].help }));
    let help = "Time of a whole probe";
    metrics.show("probe_duration_seconds", &["protocol", "result"], help, engine.meters().took.clone());
    let help = "How much later than planned a probe began";
    metrics.show("probe_lag_seconds", &[], help, engine.meters().late.clone());
    let gauge = |name, help, read: fn(&Engine) -> Option<f64>| {
        let engine = engine.clone();
        metrics.gauge(name, help, move || read(&engine));
    };
    gauge("targets", "Targets of accepted endpoints", |engine| Some(number(engine.load().0)));
    gauge("probes_in_flight", "Probes under way", |engine| Some(number(engine.load().1)));
    gauge("probes_waiting", "Targets that are due and wait for a limit", |engine| {
        Some(number(engine.waiting()))
    });
    let help = "The shortest period of the targets that are probed; absent when none is";
    gauge("probe_shortest_period_seconds", help, |engine| {
        engine.shortest_period().map(|period| period.as_secs_f64())
    });
    let help = "When a probe last ended; absent before the first";
    gauge("probe_last_completed_timestamp_seconds", help, |engine| {
        let ago = engine.pace().last_finished?;
        Some((now() - ago).as_duration().as_secs_f64())
    });
}

fn endpoints(metrics: &Metrics, engine: &Engine, view: &View, single: bool) {
    let families = FAMILIES.map(|(name, kind, labels, help)| {
        let total = if kind == "counter" { "_total" } else { "" };
        described(&format!("{name}{total}"), kind, labels, help)
    });
    let engine = engine.clone();
    let latencies = Arc::new(move || engine.latencies());
    metrics.collect(&families, Box::new(Series::new(view.clone(), latencies, single)));
}

fn registry(metrics: &Metrics, mirror: &Mirror) {
    let meters = mirror.meters();
    let help = "Calls to the registry, by whether it answered as it should";
    metrics.show("registry_mirror", &["op", "result"], help, meters.calls.clone());
    let help = "What the registry said of each thing that was sent";
    metrics.show("registry_mirror_items", &["outcome"], help, meters.items.clone());
    let help = "From when something was to be said to when the registry had taken it";
    metrics.show("registry_mirror_lag_seconds", &[], help, meters.lag.clone());
    let gauge = |name, help, read: fn(crate::mirror::Link) -> Option<f64>| {
        let mirror = mirror.clone();
        metrics.gauge(name, help, move || mirror.link().and_then(read));
    };
    let help = "Whether the registry answered the last call; absent before the first";
    gauge("registry_up", help, |link| Some(f64::from(u8::from(link.reachable?))));
    let help = "Agents of which something waits to be said to the registry";
    gauge("registry_mirror_pending", help, |link| Some(number(link.pending)));
    let help = "For how long the oldest of them has waited";
    gauge("registry_mirror_oldest_pending_seconds", help, |link| {
        Some(link.pending_for.map_or(0.0, |waited: Duration| waited.as_secs_f64()))
    });
    let help = "Agents that the registry holds of us, as far as we know";
    gauge("registry_mirrored", help, |link| Some(number(link.mirrored)));
}

fn described(
    name: &str,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    Described { name: format!("{PREFIX}_{name}"), kind, labels, help }
}

/// Counts of outcomes: the engine keeps them without names.
struct Outcomes {
    engine: Engine,
    help: &'static str,
}

impl std::fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outcomes")
    }
}

impl Collector for Outcomes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor("probes", self.help, None, MetricType::Counter)?;
        for ended in self.engine.meters().outcomes() {
            let labels =
                [("protocol", ended.protocol), ("result", ended.result), ("reason", ended.reason.as_str())];
            ConstCounter::new(ended.count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "measured_tests.rs"]
mod tests;
