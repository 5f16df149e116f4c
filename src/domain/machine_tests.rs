use super::*;
use proptest::prelude::*;

const SLOW: Duration = Duration::from_secs(1);

fn failed(reason: Reason) -> Outcome {
    Outcome::Failed(Failure { reason, message: format!("{reason} happened") })
}

fn passed() -> Outcome {
    Outcome::Passed { latency: Duration::from_millis(5), certificate: None }
}

fn run(outcomes: &[Outcome], thresholds: Thresholds) -> Machine {
    let mut machine = Machine::default();
    for outcome in outcomes {
        machine.step(outcome, thresholds, SLOW);
    }
    machine
}

const THREE_ONE: Thresholds = Thresholds { failure: 3, success: 1 };

#[test]
fn the_first_outcome_decides() {
    assert_eq!(run(&[passed()], THREE_ONE).state().summary().0, StatusWord::Ready);
    let failing = run(&[failed(Reason::ConnectionRefused)], THREE_ONE);
    assert_eq!(failing.state().summary().1, Reason::ConnectionRefused);
    assert!(failing.state().reachable.failure().is_some());
}

#[test]
fn a_ready_target_needs_the_failure_threshold_and_a_failing_one_the_success_threshold() {
    let fail = failed(Reason::UnexpectedStatus);
    let thresholds = Thresholds { failure: 3, success: 2 };
    let mut outcomes = vec![passed(), fail.clone(), fail.clone(), passed(), fail.clone(), fail.clone()];
    assert_eq!(run(&outcomes, thresholds).state().summary().0, StatusWord::Ready);
    outcomes.push(fail);
    assert_eq!(run(&outcomes, thresholds).state().summary().0, StatusWord::Failing);
    outcomes.push(passed());
    assert_eq!(run(&outcomes, thresholds).state().summary().0, StatusWord::Failing);
    outcomes.push(passed());
    assert_eq!(run(&outcomes, thresholds).state().summary().0, StatusWord::Ready);
}

#[test]
fn the_reason_of_a_failing_target_changes_only_after_the_threshold_of_a_new_one() {
    let mut outcomes = vec![failed(Reason::UnexpectedStatus)];
    outcomes.extend([Reason::ResponseTimeout, Reason::UnexpectedBody].map(failed));
    outcomes.extend([Reason::ResponseTimeout, Reason::ResponseTimeout].map(failed));
    assert_eq!(run(&outcomes, THREE_ONE).state().summary().1, Reason::UnexpectedStatus);
    outcomes.push(failed(Reason::ResponseTimeout));
    assert_eq!(run(&outcomes, THREE_ONE).state().summary().1, Reason::ResponseTimeout);
}

#[test]
fn a_failing_target_with_ever_new_words_does_not_change() {
    let mut machine = run(&[failed(Reason::UnexpectedStatus)], THREE_ONE);
    for n in 0..20 {
        let words = Failure { reason: Reason::UnexpectedStatus, message: format!("answered {n}") };
        assert!(!machine.step(&Outcome::Failed(words), THREE_ONE, SLOW));
    }
}

#[test]
fn a_message_is_bounded_where_it_is_kept() {
    let long = Failure { reason: Reason::UnexpectedStatus, message: "é".repeat(1000) };
    let machine = run(&[Outcome::Failed(long)], THREE_ONE);
    assert_eq!(machine.state().summary().2.chars().count(), MAX_TARGET_MESSAGE);
}

#[test]
fn one_refused_connection_among_bad_answers_does_not_make_it_unreachable() {
    let bad = failed(Reason::UnexpectedStatus);
    let refused = failed(Reason::ConnectionRefused);
    let state = run(&[passed(), bad, refused.clone(), refused], THREE_ONE).state().clone();
    assert_eq!(state.reachable, Tri::True);
    assert_eq!(state.summary().1, Reason::UnexpectedStatus);
}

#[test]
fn our_own_fault_moves_no_streak_and_names_itself_only_without_a_verdict() {
    let ours = Outcome::NotAsked(Failure { reason: Reason::DNSResolverUnavailable, message: "m".to_owned() });
    let state = run(std::slice::from_ref(&ours), THREE_ONE).state().clone();
    assert_eq!(state.summary().1, Reason::DNSResolverUnavailable);
    let fail = failed(Reason::ConnectTimeout);
    let outcomes = [passed(), fail.clone(), ours.clone(), fail.clone(), ours];
    assert_eq!(run(&outcomes, THREE_ONE).state().summary().0, StatusWord::Ready);
}

#[test]
fn latency_degrades_after_the_threshold_and_recovers_after_as_many() {
    let slow = Outcome::Passed { latency: Duration::from_secs(2), certificate: None };
    let mut outcomes = vec![slow.clone(), slow.clone()];
    assert_eq!(run(&outcomes, THREE_ONE).state().summary().0, StatusWord::Ready);
    outcomes.push(slow.clone());
    assert_eq!(run(&outcomes, THREE_ONE).state().summary().0, StatusWord::Degraded);
    outcomes.extend([passed(), passed(), slow]);
    assert_eq!(run(&outcomes, THREE_ONE).state().summary().0, StatusWord::Degraded);
    outcomes.extend([passed(), passed(), passed()]);
    assert_eq!(run(&outcomes, THREE_ONE).state().summary().0, StatusWord::Ready);
}

#[test]
fn a_certificate_that_ends_soon_degrades_and_two_behind_one_name_do_not_flap() {
    let shown = |soon| Outcome::Passed {
        latency: Duration::from_millis(5),
        certificate: Some(Certificate { ends: jiff::Timestamp::UNIX_EPOCH, soon }),
    };
    let mut machine = run(&[shown(true), shown(true), shown(true)], THREE_ONE);
    assert_eq!(machine.state().summary().1, Reason::CertificateExpiringSoon);
    let (word, reason, message) = machine.state().summary();
    assert_eq!(TargetState::restore(word, reason, message).as_ref(), Some(machine.state()));
    for n in 0..20 {
        assert!(!machine.step(&shown(n % 2 == 0), THREE_ONE, SLOW), "{n}");
    }
    for _ in 0..3 {
        machine.step(&shown(false), THREE_ONE, SLOW);
    }
    assert_eq!(machine.state().summary().1, Reason::Ready);
    assert_eq!(machine.certificate().map(|shown| shown.soon), Some(false));
}

#[test]
fn a_denied_name_is_rejected_at_once_and_heals_alone() {
    let denied = Outcome::Denied { message: "d".to_owned() };
    let mut machine = run(&[passed(), denied], THREE_ONE);
    assert_eq!(machine.state().summary().0, StatusWord::Rejected);
    machine.step(&passed(), THREE_ONE, SLOW);
    assert_eq!(machine.state().summary().0, StatusWord::Ready);
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(passed()),
        1 => Just(Outcome::Passed { latency: Duration::from_secs(5), certificate: None }),
        2 => Just(failed(Reason::ConnectionRefused)),
        2 => Just(failed(Reason::ConnectTimeout)),
        2 => Just(failed(Reason::UnexpectedStatus)),
        2 => Just(failed(Reason::ResponseTimeout)),
        1 => Just(Outcome::NotAsked(Failure { reason: Reason::NetworkUnreachable, message: String::new() })),
    ]
}

proptest! {
    #[test]
    fn no_order_of_outcomes_breaks_the_thresholds(
        outcomes in prop::collection::vec(any_outcome(), 1..60),
        failure in 1_u32..5,
        success in 1_u32..5,
    ) {
        let thresholds = Thresholds { failure, success };
        let mut machine = Machine::default();
        let mut asked: Vec<Option<Reason>> = Vec::new();
        for outcome in &outcomes {
            let before = machine.state().clone();
            machine.step(outcome, thresholds, SLOW);
            match outcome {
                Outcome::Passed { .. } => asked.push(None),
                Outcome::Failed(f) => asked.push(Some(f.reason)),
                _ => { prop_assert_eq!(&before.healthy, &machine.state().healthy); continue; }
            }
            let last = |n: u32, all: &dyn Fn(&Option<Reason>) -> bool| {
                let n = n as usize;
                asked.len() >= n && asked[asked.len() - n..].iter().all(all)
            };
            let after = machine.state();
            if before.healthy == Tri::True && after.healthy != Tri::True {
                prop_assert!(last(failure, &|r| r.is_some()));
            }
            if before.reachable == Tri::True && after.reachable != Tri::True {
                prop_assert!(last(failure, &|r| r.is_some_and(Reason::is_unreachable)));
            }
            if before.healthy.failure().is_some() && after.healthy == Tri::True {
                prop_assert!(last(success, &|r| r.is_none()));
            }
            if before.healthy == Tri::True {
                prop_assert!(!last(failure, &|r| r.is_some()) || after.healthy != Tri::True);
            }
            prop_assert!(after.healthy != Tri::True || after.reachable == Tri::True);
            // What is stored says everything: a restart changes no condition.
            let (word, reason, message) = after.summary();
            if let Some(restored) = TargetState::restore(word, reason, message) {
                prop_assert_eq!(&restored.reachable, &after.reachable);
                prop_assert_eq!(&restored.healthy, &after.healthy);
                prop_assert_eq!(restored.slow, after.slow);
            }
        }
    }
}

#[test]
fn a_target_that_failed_with_most_others_needs_the_threshold_whatever_we_could_not_ask_since() {
    let thresholds = Thresholds { failure: 3, success: 1 };
    let failure = |reason| Failure { reason, message: "m".to_owned() };
    let restored =
        TargetState::restore(StatusWord::Unknown, Reason::ProbeInfrastructureSuspect, "m").unwrap();
    let mut machine = Machine::from_state(restored);
    let mut step = |outcome: &Outcome| {
        machine.step(outcome, thresholds, Duration::from_secs(1));
        machine.state().summary().1
    };
    for _ in 0..5 {
        let outcome = Outcome::NotAsked(failure(Reason::DNSResolverUnavailable));
        assert_eq!(step(&outcome), Reason::ProbeInfrastructureSuspect);
    }
    let failed = Outcome::Failed(failure(Reason::ConnectTimeout));
    assert_eq!(step(&failed), Reason::ProbeInfrastructureSuspect);
    assert_eq!(step(&failed), Reason::ProbeInfrastructureSuspect);
    assert_eq!(step(&failed), Reason::ConnectTimeout);
}
