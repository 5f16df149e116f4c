use super::*;

fn ids(numbers: std::ops::Range<usize>) -> BTreeSet<EndpointId> {
    numbers.map(|number| EndpointId::new("default", format!("n{number}"))).collect()
}

#[test]
fn few_that_are_missing_are_gone_at_once() {
    let (mut doubt, now) = (Doubt::default(), Instant::now());
    assert_eq!(doubt.believe(10, &ids(0..5), now, true), ids(0..5));
    assert_eq!(doubt.believe(100, &ids(0..10), now, false), ids(0..10));
    assert_eq!(doubt.len(), 0);
}

#[test]
fn many_that_are_missing_are_gone_when_a_later_reading_agrees() {
    let (mut doubt, now) = (Doubt::default(), Instant::now());
    let (soon, later) = (now + APART / 2, now + APART);
    assert_eq!(doubt.believe(10, &ids(0..6), now, true), ids(0..0));
    assert_eq!(doubt.believe(10, &ids(0..6), now, true), ids(0..0), "the same reading says nothing new");
    assert_eq!(doubt.believe(10, &ids(0..6), soon, true), ids(0..0), "nor one of the same moment");
    assert_eq!(doubt.len(), 6);
    assert_eq!(doubt.believe(10, &ids(0..6), later, false), ids(0..0), "nor one with problems");
    // Some are back: two readings agree on the others. One more is missing for the first time.
    assert_eq!(doubt.believe(10, &ids(1..7), later, true), ids(1..6));
}

#[test]
fn what_was_in_doubt_stays_in_doubt_when_most_are_back() {
    let (mut doubt, now) = (Doubt::default(), Instant::now());
    doubt.believe(10, &ids(0..10), now, true);
    assert_eq!(doubt.believe(10, &ids(0..2), now + APART / 2, true), ids(0..0));
    assert_eq!(doubt.believe(10, &ids(0..0), now + APART / 2, true), ids(0..0));
    assert_eq!(doubt.len(), 0, "all are back");
    assert_eq!(doubt.believe(10, &ids(0..2), now + APART, true), ids(0..2));
}
