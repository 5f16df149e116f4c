//! `/ui/activity`: what changed?

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::html;

use super::fault::Fault;
use super::frame::{Frame, Nav};
use super::list_form::{changed, pager};
use super::params::{self, Link, Paging, SIZE};
use super::text::{ago, clock, number, reason, short};
use super::{Site, parts};
use crate::domain::{EndpointId, StatusWord};
use crate::view::Transition;
use crate::view::query::bad;

pub async fn page(
    State(site): State<Site>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let given = params::pairs(raw.as_deref());
    let (mut namespace, mut name, mut to, mut paging) =
        (String::new(), String::new(), None, Paging::default());
    for (parameter, value) in &given {
        if value.len() > 512 {
            return Err(bad(parameter, value, "longer than 512 bytes".to_owned()).into());
        }
        match parameter.as_str() {
            "ns" => value.trim().clone_into(&mut namespace),
            "name" => value.trim().clone_into(&mut name),
            "to" if value.is_empty() => {}
            "to" => {
                let found = StatusWord::ALL.into_iter().find(|word| parts::lower(*word) == value);
                let allowed = StatusWord::ALL.map(parts::lower).join(", ");
                to = Some(found.ok_or_else(|| bad(parameter, value, format!("use one of {allowed}")))?);
            }
            _ if value.is_empty() && ["page", "size"].contains(&parameter.as_str()) => {}
            _ if paging.read(parameter, value)? => {}
            _ => return Err(params::unknown(parameter, value, &["ns", "name", "to", "page", "size"]).into()),
        }
    }
    let unless = |default: bool, value: String| if default { String::new() } else { value };
    let link = Link::new([
        ("ns", namespace.clone()),
        ("name", name.clone()),
        ("to", to.map(parts::lower).unwrap_or_default().to_owned()),
        ("size", unless(paging.size == SIZE, paging.size.to_string())),
        ("page", unless(paging.page == 1, paging.page.to_string())),
    ]);
    if let Some(redirect) = params::tidy(&given, &link, "activity") {
        return Ok(redirect);
    }
    let frame = Frame::new(&site, "", Nav::Activity);
    let all = site.shown.view.activity();
    let found: Vec<&Transition> = all
        .iter()
        .filter(|t| namespace.is_empty() || t.namespace == namespace)
        .filter(|t| name.is_empty() || t.name == name)
        .filter(|t| to.is_none() || t.to == to)
        .collect();
    let range = paging.range(found.len());
    let pages = paging.pages(found.len());
    let main = html! {
        h1 { "Activity" }
        p.lead { "Changes of status, newest first; the last 1,000 since " (clock(frame.system.started_at)) ", when this process started." }
        form.filters method="get" action="activity" role="search" aria-label="Filter activity" {
            label { "Namespace" input name="ns" value=(namespace) maxlength="63"; }
            label.grow { "Name" input #q name="name" value=(name) maxlength="253"; }
            label { "Became"
                select name="to" {
                    option value="" { "anything" }
                    @for word in StatusWord::ALL { option value=(parts::lower(word)) selected[to == Some(word)] { (word) } }
                }
            }
            button type="submit" { "Apply" }
            @if !link.pairs().is_empty() { a.clear href="activity" { "Clear" } }
        }
        div #found {
            @if found.is_empty() {
                div.empty {
                    @if all.is_empty() { h2 { "Nothing has changed yet" } p { "Each endpoint stands here as soon as it is found." } }
                    @else { h2 { "0 of " (number(all.len())) " match" } p { a href="activity" { "Show all" } } }
                }
            } @else {
                (changed())
                div.wide { table.list {
                    caption { (number(range.start + 1)) "–" (number(range.end)) " of " (number(found.len())) }
                    thead { tr { th scope="col" { "When" } th scope="col" { "Endpoint" } th scope="col" { "Change" } th.w scope="col" { "Message" } } }
                    tbody #rows { @for transition in &found[range] { (line(&frame, transition)) } }
                } }
                (pager(&link, "activity", paging.page.min(pages), pages))
            }
        }
    };
    Ok(frame.page("Activity", &main, &headers))
}

fn line(frame: &Frame<'_>, transition: &Transition) -> maud::Markup {
    let id = EndpointId::new(&transition.namespace, &transition.name);
    let (from, to) = (transition.from, transition.to);
    let key = |word: Option<StatusWord>| word.map_or("-", parts::lower);
    html! {
        tr id={ "t-" (transition.at.as_second()) "-" (id) "-" (key(from)) "-" (key(to)) } {
            td.n { (ago(transition.at, frame.now())) }
            th scope="row" { a href=(parts::endpoint_path(&id)) { (short(&id.to_string())) } }
            td {
                @match from { Some(word) => (parts::status(word)), None => span.why { "found" } }
                " → "
                @match to { Some(word) => (parts::status(word)), None => span.why { "deleted" } }
                @if to.is_some_and(|word| word != StatusWord::Ready) { div.why { (reason(&transition.reason)) } }
            }
            td.w.msg { (short(&transition.message)) }
        }
    }
}
