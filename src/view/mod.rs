//! What the orchestrator knows, for those who read it: the dashboard, the JSON API, and through it
//! the command line. Nothing here decides anything: rows are the objects with the status that
//! `kubectl get` shows. Adapters put objects in (in a cluster every replica does, from its watch);
//! readers take snapshots.

mod activity;
pub mod query;
mod records;
mod row;
mod selector;
pub mod series;
pub mod system;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::api::v1alpha1::Guarded;
use crate::domain::{EndpointId, StatusWord};

pub use activity::Transition;
pub use records::{Dated, Fetch, Records};
pub use row::Row;
use system::Role;
pub use system::System;

/// Deleted endpoints that are remembered, so that their page can say so.
const TOMBSTONES: usize = 500;
/// Changed rows that are remembered, so that a reader that comes back is told what it missed.
const CHANGES: usize = 1024;

/// Every row, in order of namespace and name.
pub type Rows = BTreeMap<EndpointId, Arc<Row>>;

/// An endpoint that is not there any more.
#[derive(Clone, Debug)]
pub struct Tombstone {
    /// The last that was known.
    pub row: Arc<Row>,
    /// When it went.
    pub at: Timestamp,
}

#[derive(Default)]
struct State {
    rows: Arc<Rows>,
    version: u64,
    gone: VecDeque<Tombstone>,
    activity: activity::Activity,
    changes: VecDeque<(u64, EndpointId)>,
    /// How often each endpoint came to each word, in the order of [`StatusWord::ALL`].
    turns: HashMap<EndpointId, [u64; 6]>,
    standing: Option<(Role, Option<String>)>,
    heard_at: Option<Timestamp>,
    complete: bool,
}

struct Shared {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    now: fn() -> Timestamp,
}

/// A handle to what is shown; clones share it.
#[derive(Clone)]
pub struct View {
    shared: Arc<Shared>,
}

impl View {
    /// Nothing yet. `now` dates what goes.
    pub fn new(now: fn() -> Timestamp) -> View {
        let (version, _) = watch::channel(0);
        View { shared: Arc::new(Shared { state: Mutex::default(), version, now }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows an object as it is now.
    pub fn put(&self, object: Arc<Guarded>) {
        let row = Row::of(object);
        let mut state = self.state();
        let before = state.rows.get(&row.id).cloned();
        if before.as_ref().is_some_and(|before| before.same(&row)) {
            return;
        }
        state.gone.retain(|tombstone| tombstone.row.id != row.id);
        state.activity.note(before.as_deref(), &row, (self.shared.now)());
        let id = row.id.clone();
        if before.is_some_and(|before| before.word != row.word) {
            let place = StatusWord::ALL.iter().position(|word| *word == row.word).unwrap_or_default();
            state.turns.entry(id.clone()).or_default()[place] += 1;
        }
        // Readers hold snapshots for moments only: mostly nothing is copied here.
        Arc::make_mut(&mut state.rows).insert(id.clone(), Arc::new(row));
        self.changed(state, id);
    }

    /// An endpoint is gone.
    pub fn remove(&self, id: &EndpointId) {
        let mut state = self.state();
        let Some(row) = Arc::make_mut(&mut state.rows).remove(id) else { return };
        let at = (self.shared.now)();
        state.turns.remove(id);
        state.activity.gone(&row, at);
        state.gone.push_front(Tombstone { row, at });
        state.gone.truncate(TOMBSTONES);
        self.changed(state, id.clone());
    }

    /// An endpoint is not ours to show any more (its class changed): it is there, but not here.
    pub fn hide(&self, id: &EndpointId) {
        let mut state = self.state();
        if Arc::make_mut(&mut state.rows).remove(id).is_some() {
            state.turns.remove(id);
            self.changed(state, id.clone());
        }
    }

    /// A complete list has been read: what it lacks is gone.
    pub fn retain(&self, keep: impl Fn(&EndpointId) -> bool) {
        let rows = self.rows();
        rows.keys().filter(|id| !keep(id)).for_each(|id| self.remove(id));
        self.complete();
    }

    /// What is there has been put: what is not here is not there.
    pub fn complete(&self) {
        self.state().complete = true;
    }

    /// A complete list has been read: what is not here is not there.
    pub fn is_complete(&self) -> bool {
        self.state().complete
    }

    fn changed(&self, mut state: MutexGuard<'_, State>, id: EndpointId) {
        state.version += 1;
        let version = state.version;
        state.changes.push_back((version, id));
        if state.changes.len() > CHANGES {
            state.changes.pop_front();
        }
        drop(state);
        self.shared.version.send_replace(version);
    }

    /// All rows as they are now.
    pub fn rows(&self) -> Arc<Rows> {
        Arc::clone(&self.state().rows)
    }

    /// How often each endpoint has come to each word since it was found, in the order of [`StatusWord::ALL`].
    pub fn turns(&self) -> HashMap<EndpointId, [u64; 6]> {
        self.state().turns.clone()
    }

    /// One row.
    pub fn row(&self, id: &EndpointId) -> Option<Arc<Row>> {
        self.state().rows.get(id).cloned()
    }

    /// What is remembered of an endpoint that is gone.
    pub fn tombstone(&self, id: &EndpointId) -> Option<Tombstone> {
        self.state().gone.iter().find(|tombstone| tombstone.row.id == *id).cloned()
    }

    /// Says what this replica does, and who is active.
    pub fn stand(&self, role: Role, leader: Option<String>) {
        self.state().standing = Some((role, leader));
    }

    /// What this replica does, and who is active as far as known. Without a cluster there is one, and it is.
    pub fn standing(&self) -> (Role, Option<String>) {
        self.state().standing.clone().unwrap_or((Role::Active, None))
    }

    /// The API server has answered, or the directory has been read.
    pub fn heard(&self) {
        self.state().heard_at = Some((self.shared.now)());
    }

    /// When it last did.
    pub fn heard_at(&self) -> Option<Timestamp> {
        self.state().heard_at
    }

    /// How many endpoints there are of each word.
    pub fn counts(&self) -> BTreeMap<StatusWord, usize> {
        let mut counts: BTreeMap<StatusWord, usize> = StatusWord::ALL.map(|word| (word, 0)).into();
        for row in self.rows().values() {
            *counts.entry(row.word).or_default() += 1;
        }
        counts
    }

    /// State changes, newest first, at most 1,000. In memory: after a start it begins with how each
    /// endpoint was found.
    pub fn activity(&self) -> Vec<Transition> {
        self.state().activity.newest_first()
    }

    /// The number of the last change.
    pub fn version(&self) -> u64 {
        self.state().version
    }

    /// Tells when the version rises.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// Endpoints that changed after `version`; `None` when that is too long ago to know.
    pub fn changes_since(&self, version: u64) -> Option<Vec<EndpointId>> {
        let state = self.state();
        if version > state.version {
            return None;
        }
        let oldest = state.changes.front().map_or(state.version + 1, |(version, _)| *version);
        if version + 1 < oldest {
            return None;
        }
        let mut ids: Vec<EndpointId> =
            state.changes.iter().filter(|(at, _)| *at > version).map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        Some(ids)
    }
}

#[cfg(test)]
mod tests;
