//! The original project's unversioned contract. Unmodified clients must work; where ours differs
//! on purpose stands in `docs/reference/registry-api.md`.

pub(super) mod agents;
mod lax;
pub(super) mod orchestrators;
mod view;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

pub use view::{AgentInfo, OrchestratorInfo};

use super::DEFAULT_SCOPE;
use super::problem::{Invalid, WireError};
use super::store::Store;
use crate::domain::record::MAX_AGENT_ID;

/// The largest request body of the unversioned routes, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// The longest name, host or type, in characters.
pub const MAX_NAME: usize = 253;
/// The longest `api_endpoint`, in characters.
pub const MAX_URL: usize = 2048;
/// The longest metadata, in characters of its JSON text.
pub const MAX_METADATA: usize = 16_384;

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    registered_agents: i64,
    active_agents: i64,
}

pub(super) async fn health(State(store): State<Store>) -> Result<Json<Health>, WireError> {
    let counts = store.counts(DEFAULT_SCOPE).await?;
    Ok(Json(Health { status: "healthy", registered_agents: counts.registered, active_agents: counts.active }))
}

/// An id out of a path, percent-decoded.
pub(super) type IdPath = Result<Path<String>, PathRejection>;

fn path_id(path: IdPath, name: &str) -> Result<String, WireError> {
    let invalid = |kind, msg: &str, input: Value| {
        WireError::from(Invalid {
            kind,
            loc: vec![json!("path"), json!(name)],
            msg: msg.to_owned(),
            input,
            ctx: None,
        })
    };
    let Ok(Path(id)) = path else {
        return Err(invalid(
            "string_unicode",
            "Input should be a valid string, unable to parse raw data as a unicode string",
            Value::Null,
        ));
    };
    if id.chars().any(char::is_control) {
        return Err(invalid("value_error", "Value error, control characters are not allowed", json!(id)));
    }
    if id.chars().count() > MAX_AGENT_ID {
        return Err(invalid("string_too_long", "String should have at most 253 characters", json!(id)));
    }
    Ok(id)
}

/// `include_dead` as pydantic reads a boolean; the last one counts.
fn include_dead(RawQuery(query): &RawQuery) -> Result<bool, WireError> {
    let mut given = None;
    for (name, value) in query.iter().flat_map(|query| decode_query(query)) {
        if name == "include_dead" {
            given = Some(value);
        }
    }
    let Some(given) = given else { return Ok(false) };
    match given.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err(Invalid {
            kind: "bool_parsing",
            loc: vec![json!("query"), json!("include_dead")],
            msg: "Input should be a valid boolean, unable to interpret input".to_owned(),
            input: json!(given),
            ctx: None,
        }
        .into()),
    }
}

fn decode_query(query: &str) -> Vec<(String, String)> {
    axum::http::Uri::builder()
        .path_and_query(format!("/?{query}"))
        .build()
        .ok()
        .and_then(|uri| axum::extract::Query::try_from_uri(&uri).ok())
        .map(|axum::extract::Query(pairs)| pairs)
        .unwrap_or_default()
}

fn not_found(detail: impl Into<String>) -> WireError {
    WireError::Detail(StatusCode::NOT_FOUND, detail.into())
}
