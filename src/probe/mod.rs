//! Probes: network I/O that decides nothing. One question to one target, one total deadline, one
//! [`Outcome`]. The target policy says yes to the very address that is dialled, or nothing is sent.

mod a2a;
mod dial;
mod faults;
mod grpc;
mod http;
mod resolve;
mod sessions;
mod terms;
mod tls;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::domain::endpoint::Protocol;
use crate::domain::{Certificate, Failure, Outcome, ProbeSpec, Reason, Target, TargetPolicy};
use terms::Terms;
use tls::Alpn;

pub use resolve::{Resolver, ResolverSettings};
pub use tls::Tls;

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
    tls: Tls,
}

/// A connection, with TLS or without.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// How far a probe has come, for the reason when the deadline ends it.
#[derive(Default)]
pub(crate) struct Progress(AtomicU8);

#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Resolve = 0,
    Connect = 1,
    Handshake = 2,
    Answer = 3,
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
            2 => failed(
                Reason::TLSHandshakeFailed,
                "The TLS handshake did not end within the timeout: does this port speak TLS?",
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
    pub fn new(resolver: Resolver, policy: SharedPolicy, tls: Tls) -> Self {
        Prober { resolver, policy, tls }
    }

    /// A connection that is ready for the question.
    async fn open(
        &self,
        addresses: &[IpAddr],
        target: &Target,
        spec: &ProbeSpec,
        progress: &Progress,
    ) -> Result<(Stream, Option<Certificate>), Outcome> {
        let alpn = match &spec.protocol {
            Protocol::Http(_) | Protocol::A2a { .. } => Alpn::Http1,
            Protocol::Grpc { .. } => Alpn::Http2,
            Protocol::Tcp | Protocol::Other(_) => Alpn::None,
        };
        // What cannot be shown or trusted is known before anything is sent.
        let prepared = spec.tls.as_ref().map(|tls| self.tls.prepare(target, tls, alpn)).transpose()?;
        progress.reach(Phase::Connect);
        let policy = Arc::clone(&self.policy.read().unwrap_or_else(std::sync::PoisonError::into_inner));
        let stream = dial::dial(addresses, target.address.port, &policy).await?;
        let Some(prepared) = prepared else {
            progress.reach(Phase::Answer);
            return Ok((Either::Left(stream), None));
        };
        progress.reach(Phase::Handshake);
        let (stream, certificate) = self.tls.handshake(stream, prepared, spec).await?;
        progress.reach(Phase::Answer);
        Ok((Either::Right(Box::new(stream)), certificate))
    }

    async fn ask(&self, target: &Target, spec: &ProbeSpec, progress: &Progress) -> Outcome {
        let started = Instant::now();
        let outcome = |answer: Result<(), Failure>, certificate| match answer {
            Ok(()) => Outcome::Passed { latency: started.elapsed(), certificate },
            Err(failure) => Outcome::Failed(failure),
        };
        if let Protocol::Other(name) = &spec.protocol {
            return not_asked(Reason::NotSupported, format!("{name} is not probed."));
        }
        let terms = match Terms::of(spec, target, self.tls.vault()) {
            Ok(terms) => terms,
            Err(outcome) => return outcome,
        };
        let addresses = match self.resolver.addresses(&target.lookup).await {
            Ok(addresses) => addresses,
            Err(outcome) => return outcome,
        };
        let (stream, certificate) = match self.open(&addresses, target, spec, progress).await {
            Ok(open) => open,
            Err(outcome) => return outcome,
        };
        match &spec.protocol {
            Protocol::Tcp | Protocol::Other(_) => outcome(Ok(()), certificate),
            Protocol::Http(question) => {
                outcome(http::ask(stream, &target.address, question, &terms).await, certificate)
            }
            Protocol::A2a { card_path } => {
                let mut stream = Some(stream);
                let mut nothing = None;
                for path in a2a::paths(card_path.as_deref()) {
                    let stream = match stream.take() {
                        Some(stream) => stream,
                        None => match self.open(&addresses, target, spec, progress).await {
                            Ok((stream, _)) => stream,
                            Err(outcome) => return outcome,
                        },
                    };
                    match a2a::ask(stream, &target.address, path, &terms).await {
                        a2a::Found::Verdict(verdict) => return outcome(verdict, certificate),
                        // The first path is the one that people look at.
                        a2a::Found::NotHere(failure) => nothing = nothing.or(Some(failure)),
                    }
                }
                outcome(nothing.map_or(Ok(()), Err), certificate)
            }
            Protocol::Grpc { service } => {
                let asked = grpc::ask(stream, &target.address, service, spec.timeout, &terms);
                outcome(asked.await, certificate)
            }
        }
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
                Ok(outcome) => {
                    terms::suspect(&outcome, &spec, prober.tls.vault());
                    outcome
                }
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
