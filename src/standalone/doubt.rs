//! Absence that one reading alone does not prove: a volume that is not mounted looks like an empty directory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::EndpointId;
use crate::domain::record::withdrawal_needs_confirmation;

/// Two readings of one moment are one word: so long after the first one the second counts. Shorter than the time between
/// regular readings, so that the next of them confirms.
const APART: Duration = Duration::from_secs(5);

/// What is missing and not yet believed to be gone.
#[derive(Debug, Default)]
pub struct Doubt {
    since: BTreeMap<EndpointId, Instant>,
}

impl Doubt {
    /// What of `missing` is gone, of so many that are `held`, after a reading at `read_at`. Few are gone at once. Of many
    /// those that another, later reading misses too, if it was `complete`: without a problem.
    pub fn believe(
        &mut self,
        held: usize,
        missing: &BTreeSet<EndpointId>,
        read_at: Instant,
        complete: bool,
    ) -> BTreeSet<EndpointId> {
        let many = withdrawal_needs_confirmation(held as u64, missing.len() as u64);
        self.since.retain(|id, _| missing.contains(id));
        let mut gone = BTreeSet::new();
        for id in missing {
            // What was once in doubt came and went with others: it stays in doubt when few are left.
            if many || self.since.contains_key(id) {
                let since = *self.since.entry(id.clone()).or_insert(read_at);
                if !complete || read_at.saturating_duration_since(since) < APART {
                    continue;
                }
            }
            gone.insert(id.clone());
        }
        gone
    }

    /// It is gone and done with.
    pub fn settled(&mut self, id: &EndpointId) {
        self.since.remove(id);
    }

    /// How many are in doubt.
    pub fn len(&self) -> usize {
        self.since.len()
    }
}

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod tests;
