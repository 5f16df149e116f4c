//! `/agents…` of the unversioned contract.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::lax::Fields;
use super::view::{AgentInfo, naive};
use super::{IdPath, MAX_METADATA, MAX_NAME, include_dead, not_found, path_id};
use crate::domain::record::MAX_AGENT_ID;
use crate::registry::DEFAULT_SCOPE;
use crate::registry::problem::WireError;
use crate::registry::store::{Registration, Store};

/// The TTL of an agent that names none.
const DEFAULT_TTL_SECONDS: u16 = 60;
/// The longest TTL.
const MAX_TTL_SECONDS: u16 = 3600;

pub(crate) async fn register(
    State(store): State<Store>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<AgentInfo>, WireError> {
    let mut fields = Fields::read(&headers, body).await?;
    let registration = Registration {
        agent_id: fields.id("agent_id", MAX_AGENT_ID),
        agent_name: fields.text("agent_name", 0, MAX_NAME),
        host: fields.text("host", 0, MAX_NAME),
        port: fields.integer("port", None, u16::MAX),
        ttl_seconds: fields.integer("ttl_seconds", Some(DEFAULT_TTL_SECONDS), MAX_TTL_SECONDS).into(),
        metadata: fields.metadata("metadata", MAX_METADATA),
    };
    fields.finish()?;
    let agent_id = registration.agent_id.clone();
    store.register(DEFAULT_SCOPE, registration).await?;
    info(&store, &agent_id).await
}

pub(crate) async fn heartbeat(State(store): State<Store>, path: IdPath) -> Result<Json<Value>, WireError> {
    let agent_id = path_id(path, "agent_id")?;
    match store.beat(DEFAULT_SCOPE, &agent_id).await? {
        Some(at) => Ok(Json(json!({ "status": "ok", "last_heartbeat": naive(at) }))),
        None => Err(WireError::RegisterAgain(format!("Agent not found: {agent_id}"))),
    }
}

pub(crate) async fn list(
    State(store): State<Store>,
    query: RawQuery,
) -> Result<Json<Vec<AgentInfo>>, WireError> {
    let records = store.list(DEFAULT_SCOPE, include_dead(&query)?).await?;
    let now = store.now_ms();
    Ok(Json(records.iter().filter_map(|record| AgentInfo::of(record, now)).collect()))
}

pub(crate) async fn get(State(store): State<Store>, path: IdPath) -> Result<Json<AgentInfo>, WireError> {
    info(&store, &path_id(path, "agent_id")?).await
}

/// Removes the agent's own contribution; an orchestrator's stays, and with it the record.
pub(crate) async fn delete(State(store): State<Store>, path: IdPath) -> Result<Json<Value>, WireError> {
    let agent_id = path_id(path, "agent_id")?;
    if store.deregister(DEFAULT_SCOPE, &agent_id).await? {
        Ok(Json(json!({ "status": "deleted", "agent_id": agent_id })))
    } else {
        Err(not_found(format!("Agent not found: {agent_id}")))
    }
}

/// The path of registration is also the path of an agent with that id.
pub(crate) async fn get_named_register(store: State<Store>) -> Result<Json<AgentInfo>, WireError> {
    get(store, Ok(Path("register".to_owned()))).await
}

/// See [`get_named_register`].
pub(crate) async fn delete_named_register(store: State<Store>) -> Result<Json<Value>, WireError> {
    delete(store, Ok(Path("register".to_owned()))).await
}

async fn info(store: &Store, agent_id: &str) -> Result<Json<AgentInfo>, WireError> {
    store
        .get(DEFAULT_SCOPE, agent_id)
        .await?
        .and_then(|record| AgentInfo::of(&record, store.now_ms()))
        .map(Json)
        .ok_or_else(|| not_found(format!("Agent not found: {agent_id}")))
}
