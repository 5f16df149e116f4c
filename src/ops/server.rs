//! Read-only HTTP servers: health and metrics, on a port of their own or beside what the caller adds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::calls::{self, Calls};
use super::health::Health;
use super::logs;
use super::metrics::{Form, Metrics};
use super::sockets;

/// For calls that run when the end begins: pages that follow changes never end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// Asks for what has to be asked for before it is shown.
pub type Refresh = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// What the server shows.
#[derive(Clone, Default)]
pub struct Shown {
    /// `/livez` and `/readyz`.
    pub health: Health,
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Called before each answer about readiness and metrics.
    pub refresh: Option<Refresh>,
}

impl Shown {
    async fn refresh(&self) {
        if let Some(refresh) = &self.refresh {
            refresh().await;
        }
    }
}

fn report((ok, text): (bool, String)) -> Response {
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

async fn livez(State(shown): State<Shown>) -> Response {
    report(shown.health.live())
}

async fn readyz(State(shown): State<Shown>) -> Response {
    shown.refresh().await;
    report(shown.health.ready())
}

async fn metrics(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let form = Form::of(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    shown.refresh().await;
    // Some are read while it is written: not on a thread that probes run on.
    let text = tokio::task::spawn_blocking(move || shown.metrics.render(form)).await;
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, form.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(shown: Shown) -> Router {
    let health = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
    health.with_state(shown.clone()).merge(metrics_router(shown))
}

/// What a port of its own serves: the same, and the level of the log.
pub fn operations(shown: Shown) -> Router {
    let level = get(log_level).put(change_log_level).layer(DefaultBodyLimit::max(1024));
    router(shown).route("/log-level", level)
}

async fn log_level() -> String {
    logs::level().unwrap_or_default() + "\n"
}

/// Only who is on this machine, or in this pod, may.
async fn change_log_level(ConnectInfo(peer): ConnectInfo<SocketAddr>, filter: String) -> Response {
    if !peer.ip().to_canonical().is_loopback() {
        let why = "the log level is changed from this machine only: kubectl port-forward\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    match logs::change(filter.trim()) {
        Ok(()) => log_level().await.into_response(),
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, why + "\n").into_response(),
    }
}

/// `/metrics` alone.
pub fn metrics_router(shown: Shown) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(shown)
}

/// Serves until `shutdown`, then ends open connections after a moment. With `calls` every call is counted there.
pub async fn serve(listener: TcpListener, routes: Router, calls: Option<Calls>, shutdown: CancellationToken) {
    let deadline = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(10));
    let mut router = routes.layer(deadline).layer(CatchPanicLayer::new());
    if let Some(calls) = calls {
        router = router.layer(axum::middleware::from_fn_with_state(calls, calls::count));
    }
    sockets::serve(listener, router, &shutdown, GRACE).await;
}
