//! `/orchestrator…` of the unversioned contract.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::lax::Fields;
use super::view::{OrchestratorInfo, naive};
use super::{IdPath, MAX_NAME, MAX_URL, include_dead, not_found, path_id};
use crate::registry::problem::WireError;
use crate::registry::store::{OrchestratorRegistration, Store};

/// The TTL of an orchestrator that names none.
const DEFAULT_TTL_SECONDS: u16 = 300;
/// The longest TTL.
const MAX_TTL_SECONDS: u16 = 3600;
/// The original names no id here.
const NOT_FOUND: &str = "Orchestrator not found";

pub(crate) async fn register(
    State(store): State<Store>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<OrchestratorInfo>, WireError> {
    let mut fields = Fields::read(&headers, body).await?;
    let registration = OrchestratorRegistration {
        orchestrator_id: fields.id("orchestrator_id", MAX_NAME),
        orchestrator_name: fields.text("orchestrator_name", 0, MAX_NAME),
        orchestrator_type: fields.text("orchestrator_type", 0, MAX_NAME),
        api_endpoint: fields.text("api_endpoint", 0, MAX_URL),
        ttl_seconds: fields.integer("ttl_seconds", Some(DEFAULT_TTL_SECONDS), MAX_TTL_SECONDS).into(),
    };
    fields.finish()?;
    let record = store.register_orchestrator(registration).await?;
    Ok(Json(OrchestratorInfo::of(record, store.now_ms())))
}

pub(crate) async fn heartbeat(State(store): State<Store>, path: IdPath) -> Result<Json<Value>, WireError> {
    let id = path_id(path, "orchestrator_id")?;
    match store.beat_orchestrator(&id).await? {
        Some(at) => Ok(Json(json!({ "status": "ok", "last_heartbeat": naive(at) }))),
        None => Err(WireError::RegisterAgain(NOT_FOUND.to_owned())),
    }
}

pub(crate) async fn list(
    State(store): State<Store>,
    query: RawQuery,
) -> Result<Json<Vec<OrchestratorInfo>>, WireError> {
    let include_dead = include_dead(&query)?;
    let records = store.orchestrators().await?;
    let now = store.now_ms();
    Ok(Json(
        records
            .into_iter()
            .filter(|record| include_dead || record.is_alive(now))
            .map(|record| OrchestratorInfo::of(record, now))
            .collect(),
    ))
}

pub(crate) async fn get(
    State(store): State<Store>,
    path: IdPath,
) -> Result<Json<OrchestratorInfo>, WireError> {
    let id = path_id(path, "orchestrator_id")?;
    let record = store.orchestrator(&id).await?.ok_or_else(|| not_found(NOT_FOUND))?;
    Ok(Json(OrchestratorInfo::of(record, store.now_ms())))
}

pub(crate) async fn delete(State(store): State<Store>, path: IdPath) -> Result<Json<Value>, WireError> {
    let id = path_id(path, "orchestrator_id")?;
    if store.deregister_orchestrator(&id).await? {
        Ok(Json(json!({ "status": "deleted", "orchestrator_id": id })))
    } else {
        Err(not_found(NOT_FOUND))
    }
}
