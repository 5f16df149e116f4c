//! What a refused or failed call is answered with: the original's `detail` bodies on the
//! unversioned routes, problem documents (RFC 9457) everywhere else.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::store::{Refusal, StoreError};
use crate::domain::record::{SNAPSHOT_GAP, STALE_STAMP};

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: String,
    /// It is the store's.
    #[serde(skip)]
    of_store: bool,
}

/// Marks an answer that the store is to blame for.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreFailed;

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            of_store: false,
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn unprocessable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// The caller should come back a little later.
    pub(super) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let (kind, title) = match refusal {
            Refusal::StaleStamp { .. } => (STALE_STAMP, "A newer write was accepted"),
            Refusal::SnapshotGap { .. } => (SNAPSHOT_GAP, "The snapshot page does not follow"),
        };
        Problem { kind, title, status: StatusCode::CONFLICT, detail: refusal.to_string(), of_store: false }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let detail = match &error {
            // What the database says is for the operator, not for every caller.
            StoreError::Read(cause) => {
                tracing::error!(cause = %cause, "the store did not answer a read");
                "the database did not answer".to_owned()
            }
            StoreError::NotStored | StoreError::Closed => error.to_string(),
        };
        Problem { of_store: true, ..Problem::unavailable(detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if self.of_store {
            response.extensions_mut().insert(StoreFailed);
        }
        response
    }
}

/// One entry of a 422 of the unversioned routes, in the form of the original's validation errors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Invalid {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) loc: Vec<Value>,
    pub(super) msg: String,
    pub(super) input: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ctx: Option<Value>,
}

/// An answer of the unversioned routes that is not a success.
#[derive(Debug)]
pub(super) enum WireError {
    /// 422 with one entry a bad field.
    Invalid(Vec<Invalid>),
    /// `{"detail": …}`.
    Detail(StatusCode, String),
    /// A 404 that a client heals by registering.
    RegisterAgain(String),
    /// The store failed.
    Problem(Problem),
}

impl From<Invalid> for WireError {
    fn from(invalid: Invalid) -> WireError {
        WireError::Invalid(vec![invalid])
    }
}

impl From<StoreError> for WireError {
    fn from(error: StoreError) -> WireError {
        WireError::Problem(error.into())
    }
}

impl IntoResponse for WireError {
    fn into_response(self) -> Response {
        match self {
            WireError::Invalid(detail) => {
                let body = json!({ "detail": detail });
                (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
            }
            WireError::Detail(status, detail) => (status, Json(json!({ "detail": detail }))).into_response(),
            WireError::RegisterAgain(detail) => {
                let body = json!({
                    "detail": detail,
                    "hint": "not registered, or removed: register again",
                });
                (StatusCode::NOT_FOUND, Json(body)).into_response()
            }
            WireError::Problem(problem) => problem.into_response(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
