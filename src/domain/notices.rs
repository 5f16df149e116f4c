//! Transitions between two statuses, in the words of an Event.

use super::{ConditionStatus, ConditionType, Reason, Status};

/// Something that people should hear of once: an Event, or a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A warning, not only news.
    pub warning: bool,
    /// CamelCase, closed set (`docs/reference/conditions.md`).
    pub reason: &'static str,
    /// What was done when it was noticed.
    pub action: &'static str,
    /// A sentence.
    pub note: String,
}

/// What people should hear of, going from `old` to `new`. Nothing when nothing turned.
pub fn between(old: Option<&Status>, new: &Status) -> Vec<Notice> {
    let turned = |kind: ConditionType| {
        let before = old.map_or(ConditionStatus::Unknown, |status| status.is(kind));
        let now = new.condition(kind)?;
        (now.status != before).then_some((before, now))
    };
    let reason_was = |kind, reason: Reason| {
        old.and_then(|status| status.condition(kind)).is_some_and(|c| c.reason == reason)
    };
    let mut notices = Vec::new();
    let mut say = |warning, reason, action, note: &str| {
        notices.push(Notice { warning, reason, action, note: note.to_owned() });
    };
    use ConditionStatus::{False, True};
    use ConditionType::{Accepted, Degraded, Ready, Registered};

    match turned(Accepted).map(|(_, now)| (now.status, now)) {
        Some((False, now)) => say(true, "Rejected", "Validate", &format!("{}: {}", now.reason, now.message)),
        Some((True, now)) => say(false, "Accepted", "Validate", &now.message),
        _ => {}
    }
    let paused = new.condition(Ready).is_some_and(|c| c.reason == Reason::Suspended);
    if paused != reason_was(Ready, Reason::Suspended) {
        if paused {
            say(false, "Suspended", "Suspend", "Probing is suspended by spec.suspend.");
        } else {
            say(false, "Resumed", "Suspend", "Probing goes on.");
        }
    }
    let rejected = new.is(Accepted) == False;
    match turned(Ready) {
        Some((False, now)) if now.status == True => say(false, "Recovered", "Probe", &now.message),
        Some((_, now)) if now.status == True => say(false, "BecameReady", "Probe", &now.message),
        Some((_, now)) if now.status == False && !rejected => {
            say(true, "BecameFailing", now.reason.as_str(), &format!("{}: {}", now.reason, now.message));
        }
        _ => {}
    }
    match turned(Degraded) {
        Some((_, now)) if now.status == True => {
            say(true, "BecameDegraded", now.reason.as_str(), &format!("{}: {}", now.reason, now.message));
        }
        Some((True, now)) if now.status == False && new.is(Ready) == True => {
            say(false, "NoLongerDegraded", "Probe", &now.message);
        }
        _ => {}
    }
    match turned(Registered).map(|(_, now)| (now.status, now)) {
        Some((True, now)) => say(false, "Registered", "Mirror", &now.message),
        Some((False, now)) => {
            say(true, "RegistrationFailed", now.reason.as_str(), &format!("{}: {}", now.reason, now.message));
        }
        _ => {}
    }
    notices
}
