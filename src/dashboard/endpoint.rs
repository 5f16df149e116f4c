//! `/ui/endpoints/{namespace}/{name}`: why, since when, what do I do?

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kube::ResourceExt as _;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{Frame, Nav};
use super::parts;
use super::text::{ago, full, long, marked, reason, short};
use super::{Site, params, record, redact};
use crate::domain::{ConditionType, EndpointId, Reason, StatusWord};
use crate::view::system::Mode;
use crate::view::{Row, System, Tombstone};

const UP: &str = "../../";

pub async fn page(
    State(site): State<Site>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    params::none(raw.as_deref())?;
    let Ok(Path((namespace, name))) = path else {
        return Err(Fault::new(StatusCode::NOT_FOUND, "There is no such page", "The path is not UTF-8.", ""));
    };
    let id = EndpointId::new(namespace, name);
    let frame = Frame::new(&site, UP, Nav::List);
    let Some(row) = site.shown.view.row(&id) else {
        return match site.shown.view.tombstone(&id) {
            Some(gone) => {
                let mut page = frame.page(&id.name, &deleted(&frame, &gone), &HeaderMap::new());
                *page.status_mut() = StatusCode::GONE;
                Ok(page)
            }
            None => Err(missing(&frame, &id)),
        };
    };
    let registry = record::section(&site, &row, frame.now()).await;
    let title = format!("{} {}", row.word, id);
    Ok(frame.page(&title, &content(&frame, &row, &registry), &headers))
}

fn missing(frame: &Frame<'_>, id: &EndpointId) -> Fault {
    let look = match frame.system.mode {
        Mode::Kubernetes => format!("`kubectl get aep -n {}` lists those that are there.", id.namespace),
        Mode::Standalone => format!("Manifests are read from {}.", frame.system.objects),
    };
    Fault::new(StatusCode::NOT_FOUND, "There is no such endpoint", format!("AgentEndpoint {id}"), look)
}

fn deleted(frame: &Frame<'_>, gone: &Tombstone) -> Markup {
    let row = &gone.row;
    html! {
        h1 { (short(&row.id.name)) }
        p.headline { (parts::status(row.word)) " was its last status: " code { (short(&row.reason)) } }
        p { "AgentEndpoint " (short(&row.id.to_string())) " was deleted " (full(gone.at, frame.now())) "." }
        @if !row.message().is_empty() { p { (long(row.message())) } }
        p { a href={ (UP) (params::Link::new([("ns", row.id.namespace.clone())]).href("./")) } { "Endpoints of this namespace" } }
    }
}

fn content(frame: &Frame<'_>, row: &Row, registry: &Markup) -> Markup {
    let now = frame.now();
    html! {
        p.crumbs { a href={ (UP) "./" } { "Endpoints" } " / " a href={ (UP) (params::Link::new([("ns", row.id.namespace.clone())]).href("./")) } { (short(&row.id.namespace)) } " /" }
        h1 { (short(&row.id.name)) }
        section #state data-part aria-label="State" data-word=(parts::lower(row.word)) {
            p.headline { (parts::status(row.word)) " " @if row.reason != "Ready" { code { (short(&row.reason)) } } @if row.since > jiff::Timestamp::UNIX_EPOCH { " since " (full(row.since, now)) } }
            @if !row.message().is_empty() { p.detail { (long(row.message())) } }
            @if let Some(advice) = advice(row) { p.todo { strong { "What to do: " } (marked(advice)) } }
            @if stale_spec(row) { p.todo { "The spec was edited: this status is about the one before." } }
        }
        div.columns {
            div {
                section #conditions-s data-part { h2 #conditions { "Conditions" } (conditions(row, frame)) }
                section #targets-s data-part { h2 #targets { "Targets" } (targets(row, frame)) }
                section #registry-s data-part { h2 #registry { "In the registry" } (registry) }
            }
            div {
                section #facts-s data-part { h2 { "About" } (facts(row, frame)) }
                section #same-s { h2 { "The same on the command line" } (commands(&frame.system, &row.id)) }
                section #spec-s data-part { h2 #spec { "Spec" } (spec(row)) }
            }
        }
    }
}

fn advice(row: &Row) -> Option<&'static str> {
    if row.unreadable().is_some() {
        return Some(
            "Correct the object: this release cannot read it. `kubectl describe` shows it as it is stored.",
        );
    }
    let reason = Reason::parse(&row.reason)?;
    (row.word != StatusWord::Ready).then(|| reason.advice())
}

fn stale_spec(row: &Row) -> bool {
    row.object().is_some_and(|object| {
        let observed = object.status.as_ref().and_then(|status| status.observed_generation);
        observed.is_some_and(|observed| observed >= 0 && Some(observed) != object.metadata.generation)
            && object.metadata.generation.is_some()
    })
}

fn conditions(row: &Row, frame: &Frame<'_>) -> Markup {
    let conditions =
        row.object().and_then(|o| o.status.as_ref()).map(|s| s.conditions.as_slice()).unwrap_or_default();
    html! {
        @if conditions.is_empty() { p { "None yet." } } @else {
            div.wide { table {
                thead { tr { th scope="col" { "Type" } th scope="col" { "Status" } th scope="col" { "Reason" } th.m scope="col" { "Since" } } }
                tbody {
                    @for condition in conditions {
                        @let told = condition.type_ == ConditionType::Ready.as_str() || condition.message.is_empty();
                        tr {
                            th scope="row" { (short(&condition.type_)) }
                            td class=[bad(&condition.type_, &condition.status).then_some("is-bad")] { (short(&condition.status)) }
                            td { (short(&condition.reason)) @if !told { div.why { (long(&condition.message)) } } }
                            td.m.n { (ago(condition.last_transition_time.0, frame.now())) }
                        }
                    }
                }
            } }
        }
    }
}

/// Of most types False is bad; of those that complain, True.
fn bad(kind: &str, status: &str) -> bool {
    let complains =
        [ConditionType::Degraded, ConditionType::Stalled].iter().any(|other| other.as_str() == kind);
    status == if complains { "True" } else { "False" }
}

fn targets(row: &Row, frame: &Frame<'_>) -> Markup {
    let status = row.object().and_then(|object| object.status.as_ref());
    let targets = status.map(|status| status.targets.as_slice()).unwrap_or_default();
    let total = status.and_then(|status| status.total_targets).unwrap_or_default();
    html! {
        @if targets.is_empty() { p { "Nothing is known of them yet; the spec has them." } } @else {
            div.wide { table {
                thead { tr { th scope="col" { "Target" } th scope="col" { "Status" } th scope="col" { "Message" } th.m scope="col" { "Since" } } }
                tbody {
                    @for target in targets {
                        @let word = target.status.map_or(StatusWord::Unknown, |w| StatusWord::parse(&format!("{w:?}")).unwrap_or(StatusWord::Unknown));
                        @let host = if target.host.contains(':') { format!("[{}]:{}", target.host, target.port) } else { format!("{}:{}", target.host, target.port) };
                        tr {
                            th scope="row" { (short(&host)) }
                            td { (parts::status(word)) @if target.reason.as_deref() != Some("Ready") { div.why { (reason(target.reason.as_deref().unwrap_or_default())) } } }
                            td { (long(target.message.as_deref().unwrap_or_default())) }
                            td.m.n { @if let Some(time) = &target.last_transition_time { (ago(time.0, frame.now())) } }
                        }
                    }
                }
            } }
            @if usize::try_from(total).is_ok_and(|total| total > targets.len()) { p { "The first " (targets.len()) " of " (total) "; failing ones come first." } }
        }
    }
}

fn facts(row: &Row, frame: &Frame<'_>) -> Markup {
    let object = row.object();
    let labels = object.map(|object| object.labels().clone()).unwrap_or_default();
    let agent = object.and_then(|object| object.status.as_ref()?.agent.as_ref());
    html! {
        dl {
            dt { "Agent id" } dd { code { (short(&row.agent_id())) } }
            @if !row.protocol().is_empty() { dt { "Protocol" } dd { (row.protocol()) } }
            @if let Some(summary) = object.and_then(|o| o.status.as_ref()?.ready_summary.as_deref()) { dt { "Targets ready" } dd { (summary) } }
            @if let Some(object) = object {
                @if let Some(created) = &object.metadata.creation_timestamp { dt { "Created" } dd { (full(created.0, frame.now())) } }
                @if let Some(url) = &object.spec.registration.url { dt { "Callers dial" } dd { (record::link(url)) } }
                @if !object.spec.registration.capabilities.is_empty() {
                    dt { "Capabilities" }
                    dd { @for (at, capability) in object.spec.registration.capabilities.iter().enumerate() {
                        @if at > 0 { ", " } a href={ (UP) (params::Link::new([("cap", capability.clone())]).href("./")) } { (short(capability)) }
                    } }
                }
            }
            @if let Some(agent) = agent {
                dt { "It says of itself" }
                dd { (short(agent.name.as_deref().unwrap_or("–"))) " " (short(agent.version.as_deref().unwrap_or_default())) }
            }
            @if !labels.is_empty() {
                dt { "Labels" }
                dd { @for (key, value) in labels.iter().take(32) { div { (short(&format!("{key}={value}"))) } } }
            }
        }
        p { a href={ (UP) "activity?" (activity(&row.id)) } { "Its transitions" } }
    }
}

fn activity(id: &EndpointId) -> String {
    let link = params::Link::new([("ns", id.namespace.clone()), ("name", id.name.clone())]);
    link.href("").trim_start_matches('?').to_owned()
}

fn commands(system: &System, id: &EndpointId) -> Markup {
    let (namespace, name) = (parts::word_of_shell(&id.namespace), parts::word_of_shell(&id.name));
    let mode = system.mode;
    // Without a cluster the reader is on this machine, and the command asks the default port.
    let port = system.configuration.iter().find(|setting| setting.name == "port").map(|s| s.value.as_str());
    let url = match port {
        Some(port) if mode == Mode::Standalone && port != "9000" => {
            format!(" --url http://localhost:{}", parts::word_of_shell(port))
        }
        _ => String::new(),
    };
    html! {
        @if mode == Mode::Kubernetes {
            (parts::command(&format!("kubectl get aep {name} -n {namespace} -o yaml")))
            (parts::command(&format!("kubectl describe aep {name} -n {namespace}")))
        }
        (parts::command(&format!("configurable-agents orchestrator status {name} -n {namespace}{url}")))
    }
}

fn spec(row: &Row) -> Markup {
    let yaml = row.object().map(redact::yaml);
    html! {
        @match yaml {
            Some(yaml) => pre tabindex="0" { (super::text::safe(&yaml, 20_000)) },
            None => { p { "The object cannot be read:" } p.detail { (long(row.unreadable().unwrap_or_default())) } }
        }
    }
}
