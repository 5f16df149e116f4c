//! The self-outage guard: when most targets fail at once, the fault may be on our side.
//!
//! When at least half of the targets that were healthy, and at least [`MIN_FAILING`] of them, begin to
//! fail within one period, what is said of them is held. Canaries (things that must answer when our
//! own network works) decide: do all pass, the truth is published after one more period; does one
//! fail, or is there none, it is held for [`HOLD`] and then said to be unknown. When fewer than half
//! fail any more, it was us: what was seen meanwhile is void.

use std::time::Duration;

use super::endpoint::Lookup;
use super::{Failure, Reason, Target, TargetState};

/// Fewer targets than this never look like our own outage.
pub const MIN_FAILING: usize = 5;
/// So long what is said is held when no canary speaks for us.
pub const HOLD: Duration = Duration::from_mins(5);
/// "One more period" is at most this: a target may be probed once an hour.
pub const MAX_PATIENCE: Duration = Duration::from_mins(1);

/// How many targets were healthy, and how many of those fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Healthy before.
    pub healthy: usize,
    /// Of those, failing now.
    pub failing: usize,
}

impl Tally {
    /// Does it look like an outage of our own?
    pub fn is_mass_failure(self) -> bool {
        self.failing >= MIN_FAILING && self.failing * 2 >= self.healthy
    }
}

/// What the canaries said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canaries {
    /// There is none, or none has answered yet.
    Silent,
    /// At least one failed.
    Failing,
    /// All passed.
    Passing,
}

/// What the guard does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is wrong.
    #[default]
    Watching,
    /// What is said is held. Times are durations since some fixed moment.
    Holding {
        /// Since then.
        since: Duration,
        /// All canaries have passed since then.
        passing: Option<Duration>,
    },
    /// What fails is said to be unknown.
    Suspect {
        /// The mass failure began then.
        since: Duration,
        /// All canaries have passed since then.
        passing: Option<Duration>,
    },
}

/// What is to be done with what is said of the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Nothing,
    /// Hold it.
    Hold,
    /// Say that what fails is unknown.
    Suspect,
    /// Say the truth.
    Publish,
    /// Forget what was seen since it was held.
    Void,
}

impl Phase {
    /// Is anything held?
    pub fn is_active(self) -> bool {
        self != Phase::Watching
    }

    /// One look at `now`. `patience` is one period of the targets that fail.
    pub fn step(&mut self, now: Duration, tally: Tally, canaries: Canaries, patience: Duration) -> Order {
        let (since, passing) = match self {
            Phase::Watching if tally.is_mass_failure() => {
                *self = Phase::Holding { since: now, passing: None };
                return Order::Hold;
            }
            Phase::Watching => return Order::Nothing,
            Phase::Holding { since, passing } | Phase::Suspect { since, passing } => (*since, passing),
        };
        *passing = match canaries {
            Canaries::Passing => passing.or(Some(now)),
            Canaries::Silent | Canaries::Failing => None,
        };
        let vouched = passing.is_some_and(|passing| now - passing >= patience.min(MAX_PATIENCE));
        if !tally.is_mass_failure() {
            *self = Phase::Watching;
            return Order::Void;
        }
        if vouched {
            *self = Phase::Watching;
            return Order::Publish;
        }
        if let Phase::Holding { passing, .. } = *self
            && now - since >= HOLD
        {
            *self = Phase::Suspect { since, passing };
            return Order::Suspect;
        }
        Order::Nothing
    }
}

/// Is there a network between us and the target? What dies on our own loopback died itself.
pub fn is_remote(target: &Target) -> bool {
    match &target.lookup {
        Lookup::Literal(ip) => !ip.is_loopback(),
        Lookup::Name(name) => name != "localhost",
    }
}

/// What is said of a target of which we do not trust our own eyes.
pub fn suspect() -> TargetState {
    TargetState {
        unknown: Failure {
            reason: Reason::ProbeInfrastructureSuspect,
            message:
                "Failed together with most other targets: the network or the DNS of the orchestrator may be \
                      at fault."
                    .to_owned(),
        },
        ..TargetState::unknown()
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
