//! What time does to records: fresh leases after a start, and reaping long after expiry.

use std::time::Duration;

use super::connection::{Connection, on};
use super::contributions::take_from_all;
use super::writer::Work;
use super::{Store, StoreError};

/// Rows that one transaction reaps: it must not make beats wait.
const BATCH: i64 = 500;

/// A registry notes that it runs every 10 s. With a longer gap nobody ran, or nobody could write.
const GAP_MS: i64 = 25_000;
/// Clocks of two servers may differ by so much.
const SKEW_MS: i64 = 5_000;

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
    /// Begins to serve: see [`resume`], which runs now, and again whenever the database was away.
    pub async fn serve(&self) -> Result<(), StoreError> {
        self.writer.ask(Work::Serve).await
    }

    /// Notes that the registry runs; what it notes decides who was alive, should it stop.
    pub async fn note_running(&self) -> Result<(), StoreError> {
        self.writer.run(move |connection, now| Box::pin(note_running(connection, now))).await
    }

    /// Removes a bounded number of contributions and registrations that expired longer ago than
    /// `after`. Call it again while it removes anything.
    pub async fn reap(&self, after: Duration) -> Result<Reaped, StoreError> {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        self.writer.run(move |connection, now| Box::pin(reap(connection, now.saturating_sub(after)))).await
    }
}

/// Gives one whole fresh TTL to everything that was alive when a registry last ran, if none did
/// since: nobody could renew meanwhile. What had expired by then stays expired. Times of beats and
/// renewals stay as they are.
///
/// `first` is the start of the only registry. Otherwise the time since the last note tells whether
/// one ran; a note from the future comes from a clock that has gone back since.
pub(super) async fn resume(connection: &mut Connection, now: i64, first: bool) -> Result<(), sqlx::Error> {
    let last_running: i64 = on!(&mut *connection, c => {
        sqlx::query_scalar("SELECT last_running_at FROM registry_state WHERE id = 1").fetch_one(c).await?
    });
    if first || !(-SKEW_MS..=GAP_MS).contains(&(now - last_running)) {
        grant_fresh_leases(connection, now, last_running).await?;
    }
    note_running(connection, now).await
}

async fn grant_fresh_leases(
    connection: &mut Connection,
    now: i64,
    last_running: i64,
) -> Result<(), sqlx::Error> {
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
        on!(&mut *connection, c => {
            sqlx::query(statement).bind(now).bind(last_running).execute(c).await?;
        });
    }
    Ok(())
}

async fn note_running(connection: &mut Connection, now: i64) -> Result<(), sqlx::Error> {
    on!(connection, c => {
        let statement = "UPDATE registry_state SET last_running_at = $1 WHERE id = 1";
        sqlx::query(statement).bind(now).execute(c).await.map(drop)
    })
}

async fn reap(connection: &mut Connection, expired_before: i64) -> Result<Reaped, sqlx::Error> {
    let mut removed = [0, 0];
    for (count, statement) in removed.iter_mut().zip([
        "DELETE FROM agent_contributions WHERE ordinal IN (SELECT ordinal \
         FROM agent_contributions WHERE lease_at + ttl_seconds * 1000 <= $1 LIMIT $2)",
        "DELETE FROM orchestrator_registrations WHERE ordinal IN (SELECT ordinal \
         FROM orchestrator_registrations WHERE lease_at + ttl_seconds * 1000 <= $1 LIMIT $2)",
    ]) {
        *count = on!(&mut *connection, c => {
            sqlx::query(statement).bind(expired_before).bind(BATCH).execute(c).await?.rows_affected()
        });
    }
    let contributions: Vec<(String, String, String)> = on!(&mut *connection, c => {
        sqlx::query_as(
            "DELETE FROM orchestrator_contributions WHERE (scope, agent_id) IN (SELECT c.scope, \
             c.agent_id FROM orchestrator_contributions c \
             JOIN sources s ON s.scope = c.scope AND s.source = c.source \
             WHERE c.lease_at + c.ttl_seconds * 1000 <= $1 \
             AND s.renewed_at + c.ttl_seconds * 1000 <= $1 LIMIT $2) \
             RETURNING scope, source, digest",
        )
        .bind(expired_before)
        .bind(BATCH)
        .fetch_all(c)
        .await?
    });
    take_from_all(connection, &contributions).await?;
    let [agents, orchestrators] = removed;
    Ok(Reaped { agents, orchestrators, contributions: contributions.len() as u64 })
}
