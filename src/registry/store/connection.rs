//! One connection to either database. Almost all SQL is the same for both: [`on!`] runs it on
//! whichever it is.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use super::failure::Failure;
use super::place;
use super::postgres::{self, PostgresUrl, Purpose};
use super::url::DatabaseUrl;
use crate::registry::Error;

static SQLITE: Migrator = sqlx::migrate!("src/registry/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/registry/migrations/postgres");

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The same expression on the connection of either database.
macro_rules! on {
    ($connection:expr, $inner:ident => $body:expr) => {
        match $connection {
            $crate::registry::store::connection::Connection::Sqlite($inner) => $body,
            $crate::registry::store::connection::Connection::Postgres($inner) => $body,
        }
    };
}
pub(super) use on;

/// The newest schema version that this release knows; both databases count alike.
pub(super) fn schema_version() -> i64 {
    SQLITE.iter().chain(POSTGRES.iter()).map(|m| m.version).max().unwrap_or(0)
}

/// A connection to either database.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(super) async fn close(self) {
        // Nobody waits for an answer of a connection that is given up.
        let _ = on!(self, c => c.close().await);
    }

    /// A reading transaction that sees one moment.
    pub(super) async fn begin_reading(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Connection::Sqlite(c) => sqlx::query("BEGIN").execute(c).await.map(drop),
            Connection::Postgres(c) => {
                let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                sqlx::query(statement).execute(c).await.map(drop)
            }
        }
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        on!(self, c => sqlx::query("COMMIT").execute(c).await.map(drop))
    }

    pub(super) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        on!(self, c => sqlx::query("ROLLBACK").execute(c).await.map(drop))
    }

    /// True when it can be used again after a pause.
    pub(super) async fn is_alive(&mut self) -> bool {
        match self {
            Connection::Sqlite(_) => true,
            Connection::Postgres(connection) => postgres::is_alive(connection).await,
        }
    }
}

/// Opens connections.
#[derive(Clone)]
pub(super) enum Opener {
    Sqlite(SqliteConnectOptions),
    Postgres(PostgresUrl),
}

impl Opener {
    pub(super) fn new(url: &DatabaseUrl) -> Opener {
        match url {
            DatabaseUrl::Sqlite(path) => Opener::Sqlite(
                SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(false)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(BUSY_TIMEOUT)
                    .disable_statement_logging(),
            ),
            DatabaseUrl::Postgres(url) => Opener::Postgres(url.clone()),
        }
    }

    pub(super) async fn open(&self, purpose: Purpose) -> Result<Connection, sqlx::Error> {
        match self {
            Opener::Sqlite(options) => {
                let options = match purpose {
                    Purpose::Migrate => options.clone().create_if_missing(true),
                    Purpose::Write => options.clone(),
                    Purpose::Read => options.clone().pragma("query_only", "ON"),
                };
                options.connect().await.map(Connection::Sqlite)
            }
            Opener::Postgres(url) => postgres::connect(url, purpose).await.map(Connection::Postgres),
        }
    }
}

/// Creates what is missing and brings the schema up to date; a newer schema is refused. Of several
/// registries that start together one does it, the others wait for it.
pub(super) async fn prepare(url: &DatabaseUrl, opener: &Opener) -> Result<(), Error> {
    if let Some(path) = url.path() {
        place::check(path)?;
    }
    let mut connection = opener.open(Purpose::Migrate).await.map_err(|error| cannot_open(url, &error))?;
    let migrated = match &mut connection {
        Connection::Sqlite(connection) => {
            check_integrity(url, connection).await?;
            SQLITE.run_direct(None, connection, false).await
        }
        Connection::Postgres(connection) => POSTGRES.run_direct(None, connection, false).await,
    };
    connection.close().await;
    migrated.map_err(|error| cannot_migrate(url, &error))
}

/// Better no registry than one that serves, and spreads, what a damaged file says.
async fn check_integrity(url: &DatabaseUrl, connection: &mut SqliteConnection) -> Result<(), Error> {
    let said: Result<Vec<String>, sqlx::Error> =
        sqlx::query_scalar("PRAGMA quick_check(3)").fetch_all(connection).await;
    let cause = match said {
        Ok(said) if said == ["ok"] => return Ok(()),
        Ok(said) => said.join("; "),
        Err(error) => match Failure::of(&error) {
            Failure::Damage => cause_of(&error),
            _ => return Err(cannot_open(url, &error)),
        },
    };
    let database = url.path().map(|path| path.display().to_string()).unwrap_or_default();
    Err(Error::Damaged { database, cause })
}

fn cannot_open(url: &DatabaseUrl, error: &sqlx::Error) -> Error {
    let Some(path) = url.path() else {
        return Error::Connect { database: url.to_string(), cause: cause_of(error) };
    };
    let database = path.display().to_string();
    match error {
        // SQLITE_NOTADB
        sqlx::Error::Database(cause) if cause.code().as_deref() == Some("26") => {
            Error::NotADatabase { database }
        }
        error => Error::OpenDatabase {
            // SQLite hides the system's reason. Opening the file ourselves drops its POSIX locks,
            // which is harmless only now that the opening failed.
            cause: match std::fs::OpenOptions::new().read(true).write(true).open(path) {
                Err(system) if path.exists() => system.to_string(),
                _ => error.to_string(),
            },
            database,
        },
    }
}

fn cannot_migrate(url: &DatabaseUrl, error: &MigrateError) -> Error {
    let database = match url.path() {
        Some(path) => path.display().to_string(),
        None => url.to_string(),
    };
    match error {
        MigrateError::VersionMissing(version) => Error::NewerSchema { database, version: *version },
        MigrateError::Execute(error) => cannot_open(url, error),
        error => Error::Migrate { database, cause: error.to_string() },
    }
}

/// Without sqlx's own preface.
fn cause_of(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(cause) => cause.to_string(),
        sqlx::Error::Database(cause) => cause.message().to_owned(),
        sqlx::Error::Io(cause) => cause.to_string(),
        error => error.to_string(),
    }
}
