//! Agents' own contributions: what an agent says of itself over the unversioned routes.

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

impl Store {
    /// Makes or replaces an agent's own contribution; the time of the first registration stays.
    pub async fn register(&self, scope: &str, registration: Registration) -> Result<(), StoreError> {
        let (scope, now) = (scope.to_owned(), self.now_ms());
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO agent_contributions (scope, agent_id, agent_name, host, port, \
                         metadata, ttl_seconds, registered_at, last_heartbeat, lease_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8) \
                         ON CONFLICT (scope, agent_id) DO UPDATE SET \
                         agent_name = excluded.agent_name, host = excluded.host, \
                         port = excluded.port, metadata = excluded.metadata, \
                         ttl_seconds = excluded.ttl_seconds, \
                         last_heartbeat = excluded.last_heartbeat, lease_at = excluded.lease_at",
                    )
                    .bind(scope)
                    .bind(registration.agent_id)
                    .bind(registration.agent_name)
                    .bind(registration.host)
                    .bind(i64::from(registration.port))
                    .bind(registration.metadata)
                    .bind(i64::from(registration.ttl_seconds))
                    .bind(now)
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Renews an agent's own lease, an expired one too. The time of the beat, or `None` when the
    /// agent has no contribution of its own.
    pub async fn beat(&self, scope: &str, agent_id: &str) -> Result<Option<i64>, StoreError> {
        let (scope, agent_id, now) = (scope.to_owned(), agent_id.to_owned(), self.now_ms());
        self.writer
            .run(move |connection| {
                Box::pin(async move {
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
                })
            })
            .await
    }

    /// Removes an agent's own contribution and nothing else; false when there was none.
    pub async fn deregister(&self, scope: &str, agent_id: &str) -> Result<bool, StoreError> {
        let (scope, agent_id) = (scope.to_owned(), agent_id.to_owned());
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    let done =
                        sqlx::query("DELETE FROM agent_contributions WHERE scope = $1 AND agent_id = $2")
                            .bind(scope)
                            .bind(agent_id)
                            .execute(connection)
                            .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }
}
