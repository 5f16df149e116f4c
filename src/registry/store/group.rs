//! One group of writes: a transaction, and what becomes of it when the database is in trouble.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use rand::RngExt as _;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::connection::{Connection, Opener};
use super::failure::Failure;
use super::postgres::{Purpose, timed_out};
use super::readers::Readers;
use super::time::Time;
use super::writer::{Member, Work};
use super::{StoreError, agents, retention};

/// For one group with everything that it takes: several tries, and other servers.
const DEADLINE: Duration = Duration::from_secs(5);
/// Tries after the first.
const RETRIES: u32 = 5;
/// Before the first retry; then twice as long each time, and half of it by chance.
const PAUSE: Duration = Duration::from_millis(40);
/// How long the end waits for the log to be moved into the database file.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(5);

/// Held, shared, by the writing connection of every registry that runs.
const RUNNING_LOCK: i64 = 0x6361_7265_6702;

type Value = Box<dyn Any + Send>;

/// The writing connection and what is known about it.
pub(super) struct Group {
    opener: Opener,
    time: Time,
    readers: Arc<Readers>,
    connection: Option<Opened>,
    serves: bool,
    /// Leases were looked after since this process serves.
    resumed: bool,
}

struct Opened {
    connection: Connection,
    /// Whether `retention::resume` ran on it.
    looked_after: bool,
    /// No other registry ran when it was opened.
    alone: bool,
}

/// Why a try failed, and by whose work if it is known.
struct Trouble {
    error: sqlx::Error,
    member: Option<usize>,
    /// The commit may have happened.
    in_doubt: bool,
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Trouble {
        Trouble { error, member: None, in_doubt: false }
    }
}

impl Group {
    pub(super) fn new(opener: Opener, time: Time, readers: Arc<Readers>) -> Group {
        Group { opener, time, readers, connection: None, serves: false, resumed: false }
    }

    /// Stores what all of them ask for and answers them. The error is the one that the others of
    /// the group, who were told that nothing was stored, fell to.
    pub(super) async fn commit(&mut self, mut members: Vec<Member>) -> Result<(), sqlx::Error> {
        self.serves |= members.iter().any(|member| matches!(member.work, Work::Serve));
        let deadline = Instant::now() + DEADLINE;
        let mut retries = 0;
        while !members.is_empty() {
            let tried = timeout_at(deadline, self.attempt(&members)).await;
            let trouble = match tried {
                Ok(Ok(values)) => {
                    debug!(members = members.len(), "committed");
                    for (member, value) in members.into_iter().zip(values) {
                        member.answer(Ok(value));
                    }
                    return Ok(());
                }
                Ok(Err(trouble)) => trouble,
                Err(_) => {
                    // What is under way on it is unknown.
                    self.connection = None;
                    timed_out("the write took too long").into()
                }
            };
            let failure = Failure::of(&trouble.error);
            self.recover(failure, deadline).await;
            match (failure, trouble.member) {
                (Failure::Statement, Some(culprit)) => {
                    warn!(cause = %trouble.error, "the database refused one write");
                    members.remove(culprit).answer(Err(StoreError::NotStored));
                }
                (Failure::Conflict | Failure::Connection, _)
                    if retries < RETRIES && !trouble.in_doubt && self.may_retry(deadline) =>
                {
                    debug!(cause = %trouble.error, retries, "the write is tried again");
                    tokio::time::sleep(pause(retries)).await;
                    retries += 1;
                }
                _ => {
                    for member in members {
                        member.answer(Err(StoreError::NotStored));
                    }
                    return Err(trouble.error);
                }
            }
        }
        Ok(())
    }

    /// Moves the log into the database file and closes the connection.
    pub(super) async fn close(self) {
        let Some(mut opened) = self.connection else { return };
        if let Connection::Sqlite(connection) = &mut opened.connection {
            let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection);
            match tokio::time::timeout(CHECKPOINT_TIMEOUT, checkpoint).await {
                Ok(Ok(_)) => {}
                // Nothing is lost: the next start reads the log.
                other => warn!(cause = ?other.err(), "the write-ahead log stays beside the database"),
            }
        }
        opened.connection.close().await;
    }

    fn may_retry(&self, deadline: Instant) -> bool {
        // A file does not come back within moments, and SQLite waits for locks itself.
        matches!(self.opener, Opener::Postgres(_)) && Instant::now() < deadline
    }

    async fn recover(&mut self, failure: Failure, deadline: Instant) {
        match failure {
            Failure::Conflict | Failure::Statement => {
                let rolled_back = match &mut self.connection {
                    Some(opened) => {
                        matches!(timeout_at(deadline, opened.connection.rollback()).await, Ok(Ok(())))
                    }
                    None => return,
                };
                if !rolled_back {
                    self.connection = None;
                }
            }
            Failure::Connection => {
                self.connection = None;
                // They may be of a server that was demoted: never pinned to it.
                self.readers.clear();
            }
            // SQLite may have rolled back on its own (disk full), which leaves the connection's idea
            // of its transaction in doubt: the next group gets a new connection.
            Failure::Store | Failure::Damage => self.connection = None,
        }
    }

    /// One try: everything in one transaction.
    async fn attempt(&mut self, members: &[Member]) -> Result<Vec<Value>, Trouble> {
        if self.connection.is_none() {
            self.connection = Some(self.open().await?);
        }
        let Some(opened) = &mut self.connection else { return Err(sqlx::Error::WorkerCrashed.into()) };
        if let (true, false, Connection::Postgres(connection)) =
            (self.serves, opened.looked_after, &mut opened.connection)
        {
            opened.alone = join_the_running(connection).await?;
        }
        let jumped = begin(&mut opened.connection, &self.time).await?;
        let now = self.time.now_ms();
        // Kept, should this try fail.
        opened.looked_after &= !jumped;
        if self.serves && !opened.looked_after {
            let first = !self.resumed && opened.alone;
            retention::resume(&mut opened.connection, now, first).await?;
        }
        let values = run(&mut opened.connection, members, now).await?;
        opened.connection.commit().await.map_err(|error| Trouble {
            in_doubt: Failure::of(&error) != Failure::Conflict,
            ..error.into()
        })?;
        if self.serves {
            opened.looked_after = true;
            self.resumed = true;
        }
        Ok(values)
    }

    async fn open(&self) -> Result<Opened, sqlx::Error> {
        let connection = self.opener.open(Purpose::Write).await?;
        Ok(Opened { connection, looked_after: false, alone: true })
    }
}

/// By chance, so that registries that were in each other's way do not meet again.
fn pause(retries: u32) -> Duration {
    let pause = PAUSE * 2_u32.pow(retries);
    pause / 2 + pause.mul_f64(rand::rng().random_range(0.0..0.5))
}

/// Tells other registries that this one runs, as long as the connection lives. True when there was
/// no other.
async fn join_the_running(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(RUNNING_LOCK)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("SELECT pg_advisory_lock_shared($1)").bind(RUNNING_LOCK).execute(&mut *connection).await?;
    if alone {
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(RUNNING_LOCK).execute(connection).await?;
    }
    Ok(alone)
}

/// Begins the transaction, alone among all registries. True when the database's clock jumped.
async fn begin(connection: &mut Connection, time: &Time) -> Result<bool, sqlx::Error> {
    match connection {
        Connection::Sqlite(connection) => {
            sqlx::query("BEGIN IMMEDIATE").execute(connection).await?;
            Ok(false)
        }
        Connection::Postgres(connection) => {
            // One round trip. The lock first: only what comes after it sees what the others wrote,
            // and the time is that of the moment after.
            let row = sqlx::raw_sql(BEGIN).fetch_one(connection).await?;
            Ok(time.hear(row.try_get("now")?))
        }
    }
}

/// The lock is held by a group's transaction: one group at a time writes to the database.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(109270182225665), \
                     (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now";
const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The database's time in unix milliseconds, where it has one of its own.
pub(super) async fn clock_of(connection: &mut Connection) -> Result<Option<i64>, sqlx::Error> {
    match connection {
        Connection::Sqlite(_) => Ok(None),
        Connection::Postgres(connection) => sqlx::query_scalar(CLOCK).fetch_one(connection).await.map(Some),
    }
}

/// Does everything that the members ask for; one value each, in their order.
async fn run(connection: &mut Connection, members: &[Member], now: i64) -> Result<Vec<Value>, Trouble> {
    let mut values: Vec<Option<Value>> = members.iter().map(|_| None).collect();
    if let Connection::Postgres(connection) = connection {
        run_together(connection, members, now, &mut values).await?;
    }
    for (index, (member, value)) in members.iter().zip(&mut values).enumerate() {
        if value.is_none() {
            let done = AssertUnwindSafe(run_one(connection, &member.work, now)).catch_unwind().await;
            let done = done.unwrap_or_else(|_| Err(sqlx::Error::Encode("a write panicked".into())));
            let failed = |error| Trouble { error, member: Some(index), in_doubt: false };
            *value = Some(done.map_err(failed)?);
        }
    }
    Ok(values.into_iter().flatten().collect())
}

/// Beats and registrations, one statement each: every statement costs a round trip.
async fn run_together(
    connection: &mut PgConnection,
    members: &[Member],
    now: i64,
    values: &mut [Option<Value>],
) -> Result<(), sqlx::Error> {
    let (mut beats, mut registrations) = (Vec::new(), Vec::new());
    for member in members {
        match &member.work {
            Work::Beat { scope, agent_id } => beats.push((scope.as_str(), agent_id.as_str())),
            Work::Register { scope, registration } => registrations.push((scope.as_str(), &**registration)),
            Work::Job(_) | Work::Serve => {}
        }
    }
    // Registrations first: in either order the callers did not wait for each other.
    if !registrations.is_empty() {
        agents::register_all(connection, &registrations, now).await?;
    }
    let known = agents::beat_all(connection, &beats, now).await?;
    for (member, value) in members.iter().zip(values) {
        match &member.work {
            Work::Beat { scope, agent_id } => {
                let known = known.contains(&(scope.clone(), agent_id.clone()));
                *value = Some(Box::new(known.then_some(now)));
            }
            Work::Register { .. } => *value = Some(Box::new(())),
            Work::Job(_) | Work::Serve => {}
        }
    }
    Ok(())
}

async fn run_one(connection: &mut Connection, work: &Work, now: i64) -> Result<Value, sqlx::Error> {
    match (work, connection) {
        (Work::Serve, _) => Ok(Box::new(())),
        (Work::Job(job), connection) => job(connection, now).await,
        (Work::Beat { scope, agent_id }, Connection::Sqlite(connection)) => {
            Ok(Box::new(agents::beat(connection, scope, agent_id, now).await?))
        }
        (Work::Register { scope, registration }, Connection::Sqlite(connection)) => {
            agents::register(connection, scope, registration, now).await?;
            Ok(Box::new(()))
        }
        (Work::Beat { .. } | Work::Register { .. }, Connection::Postgres(_)) => {
            unreachable!("they were done together")
        }
    }
}
