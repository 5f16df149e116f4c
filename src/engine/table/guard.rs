//! The table's part of the self-outage guard: what is held, counted and released.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Entry, Key, Table};
use crate::domain::guard::{self, Canaries, MAX_PATIENCE, Order, Phase, Tally};
use crate::domain::{EndpointId, Machine, Outcome, TargetState};

/// Scans while targets begin to fail are at least so far apart.
const SCAN_EVERY: Duration = Duration::from_millis(100);
/// Statements that change per look when what was held is released: a fleet is not written at once.
const RELEASED_PER_LOOK: usize = 50;

/// The guard's memory.
#[derive(Default)]
pub(super) struct Guard {
    phase: Phase,
    /// The newest counts of an active phase.
    tally: Tally,
    scanned: Duration,
    /// What waits for its release: to the truth, or to be unknown.
    releasing: VecDeque<Key>,
    pub answers: Vec<(String, Result<(), String>)>,
}

/// What is said of a target while our own side is suspected.
pub(super) struct Held {
    state: TargetState,
    /// It was healthy before: it counts.
    counted: bool,
}

/// What the guard does, as of now; times are durations since the engine was made.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Standing {
    pub phase: Phase,
    pub tally: Tally,
    pub answers: Vec<(String, Result<(), String>)>,
}

/// What a look did.
pub(in crate::engine) struct Look {
    pub order: Order,
    /// Endpoints of which something else is said now.
    pub changed: Vec<EndpointId>,
}

impl Entry {
    /// What is said of the target: the truth, or, while our own side is suspected, what was said
    /// before, unless it passes or is denied, which is no network's doing.
    pub fn shown(&self) -> &TargetState {
        let truth = self.machine.state();
        match &self.held {
            Some(held) if !truth.passes() && truth.denied.is_none() => &held.state,
            _ => truth,
        }
    }

    pub(super) fn was_healthy(state: &TargetState) -> bool {
        state.passes() || state.is_suspect()
    }

    /// Notes since when it fails, if it did not before. Answers whether one that counts began to.
    pub(super) fn note(&mut self, outcome: &Outcome, healthy_before: bool, now: Duration) -> bool {
        self.blind = matches!(outcome, Outcome::NotAsked(_));
        match outcome {
            Outcome::Passed { .. } | Outcome::Denied { .. } => {
                self.failing_since = None;
                self.vouched = false;
            }
            Outcome::Failed(_) if self.failing_since.is_none() && healthy_before => {
                self.failing_since = Some(now);
                return self.remote && !self.vouched;
            }
            Outcome::Failed(_) | Outcome::NotAsked(_) => {}
        }
        false
    }

    /// It fails, and is still said to pass.
    fn is_doubtful(&self) -> bool {
        self.failing_since.is_some() && self.held.as_ref().is_some_and(|held| held.state.passes())
    }

    fn began_lately(&self, now: Duration) -> bool {
        let window = self.spec.period + self.spec.timeout;
        self.failing_since.is_some_and(|since| now.saturating_sub(since) <= window)
    }
}

impl Table {
    pub fn standing(&self) -> Option<Standing> {
        let guard = &self.guard;
        guard.phase.is_active().then(|| Standing {
            phase: guard.phase,
            tally: guard.tally,
            answers: guard.answers.clone(),
        })
    }

    pub fn heard(&mut self, answers: Vec<(String, Result<(), String>)>) {
        self.guard.answers = answers;
    }

    /// An outcome is about to be taken in: what is said of a target that fails for the first time,
    /// while our own side is suspected, is that.
    pub(super) fn hold_new(&mut self, key: Key, outcome: &Outcome) {
        if self.guard.phase.is_active()
            && matches!(outcome, Outcome::Failed(_))
            && let Some(entry) = self.entries.get_mut(&key)
            && entry.remote
            && entry.held.is_none()
            && !entry.machine.state().has_verdict()
        {
            entry.held = Some(Held { state: guard::suspect(), counted: false });
        }
    }

    /// What is said of a target that comes while our own side is suspected: what was said of it before.
    pub(super) fn held_from_start(&self, state: &TargetState, remote: bool) -> Option<Held> {
        let known = state.has_verdict() || state.is_suspect();
        let counted = Entry::was_healthy(state);
        (self.guard.phase.is_active() && remote && known).then(|| Held { state: state.clone(), counted })
    }

    /// A target began to fail: look at once, but not at every one of many.
    pub fn look_soon(&mut self) -> Option<Look> {
        let now = self.origin.elapsed();
        let due = now.saturating_sub(self.guard.scanned) >= SCAN_EVERY;
        (due && !self.guard.phase.is_active()).then(|| self.judge(now))
    }

    /// Looks at all targets, and releases some of what waits for it: once a second, so that is the rate.
    pub fn look(&mut self) -> Look {
        let mut look = self.judge(self.origin.elapsed());
        self.release_some(&mut look.changed);
        look
    }

    fn judge(&mut self, now: Duration) -> Look {
        self.guard.scanned = now;
        let (tally, patience) = self.tally(now);
        self.guard.tally = tally;
        let canaries = match self.guard.answers.as_slice() {
            [] => Canaries::Silent,
            answers if answers.iter().all(|(_, answer)| answer.is_ok()) => Canaries::Passing,
            _ => Canaries::Failing,
        };
        let order = self.guard.phase.step(now, tally, canaries, patience);
        match order {
            Order::Nothing | Order::Suspect => {}
            Order::Hold => self.hold(now),
            Order::Publish => {
                let held = self.entries.iter_mut().filter(|(_, entry)| entry.held.is_some());
                self.guard.releasing = held
                    .map(|(key, entry)| {
                        // It is not counted again before it has passed: it is known to be its own fault.
                        entry.vouched = entry.failing_since.is_some();
                        *key
                    })
                    .collect();
            }
            Order::Void => self.forget(),
        }
        if matches!(self.guard.phase, Phase::Suspect { .. }) && self.guard.releasing.is_empty() {
            // Also those that began to fail since then.
            let doubtful = self.entries.iter().filter(|(_, entry)| entry.is_doubtful());
            self.guard.releasing = doubtful.map(|(key, _)| *key).collect();
        }
        Look { order, changed: Vec::new() }
    }

    /// What is said of all targets stays as it is.
    fn hold(&mut self, now: Duration) {
        self.guard.answers.clear();
        self.guard.releasing.clear();
        for entry in self.entries.values_mut().filter(|entry| entry.remote) {
            let state = entry.shown().clone();
            let counted = !entry.vouched && (Entry::was_healthy(&state) || entry.began_lately(now));
            let known = state.has_verdict() || state.is_suspect();
            entry.held = known.then_some(Held { state, counted });
        }
    }

    /// It was us: what was seen since it was held is void, but not what was vouched for before.
    fn forget(&mut self) {
        self.guard.releasing.clear();
        for (key, entry) in &mut self.entries {
            if entry.vouched {
                self.guard.releasing.push_back(*key);
                continue;
            }
            let truth = entry.machine.state();
            let keep = truth.passes() || truth.denied.is_some();
            if let Some(held) = entry.held.take().filter(|_| !keep) {
                entry.machine = Machine::from_state(held.state);
            }
            entry.failing_since = None;
        }
    }

    /// How many were healthy and fail, and the longest period of those that fail.
    fn tally(&self, now: Duration) -> (Tally, Duration) {
        let active = self.guard.phase.is_active();
        let (mut tally, mut patience) = (Tally::default(), Duration::ZERO);
        for entry in self.entries.values().filter(|e| e.remote && e.timer.is_some()) {
            let (failing, healthy) = if active {
                let counted = entry.held.as_ref().is_some_and(|held| held.counted);
                (counted && entry.failing_since.is_some(), counted)
            } else {
                let began = !entry.vouched && entry.began_lately(now);
                (began, !entry.vouched && Entry::was_healthy(entry.machine.state()))
            };
            // What we could not even ask says nothing of how many answer.
            let healthy = failing || (healthy && !entry.blind);
            tally.healthy += usize::from(healthy);
            if failing {
                tally.failing += 1;
                patience = patience.max(entry.spec.period.min(MAX_PATIENCE));
            }
        }
        (tally, patience)
    }

    fn release_some(&mut self, changed: &mut Vec<EndpointId>) {
        let suspect = self.guard.phase.is_active();
        for _ in 0..self.guard.releasing.len() {
            if changed.len() >= RELEASED_PER_LOOK {
                return;
            }
            let Some(key) = self.guard.releasing.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if entry.vouched && entry.machine.state().passes() {
                // Its threshold is not reached: later, or it would not come at this rate.
                self.guard.releasing.push_back(key);
                continue;
            }
            let before = entry.shown().clone();
            if !suspect {
                entry.held = None;
            } else if entry.is_doubtful()
                && let Some(held) = &mut entry.held
            {
                held.state = guard::suspect();
            }
            if *entry.shown() != before {
                changed.push(entry.endpoint.clone());
            }
        }
    }
}
