//! Orchestrators' contributions: batches, item by item.

use sqlx::{FromRow, SqliteConnection};

use super::sources::{Refusal, Source, parse_digest};
use super::{Store, StoreError};
use crate::domain::record::{BatchResponse, Contribution, Digest, Item, ItemOutcome, ItemResult, Stamp};

/// One item as it came in: the request is not refused for one bad item.
#[derive(Clone, Debug)]
pub enum Submitted {
    /// Within all bounds.
    Valid(Box<Item>),
    /// Not acceptable.
    Invalid {
        /// The id, as far as it can be read.
        agent_id: String,
        /// Why.
        message: String,
    },
}

#[derive(FromRow)]
struct Held {
    source: String,
    digest: String,
    document: String,
    ttl_seconds: i64,
    lease_at: i64,
    source_renewed_at: i64,
}

impl Held {
    fn is_live(&self, now: i64) -> bool {
        self.lease_at.max(self.source_renewed_at) + self.ttl_seconds * 1000 > now
    }
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
        let (scope, source, now) = (scope.to_owned(), source.to_owned(), self.now_ms());
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    let mut source = match Source::enter(connection, &scope, &source, stamp).await? {
                        Ok(source) => source,
                        Err(refusal) => return Ok(Err(refusal)),
                    };
                    // The contributions refer to the row.
                    source.save(connection).await?;
                    let mut results = Vec::with_capacity(upserts.len() + withdrawals.len());
                    for submitted in upserts {
                        results.push(upsert(connection, &mut source, submitted, now).await?);
                    }
                    for agent_id in withdrawals {
                        results.push(withdraw(connection, &mut source, agent_id).await?);
                    }
                    source.save(connection).await?;
                    Ok(Ok(BatchResponse { results, held: source.holdings }))
                })
            })
            .await
    }
}

/// Makes, replaces or renews one contribution. It gets the mark of the source's latest snapshot:
/// what a source said during a snapshot is newer than the list that the snapshot was made from.
pub(super) async fn upsert(
    connection: &mut SqliteConnection,
    source: &mut Source,
    submitted: Submitted,
    now: i64,
) -> Result<ItemResult, sqlx::Error> {
    let item = match submitted {
        Submitted::Valid(item) => item,
        Submitted::Invalid { agent_id, message } => {
            // Nothing is changed, so a snapshot with this item must not withdraw the old one.
            retain(connection, source, &agent_id).await?;
            return Ok(refused(agent_id, ItemOutcome::Rejected, message));
        }
    };
    let agent_id = item.contribution.agent_id.clone();
    let held = find(connection, &source.scope, &agent_id).await?;
    let mut first_said = true;
    if let Some(held) = held {
        let digest = parse_digest(&held.digest)?;
        if held.source != source.id {
            if held.is_live(now) {
                let message = owner(&source.scope, &held);
                return Ok(refused(agent_id, ItemOutcome::OwnedByAnother, message));
            }
            take_from(connection, &source.scope, &held.source, digest).await?;
        } else if digest == item.digest {
            renew(connection, source, &agent_id, now).await?;
            return Ok(plain(agent_id, ItemOutcome::Unchanged));
        } else {
            source.take_out(digest);
            first_said = false;
        }
    }
    write(connection, source, &item, first_said, now).await?;
    source.add(item.digest);
    Ok(plain(agent_id, ItemOutcome::Applied))
}

/// Marks a contribution as named by the running snapshot; its digest, if the source has one.
pub(super) async fn retain(
    connection: &mut SqliteConnection,
    source: &Source,
    agent_id: &str,
) -> Result<Option<Digest>, sqlx::Error> {
    let digest: Option<String> = sqlx::query_scalar(
        "UPDATE orchestrator_contributions SET snapshot_mark = $4 \
         WHERE scope = $1 AND agent_id = $2 AND source = $3 RETURNING digest",
    )
    .bind(&source.scope)
    .bind(agent_id)
    .bind(&source.id)
    .bind(source.snapshot.mark)
    .fetch_optional(connection)
    .await?;
    digest.as_deref().map(parse_digest).transpose()
}

async fn withdraw(
    connection: &mut SqliteConnection,
    source: &mut Source,
    agent_id: String,
) -> Result<ItemResult, sqlx::Error> {
    let digest: Option<String> = sqlx::query_scalar(
        "DELETE FROM orchestrator_contributions \
         WHERE scope = $1 AND agent_id = $2 AND source = $3 RETURNING digest",
    )
    .bind(&source.scope)
    .bind(&agent_id)
    .bind(&source.id)
    .fetch_optional(connection)
    .await?;
    let Some(digest) = digest else {
        return Ok(plain(agent_id, ItemOutcome::NotFound));
    };
    source.take_out(parse_digest(&digest)?);
    Ok(plain(agent_id, ItemOutcome::Withdrawn))
}

async fn find(
    connection: &mut SqliteConnection,
    scope: &str,
    agent_id: &str,
) -> Result<Option<Held>, sqlx::Error> {
    sqlx::query_as(
        "SELECT c.source, c.digest, c.document, c.ttl_seconds, c.lease_at, \
         s.renewed_at AS source_renewed_at FROM orchestrator_contributions c \
         JOIN sources s ON s.scope = c.scope AND s.source = c.source \
         WHERE c.scope = $1 AND c.agent_id = $2",
    )
    .bind(scope)
    .bind(agent_id)
    .fetch_optional(connection)
    .await
}

async fn renew(
    connection: &mut SqliteConnection,
    source: &Source,
    agent_id: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE orchestrator_contributions \
         SET renewed_at = $3, lease_at = $3, snapshot_mark = $4 WHERE scope = $1 AND agent_id = $2",
    )
    .bind(&source.scope)
    .bind(agent_id)
    .bind(now)
    .bind(source.snapshot.mark)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write(
    connection: &mut SqliteConnection,
    source: &Source,
    item: &Item,
    first_said: bool,
    now: i64,
) -> Result<(), sqlx::Error> {
    let contribution = &item.contribution;
    let document =
        serde_json::to_string(contribution).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "INSERT INTO orchestrator_contributions (scope, agent_id, source, digest, document, \
         evidence, ttl_seconds, created_at, renewed_at, lease_at, snapshot_mark) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8, $9) \
         ON CONFLICT (scope, agent_id) DO UPDATE SET source = excluded.source, \
         digest = excluded.digest, document = excluded.document, evidence = excluded.evidence, \
         ttl_seconds = excluded.ttl_seconds, \
         created_at = CASE WHEN $10 THEN excluded.created_at \
         ELSE orchestrator_contributions.created_at END, \
         renewed_at = excluded.renewed_at, lease_at = excluded.lease_at, \
         snapshot_mark = excluded.snapshot_mark",
    )
    .bind(&source.scope)
    .bind(&contribution.agent_id)
    .bind(&source.id)
    .bind(item.digest.to_string())
    .bind(document)
    .bind(evidence(contribution))
    .bind(i64::from(contribution.ttl_seconds))
    .bind(now)
    .bind(source.snapshot.mark)
    .bind(first_said)
    .execute(connection)
    .await?;
    Ok(())
}

/// The id goes to another source: the former owner's sum no longer has it.
pub(super) async fn take_from(
    connection: &mut SqliteConnection,
    scope: &str,
    source: &str,
    digest: Digest,
) -> Result<(), sqlx::Error> {
    if let Some(mut former) = Source::load(connection, scope, source).await? {
        former.take_out(digest);
        former.save(connection).await?;
    }
    Ok(())
}

fn evidence(contribution: &Contribution) -> i64 {
    i64::from(contribution.is_evidence()) - i64::from(contribution.is_counter_evidence())
}

fn owner(scope: &str, held: &Held) -> String {
    let endpoint = serde_json::from_str::<Contribution>(&held.document)
        .map(|c| format!(" (AgentEndpoint {}/{})", c.endpoint.namespace, c.endpoint.name))
        .unwrap_or_default();
    format!("the id belongs to source \"{}\"{endpoint} in scope \"{scope}\"", held.source)
}

fn plain(agent_id: String, outcome: ItemOutcome) -> ItemResult {
    ItemResult { agent_id, outcome, message: None }
}

fn refused(agent_id: String, outcome: ItemOutcome, message: String) -> ItemResult {
    ItemResult { agent_id, outcome, message: Some(message) }
}
