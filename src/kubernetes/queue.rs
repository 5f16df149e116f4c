//! The work queue: which endpoints want to be looked at, each at most once and never two at a time,
//! with a backoff per endpoint. A hint that comes while an endpoint is being looked at is kept.
//!
//! kube's `Controller` has all this but couples it to polling the watch; a standby replica must keep
//! its cache warm without working on it.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use rand::RngExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;

use crate::domain::EndpointId;
use crate::engine::Changes;
use crate::ops::looks::Looks;

/// How one look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing more to do until something changes.
    Settled,
    /// Look again after this time, whatever happens.
    Again(Duration),
    /// It failed: look again with backoff.
    Failed,
    /// The object changed under us: look again at once, as soon as the watch has caught up.
    Outrun,
}

/// So many endpoints are worked on at once.
const CONCURRENCY: usize = 16;
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);
const OUTRUN_RETRY: Duration = Duration::from_millis(100);
const LAST_OUTRUN: Duration = Duration::from_secs(5);

/// Works until `shutdown`; what is being worked on then is finished.
pub async fn work<F, W>(changes: Changes, work: W, looks: Looks, shutdown: CancellationToken)
where
    W: Fn(EndpointId) -> F + Send + Sync + 'static,
    F: Future<Output = Done> + Send + 'static,
{
    let work = Arc::new(work);
    let mut queue = Queue::default();
    let mut tasks: JoinSet<(EndpointId, Done)> = JoinSet::new();
    let mut running: HashMap<tokio::task::Id, EndpointId> = HashMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            ids = changes.take() => ids.into_iter().for_each(|id| queue.want(id)),
            Some(expired) = queue.later.next(), if !queue.later.is_empty() => {
                queue.due(expired.into_inner());
            }
            Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => match ended {
                Ok((task, (id, done))) => {
                    running.remove(&task);
                    queue.finished(id, done);
                }
                Err(error) => if let Some(id) = running.remove(&error.id()) {
                    looks.panics.inc();
                    tracing::error!(endpoint = %id, "a reconcile panicked: this is a bug, please report it");
                    queue.finished(id, Done::Failed);
                },
            },
        }
        while tasks.len() < CONCURRENCY {
            let Some((id, since)) = queue.next() else { break };
            looks.waited(since.elapsed());
            let (work, working) = (Arc::clone(&work), id.clone());
            let handle = tasks.spawn(async move {
                let done = work(working.clone()).await;
                (working, done)
            });
            running.insert(handle.id(), id);
        }
        looks.waiting(queue.wanted.len(), queue.wanted.front().map(|(_, since)| *since));
    }
    while tasks.join_next().await.is_some() {}
}

#[derive(Default)]
struct Queue {
    /// In the order in which they were wanted, and since when.
    wanted: std::collections::VecDeque<(EndpointId, Instant)>,
    waiting: HashSet<EndpointId>,
    working: HashSet<EndpointId>,
    /// Wanted again while being worked on.
    again: HashSet<EndpointId>,
    failures: HashMap<EndpointId, u32>,
    later: DelayQueue<EndpointId>,
    /// At most one entry in `later` an endpoint.
    timers: HashMap<EndpointId, tokio_util::time::delay_queue::Key>,
}

impl Queue {
    fn want(&mut self, id: EndpointId) {
        // A hint must not turn a failing write into a storm: its backoff holds for hints too.
        if self.failures.contains_key(&id) && self.timers.contains_key(&id) {
            return;
        }
        if self.working.contains(&id) {
            self.again.insert(id);
        } else if self.waiting.insert(id.clone()) {
            self.wanted.push_back((id, Instant::now()));
        }
    }

    fn due(&mut self, id: EndpointId) {
        self.timers.remove(&id);
        self.want(id);
    }

    fn next(&mut self) -> Option<(EndpointId, Instant)> {
        let (id, since) = self.wanted.pop_front()?;
        self.waiting.remove(&id);
        self.working.insert(id.clone());
        Some((id, since))
    }

    fn after(&mut self, id: EndpointId, delay: Duration) {
        if let Some(old) = self.timers.remove(&id) {
            self.later.try_remove(&old);
        }
        let key = self.later.insert(id.clone(), delay);
        self.timers.insert(id, key);
    }

    fn back_off(&mut self, id: &EndpointId, first: Duration, last: Duration) {
        let failures = self.failures.entry(id.clone()).or_default();
        let delay = first.saturating_mul(2_u32.saturating_pow(*failures)).min(last);
        *failures = failures.saturating_add(1).min(16);
        self.after(id.clone(), delay.mul_f64(rand::rng().random_range(0.7..1.0)));
    }

    fn finished(&mut self, id: EndpointId, done: Done) {
        self.working.remove(&id);
        let again = self.again.remove(&id);
        match done {
            Done::Settled => {
                self.failures.remove(&id);
            }
            Done::Again(delay) => {
                self.failures.remove(&id);
                self.after(id.clone(), delay);
            }
            Done::Outrun => self.back_off(&id, OUTRUN_RETRY, LAST_OUTRUN),
            Done::Failed => self.back_off(&id, FIRST_RETRY, LAST_RETRY),
        }
        if again {
            self.want(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn id(name: &str) -> EndpointId {
        EndpointId::new("ns", name)
    }

    #[tokio::test(start_paused = true)]
    async fn one_endpoint_is_never_worked_on_twice_at_a_time_and_a_late_hint_is_kept() {
        let changes = Changes::default();
        let count = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let seen = Arc::clone(&count);
        let hints = changes.clone();
        tokio::spawn(work(
            changes.clone(),
            move |_| {
                let (seen, hints) = (Arc::clone(&seen), hints.clone());
                async move {
                    assert_eq!(seen.1.fetch_add(1, Ordering::SeqCst), 0);
                    if seen.0.fetch_add(1, Ordering::SeqCst) == 0 {
                        hints.push(id("a"));
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    seen.1.fetch_sub(1, Ordering::SeqCst);
                    Done::Settled
                }
            },
            Looks::default(),
            CancellationToken::new(),
        ));
        changes.push(id("a"));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_endpoint_backs_off_and_others_go_on() {
        let changes = Changes::default();
        let calls: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
        let seen = Arc::clone(&calls);
        tokio::spawn(work(
            changes.clone(),
            move |id: EndpointId| {
                let seen = Arc::clone(&seen);
                async move {
                    seen.lock().unwrap().push((id.name.clone(), Instant::now()));
                    assert!(id.name != "panics", "on purpose");
                    if id.name == "fails" { Done::Failed } else { Done::Settled }
                }
            },
            Looks::default(),
            CancellationToken::new(),
        ));
        for name in ["fails", "panics", "works"] {
            changes.push(id(name));
        }
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            changes.push(id("works"));
            // Hints for a failing one change nothing.
            changes.push(id("fails"));
        }
        let calls = calls.lock().unwrap();
        assert!(calls.len() > 600);
        let of = |name: &str| calls.iter().filter(|(n, _)| n == name).map(|(_, at)| *at).collect::<Vec<_>>();
        assert!((600..=601).contains(&of("works").len()));
        let fails = of("fails");
        assert!((20..=40).contains(&fails.len()), "{}", fails.len());
        assert!(fails[5] - fails[4] > fails[2] - fails[1]);
        assert!((20..=40).contains(&of("panics").len()));
    }
}
