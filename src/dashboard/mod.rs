//! What people and programs read on the orchestrator's port: pages under `/ui/`, JSON under
//! `/api/v1/`. Read-only; it shows what [`View`] holds and computes no health of its own. Whatever
//! else is down, an answer is a page that says so.
//!
//! Every link is relative to the page it stands on, so the pages work below any prefix that a proxy
//! adds. The server renders everything; the script only fetches the same page again and swaps parts.

mod activity;
mod api;
mod assets;
mod endpoint;
mod events;
mod fault;
mod frame;
mod guard;
mod help;
mod list;
mod list_form;
mod params;
mod parts;
mod record;
mod redact;
mod registry;
mod system;
mod text;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use prometheus_client::metrics::gauge::Gauge;
use tower_http::compression::CompressionLayer;

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
    /// How many follow the stream of changes.
    pub followers: Gauge<i64>,
}

/// How the pages are served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the pages live below the server's root, such as `/agents`; they are also served at `/`,
    /// for proxies that take the prefix away.
    pub base_path: String,
    /// The address that is listened on: it decides which `Host` values are believed.
    pub listen: IpAddr,
    /// Further names by which browsers reach this server: `name`, `.suffix`, or `*` for any.
    pub allowed_hosts: Vec<String>,
    /// Live updates.
    pub live: Live,
}

/// The times and bounds of live updates.
#[derive(Clone, Debug)]
pub struct Live {
    /// A stream says something at least this often.
    pub beat: Duration,
    /// A browser that heard nothing for this long says so in a banner.
    pub stale_after: Duration,
    /// How often a browser without a stream asks.
    pub poll: Duration,
    /// Streams at a time; one more is told to come again later.
    pub streams: usize,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            beat: Duration::from_secs(10),
            stale_after: Duration::from_secs(30),
            poll: Duration::from_secs(10),
            streams: 500,
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            base_path: "/".to_owned(),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            allowed_hosts: Vec::new(),
            live: Live::default(),
        }
    }
}

/// What handlers share.
#[derive(Clone)]
struct Site {
    shown: Shown,
    settings: Arc<Settings>,
    streams: Arc<tokio::sync::Semaphore>,
    counts: Arc<Mutex<Option<parts::Counts>>>,
}

/// Reads a base path: `/` or parts of plain characters.
///
/// # Errors
/// When it is not one, with what is allowed.
pub fn base_path(text: &str) -> Result<String, String> {
    let inner = text.trim_matches('/');
    let plain = |part: &str| {
        part.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
            && !["", ".", ".."].contains(&part)
    };
    let first = inner.split('/').next().unwrap_or_default();
    if ["ui", "api", "livez", "readyz", "metrics"].contains(&first) {
        return Err(format!("/{first} is taken by the server itself"));
    }
    if inner.is_empty() || inner.split('/').all(plain) {
        Ok(format!("/{inner}"))
    } else {
        Err(format!("`{text}` is not a path of letters, digits, '-', '.', '_' and '~', such as /agents"))
    }
}

/// The routes: `/`, `/ui/…` and `/api/v1/…`, at the root and below the base path.
pub fn router(shown: Shown, settings: Settings) -> Router {
    let base = base_path(&settings.base_path).unwrap_or_else(|_| "/".to_owned());
    let site = Site {
        shown,
        streams: Arc::new(tokio::sync::Semaphore::new(settings.live.streams)),
        counts: Arc::default(),
        settings: Arc::new(settings),
    };
    let routes = routes(&site);
    if base == "/" {
        return routes;
    }
    // Both, so that it does not matter whether the proxy in front takes the prefix away.
    Router::new().route(&format!("{base}/"), get(home)).nest(&base, routes.clone()).merge(routes)
}

fn routes(site: &Site) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/ui", get(home))
        .route("/ui/", get(list::page))
        .route("/ui/endpoints/{namespace}/{name}", get(endpoint::page))
        .route("/ui/activity", get(activity::page))
        .route("/ui/registry", get(registry::page))
        .route("/ui/system", get(system::page))
        .route("/ui/help", get(help::page))
        .route("/ui/events", get(events::stream))
        .route("/ui/assets/{name}", get(assets::serve))
        .route("/ui/{*rest}", get(fault::no_page))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/endpoints", get(api::endpoints))
        .route("/api/v1/endpoints/{namespace}/{name}", get(api::endpoint))
        .route("/api/v1/activity", get(api::activity))
        .route("/api/{*rest}", get(fault::no_page))
        .layer(middleware::from_fn_with_state(site.clone(), guard::check))
        .layer(middleware::from_fn_with_state(site.clone(), fault::dress))
        // A stream of events is left alone by the layer's own rule.
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(guard::headers))
        .with_state(site.clone())
}

/// A relative target: whatever a proxy put before the path stays there.
async fn home(uri: axum::extract::OriginalUri) -> Response {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let target = if last.is_empty() || last == "ui" { "ui/".to_owned() } else { format!("{last}/ui/") };
    Redirect::temporary(&target).into_response()
}

#[cfg(test)]
mod tests {
    use super::base_path;

    #[test]
    fn a_base_path_is_plain_and_not_one_of_the_servers_own() {
        for (text, path) in [("", "/"), ("/", "/"), ("/a", "/a"), ("a/b-c/", "/a/b-c")] {
            assert_eq!(base_path(text).as_deref(), Ok(path), "{text}");
        }
        for bad in ["/{x}", "/a//b", "/a/../b", "/a b", "/ui", "/api/v1", "/*x", "/metrics"] {
            assert!(base_path(bad).is_err(), "{bad}");
        }
    }
}
