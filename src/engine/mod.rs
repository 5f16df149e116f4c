//! The engine owns time: when each target is probed, how many at once, and what became of it.
//! It knows neither Kubernetes nor a database. It tells by [`Engine::changes`] that something
//! changed (a hint, coalesced); the truth is read with [`Engine::states`].

mod changes;
#[cfg(test)]
pub mod fixtures;
mod guard;
mod meters;
mod pulse;
mod table;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::{Endpoint, EndpointId, Failure, Outcome, Reason, TargetAddress, TargetState};
use crate::probe::Probe;

pub use changes::Changes;
pub use guard::{Canary, MassFailure};
use meters::Asked;
pub use meters::{Ended, Kind, Meters};
pub use pulse::Pace;
use table::{Effect, Start, Table};

/// Bounds on what runs at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Probes in flight. 1,024: 2,000 targets at 10 s that all hang for 3 s need 600.
    pub in_flight: usize,
    /// Probes in flight to one host, so that one host with many agents is not stormed.
    pub per_host: usize,
    /// New or edited targets that are probed at once rather than in their own slot, per second.
    pub prompt_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { in_flight: 1024, per_host: 16, prompt_per_second: 40 }
    }
}

/// What the engine counted since it started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Probes begun.
    pub started: AtomicU64,
    /// Probes ended by themselves.
    pub finished: AtomicU64,
    /// Slots in which no probe could start: the one before still ran, or a limit was reached.
    pub missed_slots: AtomicU64,
    /// Outcomes that came after their target was edited or removed.
    pub outdated: AtomicU64,
    /// Probes that our side could not make (resolver, route, descriptors): they move no verdict.
    pub not_asked: AtomicU64,
    /// Probes that panicked (a bug).
    pub panics: AtomicU64,
}

/// A handle to the engine; clones share it.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    probe: Arc<dyn Probe>,
    table: Mutex<Table>,
    wake: Notify,
    changes: Changes,
    canaries: Vec<Canary>,
    counters: Counters,
    meters: Meters,
    tasks: TaskTracker,
}

impl Engine {
    /// An engine without targets. Nothing is probed before [`Engine::run`].
    pub fn new(probe: Arc<dyn Probe>, limits: Limits) -> Self {
        Engine::with_canaries(probe, limits, Vec::new())
    }

    /// As [`Engine::new`], with what vouches for our own network when most targets fail at once.
    pub fn with_canaries(probe: Arc<dyn Probe>, limits: Limits, canaries: Vec<Canary>) -> Self {
        Engine {
            shared: Arc::new(Shared {
                probe,
                table: Mutex::new(Table::new(limits)),
                wake: Notify::new(),
                changes: Changes::default(),
                canaries,
                counters: Counters::default(),
                meters: Meters::default(),
                tasks: TaskTracker::new(),
            }),
        }
    }

    /// Makes the engine probe what `endpoint` says from now on. Cheap when nothing changed. A target
    /// keeps its verdict while host, port and probe stay; a new one goes on from `restored`, or is
    /// unknown until its first outcome. A probe in flight of a target that changed is cancelled.
    pub fn upsert(&self, endpoint: &Endpoint, restored: impl Fn(&TargetAddress) -> Option<TargetState>) {
        self.table().upsert(endpoint, restored, Instant::now());
        self.shared.wake.notify_one();
    }

    /// Stops probing an endpoint.
    pub fn remove(&self, id: &EndpointId) {
        self.table().remove(id);
        self.start_waiting();
    }

    /// Endpoints that the engine has targets of.
    pub fn known(&self) -> HashSet<EndpointId> {
        self.table().known()
    }

    /// What is known of each target, in the order of `endpoint.targets`.
    pub fn states(&self, endpoint: &Endpoint) -> Vec<TargetState> {
        self.table().states(endpoint)
    }

    /// Hints that an endpoint's state changed. There is one stream of them: take it once.
    pub fn changes(&self) -> Changes {
        self.shared.changes.clone()
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What was measured.
    pub fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    /// Of each endpoint, as of the newest probes that passed: the slowest latency of its targets, and
    /// when the first of their certificates ends.
    pub fn measured(&self) -> HashMap<EndpointId, (Option<Duration>, Option<Timestamp>)> {
        self.table().measured()
    }

    /// Targets that are due and wait for a limit.
    pub fn waiting(&self) -> usize {
        self.table().waiting()
    }

    /// The shortest period of the targets that are probed; `None` when none is.
    pub fn shortest_period(&self) -> Option<Duration> {
        self.table().shortest_period()
    }

    /// Targets, and probes in flight.
    pub fn load(&self) -> (usize, usize) {
        self.table().load()
    }

    /// How fast and how punctual it is.
    pub fn pace(&self) -> Pace {
        self.table().pace()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No code that can panic runs under this lock, and a poisoned table is still consistent.
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Probes until `shutdown`; then no probe starts any more and those in flight are cancelled.
    pub async fn run(&self, shutdown: CancellationToken) {
        tokio::join!(self.probe_all(&shutdown), self.watch_over(shutdown.clone()));
    }

    async fn probe_all(&self, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = self.shared.wake.notified() => {}
                () = futures::future::poll_fn(|cx| {
                    let missed = futures::ready!(self.table().poll_due(cx));
                    self.shared.counters.missed_slots.fetch_add(missed, Ordering::Relaxed);
                    std::task::Poll::Ready(())
                }) => {}
            }
            self.start_waiting();
        }
        self.table().stop();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn start_waiting(&self) {
        let mut table = self.table();
        while let Some(start) = table.next_start() {
            let Start { key, target, spec } = start;
            let engine = self.clone();
            let protocol = Asked::of(spec.protocol.name());
            let asked = self.shared.probe.probe(target, spec);
            let task = self.shared.tasks.spawn(async move {
                let started = Instant::now();
                let outcome = std::panic::AssertUnwindSafe(asked).catch_unwind().await;
                engine.finished(key, protocol, outcome.ok(), started.elapsed());
            });
            if let Some(late) = table.started(key, task.abort_handle()) {
                self.shared.meters.late.observe(late.as_secs_f64());
            }
            self.shared.counters.started.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn finished(&self, key: table::Key, protocol: Asked, outcome: Option<Outcome>, took: Duration) {
        let counters = &self.shared.counters;
        let outcome = outcome.unwrap_or_else(|| {
            counters.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a probe panicked: this is a bug, please report it");
            Outcome::NotAsked(Failure {
                reason: Reason::ProbeInfrastructureSuspect,
                message: "The probe itself failed; see the orchestrator's log.".to_owned(),
            })
        });
        if let Outcome::NotAsked(failure) = &outcome {
            // The first and then every thousandth: it is about us, and says the same each time.
            if counters.not_asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(1000) {
                tracing::warn!(reason = %failure.reason, "a probe could not be made: {}", failure.message);
            }
        }
        self.shared.meters.ended(protocol, &outcome, took);
        let (effect, look) = {
            let mut table = self.table();
            let effect = table.finished(key, &outcome);
            // Before others hear of a change: it may be ours.
            let look = effect.began().then(|| table.look_soon()).flatten();
            (effect, look)
        };
        if let Some(look) = look {
            self.act(look);
        }
        let counter = match effect {
            Effect::Outdated => &counters.outdated,
            Effect::Nothing | Effect::Began => &counters.finished,
            Effect::Changed { id, .. } => {
                self.shared.changes.push(id);
                &counters.finished
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.start_waiting();
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod guard_tests;
