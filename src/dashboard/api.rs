//! `/api/v1`: the same as the pages show, as JSON. Endpoints are the API's own objects.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Site;
use super::params::{pairs, unknown};
use super::redact::redacted;
use crate::api::v1alpha1::AgentEndpoint;
use crate::api::{GROUP, VERSION};
use crate::domain::EndpointId;
use crate::view::query::{BadParameter, Query, after, bad};
use crate::view::{System, Transition};

const DEFAULT_LIMIT: usize = 500;
const MAX_LIMIT: usize = 1000;

/// A problem document (RFC 9457).
pub struct Problem(StatusCode, String, Value);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem(status, detail, mut body) = self;
        body["title"] = json!(status.canonical_reason().unwrap_or_default());
        body["status"] = json!(status.as_u16());
        body["detail"] = json!(detail);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

impl From<BadParameter> for Problem {
    fn from(error: BadParameter) -> Problem {
        Problem(StatusCode::BAD_REQUEST, error.to_string(), json!({ "parameter": error.parameter }))
    }
}

pub async fn status(State(Site { shown, .. }): State<Site>) -> Json<System> {
    Json((shown.system)())
}

/// The parameters of the list, and `limit` and `continue`: pages in order of namespace and name, so
/// that what comes and goes meanwhile makes none of the others missing or double.
pub async fn endpoints(
    State(Site { shown, .. }): State<Site>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut query = Query::default();
    let (mut limit, mut token) = (DEFAULT_LIMIT, None);
    for (parameter, value) in pairs(raw.as_deref()) {
        match parameter.as_str() {
            "limit" => {
                let number = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                limit = number.ok_or_else(|| bad("limit", &value, format!("use 1 to {MAX_LIMIT}")))?;
            }
            "continue" => {
                let read = value.split_once('/').map(|(ns, name)| EndpointId::new(ns, name));
                let problem =
                    || bad("continue", &value, "use metadata.continue of the page before".to_owned());
                token = Some(read.ok_or_else(problem)?);
            }
            _ => {
                if !query.read(&parameter, &value)? {
                    let allowed = [&Query::PARAMETERS[..], &["limit", "continue"]].concat();
                    return Err(unknown(&parameter, &value, &allowed).into());
                }
            }
        }
    }
    query.sort = crate::view::query::Sort::Namespace;
    let selection = query.select(&shown.view.rows());
    let rows = match &token {
        Some(token) => after(&selection, token),
        None => selection.rows,
    };
    let next = rows.get(limit).and(rows.get(limit - 1)).map(|row| row.id.to_string());
    let items: Vec<_> = rows.iter().take(limit).map(|row| redacted(&row.shown()).into_owned()).collect();
    let list = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "AgentEndpointList",
        "metadata": { "continue": next.unwrap_or_default() },
        "items": items,
    });
    Ok(Json(list).into_response())
}

pub async fn endpoint(
    State(Site { shown, .. }): State<Site>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<AgentEndpoint>, Problem> {
    let id = EndpointId::new(namespace, name);
    if let Some(row) = shown.view.row(&id) {
        return Ok(Json(redacted(&row.shown()).into_owned()));
    }
    let (status, detail) = match shown.view.tombstone(&id) {
        Some(gone) => (StatusCode::GONE, format!("AgentEndpoint {id} was deleted at {}", gone.at)),
        None if shown.view.is_complete() => {
            (StatusCode::NOT_FOUND, format!("there is no AgentEndpoint {id}"))
        }
        // Absence is no answer before everything has been read.
        None => (StatusCode::SERVICE_UNAVAILABLE, "the objects have not all been read yet".to_owned()),
    };
    Err(Problem(status, detail, json!({})))
}

/// State changes, newest first; `ns`, `name` and `limit` narrow them down.
pub async fn activity(
    State(Site { shown, .. }): State<Site>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, Problem> {
    let (mut namespace, mut name, mut limit) = (None, None, DEFAULT_LIMIT);
    for (parameter, value) in pairs(raw.as_deref()) {
        match parameter.as_str() {
            "ns" => namespace = Some(value),
            "name" => name = Some(value),
            "limit" => {
                let number = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                limit = number.ok_or_else(|| bad("limit", &value, format!("use 1 to {MAX_LIMIT}")))?;
            }
            _ => return Err(unknown(&parameter, &value, &["ns", "name", "limit"]).into()),
        }
    }
    let wanted = |t: &Transition| {
        namespace.as_ref().is_none_or(|ns| *ns == t.namespace) && name.as_ref().is_none_or(|n| *n == t.name)
    };
    let items: Vec<Transition> = shown.view.activity().into_iter().filter(wanted).take(limit).collect();
    Ok(Json(json!({ "items": items })))
}
