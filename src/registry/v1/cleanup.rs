//! What an operator asks for: removal of what has expired.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;

use super::{name, not_text, request};
use crate::domain::agent::{CleanupRequest, CleanupResponse};
use crate::registry::problem::Problem;
use crate::registry::store::Store;

pub(crate) async fn cleanup(
    State(store): State<Store>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<CleanupResponse>, Problem> {
    let scope = name(path.map_err(|_| not_text())?.0)?;
    let asked: CleanupRequest = request::read(&headers, body).await?;
    let older = Duration::from_secs(asked.older_than_seconds);
    Ok(Json(store.cleanup(&scope, store.now_ms(), older, asked.dry_run).await?))
}
