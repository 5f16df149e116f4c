//! Where the registry's record and our own status do not say the same. A heartbeat never masks a
//! failing probe, and a passing probe never invents a heartbeat: both are shown, with this word.

use super::agent::{RecordView, SourceKind};
use super::{Reason, StatusWord};

/// How a record and a status differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// The agent beats, the probe fails.
    HeartbeatOkProbeFailed,
    /// The probe passes, the agent has stopped beating.
    ProbeOkHeartbeatLost,
    /// The probe passes, the agent has never said anything itself.
    NeverHeartbeated,
    /// Somebody else owns the id.
    OwnedByAnother,
    /// The registry has no such record although it should.
    RecordMissing,
}

impl Disagreement {
    /// Every one.
    pub const ALL: [Disagreement; 5] = [
        Disagreement::HeartbeatOkProbeFailed,
        Disagreement::ProbeOkHeartbeatLost,
        Disagreement::NeverHeartbeated,
        Disagreement::OwnedByAnother,
        Disagreement::RecordMissing,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Disagreement::HeartbeatOkProbeFailed => "HeartbeatOkProbeFailed",
            Disagreement::ProbeOkHeartbeatLost => "ProbeOkHeartbeatLost",
            Disagreement::NeverHeartbeated => "NeverHeartbeated",
            Disagreement::OwnedByAnother => "OwnedByAnother",
            Disagreement::RecordMissing => "RecordMissing",
        }
    }

    /// What it means, for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Disagreement::HeartbeatOkProbeFailed => {
                "The agent beats, but its probe fails: it may answer on another address than the declared one, \
                 or be alive and unable to work. The probe counts."
            }
            Disagreement::ProbeOkHeartbeatLost => {
                "The probe passes, but the agent has stopped beating: its registration client may have ended."
            }
            Disagreement::NeverHeartbeated => {
                "The agent has never registered by itself. That is fine where only the orchestrator speaks for it."
            }
            Disagreement::OwnedByAnother => {
                "Another orchestrator or object owns this id in the registry: callers see its verdict, not this one."
            }
            Disagreement::RecordMissing => {
                "The registry says nothing of this agent yet: callers that ask it do not find the agent."
            }
        }
    }

    /// Is it only worth knowing, and not a fault?
    pub const fn is_harmless(self) -> bool {
        matches!(self, Disagreement::NeverHeartbeated)
    }
}

/// Compares what the registry holds of an agent with its status here. `registered` is the reason of
/// the condition `Registered`; without mirroring a missing record is as it should be.
pub fn disagreements(
    word: StatusWord,
    registered: Option<Reason>,
    record: Option<&RecordView>,
) -> Vec<Disagreement> {
    let mut found = Vec::new();
    if registered == Some(Reason::OwnedByAnother) {
        found.push(Disagreement::OwnedByAnother);
    }
    let Some(record) = record else {
        if registered == Some(Reason::Registered) {
            found.push(Disagreement::RecordMissing);
        }
        return found;
    };
    let passes = matches!(word, StatusWord::Ready | StatusWord::Degraded);
    let own = record.contributions.iter().find(|c| c.source.kind == SourceKind::Agent);
    match own {
        Some(own) if own.live && word == StatusWord::Failing => {
            found.push(Disagreement::HeartbeatOkProbeFailed);
        }
        Some(own) if !own.live && passes => found.push(Disagreement::ProbeOkHeartbeatLost),
        None if passes => found.push(Disagreement::NeverHeartbeated),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(own: Option<bool>) -> RecordView {
        let contributions: Vec<_> = own
            .map(|live| {
                json!({
                    "source": {"kind": "Agent", "id": "a"}, "agentName": "a", "addresses": [],
                    "createdAt": "2026-01-01T00:00:00Z", "asOf": "2026-01-01T00:00:00Z",
                    "expiresAt": "2026-01-01T00:01:00Z", "ttlSeconds": 60, "live": live,
                })
            })
            .into_iter()
            .collect();
        serde_json::from_value(json!({"agentID": "a", "isAlive": true, "contributions": contributions}))
            .unwrap()
    }

    #[test]
    fn each_way_to_differ_has_its_word_and_agreement_has_none() {
        use Disagreement::{
            HeartbeatOkProbeFailed, NeverHeartbeated, OwnedByAnother, ProbeOkHeartbeatLost, RecordMissing,
        };
        use StatusWord::{Failing, Ready, Unknown};
        let ours = Some(Reason::Registered);
        for (word, registered, record, expected) in [
            (Ready, ours, Some(record(Some(true))), vec![]),
            (Failing, ours, Some(record(Some(true))), vec![HeartbeatOkProbeFailed]),
            (Ready, ours, Some(record(Some(false))), vec![ProbeOkHeartbeatLost]),
            (Failing, ours, Some(record(Some(false))), vec![]),
            (Ready, ours, Some(record(None)), vec![NeverHeartbeated]),
            (Unknown, ours, Some(record(None)), vec![]),
            (Ready, ours, None, vec![RecordMissing]),
            (Ready, Some(Reason::RegistrationPending), None, vec![]),
            (Ready, Some(Reason::OwnedByAnother), Some(record(Some(true))), vec![OwnedByAnother]),
        ] {
            assert_eq!(disagreements(word, registered, record.as_ref()), expected, "{word} {record:?}");
        }
        assert!(Disagreement::ALL.iter().all(|d| d.sentence().ends_with('.') && !d.as_str().is_empty()));
    }
}
