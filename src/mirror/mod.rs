//! The mirror: orchestrator → registry. What the registry should hold is kept here, latest wins; a
//! loop writes the differences in batches, renews all of it in one call, and sends a snapshot when
//! the two digests disagree. The registry may be away at any time: nothing is lost by it.

mod meters;
mod outbox;
mod run;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{Endpoint, EndpointId, MirrorIntent, RegistrationState};
use crate::registry_client::{Client, OrchestratorIdentity};

pub use meters::{Call, Meters, OPERATIONS, Outcome};
use outbox::Outbox;
use run::Run;

/// Lists, anew and from the source of truth, the endpoints that exist. Asked before many
/// contributions are withdrawn at once.
pub type Relist = Arc<dyn Fn() -> BoxFuture<'static, Option<HashSet<EndpointId>>> + Send + Sync>;

/// Says that an endpoint wants to be looked at again.
pub type Hint = Arc<dyn Fn(EndpointId) + Send + Sync>;

/// Who writes, and how newer writers are told from older ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Uid of the Lease, or of the database.
    pub id: String,
    /// Rises with every holder.
    pub epoch: i64,
}

/// What the loop needs beside the registry.
#[derive(Clone)]
pub struct Surroundings {
    /// See [`Relist`].
    pub relist: Relist,
    /// See [`Hint`].
    pub hint: Hint,
    /// May we write now? (Is the Lease still ours?)
    pub may_write: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// How it stands with the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its URL, without credentials.
    pub url: String,
    /// The last call was answered; `None` before the first.
    pub reachable: Option<bool>,
    /// For how long it has not answered.
    pub away_for: Option<Duration>,
    /// What the last call said, when it failed.
    pub problem: Option<String>,
    /// Agents that it holds of us, as far as we know.
    pub mirrored: usize,
    /// Agents of which something waits to be said.
    pub pending: usize,
    /// For how long the oldest of that has waited.
    pub pending_for: Option<Duration>,
}

/// What is left in the outbox at the end is tried for so long.
const FLUSH: Duration = Duration::from_secs(2);

/// A handle to the mirror; clones share it.
#[derive(Clone)]
pub struct Mirror {
    shared: Arc<Shared>,
}

struct Shared {
    client: Option<Client>,
    outbox: Mutex<Outbox>,
    wake: Notify,
    meters: Meters,
}

impl Mirror {
    /// A mirror to a registry; without one every endpoint's registration is disabled.
    pub fn new(client: Option<Client>) -> Self {
        let outbox = Mutex::new(Outbox::new(Instant::now()));
        Mirror { shared: Arc::new(Shared { client, outbox, wake: Notify::new(), meters: Meters::default() }) }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // No code that can panic runs under this lock.
        self.shared.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was measured.
    pub fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    /// Says what the registry should hold of an endpoint. The newest word wins. Answers which other
    /// endpoints are touched by it: those that claim the same agent id.
    pub fn put(&self, endpoint: &Endpoint, intent: MirrorIntent) -> Vec<EndpointId> {
        let touched = self.outbox().put(endpoint, intent);
        self.shared.wake.notify_one();
        touched
    }

    /// The endpoint is gone: what we said of it is withdrawn.
    pub fn remove(&self, id: &EndpointId) -> Vec<EndpointId> {
        let touched = self.outbox().remove(id);
        self.shared.wake.notify_one();
        touched
    }

    /// Endpoints that we say something of.
    pub fn known(&self) -> HashSet<EndpointId> {
        self.outbox().known()
    }

    /// Every object of the first complete list has been looked at: from now on, what is not here
    /// may be withdrawn.
    pub fn open(&self) {
        self.outbox().open = true;
        self.shared.wake.notify_one();
    }

    /// How an endpoint stands with the registry, for its `Registered` condition.
    pub fn state(&self, endpoint: &Endpoint) -> RegistrationState {
        let Some(client) = &self.shared.client else {
            return RegistrationState::Disabled("No registry is configured (--registry-url).".to_owned());
        };
        if !endpoint.registration.mirror {
            return RegistrationState::Disabled("Nothing is registered for this object: spec.registration.policy is None, or its agentID is not permitted.".to_owned());
        }
        self.outbox().state(endpoint, client.url())
    }

    /// How it stands with the registry; `None` without one.
    pub fn link(&self) -> Option<Link> {
        let url = self.shared.client.as_ref()?.url().to_owned();
        let outbox = self.outbox();
        let tried = outbox.reachable.is_some();
        Some(Link {
            url,
            reachable: outbox.reachable,
            away_for: outbox.away_since.filter(|_| tried).map(|since| since.elapsed()),
            problem: outbox.problem.clone(),
            mirrored: usize::try_from(outbox.held().count).unwrap_or(usize::MAX),
            pending: outbox.dirty(),
            pending_for: outbox.oldest().map(|since| since.elapsed()),
        })
    }

    /// Writes until `shutdown`, then tries for a moment to send what is left.
    pub async fn run(
        &self,
        source: Source,
        identity: OrchestratorIdentity,
        surroundings: Surroundings,
        shutdown: CancellationToken,
    ) {
        let Some(client) = self.shared.client.clone() else { return };
        let mut run = Run::new(self.clone(), client, source, identity, surroundings);
        let mut sweep = tokio::time::interval(Duration::from_secs(1));
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pause_until = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = sweep.tick() => run.sweep(),
                () = self.shared.wake.notified() => {}
            }
            if Instant::now() >= pause_until {
                pause_until = tokio::select! {
                    () = shutdown.cancelled() => break,
                    pause = run.cycle() => Instant::now() + pause,
                };
            }
        }
        tokio::time::timeout(FLUSH, run.leave()).await.ok();
    }
}
