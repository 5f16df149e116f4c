//! What anybody may ask: records with all their contributions.

use super::{Client, ClientError};
use crate::domain::agent::{RecordPage, RecordView};

/// Records of one page; the registry's own bound is 500.
const PAGE: usize = 500;

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
}
