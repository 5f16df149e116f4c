//! What is written of an endpoint: the status of the object, or a row of the status table.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Condition, ConditionStatus, ConditionType, Reason, StatusWord, TargetAddress, TargetState};

/// One target in the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Host as in the spec.
    pub host: String,
    /// Port as in the spec.
    pub port: u16,
    /// Its word.
    pub status: StatusWord,
    /// Why.
    pub reason: Reason,
    /// A sentence.
    pub message: String,
    /// When the word last changed (whole seconds).
    pub last_transition_time: Timestamp,
}

/// The whole status. Nothing in it changes from probe to probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Conditions, in the order of [`ConditionType::ALL`].
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this is about.
    pub observed_generation: i64,
    /// `http`, `tcp`, …
    pub protocol: String,
    /// Targets that are Ready or Degraded.
    pub ready_targets: u32,
    /// Targets.
    pub total_targets: u32,
    /// Both, for people: `2/3`.
    pub ready_summary: String,
    /// Each of them, in spec order.
    pub targets: Vec<TargetStatus>,
}

impl Status {
    /// The condition of a type, if it is there.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The status of a condition; Unknown when it is not there.
    pub fn is(&self, kind: ConditionType) -> ConditionStatus {
        self.condition(kind).map_or(ConditionStatus::Unknown, |c| c.status)
    }

    /// The one word for the whole endpoint.
    pub fn word(&self) -> StatusWord {
        use ConditionStatus::{False, True};
        let ready = self.condition(ConditionType::Ready);
        if self.is(ConditionType::Accepted) == False {
            StatusWord::Rejected
        } else if ready.is_some_and(|c| c.reason == Reason::Suspended) {
            StatusWord::Paused
        } else {
            match ready.map(|c| c.status) {
                Some(True) if self.is(ConditionType::Degraded) == True => StatusWord::Degraded,
                Some(True) => StatusWord::Ready,
                Some(False) => StatusWord::Failing,
                _ => StatusWord::Unknown,
            }
        }
    }

    /// What a stored status says of a target, to go on from after a restart.
    pub fn restore(&self, address: &TargetAddress) -> Option<TargetState> {
        let target = self.targets.iter().find(|t| t.host == address.host && t.port == address.port)?;
        TargetState::restore(target.status, target.reason, &target.message)
    }
}
