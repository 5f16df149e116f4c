//! The engine's table: targets, their timers, and who waits for what. Nothing here waits or spawns.

mod guard;
mod readings;

pub(super) use guard::Look;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};

use super::Limits;
use super::pulse::{Pace, Pulse};
use crate::domain::endpoint::Lookup;
use crate::domain::guard::is_remote;
use crate::domain::schedule::{missed, modulo, next_slot, phase};
use crate::domain::{Endpoint, EndpointId, Machine, Outcome, ProbeSpec, Target, TargetAddress, TargetState};

/// The part of a period over which first probes are spread.
const FIRST_SPREAD: f64 = 0.92;

/// One incarnation of a target: an edit makes a new one, so an outcome of the old is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u64);

/// A probe that may start now.
pub(super) struct Start {
    pub key: Key,
    pub target: Target,
    pub spec: Arc<ProbeSpec>,
}

/// What an outcome did.
pub(super) enum Effect {
    /// It is of a target that is not there any more.
    Outdated,
    /// Nothing that others see.
    Nothing,
    /// Nothing that others see, but a healthy target began to fail.
    Began,
    /// Others see this endpoint in another state.
    Changed {
        /// This one.
        id: EndpointId,
        /// A healthy target began to fail.
        began: bool,
    },
}

impl Effect {
    /// A healthy target began to fail.
    pub fn began(&self) -> bool {
        matches!(self, Effect::Began | Effect::Changed { began: true, .. })
    }
}

enum Activity {
    Idle,
    /// Due, and in a queue until the limits allow it.
    Waiting,
    InFlight(AbortHandle),
}

struct Entry {
    endpoint: EndpointId,
    target: Target,
    spec: Arc<ProbeSpec>,
    machine: Machine,
    phase: Duration,
    due: Duration,
    /// The slot that it waits for a start in.
    slot: Duration,
    timer: Option<delay_queue::Key>,
    activity: Activity,
    /// There is a network between us and it: the guard counts it.
    remote: bool,
    /// It was healthy and has not passed since then.
    failing_since: Option<Duration>,
    /// What is said of it while our own side is suspected.
    held: Option<guard::Held>,
    /// Canaries vouched for us while it failed, and it has not passed since then.
    vouched: bool,
    /// The newest outcome was that we could not ask.
    blind: bool,
    /// Of the last probe that passed.
    latency: Option<Duration>,
}

#[derive(Default)]
struct Host {
    in_flight: usize,
    waiting: VecDeque<Key>,
}

pub(super) struct Table {
    limits: Limits,
    /// Slots are counted from here.
    origin: Instant,
    next_key: u64,
    entries: HashMap<Key, Entry>,
    /// The object's uid (another one is another object, whatever its name) and its targets.
    endpoints: HashMap<EndpointId, (String, Vec<Key>)>,
    timers: DelayQueue<Key>,
    /// Due and not yet looked at against the limits; each target at most once.
    ready: VecDeque<Key>,
    hosts: HashMap<Lookup, Host>,
    in_flight: usize,
    /// When the next prompt first probe may start (a token bucket told as a time).
    prompt: Instant,
    pulse: Pulse,
    guard: guard::Guard,
}

impl Table {
    pub fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Table {
            limits,
            origin: now,
            next_key: 0,
            entries: HashMap::new(),
            endpoints: HashMap::new(),
            timers: DelayQueue::new(),
            ready: VecDeque::new(),
            hosts: HashMap::new(),
            in_flight: 0,
            prompt: now,
            pulse: Pulse::default(),
            guard: guard::Guard::default(),
        }
    }

    pub fn load(&self) -> (usize, usize) {
        (self.entries.len(), self.in_flight)
    }

    /// Since it was made.
    pub fn age(&self) -> Duration {
        self.origin.elapsed()
    }

    pub fn pace(&mut self) -> Pace {
        self.pulse.pace(self.origin.elapsed())
    }

    pub fn upsert(
        &mut self,
        endpoint: &Endpoint,
        restored: impl Fn(&TargetAddress) -> Option<TargetState>,
        now: Instant,
    ) {
        let keep = if endpoint.refusal.is_some() { &[][..] } else { &endpoint.targets[..] };
        let (uid, old) = self.endpoints.remove(&endpoint.id).unwrap_or_default();
        let (mut kept, gone): (Vec<Key>, Vec<Key>) = old.into_iter().partition(|key| {
            let entry = self.entries.get(key);
            let same = entry.is_some_and(|e| *e.spec == endpoint.probe && keep.contains(&e.target));
            same && uid == endpoint.uid
        });
        gone.into_iter().for_each(|key| self.drop_entry(key));
        let spec = Arc::new(endpoint.probe.clone());
        for target in keep {
            let known = kept.iter().any(|key| self.entries.get(key).is_some_and(|e| e.target == *target));
            if !known {
                let state = restored(&target.address);
                kept.push(self.add_entry(&endpoint.id, target, &spec, state));
            }
        }
        for key in &kept {
            self.arm(*key, endpoint.is_probed(), now);
        }
        self.endpoints.insert(endpoint.id.clone(), (endpoint.uid.clone(), kept));
    }

    fn add_entry(
        &mut self,
        id: &EndpointId,
        target: &Target,
        spec: &Arc<ProbeSpec>,
        state: Option<TargetState>,
    ) -> Key {
        let key = Key(self.next_key);
        self.next_key += 1;
        let remote = is_remote(target);
        let held = state.as_ref().and_then(|state| self.held_from_start(state, remote));
        self.entries.insert(
            key,
            Entry {
                endpoint: id.clone(),
                target: target.clone(),
                spec: Arc::clone(spec),
                machine: state.map_or_else(Machine::default, Machine::from_state),
                phase: phase(&format!("{id}|{}", target.address), spec.period),
                due: Duration::ZERO,
                slot: Duration::ZERO,
                timer: None,
                activity: Activity::Idle,
                remote,
                failing_since: None,
                held,
                vouched: false,
                blind: false,
                latency: None,
            },
        );
        key
    }

    /// Starts or stops an entry's timer. What is not known yet is asked for promptly as far as the
    /// bucket allows; all else in its own slot, so that a start does not storm.
    fn arm(&mut self, key: Key, probed: bool, now: Instant) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if probed && entry.timer.is_none() {
            let since = now.duration_since(self.origin);
            let mut due = next_slot(since, entry.phase, entry.spec.period);
            if !entry.machine.state().has_verdict() {
                // Counted from now and over a little less than a period: with what a start takes,
                // each target has been asked within one period of it. That is its phase from now on.
                let soon = since + entry.phase.mul_f64(FIRST_SPREAD);
                if soon < due {
                    due = soon;
                    entry.phase = modulo(soon, entry.spec.period);
                }
                let slot = self.prompt.max(now);
                let wait = slot.duration_since(now);
                if since + wait < due {
                    self.prompt = slot + Duration::from_secs(1) / self.limits.prompt_per_second.max(1);
                    due = since + wait;
                }
            }
            entry.due = due;
            entry.timer = Some(self.timers.insert_at(key, self.origin + due));
        } else if !probed {
            if let Some(timer) = entry.timer.take() {
                self.timers.try_remove(&timer);
            }
            self.cancel(key);
        }
    }

    pub fn remove(&mut self, id: &EndpointId) {
        for key in self.endpoints.remove(id).unwrap_or_default().1 {
            self.drop_entry(key);
        }
    }

    pub fn known(&self) -> HashSet<EndpointId> {
        self.endpoints.keys().cloned().collect()
    }

    /// Ends every timer and every probe; what is known stays known.
    pub fn stop(&mut self) {
        self.timers.clear();
        let keys: Vec<Key> = self.entries.keys().copied().collect();
        for key in keys {
            self.cancel(key);
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.timer = None;
            }
        }
    }

    fn drop_entry(&mut self, key: Key) {
        self.cancel(key);
        if let Some(timer) = self.entries.remove(&key).and_then(|entry| entry.timer) {
            self.timers.try_remove(&timer);
        }
    }

    /// Takes a target out of whatever it is doing.
    fn cancel(&mut self, key: Key) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let host = entry.target.lookup.clone();
        match std::mem::replace(&mut entry.activity, Activity::Idle) {
            Activity::Idle => {}
            Activity::Waiting => {
                self.ready.retain(|waiting| *waiting != key);
                if let Some(host) = self.hosts.get_mut(&host) {
                    host.waiting.retain(|waiting| *waiting != key);
                }
            }
            Activity::InFlight(task) => {
                task.abort();
                self.release(&host);
            }
        }
    }

    pub fn states(&self, endpoint: &Endpoint) -> Vec<TargetState> {
        let keys = self.endpoints.get(&endpoint.id).map_or(&[][..], |(_, keys)| keys.as_slice());
        let state = |target: &Target| {
            keys.iter()
                .filter_map(|key| self.entries.get(key))
                .find(|e| e.target == *target && *e.spec == endpoint.probe)
                .map_or_else(TargetState::unknown, |e| e.shown().clone())
        };
        endpoint.targets.iter().map(state).collect()
    }

    /// Moves every target whose time has come to the queue; answers how many slots were missed.
    pub fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<u64> {
        let mut any = false;
        let mut late = 0;
        while let Poll::Ready(Some(expired)) = self.timers.poll_expired(cx) {
            any = true;
            let key = expired.into_inner();
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let since = self.origin.elapsed();
            let next = next_slot(since.max(entry.due), entry.phase, entry.spec.period);
            late += missed(entry.due, next, entry.spec.period);
            let slot = std::mem::replace(&mut entry.due, next);
            entry.timer = Some(self.timers.insert_at(key, self.origin + next));
            if matches!(entry.activity, Activity::Idle) {
                entry.slot = slot;
                entry.activity = Activity::Waiting;
                self.ready.push_back(key);
            } else {
                late += 1;
            }
        }
        if any { Poll::Ready(late) } else { Poll::Pending }
    }

    /// The next probe that the limits allow.
    pub fn next_start(&mut self) -> Option<Start> {
        while self.in_flight < self.limits.in_flight {
            let key = self.ready.pop_front()?;
            let Some(entry) = self.entries.get(&key) else { continue };
            let host = self.hosts.entry(entry.target.lookup.clone()).or_default();
            if host.in_flight >= self.limits.per_host {
                host.waiting.push_back(key);
                continue;
            }
            return Some(Start { key, target: entry.target.clone(), spec: Arc::clone(&entry.spec) });
        }
        None
    }

    /// The probe of `key` runs now; answers how late that is.
    pub fn started(&mut self, key: Key, task: AbortHandle) -> Option<Duration> {
        let entry = self.entries.get_mut(&key)?;
        entry.activity = Activity::InFlight(task);
        let late = self.origin.elapsed().saturating_sub(entry.slot);
        self.pulse.started(late);
        self.in_flight += 1;
        self.hosts.entry(entry.target.lookup.clone()).or_default().in_flight += 1;
        Some(late)
    }

    fn release(&mut self, host: &Lookup) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(load) = self.hosts.get_mut(host) {
            load.in_flight = load.in_flight.saturating_sub(1);
            if let Some(next) = load.waiting.pop_front() {
                self.ready.push_front(next);
            } else if load.in_flight == 0 {
                self.hosts.remove(host);
            }
        }
    }

    /// Takes an outcome in.
    pub fn finished(&mut self, key: Key, outcome: &Outcome) -> Effect {
        self.hold_new(key, outcome);
        let in_flight = |entry: &&mut Entry| matches!(entry.activity, Activity::InFlight(_));
        let Some(entry) = self.entries.get_mut(&key).filter(in_flight) else { return Effect::Outdated };
        entry.activity = Activity::Idle;
        let now = self.origin.elapsed();
        self.pulse.finished(now);
        if let Outcome::Passed { latency, .. } = outcome {
            entry.latency = Some(*latency);
        }
        let host = entry.target.lookup.clone();
        let spec = Arc::clone(&entry.spec);
        let shown = entry.held.is_some().then(|| entry.shown().clone());
        let healthy = Entry::was_healthy(entry.machine.state());
        let stepped = entry.machine.step(outcome, spec.thresholds, spec.latency_threshold);
        let changed = shown.map_or(stepped, |shown| shown != *entry.shown());
        let began = entry.note(outcome, healthy, now);
        let id = entry.endpoint.clone();
        self.release(&host);
        match (changed, began) {
            (true, _) => Effect::Changed { id, began },
            (false, true) => Effect::Began,
            (false, false) => Effect::Nothing,
        }
    }
}
