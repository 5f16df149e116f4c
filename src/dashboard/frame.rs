//! What stands around every page: head, navigation, banners, footer; and the page's `ETag`.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest as _, Sha256};

use super::{Site, assets, parts, text};
use crate::domain::StatusWord;
use crate::view::System;
use crate::view::system::{Mode, Role};

/// Which entry of the navigation is lit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nav {
    List,
    Activity,
    Registry,
    System,
    Help,
    None,
}

const NAV: [(Nav, &str, &str); 5] = [
    (Nav::List, "./", "Endpoints"),
    (Nav::Activity, "activity", "Activity"),
    (Nav::Registry, "registry", "Registry"),
    (Nav::System, "system", "System"),
    (Nav::Help, "help", "Help"),
];

/// A page under way.
pub struct Frame<'a> {
    pub site: &'a Site,
    /// The monitor as of this request; its `now` is the page's.
    pub system: System,
    /// From here to `/ui/`.
    pub up: &'static str,
    pub nav: Nav,
}

impl<'a> Frame<'a> {
    pub fn new(site: &'a Site, up: &'static str, nav: Nav) -> Frame<'a> {
        Frame { site, system: (site.shown.system)(), up, nav }
    }

    pub fn now(&self) -> Timestamp {
        self.system.now
    }

    /// The whole page, or 304 when the reader has it already. Ages do not count: the script keeps them.
    pub fn page(&self, title: &str, main: &Markup, asked: &HeaderMap) -> Response {
        let version = self.site.shown.view.version();
        let failing = self.site.counts().get(&StatusWord::Failing).copied().unwrap_or_default();
        let title = if failing > 0 { format!("({failing} failing) {title}") } else { title.to_owned() };
        let body = document(
            self.site,
            self.up,
            self.nav,
            &title,
            &self.banners(),
            main,
            Some(&self.footer()),
            version,
        );
        let tag = etag(&body);
        let held = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let known = held.is_some_and(|held| held.split(',').any(|one| one.trim() == tag));
        let mut response =
            if known { StatusCode::NOT_MODIFIED.into_response() } else { Html(body).into_response() };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    fn banners(&self) -> Markup {
        let system = &self.system;
        html! {
            @for (name, problem) in system.checks.iter().filter(|(_, problem)| !problem.is_empty()) {
                div.banner.warn { strong { (text::short(name)) ": " } (parts::problem(problem)) }
            }
            @if let Some(failure) = &system.mass_failure {
                @let (what, then) = failure.sentences(|at| at.strftime("%H:%M:%S UTC").to_string());
                div.banner.warn { strong { (text::short(&what)) } " " (text::long(&then)) }
            }
            @if let Some(since) = self.site.stuck_since(system) {
                div.banner.warn {
                    strong { "No probe has finished since " (text::full(since, system.now)) "." }
                    " The orchestrator runs, but statuses may be old."
                }
            }
            @if let Some(registry) = system.registry.as_ref().filter(|registry| registry.reachable == Some(false)) {
                div.banner.note {
                    strong { "The registry " (text::short(&registry.url)) " is not reachable" }
                    @if let Some(since) = registry.away_since { " since " (text::full(since, system.now)) }
                    ". Agents keep their status; " (text::number(registry.pending))
                    @if registry.pending == 1 { " change waits" } @else { " changes wait" } " to be sent."
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        let system = &self.system;
        html! {
            p {
                @match system.mode { Mode::Kubernetes => "In a cluster", Mode::Standalone => "Standalone" }
                " · "
                @match system.role {
                    Role::Active => "this replica is active",
                    Role::Standby => {
                        "this replica waits"
                        @if let Some(leader) = &system.leader { " (active: " (text::short(leader)) ")" }
                        ": it shows the status from the API server, and knows nothing of probes"
                    }
                }
                " · configurable-agents " (text::short(&system.version))
                @if let Some(last) = system.probes.last_finished_at { " · last probe " (text::ago(last, system.now)) }
            }
            p { "Shown as of " time #now { (system.now.round(jiff::Unit::Second).unwrap_or(system.now)) } }
        }
    }
}

impl Site {
    /// Since when no probe has ended although some are due. Slow endpoints have slow probes: the bound
    /// is the shortest period that is in force, and some.
    pub(super) fn stuck_since(&self, system: &System) -> Option<Timestamp> {
        let last = system
            .probes
            .last_finished_at
            .filter(|_| system.role == Role::Active && system.probes.targets > 0)?;
        let set = |name: &str| {
            system.configuration.iter().find(|s| s.name == name).and_then(|s| s.value.parse::<i32>().ok())
        };
        let default = set("default-period-seconds").unwrap_or(10);
        let patience = |period: i32| SignedDuration::from_secs(i64::from(period) + 30);
        // Mostly nothing is late, and then no row is looked at.
        if system.now.duration_since(last) <= patience(1) {
            return None;
        }
        let rows = self.shown.view.rows();
        let periods = rows.values().filter_map(|row| row.object()).filter(|object| !object.spec.suspend);
        let shortest =
            periods.map(|o| o.spec.probe.as_ref().and_then(|p| p.period_seconds).unwrap_or(default)).min()?;
        (system.now.duration_since(last) > patience(shortest)).then_some(last)
    }
}

/// The page's content without what follows from the time alone.
fn etag(body: &str) -> String {
    let mut hash = Sha256::new();
    for (at, part) in body.split("<time").enumerate() {
        match part.split_once("</time>") {
            Some((time, rest)) if at > 0 => {
                hash.update(time.split('>').next().unwrap_or_default());
                hash.update(rest);
            }
            _ => hash.update(part),
        }
    }
    let hex = assets::hex(&hash.finalize()[..12]);
    format!("W/\"{hex}\"")
}

/// A page that asks nothing of the monitor: for faults.
pub fn bare(site: &Site, up: &str, nav: Nav, title: &str, main: &Markup, status: StatusCode) -> Response {
    (status, Html(document(site, up, nav, title, &html! {}, main, None, 0))).into_response()
}

#[allow(clippy::too_many_arguments, reason = "one call for each kind of page")]
fn document(
    site: &Site,
    up: &str,
    nav: Nav,
    title: &str,
    banners: &Markup,
    main: &Markup,
    footer: Option<&Markup>,
    version: u64,
) -> String {
    let live = &site.settings.live;
    let lives = footer.is_some();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (text::safe(title, text::SHORT)) " · configurable-agents" }
                link rel="stylesheet" href={ (up) "assets/" (assets::STYLE.name) };
                link rel="icon" href={ (up) "assets/" (assets::ICON.name) };
                @if lives { script defer src={ (up) "assets/" (assets::SCRIPT.name) } {} }
            }
            body data-up=(up) data-v=(version) data-build=(*assets::BUILD)
                data-stale=(live.stale_after.as_millis()) data-poll=(live.poll.as_millis()) {
                a.skip href="#main" { "Skip to content" }
                (parts::sprite())
                header {
                    a.brand href={ (up) "./" } { "configurable-agents" }
                    nav aria-label="Main" {
                        ul {
                            @for (entry, path, name) in NAV {
                                li { a href={ (up) (path) } aria-current=[(entry == nav).then_some("page")] { (name) } }
                            }
                        }
                    }
                    @if lives {
                        div.live { span #live { "Not live" } button #pause type="button" hidden aria-pressed="false" { "Pause updates" } }
                    }
                }
                p #say .away role="status" {}
                main #main tabindex="-1" {
                    @if lives {
                        div #stale .banner.warn hidden { strong { "Not updating since " span #since {} "." } " The statuses below are the last that were known." }
                        div #newer .banner.note hidden { "A new version is running. " button type="button" #reload { "Reload" } }
                        div #banners data-part { (banners) }
                    }
                    (main)
                }
                footer #foot data-part { @if let Some(footer) = footer { (footer) } }
            }
        }
    }
    .into_string()
}
