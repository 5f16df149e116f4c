//! What cluster mode counts for `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::time::Instant;
use tower::Service;

use crate::ops::looks::Looks;
use crate::ops::metrics::Metrics;

/// One label.
type Label = [(&'static str, &'static str); 1];
/// `verb`, and the HTTP status or what came instead.
type Call = ([(&'static str, &'static str); 1], [(&'static str, String); 1]);

/// The instruments; clones share them.
#[derive(Clone, Default)]
pub struct Meters {
    /// Looks at endpoints.
    pub looks: Looks,
    /// Events that found no room.
    pub events_dropped: Counter,
    /// Tries to renew the Lease, by result.
    pub renewals: Family<Label, Counter>,
    /// Watches by name (the name of their readiness check): since when one has only errors.
    watches: Arc<Mutex<std::collections::BTreeMap<String, Option<Instant>>>>,
    watch_errors: Family<[(&'static str, String); 1], Counter>,
}

impl Meters {
    /// Shows them, and the calls to the API server.
    pub fn show(&self, metrics: &Metrics, calls: &ApiCalls) {
        self.looks.show(metrics);
        let help = "Events that found no room in the queue";
        metrics.show("events_dropped", &[], help, self.events_dropped.clone());
        let help = "Tries to renew the Lease: ok, lost, error";
        metrics.show("lease_renewals", &["result"], help, self.renewals.clone());
        let help = "Errors of a watch of the API server";
        metrics.show("watch_errors", &["watch"], help, self.watch_errors.clone());
        let watches = Arc::clone(&self.watches);
        let help = "For how long a watch has had only errors; 0: it works";
        metrics.gauges("watch_failing_seconds", &["watch"], help, move || {
            let watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
            let age = |since: &Option<Instant>| since.map_or(0.0, |since| since.elapsed().as_secs_f64());
            watches.iter().map(|(name, since)| ([("watch", name.clone())], age(since))).collect()
        });
        let help = "Calls to the API server by HTTP status; aborted: given up before an answer came";
        metrics.show("api_requests", &["verb", "code"], help, calls.0.clone());
    }

    /// A watch works.
    pub fn watch_works(&self, name: &str) {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), None);
    }

    /// A watch met an error, and has had nothing else since `since`.
    pub fn watch_fails(&self, name: &str, since: Instant) {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Some(since));
        self.watch_errors.get_or_create(&[("watch", name.to_owned())]).inc();
    }
}

/// Calls to the API server, counted where they leave the client; clones share the counts.
#[derive(Clone, Default)]
pub struct ApiCalls(Family<Call, Counter>);

impl ApiCalls {
    /// The layer around a client's service.
    pub(super) fn around<S>(&self, inner: S) -> Counted<S> {
        Counted { inner, calls: self.clone() }
    }
}

/// Counts the calls of `S`.
pub struct Counted<S> {
    inner: S,
    calls: ApiCalls,
}

/// Counts the call when it is dropped, whether an answer came or not.
struct Pending {
    calls: ApiCalls,
    verb: &'static str,
    code: String,
}

impl Drop for Pending {
    fn drop(&mut self) {
        let call = ([("verb", self.verb)], [("code", std::mem::take(&mut self.code))]);
        self.calls.0.get_or_create(&call).inc();
    }
}

impl<S, B, A: 'static> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<A>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<A>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let verb = verb(request.method(), request.uri().query().unwrap_or_default());
        let mut pending = Pending { calls: self.calls.clone(), verb, code: "aborted".to_owned() };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            pending.code =
                answer.as_ref().map_or_else(|_| "error".to_owned(), |a| a.status().as_str().to_owned());
            drop(pending);
            answer
        })
    }
}

fn verb(method: &Method, query: &str) -> &'static str {
    match *method {
        Method::GET if query.split('&').any(|part| part == "watch=true") => "watch",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::{ServiceExt as _, service_fn};

    fn count(calls: &ApiCalls, verb: &'static str, code: &str) -> u64 {
        calls.0.get_or_create(&([("verb", verb)], [("code", code.to_owned())])).get()
    }

    #[tokio::test]
    async fn calls_are_counted_by_what_came_back_and_given_up_ones_too() {
        let calls = ApiCalls::default();
        let mut service = calls.around(service_fn(async |request: Request<&str>| match *request.body() {
            "hang" => std::future::pending().await,
            "fail" => Err("reset"),
            _ => Ok(Response::builder().status(403).body(()).unwrap()),
        }));
        let get = |uri: &str, body| Request::builder().uri(uri.to_owned()).body(body).unwrap();
        let forbidden = service.ready().await.unwrap().call(get("/x?limit=1&watch=true", "")).await;
        assert_eq!(forbidden.unwrap().status(), 403);
        assert!(service.ready().await.unwrap().call(get("/x", "fail")).await.is_err());
        drop(service.ready().await.unwrap().call(get("/x", "hang")));
        assert_eq!(count(&calls, "watch", "403"), 1);
        assert_eq!(count(&calls, "get", "error"), 1);
        assert_eq!(count(&calls, "get", "aborted"), 1);
    }
}
