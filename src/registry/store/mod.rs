//! The records on disk. All SQL of the registry is in this folder.
//!
//! `SQLite` in WAL mode with `synchronous=FULL`, or `PostgreSQL` shared by several registries:
//! acknowledged means on disk. One connection writes (group commit, see `writer`), a few others
//! read. What a call does to rows is the same code for both (`draft`, and the SQL under `on!`); they
//! differ in how rows are found and written in bulk.

mod agents;
mod cleanup;
mod connection;
mod contributions;
mod draft;
mod failure;
mod group;
mod orchestrators;
mod place;
mod postgres;
mod readers;
mod records;
mod retention;
mod snapshot;
mod sources;
mod states;
#[cfg(test)]
mod store_tests;
mod time;
mod url;
mod writer;

use std::sync::Arc;

pub use agents::Registration;
pub use draft::Submitted;
pub use orchestrators::{OrchestratorRecord, OrchestratorRegistration};
pub use postgres::PostgresUrl;
pub use records::{Counts, OrchestratorContribution, OwnContribution, Record};
pub use retention::Reaped;
pub use snapshot::SnapshotPage;
pub use sources::Refusal;
pub use states::{Lives, States};
pub use url::DatabaseUrl;

use super::Error;
use super::clock::{Clock, SystemClock};
use connection::{Opener, on};
use readers::Readers;
use time::Time;
use writer::Writer;

/// With the writing one they are the four connections that a registry has at most.
const READERS: usize = 3;

/// The newest schema version that this release knows.
pub fn schema_version() -> i64 {
    connection::schema_version()
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
    readers: Arc<Readers>,
    writer: Writer,
    time: Time,
}

impl Store {
    /// Opens the database, creates the file where it is one and is missing, and brings the schema
    /// up to date. Leases are measured with this process's clock in a file, with the server's
    /// where several registries may share it.
    pub async fn open(url: &DatabaseUrl) -> Result<Store, Error> {
        let time = match url {
            DatabaseUrl::Sqlite(_) => Time::Own(Arc::new(SystemClock::start())),
            DatabaseUrl::Postgres(_) => Time::of_database(),
        };
        Store::open_with(url, time).await
    }

    /// As [`Store::open`], but a missing file is an error: for commands that only look.
    pub async fn open_existing(url: &DatabaseUrl) -> Result<Store, Error> {
        match url.path() {
            Some(path) if !path.exists() => Err(Error::OpenDatabase {
                database: path.display().to_string(),
                cause: "there is no such file".to_owned(),
            }),
            _ => Store::open(url).await,
        }
    }

    /// As [`Store::open`], with another clock.
    pub async fn open_with_clock(url: &DatabaseUrl, clock: Arc<dyn Clock>) -> Result<Store, Error> {
        Store::open_with(url, Time::Own(clock)).await
    }

    async fn open_with(url: &DatabaseUrl, time: Time) -> Result<Store, Error> {
        let opener = Opener::new(url);
        connection::prepare(url, &opener).await?;
        Store::on(opener, time).await
    }

    async fn on(opener: Opener, time: Time) -> Result<Store, Error> {
        let readers = Arc::new(Readers::new(opener.clone(), READERS));
        let writer = Writer::start(opener, time.clone(), Arc::clone(&readers));
        let store = Store { readers, writer, time };
        store
            .hear_time()
            .await
            .map_err(|source| Error::Store { attempted: "read the database's time", source })?;
        Ok(store)
    }

    async fn hear_time(&self) -> Result<(), StoreError> {
        let reader = self.readers.acquire().await?;
        let now = reader.read(|connection| Box::pin(group::clock_of(connection))).await?;
        if let Some(now) = now {
            self.time.hear(now);
        }
        Ok(())
    }

    /// As [`Store::open`] on a file, but without waiting for the disk: to show that it is seen.
    #[cfg(test)]
    pub(super) async fn open_careless(url: &DatabaseUrl) -> Store {
        let opener = Opener::new(url);
        connection::prepare(url, &opener).await.expect("a database");
        let Opener::Sqlite(options) = opener else { unreachable!("a file") };
        let options = options.synchronous(sqlx::sqlite::SqliteSynchronous::Off);
        Store::on(Opener::Sqlite(options), Time::Own(Arc::new(SystemClock::start()))).await.expect("a store")
    }

    /// The registry's time.
    pub fn now_ms(&self) -> i64 {
        self.time.now_ms()
    }

    /// True when the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let reader = self.readers.acquire().await?;
        reader
            .read(|connection| {
                Box::pin(async move {
                    let statement = "SELECT last_running_at FROM registry_state WHERE id = 1";
                    on!(connection, c => sqlx::query(statement).fetch_one(c).await.map(drop))
                })
            })
            .await
    }

    /// Finishes the writes that queue, moves the log into the database file and closes it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}
