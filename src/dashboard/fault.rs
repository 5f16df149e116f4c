//! What cannot be answered as asked: one page (or, below `/api`, one problem document) for all of it.

use std::panic::AssertUnwindSafe;

use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use maud::html;
use serde_json::json;

use super::frame::{self, Nav};
use super::{Site, text};
use crate::view::query::BadParameter;

/// Why a request has no other answer. It travels as an extension of the response until [`dress`]
/// knows in which form to say it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub status: StatusCode,
    /// One line.
    pub title: &'static str,
    /// What is the case.
    pub detail: String,
    /// What to do.
    pub hint: String,
    /// A header that belongs to it.
    pub header: Option<Box<(header::HeaderName, String)>>,
}

impl Fault {
    pub fn new(
        status: StatusCode,
        title: &'static str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Fault {
        Fault { status, title, detail: detail.into(), hint: hint.into(), header: None }
    }

    pub fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Fault {
        self.header = Some(Box::new((name, value.into())));
        self
    }
}

impl From<BadParameter> for Fault {
    fn from(error: BadParameter) -> Fault {
        let detail = format!("{}={}", error.parameter, error.given);
        Fault::new(StatusCode::BAD_REQUEST, "This address cannot be used", detail, error.problem)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Nothing is served here.
pub async fn no_page(OriginalUri(uri): OriginalUri) -> Fault {
    let path = text::safe(uri.path(), text::SHORT);
    Fault::new(StatusCode::NOT_FOUND, "There is no such page", path, "Start from the list of endpoints.")
}

/// Gives faults their form, and a page of our own to a panic.
pub async fn dress(State(site): State<Site>, request: Request, next: Next) -> Response {
    let path =
        request.extensions().get::<OriginalUri>().map_or(request.uri().path(), |uri| uri.path()).to_owned();
    let response = if let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await {
        response
    } else {
        // The panic itself is in the log; the id finds it there.
        let id = uuid::Uuid::new_v4().simple().to_string();
        tracing::error!(request_id = %id, path = %path, "a page could not be made");
        Fault::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "This page could not be made",
            format!("A bug. The orchestrator goes on. Request id: {id}"),
            "Load the page again. The log has the cause under the request id.",
        )
        .into_response()
    };
    let plain = (response.status().is_client_error() || response.status().is_server_error())
        && !response.headers().contains_key(header::CONTENT_TYPE);
    let fault = match response.extensions().get::<Fault>() {
        Some(fault) => fault.clone(),
        None if plain => Fault::new(response.status(), "This cannot be answered", path.clone(), ""),
        None => return response,
    };
    let mut dressed = form(&site, &path, &fault);
    let headers: &mut HeaderMap = dressed.headers_mut();
    for (name, value) in response.headers() {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            headers.insert(name, value.clone());
        }
    }
    if let Some((name, value)) = fault.header.as_deref()
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
    dressed
}

/// What is the case and what to do, each with its full stop.
fn sentences(detail: &str, hint: &str) -> String {
    let closed =
        |text: &str| if text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") };
    if hint.is_empty() { closed(detail) } else { format!("{} {}", closed(detail), closed(hint)) }
}

fn form(site: &Site, path: &str, fault: &Fault) -> Response {
    let below = |part: &str| path.split_once(part).map(|(_, rest)| rest);
    if below("/ui").is_none() && path.contains("/api") {
        let body = json!({
            "title": fault.title, "status": fault.status.as_u16(), "detail": sentences(&fault.detail, &fault.hint),
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        return (fault.status, kind, body.to_string()).into_response();
    }
    // As many steps up as lead from here to `/ui/`.
    let up = match below("/ui/") {
        Some(rest) => "../".repeat(rest.matches('/').count()),
        None => "ui/".to_owned(),
    };
    let main = html! {
        h1 { (fault.title) }
        p.detail { (text::long(&fault.detail)) }
        @if !fault.hint.is_empty() { p { strong { "What to do: " } (text::marked(&fault.hint)) } }
        p { a href={ (up) "./" } { "All endpoints" } }
    };
    let title = format!("{}: {}", fault.status.as_u16(), fault.title);
    frame::bare(site, &up, Nav::None, &title, &main, fault.status)
}
