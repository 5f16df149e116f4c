//! What time does to records: fresh leases after a start, and reaping long after expiry.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::contributions::take_from;
use super::sources::parse_digest;
use super::{Store, StoreError};

/// Rows that one transaction reaps: it must not make beats wait.
const BATCH: i64 = 500;

/// How many rows one round of reaping removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Agents' own contributions.
    pub agents: u64,
    /// Orchestrators' contributions.
    pub contributions: u64,
    /// Orchestrators' registrations.
    pub orchestrators: u64,
}

impl Reaped {
    /// All of them.
    pub fn total(self) -> u64 {
        self.agents + self.contributions + self.orchestrators
    }
}

impl Store {
    /// Gives one whole fresh TTL to everything that was alive when the registry last ran: nobody
    /// could renew while it was down. What had expired by then stays expired. Times of beats and
    /// renewals stay as they are.
    pub async fn grant_fresh_leases(&self) -> Result<(), StoreError> {
        let now = self.now_ms();
        self.writer.run(move |connection| Box::pin(grant_fresh_leases(connection, now))).await
    }

    /// Notes that the registry runs; what it notes at the next start decides who was alive.
    pub async fn note_running(&self) -> Result<(), StoreError> {
        let now = self.now_ms();
        self.writer.run(move |connection| Box::pin(note_running(connection, now))).await
    }

    /// Removes a bounded number of contributions and registrations that expired longer ago than
    /// `after`. Call it again while it removes anything.
    pub async fn reap(&self, after: Duration) -> Result<Reaped, StoreError> {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let expired_before = self.now_ms().saturating_sub(after);
        self.writer.run(move |connection| Box::pin(reap(connection, expired_before))).await
    }
}

async fn grant_fresh_leases(connection: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let last_running: i64 = sqlx::query_scalar("SELECT last_running_at FROM registry_state WHERE id = 1")
        .fetch_one(&mut *connection)
        .await?;
    // A lease from the future comes from a wall clock that has gone back since.
    for statement in [
        "UPDATE agent_contributions SET lease_at = $1 \
         WHERE lease_at + ttl_seconds * 1000 > $2 OR lease_at > $1",
        "UPDATE orchestrator_registrations SET lease_at = $1 \
         WHERE lease_at + ttl_seconds * 1000 > $2 OR lease_at > $1",
        "UPDATE orchestrator_contributions SET lease_at = $1 \
         WHERE lease_at + ttl_seconds * 1000 > $2 OR lease_at > $1 OR EXISTS (SELECT 1 \
         FROM sources s WHERE s.scope = orchestrator_contributions.scope \
         AND s.source = orchestrator_contributions.source \
         AND s.renewed_at + orchestrator_contributions.ttl_seconds * 1000 > $2)",
        "UPDATE sources SET renewed_at = $1 WHERE renewed_at > $1 AND $2 = $2",
    ] {
        sqlx::query(statement).bind(now).bind(last_running).execute(&mut *connection).await?;
    }
    note_running(connection, now).await
}

async fn note_running(connection: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE registry_state SET last_running_at = $1 WHERE id = 1")
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

async fn reap(connection: &mut SqliteConnection, expired_before: i64) -> Result<Reaped, sqlx::Error> {
    let agents = sqlx::query(
        "DELETE FROM agent_contributions WHERE ordinal IN (SELECT ordinal \
         FROM agent_contributions WHERE lease_at + ttl_seconds * 1000 <= $1 LIMIT $2)",
    )
    .bind(expired_before)
    .bind(BATCH)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let orchestrators = sqlx::query(
        "DELETE FROM orchestrator_registrations WHERE ordinal IN (SELECT ordinal \
         FROM orchestrator_registrations WHERE lease_at + ttl_seconds * 1000 <= $1 LIMIT $2)",
    )
    .bind(expired_before)
    .bind(BATCH)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let contributions: Vec<(String, String, String)> = sqlx::query_as(
        "DELETE FROM orchestrator_contributions WHERE (scope, agent_id) IN (SELECT c.scope, \
         c.agent_id FROM orchestrator_contributions c \
         JOIN sources s ON s.scope = c.scope AND s.source = c.source \
         WHERE c.lease_at + c.ttl_seconds * 1000 <= $1 \
         AND s.renewed_at + c.ttl_seconds * 1000 <= $1 LIMIT $2) \
         RETURNING scope, source, digest",
    )
    .bind(expired_before)
    .bind(BATCH)
    .fetch_all(&mut *connection)
    .await?;
    for (scope, source, digest) in &contributions {
        take_from(connection, scope, source, parse_digest(digest)?).await?;
    }
    // A source that says nothing any more; a stamp is worth nothing without what it guarded.
    sqlx::query(
        "DELETE FROM sources WHERE (scope, source) IN (SELECT s.scope, s.source FROM sources s \
         WHERE s.held = 0 AND s.renewed_at <= $1 LIMIT $2)",
    )
    .bind(expired_before)
    .bind(BATCH)
    .execute(&mut *connection)
    .await?;
    Ok(Reaped { agents, contributions: contributions.len() as u64, orchestrators })
}
