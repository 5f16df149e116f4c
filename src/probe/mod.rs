//! Probes: network I/O that decides nothing. One question to one target, one total deadline, one
//! [`Outcome`]. The target policy says yes to the very address that is dialled, or nothing is sent.

mod a2a;
mod dial;
mod grpc;
mod http;
mod resolve;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::domain::endpoint::Protocol;
use crate::domain::{Failure, Outcome, ProbeSpec, Reason, Target, TargetPolicy};

pub use resolve::{Resolver, ResolverSettings};

/// Asks one target one question.
pub trait Probe: Send + Sync + 'static {
    /// Never takes much longer than `spec.timeout`.
    fn probe(&self, target: Target, spec: Arc<ProbeSpec>) -> BoxFuture<'static, Outcome>;
}

/// The target policy in force; it can be exchanged while probes run.
pub type SharedPolicy = Arc<RwLock<Arc<TargetPolicy>>>;

/// The probes of this program.
#[derive(Clone)]
pub struct Prober {
    resolver: Resolver,
    policy: SharedPolicy,
}

/// How far a probe has come, for the reason when the deadline ends it.
#[derive(Default)]
pub(crate) struct Progress(AtomicU8);

#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Resolve = 0,
    Connect = 1,
    Answer = 2,
}

impl Progress {
    pub(crate) fn reach(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    fn timed_out(&self) -> Outcome {
        match self.0.load(Ordering::Relaxed) {
            0 => not_asked(Reason::DNSResolverUnavailable, "The resolver gave no answer within the timeout."),
            1 => failed(
                Reason::ConnectTimeout,
                "No connection within the timeout: a firewall may drop packets, or the host is down.",
            ),
            _ => failed(Reason::ResponseTimeout, "Connected, but no complete answer within the timeout."),
        }
    }
}

pub(crate) fn failed(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure { reason, message: message.into() })
}

pub(crate) fn not_asked(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::NotAsked(Failure { reason, message: message.into() })
}

impl Prober {
    /// A prober with a resolver and the policy in force.
    pub fn new(resolver: Resolver, policy: SharedPolicy) -> Self {
        Prober { resolver, policy }
    }

    async fn ask(&self, target: &Target, spec: &ProbeSpec, progress: &Progress) -> Outcome {
        let policy = Arc::clone(&self.policy.read().unwrap_or_else(std::sync::PoisonError::into_inner));
        let started = Instant::now();
        let addresses = match self.resolver.addresses(&target.lookup).await {
            Ok(addresses) => addresses,
            Err(outcome) => return outcome,
        };
        let dial = async || {
            progress.reach(Phase::Connect);
            let stream = dial::dial(&addresses, target.address.port, &policy).await?;
            progress.reach(Phase::Answer);
            Ok::<_, Outcome>(stream)
        };
        let stream = match dial().await {
            Ok(stream) => stream,
            Err(outcome) => return outcome,
        };
        match &spec.protocol {
            Protocol::Tcp => Outcome::Passed { latency: started.elapsed() },
            Protocol::Other(name) => not_asked(Reason::NotSupported, format!("{name} is not probed.")),
            Protocol::Http(question) => {
                let asked = http::ask(stream, &target.address, question, spec.on_authentication_required);
                outcome(asked.await, started)
            }
            Protocol::A2a { card_path } => {
                let mut stream = Some(stream);
                let mut nothing = None;
                for path in a2a::paths(card_path.as_deref()) {
                    let stream = match stream.take() {
                        Some(stream) => stream,
                        None => match dial().await {
                            Ok(stream) => stream,
                            Err(outcome) => return outcome,
                        },
                    };
                    match a2a::ask(stream, &target.address, path, spec.on_authentication_required).await {
                        a2a::Found::Verdict(verdict) => return outcome(verdict, started),
                        // The first path is the one that people look at.
                        a2a::Found::NotHere(failure) => nothing = nothing.or(Some(failure)),
                    }
                }
                nothing.map_or(Outcome::Passed { latency: started.elapsed() }, Outcome::Failed)
            }
            Protocol::Grpc { service } => {
                let authentication = spec.on_authentication_required;
                let asked = grpc::ask(stream, &target.address, service, spec.timeout, authentication);
                outcome(asked.await, started)
            }
        }
    }
}

fn outcome(answer: Result<(), Failure>, started: Instant) -> Outcome {
    match answer {
        Ok(()) => Outcome::Passed { latency: started.elapsed() },
        Err(failure) => Outcome::Failed(failure),
    }
}

/// The runtime wakes a timer late by this much only when it is starved: then the outcome says
/// something about us, not about the target.
const LATE: Duration = Duration::from_secs(1);

impl Probe for Prober {
    fn probe(&self, target: Target, spec: Arc<ProbeSpec>) -> BoxFuture<'static, Outcome> {
        let prober = self.clone();
        Box::pin(async move {
            let progress = Progress::default();
            progress.reach(Phase::Resolve);
            let started = Instant::now();
            let asked = prober.ask(&target, &spec, &progress);
            match tokio::time::timeout(spec.timeout, asked).await {
                Ok(outcome) => outcome,
                Err(_) if started.elapsed() > spec.timeout + LATE => {
                    not_asked(Reason::ProbeLate, "This process was too busy to wait for the answer.")
                }
                Err(_) => progress.timed_out(),
            }
        })
    }
}

#[cfg(test)]
mod tests;
