//! The Lease: one replica is active, the others wait.
//!
//! Expiry is judged by our own monotonic clock since the record last changed, never by comparing
//! wall clocks. A holder that cannot renew within the renew deadline stops writing before another
//! can hold the Lease, and goes on when it can renew again and nobody took it meanwhile; writes that are on their way all the same are fenced by (epoch, seq) at the
//! registry and by the resourceVersion at the API server. `leaseTransitions` is the epoch: every
//! acquisition raises it, also one by the same process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use rand::RngExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{Problem, problem_of};
use crate::ops::now;

/// How long a Lease lasts without renewal.
pub const DURATION: Duration = Duration::from_secs(15);
/// After so long without a successful renewal the holder writes nothing.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// From one renewal to the next.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// From one try to acquire to the next, and from a failed renewal to the next.
const RETRY: Duration = Duration::from_millis(700);
/// For one call.
const TRY: Duration = Duration::from_secs(3);

/// Where the Lease is, and who we are.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Unique to this start of this process.
    pub identity: String,
}

/// A Lease that is ours; clones share it.
#[derive(Clone, Debug)]
pub struct Held {
    /// Uid of the Lease: the id of the source that all replicas share.
    pub uid: String,
    /// `leaseTransitions` of our acquisition.
    pub epoch: i64,
    until: Arc<Mutex<Option<Instant>>>,
}

impl Held {
    /// Is it certainly still ours? Asked before every write.
    pub fn is_certain(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Competes for and keeps one Lease.
pub struct Election {
    api: Api<Lease>,
    settings: LeaseSettings,
    /// Called whenever the API server has answered.
    heard: Box<dyn Fn() + Send + Sync>,
    renewals: Family<[(&'static str, &'static str); 1], Counter>,
    /// What the record looked like when it last changed, and when we saw that.
    seen: Option<(String, Instant)>,
    /// The highest epoch that was ever seen: a Lease that somebody emptied starts no lower.
    highest: i64,
    /// Labels and annotations as last seen: a Lease made anew is still part of what it was installed with, and goes
    /// with it.
    dress: ObjectMeta,
}

impl Election {
    /// Makes no call yet.
    pub fn new(
        client: Client,
        settings: LeaseSettings,
        heard: Box<dyn Fn() + Send + Sync>,
        renewals: Family<[(&'static str, &'static str); 1], Counter>,
    ) -> Self {
        Election {
            api: Api::namespaced(client, &settings.namespace),
            settings,
            heard,
            renewals,
            seen: None,
            highest: 0,
            dress: ObjectMeta::default(),
        }
    }

    /// Waits until the Lease is ours; `None` when `shutdown` comes first.
    pub async fn acquire(
        &mut self,
        shutdown: &CancellationToken,
        mut report: impl FnMut(Result<Option<&str>, &Problem>),
    ) -> Option<Held> {
        loop {
            let asked = Instant::now();
            let tried = timed(self.try_acquire()).await;
            if tried.is_ok() {
                (self.heard)();
            }
            match tried {
                Ok(Ok(lease)) => {
                    let held = Held {
                        uid: lease.metadata.uid.clone().unwrap_or_default(),
                        epoch: epoch(&lease),
                        until: Arc::new(Mutex::new(Some(asked + RENEW_DEADLINE))),
                    };
                    return Some(held);
                }
                Ok(Err(holder)) => report(Ok(Some(&holder))),
                Err(problem) => report(Err(&problem)),
            }
            let pause = RETRY.mul_f64(rand::rng().random_range(0.8..1.0));
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// `Ok(Err(holder))`: another holds it.
    async fn try_acquire(&mut self) -> Result<Result<Lease, String>, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.settings.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.settings.name.clone()), ..self.dress.clone() },
                spec: Some(self.record(self.highest.saturating_add(1))),
            };
            return match self.api.create(&PostParams::default(), &lease).await {
                Ok(lease) => Ok(Ok(lease)),
                Err(kube::Error::Api(e)) if e.code == 409 => Ok(Err("another replica".to_owned())),
                Err(error) => Err(error),
            };
        };
        self.highest = self.highest.max(epoch(&lease));
        self.dress.labels.clone_from(&lease.metadata.labels);
        self.dress.annotations.clone_from(&lease.metadata.annotations);
        let holder = holder(&lease);
        // Our own identity: the answer to a try that succeeded was lost.
        let free = holder.is_empty() || holder == self.settings.identity;
        if !free && !self.has_expired(&lease) {
            return Ok(Err(holder));
        }
        match self.take(lease).await {
            Ok(lease) => Ok(Ok(lease)),
            Err(kube::Error::Api(e)) if e.code == 409 => Ok(Err("another replica".to_owned())),
            Err(error) => Err(error),
        }
    }

    async fn take(&self, mut lease: Lease) -> Result<Lease, kube::Error> {
        lease.spec = Some(self.record(self.highest.saturating_add(1)));
        // With the resourceVersion that was read: only one of several can succeed.
        self.api.replace(&self.settings.name, &PostParams::default(), &lease).await
    }

    fn record(&self, epoch: i64) -> LeaseSpec {
        let time = Some(MicroTime(now()));
        LeaseSpec {
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: time.clone(),
            renew_time: time,
            lease_transitions: Some(i32::try_from(epoch).unwrap_or(i32::MAX)),
            ..LeaseSpec::default()
        }
    }

    /// Has the record stood still for its whole duration, by our clock?
    fn has_expired(&mut self, lease: &Lease) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let now = Instant::now();
        match &self.seen {
            Some((seen, since)) if *seen == version => now.duration_since(*since) >= DURATION,
            _ => {
                self.seen = Some((version, now));
                false
            }
        }
    }

    /// Renews until `shutdown` (then the answer is `true`) or until another has it (`false`).
    ///
    /// An API server that is away takes the certainty, and with it every write, but not the Lease:
    /// when it comes back and nobody else has taken it, work goes on where it stopped.
    pub async fn keep(&self, held: &Held, shutdown: CancellationToken) -> bool {
        let mut pause = RENEW_EVERY;
        let mut paused = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return true,
                () = tokio::time::sleep(pause) => {}
            }
            let asked = Instant::now();
            let renewed = timed(self.renew(held)).await;
            let result = match &renewed {
                Ok(true) => "ok",
                Ok(false) => "lost",
                Err(_) => "error",
            };
            self.renewals.get_or_create(&[("result", result)]).inc();
            if renewed.is_ok() {
                (self.heard)();
            }
            pause = match renewed {
                Ok(true) => {
                    if paused {
                        tracing::info!("the Lease is renewed again: writes go on");
                        paused = false;
                    }
                    held.set(Some(asked + RENEW_DEADLINE));
                    RENEW_EVERY.mul_f64(rand::rng().random_range(0.9..1.0))
                }
                Ok(false) => {
                    held.set(None);
                    return false;
                }
                Err(problem) => {
                    if !paused && !held.is_certain() {
                        tracing::warn!(error = %problem, "the Lease could not be renewed for {RENEW_DEADLINE:?}: nothing is written until it is");
                        paused = true;
                    }
                    RETRY
                }
            };
        }
    }

    /// Gives the Lease up, so that a successor need not wait. The last call of a clean stop.
    pub async fn release(&self, held: &Held) {
        held.set(None);
        let release = async {
            let Some(mut lease) = self.api.get_opt(&self.settings.name).await? else { return Ok(()) };
            if holder(&lease) == self.settings.identity {
                if let Some(spec) = lease.spec.as_mut() {
                    spec.holder_identity = Some(String::new());
                    spec.renew_time = Some(MicroTime(now()));
                }
                self.api.replace(&self.settings.name, &PostParams::default(), &lease).await?;
            }
            Ok(())
        };
        if let Err(problem) = timed(release).await {
            tracing::warn!(error = %problem, "the Lease could not be released; a successor waits {DURATION:?}");
        }
    }

    /// `Ok(false)`: it is not ours any more.
    async fn renew(&self, held: &Held) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.settings.name).await? else { return Ok(false) };
        match (holder(&lease), lease.spec.as_mut()) {
            (holder, Some(spec)) if holder == self.settings.identity => {
                spec.renew_time = Some(MicroTime(now()));
            }
            // Emptied by `kubectl replace` or `helm upgrade --force`, and nobody has taken it: the
            // epoch must not start anew, or the registry would refuse us as an old holder.
            (holder, _) if holder.is_empty() => lease.spec = Some(self.record(held.epoch)),
            _ => return Ok(false),
        }
        match self.api.replace(&self.settings.name, &PostParams::default(), &lease).await {
            Ok(_) => Ok(true),
            // Somebody touched it between the two calls: look again at the next try.
            Err(kube::Error::Api(e)) if e.code == 409 => self.renew_holder().await,
            Err(error) => Err(error),
        }
    }

    async fn renew_holder(&self) -> Result<bool, kube::Error> {
        let lease = self.api.get_opt(&self.settings.name).await?;
        Ok(lease.is_some_and(|lease| holder(&lease) == self.settings.identity))
    }
}

fn holder(lease: &Lease) -> String {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default()
}

fn epoch(lease: &Lease) -> i64 {
    lease.spec.as_ref().and_then(|spec| spec.lease_transitions).map_or(0, i64::from)
}

async fn timed<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Problem> {
    match tokio::time::timeout(TRY, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(problem_of(&error, "the Lease")),
        Err(_) => Err(Problem::Timeout),
    }
}
