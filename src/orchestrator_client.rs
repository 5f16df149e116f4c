//! The client of an orchestrator's read-only API: every call has a deadline, every answer a bound.

use std::time::Duration;

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::EndpointId;
use crate::view::System;
use crate::web::{Server, Unread, Unusable, body, cause};

/// For one call, from the connection to the last byte.
const DEADLINE: Duration = Duration::from_secs(10);
/// The most bytes of an answer that are read: a page of 500 objects at their largest is smaller.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Endpoints that are read at most.
const MAX_ENDPOINTS: usize = 100_000;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum OrchestratorError {
    /// The URL cannot be used.
    #[error("`{0}` is not the URL of an orchestrator: it must begin with http:// or https://")]
    Url(String),
    /// The client cannot be made (TLS roots).
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
    /// No answer.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that says no.
    #[error("it answered {status}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Refused {
        /// HTTP status.
        status: u16,
        /// What its problem document says, shortened.
        detail: String,
    },
    /// An answer that is none.
    #[error("it does not answer like an orchestrator: {0}")]
    Garbage(String),
}

/// A client of one orchestrator.
#[derive(Clone)]
pub struct OrchestratorClient {
    server: Server,
}

impl OrchestratorClient {
    /// Checks the URL; makes no connection.
    pub fn new(url: &str) -> Result<Self, OrchestratorError> {
        let server = Server::new(url, DEADLINE).map_err(|error| match error {
            Unusable::Url => OrchestratorError::Url(url.to_owned()),
            Unusable::Client(cause) => OrchestratorError::Client(cause),
        })?;
        Ok(OrchestratorClient { server })
    }

    /// The base URL as people may see it: without credentials.
    pub fn url(&self) -> String {
        self.server.shown()
    }

    /// The orchestrator as a whole.
    pub async fn system(&self) -> Result<System, OrchestratorError> {
        self.get(self.server.url(&["api", "v1", "status"])).await
    }

    /// One object as it is; `None` when there is none.
    pub async fn endpoint(&self, id: &EndpointId) -> Result<Option<Value>, OrchestratorError> {
        match self.get(self.server.url(&["api", "v1", "endpoints", &id.namespace, &id.name])).await {
            Err(OrchestratorError::Refused { status: 404 | 410, .. }) => Ok(None),
            Ok(Value::Object(object)) if object.contains_key("metadata") => Ok(Some(Value::Object(object))),
            Ok(_) => Err(OrchestratorError::Garbage("no object".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Every object that the parameters of the list ask for, in order of namespace and name.
    pub async fn endpoints(&self, parameters: &[(&str, &str)]) -> Result<Vec<Value>, OrchestratorError> {
        let mut objects: Vec<Value> = Vec::new();
        let mut token = String::new();
        // An orchestrator that never comes to an end is none.
        for _ in 0..MAX_ENDPOINTS / 500 + 2 {
            let mut url = self.server.url(&["api", "v1", "endpoints"]);
            url.query_pairs_mut().extend_pairs(parameters).append_pair("limit", "500");
            if !token.is_empty() {
                url.query_pairs_mut().append_pair("continue", &token);
            }
            let mut page: Value = self.get(url).await?;
            let next = page.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default();
            let (next, known) = (next.to_owned(), token);
            match page.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => objects.extend(items),
                _ => return Err(OrchestratorError::Garbage("a list without items".to_owned())),
            }
            if next.is_empty() || next == known {
                return Ok(objects);
            }
            if objects.len() >= MAX_ENDPOINTS {
                return Err(OrchestratorError::Garbage(format!("more than {MAX_ENDPOINTS} endpoints")));
            }
            token = next;
        }
        Err(OrchestratorError::Garbage("a list without an end".to_owned()))
    }

    async fn get<A: DeserializeOwned>(&self, url: Url) -> Result<A, OrchestratorError> {
        let sent = self.server.http.get(url).send().await;
        let mut response = sent.map_err(|e| OrchestratorError::Unreachable(cause(&e)))?;
        let status = response.status();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let problem = kind.is_some_and(|kind| kind.starts_with("application/problem+json"));
        if matches!(status.as_u16(), 404 | 410) && !problem {
            // Only the orchestrator's own word says that something is not there.
            return Err(OrchestratorError::Garbage(format!("it does not know this call ({status})")));
        }
        let body = body(&mut response, MAX_ANSWER).await.map_err(|error| match error {
            Unread::Broken(cause) => OrchestratorError::Unreachable(cause),
            Unread::TooLarge(_) => OrchestratorError::Garbage(error.to_string()),
        })?;
        if !status.is_success() {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            let detail = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
            let detail = detail.chars().take(300).collect();
            return Err(OrchestratorError::Refused { status: status.as_u16(), detail });
        }
        serde_json::from_slice(&body).map_err(|e| {
            let place = format!("line {}, column {}", e.line(), e.column());
            OrchestratorError::Garbage(format!("not the JSON that was expected ({place})"))
        })
    }
}
