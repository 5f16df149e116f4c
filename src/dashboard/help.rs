//! `/ui/help`: what do the words mean?

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::html;

use super::fault::Fault;
use super::frame::{Frame, Nav};
use super::{Site, params, parts};
use crate::domain::StatusWord;
use crate::domain::disagreement::Disagreement;

const fn meaning(word: StatusWord) -> &'static str {
    match word {
        StatusWord::Ready => "The last probes passed.",
        StatusWord::Degraded => "It works, but is slow, flapping, or not on all of its targets.",
        StatusWord::Failing => "Probes have failed as often as the failure threshold asks for.",
        StatusWord::Rejected => {
            "The spec cannot be acted on: nothing is sent. The reason says what to change."
        }
        StatusWord::Unknown => "Not probed yet, or the fault is on this side.",
        StatusWord::Paused => "Its spec says suspend: true.",
    }
}

pub async fn page(
    State(site): State<Site>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    params::none(raw.as_deref())?;
    let frame = Frame::new(&site, "", Nav::Help);
    let main = html! {
        h1 { "Help" }
        section {
            h2 { "Status words" }
            dl.words { @for word in StatusWord::ALL { dt { (parts::status(word)) } dd { (meaning(word)) } } }
            p { "They follow from the object's conditions and from nothing else: " code { "kubectl get aep" } " shows the same." }
        }
        section {
            h2 { "When the registry says something else" }
            dl { @for difference in Disagreement::ALL { dt { code { (difference.as_str()) } } dd { (difference.sentence()) } } }
        }
        section {
            h2 { "This page" }
            p { "Every filter is in the address: copy it to share what you see. Without a script everything works; reload for new statuses. With it the page follows by itself, and rows never move under the pointer." }
            p { "Key " kbd { "/" } ": go to the search field." }
            p #keys hidden { label.check { input #slash type="checkbox" checked; " Use this key" } }
        }
        section {
            h2 { "For programs" }
            p { "The same as JSON, with the same filters (and `limit` and `continue` for pages): "
                a href="../api/v1/endpoints" { "endpoints" } ", " a href="../api/v1/activity" { "activity" } ", " a href="../api/v1/status" { "status" } "." }
        }
    };
    Ok(frame.page("Help", &main, &headers))
}
