use super::*;

const CUT: Tally = Tally { healthy: 10, failing: 9 };
const CALM: Tally = Tally { healthy: 10, failing: 4 };
const PATIENCE: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn held(seconds: u64) -> Phase {
    let mut phase = Phase::Watching;
    assert_eq!(phase.step(at(seconds), CUT, Canaries::Silent, PATIENCE), Order::Hold);
    phase
}

#[test]
fn half_of_the_healthy_and_five_of_them_are_a_mass_failure() {
    for (healthy, failing, mass) in [
        (10, 5, true),
        (10, 4, false),
        (8, 4, false),
        (5, 5, true),
        (11, 5, false),
        (0, 0, false),
        (1000, 500, true),
    ] {
        assert_eq!(Tally { healthy, failing }.is_mass_failure(), mass, "{failing} of {healthy}");
    }
}

#[test]
fn nothing_is_held_while_few_fail() {
    let mut phase = Phase::Watching;
    assert_eq!(phase.step(at(1), CALM, Canaries::Failing, PATIENCE), Order::Nothing);
    assert!(!phase.is_active());
}

#[test]
fn with_all_canaries_well_the_truth_is_published_after_one_more_period() {
    let mut phase = held(100);
    assert_eq!(phase.step(at(101), CUT, Canaries::Passing, PATIENCE), Order::Nothing);
    assert_eq!(phase.step(at(110), CUT, Canaries::Passing, PATIENCE), Order::Nothing);
    assert_eq!(phase.step(at(111), CUT, Canaries::Passing, PATIENCE), Order::Publish);
    assert!(!phase.is_active());
}

#[test]
fn a_canary_that_failed_meanwhile_starts_the_period_anew() {
    let mut phase = held(100);
    phase.step(at(101), CUT, Canaries::Passing, PATIENCE);
    phase.step(at(105), CUT, Canaries::Failing, PATIENCE);
    assert_eq!(phase.step(at(112), CUT, Canaries::Passing, PATIENCE), Order::Nothing);
    assert_eq!(phase.step(at(122), CUT, Canaries::Passing, PATIENCE), Order::Publish);
}

#[test]
fn without_a_canary_that_speaks_for_us_it_is_unknown_after_five_minutes() {
    for canaries in [Canaries::Silent, Canaries::Failing] {
        let mut phase = held(100);
        assert_eq!(phase.step(at(399), CUT, canaries, PATIENCE), Order::Nothing);
        assert_eq!(phase.step(at(400), CUT, canaries, PATIENCE), Order::Suspect);
        assert_eq!(phase.step(at(9000), CUT, canaries, PATIENCE), Order::Nothing, "and stays so");
        assert_eq!(phase.step(at(9001), CUT, Canaries::Passing, PATIENCE), Order::Nothing);
        assert_eq!(phase.step(at(9011), CUT, Canaries::Passing, PATIENCE), Order::Publish);
    }
}

#[test]
fn when_they_answer_again_it_was_us_and_what_was_seen_is_void() {
    for canaries in [Canaries::Silent, Canaries::Failing, Canaries::Passing] {
        let mut phase = held(100);
        assert_eq!(phase.step(at(103), CALM, canaries, PATIENCE), Order::Void);
        assert!(!phase.is_active());
        let mut phase = held(100);
        phase.step(at(400), CUT, Canaries::Failing, PATIENCE);
        assert_eq!(phase.step(at(500), CALM, canaries, PATIENCE), Order::Void);
    }
}

#[test]
fn patience_has_a_bound() {
    let mut phase = held(0);
    phase.step(at(1), CUT, Canaries::Passing, Duration::from_hours(1));
    assert_eq!(phase.step(at(61), CUT, Canaries::Passing, Duration::from_hours(1)), Order::Publish);
}
