//! What the registry should hold, what it is believed to hold, and what has to be said. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::record::{
    Digest, Holdings, Item, ItemOutcome, ItemResult, MAX_REQUEST_BYTES, RetainedItem,
};
use crate::domain::{Endpoint, EndpointId, MirrorIntent, RegistrationState};

/// What of one request is filled: the rest is the envelope.
const MAX_BYTES: usize = MAX_REQUEST_BYTES - 64 * 1024;

/// What one endpoint wants.
struct Claim {
    agent_id: String,
    created: Timestamp,
    uid: String,
    ttl: Duration,
    wanted: Wanted,
}

enum Wanted {
    /// This; with its size on the wire, in bytes.
    Item(Box<Item>, usize),
    /// Whatever the registry holds: nothing is known yet.
    AsItIs,
}

/// How the registry answered for an agent id.
#[derive(Clone)]
enum Answer {
    Stored(Digest),
    Rejected(Digest, String),
    OwnedByAnother(Digest, String),
}

#[derive(Default)]
pub(super) struct SnapshotPage {
    pub items: Vec<Item>,
    pub retained: Vec<String>,
}

pub(super) struct Outbox {
    /// The first complete list of objects has been looked at.
    pub open: bool,
    /// The last try's result.
    pub reachable: Option<bool>,
    claims: HashMap<EndpointId, Claim>,
    /// Who claims an id: the oldest object, then the smallest uid, owns it.
    claimants: HashMap<String, BTreeSet<(Timestamp, String, EndpointId)>>,
    /// Ids to be said something of, and since when.
    dirty: BTreeMap<String, Instant>,
    /// How long what the registry took had waited, since somebody last asked.
    waited: Vec<Duration>,
    answers: HashMap<String, Answer>,
    /// What the registry is believed to hold of us.
    held: BTreeMap<String, Digest>,
    /// No answer since then.
    pub away_since: Option<Instant>,
    /// What the last try said, when it failed.
    pub problem: Option<String>,
    /// Endpoints whose condition says `RegistryUnavailable`.
    unavailable: HashSet<EndpointId>,
}

impl Outbox {
    pub fn new(now: Instant) -> Self {
        Outbox {
            open: false,
            reachable: None,
            claims: HashMap::new(),
            claimants: HashMap::new(),
            dirty: BTreeMap::new(),
            waited: Vec::new(),
            answers: HashMap::new(),
            held: BTreeMap::new(),
            away_since: Some(now),
            problem: None,
            unavailable: HashSet::new(),
        }
    }

    pub fn known(&self) -> HashSet<EndpointId> {
        self.claims.keys().cloned().collect()
    }

    pub fn put(&mut self, endpoint: &Endpoint, intent: MirrorIntent) -> Vec<EndpointId> {
        let id = &endpoint.id;
        let wanted = match intent {
            MirrorIntent::Withdraw => return self.remove(id),
            MirrorIntent::Publish(contribution) => {
                let item = contribution.into_item();
                let size = serde_json::to_vec(&item).map_or(0, |text| text.len());
                Wanted::Item(Box::new(item), size)
            }
            MirrorIntent::Retain => Wanted::AsItIs,
        };
        let mut touched = Vec::new();
        let same = self
            .claims
            .get(id)
            .is_some_and(|old| old.agent_id == endpoint.agent_id && old.uid == endpoint.uid);
        if !same {
            touched = self.remove(id);
        }
        let mark = (endpoint.created, endpoint.uid.clone(), id.clone());
        let claimants = self.claimants.entry(endpoint.agent_id.clone()).or_default();
        let before = claimants.first().cloned();
        claimants.insert(mark);
        if let Some(before) = before.filter(|before| claimants.first() != Some(before)) {
            touched.push(before.2);
        }
        // While nothing new is known, what was said before stays said.
        let wanted = match (wanted, self.claims.remove(id)) {
            (Wanted::AsItIs, Some(old)) => old.wanted,
            (wanted, _) => wanted,
        };
        let claim = Claim {
            agent_id: endpoint.agent_id.clone(),
            created: endpoint.created,
            uid: endpoint.uid.clone(),
            ttl: Duration::from_secs(u64::from(endpoint.registration.ttl_seconds)),
            wanted,
        };
        self.claims.insert(id.clone(), claim);
        self.mark_if_different(&endpoint.agent_id);
        touched
    }

    pub fn remove(&mut self, id: &EndpointId) -> Vec<EndpointId> {
        self.unavailable.remove(id);
        let Some(claim) = self.claims.remove(id) else { return Vec::new() };
        let mut touched = Vec::new();
        if let Some(claimants) = self.claimants.get_mut(&claim.agent_id) {
            claimants.remove(&(claim.created, claim.uid, id.clone()));
            match claimants.first() {
                Some((_, _, heir)) => touched.push(heir.clone()),
                None => {
                    self.claimants.remove(&claim.agent_id);
                }
            }
        }
        self.mark_if_different(&claim.agent_id);
        touched
    }

    fn owner(&self, agent_id: &str) -> Option<&EndpointId> {
        self.claimants.get(agent_id)?.first().map(|(_, _, id)| id)
    }

    fn wanted(&self, agent_id: &str) -> Option<&Wanted> {
        let owner = self.owner(agent_id)?;
        self.claims.get(owner).map(|claim| &claim.wanted)
    }

    /// Answers how long it had waited, when there is nothing to be said of it any more.
    fn mark_if_different(&mut self, agent_id: &str) -> Option<Duration> {
        let settled = match (self.wanted(agent_id), self.answers.get(agent_id)) {
            (Some(Wanted::AsItIs), _) => true,
            // Also what a snapshot told us that is held without our having said it.
            (None, None) => !self.held.contains_key(agent_id),
            (
                Some(Wanted::Item(item, _)),
                Some(Answer::Stored(d) | Answer::Rejected(d, _) | Answer::OwnedByAnother(d, _)),
            ) => item.digest == *d,
            _ => false,
        };
        if !settled {
            self.dirty.entry(agent_id.to_owned()).or_insert_with(Instant::now);
            return None;
        }
        self.dirty.remove(agent_id).map(|since| since.elapsed())
    }

    /// Since when the oldest has waited.
    pub fn oldest(&self) -> Option<Instant> {
        self.dirty.values().min().copied()
    }

    /// How long what the registry took had waited, since this was last called.
    pub fn take_waited(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.waited)
    }

    /// How much there is to say.
    pub fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// The next things to say: upserts and withdrawals, together at most `most` and not more than
    /// one request can carry.
    pub fn batch(&self, most: usize) -> (Vec<Item>, Vec<String>) {
        let mut upserts = Vec::new();
        let mut withdrawals = Vec::new();
        let mut bytes = 0;
        for agent_id in self.dirty.keys().take(most) {
            match self.wanted(agent_id) {
                Some(Wanted::Item(_, size)) if bytes + size > MAX_BYTES && bytes > 0 => break,
                Some(Wanted::Item(item, size)) => {
                    bytes += size;
                    upserts.push((**item).clone());
                }
                Some(Wanted::AsItIs) => {}
                None if bytes + agent_id.len() > MAX_BYTES => break,
                None => {
                    bytes += agent_id.len() + 8;
                    withdrawals.push(agent_id.clone());
                }
            }
        }
        (upserts, withdrawals)
    }

    /// Takes the answers in. Answers whose endpoint wants to be looked at again.
    pub fn acknowledge(&mut self, sent: &[Item], results: &[ItemResult]) -> Vec<EndpointId> {
        let digests: HashMap<&str, Digest> =
            sent.iter().map(|item| (item.contribution.agent_id.as_str(), item.digest)).collect();
        let mut touched = Vec::new();
        for result in results {
            let id = &result.agent_id;
            let said = || result.message.clone().unwrap_or_default();
            match (result.outcome, digests.get(id.as_str())) {
                (ItemOutcome::Applied | ItemOutcome::Unchanged, Some(digest)) => {
                    self.held.insert(id.clone(), *digest);
                    self.answers.insert(id.clone(), Answer::Stored(*digest));
                }
                // The registry keeps what it held of it, and counts it.
                (ItemOutcome::Rejected, Some(digest)) => {
                    self.answers.insert(id.clone(), Answer::Rejected(*digest, said()));
                }
                (ItemOutcome::OwnedByAnother, Some(digest)) => {
                    self.held.remove(id);
                    self.answers.insert(id.clone(), Answer::OwnedByAnother(*digest, said()));
                }
                (ItemOutcome::Withdrawn | ItemOutcome::NotFound, _) => {
                    self.held.remove(id);
                    self.answers.remove(id);
                }
                // An answer to a question that was not asked.
                _ => {}
            }
            let waited = self.mark_if_different(id);
            self.waited.extend(waited);
            touched.extend(self.owner(id).cloned());
        }
        touched
    }

    /// A complete snapshot has been taken in: what it did not name is not held any more. What was
    /// withheld is held until a confirmed one.
    pub fn only(&mut self, named: &HashSet<String>) {
        self.held.retain(|id, _| named.contains(id));
    }

    /// What of the ids that a page retained, or that were rejected, is held after all.
    pub fn retained(&mut self, asked: &[String], items: &[RetainedItem]) {
        for id in asked {
            self.held.remove(id);
        }
        for item in items {
            self.held.insert(item.agent_id.clone(), item.digest);
        }
    }

    /// Everything that we say, in pages of at most `most` and not more than one request can carry;
    /// at least one page.
    pub fn snapshot(&self, most: usize) -> Vec<SnapshotPage> {
        let mut ids: Vec<&String> = self.claimants.keys().collect();
        ids.sort_unstable();
        let mut pages = vec![SnapshotPage::default()];
        let mut bytes = 0;
        for id in ids {
            let wanted = self.wanted(id);
            let size = if let Some(Wanted::Item(_, size)) = wanted { *size } else { id.len() };
            let full = pages.last().is_none_or(|page| page.items.len() + page.retained.len() >= most);
            if full || (bytes + size > MAX_BYTES && bytes > 0) {
                pages.push(SnapshotPage::default());
                bytes = 0;
            }
            bytes += size;
            let Some(page) = pages.last_mut() else { continue };
            match wanted {
                Some(Wanted::Item(item, _)) => page.items.push((**item).clone()),
                _ => page.retained.push(id.clone()),
            }
        }
        pages
    }

    pub fn held(&self) -> Holdings {
        Holdings {
            digest: self.held.values().fold(Digest::default(), |sum, d| sum.combine(*d)),
            count: self.held.len() as u64,
        }
    }

    pub fn smallest_ttl(&self) -> Duration {
        self.claims.values().map(|claim| claim.ttl).min().unwrap_or(Duration::from_mins(1))
    }

    /// The registry answered.
    pub fn contacted(&mut self) {
        self.reachable = Some(true);
        self.away_since = None;
        self.problem = None;
    }

    /// The registry did not answer as it should.
    pub fn failed(&mut self, problem: String) {
        self.reachable = Some(false);
        self.problem = Some(problem);
        if self.away_since.is_none() {
            self.away_since = Some(Instant::now());
        }
    }

    /// Lets what is owned by another be asked for again.
    pub fn retry_refused(&mut self) {
        let refused: Vec<String> = self
            .answers
            .iter()
            .filter(|(_, answer)| matches!(answer, Answer::OwnedByAnother(..)))
            .map(|(id, _)| id.clone())
            .collect();
        let now = Instant::now();
        let claimed = refused.into_iter().filter(|id| self.claimants.contains_key(id));
        self.dirty.extend(claimed.map(|id| (id, now)));
    }

    /// Moves at most `most` endpoints to or from "unavailable".
    pub fn announce(&mut self, now: Instant, most: usize) -> Vec<EndpointId> {
        let away = self.away_since.map(|since| now.duration_since(since));
        let due: Vec<EndpointId> = match away {
            Some(away) => self
                .claims
                .iter()
                .filter(|(id, claim)| away >= claim.ttl / 2 && !self.unavailable.contains(*id))
                .map(|(id, _)| id.clone())
                .take(most)
                .collect(),
            None => self.unavailable.iter().take(most).cloned().collect(),
        };
        for id in &due {
            if away.is_some() {
                self.unavailable.insert(id.clone());
            } else {
                self.unavailable.remove(id);
            }
        }
        due
    }

    pub fn state(&self, endpoint: &Endpoint, url: &str) -> RegistrationState {
        if let Some(owner) = self.owner(&endpoint.agent_id).filter(|owner| **owner != endpoint.id) {
            return RegistrationState::OwnedByAnother(format!(
                "AgentEndpoint {owner} is older and owns the agent id {}: give one of them another agentID.",
                endpoint.agent_id
            ));
        }
        if self.unavailable.contains(&endpoint.id) {
            return RegistrationState::Unavailable(format!(
                "The registry at {url} has not answered for half of the TTL; this goes on by itself when it does."
            ));
        }
        let wanted = self.claims.get(&endpoint.id).map(|claim| &claim.wanted);
        match (wanted, self.answers.get(&endpoint.agent_id)) {
            (Some(Wanted::Item(item, _)), Some(answer)) => match answer {
                Answer::Stored(digest) if *digest == item.digest => RegistrationState::Acknowledged,
                Answer::Rejected(digest, why) if *digest == item.digest => {
                    RegistrationState::Rejected(why.clone())
                }
                Answer::OwnedByAnother(digest, why) if *digest == item.digest => {
                    RegistrationState::OwnedByAnother(why.clone())
                }
                _ => RegistrationState::InFlight,
            },
            _ => RegistrationState::InFlight,
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
