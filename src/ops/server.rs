//! The read-only HTTP server of the orchestrator: health, metrics, and what the caller adds.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::health::Health;
use super::metrics::Metrics;

/// What the server shows.
#[derive(Clone)]
pub struct Shown {
    /// `/livez` and `/readyz`.
    pub health: Health,
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
}

fn report((ok, text): (bool, String)) -> Response {
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

async fn livez(State(shown): State<Shown>) -> Response {
    report(shown.health.live())
}

async fn readyz(State(shown): State<Shown>) -> Response {
    report(shown.health.ready())
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shown.metrics.render()).into_response()
}

/// Serves until `shutdown`, then ends open connections after a moment.
pub async fn serve(listener: TcpListener, shown: Shown, more: Router, shutdown: CancellationToken) {
    let deadline = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(10));
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shown)
        .merge(more)
        .layer(deadline)
        .layer(CatchPanicLayer::new());
    let stopping = shutdown.clone();
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.cancelled().await })
        .into_future();
    tokio::select! {
        result = served => {
            if let Err(error) = result {
                tracing::error!(error = %error, "the HTTP server ended");
            }
        }
        () = async {
            shutdown.cancelled().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        } => {}
    }
}
