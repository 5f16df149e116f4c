//! Orchestrators' contributions: batches, item by item.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{FromRow, SqliteConnection};

use super::connection::Connection;
use super::draft::{Change, Draft, Held, Submitted};
use super::sources::{Refusal, Source, parse_digest};
use super::{Store, StoreError};
use crate::domain::record::{BatchResponse, Contribution, Digest, Item, Stamp};

#[derive(FromRow)]
struct HeldRow {
    agent_id: String,
    source: String,
    digest: String,
    document: String,
    ttl_seconds: i64,
    created_at: i64,
    lease_at: i64,
    source_renewed_at: i64,
}

/// The `SELECT` of [`HeldRow`], up to the ids.
macro_rules! select_held {
    ($ids:literal) => {
        concat!(
            "SELECT c.agent_id, c.source, c.digest, c.document, c.ttl_seconds, c.created_at, \
             c.lease_at, s.renewed_at AS source_renewed_at FROM orchestrator_contributions c \
             JOIN sources s ON s.scope = c.scope AND s.source = c.source \
             WHERE c.scope = $1 AND c.agent_id ",
            $ids
        )
    };
}

/// What writing a contribution replaces: everything.
macro_rules! on_conflict {
    () => {
        "ON CONFLICT (scope, agent_id) DO UPDATE SET source = excluded.source, \
         digest = excluded.digest, document = excluded.document, evidence = excluded.evidence, \
         ttl_seconds = excluded.ttl_seconds, created_at = excluded.created_at, \
         renewed_at = excluded.renewed_at, lease_at = excluded.lease_at, \
         snapshot_mark = excluded.snapshot_mark"
    };
}

impl Store {
    /// Applies the changes of one batch, each for itself, in one transaction with its stamp.
    pub async fn apply_batch(
        &self,
        scope: &str,
        source: &str,
        stamp: Stamp,
        upserts: Vec<Submitted>,
        withdrawals: Vec<String>,
    ) -> Result<Result<BatchResponse, Refusal>, StoreError> {
        let batch = Arc::new(Batch { upserts, withdrawals });
        let key = (scope.to_owned(), source.to_owned());
        self.writer
            .run(move |connection, now| {
                let (key, batch) = (key.clone(), Arc::clone(&batch));
                Box::pin(async move { apply(connection, &key.0, &key.1, stamp, &batch, now).await })
            })
            .await
    }
}

struct Batch {
    upserts: Vec<Submitted>,
    withdrawals: Vec<String>,
}

async fn apply(
    connection: &mut Connection,
    scope: &str,
    source: &str,
    stamp: Stamp,
    batch: &Batch,
    now: i64,
) -> Result<Result<BatchResponse, Refusal>, sqlx::Error> {
    let source = match Source::enter(connection, scope, source, stamp).await? {
        Ok(source) => source,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // The contributions refer to the row.
    source.save(connection).await?;
    let ids =
        batch.upserts.iter().map(Submitted::agent_id).chain(batch.withdrawals.iter().map(String::as_str));
    let held = find(connection, scope, ids).await?;
    let mut draft = Draft::new(source, held, now);
    let mut results: Vec<_> = batch.upserts.iter().map(|submitted| draft.upsert(submitted)).collect();
    results.extend(batch.withdrawals.iter().map(|agent_id| draft.withdraw(agent_id)));
    let source = write(connection, draft, now).await?;
    source.save(connection).await?;
    Ok(Ok(BatchResponse { results, held: source.holdings }))
}

/// What is held of these ids, by whichever source.
pub(super) async fn find(
    connection: &mut Connection,
    scope: &str,
    ids: impl Iterator<Item = &str>,
) -> Result<BTreeMap<String, Held>, sqlx::Error> {
    // PostgreSQL has no word for a text with a zero byte, and neither store holds one.
    let ids: BTreeSet<&str> = ids.filter(|id| !id.contains('\0')).collect();
    let rows: Vec<HeldRow> = match connection {
        Connection::Sqlite(connection) => {
            let ids = serde_json::to_string(&ids).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
            sqlx::query_as(select_held!("IN (SELECT value FROM json_each($2))"))
                .bind(scope)
                .bind(ids)
                .fetch_all(connection)
                .await?
        }
        Connection::Postgres(connection) => {
            let ids: Vec<&str> = ids.into_iter().collect();
            sqlx::query_as(select_held!("= ANY($2)")).bind(scope).bind(ids).fetch_all(connection).await?
        }
    };
    rows.into_iter()
        .map(|row| {
            let held = Held {
                source: row.source,
                digest: parse_digest(&row.digest)?,
                document: row.document,
                ttl_seconds: row.ttl_seconds,
                created_at: row.created_at,
                lease_at: row.lease_at,
                source_renewed_at: row.source_renewed_at,
            };
            Ok((row.agent_id, held))
        })
        .collect()
}

/// Writes what the draft has noted, all but its source, which comes back.
pub(super) async fn write(
    connection: &mut Connection,
    draft: Draft<'_>,
    now: i64,
) -> Result<Source, sqlx::Error> {
    let Draft { source, changes, taken, .. } = draft;
    let mut former: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
    for (from, digest) in taken {
        former.entry(from).or_default().push(digest);
    }
    for (from, digests) in former {
        take_from(connection, &source.scope, &from, &digests).await?;
    }
    match connection {
        Connection::Sqlite(connection) => write_each(connection, &source, &changes, now).await?,
        Connection::Postgres(connection) => write_all(connection, &source, &changes, now).await?,
    }
    Ok(source)
}

async fn write_each(
    connection: &mut SqliteConnection,
    source: &Source,
    changes: &BTreeMap<String, Change<'_>>,
    now: i64,
) -> Result<(), sqlx::Error> {
    for (agent_id, change) in changes {
        let query = match change {
            Change::Remove => {
                sqlx::query("DELETE FROM orchestrator_contributions WHERE scope = $1 AND agent_id = $2")
                    .bind(&source.scope)
                    .bind(agent_id)
            }
            Change::Mark => sqlx::query(
                "UPDATE orchestrator_contributions SET snapshot_mark = $3 \
                 WHERE scope = $1 AND agent_id = $2",
            )
            .bind(&source.scope)
            .bind(agent_id)
            .bind(source.snapshot.mark),
            Change::Renew => sqlx::query(
                "UPDATE orchestrator_contributions SET renewed_at = $4, lease_at = $4, \
                 snapshot_mark = $3 WHERE scope = $1 AND agent_id = $2",
            )
            .bind(&source.scope)
            .bind(agent_id)
            .bind(source.snapshot.mark)
            .bind(now),
            Change::Write { item, created_at } => sqlx::query(concat!(
                "INSERT INTO orchestrator_contributions (scope, agent_id, source, digest, document, \
                 evidence, ttl_seconds, created_at, renewed_at, lease_at, snapshot_mark) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) ",
                on_conflict!()
            ))
            .bind(&source.scope)
            .bind(agent_id)
            .bind(&source.id)
            .bind(item.digest.to_string())
            .bind(document(item)?)
            .bind(evidence(&item.contribution))
            .bind(i64::from(item.contribution.ttl_seconds))
            .bind(*created_at)
            .bind(now)
            .bind(source.snapshot.mark),
        };
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// One statement a kind of change, however many they are.
async fn write_all(
    connection: &mut PgConnection,
    source: &Source,
    changes: &BTreeMap<String, Change<'_>>,
    now: i64,
) -> Result<(), sqlx::Error> {
    let of = |kind: fn(&Change<'_>) -> bool| -> Vec<&str> {
        changes.iter().filter(|(_, change)| kind(change)).map(|(id, _)| id.as_str()).collect()
    };
    for (statement, ids) in [
        (
            "DELETE FROM orchestrator_contributions \
             WHERE scope = $1 AND agent_id = ANY($2) AND $3 = $3 AND $4 = $4",
            of(|change| matches!(change, Change::Remove)),
        ),
        (
            "UPDATE orchestrator_contributions SET snapshot_mark = $3 \
             WHERE scope = $1 AND agent_id = ANY($2) AND $4 = $4",
            of(|change| matches!(change, Change::Mark)),
        ),
        (
            "UPDATE orchestrator_contributions SET renewed_at = $4, lease_at = $4, \
             snapshot_mark = $3 WHERE scope = $1 AND agent_id = ANY($2)",
            of(|change| matches!(change, Change::Renew)),
        ),
    ] {
        if !ids.is_empty() {
            sqlx::query(statement)
                .bind(&source.scope)
                .bind(ids)
                .bind(source.snapshot.mark)
                .bind(now)
                .execute(&mut *connection)
                .await?;
        }
    }
    let written: Vec<(&Item, i64)> = changes
        .values()
        .filter_map(|change| match change {
            Change::Write { item, created_at } => Some((*item, *created_at)),
            _ => None,
        })
        .collect();
    if written.is_empty() {
        return Ok(());
    }
    let said = || written.iter().map(|(item, _)| &item.contribution);
    let documents = written.iter().map(|(item, _)| document(item)).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(concat!(
        "INSERT INTO orchestrator_contributions (scope, agent_id, source, digest, document, \
         evidence, ttl_seconds, created_at, renewed_at, lease_at, snapshot_mark) \
         SELECT $1, agent_id, $2, digest, document, evidence, ttl_seconds, created_at, $3, $3, $4 \
         FROM unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[]) \
         AS said (agent_id, digest, document, evidence, ttl_seconds, created_at) ",
        on_conflict!()
    ))
    .bind(&source.scope)
    .bind(&source.id)
    .bind(now)
    .bind(source.snapshot.mark)
    .bind(said().map(|said| said.agent_id.as_str()).collect::<Vec<_>>())
    .bind(written.iter().map(|(item, _)| item.digest.to_string()).collect::<Vec<_>>())
    .bind(documents)
    .bind(said().map(evidence).collect::<Vec<_>>())
    .bind(said().map(|said| i64::from(said.ttl_seconds)).collect::<Vec<_>>())
    .bind(written.iter().map(|(_, created_at)| *created_at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Contributions go without their source's doing: its sum no longer has them, and by that it is
/// told to say them again if it comes back.
pub(super) async fn take_from(
    connection: &mut Connection,
    scope: &str,
    source: &str,
    digests: &[Digest],
) -> Result<(), sqlx::Error> {
    if let Some(mut former) = Source::load(connection, scope, source).await? {
        for digest in digests {
            former.take_out(*digest);
        }
        former.save(connection).await?;
    }
    Ok(())
}

/// As [`take_from`], for rows of many sources: scope, source and digest of each.
pub(super) async fn take_from_all(
    connection: &mut Connection,
    gone: &[(String, String, String)],
) -> Result<(), sqlx::Error> {
    let mut of_source: BTreeMap<(&str, &str), Vec<Digest>> = BTreeMap::new();
    for (scope, source, digest) in gone {
        of_source.entry((scope, source)).or_default().push(parse_digest(digest)?);
    }
    for ((scope, source), digests) in of_source {
        take_from(connection, scope, source, &digests).await?;
    }
    Ok(())
}

fn document(item: &Item) -> Result<String, sqlx::Error> {
    serde_json::to_string(&item.contribution).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

fn evidence(contribution: &Contribution) -> i64 {
    i64::from(contribution.is_evidence()) - i64::from(contribution.is_counter_evidence())
}
