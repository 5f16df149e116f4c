//! Between the status in an object and the core's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as ApiCondition, Time};

use crate::api::v1alpha1::{AgentEndpointStatus, StatusWord as ApiWord, TargetStatus as ApiTarget};
use crate::domain::{Condition, ConditionStatus, ConditionType, Reason, Status, StatusWord, TargetStatus};

/// The status as it goes into the object.
pub fn to_object(status: &Status) -> AgentEndpointStatus {
    let condition = |c: &Condition| ApiCondition {
        type_: c.kind.as_str().to_owned(),
        status: c.status.as_str().to_owned(),
        reason: c.reason.as_str().to_owned(),
        message: c.message.clone(),
        last_transition_time: Time(c.last_transition_time),
        observed_generation: Some(c.observed_generation),
    };
    let target = |t: &TargetStatus| ApiTarget {
        host: t.host.clone(),
        port: i32::from(t.port),
        status: Some(word_to_api(t.status)),
        reason: Some(t.reason.as_str().to_owned()),
        message: Some(t.message.clone()),
        last_transition_time: Some(Time(t.last_transition_time)),
    };
    AgentEndpointStatus {
        conditions: status.conditions.iter().map(condition).collect(),
        observed_generation: Some(status.observed_generation),
        protocol: Some(status.protocol.clone()),
        ready_targets: i32::try_from(status.ready_targets).ok(),
        total_targets: i32::try_from(status.total_targets).ok(),
        ready_summary: Some(status.ready_summary.clone()),
        targets: status.targets.iter().map(target).collect(),
        agent: None,
    }
}

/// What of an object's status is ours. Conditions of others are left out; a reason that this
/// release does not know is read as another one, so that it is written anew and keeps its time.
pub fn from_object(status: &AgentEndpointStatus) -> Status {
    let mut conditions: Vec<Condition> = status
        .conditions
        .iter()
        .filter_map(|c| {
            Some(Condition {
                kind: ConditionType::parse(&c.type_)?,
                status: ConditionStatus::parse(&c.status)?,
                reason: Reason::parse(&c.reason).unwrap_or(Reason::AsExpected),
                message: c.message.clone(),
                last_transition_time: c.last_transition_time.0,
                observed_generation: c.observed_generation.unwrap_or(-1),
            })
        })
        .collect();
    conditions.sort_by_key(|c| c.kind);
    let targets = status.targets.iter().filter_map(|t| {
        Some(TargetStatus {
            host: t.host.clone(),
            port: u16::try_from(t.port).ok()?,
            status: word_from_api(t.status?),
            reason: Reason::parse(t.reason.as_deref()?)?,
            message: t.message.clone().unwrap_or_default(),
            last_transition_time: t.last_transition_time.as_ref()?.0,
        })
    });
    let count = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    Status {
        conditions,
        observed_generation: status.observed_generation.unwrap_or(-1),
        protocol: status.protocol.clone().unwrap_or_default(),
        ready_targets: count(status.ready_targets),
        total_targets: count(status.total_targets),
        ready_summary: status.ready_summary.clone().unwrap_or_default(),
        targets: targets.collect(),
    }
}

fn word_to_api(word: StatusWord) -> ApiWord {
    match word {
        StatusWord::Ready => ApiWord::Ready,
        StatusWord::Degraded => ApiWord::Degraded,
        StatusWord::Failing => ApiWord::Failing,
        StatusWord::Rejected => ApiWord::Rejected,
        StatusWord::Unknown => ApiWord::Unknown,
        StatusWord::Paused => ApiWord::Paused,
    }
}

fn word_from_api(word: ApiWord) -> StatusWord {
    match word {
        ApiWord::Ready => StatusWord::Ready,
        ApiWord::Degraded => StatusWord::Degraded,
        ApiWord::Failing => StatusWord::Failing,
        ApiWord::Rejected => StatusWord::Rejected,
        ApiWord::Unknown => StatusWord::Unknown,
        ApiWord::Paused => StatusWord::Paused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::condition::{MAX_MESSAGE, MAX_TARGET_MESSAGE};
    use jiff::Timestamp;

    fn full() -> Status {
        let time = Timestamp::from_second(1_700_000_000).unwrap();
        let condition = |kind| Condition {
            kind,
            status: ConditionStatus::False,
            reason: Reason::ProbeInfrastructureSuspect,
            message: "m".repeat(MAX_TARGET_MESSAGE + 40),
            last_transition_time: time,
            observed_generation: 7,
        };
        let target = |n: u16| TargetStatus {
            host: format!("{n:040}"),
            port: n + 1,
            status: StatusWord::Failing,
            reason: Reason::ConnectionRefused,
            message: "m".repeat(MAX_TARGET_MESSAGE),
            last_transition_time: time,
        };
        Status {
            conditions: ConditionType::ALL.map(condition).into(),
            observed_generation: 7,
            protocol: "http".to_owned(),
            ready_targets: 0,
            total_targets: 32,
            ready_summary: "0/32".to_owned(),
            targets: (0..32).map(target).collect(),
        }
    }

    #[test]
    fn a_status_reads_back_as_itself_and_the_largest_is_bounded() {
        let object = to_object(&full());
        assert_eq!(from_object(&object), full());
        let size = serde_json::to_string(&object).unwrap().len();
        assert!(size < 12_000 && MAX_MESSAGE <= 512, "{size}");
    }

    #[test]
    fn conditions_of_others_are_left_out_and_the_order_does_not_matter() {
        let mut object = to_object(&full());
        let mut foreign = object.conditions[0].clone();
        foreign.type_ = "Theirs".to_owned();
        object.conditions.insert(0, foreign);
        object.conditions.reverse();
        assert_eq!(from_object(&object), full());
    }
}
