//! The six words in which people read an endpoint's or a target's state.

use serde::{Deserialize, Serialize};

/// One word for the state of an endpoint or a target, used wherever a person reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StatusWord {
    /// The last probes passed.
    Ready,
    /// It works, but look at it.
    Degraded,
    /// Probes fail past the threshold.
    Failing,
    /// The spec cannot be acted on.
    Rejected,
    /// Not probed yet, or our side is at fault.
    Unknown,
    /// `spec.suspend` is true.
    Paused,
}

impl StatusWord {
    /// All words, worst first as lists show them.
    pub const ALL: [StatusWord; 6] = [
        StatusWord::Failing,
        StatusWord::Rejected,
        StatusWord::Degraded,
        StatusWord::Unknown,
        StatusWord::Paused,
        StatusWord::Ready,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            StatusWord::Ready => "Ready",
            StatusWord::Degraded => "Degraded",
            StatusWord::Failing => "Failing",
            StatusWord::Rejected => "Rejected",
            StatusWord::Unknown => "Unknown",
            StatusWord::Paused => "Paused",
        }
    }

    /// Reads a word back; `None` for any other text.
    pub fn parse(text: &str) -> Option<StatusWord> {
        StatusWord::ALL.into_iter().find(|word| word.as_str() == text)
    }
}

impl std::fmt::Display for StatusWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
