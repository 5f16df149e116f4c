//! What the mirror counts for `/metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::domain::record::{ItemOutcome, ItemResult};

/// Calls to the registry.
pub const OPERATIONS: [&str; 4] = ["beat", "renewal", "batch", "snapshot"];

/// Labels of a call: `op` and `result`.
pub type Call = [(&'static str, &'static str); 2];
/// Label of an item's answer.
pub type Outcome = [(&'static str, &'static str); 1];

/// Bounds in seconds: from a change to the registry's answer.
const LAG: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// The instruments.
pub struct Meters {
    /// Calls, by operation and whether they were answered as they should be.
    pub calls: Family<Call, Counter>,
    /// What the registry said of each item.
    pub items: Family<Outcome, Counter>,
    /// From when something was to be said to when the registry had taken it.
    pub lag: Histogram,
}

impl Default for Meters {
    fn default() -> Meters {
        let calls = Family::<Call, Counter>::default();
        // There from the start, so that the first failure is an increase.
        for op in OPERATIONS {
            for result in ["ok", "error"] {
                let _ = calls.get_or_create(&[("op", op), ("result", result)]);
            }
        }
        Meters { calls, items: Family::default(), lag: Histogram::new(LAG) }
    }
}

impl Meters {
    /// Counts a call by its answer, and hands that on.
    pub(super) fn called<T, E>(&self, op: &'static str, answer: Result<T, E>) -> Result<T, E> {
        let result = if answer.is_ok() { "ok" } else { "error" };
        self.calls.get_or_create(&[("op", op), ("result", result)]).inc();
        answer
    }

    pub(super) fn answered(&self, results: &[ItemResult]) {
        for result in results {
            let outcome = match result.outcome {
                ItemOutcome::Applied => "applied",
                ItemOutcome::Unchanged => "unchanged",
                ItemOutcome::Rejected => "rejected",
                ItemOutcome::OwnedByAnother => "owned_by_another",
                ItemOutcome::Withdrawn => "withdrawn",
                ItemOutcome::NotFound => "not_found",
            };
            self.items.get_or_create(&[("outcome", outcome)]).inc();
        }
    }
}
