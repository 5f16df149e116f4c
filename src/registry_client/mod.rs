//! The registry's HTTP client: every call has a deadline, every answer a bound.

mod agents;
mod own;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::record::{
    BatchRequest, BatchResponse, RenewalRequest, RenewalResponse, SNAPSHOT_GAP, SnapshotRequest,
    SnapshotResponse,
};
use crate::web::{Server, Unread, Unusable, body, cause};

pub use own::AgentRegistration;

/// For one call, from the connection to the last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// The most bytes of an answer that are read: a page of a hundred records, each with as much metadata as
/// the registry takes, written as JSON within JSON.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How to reach a registry.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Base URL, `http` or `https`.
    pub url: String,
    /// The scope to write to.
    pub scope: String,
    /// A file with a bearer token, read at each call so that it can be rotated.
    pub token_file: Option<PathBuf>,
}

/// Why a call failed. The texts hold nothing of what the other side sent but its status.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL cannot be used.
    #[error("`{0}` is not the URL of a registry: it must begin with http:// or https://")]
    Url(String),
    /// The client cannot be made (TLS roots).
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
    /// The token file cannot be read.
    #[error("cannot read the registry token from {path}: {cause}")]
    Token {
        /// Which file.
        path: String,
        /// Why not.
        cause: String,
    },
    /// No answer.
    #[error("cannot reach the agent registry at {url}: {cause}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why not.
        cause: String,
    },
    /// An answer that says no.
    #[error("the agent registry at {url} answered {status}{hint}")]
    Refused {
        /// Where.
        url: String,
        /// HTTP status.
        status: u16,
        /// What that means.
        hint: &'static str,
    },
    /// An answer that is none.
    #[error("{url} does not answer like an agent registry: {cause}")]
    Garbage {
        /// Where.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// How the orchestrator shows itself in the registry.
#[derive(Clone, Debug, Serialize)]
pub struct OrchestratorIdentity {
    /// The source's id.
    pub orchestrator_id: String,
    /// A name for people.
    pub orchestrator_name: String,
    /// `kubernetes` or `standalone`.
    pub orchestrator_type: String,
    /// Where its API is.
    pub api_endpoint: String,
    /// How long it lives without a beat.
    pub ttl_seconds: u32,
}

impl OrchestratorIdentity {
    /// The TTL.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(u64::from(self.ttl_seconds))
    }
}

/// A client of one registry and scope; clones share connections.
#[derive(Clone)]
pub struct Client {
    server: Server,
    shown: String,
    scope: String,
    token_file: Option<PathBuf>,
}

impl Client {
    /// Checks the URL; makes no connection.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let server = Server::new(&settings.url, DEADLINE).map_err(|error| match error {
            Unusable::Url => ClientError::Url(settings.url.clone()),
            Unusable::Client(cause) => ClientError::Client(cause),
        })?;
        let (shown, scope, token_file) =
            (server.shown(), settings.scope.clone(), settings.token_file.clone());
        Ok(Client { server, shown, scope, token_file })
    }

    /// The base URL as people may see it.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// Host and port of the registry, for the target policy.
    pub fn peer(&self) -> Option<(String, u16)> {
        self.server.peer()
    }

    /// See [`BatchRequest`].
    pub async fn batch(&self, source: &str, request: &BatchRequest) -> Result<BatchResponse, ClientError> {
        self.source_call(source, "batch", request).await
    }

    /// See [`RenewalRequest`].
    pub async fn renew(
        &self,
        source: &str,
        request: &RenewalRequest,
    ) -> Result<RenewalResponse, ClientError> {
        self.source_call(source, "renewal", request).await
    }

    /// See [`SnapshotRequest`].
    pub async fn snapshot(
        &self,
        source: &str,
        request: &SnapshotRequest,
    ) -> Result<SnapshotResponse, ClientError> {
        self.source_call(source, "snapshot", request).await
    }

    /// Registers the orchestrator itself.
    pub async fn announce(&self, identity: &OrchestratorIdentity) -> Result<(), ClientError> {
        let request = self.server.http.post(self.server.url(&["orchestrator", "register"])).json(identity);
        self.send::<serde_json::Value>(request).await.map(drop)
    }

    /// One heartbeat of the orchestrator; false when the registry does not know it.
    pub async fn beat(&self, identity: &OrchestratorIdentity) -> Result<bool, ClientError> {
        let url = self.server.url(&["orchestrator", &identity.orchestrator_id, "heartbeat"]);
        match self.send::<serde_json::Value>(self.server.http.post(url)).await {
            Ok(_) => Ok(true),
            Err(ClientError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the orchestrator out of the registry.
    pub async fn leave(&self, identity: &OrchestratorIdentity) -> Result<(), ClientError> {
        let url = self.server.url(&["orchestrators", &identity.orchestrator_id]);
        self.send::<serde_json::Value>(self.server.http.delete(url)).await.map(drop)
    }

    async fn source_call<Q: Serialize, A: DeserializeOwned>(
        &self,
        source: &str,
        call: &str,
        request: &Q,
    ) -> Result<A, ClientError> {
        let url = self.server.url(&["v1", "scopes", &self.scope, "sources", source, call]);
        self.send(self.server.http.post(url).json(request)).await
    }

    async fn send<A: DeserializeOwned>(
        &self,
        mut request: reqwest::RequestBuilder,
    ) -> Result<A, ClientError> {
        if let Some(path) = &self.token_file {
            let token = tokio::fs::read_to_string(path)
                .await
                .map_err(|e| ClientError::Token { path: path.display().to_string(), cause: e.to_string() })?;
            request = request.bearer_auth(token.trim());
        }
        let url = || self.shown.clone();
        let mut response =
            request.send().await.map_err(|e| ClientError::Unreachable { url: url(), cause: cause(&e) })?;
        let status = response.status();
        if status == 404 && !says(&mut response, "\"detail\"").await {
            let cause = "it does not know this call (404)".to_owned();
            return Err(ClientError::Garbage { url: url(), cause });
        }
        if !status.is_success() {
            let hint = match status.as_u16() {
                401 | 403 => ": it wants another token (--registry-token-file)",
                404 => ": it does not know this call; is it a configurable-agents registry of this version?",
                409 if says(&mut response, SNAPSHOT_GAP).await => {
                    ": a page of the snapshot was lost; it starts again"
                }
                409 => ": a newer orchestrator writes for this source",
                413 => ": the request is too large",
                _ => "",
            };
            return Err(ClientError::Refused { url: url(), status: status.as_u16(), hint });
        }
        let garbage = |cause: String| ClientError::Garbage { url: url(), cause };
        let body = body(&mut response, MAX_ANSWER).await.map_err(|error| match error {
            Unread::Broken(cause) => ClientError::Unreachable { url: url(), cause },
            Unread::TooLarge(_) => garbage(error.to_string()),
        })?;
        serde_json::from_slice(&body).map_err(|e| {
            garbage(format!("not the JSON that was expected (line {}, column {})", e.line(), e.column()))
        })
    }
}

/// Does the first part of a refusal name this problem?
async fn says(response: &mut reqwest::Response, problem: &str) -> bool {
    matches!(response.chunk().await, Ok(Some(chunk)) if String::from_utf8_lossy(&chunk).contains(problem))
}
