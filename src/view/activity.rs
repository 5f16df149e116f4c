//! State changes, the newest of them, in memory.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Row;
use crate::domain::StatusWord;

/// How many are kept.
const KEPT: usize = 1000;

/// One change of an endpoint's status word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// When, in whole seconds.
    pub at: Timestamp,
    /// Of which endpoint.
    pub namespace: String,
    /// Of which endpoint.
    pub name: String,
    /// The word before; absent: this is how it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<StatusWord>,
    /// The word now; absent: the endpoint was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<StatusWord>,
    /// The reason of the `Ready` condition.
    pub reason: String,
    /// Its message.
    pub message: String,
}

/// The newest transitions.
#[derive(Default)]
pub struct Activity {
    /// In the order in which they were noticed.
    noticed: std::collections::VecDeque<Transition>,
}

impl Activity {
    /// Notes a change from one row to the next.
    pub fn note(&mut self, before: Option<&Row>, now: &Row) {
        let from = before.map(|row| row.word);
        if from == Some(now.word) {
            return;
        }
        // Degraded comes and goes while Ready stays: its own condition has the time.
        let degraded = now.status().filter(|_| {
            use StatusWord::{Degraded, Ready};
            matches!((from, now.word), (Some(Degraded), Ready) | (Some(Ready), Degraded))
        });
        let at = degraded
            .and_then(|s| s.condition(crate::domain::ConditionType::Degraded).map(|c| c.last_transition_time))
            .unwrap_or(now.since);
        self.push(Transition { at, from, to: Some(now.word), ..Transition::about(now) });
    }

    /// Notes that an endpoint went.
    pub fn gone(&mut self, row: &Row, at: Timestamp) {
        self.push(Transition { at, from: Some(row.word), ..Transition::about(row) });
    }

    fn push(&mut self, transition: Transition) {
        self.noticed.push_back(transition);
        if self.noticed.len() > KEPT {
            self.noticed.pop_front();
        }
    }

    /// In order of time.
    pub fn newest_first(&self) -> Vec<Transition> {
        let mut all: Vec<Transition> = self.noticed.iter().rev().cloned().collect();
        all.sort_by_key(|transition| std::cmp::Reverse(transition.at));
        all
    }
}

impl Transition {
    fn about(row: &Row) -> Transition {
        Transition {
            at: row.since,
            namespace: row.id.namespace.clone(),
            name: row.id.name.clone(),
            from: None,
            to: None,
            reason: row.reason.clone(),
            message: row.message().to_owned(),
        }
    }
}
