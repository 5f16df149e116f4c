//! What a cluster would keep for us: identity and generation of each endpoint, its status, and the
//! epoch, in one SQLite file.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::domain::{EndpointId, Status};
use crate::mirror::Source;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/standalone/migrations");

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Opening or migrating failed.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// Another orchestrator works with it.
    #[error("another orchestrator uses the database {}", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// A read or write failed.
    #[error("the database cannot be read or written: {0}")]
    Query(#[from] sqlx::Error),
}

impl StoreError {
    /// Another process has it: waiting may help.
    pub fn is_locked(&self) -> bool {
        let text = match self {
            StoreError::Open { cause, .. } => cause.clone(),
            StoreError::InUse { .. } => return false,
            StoreError::Query(error) => error.to_string(),
        };
        text.contains("database is locked")
    }
}

/// The database of standalone mode.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    /// Held while this process lives. The system's lock on the file is not the one that SQLite takes.
    _only: Arc<File>,
}

/// What is kept of an endpoint beside its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Stays while the endpoint does.
    pub uid: String,
    /// When it was first seen.
    pub created: Timestamp,
    /// Grows with each change of the spec.
    pub generation: i64,
    /// What was last written.
    pub status: Option<Status>,
}

impl Store {
    /// Opens or creates the file. Acknowledged means on disk.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let failed = |cause: String| StoreError::Open { path: path.to_owned(), cause };
        let only = File::options().create(true).truncate(false).write(true).read(true).open(path);
        let only = only.map_err(|e| failed(e.to_string()))?;
        match only.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error.to_string())),
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        // One connection: there is one writer, and reads are few.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await
            .map_err(|e| failed(e.to_string()))?;
        MIGRATIONS.run(&pool).await.map_err(|e| failed(e.to_string()))?;
        Ok(Store { pool, _only: Arc::new(only) })
    }

    /// Makes this process the newest holder.
    pub async fn begin(&self) -> Result<Source, StoreError> {
        let fresh = uuid::Uuid::new_v4().to_string();
        let (id, epoch): (String, i64) = sqlx::query_as(
            "INSERT INTO source (one, id, epoch) VALUES (1, $1, 1)
             ON CONFLICT (one) DO UPDATE SET epoch = epoch + 1 RETURNING id, epoch",
        )
        .bind(fresh)
        .fetch_one(&self.pool)
        .await?;
        Ok(Source { id, epoch })
    }

    /// Notes what the manifest says; a changed spec is a new generation. A row that says so already is left alone.
    pub async fn declare(&self, id: &EndpointId, spec: &str, now: Timestamp) -> Result<Row, StoreError> {
        type Found = (String, i64, i64, Option<String>);
        let same: Option<Found> = sqlx::query_as(
            "SELECT uid, created_at, generation, status FROM endpoints
             WHERE namespace = $1 AND name = $2 AND spec = $3",
        )
        .bind(&id.namespace)
        .bind(&id.name)
        .bind(spec)
        .fetch_optional(&self.pool)
        .await?;
        let (uid, created, generation, status) = match same {
            Some(same) => same,
            None => self.insert(id, spec, now).await?,
        };
        Ok(row(uid, created, generation, status))
    }

    async fn insert(
        &self,
        id: &EndpointId,
        spec: &str,
        now: Timestamp,
    ) -> Result<(String, i64, i64, Option<String>), StoreError> {
        Ok(sqlx::query_as(
            "INSERT INTO endpoints (namespace, name, uid, created_at, generation, spec)
             VALUES ($1, $2, $3, $4, 1, $5)
             ON CONFLICT (namespace, name) DO UPDATE SET
                 generation = generation + (spec <> excluded.spec), spec = excluded.spec
             RETURNING uid, created_at, generation, status",
        )
        .bind(&id.namespace)
        .bind(&id.name)
        .bind(uuid::Uuid::new_v4().to_string())
        .bind(now.as_second())
        .bind(spec)
        .fetch_one(&self.pool)
        .await?)
    }

    /// Everything that was declared when it was last read, with its spec.
    pub async fn remembered(&self) -> Result<Vec<(EndpointId, String, Row)>, StoreError> {
        type Columns = (String, String, String, i64, i64, Option<String>, String);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT namespace, name, uid, created_at, generation, status, spec FROM endpoints",
        )
        .fetch_all(&self.pool)
        .await?;
        let read = |(namespace, name, uid, created, generation, status, spec): Columns| {
            (EndpointId::new(namespace, name), spec, row(uid, created, generation, status))
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Writes a status.
    pub async fn write(&self, id: &EndpointId, status: &Status) -> Result<(), StoreError> {
        let text = serde_json::to_string(status).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
        sqlx::query("UPDATE endpoints SET status = $3 WHERE namespace = $1 AND name = $2")
            .bind(&id.namespace)
            .bind(&id.name)
            .bind(text)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets an endpoint.
    pub async fn forget(&self, id: &EndpointId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM endpoints WHERE namespace = $1 AND name = $2")
            .bind(&id.namespace)
            .bind(&id.name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Every endpoint that it has a row of.
    pub async fn known(&self) -> Result<Vec<EndpointId>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT namespace, name FROM endpoints").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(namespace, name)| EndpointId::new(namespace, name)).collect())
    }

    /// Writes everything out and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn row(uid: String, created: i64, generation: i64, status: Option<String>) -> Row {
    Row {
        uid,
        created: Timestamp::from_second(created).unwrap_or(Timestamp::UNIX_EPOCH),
        generation,
        // A status of another release is no status: it is written anew.
        status: status.and_then(|text| serde_json::from_str(&text).ok()),
    }
}
