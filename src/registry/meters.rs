//! What the registry counts for `/metrics`, and how it shows how it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::time::Instant;

use super::problem::StoreFailed;
use super::store::{States, Store};
use crate::ops::calls::Calls;
use crate::ops::health::{Check, Health};
use crate::ops::metrics::Metrics;
use crate::ops::server::Shown;

/// One label.
type Label = [(&'static str, &'static str); 1];

/// A scrape or a probe waits no longer for the store.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the store said is told again for so long.
const FRESH: Duration = Duration::from_secs(1);

/// The instruments; clones share them.
#[derive(Clone)]
pub(super) struct Meters {
    pub calls: Calls,
    heartbeats: Family<Label, Counter>,
    writes: Family<Label, Counter>,
    /// The last write's result.
    failed: Arc<Mutex<Option<String>>>,
    states: Arc<Mutex<Option<States>>>,
    /// When the store was last asked; held while it is.
    asked: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

impl Default for Meters {
    fn default() -> Meters {
        let (heartbeats, writes) = (Family::<Label, Counter>::default(), Family::<Label, Counter>::default());
        // There from the start, so that the first failure is an increase.
        for result in ["ok", "unknown_agent", "error"] {
            let _ = heartbeats.get_or_create(&[("result", result)]);
        }
        for result in ["ok", "error"] {
            let _ = writes.get_or_create(&[("result", result)]);
        }
        Meters {
            calls: Calls::default(),
            heartbeats,
            writes,
            failed: Arc::default(),
            states: Arc::default(),
            asked: Arc::default(),
        }
    }
}

impl Meters {
    pub fn show(&self, metrics: &Metrics) {
        self.calls.show(metrics);
        let help = "Agents' own heartbeats; unknown_agent: it has to register again";
        metrics.show("registry_heartbeats", &["result"], help, self.heartbeats.clone());
        let help = "Calls that write, and the registry's own note every 10 s that it runs, by whether the store took them";
        metrics.show("registry_store_writes", &["result"], help, self.writes.clone());
        let states = Arc::clone(&self.states);
        let help =
            "Contributions of agents themselves and of orchestrators; absent while the store does not answer";
        metrics.gauges("registry_agents", &["state", "source"], help, move || {
            let states = states.lock().unwrap_or_else(PoisonError::into_inner);
            let row = |state, source, count| ([("state", state), ("source", source)], f64::from(count));
            states
                .iter()
                .flat_map(|states| {
                    [
                        row("alive", "agent", states.own.alive),
                        row("expired", "agent", states.own.expired),
                        row("alive", "orchestrator", states.said.alive),
                        row("expired", "orchestrator", states.said.expired),
                    ]
                })
                .collect()
        });
    }

    /// The store took a write, or why not.
    pub fn wrote(&self, failure: Option<String>) {
        let result = if failure.is_none() { "ok" } else { "error" };
        self.writes.get_or_create(&[("result", result)]).inc();
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// What the port for operations shows: the store is asked whenever somebody looks.
    pub fn shown(&self, store: Store) -> Shown {
        let (health, metrics) = (Health::default(), Arc::new(Metrics::default()));
        health.set("started", Check::Ok);
        self.show(&metrics);
        metrics.checks(&health);
        let (meters, checks) = (self.clone(), health.clone());
        let refresh = Arc::new(move || {
            let (meters, checks, store) = (meters.clone(), checks.clone(), store.clone());
            async move { meters.ask(&store, &checks).await }.boxed()
        });
        Shown { health, metrics, refresh: Some(refresh) }
    }

    /// Whoever looks often is told what was seen lately: the store's readers are few.
    async fn ask(&self, store: &Store, checks: &Health) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return;
        }
        let states = tokio::time::timeout(PATIENCE, store.states()).await;
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let check = match (&states, failed) {
            (Ok(Ok(_)), None) => Check::Ok,
            (Ok(Ok(_)), Some(why)) => Check::NotReady(why),
            (Ok(Err(error)), _) => Check::NotReady(error.to_string()),
            (Err(_), _) => Check::NotReady(format!("the database did not answer within {PATIENCE:?}")),
        };
        checks.set("store", check);
        *self.states.lock().unwrap_or_else(PoisonError::into_inner) = states.ok().and_then(Result::ok);
        *asked = Some(Instant::now());
    }
}

/// The layer that counts what callers got.
pub(super) async fn count(State(meters): State<Meters>, request: Request, next: Next) -> Response {
    let writes = matches!(*request.method(), Method::POST | Method::DELETE);
    let path = request.extensions().get::<MatchedPath>().cloned();
    let beat = path.as_ref().is_some_and(|path| path.as_str() == "/agents/{id}/heartbeat");
    let response = next.run(request).await;
    let status = response.status();
    if beat {
        let result = match status.as_u16() {
            200 => "ok",
            404 => "unknown_agent",
            _ => "error",
        };
        meters.heartbeats.get_or_create(&[("result", result)]).inc();
    }
    if writes && status.is_success() {
        meters.wrote(None);
    } else if writes && response.extensions().get::<StoreFailed>().is_some() {
        // Not every 5xx: a caller that does not send its body gets one, too.
        meters.wrote(Some(format!("the last write was answered with {}", status.as_u16())));
    }
    response
}
