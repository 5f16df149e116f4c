//! Conditions: Kubernetes' form of a verdict, with transition times that move only with the status.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Reason;

/// The condition types that this program writes, in the order in which it writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// Accepted, reachable and healthy: the one people wait for.
    Ready,
    /// The spec can be acted on.
    Accepted,
    /// At least `minReady` targets accept a connection.
    Reachable,
    /// At least `minReady` targets give the answer that the protocol demands.
    Healthy,
    /// The registry holds this verdict.
    Registered,
    /// It works, but look at it.
    Degraded,
    /// Nothing but a spec change can help; written only when True.
    Stalled,
}

impl ConditionType {
    /// Every type.
    pub const ALL: [ConditionType; 7] = [
        ConditionType::Ready,
        ConditionType::Accepted,
        ConditionType::Reachable,
        ConditionType::Healthy,
        ConditionType::Registered,
        ConditionType::Degraded,
        ConditionType::Stalled,
    ];

    /// The word as it stands in the object.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConditionType::Ready => "Ready",
            ConditionType::Accepted => "Accepted",
            ConditionType::Reachable => "Reachable",
            ConditionType::Healthy => "Healthy",
            ConditionType::Registered => "Registered",
            ConditionType::Degraded => "Degraded",
            ConditionType::Stalled => "Stalled",
        }
    }

    /// Reads a type back; `None` for a foreign one.
    pub fn parse(text: &str) -> Option<ConditionType> {
        ConditionType::ALL.into_iter().find(|t| t.as_str() == text)
    }
}

/// True, False or Unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known.
    Unknown,
}

impl ConditionStatus {
    /// The word as it stands in the object.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }

    /// Reads a status back.
    pub fn parse(text: &str) -> Option<ConditionStatus> {
        match text {
            "True" => Some(ConditionStatus::True),
            "False" => Some(ConditionStatus::False),
            "Unknown" => Some(ConditionStatus::Unknown),
            _ => None,
        }
    }
}

/// What a condition says, before it is known since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// The fact, then what to do.
    pub message: String,
}

impl Finding {
    /// The condition holds; the reason of a True condition is its type's own name.
    pub fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Finding { status: ConditionStatus::True, reason, message: message.into() }
    }

    /// It does not hold.
    pub fn no(reason: Reason, message: impl Into<String>) -> Self {
        Finding { status: ConditionStatus::False, reason, message: message.into() }
    }

    /// It is not known.
    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Finding { status: ConditionStatus::Unknown, reason, message: message.into() }
    }
}

/// A condition of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// The fact, then what to do; at most 512 characters.
    pub message: String,
    /// When `status` last changed (whole seconds).
    pub last_transition_time: Timestamp,
    /// The generation of the spec that this is about.
    pub observed_generation: i64,
}

/// `now` as Kubernetes stores it: whole seconds. Without this, what is read back is never equal to
/// what was written.
pub fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// When a fact began: unchanged while it holds, and never before `not_before` or what was there.
pub fn transition_time(
    unchanged_since: Option<Timestamp>,
    previous: Option<Timestamp>,
    not_before: Timestamp,
    now: Timestamp,
) -> Timestamp {
    unchanged_since.unwrap_or_else(|| whole_seconds(now).max(not_before).max(previous.unwrap_or(not_before)))
}

/// Dates a finding: the transition time of `old` stays while the status does.
pub fn date(
    kind: ConditionType,
    finding: Finding,
    old: Option<&Condition>,
    generation: i64,
    not_before: Timestamp,
    now: Timestamp,
) -> Condition {
    let same = old.filter(|old| old.status == finding.status);
    Condition {
        kind,
        status: finding.status,
        reason: finding.reason,
        message: cut(finding.message),
        last_transition_time: transition_time(
            same.map(|old| old.last_transition_time),
            old.map(|old| old.last_transition_time),
            not_before,
            now,
        ),
        observed_generation: generation,
    }
}

/// The longest message, in characters.
pub const MAX_MESSAGE: usize = 512;

/// The longest message of one target, in characters: with 32 of them the status stays below 12 kB.
pub const MAX_TARGET_MESSAGE: usize = 120;

/// Bounds a message and makes characters visible that would act on a terminal or turn text around.
pub fn cut(message: String) -> String {
    cut_to(message, MAX_MESSAGE)
}

/// The same with another bound.
pub fn cut_to(message: String, most: usize) -> String {
    let harmless = |c: char| {
        let bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        !(c.is_control() || bidi)
    };
    if message.len() <= most && message.chars().all(harmless) {
        return message;
    }
    let mut text: String =
        message.chars().map(|c| if harmless(c) { c } else { '\u{fffd}' }).take(most + 1).collect();
    if text.chars().count() > most {
        text = text.chars().take(most - 1).collect();
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finding() -> impl Strategy<Value = Finding> {
        let status = prop_oneof![
            Just(ConditionStatus::True),
            Just(ConditionStatus::False),
            Just(ConditionStatus::Unknown)
        ];
        (status, prop::sample::select(Reason::ALL), ".{0,20}").prop_map(|(status, reason, message)| Finding {
            status,
            reason,
            message,
        })
    }

    proptest! {
        #[test]
        fn a_transition_time_moves_only_with_the_status_and_never_back(
            findings in prop::collection::vec((finding(), -100_i64..1000), 2..20)
        ) {
            let created = Timestamp::from_second(50).unwrap();
            let mut old: Option<Condition> = None;
            for (finding, second) in findings {
                let now = Timestamp::from_millisecond(second * 1000 + 7).unwrap();
                let new = date(ConditionType::Ready, finding, old.as_ref(), 1, created, now);
                prop_assert_eq!(new.last_transition_time.subsec_nanosecond(), 0);
                prop_assert!(new.last_transition_time >= created);
                if let Some(old) = &old {
                    if old.status == new.status {
                        prop_assert_eq!(old.last_transition_time, new.last_transition_time);
                    } else {
                        prop_assert!(new.last_transition_time >= old.last_transition_time);
                    }
                }
                old = Some(new);
            }
        }

        #[test]
        fn a_message_is_bounded_and_carries_no_control_characters(text in "\\PC{0,600}|.{0,40}") {
            let message = cut(text);
            prop_assert!(message.chars().count() <= MAX_MESSAGE);
            prop_assert!(!message.chars().any(char::is_control));
        }
    }

    #[test]
    fn terminal_and_bidi_characters_are_shown_not_sent() {
        assert_eq!(cut("a\u{1b}[2J\u{202e}b\n".to_owned()), "a\u{fffd}[2J\u{fffd}b\u{fffd}");
    }
}
