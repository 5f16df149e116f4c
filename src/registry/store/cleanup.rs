//! Removal of what has expired, when somebody asks for it: before its time to be reaped.

use std::collections::BTreeSet;
use std::time::Duration;

use super::connection::{Connection, on};
use super::contributions::take_from_all;
use super::{Store, StoreError};
use crate::domain::agent::CleanupResponse;

/// Rows of each kind that one call removes: it must not make beats wait.
const BATCH: i64 = 500;
/// Ids that are told of what would go.
const SHOWN: usize = 10_000;

/// A registry that has not noted that it runs for this long does not.
const STOPPED_AFTER_MS: i64 = 30_000;

impl Store {
    /// The time that expiry is judged by from outside the registry's process: now while it runs, and
    /// when it last ran while it does not. What was alive then gets a fresh lease at its next start.
    pub async fn judged_at(&self) -> Result<i64, StoreError> {
        let reader = self.readers.acquire().await?;
        let last: i64 = reader
            .read(|connection| {
                Box::pin(async move {
                    let statement = "SELECT last_running_at FROM registry_state WHERE id = 1";
                    on!(connection, c => sqlx::query_scalar(statement).fetch_one(c).await)
                })
            })
            .await?;
        let now = self.now_ms();
        Ok(if (0..=STOPPED_AFTER_MS).contains(&(now - last)) { now } else { last })
    }

    /// Removes contributions of a scope whose lease ended at least `older` before `at`: agents' own
    /// and orchestrators', each on its own. What is alive stays, in the same record too.
    pub async fn cleanup(
        &self,
        scope: &str,
        at: i64,
        older: Duration,
        dry_run: bool,
    ) -> Result<CleanupResponse, StoreError> {
        let before = at.saturating_sub(i64::try_from(older.as_millis()).unwrap_or(i64::MAX));
        let scope = scope.to_owned();
        if dry_run {
            let reader = self.readers.acquire().await?;
            return reader.read(move |connection| Box::pin(expired(connection, scope, before))).await;
        }
        self.writer.run(move |connection, _| Box::pin(remove(connection, scope.clone(), before))).await
    }
}

async fn expired(
    connection: &mut Connection,
    scope: String,
    before: i64,
) -> Result<CleanupResponse, sqlx::Error> {
    let mut agents: Vec<String> = on!(connection, c => {
        sqlx::query_scalar(
            "SELECT agent_id FROM agent_contributions WHERE scope = $1 AND lease_at + ttl_seconds * 1000 <= $2 \
             UNION SELECT c.agent_id FROM orchestrator_contributions c \
             JOIN sources s ON s.scope = c.scope AND s.source = c.source \
             WHERE c.scope = $1 AND c.lease_at + c.ttl_seconds * 1000 <= $2 \
             AND s.renewed_at + c.ttl_seconds * 1000 <= $2 ORDER BY 1 LIMIT $3",
        )
        .bind(scope)
        .bind(before)
        .bind(i64::try_from(SHOWN + 1).unwrap_or(i64::MAX))
        .fetch_all(c)
        .await?
    });
    let more = agents.len() > SHOWN;
    agents.truncate(SHOWN);
    Ok(CleanupResponse { agents, more })
}

async fn remove(
    connection: &mut Connection,
    scope: String,
    before: i64,
) -> Result<CleanupResponse, sqlx::Error> {
    let own: Vec<String> = on!(&mut *connection, c => {
        sqlx::query_scalar(
            "DELETE FROM agent_contributions WHERE ordinal IN (SELECT ordinal FROM agent_contributions \
             WHERE scope = $1 AND lease_at + ttl_seconds * 1000 <= $2 LIMIT $3) RETURNING agent_id",
        )
        .bind(&scope)
        .bind(before)
        .bind(BATCH)
        .fetch_all(c)
        .await?
    });
    let said: Vec<(String, String, String)> = on!(&mut *connection, c => {
        sqlx::query_as(
            "DELETE FROM orchestrator_contributions WHERE (scope, agent_id) IN (SELECT c.scope, \
             c.agent_id FROM orchestrator_contributions c \
             JOIN sources s ON s.scope = c.scope AND s.source = c.source \
             WHERE c.scope = $1 AND c.lease_at + c.ttl_seconds * 1000 <= $2 \
             AND s.renewed_at + c.ttl_seconds * 1000 <= $2 LIMIT $3) RETURNING agent_id, source, digest",
        )
        .bind(&scope)
        .bind(before)
        .bind(BATCH)
        .fetch_all(c)
        .await?
    });
    let full = usize::try_from(BATCH).unwrap_or(usize::MAX);
    let more = own.len() == full || said.len() == full;
    let (ids, gone): (Vec<_>, Vec<_>) =
        said.into_iter().map(|(id, source, digest)| (id, (scope.clone(), source, digest))).unzip();
    // The source is told by the digest that it should say it again, if it comes back.
    take_from_all(connection, &gone).await?;
    let agents: BTreeSet<String> = own.into_iter().chain(ids).collect();
    Ok(CleanupResponse { agents: agents.into_iter().collect(), more })
}
