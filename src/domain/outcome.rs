//! What came back from one probe.

use std::time::Duration;

use jiff::Timestamp;

use super::Reason;

/// A probe that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The cause. [`Reason::is_unreachable`] tells whether a connection was made.
    pub reason: Reason,
    /// A sentence without anything that the target sent and without anything that changes from
    /// probe to probe.
    pub message: String,
}

/// The certificate of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// When it ends.
    pub ends: Timestamp,
    /// That is soon ([`super::ProbeSpec::certificate_expiry`]).
    pub soon: bool,
}

/// What came back from one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer that the protocol demands.
    Passed {
        /// From the start of the probe to the whole answer.
        latency: Duration,
        /// What the target showed; `None` without TLS.
        certificate: Option<Certificate>,
    },
    /// No such answer.
    Failed(Failure),
    /// Our side could not ask (resolver, route, descriptors, late scheduler): moves no streak.
    NotAsked(Failure),
    /// The target policy denies an address that the name has now.
    Denied {
        /// A sentence.
        message: String,
    },
}
