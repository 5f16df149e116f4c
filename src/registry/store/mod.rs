//! The records on disk. All SQL of the registry is in this folder.
//!
//! `SQLite` in WAL mode with `synchronous=FULL`: acknowledged means on disk. One connection writes
//! (group commit, see `writer`), others read and cannot write.

mod agents;
mod cleanup;
mod contributions;
mod orchestrators;
mod records;
mod retention;
mod snapshot;
mod sources;
mod states;
mod url;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use agents::Registration;
pub use contributions::Submitted;
pub use orchestrators::{OrchestratorRecord, OrchestratorRegistration};
pub use records::{Counts, OrchestratorContribution, OwnContribution, Record};
pub use retention::Reaped;
pub use snapshot::SnapshotPage;
pub use sources::Refusal;
pub use states::{Lives, States};
pub use url::DatabaseUrl;

use super::Error;
use super::clock::{Clock, SystemClock};
use writer::Writer;

static MIGRATIONS: Migrator = sqlx::migrate!("src/registry/migrations");

const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the handler timeout, so that the answer names the store.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);

/// The newest schema version that this release knows.
pub fn schema_version() -> i64 {
    MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0)
}

/// A read or a write failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database did not answer a read.
    #[error("the database did not answer: {0}")]
    Read(#[from] sqlx::Error),
    /// The write is not on disk; the cause is in the log.
    #[error("the database did not take the write")]
    NotStored,
    /// The registry is stopping.
    #[error("the store is closed")]
    Closed,
}

/// The records. Cloning is cheap, and all clones share the connections.
#[derive(Clone)]
pub struct Store {
    writing: SqlitePool,
    reading: SqlitePool,
    writer: Writer,
    clock: Arc<dyn Clock>,
}

impl Store {
    /// Opens the database, creates it when it is missing, and brings its schema up to date.
    pub async fn open(url: &DatabaseUrl) -> Result<Store, Error> {
        Store::open_with_clock(url, Arc::new(SystemClock::start())).await
    }

    /// As [`Store::open`], but a missing file is an error: for commands that only look.
    pub async fn open_existing(url: &DatabaseUrl) -> Result<Store, Error> {
        if !url.path().exists() {
            return Err(Error::OpenDatabase {
                path: url.path().to_owned(),
                cause: "there is no such file".to_owned(),
            });
        }
        Store::open(url).await
    }

    /// As [`Store::open`], with another clock.
    pub async fn open_with_clock(url: &DatabaseUrl, clock: Arc<dyn Clock>) -> Result<Store, Error> {
        let path = url.path();
        check_path(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writing = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(|error| cannot_open(path, &error))?;
        MIGRATIONS.run(&writing).await.map_err(|error| cannot_migrate(path, &error))?;
        let reading = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
            .await
            .map_err(|error| cannot_open(path, &error))?;
        Ok(Store { writer: Writer::start(writing.clone()), writing, reading, clock })
    }

    /// The registry's time.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// True when the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT last_running_at FROM registry_state WHERE id = 1")
            .fetch_one(&self.reading)
            .await?;
        Ok(())
    }

    /// Finishes the writes that queue, moves the log into the database file and closes it.
    pub async fn close(&self) {
        self.writer.close().await;
        self.reading.close().await;
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writing).await;
        if let Err(cause) = checkpoint {
            // Nothing is lost: the next start reads the log.
            tracing::warn!(cause = %cause, "the write-ahead log stays beside the database");
        }
        self.writing.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// `SQLite` says only "unable to open database file" for each of these.
fn check_path(path: &Path) -> Result<(), Error> {
    let refuse = |cause: String| Err(Error::OpenDatabase { path: path.to_owned(), cause });
    if path.is_dir() {
        return refuse("it is a directory".to_owned());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return refuse(format!("there is no directory {}", parent.display()));
    }
    Ok(())
}

fn cannot_open(path: &Path, error: &sqlx::Error) -> Error {
    let path = path.to_owned();
    match error {
        // SQLITE_NOTADB
        sqlx::Error::Database(cause) if cause.code().as_deref() == Some("26") => Error::NotADatabase { path },
        error => Error::OpenDatabase {
            // SQLite hides the system's reason. Opening the file ourselves drops its POSIX locks,
            // which is harmless only now that the opening failed.
            cause: match std::fs::OpenOptions::new().read(true).write(true).open(&path) {
                Err(system) if path.exists() => system.to_string(),
                _ => error.to_string(),
            },
            path,
        },
    }
}

fn cannot_migrate(path: &Path, error: &MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(version) => {
            Error::NewerSchema { path: path.to_owned(), version: *version }
        }
        MigrateError::Execute(error) => cannot_open(path, error),
        error => Error::Migrate { path: path.to_owned(), cause: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&DatabaseUrl::from_path(folder.path().join("r.db"))).await.unwrap()
    }

    /// With `synchronous=NORMAL` a power cut loses what was acknowledged.
    #[tokio::test]
    async fn acknowledged_means_on_disk_and_readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let setting = async |pragma: &'static str| -> String {
            let value: String = sqlx::query_scalar(pragma).fetch_one(&store.writing).await.unwrap();
            value
        };
        assert_eq!(setting("PRAGMA journal_mode").await, "wal");
        for (pragma, expected) in
            [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 5000)]
        {
            let value: i64 = sqlx::query_scalar(pragma).fetch_one(&store.writing).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
        let written = sqlx::query("DELETE FROM sources").execute(&store.reading).await;
        assert!(written.is_err());
    }

    #[tokio::test]
    async fn a_full_disk_refuses_writes_keeps_reads_and_mends_without_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let agent = |id: &str, metadata: usize| Registration {
            agent_id: id.to_owned(),
            agent_name: String::new(),
            host: String::new(),
            port: 1,
            ttl_seconds: 60,
            metadata: Some("x".repeat(metadata)),
        };
        store.register("default", agent("a", 10)).await.unwrap();
        // The limit holds for this connection, as a full disk does until somebody cleans up.
        let limit = async |connection: &mut sqlx::SqliteConnection| {
            let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await?;
            let statement = format!("PRAGMA max_page_count = {pages}");
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(connection).await
        };
        let mut connection = store.writing.acquire().await.unwrap();
        limit(&mut connection).await.unwrap();
        drop(connection);
        let full = store.register("default", agent("b", 1_000_000)).await;
        assert!(matches!(full, Err(StoreError::NotStored)), "{full:?}");
        assert!(store.get("default", "a").await.unwrap().is_some());
        assert!(store.get("default", "b").await.unwrap().is_none());
        // The failed connection was given up, and with it the limit.
        store.register("default", agent("b", 1_000_000)).await.unwrap();
        store.close().await;
        let closed = store.beat("default", "a").await;
        assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
    }

    #[tokio::test]
    async fn writes_that_come_together_are_all_stored_and_answered() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let writes = (0..600).map(|i| {
            let registration = Registration {
                agent_id: format!("a{i}"),
                agent_name: String::new(),
                host: String::new(),
                port: 1,
                ttl_seconds: 60,
                metadata: None,
            };
            store.register("default", registration)
        });
        for stored in futures::future::join_all(writes).await {
            stored.unwrap();
        }
        assert_eq!(store.counts("default").await.unwrap().registered, 600);
    }
}
