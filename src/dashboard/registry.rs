//! `/ui/registry`: what do callers see?

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{Frame, Nav};
use super::list_form::{changed, pager};
use super::params::{self, Link, Paging, SIZE};
use super::text::{ago, full, number, safe, short};
use super::{Site, parts, record};
use crate::domain::EndpointId;
use crate::domain::agent::{ContributionView, RecordView, SourceKind};
use crate::view::query::bad;
use crate::view::{Dated, Rows};

/// What a record can be; one record can be several of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Mirrored,
    Own,
    Orphan,
    Expired,
}

const KINDS: [(Kind, &str, &str, &str); 4] = [
    (Kind::Mirrored, "mirrored", "Mirrored", "an endpoint of this orchestrator stands behind it"),
    (Kind::Own, "self", "Self-registered", "the agent itself has registered"),
    (Kind::Orphan, "orphan", "Orphaned", "an orchestrator vouches for it with an endpoint that is not here"),
    (Kind::Expired, "expired", "Expired", "a source has stopped vouching for it"),
];

/// Does the contribution belong to an endpoint that is shown here?
fn is_ours(contribution: &ContributionView, rows: &Rows) -> bool {
    contribution.endpoint.as_ref().is_some_and(|reference| {
        let row = rows.get(&EndpointId::new(&reference.namespace, &reference.name));
        row.is_some_and(|row| {
            let uid = row.object().and_then(|object| object.metadata.uid.as_deref());
            uid.is_none_or(|uid| uid == reference.uid)
        })
    })
}

fn kinds(record: &RecordView, rows: &Rows) -> Vec<Kind> {
    let mut found: Vec<Kind> = Vec::new();
    for contribution in &record.contributions {
        found.push(match contribution.source.kind {
            SourceKind::Agent => Kind::Own,
            SourceKind::Orchestrator if is_ours(contribution, rows) => Kind::Mirrored,
            SourceKind::Orchestrator => Kind::Orphan,
        });
        if !contribution.live {
            found.push(Kind::Expired);
        }
    }
    found.sort();
    found.dedup();
    found
}

fn matches(record: &RecordView, text: &str) -> bool {
    let has = |other: &str| other.to_lowercase().contains(text);
    has(&record.agent_id)
        || record.contributions.iter().any(|c| {
            has(&c.agent_name)
                || has(&c.source.id)
                || c.addresses.iter().any(|address| has(&format!("{}:{}", address.host, address.port)))
                || c.capabilities.iter().any(|capability| has(capability))
        })
}

struct Asked {
    text: String,
    kind: Option<Kind>,
    paging: Paging,
    link: Link,
}

fn read(given: &[(String, String)]) -> Result<Asked, Fault> {
    let (mut text, mut kind, mut paging) = (String::new(), None, Paging::default());
    for (name, value) in given {
        if value.len() > 512 {
            return Err(bad(name, value, "longer than 512 bytes".to_owned()).into());
        }
        match name.as_str() {
            "q" => value.trim().clone_into(&mut text),
            "state" if value.is_empty() => {}
            "state" => {
                let found = KINDS.into_iter().find(|(_, word, ..)| word == value);
                let allowed = || KINDS.map(|(_, word, ..)| word).join(", ");
                kind = Some(found.ok_or_else(|| bad(name, value, format!("use one of {}", allowed())))?.0);
            }
            _ if value.is_empty() && ["page", "size"].contains(&name.as_str()) => {}
            _ if paging.read(name, value)? => {}
            _ => return Err(params::unknown(name, value, &["q", "state", "page", "size"]).into()),
        }
    }
    let unless = |default: bool, value: String| if default { String::new() } else { value };
    let word = KINDS.into_iter().find(|(k, ..)| Some(*k) == kind).map_or("", |(_, word, ..)| word);
    let link = Link::new([
        ("q", text.clone()),
        ("state", word.to_owned()),
        ("size", unless(paging.size == SIZE, paging.size.to_string())),
        ("page", unless(paging.page == 1, paging.page.to_string())),
    ]);
    Ok(Asked { text, kind, paging, link })
}

pub async fn page(
    State(site): State<Site>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let given = params::pairs(raw.as_deref());
    let asked = read(&given)?;
    if let Some(redirect) = params::tidy(&given, &asked.link, "registry") {
        return Ok(redirect);
    }
    let dated = site.shown.records.read().await;
    let frame = Frame::new(&site, "", Nav::Registry);
    let main = html! {
        h1 { "Registry" }
        @if site.shown.records.configured() {
            div #asof data-part {
                p.lead {
                    @if let Some(link) = &frame.system.registry { code { (short(&link.url)) } }
                    @if let (Some(at), None) = (dated.as_of, &dated.problem) { " said this " (full(at, frame.now())) "." }
                }
                (record::as_of(&dated, frame.now()))
            }
            @if dated.as_of.is_some() { (records(&site, &frame, &asked, &dated)) }
        } @else {
            div.empty {
                h2 { "No registry is connected" }
                p { "This orchestrator was started with " code { "--registry-url none" } ": nothing is mirrored. Start a registry, and the orchestrator with its URL:" }
                (parts::command("configurable-agents agent-registry start"))
                (parts::command("configurable-agents orchestrator start --registry-url http://localhost:8000"))
            }
        }
    };
    Ok(frame.page("Registry", &main, &headers))
}

fn records(site: &Site, frame: &Frame<'_>, asked: &Asked, dated: &Dated) -> Markup {
    let rows = site.shown.view.rows();
    let text = asked.text.to_lowercase();
    let searched: Vec<(&RecordView, Vec<Kind>)> = dated
        .records
        .iter()
        .filter(|record| asked.text.is_empty() || matches(record, &text))
        .map(|record| (record, kinds(record, &rows)))
        .collect();
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for kind in searched.iter().flat_map(|(_, kinds)| kinds) {
        *counts.entry(*kind).or_default() += 1;
    }
    let found: Vec<_> =
        searched.iter().filter(|(_, kinds)| asked.kind.is_none_or(|kind| kinds.contains(&kind))).collect();
    let range = asked.paging.range(found.len());
    let pages = asked.paging.pages(found.len());
    html! {
        div #sum data-part {
            ul.chips aria-label="Filter by source" {
                li { a href=(asked.link.with("state", "").href("registry")) aria-current=[asked.kind.is_none().then_some("true")] { b { (number(searched.len())) } " All" } }
                @for (kind, word, name, _) in KINDS {
                    @let lit = asked.kind == Some(kind);
                    li { a href=(asked.link.with("state", if lit { "" } else { word }).href("registry")) aria-current=[lit.then_some("true")] {
                        b { (number(counts.get(&kind).copied().unwrap_or_default())) } " " (name)
                    } }
                }
            }
            @if let Some((.., meaning)) = KINDS.into_iter().find(|(kind, ..)| Some(*kind) == asked.kind) { p { "Shown: " (meaning) "." } }
            @if dated.more { p { "The registry holds more than the " (number(dated.records.len())) " that are read here." } }
        }
        form.filters method="get" action="registry" role="search" aria-label="Filter records" {
            @for (name, value) in asked.link.without(&["q", "page"]).pairs() { input type="hidden" name=(name) value=(value); }
            label.grow { "Search" input #q type="search" name="q" value=(asked.text) maxlength="200" placeholder="id, name, host:port, capability"; }
            button type="submit" { "Apply" }
            @if !asked.link.pairs().is_empty() { a.clear href="registry" { "Clear" } }
        }
        div #found {
            @if found.is_empty() {
                div.empty {
                    @if dated.records.is_empty() { h2 { "The registry holds no agents yet" } p { "Endpoints are mirrored after their first verdict; agents can register themselves." } }
                    @else { h2 { "0 of " (number(dated.records.len())) " match" } p { a href="registry" { "Show all records" } } }
                }
            } @else {
                (changed())
                div.wide { table.list {
                    caption { (number(range.start + 1)) "–" (number(range.end)) " of " (number(found.len())) " records" }
                    thead { tr { th scope="col" { "Agent" } th scope="col" { "Callers see" } th scope="col" { "Who vouches for it" } th.m scope="col" { "Addresses" } } }
                    tbody #rows { @for (record, _) in &found[range] { (line(record, &rows, frame.now())) } }
                } }
                (pager(&asked.link, "registry", asked.paging.page.min(pages), pages))
            }
        }
    }
}

fn line(record: &RecordView, rows: &Rows, now: Timestamp) -> Markup {
    let name = record.contributions.first().map(|c| c.agent_name.as_str()).unwrap_or_default();
    html! {
        tr id={ "a-" (record.agent_id) } {
            th scope="row" { (short(&record.agent_id)) @if name != record.agent_id { div.why { (short(name)) } } }
            td { @if record.is_alive { "alive" } @else { strong { "not alive" } } }
            td { @for contribution in &record.contributions { (vouches(contribution, rows, now)) } }
            td.m { @if let Some(first) = record.contributions.first() { (record::addresses(&first.addresses)) } }
        }
    }
}

fn vouches(contribution: &ContributionView, rows: &Rows, now: Timestamp) -> Markup {
    html! {
        div.vouch {
            @match (&contribution.source.kind, &contribution.endpoint) {
                (SourceKind::Orchestrator, Some(reference)) if is_ours(contribution, rows) => {
                    @if let Some(word) = contribution.status { (parts::status(word)) " " }
                    a href=(parts::endpoint_path(&EndpointId::new(&reference.namespace, &reference.name))) { (short(&format!("{}/{}", reference.namespace, reference.name))) }
                }
                (SourceKind::Orchestrator, reference) => {
                    @if let Some(word) = contribution.status { (parts::status(word)) " " }
                    (record::source(contribution)) ", "
                    strong { "orphaned" } ": "
                    @if let Some(reference) = reference { code { (short(&format!("{}/{}", reference.namespace, reference.name))) } " is not among the endpoints here" }
                    @else { "it names no endpoint" }
                }
                (SourceKind::Agent, _) => (record::source(contribution)),
            }
            div.why {
                @if contribution.live { "vouched " (ago(contribution.as_of, now)) }
                @else { strong { "expired " (ago(contribution.expires_at, now)) } }
                @if let Some(text) = contribution.agent_metadata.as_deref().filter(|text| !["", "{}"].contains(text)) { " · " bdi { (safe(text, 120)) } }
            }
        }
    }
}
