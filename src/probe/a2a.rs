//! The `a2a` probe: reads the agent card and checks that it is one. No method of the protocol is
//! called: nothing runs, nothing costs.
//!
//! Protocol: A2A specification, sections 8.2 (where the card is) and 5.5 of 0.3 and 4.4 of 1.0 (what
//! must be in it). Until 0.2.6 the card was at another path, which is asked for when the first is not there.

use http::Request;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http_body_util::Empty;
use hyper::body::Bytes;
use serde_json::Value;

use super::Stream;
use super::http::{AGENT, Answer, failure, fetch, unexpected};
use super::terms::Terms;
use crate::domain::{Failure, Reason, TargetAddress};

/// The most bytes of a card that are read.
const MAX_CARD: usize = 1024 * 1024;
/// Where a card may be, newest first.
const PATHS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

/// Where to look for the card.
pub(super) fn paths(given: Option<&str>) -> Vec<&str> {
    given.map_or(PATHS.to_vec(), |path| vec![path])
}

/// What one path had to say.
pub(super) enum Found {
    /// A card, or something that decides.
    Verdict(Result<(), Failure>),
    /// Nothing is there: another path may have it.
    NotHere(Failure),
}

/// Asks for the card at `path` and judges it.
pub(super) async fn ask(stream: Stream, address: &TargetAddress, path: &str, terms: &Terms) -> Found {
    let mut request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .header(ACCEPT, "application/json, application/a2a+json")
        .header("A2A-Version", "1.0");
    if let Some((name, value)) = terms.credential.clone() {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Empty::<Bytes>::new()) else {
        let what = "The request cannot be written: check cardPath.";
        return Found::Verdict(Err(failure(Reason::ProtocolError, what)));
    };
    let answer = match fetch(stream, request, MAX_CARD, |status| status == 200).await {
        Ok(answer) => answer,
        Err(failure) => return Found::Verdict(Err(failure)),
    };
    let shown: String = path.split('?').next().unwrap_or_default().chars().take(48).collect();
    match answer.status.as_u16() {
        200 => Found::Verdict(judge(&answer, path == PATHS[1])),
        404 | 405 => {
            let what =
                format!("There is no agent card at {shown} ({}): set cardPath.", answer.status.as_u16());
            Found::NotHere(failure(Reason::NotAnAgentCard, what))
        }
        _ => Found::Verdict(unexpected(answer.status, &format!("GET {shown}"), &[200], terms)),
    }
}

fn judge(answer: &Answer, old: bool) -> Result<(), Failure> {
    if answer.kind == "text/html" {
        let what = "An HTML page came instead of an agent card: check port and cardPath.";
        return Err(failure(Reason::HTMLResponse, what));
    }
    let Ok(card) = serde_json::from_slice::<Value>(&answer.body) else {
        return Err(failure(Reason::NotAnAgentCard, "What came is not JSON."));
    };
    match missing(&card, old) {
        None => Ok(()),
        Some(field) => {
            let what = format!("What came is no agent card: {field} is missing or of the wrong kind.");
            Err(failure(Reason::NotAnAgentCard, what))
        }
    }
}

/// The first field that a card must have and this one has not, of 1.0 when it names interfaces, else of 0.3.
/// What is at the old path may be older than the field that tells the version.
fn missing(card: &Value, old: bool) -> Option<&'static str> {
    let text = |name| card.get(name).is_some_and(Value::is_string);
    let list = |name| card.get(name).is_some_and(Value::is_array);
    let objects = |name: &str, fields: &[&str]| {
        card.get(name).and_then(Value::as_array).is_some_and(|items| {
            items.iter().all(|item| fields.iter().all(|field| item.get(*field).is_some_and(Value::is_string)))
        })
    };
    let era = if card.get("supportedInterfaces").is_some() {
        [
            ("supportedInterfaces", objects("supportedInterfaces", &["url", "protocolBinding"])),
            ("supportedInterfaces", !card["supportedInterfaces"].as_array().is_some_and(Vec::is_empty)),
        ]
    } else {
        [("supportedInterfaces or url", text("url")), ("protocolVersion", old || text("protocolVersion"))]
    };
    let both = [
        ("name", text("name")),
        ("description", text("description")),
        ("version", text("version")),
        ("capabilities", card.get("capabilities").is_some_and(Value::is_object)),
        ("defaultInputModes", list("defaultInputModes")),
        ("defaultOutputModes", list("defaultOutputModes")),
        ("skills", objects("skills", &["id", "name", "description"])),
    ];
    both.into_iter().chain(era).find(|(_, there)| !there).map(|(name, _)| name)
}

#[cfg(test)]
#[path = "a2a_tests.rs"]
mod tests;
