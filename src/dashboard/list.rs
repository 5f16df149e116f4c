//! `/ui/`: what is wrong now?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{Frame, Nav};
use super::params::{self, Link, Paging, SIZE};
use super::parts::{self, lower};
use super::text::{ago, number, reason, short};
use super::{Site, list_form};
use crate::domain::StatusWord;
use crate::view::Row;
use crate::view::query::{Query, Selection, Sort};
use crate::view::system::Mode;

/// What is asked for, and as the parameters of a link.
pub struct Asked {
    pub query: Query,
    pub paging: Paging,
    pub link: Link,
}

fn read(given: &[(String, String)]) -> Result<Asked, Fault> {
    let (mut query, mut paging) = (Query::default(), Paging::default());
    for (name, value) in given {
        let blank = value.is_empty() && ["page", "size"].contains(&name.as_str());
        if !blank && !paging.read(name, value)? && !query.read(name, value)? {
            let allowed = [&Query::PARAMETERS[..], &["page", "size"]].concat();
            return Err(params::unknown(name, value, &allowed).into());
        }
    }
    let words: Vec<&str> = query.words.iter().map(|word| lower(*word)).collect();
    let unless = |default: bool, value: String| if default { String::new() } else { value };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let link = Link::new([
        ("q", query.text.clone()),
        ("status", words.join(",")),
        ("ns", text(&query.namespace)),
        ("proto", text(&query.protocol)),
        ("label", text(&query.label)),
        ("cap", text(&query.capability)),
        ("sort", unless(query.sort == Sort::default(), query.sort.as_str().to_owned())),
        ("size", unless(paging.size == SIZE, paging.size.to_string())),
        ("page", unless(paging.page == 1, paging.page.to_string())),
    ]);
    Ok(Asked { query, paging, link })
}

pub async fn page(
    State(site): State<Site>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let given = params::pairs(raw.as_deref());
    let asked = read(&given)?;
    if let Some(redirect) = params::tidy(&given, &asked.link, "./") {
        return Ok(redirect);
    }
    let frame = Frame::new(&site, "", Nav::List);
    let rows = site.shown.view.rows();
    let selection = asked.query.select(&rows);
    let namespaces: BTreeSet<&str> = rows.keys().map(|id| id.namespace.as_str()).collect();
    let main = html! {
        h1 { "Agent endpoints" }
        @if rows.is_empty() {
            div data-part #rows-none { (empty(&frame)) }
        } @else {
            div #sum data-part { (summary(&frame, &asked, &selection)) }
            (list_form::form(&asked, &namespaces))
            div #found { (found(&frame, &asked, &selection)) }
        }
    };
    Ok(frame.page("Agent endpoints", &main, &headers))
}

fn summary(frame: &Frame<'_>, asked: &Asked, selection: &Selection) -> Markup {
    let count = |word: StatusWord| selection.counts.get(&word).copied().unwrap_or_default();
    let all: usize = selection.counts.values().sum();
    let worse = [StatusWord::Failing, StatusWord::Rejected, StatusWord::Degraded];
    let worse: Vec<(StatusWord, usize)> =
        worse.into_iter().map(|word| (word, count(word))).filter(|(_, n)| *n > 0).collect();
    let last = frame.system.probes.last_finished_at;
    html! {
        p.lead {
            @if all == 0 { "None of " (number(selection.total)) " endpoints." }
            @else if count(StatusWord::Ready) == all {
                "All " (number(all)) " ready." @if let Some(last) = last { " Last probe " (ago(last, frame.now())) "." }
            }
            @else {
                @for (n, (word, count)) in worse.iter().enumerate() {
                    @if n > 0 { ", " } strong { (number(*count)) } " " (lower(*word))
                }
                @if !worse.is_empty() { "; " }
                (number(count(StatusWord::Ready))) " of " (number(all)) " ready" @if worse.is_empty() { ", none failing" } "."
            }
        }
        (bar(&selection.counts, all))
        ul.chips aria-label="Filter by status" {
            li { (chip(asked, None, "All", all)) }
            @for word in StatusWord::ALL { li { (chip(asked, Some(word), word.as_str(), count(word))) } }
        }
    }
}

fn chip(asked: &Asked, word: Option<StatusWord>, name: &str, count: usize) -> Markup {
    let lit = match word {
        Some(word) => asked.query.words == [word],
        None => asked.query.words.is_empty(),
    };
    // A second click takes the filter away.
    let status = word.filter(|_| !lit).map(lower).unwrap_or_default();
    html! {
        a href=(asked.link.with("status", status).href("./")) aria-current=[lit.then_some("true")]
            class=[word.map(|word| format!("st-{}", lower(word)))] data-count=(count) {
            @if let Some(word) = word { (parts::icon(word)) }
            b { (number(count)) } " " (name)
        }
    }
}

/// Proportions; the counts under it are the same in text. Even one of 10,000 is seen.
fn bar(counts: &BTreeMap<StatusWord, usize>, all: usize) -> Markup {
    const WIDTH: usize = 1200;
    const LEAST: usize = 6;
    let present: Vec<(StatusWord, usize)> = StatusWord::ALL
        .iter()
        .filter_map(|word| counts.get(word).map(|n| (*word, *n)))
        .filter(|(_, n)| *n > 0)
        .collect();
    let room = WIDTH - LEAST * present.len();
    let mut x = 0;
    html! {
        svg.bar viewBox={ "0 0 " (WIDTH) " 10" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @for (word, n) in present {
                @let width = LEAST + room * n / all.max(1);
                rect class={ "st-" (lower(word)) } x=(x) y=(if word == StatusWord::Failing { 0 } else { 2 })
                    width=(width - 2) height=(if word == StatusWord::Failing { 10 } else { 6 }) {}
                ({ x += width; "" })
            }
        }
    }
}

fn found(frame: &Frame<'_>, asked: &Asked, selection: &Selection) -> Markup {
    let total = selection.rows.len();
    if total == 0 {
        return none_match(asked, selection);
    }
    let range = asked.paging.range(total);
    let (pages, page) = (asked.paging.pages(total), asked.paging.page.min(asked.paging.pages(total)));
    html! {
        (list_form::changed())
        div.wide {
            table.list.ends {
                caption {
                    (number(range.start + 1)) "–" (number(range.end)) " of " (number(total))
                    @if total < selection.total { " (" (number(selection.total)) " in all)" }
                }
                thead {
                    tr {
                        (heading(asked, Sort::Problems, "Status", "c-status"))
                        (heading(asked, Sort::Name, "Name", ""))
                        (heading(asked, Sort::Namespace, "Namespace", "m c-ns"))
                        th scope="col" class="w c-msg" { "Message" }
                        th scope="col" class="w c-proto" { "Protocol" }
                        th scope="col" class="c-targets" { "Targets" }
                        (heading(asked, Sort::Since, "Since", "m c-since"))
                    }
                }
                tbody #rows {
                    @for row in &selection.rows[range] { (line(frame, row)) }
                }
            }
        }
        (list_form::pager(&asked.link, "./", page, pages))
    }
}

fn heading(asked: &Asked, sort: Sort, name: &str, class: &str) -> Markup {
    let lit = asked.query.sort == sort;
    let order = if sort == Sort::Since { "descending" } else { "ascending" };
    let word = if sort == Sort::default() { "" } else { sort.as_str() };
    html! {
        th scope="col" class=[(!class.is_empty()).then_some(class)] aria-sort=[lit.then_some(order)] {
            a href=(asked.link.with("sort", word).href("./")) { (name) }
        }
    }
}

fn line(frame: &Frame<'_>, row: &Arc<Row>) -> Markup {
    let targets = row.object().and_then(|o| o.status.as_ref()?.ready_summary.as_deref()).unwrap_or("–");
    let calm = row.reason == "Ready";
    html! {
        tr id={ "r-" (row.id) } data-word=(lower(row.word)) {
            td { (parts::status(row.word)) @if !calm { div.why { (reason(&row.reason)) } } }
            th scope="row" { a href=(parts::endpoint_path(&row.id)) { (short(&row.id.name)) } }
            td.m { (short(&row.id.namespace)) }
            td.w.msg { @if !calm { (short(row.message())) } }
            td.w { (row.protocol()) }
            td.n { (targets) }
            td.m.n { @if row.since > Timestamp::UNIX_EPOCH { (ago(row.since, frame.now())) } @else { "–" } }
        }
    }
}

fn none_match(asked: &Asked, selection: &Selection) -> Markup {
    let filters: Vec<_> =
        asked.link.pairs().iter().filter(|(name, _)| !["sort", "size", "page"].contains(name)).collect();
    html! {
        div.empty {
            h2 { "0 of " (number(selection.total)) " match" }
            ul.plain {
                @for (name, value) in filters {
                    li { code { (name) "=" (short(value)) } " " a href=(asked.link.with(name, "").href("./")) { "remove " (name) } }
                }
            }
            p { a href="./" { "Show all endpoints" } }
        }
    }
}

/// Nothing is there; which differs from not knowing yet.
fn empty(frame: &Frame<'_>) -> Markup {
    let system = &frame.system;
    let reading = system.checks.values().any(|problem| !problem.is_empty());
    html! {
        div.empty {
            @if reading {
                h2 { "The endpoints have not been read yet" }
                p { "What is missing stands above. This page fills itself as soon as it is there." }
            } @else {
                h2 { "No agent endpoints yet" }
            }
            @match system.mode {
                Mode::Kubernetes => {
                    p { "Declare where an agent listens:" }
                    pre tabindex="0" { (SAMPLE) }
                    (parts::command("kubectl apply -f agent.yaml"))
                }
                Mode::Standalone => {
                    p { "Put a manifest into " code { (short(&system.objects)) } " and start the orchestrator again:" }
                    pre tabindex="0" { (SAMPLE) }
                }
            }
            p {
                "Agents can also register themselves"
                @if let Some(registry) = &system.registry {
                    ": " code { "POST " (short(&registry.url)) "/agents/register" } ". They stand on the "
                    a href="registry" { "registry" } " page."
                } @else { " in a registry; none is connected." }
            }
            p { "Objects are read from " (short(&system.objects)) "." }
        }
    }
}

const SAMPLE: &str = "apiVersion: agents.configurable.dev/v1alpha1
kind: AgentEndpoint
metadata: {name: research, namespace: default}
spec:
  targets: [{host: research.example, port: 8001}]
";
