use super::*;
use crate::domain::record::{Contribution, EndpointReference};
use crate::domain::{Reason, StatusWord, fixtures};

fn endpoint(name: &str, agent_id: &str, created: i64) -> Endpoint {
    Endpoint {
        agent_id: agent_id.to_owned(),
        created: Timestamp::from_second(created).unwrap(),
        ..fixtures::endpoint(name, &[])
    }
}

fn says(endpoint: &Endpoint, status: StatusWord) -> MirrorIntent {
    MirrorIntent::Publish(Box::new(Contribution {
        agent_id: endpoint.agent_id.clone(),
        agent_name: String::new(),
        endpoint: EndpointReference {
            namespace: "ns".into(),
            name: endpoint.id.name.clone(),
            uid: endpoint.uid.clone(),
        },
        status,
        reason: Reason::Ready,
        message: String::new(),
        since: endpoint.created,
        protocol: "tcp".into(),
        addresses: vec![],
        url: None,
        capabilities: vec![],
        metadata: BTreeMap::new(),
        ttl_seconds: 60,
    }))
}

fn answer(outbox: &mut Outbox, outcome: ItemOutcome) -> Vec<EndpointId> {
    let (items, gone) = outbox.batch(500);
    let ids = items.iter().map(|i| i.contribution.agent_id.clone()).chain(gone);
    let results: Vec<ItemResult> =
        ids.map(|agent_id| ItemResult { agent_id, outcome, message: Some("why".into()) }).collect();
    outbox.acknowledge(&items, &results)
}

#[test]
fn the_latest_word_wins_and_what_is_stored_is_not_said_again() {
    let mut outbox = Outbox::new(Instant::now());
    let a = endpoint("a", "ns.a", 1);
    for word in [StatusWord::Ready, StatusWord::Failing, StatusWord::Ready] {
        outbox.put(&a, says(&a, word));
    }
    let (items, _) = outbox.batch(500);
    assert_eq!((items.len(), items[0].contribution.status), (1, StatusWord::Ready));
    assert_eq!(outbox.state(&a, "u"), RegistrationState::InFlight);
    assert_eq!(answer(&mut outbox, ItemOutcome::Applied), vec![a.id.clone()]);
    assert_eq!(outbox.state(&a, "u"), RegistrationState::Acknowledged);
    outbox.put(&a, says(&a, StatusWord::Ready));
    assert_eq!(outbox.batch(500).0.len(), 0);
    assert_eq!(outbox.held().count, 1);
}

#[test]
fn a_word_that_changed_while_its_predecessor_was_on_its_way_is_said_next() {
    let mut outbox = Outbox::new(Instant::now());
    let a = endpoint("a", "ns.a", 1);
    outbox.put(&a, says(&a, StatusWord::Ready));
    let (sent, _) = outbox.batch(500);
    outbox.put(&a, says(&a, StatusWord::Failing));
    let result = ItemResult { agent_id: "ns.a".into(), outcome: ItemOutcome::Applied, message: None };
    outbox.acknowledge(&sent, &[result]);
    assert_eq!(outbox.batch(500).0[0].contribution.status, StatusWord::Failing);
    assert_eq!(outbox.state(&a, "u"), RegistrationState::InFlight);
}

#[test]
fn the_older_object_owns_an_id_and_the_heir_takes_over() {
    let mut outbox = Outbox::new(Instant::now());
    let (young, old) = (endpoint("young", "ns.x", 2), endpoint("old", "ns.x", 1));
    outbox.put(&young, says(&young, StatusWord::Ready));
    assert_eq!(outbox.put(&old, says(&old, StatusWord::Ready)), vec![young.id.clone()]);
    assert!(matches!(outbox.state(&young, "u"), RegistrationState::OwnedByAnother(_)));
    assert_eq!(outbox.batch(500).0[0].contribution.endpoint.name, "old");
    answer(&mut outbox, ItemOutcome::Applied);
    assert_eq!(outbox.remove(&old.id), vec![young.id.clone()]);
    assert_eq!(outbox.batch(500).0[0].contribution.endpoint.name, "young");
}

#[test]
fn a_removed_endpoint_is_withdrawn_once() {
    let mut outbox = Outbox::new(Instant::now());
    let a = endpoint("a", "ns.a", 1);
    outbox.put(&a, says(&a, StatusWord::Ready));
    answer(&mut outbox, ItemOutcome::Applied);
    outbox.remove(&a.id);
    assert_eq!(outbox.batch(500).1, ["ns.a"]);
    answer(&mut outbox, ItemOutcome::Withdrawn);
    assert_eq!(outbox.batch(500), (vec![], vec![]));
    assert_eq!(outbox.held(), Holdings { digest: Digest::default(), count: 0 });
}

#[test]
fn without_a_verdict_what_is_held_is_retained() {
    let mut outbox = Outbox::new(Instant::now());
    let a = endpoint("a", "ns.a", 1);
    outbox.put(&a, MirrorIntent::Retain);
    assert_eq!(outbox.batch(500), (vec![], vec![]));
    let pages = outbox.snapshot(500);
    assert_eq!(pages[0].retained, ["ns.a"]);
    outbox.put(&a, says(&a, StatusWord::Ready));
    outbox.put(&a, MirrorIntent::Retain);
    assert_eq!(outbox.batch(500).0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_after_half_a_ttl_and_so_many_at_a_time() {
    let mut outbox = Outbox::new(Instant::now());
    for n in 0..120 {
        let e = endpoint(&format!("e{n}"), &format!("ns.e{n}"), 1);
        outbox.put(&e, says(&e, StatusWord::Ready));
    }
    answer(&mut outbox, ItemOutcome::Applied);
    outbox.contacted();
    outbox.failed("away".to_owned());
    tokio::time::advance(Duration::from_secs(29)).await;
    assert!(outbox.announce(Instant::now(), 50).is_empty());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(outbox.announce(Instant::now(), 50).len(), 50);
    assert_eq!(outbox.announce(Instant::now(), 50).len(), 50);
    assert_eq!(outbox.announce(Instant::now(), 50).len(), 20);
    assert!(matches!(outbox.state(&endpoint("e1", "ns.e1", 1), "u"), RegistrationState::Unavailable(_)));
    outbox.contacted();
    assert_eq!(outbox.announce(Instant::now(), 50).len(), 50);
}

#[test]
fn a_snapshot_has_pages_and_an_empty_one_still_has_one() {
    let mut outbox = Outbox::new(Instant::now());
    assert_eq!(outbox.snapshot(10).len(), 1);
    for n in 0..25 {
        let e = endpoint(&format!("e{n}"), &format!("ns.e{n}"), 1);
        outbox.put(&e, says(&e, StatusWord::Ready));
    }
    let sizes: Vec<usize> = outbox.snapshot(10).iter().map(|p| p.items.len()).collect();
    assert_eq!(sizes, [10, 10, 5]);
}

#[test]
fn no_request_is_larger_than_the_registry_reads() {
    let mut outbox = Outbox::new(Instant::now());
    for n in 0..400 {
        let e = endpoint(&format!("e{n}"), &format!("ns.e{n}"), 1);
        let MirrorIntent::Publish(mut contribution) = says(&e, StatusWord::Ready) else { unreachable!() };
        contribution.message = "x".repeat(10_000);
        outbox.put(&e, MirrorIntent::Publish(contribution));
    }
    let size = |items: &[Item]| serde_json::to_vec(items).unwrap().len();
    let (items, _) = outbox.batch(500);
    assert!(!items.is_empty() && size(&items) < MAX_REQUEST_BYTES);
    let pages = outbox.snapshot(500);
    assert!(pages.len() >= 4 && pages.iter().all(|page| size(&page.items) < MAX_REQUEST_BYTES));
    assert_eq!(pages.iter().map(|page| page.items.len()).sum::<usize>(), 400);
}

#[test]
fn what_a_snapshot_found_held_is_withdrawn_when_its_object_goes_before_its_first_verdict() {
    let mut outbox = Outbox::new(Instant::now());
    let a = endpoint("a", "ns.a", 1);
    outbox.put(&a, MirrorIntent::Retain);
    let held = RetainedItem { agent_id: "ns.a".into(), digest: Digest([7; 32]) };
    outbox.retained(&["ns.a".to_owned()], &[held]);
    assert_eq!(outbox.held().count, 1);
    outbox.remove(&a.id);
    assert_eq!(outbox.batch(500).1, ["ns.a"]);
}

#[test]
fn a_rejected_item_is_not_said_again_until_it_changes() {
    let mut outbox = Outbox::new(Instant::now());
    let a = endpoint("a", "ns.a", 1);
    outbox.put(&a, says(&a, StatusWord::Ready));
    answer(&mut outbox, ItemOutcome::Rejected);
    assert_eq!(outbox.batch(500), (vec![], vec![]));
    assert!(matches!(outbox.state(&a, "u"), RegistrationState::Rejected(_)));
    outbox.put(&a, says(&a, StatusWord::Failing));
    assert_eq!(outbox.batch(500).0.len(), 1);
}
