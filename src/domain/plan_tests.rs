use std::time::Duration;

use super::*;
use crate::domain::Thresholds;
use crate::domain::endpoint::{MinReady, Refusal};
use crate::domain::fixtures;
use crate::domain::machine::Machine;
use crate::domain::outcome::{Failure, Outcome};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millisecond(second * 1000 + 123).unwrap()
}

fn endpoint(targets: usize, min_ready: MinReady) -> Endpoint {
    let hosts: Vec<String> = (0..targets).map(|i| format!("10.0.0.{}", i + 1)).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    Endpoint { min_ready, ..fixtures::endpoint("research", &hosts) }
}

fn after(outcomes: &[Outcome]) -> TargetState {
    let mut machine = Machine::default();
    for outcome in outcomes {
        machine.step(outcome, Thresholds { failure: 1, success: 1 }, Duration::from_secs(1));
    }
    machine.state().clone()
}

fn up() -> TargetState {
    after(&[Outcome::Passed { latency: Duration::ZERO, certificate: None }])
}

fn down(reason: Reason) -> TargetState {
    after(&[Outcome::Failed(Failure { reason, message: "m".to_owned() })])
}

fn denied() -> TargetState {
    after(&[Outcome::Denied { message: "d".to_owned() }])
}

fn decide(endpoint: &Endpoint, states: &[TargetState]) -> Status {
    plan(endpoint, states, &RegistrationState::InFlight, None, at(2000)).status
}

fn show(status: &Status, kind: ConditionType) -> (ConditionStatus, Reason) {
    let c = status.condition(kind).unwrap();
    (c.status, c.reason)
}

use ConditionStatus::{False, True, Unknown};
use ConditionType::{Accepted, Degraded, Healthy, Reachable, Ready, Registered, Stalled};

#[test]
fn a_fresh_object_gets_every_condition_with_a_reason() {
    let status = decide(&endpoint(1, MinReady::Percent(100)), &[TargetState::unknown()]);
    assert_eq!(show(&status, Accepted), (True, Reason::Accepted));
    for kind in [Ready, Reachable, Healthy, Degraded] {
        assert_eq!(show(&status, kind), (Unknown, Reason::NotYetProbed), "{kind:?}");
    }
    assert_eq!(show(&status, Registered), (Unknown, Reason::RegistrationPending));
    assert!(status.condition(Stalled).is_none());
    assert!(status.conditions.iter().all(|c| c.observed_generation == 1));
}

#[test]
fn a_condition_is_true_with_enough_targets_false_when_too_many_fail_else_unknown() {
    let two = endpoint(3, MinReady::Count(2));
    let refused = || down(Reason::ConnectionRefused);
    let unknown = TargetState::unknown;
    let cases = [
        (vec![up(), up(), refused()], True, Reason::SomeTargetsFailing),
        (vec![up(), refused(), down(Reason::ConnectTimeout)], False, Reason::ConnectionRefused),
        (vec![up(), refused(), unknown()], Unknown, Reason::NotYetProbed),
        (vec![up(), up(), unknown()], True, Reason::Ready),
        (vec![up(), up(), denied()], True, Reason::SomeTargetsFailing),
        (vec![denied(), refused(), up()], False, Reason::ConnectionRefused),
        (vec![denied(), denied(), up()], False, Reason::TargetNotPermitted),
    ];
    for (states, status, reason) in cases {
        assert_eq!(show(&decide(&two, &states), Ready), (status, reason), "{states:?}");
    }
}

#[test]
fn asking_for_more_targets_than_there_are_is_its_own_reason() {
    let status = decide(&endpoint(1, MinReady::Count(2)), &[up()]);
    assert_eq!(show(&status, Ready), (False, Reason::NotEnoughTargets));
}

#[test]
fn an_agent_that_may_be_scaled_to_zero_is_ready_with_no_target_up() {
    let status = decide(&endpoint(1, MinReady::Count(0)), &[down(Reason::ConnectionRefused)]);
    assert_eq!(show(&status, Ready), (True, Reason::SomeTargetsFailing));
}

#[test]
fn a_refused_spec_is_not_probed_and_only_a_hopeless_one_is_stalled() {
    for stalled in [true, false] {
        let mut endpoint = endpoint(1, MinReady::Percent(100));
        endpoint.refusal =
            Some(Refusal { reason: Reason::TargetNotPermitted, message: "no".to_owned(), stalled });
        let status = decide(&endpoint, &[TargetState::unknown()]);
        assert_eq!(show(&status, Ready), (False, Reason::TargetNotPermitted));
        assert_eq!(show(&status, Reachable), (Unknown, Reason::NotAccepted));
        assert_eq!(status.condition(Stalled).is_some(), stalled);
        assert_eq!(status.word(), StatusWord::Rejected);
        let plan = plan(&endpoint, &[TargetState::unknown()], &RegistrationState::InFlight, None, at(1));
        let MirrorIntent::Publish(c) = plan.mirror else { panic!("published as rejected") };
        assert!(!c.is_evidence() && !c.is_counter_evidence());
    }
}

#[test]
fn a_suspended_endpoint_is_paused_everywhere() {
    let mut endpoint = endpoint(1, MinReady::Percent(100));
    endpoint.suspended = true;
    let status = decide(&endpoint, &[up()]);
    assert_eq!(show(&status, Ready), (Unknown, Reason::Suspended));
    assert_eq!((status.word(), status.targets[0].status), (StatusWord::Paused, StatusWord::Paused));
}

#[test]
fn registered_stays_as_it_is_while_a_write_is_in_flight() {
    let endpoint = endpoint(1, MinReady::Percent(100));
    let acknowledged = plan(&endpoint, &[up()], &RegistrationState::Acknowledged, None, at(2000));
    let next = plan(
        &endpoint,
        &[down(Reason::ConnectionRefused)],
        &RegistrationState::InFlight,
        Some(&acknowledged.status),
        at(3000),
    );
    assert_eq!(show(&next.status, Registered), (True, Reason::Registered));
    assert_eq!(show(&next.status, Ready), (False, Reason::ConnectionRefused));
}

#[test]
fn a_401_is_evidence_that_the_agent_is_there() {
    let endpoint = endpoint(1, MinReady::Percent(100));
    let plan =
        plan(&endpoint, &[down(Reason::AuthenticationRequired)], &RegistrationState::InFlight, None, at(1));
    let MirrorIntent::Publish(c) = plan.mirror else { panic!("published") };
    assert!(c.is_evidence() && !c.is_counter_evidence());
}

#[test]
fn notices_come_with_transitions_only() {
    let endpoint = endpoint(1, MinReady::Percent(100));
    let names = |plan: &Plan| plan.notices.iter().map(|n| n.reason).collect::<Vec<_>>();
    let state = RegistrationState::Acknowledged;
    let first = plan(&endpoint, &[TargetState::unknown()], &RegistrationState::InFlight, None, at(1));
    assert_eq!(names(&first), ["Accepted"]);
    let ready = plan(&endpoint, &[up()], &state, Some(&first.status), at(2));
    assert_eq!(names(&ready), ["BecameReady", "Registered"]);
    let failing = plan(&endpoint, &[down(Reason::ConnectionRefused)], &state, Some(&ready.status), at(3));
    assert_eq!(names(&failing), ["BecameFailing"]);
    let again = plan(&endpoint, &[up()], &state, Some(&failing.status), at(4));
    assert_eq!(names(&again), ["Recovered"]);
}

fn any_state() -> impl Strategy<Value = TargetState> {
    prop_oneof![
        Just(up()),
        Just(TargetState::unknown()),
        Just(denied()),
        Just(after(&[Outcome::Passed { latency: Duration::from_secs(9), certificate: None }])),
        prop::sample::select(vec![
            Reason::ConnectionRefused,
            Reason::DNSNameNotFound,
            Reason::UnexpectedStatus,
            Reason::AuthenticationRequired,
        ])
        .prop_map(down),
    ]
}

fn any_registration() -> impl Strategy<Value = RegistrationState> {
    prop_oneof![
        Just(RegistrationState::InFlight),
        Just(RegistrationState::Acknowledged),
        Just(RegistrationState::Disabled("off".to_owned())),
        Just(RegistrationState::Unavailable("gone".to_owned())),
        Just(RegistrationState::OwnedByAnother("theirs".to_owned())),
    ]
}

prop_compose! {
    fn any_step()(
        targets in prop::collection::vec(any_state(), 1..5),
        registration in any_registration(),
        min in prop_oneof![(0_u32..4).prop_map(MinReady::Count), (0_u32..=100).prop_map(MinReady::Percent)],
        suspended in prop::bool::weighted(0.1),
        refused in prop::bool::weighted(0.1),
        generation in 1_i64..4,
        second in 900_i64..2000,
    ) -> (Endpoint, Vec<TargetState>, RegistrationState, Timestamp) {
        let mut endpoint = endpoint(targets.len(), min);
        endpoint.suspended = suspended;
        endpoint.generation = generation;
        endpoint.refusal = refused.then(|| Refusal {
            reason: Reason::NotSupported, message: "n".to_owned(), stalled: false,
        });
        (endpoint, targets, registration, at(second))
    }
}

proptest! {
    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do(steps in prop::collection::vec(any_step(), 1..6)) {
        let mut observed: Option<Status> = None;
        for (endpoint, states, registration, now) in steps {
            let first = plan(&endpoint, &states, &registration, observed.as_ref(), now);
            let later = now + jiff::SignedDuration::from_secs(77);
            let second = plan(&endpoint, &states, &registration, Some(&first.status), later);
            prop_assert!(!second.write, "{:#?}\n{:#?}", first.status, second.status);
            prop_assert!(second.notices.is_empty());
            prop_assert_eq!(&first.mirror, &second.mirror);
            if let Some(before) = &observed {
                for old in &before.conditions {
                    let Some(new) = first.status.condition(old.kind) else { continue };
                    let moved = new.last_transition_time != old.last_transition_time;
                    prop_assert!(!moved || new.status != old.status);
                    prop_assert!(new.last_transition_time >= old.last_transition_time);
                }
            }
            let ready = first.status.is(Ready);
            let parts = [Accepted, Reachable, Healthy].map(|kind| first.status.is(kind));
            prop_assert_eq!(ready == True, parts.iter().all(|p| *p == True));
            prop_assert_eq!(ready == False, parts.contains(&False));
            prop_assert!(first.status.is(Accepted) != Unknown);
            observed = Some(first.status);
        }
    }
}
