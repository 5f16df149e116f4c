//! Group commit: one task owns the writing connection, takes everything that queued up during the
//! last commit into one transaction, and answers after it is on disk.
//!
//! Beats and registrations of a group are one statement each where that saves round trips; other
//! work runs as jobs. A job may run again, after a conflict or on another connection, so it changes
//! nothing outside the database. One that fails by its own fault is answered with that and leaves
//! the others alone. A caller that goes away does not cut what it asked for.
//!
//! Several registries on one database write one at a time, as jobs of one registry do: the group's
//! transaction holds a lock of the database.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::StoreError;
use super::agents::Registration;
use super::connection::{Connection, Opener};
use super::group::Group;
use super::readers::Readers;
use super::time::Time;

/// What waits; more callers wait for room.
const QUEUE: usize = 1024;
/// Members of one transaction: bounds how long the first waits for the last.
const GROUP: usize = 256;
/// How long a caller waits. Shorter than the handler's deadline, so that the answer names the store.
const PATIENCE: Duration = Duration::from_secs(8);

type Value = Box<dyn Any + Send>;
type Job =
    Box<dyn for<'c> Fn(&'c mut Connection, i64) -> BoxFuture<'c, Result<Value, sqlx::Error>> + Send + Sync>;

/// What can be asked of the writing task.
pub(super) enum Work {
    /// Renews an agent's own lease. Answered with an `Option<i64>`.
    Beat { scope: String, agent_id: String },
    /// Makes or replaces an agent's own contribution. Answered with `()`.
    Register { scope: String, registration: Box<Registration> },
    /// Anything else.
    Job(Job),
    /// From now on this registry is one of those that run: see `retention::resume`.
    Serve,
}

/// One caller's work.
pub(super) struct Member {
    pub(super) work: Work,
    answer: oneshot::Sender<Result<Value, StoreError>>,
    /// Later than this nobody waits for it, and it is not begun.
    until: Instant,
}

impl Member {
    pub(super) fn answer(self, answer: Result<Value, StoreError>) {
        // The caller may be gone; its write is stored all the same.
        let _ = self.answer.send(answer);
    }
}

/// Hands work to the writing task.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Member>,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Writer {
    /// Starts the task.
    pub(super) fn start(opener: Opener, time: Time, readers: Arc<Readers>) -> Writer {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let writer = Writer { queue, stop: CancellationToken::new(), stopped: CancellationToken::new() };
        let (stop, stopped) = (writer.stop.clone(), writer.stopped.clone().drop_guard());
        tokio::spawn(async move {
            let _stopped = stopped;
            let mut group = Group::new(opener, time, readers);
            loop {
                let first = tokio::select! {
                    member = waiting.recv() => member,
                    () = stop.cancelled(), if !waiting.is_closed() => {
                        waiting.close();
                        continue;
                    }
                };
                let Some(first) = first else { break };
                let members = gather(first, &mut waiting);
                if let Err(cause) = group.commit(members).await {
                    error!(cause = %cause, "the store did not take a write");
                }
            }
            group.close().await;
        });
        writer
    }

    /// Runs `job` in the next transaction; the value comes back once it is on disk. The job is told
    /// the time.
    pub(super) async fn run<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Connection, i64) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + Sync
            + 'static,
    {
        let job = Arc::new(job);
        self.ask(Work::Job(Box::new(move |connection, now| {
            let job = Arc::clone(&job);
            Box::pin(async move { Ok(Box::new(job(connection, now).await?) as Value) })
        })))
        .await
    }

    /// Has the work done; the value comes back once it is on disk.
    pub(super) async fn ask<T: 'static>(&self, work: Work) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + PATIENCE;
        let asked = tokio::time::timeout_at(until, async {
            self.queue.send(Member { work, answer, until }).await.map_err(|_| StoreError::Closed)?;
            answered.await.map_err(|_| StoreError::NotStored)?
        });
        let value = asked.await.map_err(|_| StoreError::NotStored)??;
        value.downcast().map(|value| *value).map_err(|_| StoreError::NotStored)
    }

    /// Takes no new work and waits for what queues.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }
}

/// Everything that waits, up to a bound, without what came too late.
fn gather(first: Member, waiting: &mut mpsc::Receiver<Member>) -> Vec<Member> {
    let mut members = vec![first];
    while members.len() < GROUP {
        let Ok(member) = waiting.try_recv() else { break };
        members.push(member);
    }
    let now = Instant::now();
    members.retain(|member| member.until > now);
    members
}
