//! What a source's batch or snapshot page does to its contributions: on rows, without a database.
//! The stores read the rows that it needs before, and write the changes that it has noted after.

use std::collections::BTreeMap;

use super::sources::Source;
use crate::domain::record::{Contribution, Digest, Item, ItemOutcome, ItemResult, RetainedItem};

/// One item as it came in: the request is not refused for one bad item.
#[derive(Clone, Debug)]
pub enum Submitted {
    /// Within all bounds.
    Valid(Box<Item>),
    /// Not acceptable.
    Invalid {
        /// The id, as far as it can be read.
        agent_id: String,
        /// Why.
        message: String,
    },
}

impl Submitted {
    pub(super) fn agent_id(&self) -> &str {
        match self {
            Submitted::Valid(item) => &item.contribution.agent_id,
            Submitted::Invalid { agent_id, .. } => agent_id,
        }
    }
}

/// An orchestrator's contribution as it is held, of whichever source.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) source: String,
    pub(super) digest: Digest,
    pub(super) document: String,
    pub(super) ttl_seconds: i64,
    pub(super) created_at: i64,
    pub(super) lease_at: i64,
    pub(super) source_renewed_at: i64,
}

impl Held {
    fn is_live(&self, now: i64) -> bool {
        self.lease_at.max(self.source_renewed_at) + self.ttl_seconds * 1000 > now
    }
}

/// What is to be done with one row. Every change but a removal gives it the source's snapshot mark:
/// what a source said during a snapshot is newer than the list that the snapshot was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// It goes.
    Remove,
    /// The running snapshot named it.
    Mark,
    /// Its lease begins anew.
    Renew,
    /// It is made, or replaced whole.
    Write { item: &'a Item, created_at: i64 },
}

/// The rows of one call while it is worked on.
pub(super) struct Draft<'a> {
    pub(super) source: Source,
    pub(super) changes: BTreeMap<String, Change<'a>>,
    /// What goes out of other sources' sums: their ids went to this source.
    pub(super) taken: Vec<(String, Digest)>,
    held: BTreeMap<String, Held>,
    now: i64,
}

impl<'a> Draft<'a> {
    /// `held` are the rows of all ids that the call names.
    pub(super) fn new(source: Source, held: BTreeMap<String, Held>, now: i64) -> Draft<'a> {
        Draft { source, held, now, changes: BTreeMap::new(), taken: Vec::new() }
    }

    /// Makes, replaces or renews one contribution.
    pub(super) fn upsert(&mut self, submitted: &'a Submitted) -> ItemResult {
        let item = match submitted {
            Submitted::Valid(item) => item,
            Submitted::Invalid { agent_id, message } => {
                // Nothing is changed, so a snapshot with this item must not withdraw the old one.
                self.retain(agent_id);
                return refused(agent_id, ItemOutcome::Rejected, message.clone());
            }
        };
        let agent_id = &item.contribution.agent_id;
        let mut created_at = self.now;
        if let Some(held) = self.held.get(agent_id) {
            if held.source != self.source.id {
                if held.is_live(self.now) {
                    let message = owner(&self.source.scope, held);
                    return refused(agent_id, ItemOutcome::OwnedByAnother, message);
                }
                self.taken.push((held.source.clone(), held.digest));
            } else if held.digest == item.digest {
                if !matches!(self.changes.get(agent_id), Some(Change::Write { .. })) {
                    self.changes.insert(agent_id.clone(), Change::Renew);
                }
                return plain(agent_id, ItemOutcome::Unchanged);
            } else {
                self.source.take_out(held.digest);
                created_at = held.created_at;
            }
        }
        self.source.add(item.digest);
        self.changes.insert(agent_id.clone(), Change::Write { item, created_at });
        let now_held = Held {
            source: self.source.id.clone(),
            digest: item.digest,
            document: String::new(),
            ttl_seconds: i64::from(item.contribution.ttl_seconds),
            created_at,
            lease_at: self.now,
            source_renewed_at: self.source.renewed_at,
        };
        self.held.insert(agent_id.clone(), now_held);
        plain(agent_id, ItemOutcome::Applied)
    }

    /// Marks a contribution as named by the running snapshot; what is held, if the source has one.
    pub(super) fn retain(&mut self, agent_id: &str) -> Option<RetainedItem> {
        let held = self.held.get(agent_id).filter(|held| held.source == self.source.id)?;
        self.changes.entry(agent_id.to_owned()).or_insert(Change::Mark);
        Some(RetainedItem { agent_id: agent_id.to_owned(), digest: held.digest })
    }

    /// Takes back what the source says of one agent.
    pub(super) fn withdraw(&mut self, agent_id: &str) -> ItemResult {
        if self.held.get(agent_id).is_none_or(|held| held.source != self.source.id) {
            return plain(agent_id, ItemOutcome::NotFound);
        }
        if let Some(held) = self.held.remove(agent_id) {
            self.source.take_out(held.digest);
        }
        self.changes.insert(agent_id.to_owned(), Change::Remove);
        plain(agent_id, ItemOutcome::Withdrawn)
    }
}

fn owner(scope: &str, held: &Held) -> String {
    let endpoint = serde_json::from_str::<Contribution>(&held.document)
        .map(|c| format!(" (AgentEndpoint {}/{})", c.endpoint.namespace, c.endpoint.name))
        .unwrap_or_default();
    format!("the id belongs to source \"{}\"{endpoint} in scope \"{scope}\"", held.source)
}

fn plain(agent_id: &str, outcome: ItemOutcome) -> ItemResult {
    ItemResult { agent_id: agent_id.to_owned(), outcome, message: None }
}

fn refused(agent_id: &str, outcome: ItemOutcome, message: String) -> ItemResult {
    ItemResult { agent_id: agent_id.to_owned(), outcome, message: Some(message) }
}
