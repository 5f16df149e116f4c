//! `/ui/system`: is the monitor itself well?

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{Frame, Nav};
use super::text::{SHORT, ago, full, long, number, safe, short};
use super::{Site, params, parts};
use crate::view::system::{Mode, Role};

pub async fn page(
    State(site): State<Site>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    params::none(raw.as_deref())?;
    let frame = Frame::new(&site, "", Nav::System);
    let main = html! {
        h1 { "System" }
        div.columns {
            div {
                section #monitor data-part { h2 { "This process" } (process(&frame)) }
                section #checks data-part { h2 { "Checks" } (checks(&frame)) }
            }
            div {
                section #probes data-part { h2 { "Probes" } (probes(&frame)) }
                section #link data-part { h2 { "Registry" } (link(&frame)) }
            }
        }
        section #configuration data-part { h2 { "Settings in force" } (configuration(&frame)) }
    };
    Ok(frame.page("System", &main, &headers))
}

fn process(frame: &Frame<'_>) -> Markup {
    let (system, now) = (&frame.system, frame.now());
    html! {
        dl {
            dt { "Release" } dd { (short(&system.version)) }
            dt { "Mode" } dd { @match system.mode { Mode::Kubernetes => "cluster", Mode::Standalone => "standalone" } }
            dt { "Role" } dd { @match system.role { Role::Active => "active: it probes and writes", Role::Standby => "standby: it waits for the Lease" } }
            @if let Some(leader) = &system.leader { dt { "Active replica" } dd { (short(leader)) } }
            dt { "Started" } dd { (full(system.started_at, now)) }
            dt { "Objects from" } dd { (short(&system.objects)) }
            @if let Some(heard) = frame.site.shown.view.heard_at() { dt { @match system.mode { Mode::Kubernetes => "API server answered", Mode::Standalone => "Directory read" } } dd { (ago(heard, now)) } }
            @if let Some(database) = &system.database { dt { "Status kept in" } dd { (short(database)) } }
            dt { "Endpoints" } dd { (number(frame.site.counts().values().sum())) }
        }
    }
}

fn checks(frame: &Frame<'_>) -> Markup {
    html! {
        @if frame.system.checks.is_empty() { p { "None." } } @else {
            table {
                thead { tr { th scope="col" { "Check" } th scope="col" { "State" } } }
                tbody {
                    @for (name, problem) in &frame.system.checks {
                        tr {
                            th scope="row" { (short(name)) }
                            td { @if problem.is_empty() { "ok" } @else { strong { "not ok" } ": " (parts::problem(problem)) } }
                        }
                    }
                }
            }
        }
    }
}

fn probes(frame: &Frame<'_>) -> Markup {
    let probes = &frame.system.probes;
    html! {
        @if frame.system.role == Role::Standby { p { "The active replica probes; its page has the numbers." } }
        dl {
            dt { "Targets" } dd { (number(probes.targets)) }
            dt { "Under way" } dd { (number(probes.in_flight)) }
            dt { "Per second" } dd { (format!("{:.1}", probes.per_second)) }
            dt { "Begun late (p95)" } dd { @match probes.lag_p95_seconds { Some(lag) => (format!("{:.0} ms", lag * 1000.0)), None => "–" } }
            dt { "Slots missed" } dd { (number(usize::try_from(probes.missed_slots).unwrap_or(usize::MAX))) }
            dt { "Last ended" } dd { @match probes.last_finished_at { Some(at) => (ago(at, frame.now())), None => "–" } }
        }
    }
}

fn link(frame: &Frame<'_>) -> Markup {
    let Some(link) = &frame.system.registry else {
        return html! {
            p { "None is connected (" code { "--registry-url none" } "). To have one, start it and name it:" }
            (parts::command("configurable-agents agent-registry start"))
            (parts::command("configurable-agents orchestrator start --registry-url http://localhost:8000"))
        };
    };
    html! {
        dl {
            dt { "URL" } dd { code { (short(&link.url)) } }
            dt { "Answers" }
            dd {
                @match link.reachable {
                    Some(true) => "yes",
                    Some(false) => { strong { "no" } @if let Some(since) = link.away_since { ", since " (full(since, frame.now())) } }
                    None => "not asked yet",
                }
            }
            @if let Some(problem) = &link.problem { dt { "Because" } dd { (long(problem)) } }
            dt { "Mirrored" } dd { (number(link.mirrored)) }
            dt { "Waiting to be sent" } dd { (number(link.pending)) }
        }
        @if link.reachable == Some(false) {
            p { "Nothing is lost: changes wait here. To start a registry on its default port:" }
            (parts::command("configurable-agents agent-registry start"))
        }
    }
}

fn configuration(frame: &Frame<'_>) -> Markup {
    html! {
        @if frame.system.configuration.is_empty() { p { "Not known." } } @else {
            div.wide { table {
                thead { tr { th scope="col" { "Flag" } th scope="col" { "Value" } th.m scope="col" { "From" } } }
                tbody {
                    @for setting in &frame.system.configuration {
                        tr { th scope="row" { code { (safe(&format!("--{}", setting.name), SHORT)) } } td { (short(&setting.value)) } td.m { (short(&setting.source)) } }
                    }
                }
            } }
        }
    }
}
