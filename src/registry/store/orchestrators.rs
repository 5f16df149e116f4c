//! Orchestrators that registered themselves over the unversioned routes.

use sqlx::FromRow;

use super::connection::on;
use super::{Store, StoreError};

/// What an orchestrator registers itself with. The caller has checked the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrchestratorRegistration {
    /// Its id.
    pub orchestrator_id: String,
    /// A name for people.
    pub orchestrator_name: String,
    /// Its kind, free text.
    pub orchestrator_type: String,
    /// Where it answers.
    pub api_endpoint: String,
    /// How long one beat keeps it alive.
    pub ttl_seconds: u32,
}

/// A registered orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OrchestratorRecord {
    /// Its id.
    pub orchestrator_id: String,
    /// A name for people.
    pub orchestrator_name: String,
    /// Its kind, free text.
    pub orchestrator_type: String,
    /// Where it answers.
    pub api_endpoint: String,
    /// How long one beat keeps it alive.
    #[sqlx(try_from = "i64")]
    pub ttl_seconds: u32,
    /// First registration, unix milliseconds.
    pub registered_at: i64,
    /// Last beat, unix milliseconds.
    pub last_heartbeat: i64,
    lease_at: i64,
}

impl OrchestratorRecord {
    /// True while its lease runs.
    pub fn is_alive(&self, now_ms: i64) -> bool {
        self.lease_at + i64::from(self.ttl_seconds) * 1000 > now_ms
    }
}

/// What is read of a registration.
macro_rules! columns {
    () => {
        "orchestrator_id, orchestrator_name, orchestrator_type, api_endpoint, ttl_seconds, \
         registered_at, last_heartbeat, lease_at"
    };
}

impl Store {
    /// Makes or replaces a registration; the time of the first one stays.
    pub async fn register_orchestrator(
        &self,
        registration: OrchestratorRegistration,
    ) -> Result<OrchestratorRecord, StoreError> {
        self.writer
            .run(move |connection, now| {
                let said = registration.clone();
                Box::pin(async move {
                    on!(connection, c => {
                        sqlx::query_as(concat!(
                            "INSERT INTO orchestrator_registrations (orchestrator_id, \
                             orchestrator_name, orchestrator_type, api_endpoint, ttl_seconds, \
                             registered_at, last_heartbeat, lease_at) \
                             VALUES ($1, $2, $3, $4, $5, $6, $6, $6) \
                             ON CONFLICT (orchestrator_id) DO UPDATE SET \
                             orchestrator_name = excluded.orchestrator_name, \
                             orchestrator_type = excluded.orchestrator_type, \
                             api_endpoint = excluded.api_endpoint, \
                             ttl_seconds = excluded.ttl_seconds, \
                             last_heartbeat = excluded.last_heartbeat, \
                             lease_at = excluded.lease_at RETURNING ",
                            columns!()
                        ))
                        .bind(said.orchestrator_id)
                        .bind(said.orchestrator_name)
                        .bind(said.orchestrator_type)
                        .bind(said.api_endpoint)
                        .bind(i64::from(said.ttl_seconds))
                        .bind(now)
                        .fetch_one(c)
                        .await
                    })
                })
            })
            .await
    }

    /// Renews a registration, an expired one too. The time of the beat, or `None` when there is
    /// no such orchestrator.
    pub async fn beat_orchestrator(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let id = id.to_owned();
        self.writer
            .run(move |connection, now| {
                let id = id.clone();
                Box::pin(async move {
                    on!(connection, c => {
                        let done = sqlx::query(
                            "UPDATE orchestrator_registrations \
                             SET last_heartbeat = $2, lease_at = $2 WHERE orchestrator_id = $1",
                        )
                        .bind(id)
                        .bind(now)
                        .execute(c)
                        .await?;
                        Ok((done.rows_affected() > 0).then_some(now))
                    })
                })
            })
            .await
    }

    /// Removes a registration; its contributions under `/v1` stay. False when there was none.
    pub async fn deregister_orchestrator(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer
            .run(move |connection, _| {
                let id = id.clone();
                Box::pin(async move {
                    on!(connection, c => {
                        let statement = "DELETE FROM orchestrator_registrations WHERE orchestrator_id = $1";
                        let done = sqlx::query(statement).bind(id).execute(c).await?;
                        Ok(done.rows_affected() > 0)
                    })
                })
            })
            .await
    }

    /// One registration.
    pub async fn orchestrator(&self, id: &str) -> Result<Option<OrchestratorRecord>, StoreError> {
        const ONE: &str =
            concat!("SELECT ", columns!(), " FROM orchestrator_registrations WHERE orchestrator_id = $1");
        let (reader, id) = (self.readers.acquire().await?, id.to_owned());
        reader
            .read(move |connection| {
                Box::pin(
                    async move { on!(connection, c => sqlx::query_as(ONE).bind(id).fetch_optional(c).await) },
                )
            })
            .await
    }

    /// All registrations, the newest first.
    pub async fn orchestrators(&self) -> Result<Vec<OrchestratorRecord>, StoreError> {
        const ALL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM orchestrator_registrations ORDER BY registered_at DESC, ordinal DESC"
        );
        let reader = self.readers.acquire().await?;
        reader
            .read(|connection| {
                Box::pin(async move { on!(connection, c => sqlx::query_as(ALL).fetch_all(c).await) })
            })
            .await
    }
}
