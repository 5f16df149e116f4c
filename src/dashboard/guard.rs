//! Who may ask, and what every answer carries.
//!
//! A page on another origin must not read this server through a visitor's browser. DNS rebinding
//! needs a *name* that the attacker controls, so the rule for `Host` is: an IP address is believed,
//! `localhost` and `*.localhost` are; on an address that others reach also a name without a dot and
//! `*.svc` / `*.svc.cluster.local` (nobody can register those); every other name has to be allowed.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::fault::Fault;
use super::{Settings, Site};

/// The longest query that is read, in bytes.
const MAX_QUERY: usize = 4096;

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; base-uri 'self'; frame-ancestors 'none'";

/// Refuses what no reader of our own would send.
pub async fn check(State(site): State<Site>, request: Request, next: Next) -> Response {
    match refusal(&site.settings, &request) {
        Some(fault) => fault.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(settings: &Settings, request: &Request) -> Option<Fault> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host =
        named.or(request.uri().authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default();
    if !believed(settings, host) {
        let hint = "Use an IP address or localhost, or start the orchestrator with `--allowed-hosts NAME`.";
        let detail = format!("This server does not go by the name “{host}”.");
        return Some(Fault::new(
            StatusCode::MISDIRECTED_REQUEST,
            "Not the name of this server",
            detail,
            hint,
        ));
    }
    if foreign(settings, request.headers(), host) {
        let detail = "The request comes from a page of another origin.";
        let hint = "Open this address directly.";
        return Some(Fault::new(StatusCode::FORBIDDEN, "Not for other sites", detail, hint));
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let hint = "Change the objects where they are declared.";
        let fault =
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "Read-only", "Only GET and HEAD are answered.", hint);
        return Some(fault.with(header::ALLOW, "GET, HEAD"));
    }
    if request.uri().query().is_some_and(|query| query.len() > MAX_QUERY) {
        let detail = format!("The query is longer than {MAX_QUERY} bytes.");
        return Some(Fault::new(
            StatusCode::URI_TOO_LONG,
            "This address is too long",
            detail,
            "Ask for less.",
        ));
    }
    None
}

/// Host without port and brackets.
fn name_of(authority: &str) -> &str {
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split(']').next());
    match bracketed {
        Some(address) => address,
        // A bare IPv6 address is not a valid Host, but believing it harms nobody.
        None if authority.parse::<Ipv6Addr>().is_ok() => authority,
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    }
}

fn believed(settings: &Settings, host: &str) -> bool {
    let name = name_of(host).trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() {
        return false;
    }
    let listed = settings.allowed_hosts.iter().map(|allowed| allowed.to_ascii_lowercase()).any(|allowed| {
        allowed == "*" || allowed == name || (allowed.starts_with('.') && name.ends_with(&allowed))
    });
    let local = name == "localhost" || name.ends_with(".localhost");
    let service = !settings.listen.is_loopback()
        && (!name.contains('.') || name.trim_end_matches(".cluster.local").rsplit('.').next() == Some("svc"));
    listed || local || service || name.parse::<IpAddr>().is_ok()
}

/// Does another site's page ask? Following a link from there to here is fine.
fn foreign(settings: &Settings, headers: &HeaderMap, host: &str) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = headers.get(header::ORIGIN) {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
        let listed = |name: &str| {
            settings.allowed_hosts.iter().any(|allowed| allowed != "*" && allowed.eq_ignore_ascii_case(name))
        };
        // A TLS proxy in front changes the scheme and may change the port, not the name.
        return authority.is_none_or(|origin| !origin.eq_ignore_ascii_case(host) && !listed(name_of(origin)));
    }
    let elsewhere = matches!(value("sec-fetch-site"), Some("cross-site" | "same-site"));
    elsewhere && !(value("sec-fetch-mode") == Some("navigate") && value("sec-fetch-dest") == Some("document"))
}

/// The headers of every answer.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    // The script keeps the page that it has and asks with its ETag; caches keep nothing.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn addresses_and_names_that_nobody_can_register_are_believed() {
        let local = Settings::default();
        let cluster = Settings { listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..Settings::default() };
        let named = Settings {
            allowed_hosts: vec!["Agents.example".into(), ".in.example".into()],
            ..Settings::default()
        };
        for (settings, host, expected) in [
            (&local, "127.0.0.1:9000", true),
            (&local, "localhost", true),
            (&local, "LOCALHOST.:9000", true),
            (&local, "ui.localhost:9000", true),
            (&local, "[::1]:9000", true),
            (&local, "10.1.2.3:9000", true),
            (&local, "evil.example:9000", false),
            (&local, "orchestrator:9000", false),
            (&local, "127.0.0.1.evil.example", false),
            (&local, "localhost.evil.example", false),
            (&local, "", false),
            (&cluster, "orchestrator:9000", true),
            (&cluster, "orchestrator.agents.svc", true),
            (&cluster, "orchestrator.agents.svc.cluster.local:9000", true),
            (&cluster, "orchestrator.agents.svc.evil.example", false),
            (&cluster, "orchestrator.agents", false),
            (&cluster, "10.1.2.3", true),
            (&named, "agents.EXAMPLE", true),
            (&named, "a.in.example:1", true),
            (&named, "in.example", false),
            (&named, "other.example", false),
        ] {
            assert_eq!(believed(settings, host), expected, "{host}");
        }
    }
}
