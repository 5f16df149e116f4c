//! What people and programs read on the orchestrator's port: pages under `/ui/`, JSON under
//! `/api/v1/`. Read-only; it shows what [`View`] holds and computes no health of its own. Whatever
//! else is down, an answer is a page that says so.

mod api;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::view::{Records, System, View};

/// Everything that is shown; clones share it.
#[derive(Clone)]
pub struct Shown {
    /// The endpoints.
    pub view: View,
    /// The monitor itself, read at each call.
    pub system: Arc<dyn Fn() -> System + Send + Sync>,
    /// The registry's records.
    pub records: Records,
}

/// The routes.
pub fn router(shown: Shown) -> Router {
    Router::new()
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/endpoints", get(api::endpoints))
        .route("/api/v1/endpoints/{namespace}/{name}", get(api::endpoint))
        .route("/api/v1/activity", get(api::activity))
        .with_state(shown)
}
