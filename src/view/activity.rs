//! State changes, the newest of them, in memory.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Row;
use crate::domain::{ConditionType, StatusWord};

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
    /// Notes a change from one row to the next, noticed at `clock`.
    pub fn note(&mut self, before: Option<&Row>, now: &Row, clock: Timestamp) {
        let from = before.map(|row| row.word);
        if from == Some(now.word) {
            return;
        }
        // Not every change of the word moves a condition that dates it: then it is dated as it was noticed.
        let back_to_ready = from == Some(StatusWord::Degraded) && now.word == StatusWord::Ready;
        let cleared = now.status().filter(|_| back_to_ready).and_then(|status| {
            status.condition(ConditionType::Degraded).map(|condition| condition.last_transition_time)
        });
        let at = cleared.unwrap_or(now.since);
        let at = if before.is_some_and(|before| at <= before.since) { clock } else { at };
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
