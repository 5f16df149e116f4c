//! What anybody may ask: records with all their contributions; and what an agent says of itself.

use serde::Serialize;

use super::{Client, ClientError};
use crate::domain::agent::{CleanupRequest, CleanupResponse, RecordPage, RecordView};

/// Records of one page; the registry's own bound is 500.
const PAGE: usize = 500;

/// What an agent registers itself with.
#[derive(Clone, Debug, Serialize)]
pub struct AgentRegistration {
    /// Its id.
    pub agent_id: String,
    /// A name for people.
    pub agent_name: String,
    /// Where it listens.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// How long one beat keeps it alive.
    pub ttl_seconds: u32,
    /// The JSON text of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

impl Client {
    /// Records of the scope in order of id, page by page, at most `most`. The flag tells that there
    /// are more.
    pub async fn records(&self, most: usize) -> Result<(Vec<RecordView>, bool), ClientError> {
        let mut records = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = self.path(&["v1", "scopes", &self.scope, "agents"])?;
            url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: RecordPage = self.send(self.http.get(url)).await?;
            records.extend(page.items);
            match page.next_cursor {
                Some(next) if records.len() < most && cursor.as_ref() != Some(&next) => cursor = Some(next),
                next => {
                    let more = next.is_some() || records.len() > most;
                    records.truncate(most);
                    return Ok((records, more));
                }
            }
        }
    }

    /// One record of the scope; `None` when there is none.
    pub async fn record(&self, agent_id: &str) -> Result<Option<RecordView>, ClientError> {
        let url = self.path(&["v1", "scopes", &self.scope, "agents", agent_id])?;
        found(self.send(self.http.get(url)).await)
    }

    /// Registers an agent in the default scope, as it would do by itself.
    pub async fn register(&self, agent: &AgentRegistration) -> Result<(), ClientError> {
        let request = self.http.post(self.path(&["agents", "register"])?).json(agent);
        self.send::<serde_json::Value>(request).await.map(drop)
    }

    /// Takes an agent's own contribution out of the default scope; false when it has none.
    pub async fn deregister(&self, agent_id: &str) -> Result<bool, ClientError> {
        let url = self.path(&["agents", agent_id])?;
        found(self.send::<serde_json::Value>(self.http.delete(url)).await).map(|answer| answer.is_some())
    }

    /// Removes what has expired from the scope, or says what would go. One call is bounded: call
    /// again while there is more.
    pub async fn cleanup(&self, request: &CleanupRequest) -> Result<CleanupResponse, ClientError> {
        let url = self.path(&["v1", "scopes", &self.scope, "cleanup"])?;
        self.send(self.http.post(url).json(request)).await
    }
}

fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(ClientError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
