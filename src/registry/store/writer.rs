//! Group commit: one task owns the writing connection, takes every job that queued up during the
//! last commit into one transaction, and answers after it is on disk.
//!
//! A job that refuses must not have written anything; a job that fails takes its group down, and
//! nobody of the group is told that it was stored. A caller that goes away does not cut a job.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::StoreError;

/// Jobs that wait; more callers wait for room.
const QUEUE: usize = 1024;
/// Jobs of one transaction: bounds how long the first waits for the last.
const GROUP: usize = 256;

type Answer = Box<dyn FnOnce() + Send>;
type Job =
    Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Answer, sqlx::Error>> + Send>;

/// Hands jobs to the writing task.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Writer {
    /// Starts the task. The pool must have exactly one connection.
    pub(super) fn start(pool: SqlitePool) -> Writer {
        let (jobs, mut queue) = mpsc::channel(QUEUE);
        let writer = Writer { jobs, stop: CancellationToken::new(), stopped: CancellationToken::new() };
        let (stop, stopped) = (writer.stop.clone(), writer.stopped.clone().drop_guard());
        tokio::spawn(async move {
            let _stopped = stopped;
            loop {
                let first = tokio::select! {
                    job = queue.recv() => job,
                    () = stop.cancelled(), if !queue.is_closed() => {
                        queue.close();
                        continue;
                    }
                };
                let Some(first) = first else { break };
                if let Err(cause) = commit_group(&pool, first, &mut queue).await {
                    error!(cause = %cause, "the store did not take a write");
                }
            }
        });
        writer
    }

    /// Runs `work` in the next transaction; the value comes back once it is on disk.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                let value = work(connection).await?;
                Ok(Box::new(move || {
                    // The caller may be gone; its write is stored all the same.
                    let _ = answer.send(value);
                }) as Answer)
            })
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::NotStored)
    }

    /// Takes no new jobs and waits for those that queue.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }
}

async fn commit_group(
    pool: &SqlitePool,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    match run_group(&mut connection, first, queue).await {
        Ok(answers) => {
            debug!(jobs = answers.len(), "committed");
            for answer in answers {
                answer();
            }
            Ok(())
        }
        Err(error) => {
            // SQLite may have rolled back on its own (disk full), which leaves the connection's
            // idea of its transaction in doubt: the next group gets a new connection.
            drop(connection.close().await);
            Err(error)
        }
    }
}

async fn run_group(
    connection: &mut SqliteConnection,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
) -> Result<Vec<Answer>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut answers = Vec::new();
    let mut next = Some(first);
    while let Some(job) = next.take() {
        let ran = AssertUnwindSafe(job(&mut transaction)).catch_unwind().await;
        let answer = ran.unwrap_or_else(|_| Err(sqlx::Error::Protocol("a write panicked".to_owned())))?;
        answers.push(answer);
        if answers.len() < GROUP {
            next = queue.try_recv().ok();
        }
    }
    transaction.commit().await?;
    Ok(answers)
}
