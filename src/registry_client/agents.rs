//! What anybody may ask: records with all their contributions.

use super::{Client, ClientError};
use crate::domain::agent::{CleanupRequest, CleanupResponse, RecordPage, RecordView};

/// Records of one page: as many as an answer has room for, however much each says.
const PAGE: usize = 100;

impl Client {
    /// Records of the scope in order of id, page by page, at most `most`. The flag tells that there
    /// are more.
    pub async fn records(&self, most: usize) -> Result<(Vec<RecordView>, bool), ClientError> {
        let mut records = Vec::new();
        let mut cursor: Option<String> = None;
        // A registry that never comes to an end is no registry.
        for _ in 0..most / PAGE + 2 {
            let mut url = self.server.url(&["v1", "scopes", &self.scope, "agents"]);
            url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: RecordPage = self.send(self.server.http.get(url)).await?;
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
        records.truncate(most);
        Ok((records, true))
    }

    /// One record of the scope; `None` when there is none.
    pub async fn record(&self, agent_id: &str) -> Result<Option<RecordView>, ClientError> {
        let url = self.server.url(&["v1", "scopes", &self.scope, "agents", agent_id]);
        match self.send(self.server.http.get(url)).await {
            Ok(record) => Ok(Some(record)),
            Err(ClientError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what has expired from the scope, or says what would go. One call is bounded: call
    /// again while there is more.
    pub async fn cleanup(&self, request: &CleanupRequest) -> Result<CleanupResponse, ClientError> {
        let url = self.server.url(&["v1", "scopes", &self.scope, "cleanup"]);
        self.send(self.server.http.post(url).json(request)).await
    }
}
