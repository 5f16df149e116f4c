//! What is measured of looks at endpoints (reconciles), in both modes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::metrics::Metrics;

/// One label.
type Label = [(&'static str, &'static str); 1];

/// The instruments; clones share them.
#[derive(Clone)]
pub struct Looks {
    took: Histogram,
    waited: Histogram,
    errors: Family<Label, Counter>,
    /// Looks that panicked (a bug).
    pub panics: Counter,
    writes: Family<Label, Counter>,
    depth: Gauge,
    oldest: Arc<Mutex<Option<Instant>>>,
}

impl Default for Looks {
    fn default() -> Looks {
        let writes = Family::<Label, Counter>::default();
        // There from the start, so that the first failure is an increase.
        for result in ["ok", "conflict", "error"] {
            let _ = writes.get_or_create(&[("result", result)]);
        }
        Looks {
            took: Histogram::new(super::SECONDS),
            waited: Histogram::new(super::SECONDS),
            errors: Family::default(),
            panics: Counter::default(),
            writes,
            depth: Gauge::default(),
            oldest: Arc::default(),
        }
    }
}

impl Looks {
    /// Shows them.
    pub fn show(&self, metrics: &Metrics) {
        let help = "Time of one look at an endpoint, calls included";
        metrics.show("reconcile_duration_seconds", &[], help, self.took.clone());
        let help = "Looks that failed and are tried again, by what failed";
        metrics.show("reconcile_errors", &["error"], help, self.errors.clone());
        metrics.show("reconcile_panics", &[], "Looks that panicked (a bug)", self.panics.clone());
        let help = "Statuses that were written, met a newer object, or could not be written";
        metrics.show("status_writes", &["result"], help, self.writes.clone());
        metrics.show("queue_depth", &[], "Endpoints that wait for a look", self.depth.clone());
        let help = "From when a look was wanted to when it began";
        metrics.show("queue_wait_seconds", &[], help, self.waited.clone());
        let oldest = Arc::clone(&self.oldest);
        metrics.gauge(
            "queue_oldest_seconds",
            "How long the oldest of those that wait has waited",
            move || {
                let oldest = *oldest.lock().unwrap_or_else(PoisonError::into_inner);
                Some(oldest.map_or(0.0, |since| since.elapsed().as_secs_f64()))
            },
        );
    }

    /// One look took so long.
    pub fn took(&self, took: Duration) {
        self.took.observe(took.as_secs_f64());
    }

    /// One look waited so long for its turn.
    pub fn waited(&self, waited: Duration) {
        self.waited.observe(waited.as_secs_f64());
    }

    /// A look failed; `error` is of a closed set.
    pub fn failed(&self, error: &'static str) {
        self.errors.get_or_create(&[("error", error)]).inc();
    }

    /// A status was written (`ok`), or not (`conflict`, `error`).
    pub fn wrote(&self, result: &'static str) {
        self.writes.get_or_create(&[("result", result)]).inc();
    }

    /// What waits now, and since when the oldest does.
    pub fn waiting(&self, count: usize, oldest: Option<Instant>) {
        self.depth.set(i64::try_from(count).unwrap_or(i64::MAX));
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
    }
}
