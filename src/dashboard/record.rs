//! What the registry says of an agent, beside what is found here.

use jiff::Timestamp;
use maud::{Markup, html};

use super::text::{ago, full, long, safe, short};
use super::{Site, parts};
use crate::domain::agent::{AddressView, ContributionView, SourceKind};
use crate::domain::disagreement::disagreements;
use crate::domain::{ConditionType, Reason};
use crate::view::{Dated, Row};

/// The endpoint page's part.
pub async fn section(site: &Site, row: &Row, now: Timestamp) -> Markup {
    let registered = row.status().and_then(|s| s.condition(ConditionType::Registered).map(|c| c.reason));
    if !site.shown.records.configured() {
        return html! { p { "No registry is connected (" code { "--registry-url none" } ")." } };
    }
    let dated = site.shown.records.read().await;
    let id = row.agent_id();
    let record = dated.records.iter().find(|record| record.agent_id == id);
    // A record that may stand beyond what was read is not missing.
    let known = record.is_some() || (dated.as_of.is_some() && !dated.more);
    let differences = if known {
        disagreements(row.word, registered, record)
    } else {
        disagreements(row.word, None, record)
    };
    html! {
        (as_of(&dated, now))
        @if registered == Some(Reason::RegistrationDisabled) { p { "Mirroring is off for this endpoint." } }
        @for difference in differences {
            p class=(if difference.is_harmless() { "detail" } else { "todo" }) { strong { (difference.as_str()) } ": " (difference.sentence()) }
        }
        @match record {
            Some(record) => {
                p { "Callers see " code { (short(&record.agent_id)) } " as " strong { @if record.is_alive { "alive" } @else { "not alive" } } "." }
                @for contribution in &record.contributions { (says(contribution, now)) }
            }
            None if dated.as_of.is_none() => {}
            None if dated.more => p { "Not among the first " (dated.records.len()) " records that were read." },
            None => p { "The registry has no record " code { (short(&id)) } "." },
        }
    }
}

/// How old the answer is, and why there is no newer one.
pub fn as_of(dated: &Dated, now: Timestamp) -> Markup {
    html! {
        @if let Some(problem) = &dated.problem {
            div.banner.note {
                strong { "The registry did not answer." } " " (long(problem)) @if !problem.ends_with('.') { "." }
                @match dated.as_of {
                    Some(at) => { " What follows is what it said " (full(at, now)) "." }
                    None => { " Its records have not been read yet." }
                }
            }
        } @else if dated.as_of.is_none() {
            div.banner.note { "The registry has not answered yet. Load the page again in a moment." }
        }
    }
}

/// What one source says.
pub fn says(contribution: &ContributionView, now: Timestamp) -> Markup {
    html! {
        dl.says {
            dt { (source(contribution)) }
            dd {
                @if let Some(word) = contribution.status { (parts::status(word)) " " }
                @if let Some(reason) = contribution.reason.as_deref().filter(|reason| *reason != "Ready") { code { (short(reason)) } " " }
                (heartbeat(contribution, now))
                @if !contribution.addresses.is_empty() { div.why { (addresses(&contribution.addresses)) } }
                @if let Some(url) = &contribution.url { div.why { "callers dial " (link(url)) } }
                @if let Some(metadata) = contribution.agent_metadata.as_deref().filter(|text| !["", "{}"].contains(text)) { div.why { (short(metadata)) } }
            }
        }
    }
}

pub fn source(contribution: &ContributionView) -> Markup {
    html! {
        @match contribution.source.kind {
            SourceKind::Agent => "The agent itself",
            SourceKind::Orchestrator => { "Orchestrator " code { (short(&contribution.source.id)) } }
        }
    }
}

pub fn heartbeat(contribution: &ContributionView, now: Timestamp) -> Markup {
    html! {
        @if contribution.live { "vouched " (ago(contribution.as_of, now)) ", for " (contribution.ttl_seconds) " s" }
        @else { strong { "expired " (ago(contribution.expires_at, now)) } ", last vouched " (ago(contribution.as_of, now)) }
    }
}

pub fn addresses(addresses: &[AddressView]) -> Markup {
    html! {
        @for (at, address) in addresses.iter().take(32).enumerate() {
            @if at > 0 { ", " } (short(&format!("{}:{}", address.host, address.port)))
        }
    }
}

/// A link only to where a browser may go.
pub fn link(url: &str) -> Markup {
    let lower = url.to_ascii_lowercase();
    let web = (lower.starts_with("http://") || lower.starts_with("https://")) && safe(url, 2048) == url;
    html! { @if web { a href=(url) rel="noopener noreferrer" { (short(url)) } } @else { (short(url)) } }
}
