//! Requests of `/v1`: parsed as a whole, their items one by one, within written bounds.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::record::{Contribution, Item, MAX_AGENT_ID, MAX_ITEMS, MAX_REQUEST_BYTES};
use crate::registry::body::{self, Unreadable};
use crate::registry::problem::Problem;
use crate::registry::store::Submitted;

/// The largest request body of `/v1`, in bytes.
pub const MAX_BODY: usize = MAX_REQUEST_BYTES;
/// The longest name (scope, source, agent name, host, key), in characters.
pub const MAX_NAME: usize = 253;
/// The longest text (message, url, metadata value), in characters.
pub const MAX_TEXT: usize = 4096;
/// The most addresses of one contribution.
pub const MAX_ADDRESSES: usize = 32;
/// The most capabilities, and the most metadata entries, of one contribution.
pub const MAX_LIST: usize = 64;
/// The largest contribution, in bytes of its JSON text.
pub const MAX_DOCUMENT: usize = 32 * 1024;
/// The shortest TTL of a contribution.
pub const MIN_TTL_SECONDS: u32 = 15;
/// The longest TTL of a contribution.
pub const MAX_TTL_SECONDS: u32 = 3600;

/// [`crate::domain::record::BatchRequest`] with items that may be bad.
#[derive(Deserialize)]
pub(super) struct Batch {
    pub(super) epoch: i64,
    pub(super) seq: i64,
    #[serde(default)]
    pub(super) upserts: Vec<Value>,
    #[serde(default)]
    pub(super) withdrawals: Vec<String>,
}

/// [`crate::domain::record::SnapshotRequest`] with items that may be bad.
#[derive(Deserialize)]
pub(super) struct Snapshot {
    pub(super) epoch: i64,
    pub(super) seq: i64,
    #[serde(rename = "snapshot")]
    pub(super) id: String,
    pub(super) page: u32,
    pub(super) last: bool,
    #[serde(default)]
    pub(super) confirmed: bool,
    #[serde(default)]
    pub(super) items: Vec<Value>,
    #[serde(default)]
    pub(super) retained: Vec<String>,
}

/// Reads and parses a body.
pub(super) async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    if !body::is_json(headers) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    let bytes = body::read(headers, body, MAX_BODY).await.map_err(|error| match error {
        Unreadable::TooLarge => Problem::too_large(format!("the body has more than {MAX_BODY} bytes")),
        Unreadable::Broken => Problem::bad_request("the body broke off"),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        if error.is_data() {
            Problem::unprocessable(error.to_string())
        } else {
            Problem::bad_request(format!("the body is not JSON: {error}"))
        }
    })
}

pub(super) fn check_count(items: usize) -> Result<(), Problem> {
    if items > MAX_ITEMS {
        return Err(Problem::too_large(format!("{items} items in one call; at most {MAX_ITEMS} are taken")));
    }
    Ok(())
}

/// Checks every item for itself.
pub(super) fn submitted(items: Vec<Value>) -> Vec<Submitted> {
    items.into_iter().map(submit).collect()
}

fn submit(value: Value) -> Submitted {
    let agent_id = value["contribution"]["agentID"].as_str().unwrap_or_default().to_owned();
    let checked = serde_json::from_value::<Item>(value)
        .map_err(|error| error.to_string())
        .and_then(|item| check(&item.contribution).map(|()| item));
    match checked {
        Ok(item) => Submitted::Valid(Box::new(item)),
        Err(message) => Submitted::Invalid { agent_id, message },
    }
}

fn check(said: &Contribution) -> Result<(), String> {
    check_id(&said.agent_id)?;
    check_length("agentName", &said.agent_name, MAX_NAME)?;
    check_name("endpoint.namespace", &said.endpoint.namespace)?;
    check_name("endpoint.name", &said.endpoint.name)?;
    check_name("endpoint.uid", &said.endpoint.uid)?;
    check_name("protocol", &said.protocol)?;
    check_length("message", &said.message, MAX_TEXT)?;
    check_length("url", said.url.as_deref().unwrap_or_default(), MAX_TEXT)?;
    check_list("addresses", said.addresses.len(), MAX_ADDRESSES)?;
    for address in &said.addresses {
        check_name("addresses[].host", &address.host)?;
        if address.port == 0 {
            return Err("addresses[].port must be 1 to 65535".to_owned());
        }
    }
    check_list("capabilities", said.capabilities.len(), MAX_LIST)?;
    for capability in &said.capabilities {
        check_name("capabilities[]", capability)?;
    }
    check_list("metadata", said.metadata.len(), MAX_LIST)?;
    for (key, value) in &said.metadata {
        check_name("metadata key", key)?;
        check_length("metadata value", value, MAX_TEXT)?;
    }
    if !(MIN_TTL_SECONDS..=MAX_TTL_SECONDS).contains(&said.ttl_seconds) {
        return Err(format!("ttlSeconds must be {MIN_TTL_SECONDS} to {MAX_TTL_SECONDS}"));
    }
    let size = serde_json::to_vec(said).map_or(usize::MAX, |text| text.len());
    if size > MAX_DOCUMENT {
        return Err(format!("the contribution has more than {MAX_DOCUMENT} bytes"));
    }
    Ok(())
}

fn check_id(id: &str) -> Result<(), String> {
    check_length("agentID", id, MAX_AGENT_ID)?;
    check_name("agentID", id)
}

/// Something with at least one character and no control characters.
pub(super) fn check_name(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} must not have control characters"));
    }
    check_length(what, text, MAX_NAME)
}

fn check_length(what: &str, text: &str, most: usize) -> Result<(), String> {
    if text.chars().count() > most {
        return Err(format!("{what} must have at most {most} characters"));
    }
    Ok(())
}

fn check_list(what: &str, length: usize, most: usize) -> Result<(), String> {
    if length > most {
        return Err(format!("{what} must have at most {most} entries"));
    }
    Ok(())
}
