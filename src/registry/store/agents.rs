//! Agents' own contributions: what an agent says of itself over the unversioned routes.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::SqliteConnection;
use sqlx::postgres::PgConnection;

use super::connection::on;
use super::writer::Work;
use super::{Store, StoreError};

/// What an agent registers itself with. The caller has checked the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
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
    /// Free text, by custom a JSON object.
    pub metadata: Option<String>,
}

/// What registering again replaces: all but the time of the first registration.
macro_rules! on_conflict {
    () => {
        "ON CONFLICT (scope, agent_id) DO UPDATE SET agent_name = excluded.agent_name, \
         host = excluded.host, port = excluded.port, metadata = excluded.metadata, \
         ttl_seconds = excluded.ttl_seconds, last_heartbeat = excluded.last_heartbeat, \
         lease_at = excluded.lease_at"
    };
}

impl Store {
    /// Makes or replaces an agent's own contribution; the time of the first registration stays.
    pub async fn register(&self, scope: &str, registration: Registration) -> Result<(), StoreError> {
        let registration = Box::new(registration);
        self.writer.ask(Work::Register { scope: scope.to_owned(), registration }).await
    }

    /// Renews an agent's own lease, an expired one too. The time of the beat, or `None` when the
    /// agent has no contribution of its own.
    pub async fn beat(&self, scope: &str, agent_id: &str) -> Result<Option<i64>, StoreError> {
        self.writer.ask(Work::Beat { scope: scope.to_owned(), agent_id: agent_id.to_owned() }).await
    }

    /// Removes an agent's own contribution and nothing else; false when there was none.
    pub async fn deregister(&self, scope: &str, agent_id: &str) -> Result<bool, StoreError> {
        let key = (scope.to_owned(), agent_id.to_owned());
        self.writer
            .run(move |connection, _| {
                let (scope, agent_id) = key.clone();
                Box::pin(async move {
                    on!(connection, c => {
                        let statement = "DELETE FROM agent_contributions WHERE scope = $1 AND agent_id = $2";
                        let done = sqlx::query(statement).bind(scope).bind(agent_id).execute(c).await?;
                        Ok(done.rows_affected() > 0)
                    })
                })
            })
            .await
    }
}

pub(super) async fn register(
    connection: &mut SqliteConnection,
    scope: &str,
    registration: &Registration,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(concat!(
        "INSERT INTO agent_contributions (scope, agent_id, agent_name, host, port, metadata, \
         ttl_seconds, registered_at, last_heartbeat, lease_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8) ",
        on_conflict!()
    ))
    .bind(scope)
    .bind(&registration.agent_id)
    .bind(&registration.agent_name)
    .bind(&registration.host)
    .bind(i64::from(registration.port))
    .bind(registration.metadata.as_deref())
    .bind(i64::from(registration.ttl_seconds))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// All of them in one statement; of several for one agent the last counts.
pub(super) async fn register_all(
    connection: &mut PgConnection,
    registrations: &[(&str, &Registration)],
    now: i64,
) -> Result<(), sqlx::Error> {
    let last: BTreeMap<(&str, &str), &Registration> =
        registrations.iter().map(|(scope, said)| ((*scope, said.agent_id.as_str()), *said)).collect();
    let (scopes, ids): (Vec<&str>, Vec<&str>) = last.keys().copied().unzip();
    let column = |of: fn(&Registration) -> &str| last.values().map(|said| of(said)).collect::<Vec<_>>();
    let ports: Vec<i64> = last.values().map(|said| i64::from(said.port)).collect();
    let ttls: Vec<i64> = last.values().map(|said| i64::from(said.ttl_seconds)).collect();
    let metadata: Vec<Option<&str>> = last.values().map(|said| said.metadata.as_deref()).collect();
    sqlx::query(concat!(
        "INSERT INTO agent_contributions (scope, agent_id, agent_name, host, port, metadata, \
         ttl_seconds, registered_at, last_heartbeat, lease_at) \
         SELECT scope, agent_id, agent_name, host, port, metadata, ttl_seconds, $8, $8, $8 \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], \
         $7::bigint[]) AS said (scope, agent_id, agent_name, host, port, metadata, ttl_seconds) ",
        on_conflict!()
    ))
    .bind(scopes)
    .bind(ids)
    .bind(column(|said| &said.agent_name))
    .bind(column(|said| &said.host))
    .bind(ports)
    .bind(metadata)
    .bind(ttls)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn beat(
    connection: &mut SqliteConnection,
    scope: &str,
    agent_id: &str,
    now: i64,
) -> Result<Option<i64>, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE agent_contributions SET last_heartbeat = $3, lease_at = $3 \
         WHERE scope = $1 AND agent_id = $2",
    )
    .bind(scope)
    .bind(agent_id)
    .bind(now)
    .execute(connection)
    .await?;
    Ok((done.rows_affected() > 0).then_some(now))
}

/// All of them in one statement; those that are known.
pub(super) async fn beat_all(
    connection: &mut PgConnection,
    beats: &[(&str, &str)],
    now: i64,
) -> Result<BTreeSet<(String, String)>, sqlx::Error> {
    if beats.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (scopes, ids): (Vec<&str>, Vec<&str>) = beats.iter().copied().unzip();
    let known: Vec<(String, String)> = sqlx::query_as(
        "UPDATE agent_contributions a SET last_heartbeat = $3, lease_at = $3 \
         FROM unnest($1::text[], $2::text[]) AS beat (scope, agent_id) \
         WHERE a.scope = beat.scope AND a.agent_id = beat.agent_id RETURNING a.scope, a.agent_id",
    )
    .bind(scopes)
    .bind(ids)
    .bind(now)
    .fetch_all(connection)
    .await?;
    Ok(known.into_iter().collect())
}
