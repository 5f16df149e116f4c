//! Records as they are read: the agent's own contribution and the orchestrator's, side by side.

use std::cmp::Ordering;
use std::iter::Peekable;

use sqlx::FromRow;

use super::connection::{Connection, on};
use super::{Store, StoreError};
use crate::domain::record::Contribution;

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OwnContribution {
    agent_id: String,
    ordinal: i64,
    /// A name for people.
    pub agent_name: String,
    /// Where it listens.
    pub host: String,
    /// Where it listens.
    #[sqlx(try_from = "i64")]
    pub port: u16,
    /// As it gave it.
    pub metadata: Option<String>,
    /// How long one beat keeps it alive.
    #[sqlx(try_from = "i64")]
    pub ttl_seconds: u32,
    /// First registration, unix milliseconds.
    pub registered_at: i64,
    /// Last beat or registration, unix milliseconds.
    pub last_heartbeat: i64,
    lease_at: i64,
}

impl OwnContribution {
    /// When it expires without a beat, unix milliseconds.
    pub fn expires_at(&self) -> i64 {
        self.lease_at + i64::from(self.ttl_seconds) * 1000
    }
}

/// What an orchestrator says of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrchestratorContribution {
    /// The orchestrator.
    pub source: String,
    /// What it says.
    pub contribution: Contribution,
    /// When it first said something of this agent, unix milliseconds.
    pub created_at: i64,
    /// When it last vouched for it, unix milliseconds.
    pub renewed_at: i64,
    /// When it expires without a renewal, unix milliseconds.
    pub expires_at: i64,
}

/// One agent in one scope: at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The agent's id.
    pub agent_id: String,
    /// The agent's own.
    pub own: Option<OwnContribution>,
    /// The orchestrator's.
    pub orchestrator: Option<OrchestratorContribution>,
}

impl Record {
    /// Some live contribution is evidence (the agent's own beat, or an orchestrator that says
    /// Ready, Degraded or 401/403), and none says Failing otherwise.
    pub fn is_alive(&self, now_ms: i64) -> bool {
        let beats = self.own.as_ref().is_some_and(|own| own.expires_at() > now_ms);
        let said =
            self.orchestrator.as_ref().filter(|said| said.expires_at > now_ms).map(|said| &said.contribution);
        let seen = said.is_some_and(Contribution::is_evidence);
        let missed = said.is_some_and(Contribution::is_counter_evidence);
        (beats || seen) && !missed
    }

    /// When the agent was first heard of, unix milliseconds.
    pub fn registered_at(&self) -> i64 {
        match (&self.own, &self.orchestrator) {
            (Some(own), _) => own.registered_at,
            (None, Some(said)) => said.created_at,
            (None, None) => 0,
        }
    }
}

/// How many records a scope has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub registered: i64,
    /// Those that are alive.
    pub active: i64,
}

#[derive(FromRow)]
struct SaidRow {
    agent_id: String,
    source: String,
    document: String,
    ttl_seconds: i64,
    created_at: i64,
    renewed_at: i64,
    lease_at: i64,
    source_renewed_at: i64,
}

impl SaidRow {
    /// `None` for a document of a newer release that this one cannot read.
    fn read(self) -> Option<OrchestratorContribution> {
        match serde_json::from_str(&self.document) {
            Ok(contribution) => Some(OrchestratorContribution {
                contribution,
                created_at: self.created_at,
                renewed_at: self.renewed_at.max(self.source_renewed_at),
                expires_at: self.lease_at.max(self.source_renewed_at) + self.ttl_seconds * 1000,
                source: self.source,
            }),
            Err(cause) => {
                tracing::warn!(
                    agent.id = %self.agent_id, source = %self.source, cause = %cause,
                    "a stored contribution cannot be read and is left out"
                );
                None
            }
        }
    }
}

/// What is read of an agent's own contribution.
macro_rules! select_own {
    ($rows:literal) => {
        concat!(
            "SELECT agent_id, ordinal, agent_name, host, port, metadata, ttl_seconds, \
             registered_at, last_heartbeat, lease_at FROM agent_contributions WHERE scope = $1 ",
            $rows
        )
    };
}

/// What is read of an orchestrator's contribution.
macro_rules! select_said {
    ($rows:literal) => {
        concat!(
            "SELECT c.agent_id, c.source, c.document, c.ttl_seconds, c.created_at, c.renewed_at, \
             c.lease_at, s.renewed_at AS source_renewed_at FROM orchestrator_contributions c \
             JOIN sources s ON s.scope = c.scope AND s.source = c.source WHERE c.scope = $1 ",
            $rows
        )
    };
}

impl Store {
    /// One record.
    pub async fn get(&self, scope: &str, agent_id: &str) -> Result<Option<Record>, StoreError> {
        let reader = self.readers.acquire().await?;
        let (scope, agent_id) = (scope.to_owned(), agent_id.to_owned());
        reader.read(move |connection| Box::pin(one(connection, scope, agent_id))).await
    }

    /// The records after a given id, in order of id, at most `limit`. An empty id is before all.
    /// A record whose only contribution cannot be read has none.
    pub async fn page(&self, scope: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        let rows = i64::try_from(limit).unwrap_or(i64::MAX);
        let reader = self.readers.acquire().await?;
        let (scope, after) = (scope.to_owned(), after.to_owned());
        let (own, said) =
            reader.read(move |connection| Box::pin(both_after(connection, scope, after, rows))).await?;
        let (mut own, mut said) = (own.into_iter().peekable(), said.into_iter().peekable());
        Ok(std::iter::from_fn(|| next_record(&mut own, &mut said)).take(limit).collect())
    }

    /// All records of a scope, the newest first; only those alive, unless asked for all.
    pub async fn list(&self, scope: &str, include_dead: bool) -> Result<Vec<Record>, StoreError> {
        let mut records = self.page(scope, "", usize::MAX).await?;
        let now = self.now_ms();
        records.retain(|record| {
            record.is_alive(now) || include_dead && (record.own.is_some() || record.orchestrator.is_some())
        });
        records.sort_by_cached_key(|record| {
            let ordinal = record.own.as_ref().map_or(0, |own| own.ordinal);
            std::cmp::Reverse((record.registered_at(), ordinal))
        });
        Ok(records)
    }

    /// Counts the records of a scope without reading them.
    pub async fn counts(&self, scope: &str) -> Result<Counts, StoreError> {
        let now = self.now_ms();
        let (reader, scope) = (self.readers.acquire().await?, scope.to_owned());
        let (registered, active): (i64, i64) = reader
            .read(move |connection| {
                Box::pin(async move {
                    on!(connection, c => sqlx::query_as(COUNTS).bind(scope).bind(now).fetch_one(c).await)
                })
            })
            .await?;
        Ok(Counts { registered, active })
    }
}

const COUNTS: &str = "WITH said AS (SELECT c.agent_id, \
     CASE WHEN c.lease_at + c.ttl_seconds * 1000 > $2 \
     OR s.renewed_at + c.ttl_seconds * 1000 > $2 THEN c.evidence ELSE 0 END AS evidence \
     FROM orchestrator_contributions c \
     JOIN sources s ON s.scope = c.scope AND s.source = c.source WHERE c.scope = $1), \
     own AS (SELECT agent_id, \
     CASE WHEN lease_at + ttl_seconds * 1000 > $2 THEN 1 ELSE 0 END AS beats \
     FROM agent_contributions WHERE scope = $1), \
     record AS (SELECT own.beats, COALESCE(said.evidence, 0) AS evidence \
     FROM own LEFT JOIN said ON said.agent_id = own.agent_id \
     UNION ALL SELECT 0, evidence FROM said \
     WHERE agent_id NOT IN (SELECT agent_id FROM own)) \
     SELECT COUNT(*), COALESCE(SUM(CASE WHEN evidence > 0 OR (beats = 1 AND evidence = 0) \
     THEN 1 ELSE 0 END), 0) FROM record";

async fn one(
    connection: &mut Connection,
    scope: String,
    agent_id: String,
) -> Result<Option<Record>, sqlx::Error> {
    connection.begin_reading().await?;
    let own: Option<OwnContribution> = on!(&mut *connection, c => {
        let statement = select_own!("AND agent_id = $2");
        sqlx::query_as(statement).bind(&scope).bind(&agent_id).fetch_optional(c).await?
    });
    let said: Option<SaidRow> = on!(&mut *connection, c => {
        let statement = select_said!("AND c.agent_id = $2");
        sqlx::query_as(statement).bind(&scope).bind(&agent_id).fetch_optional(c).await?
    });
    connection.commit().await?;
    let orchestrator = said.and_then(SaidRow::read);
    let known = own.is_some() || orchestrator.is_some();
    Ok(known.then_some(Record { agent_id, own, orchestrator }))
}

/// In one transaction, so that both sides are of the same moment.
async fn both_after(
    connection: &mut Connection,
    scope: String,
    after: String,
    limit: i64,
) -> Result<(Vec<OwnContribution>, Vec<SaidRow>), sqlx::Error> {
    connection.begin_reading().await?;
    let own = on!(&mut *connection, c => {
        let statement = select_own!("AND agent_id > $2 ORDER BY agent_id LIMIT $3");
        sqlx::query_as(statement).bind(&scope).bind(&after).bind(limit).fetch_all(c).await?
    });
    let said = on!(&mut *connection, c => {
        let statement = select_said!("AND c.agent_id > $2 ORDER BY c.agent_id LIMIT $3");
        sqlx::query_as(statement).bind(&scope).bind(&after).bind(limit).fetch_all(c).await?
    });
    connection.commit().await?;
    Ok((own, said))
}

/// Merges the two sides, both in order of id.
fn next_record(
    own: &mut Peekable<impl Iterator<Item = OwnContribution>>,
    said: &mut Peekable<impl Iterator<Item = SaidRow>>,
) -> Option<Record> {
    let order = match (own.peek(), said.peek()) {
        (None, None) => return None,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(own), Some(said)) => own.agent_id.cmp(&said.agent_id),
    };
    let own = if order.is_le() { own.next() } else { None };
    let said = if order.is_ge() { said.next() } else { None };
    let agent_id = match (&own, &said) {
        (Some(own), _) => own.agent_id.clone(),
        (None, Some(said)) => said.agent_id.clone(),
        (None, None) => return None,
    };
    Some(Record { agent_id, own, orchestrator: said.and_then(SaidRow::read) })
}
