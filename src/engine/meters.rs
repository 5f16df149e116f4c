//! What the engine counts for `/metrics`. A probe costs a few atomic steps and two short locks; names are
//! made when somebody looks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::domain::{Outcome, Reason};

/// Protocols by name; what is not here is `other`.
const PROTOCOLS: [&str; 6] = ["http", "tcp", "grpc", "a2a", "mcp", "other"];
/// What a probe can come to.
const RESULTS: [&str; 4] = ["passed", "failed", "not_asked", "denied"];
/// Bounds in seconds: probes take up to their timeout.
const TOOK: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds in seconds: how late probes begin.
const LATE: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Labels of the duration.
pub type Kind = [(&'static str, &'static str); 2];

/// A protocol, by its place in the tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked(usize);

impl Asked {
    pub fn of(protocol: &str) -> Asked {
        let known = PROTOCOLS.iter().position(|name| *name == protocol);
        Asked(known.unwrap_or(PROTOCOLS.len() - 1))
    }
}

/// Counts of outcomes by protocol, result and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `http`, `tcp`, …
    pub protocol: &'static str,
    /// `passed`, `failed`, `not_asked` or `denied`.
    pub result: &'static str,
    /// Why; of a probe that passed `Healthy`.
    pub reason: Reason,
    /// How many.
    pub count: u64,
}

/// The instruments.
pub struct Meters {
    /// How long probes took.
    pub took: Family<Kind, Histogram, fn() -> Histogram>,
    /// How late they began.
    pub late: Histogram,
    handles: [[OnceLock<Histogram>; RESULTS.len()]; PROTOCOLS.len()],
    ended: Box<[AtomicU64]>,
}

impl Default for Meters {
    fn default() -> Meters {
        let histogram: fn() -> Histogram = || Histogram::new(TOOK);
        let cells = PROTOCOLS.len() * RESULTS.len() * Reason::ALL.len();
        Meters {
            took: Family::new_with_constructor(histogram),
            late: Histogram::new(LATE),
            handles: Default::default(),
            ended: (0..cells).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Meters {
    pub(super) fn ended(&self, Asked(protocol): Asked, outcome: &Outcome, took: Duration) {
        let (result, reason) = match outcome {
            Outcome::Passed { .. } => (0, Reason::Healthy),
            Outcome::Failed(failure) => (1, failure.reason),
            Outcome::NotAsked(failure) => (2, failure.reason),
            Outcome::Denied { .. } => (3, Reason::TargetNotPermitted),
        };
        let handle = self.handles[protocol][result].get_or_init(|| {
            self.took.get_or_create_owned(&[("protocol", PROTOCOLS[protocol]), ("result", RESULTS[result])])
        });
        handle.observe(took.as_secs_f64());
        let cell = (protocol * RESULTS.len() + result) * Reason::ALL.len() + reason as usize;
        self.ended[cell].fetch_add(1, Ordering::Relaxed);
    }

    /// What probes came to, so far.
    pub fn outcomes(&self) -> Vec<Ended> {
        let mut all = Vec::new();
        for (cell, count) in self.ended.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                let (rest, reason) = (cell / Reason::ALL.len(), Reason::ALL[cell % Reason::ALL.len()]);
                let (protocol, result) = (PROTOCOLS[rest / RESULTS.len()], RESULTS[rest % RESULTS.len()]);
                all.push(Ended { protocol, result, reason, count });
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Failure;

    #[test]
    fn each_outcome_is_counted_under_its_own_protocol_result_and_reason() {
        let meters = Meters::default();
        let took = Duration::from_millis(3);
        meters.ended(Asked::of("grpc"), &Outcome::Passed { latency: took }, took);
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            let failure = Failure { reason: *reason, message: String::new() };
            meters.ended(Asked::of("http"), &Outcome::Failed(failure), took);
        }
        let failure = Failure { reason: Reason::ProbeLate, message: String::new() };
        meters.ended(Asked::of("of a later release"), &Outcome::NotAsked(failure), took);
        let all = meters.outcomes();
        assert_eq!(all.len(), Reason::ALL.len() + 2);
        let failed = all.iter().filter(|e| (e.protocol, e.result, e.count) == ("http", "failed", 1));
        assert!(failed.map(|e| e.reason).eq(Reason::ALL.iter().copied()));
        assert!(all.contains(&Ended {
            protocol: "grpc",
            result: "passed",
            reason: Reason::Healthy,
            count: 1
        }));
        assert!(all.contains(&Ended {
            protocol: "other",
            result: "not_asked",
            reason: Reason::ProbeLate,
            count: 1
        }));
    }

    /// 10,000 probes a second must not notice that they are counted.
    #[test]
    fn counting_an_outcome_takes_less_than_ten_microseconds() {
        let meters = Meters::default();
        let failure = Failure { reason: Reason::ConnectionRefused, message: String::new() };
        let (asked, outcome) = (Asked::of("http"), Outcome::Failed(failure));
        let started = std::time::Instant::now();
        for _ in 0..100_000 {
            meters.ended(asked, &outcome, Duration::from_millis(3));
            meters.late.observe(0.001);
        }
        let took = started.elapsed();
        assert!(took < Duration::from_secs(1), "100,000 took {took:?}");
        assert_eq!(meters.outcomes()[0].count, 100_000);
    }
}
