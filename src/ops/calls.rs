//! Counts the HTTP calls that a server answers, by route template: a path of a stranger is no label.

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::metrics::Metrics;

type Route = [(&'static str, String); 1];
type Call = (Route, ([(&'static str, &'static str); 1], [(&'static str, u16); 1]));

/// What was answered; clones share it.
#[derive(Clone)]
pub struct Calls {
    answered: Family<Call, Counter>,
    took: Family<Route, Histogram, fn() -> Histogram>,
}

impl Default for Calls {
    fn default() -> Calls {
        let histogram: fn() -> Histogram = || Histogram::new(super::SECONDS);
        Calls { answered: Family::default(), took: Family::new_with_constructor(histogram) }
    }
}

impl Calls {
    /// Shows them.
    pub fn show(&self, metrics: &Metrics) {
        let help = "HTTP calls that were answered";
        metrics.show("http_requests", &["route", "method", "code"], help, self.answered.clone());
        let help = "From the head of a call to the head of its answer";
        metrics.show("http_request_duration_seconds", &["route"], help, self.took.clone());
    }
}

/// The layer.
pub async fn count(State(calls): State<Calls>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let route: Route = [("route", path.to_owned())];
    let method = method(request.method());
    let response = next.run(request).await;
    calls.took.get_or_create(&route).observe(started.elapsed().as_secs_f64());
    let call = (route, ([("method", method)], [("code", response.status().as_u16())]));
    calls.answered.get_or_create(&call).inc();
    response
}

/// A closed set: a stranger may send any word.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
