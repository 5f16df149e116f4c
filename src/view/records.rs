//! What the registry shows to everybody, asked for when somebody looks. The last answer is kept and
//! dated: a registry that is gone, slow or answers garbage takes nothing away from the reader.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::Timestamp;

use crate::domain::agent::RecordView;

/// Asks the registry for its records; the flag tells that there are more than were read.
pub type Fetch = Arc<dyn Fn() -> BoxFuture<'static, Result<(Vec<RecordView>, bool), String>> + Send + Sync>;

/// An answer younger than this is not asked for again.
const FRESH: Duration = Duration::from_secs(2);
/// A reader waits this long for a new answer before it gets the old one.
const PATIENCE: Duration = Duration::from_secs(1);

/// All pages of one answer take no longer than this.
const LONGEST: Duration = Duration::from_secs(30);

/// What is known of the registry's records.
#[derive(Clone, Debug, Default)]
pub struct Dated {
    /// In order of id.
    pub records: Arc<Vec<RecordView>>,
    /// There are more than are shown.
    pub more: bool,
    /// When the registry said so; `None`: it never answered.
    pub as_of: Option<Timestamp>,
    /// What the last try said, when it failed.
    pub problem: Option<String>,
    /// When it was last tried.
    pub tried_at: Option<Timestamp>,
}

struct State {
    last: Dated,
    under_way: Option<Shared<BoxFuture<'static, ()>>>,
}

/// The registry's records; clones share them.
#[derive(Clone)]
pub struct Records {
    fetch: Option<Fetch>,
    now: fn() -> Timestamp,
    state: Arc<Mutex<State>>,
}

impl Records {
    /// Without `fetch` there is no registry.
    pub fn new(fetch: Option<Fetch>, now: fn() -> Timestamp) -> Records {
        Records { fetch, now, state: Arc::new(Mutex::new(State { last: Dated::default(), under_way: None })) }
    }

    /// Is there a registry at all?
    pub fn configured(&self) -> bool {
        self.fetch.is_some()
    }

    /// The newest answer that can be had within a second. One call at a time, however many read.
    pub async fn read(&self) -> Dated {
        if let Some(fetching) = self.refresh() {
            tokio::time::timeout(PATIENCE, fetching).await.ok();
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    fn refresh(&self) -> Option<Shared<BoxFuture<'static, ()>>> {
        let fetch = self.fetch.as_ref()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = &state.under_way {
            return Some(under_way.clone());
        }
        let now = (self.now)();
        let tried = state.last.tried_at;
        if tried.is_some_and(|at| now >= at && now.duration_since(at).unsigned_abs() < FRESH) {
            return None;
        }
        let (asked, shared, clock) = (fetch(), Arc::clone(&self.state), self.now);
        let fetching = async move {
            let asked = std::panic::AssertUnwindSafe(asked).catch_unwind();
            let answer = match tokio::time::timeout(LONGEST, asked).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err("reading the registry failed: this is a bug, please report it".to_owned()),
                Err(_) => {
                    Err(format!("the registry did not send its records within {} s", LONGEST.as_secs()))
                }
            };
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.under_way = None;
            let at = clock();
            state.last.tried_at = Some(at);
            match answer {
                Ok((records, more)) => {
                    let records = Arc::new(records);
                    state.last = Dated { records, more, as_of: Some(at), problem: None, tried_at: Some(at) };
                }
                Err(problem) => state.last.problem = Some(problem),
            }
        }
        .boxed()
        .shared();
        state.under_way = Some(fetching.clone());
        // It goes on when the reader has lost patience.
        tokio::spawn(fetching.clone());
        Some(fetching)
    }
}
