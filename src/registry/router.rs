//! All routes in one place, and the layers around them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use super::access::{self, Access};
use super::meters::{self, Meters};
use super::problem::Problem;
use super::store::Store;
use super::{v1, wire};
use crate::ops::calls;

/// For a whole call, the wait for a turn and the body included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls at a time; more wait for their turn within [`CALL_TIMEOUT`].
const CALLS: usize = 512;

/// All routes; `beside` are served with them, to whoever may call.
pub(super) fn router(store: Store, access: Access, meters: &Meters, beside: Router) -> Router {
    Router::new()
        .route(
            "/agents/register",
            post(wire::agents::register)
                .get(wire::agents::get_named_register)
                .delete(wire::agents::delete_named_register),
        )
        .route("/agents/{id}/heartbeat", post(wire::agents::heartbeat))
        .route("/agents", get(wire::agents::list))
        .route("/agents/{id}", get(wire::agents::get).delete(wire::agents::delete))
        .route("/orchestrator/register", post(wire::orchestrators::register))
        .route("/orchestrator/{id}/heartbeat", post(wire::orchestrators::heartbeat))
        .route("/orchestrators", get(wire::orchestrators::list))
        .route("/orchestrators/{id}", get(wire::orchestrators::get).delete(wire::orchestrators::delete))
        .route("/health", get(wire::health))
        .route("/v1/scopes/{scope}/agents", get(v1::reads::list))
        .route("/v1/scopes/{scope}/agents/{id}", get(v1::reads::get))
        .route("/v1/scopes/{scope}/cleanup", post(v1::cleanup::cleanup))
        .route("/v1/scopes/{scope}/sources/{source}/batch", post(v1::writes::batch))
        .route("/v1/scopes/{scope}/sources/{source}/renewal", post(v1::writes::renewal))
        .route("/v1/scopes/{scope}/sources/{source}/snapshot", post(v1::writes::snapshot))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .with_state(store)
        .merge(beside)
        .layer(from_fn_with_state(access, access::check))
        .layer(from_fn_with_state(Arc::new(Semaphore::new(CALLS)), bound))
        .layer(from_fn(harden))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            tracing::error!("a handler panicked");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the registry failed to answer; the cause is in its log",
            )
            .into_response()
        }))
        .layer(from_fn_with_state(meters.clone(), meters::count))
        .layer(from_fn_with_state(meters.calls.clone(), calls::count))
}

/// Ready means: the store answers. Alive does not ask it, a restart would not mend the disk.
async fn readyz(State(store): State<Store>) -> Response {
    match store.ping().await {
        Ok(()) => "ok".into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn bound(State(calls): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(CALL_TIMEOUT, async {
        // The semaphore is never closed; a permit is all that can come.
        let _turn = calls.acquire().await.ok();
        next.run(request).await
    });
    answered
        .await
        .unwrap_or_else(|_| Problem::unavailable("the call took longer than 10 seconds").into_response())
}

/// What a browser needs to be told about data of strangers.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn no_such_route(request: Request) -> Response {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() < path.len() && is_route(trimmed) {
        let target = match request.uri().query() {
            Some(query) => format!("{trimmed}?{query}"),
            None => trimmed.to_owned(),
        };
        if let Ok(location) = HeaderValue::try_from(target) {
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
        }
    }
    if is_v1(path) {
        return Problem::new(StatusCode::NOT_FOUND, format!("there is no {path}")).into_response();
    }
    (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))).into_response()
}

async fn no_such_method(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let status = StatusCode::METHOD_NOT_ALLOWED;
    if is_v1(path) {
        return Problem::new(status, format!("{path} does not know {method}")).into_response();
    }
    (status, Json(json!({ "detail": "Method Not Allowed" }))).into_response()
}

fn is_v1(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// The original redirects a trailing slash only where there is something without it.
fn is_route(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    !parts.contains(&"")
        && matches!(
            parts.as_slice(),
            ["agents" | "orchestrators" | "health" | "livez" | "readyz" | "metrics"]
                | ["agents" | "orchestrators", _]
                | ["agents" | "orchestrator", _, "heartbeat"]
                | ["orchestrator", "register"]
                | ["v1", "scopes", _, "agents" | "cleanup"]
                | ["v1", "scopes", _, "agents", _]
        )
}
