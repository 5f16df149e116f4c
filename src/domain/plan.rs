//! The one decision of the program: from an endpoint, what is known of its targets and of the
//! registry, and what is written already, to what has to be written.

use jiff::Timestamp;

use super::condition::{Finding, date, transition_time};
use super::endpoint::Endpoint;
use super::machine::{TargetState, Tri};
use super::notices::Notice;
use super::record::{ContributedAddress, Contribution, EndpointReference};
use super::status::{Status, TargetStatus};
use super::{Condition, ConditionStatus, ConditionType, Reason, StatusWord};

/// How the mirror stands with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// Nothing is mirrored: the policy of the object, or no registry is configured.
    Disabled(String),
    /// A write is on its way: what is written stays, and before the first it is pending.
    InFlight,
    /// The registry has acknowledged the newest contribution.
    Acknowledged,
    /// No answer for longer than half of the TTL.
    Unavailable(String),
    /// The registry refused the record.
    Rejected(String),
    /// Another orchestrator or object owns the id.
    OwnedByAnother(String),
}

/// What the registry should hold of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorIntent {
    /// This.
    Publish(Box<Contribution>),
    /// What it holds, whatever that is: nothing is known yet.
    Retain,
    /// Nothing.
    Withdraw,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The whole status as it should be.
    pub status: Status,
    /// True when it differs from what is written.
    pub write: bool,
    /// Transitions, if any.
    pub notices: Vec<Notice>,
    /// What the registry should hold.
    pub mirror: MirrorIntent,
}

/// Decides. `states` are in the order of `endpoint.targets`; `observed` is the status as stored;
/// `now` is read once by the caller.
pub fn plan(
    endpoint: &Endpoint,
    states: &[TargetState],
    registration: &RegistrationState,
    observed: Option<&Status>,
    now: Timestamp,
) -> Plan {
    let old = |kind| observed.and_then(|status| status.condition(kind));
    let findings = findings(endpoint, states, registration, old(ConditionType::Registered));
    let conditions = findings
        .into_iter()
        .map(|(kind, finding)| date(kind, finding, old(kind), endpoint.generation, endpoint.created, now))
        .collect();
    let targets = target_statuses(endpoint, states, observed, now);
    let ready =
        targets.iter().filter(|t| matches!(t.status, StatusWord::Ready | StatusWord::Degraded)).count();
    let status = Status {
        conditions,
        observed_generation: endpoint.generation,
        protocol: endpoint.probe.protocol.name().to_owned(),
        ready_targets: u32::try_from(ready).unwrap_or(u32::MAX),
        total_targets: u32::try_from(targets.len()).unwrap_or(u32::MAX),
        ready_summary: format!("{ready}/{}", targets.len()),
        targets,
    };
    Plan {
        write: observed != Some(&status),
        notices: super::notices::between(observed, &status),
        mirror: mirror(endpoint, &status),
        status,
    }
}

type Findings = Vec<(ConditionType, Finding)>;

fn findings(
    endpoint: &Endpoint,
    states: &[TargetState],
    registration: &RegistrationState,
    registered: Option<&Condition>,
) -> Findings {
    let accepted = accepted(endpoint, states);
    let (reachable, healthy) = if accepted.status == ConditionStatus::False {
        let not = Finding::unknown(Reason::NotAccepted, "Not probed while the spec is not accepted.");
        (not.clone(), not)
    } else if endpoint.suspended {
        let paused = Finding::unknown(Reason::Suspended, "Not probed while spec.suspend is true.");
        (paused.clone(), paused)
    } else {
        (
            question(endpoint, states, "accept a connection", Reason::Reachable, |s| &s.reachable),
            question(endpoint, states, "answer as they should", Reason::Healthy, |s| &s.healthy),
        )
    };
    let degraded = degraded(&accepted, &reachable, &healthy, endpoint, states);
    let ready = unchecked(endpoint, ready(&accepted, &reachable, &healthy, &degraded));
    let stalled = endpoint
        .refusal
        .as_ref()
        .filter(|refusal| refusal.stalled)
        .map(|refusal| (ConditionType::Stalled, Finding::yes(refusal.reason, refusal.message.clone())));
    let mut all = vec![
        (ConditionType::Ready, ready),
        (ConditionType::Accepted, accepted),
        (ConditionType::Reachable, reachable),
        (ConditionType::Healthy, healthy),
        (ConditionType::Registered, self::registered(registration, registered)),
        (ConditionType::Degraded, degraded),
    ];
    all.extend(stalled);
    all
}

fn accepted(endpoint: &Endpoint, states: &[TargetState]) -> Finding {
    if let Some(refusal) = &endpoint.refusal {
        return Finding::no(refusal.reason, refusal.message.clone());
    }
    let denied: Vec<&String> = states.iter().filter_map(|s| s.denied.as_ref()).collect();
    let left = states.len() - denied.len();
    match denied.first() {
        Some(message) if left < endpoint.min_ready.of(states.len()) => {
            Finding::no(Reason::TargetNotPermitted, message.as_str())
        }
        _ => Finding::yes(Reason::Accepted, "The spec is acted on."),
    }
}

/// One question put to all targets: True when enough say yes, False when too many say no.
fn question(
    endpoint: &Endpoint,
    states: &[TargetState],
    what: &str,
    yes: Reason,
    ask: fn(&TargetState) -> &Tri,
) -> Finding {
    let total = states.len();
    let needed = endpoint.min_ready.of(total);
    if needed > total {
        let message =
            format!("minReady asks for {needed} targets and {total} exist: add targets or lower minReady.");
        return Finding::no(Reason::NotEnoughTargets, message);
    }
    let passing = states.iter().filter(|s| s.denied.is_none() && *ask(s) == Tri::True).count();
    let failed = |s: &&TargetState| s.denied.is_some() || ask(s).failure().is_some();
    let failing = states.iter().filter(failed).count();
    if passing >= needed {
        return Finding::yes(yes, format!("{passing} of {total} targets {what} ({needed} needed)."));
    }
    if total - failing < needed {
        let first = states.iter().enumerate().find_map(|(i, s)| Some((i, ask(s).failure()?)));
        if let Some((i, failure)) = first {
            let address = endpoint.targets.get(i).map(|t| t.address.to_string());
            let message = format!("{}: {}", address.unwrap_or_default(), failure.message);
            return Finding::no(failure.reason, message);
        }
    }
    let pending = states.iter().find(|s| s.denied.is_none() && *ask(s) == Tri::Unknown);
    let unknown = pending.map_or_else(|| TargetState::unknown().unknown, |s| s.unknown.clone());
    Finding::unknown(unknown.reason, unknown.message)
}

fn degraded(
    accepted: &Finding,
    reachable: &Finding,
    healthy: &Finding,
    endpoint: &Endpoint,
    states: &[TargetState],
) -> Finding {
    for finding in [reachable, healthy] {
        if finding.status == ConditionStatus::Unknown {
            return Finding::unknown(finding.reason, finding.message.clone());
        }
    }
    let works = [accepted, reachable, healthy].iter().all(|f| f.status == ConditionStatus::True);
    if !works {
        return Finding::no(Reason::AsExpected, "Failing, not degraded: see Ready.");
    }
    let named = |i: usize| endpoint.targets.get(i).map_or_else(String::new, |t| t.address.to_string());
    let failing = |s: &TargetState| s.denied.is_some() || s.healthy.failure().is_some();
    if let Some(i) = states.iter().position(failing) {
        let count = states.iter().filter(|s| failing(s)).count();
        let (_, reason, _) = states[i].summary();
        return Finding::yes(
            Reason::SomeTargetsFailing,
            format!("{count} of {} targets fail; the first is {} ({reason}).", states.len(), named(i)),
        );
    }
    if let Some(i) = states.iter().position(|s| s.slow) {
        let limit = endpoint.probe.latency_threshold.as_millis();
        return Finding::yes(
            Reason::LatencyAboveThreshold,
            format!("{} answers slower than {limit} ms.", named(i)),
        );
    }
    if let Some(i) = states.iter().position(|s| s.expiring) {
        let days = endpoint.probe.certificate_expiry.as_secs() / 86_400;
        return Finding::yes(
            Reason::CertificateExpiringSoon,
            format!("The certificate of {} ends in less than {days} days: renew it.", named(i)),
        );
    }
    Finding::no(Reason::AsExpected, "Nothing to look at.")
}

/// Whoever sees that an agent is ready sees too that anybody could have answered in its place.
fn unchecked(endpoint: &Endpoint, mut ready: Finding) -> Finding {
    let unverified = endpoint.probe.tls.as_ref().is_some_and(|tls| tls.unverified);
    if unverified && ready.status == ConditionStatus::True {
        ready.message.push_str(" No certificate is checked (verification: Skip).");
    }
    ready
}

/// False beats Unknown; the first failing one's reason.
fn ready(accepted: &Finding, reachable: &Finding, healthy: &Finding, degraded: &Finding) -> Finding {
    let parts = [accepted, reachable, healthy];
    for status in [ConditionStatus::False, ConditionStatus::Unknown] {
        if let Some(part) = parts.into_iter().find(|part| part.status == status) {
            return part.clone();
        }
    }
    if degraded.status == ConditionStatus::True {
        Finding::yes(degraded.reason, degraded.message.clone())
    } else {
        Finding::yes(Reason::Ready, healthy.message.clone())
    }
}

fn registered(state: &RegistrationState, old: Option<&Condition>) -> Finding {
    let pending = || Finding::unknown(Reason::RegistrationPending, "Not acknowledged by the registry yet.");
    match state {
        RegistrationState::Disabled(why) => Finding::unknown(Reason::RegistrationDisabled, why.clone()),
        RegistrationState::Acknowledged => {
            Finding::yes(Reason::Registered, "The registry holds this verdict.")
        }
        RegistrationState::Unavailable(why) => Finding::no(Reason::RegistryUnavailable, why.clone()),
        RegistrationState::Rejected(why) => Finding::no(Reason::RegistryRejected, why.clone()),
        RegistrationState::OwnedByAnother(why) => Finding::no(Reason::OwnedByAnother, why.clone()),
        RegistrationState::InFlight => match old {
            Some(old) if old.reason != Reason::RegistrationDisabled => {
                Finding { status: old.status, reason: old.reason, message: old.message.clone() }
            }
            _ => pending(),
        },
    }
}

fn target_statuses(
    endpoint: &Endpoint,
    states: &[TargetState],
    observed: Option<&Status>,
    now: Timestamp,
) -> Vec<TargetStatus> {
    let line = |(target, state): (&super::Target, &TargetState)| {
        let address = &target.address;
        let (mut status, mut reason, mut message) = state.summary();
        if let Some(refusal) = &endpoint.refusal {
            (status, reason) = (StatusWord::Rejected, refusal.reason);
            message = "Not probed while the spec is not accepted.";
        } else if endpoint.suspended {
            (status, reason) = (StatusWord::Paused, Reason::Suspended);
            message = "Not probed while spec.suspend is true.";
        }
        let old = observed
            .and_then(|o| o.targets.iter().find(|t| t.host == address.host && t.port == address.port));
        let same = old.filter(|old| old.status == status);
        TargetStatus {
            host: address.host.clone(),
            port: address.port,
            status,
            reason,
            message: super::condition::cut(message.to_owned()),
            last_transition_time: transition_time(
                same.map(|old| old.last_transition_time),
                old.map(|old| old.last_transition_time),
                endpoint.created,
                now,
            ),
        }
    };
    endpoint.targets.iter().zip(states).map(line).collect()
}

fn mirror(endpoint: &Endpoint, status: &Status) -> MirrorIntent {
    if !endpoint.registration.mirror {
        return MirrorIntent::Withdraw;
    }
    let word = status.word();
    if word == StatusWord::Unknown {
        return MirrorIntent::Retain;
    }
    let Some(ready) = status.condition(ConditionType::Ready) else {
        return MirrorIntent::Retain;
    };
    let addresses = status.targets.iter().map(|t| ContributedAddress {
        host: t.host.clone(),
        port: t.port,
        status: t.status,
    });
    MirrorIntent::Publish(Box::new(Contribution {
        agent_id: endpoint.agent_id.clone(),
        agent_name: endpoint.registration.agent_name.clone(),
        endpoint: EndpointReference {
            namespace: endpoint.id.namespace.clone(),
            name: endpoint.id.name.clone(),
            uid: endpoint.uid.clone(),
        },
        status: word,
        reason: ready.reason,
        message: ready.message.clone(),
        since: ready.last_transition_time,
        protocol: status.protocol.clone(),
        addresses: addresses.collect(),
        url: endpoint.registration.url.clone(),
        capabilities: endpoint.registration.capabilities.clone(),
        metadata: endpoint.registration.metadata.clone(),
        ttl_seconds: endpoint.registration.ttl_seconds,
    }))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
