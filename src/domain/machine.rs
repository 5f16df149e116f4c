//! Hysteresis: from the outcomes of one target to its state.

use super::condition::{MAX_TARGET_MESSAGE, cut_to};
use super::{Certificate, Failure, Outcome, Reason, StatusWord};
use std::time::Duration;

/// How many consecutive outcomes change a known state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// So many failures.
    pub failure: u32,
    /// So many successes.
    pub success: u32,
}

/// One yes-or-no question about a target, filtered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tri {
    /// Not known yet.
    Unknown,
    /// Yes.
    True,
    /// No, with the cause. The message is that of the first outcome with this cause, so that a
    /// target which fails in ever new words causes no writes.
    False(Failure),
}

impl Tri {
    /// The failure, if the answer is no.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Tri::False(failure) => Some(failure),
            _ => None,
        }
    }
}

/// What is known of a target: the part that others see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetState {
    /// Does it accept a connection?
    pub reachable: Tri,
    /// Does it give the answer that the protocol demands?
    pub healthy: Tri,
    /// Is it slower than the threshold?
    pub slow: bool,
    /// Does its certificate end soon?
    pub expiring: bool,
    /// The policy denies one of its addresses: why.
    pub denied: Option<String>,
    /// Why it is not known, while it is not.
    pub unknown: Failure,
}

impl TargetState {
    /// A target of which nothing is known yet.
    pub fn unknown() -> Self {
        TargetState {
            reachable: Tri::Unknown,
            healthy: Tri::Unknown,
            slow: false,
            expiring: false,
            denied: None,
            unknown: Failure {
                reason: Reason::NotYetProbed,
                message: "No probe has finished yet.".to_owned(),
            },
        }
    }

    /// True when an outcome has decided.
    pub fn has_verdict(&self) -> bool {
        self.denied.is_some() || self.healthy != Tri::Unknown
    }

    /// True when it answers as it should.
    pub fn passes(&self) -> bool {
        self.denied.is_none() && self.reachable == Tri::True && self.healthy == Tri::True
    }

    /// True when it failed at a time when our own side was suspected: it is not known, but a failure
    /// more proves little.
    pub fn is_suspect(&self) -> bool {
        !self.has_verdict() && self.unknown.reason == Reason::ProbeInfrastructureSuspect
    }

    /// The word, the reason and the message that people see.
    pub fn summary(&self) -> (StatusWord, Reason, &str) {
        if let Some(message) = &self.denied {
            return (StatusWord::Rejected, Reason::TargetNotPermitted, message);
        }
        match (&self.reachable, &self.healthy) {
            (Tri::False(failure), _) | (_, Tri::False(failure)) => {
                (StatusWord::Failing, failure.reason, &failure.message)
            }
            (Tri::True, Tri::True) if self.slow => (
                StatusWord::Degraded,
                Reason::LatencyAboveThreshold,
                "Answers, but slower than latencyThresholdMilliseconds.",
            ),
            (Tri::True, Tri::True) if self.expiring => (
                StatusWord::Degraded,
                Reason::CertificateExpiringSoon,
                "Answers, but its certificate ends soon.",
            ),
            (Tri::True, Tri::True) => (StatusWord::Ready, Reason::Ready, "Answers."),
            _ => (StatusWord::Unknown, self.unknown.reason, &self.unknown.message),
        }
    }

    /// The state that a stored summary stood for; `None` when it says nothing of the target.
    /// Streaks start anew: a restored state needs the thresholds to move.
    pub fn restore(word: StatusWord, reason: Reason, message: &str) -> Option<Self> {
        let mut state = TargetState::unknown();
        let failure = || Failure { reason, message: message.to_owned() };
        match word {
            StatusWord::Ready | StatusWord::Degraded => {
                state.reachable = Tri::True;
                state.healthy = Tri::True;
                state.slow = reason == Reason::LatencyAboveThreshold;
                state.expiring = reason == Reason::CertificateExpiringSoon;
            }
            StatusWord::Failing => {
                state.healthy = Tri::False(failure());
                state.reachable = if reason.is_unreachable() { state.healthy.clone() } else { Tri::True };
            }
            StatusWord::Rejected if reason == Reason::TargetNotPermitted => {
                state.denied = Some(message.to_owned());
            }
            StatusWord::Unknown if reason == Reason::ProbeInfrastructureSuspect => state.unknown = failure(),
            StatusWord::Rejected | StatusWord::Unknown | StatusWord::Paused => return None,
        }
        Some(state)
    }
}

/// How often in a row something was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Streaks {
    passes: u32,
    failures: u32,
    /// The newest cause and how often in a row it was the cause.
    cause: Option<(Reason, u32)>,
}

impl Streaks {
    fn pass(&mut self) {
        *self = Streaks { passes: self.passes.saturating_add(1), ..Streaks::default() };
    }

    fn fail(&mut self, reason: Reason) {
        let same = self.cause.filter(|(cause, _)| *cause == reason).map_or(0, |(_, n)| n);
        *self = Streaks {
            passes: 0,
            failures: self.failures.saturating_add(1),
            cause: Some((reason, same.saturating_add(1))),
        };
    }
}

/// Moves one answer by one observation.
fn turn(tri: &mut Tri, streaks: &mut Streaks, seen: Result<(), &Failure>, thresholds: Thresholds) {
    match seen {
        Ok(()) => {
            streaks.pass();
            if *tri == Tri::Unknown || streaks.passes >= thresholds.success {
                *tri = Tri::True;
            }
        }
        Err(failure) => {
            streaks.fail(failure.reason);
            let in_a_row = streaks.cause.map_or(0, |(_, n)| n);
            match tri {
                Tri::False(known) if known.reason == failure.reason || in_a_row < thresholds.failure => {}
                Tri::True if streaks.failures < thresholds.failure => {}
                _ => *tri = Tri::False(failure.clone()),
            }
        }
    }
}

/// What is kept of a message is what the status shows of it, so that both are equal after a restart.
fn bounded(mut outcome: Outcome) -> Outcome {
    if let Outcome::Failed(Failure { message, .. })
    | Outcome::NotAsked(Failure { message, .. })
    | Outcome::Denied { message } = &mut outcome
    {
        *message = cut_to(std::mem::take(message), MAX_TARGET_MESSAGE);
    }
    outcome
}

/// A target's state with the streaks behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    state: TargetState,
    reach: Streaks,
    health: Streaks,
    latency: Streaks,
    expiry: Streaks,
    /// The newest certificate that was shown.
    certificate: Option<Certificate>,
    unknown: Streaks,
    /// The newest failure of a target that did accept a connection.
    answered: Option<Failure>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine::from_state(TargetState::unknown())
    }
}

impl Machine {
    /// Goes on from a known state; streaks start anew.
    pub fn from_state(state: TargetState) -> Self {
        Machine {
            state,
            reach: Streaks::default(),
            health: Streaks::default(),
            latency: Streaks::default(),
            expiry: Streaks::default(),
            certificate: None,
            unknown: Streaks::default(),
            answered: None,
        }
    }

    /// What is known now.
    pub fn state(&self) -> &TargetState {
        &self.state
    }

    /// The certificate that the target last showed with an answer.
    pub fn certificate(&self) -> Option<Certificate> {
        self.certificate
    }

    /// Takes one outcome in. Answers whether anything changed that others see. The first outcome of
    /// an unknown target decides; a known state needs the thresholds to move.
    pub fn step(&mut self, outcome: &Outcome, thresholds: Thresholds, slow_above: Duration) -> bool {
        let outcome = &bounded(outcome.clone());
        let before = self.state.clone();
        match outcome {
            Outcome::NotAsked(failure) => self.not_asked(failure, thresholds),
            Outcome::Denied { message } => {
                // The policy speaks at once, and what was known of other addresses is void.
                let message = self.state.denied.take().unwrap_or_else(|| message.clone());
                *self = Machine::default();
                self.state.denied = Some(message);
            }
            Outcome::Passed { latency, certificate } => {
                self.state.denied = None;
                turn(&mut self.state.reachable, &mut self.reach, Ok(()), thresholds);
                turn(&mut self.state.healthy, &mut self.health, Ok(()), thresholds);
                self.latency(*latency > slow_above, thresholds);
                self.expiry(*certificate, thresholds);
                self.agree();
            }
            Outcome::Failed(failure) => {
                self.state.denied = None;
                self.failed(failure, thresholds);
            }
        }
        self.state != before
    }

    fn failed(&mut self, failure: &Failure, thresholds: Thresholds) {
        if self.state.is_suspect() {
            // Not the first outcome: most failed when it was last known.
            self.reach.fail(failure.reason);
            if self.reach.failures < thresholds.failure {
                return;
            }
        }
        let connected = !failure.reason.is_unreachable();
        let seen = if connected { Ok(()) } else { Err(failure) };
        turn(&mut self.state.reachable, &mut self.reach, seen, thresholds);
        turn(&mut self.state.healthy, &mut self.health, Err(failure), thresholds);
        if connected {
            self.answered = Some(failure.clone());
        }
        self.agree();
        if self.state.healthy != Tri::True {
            self.state.slow = false;
            self.latency = Streaks::default();
        }
    }

    /// A target that cannot be reached is unhealthy with the same cause; one that can be is
    /// unhealthy for something it answered (its health lags behind only because of such an answer).
    /// So the pair can be read back from one reason.
    fn agree(&mut self) {
        let Tri::False(unhealthy) = &mut self.state.healthy else { return };
        match &self.state.reachable {
            Tri::False(unreachable) => *unhealthy = unreachable.clone(),
            _ if unhealthy.reason.is_unreachable() => {
                if let Some(answered) = &self.answered {
                    *unhealthy = answered.clone();
                }
            }
            _ => {}
        }
    }

    fn not_asked(&mut self, failure: &Failure, thresholds: Thresholds) {
        // That our side is suspected is not made known better by our side's fault.
        if self.state.has_verdict() || self.state.is_suspect() {
            return;
        }
        self.unknown.fail(failure.reason);
        let in_a_row = self.unknown.cause.map_or(0, |(_, n)| n);
        let first = self.state.unknown.reason == Reason::NotYetProbed;
        if self.state.unknown.reason != failure.reason && (first || in_a_row >= thresholds.failure) {
            self.state.unknown = failure.clone();
        }
    }

    /// The same number of probes both ways: behind one name there may be two certificates.
    fn expiry(&mut self, certificate: Option<Certificate>, thresholds: Thresholds) {
        self.certificate = certificate;
        if certificate.is_some_and(|certificate| certificate.soon) {
            self.expiry.fail(Reason::CertificateExpiringSoon);
        } else {
            self.expiry.pass();
        }
        if self.expiry.failures >= thresholds.failure {
            self.state.expiring = true;
        } else if self.expiry.passes >= thresholds.failure {
            self.state.expiring = false;
        }
    }

    /// Slowness is a property of a healthy target only.
    fn latency(&mut self, slow: bool, thresholds: Thresholds) {
        if self.state.healthy != Tri::True {
            return;
        }
        if slow {
            self.latency.fail(Reason::LatencyAboveThreshold);
        } else {
            self.latency.pass();
        }
        // The same number of probes both ways: latency near the threshold must not flap.
        if self.latency.failures >= thresholds.failure {
            self.state.slow = true;
        } else if self.latency.passes >= thresholds.failure {
            self.state.slow = false;
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
