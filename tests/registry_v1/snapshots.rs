//! Paged snapshots.

use configurable_agents::domain::record::SNAPSHOT_GAP;
use configurable_agents::domain::record::SnapshotRequest;
use serde_json::json;

use crate::registry_support::{Registry, ready, stamp};
use crate::{many, page, sum};

#[tokio::test]
async fn a_complete_snapshot_withdraws_what_it_lacks() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), many(0..10), &[]).await;
    registry.batch("t", stamp(1, 1), vec![ready("other")], &[]).await;
    let first = registry.snapshot("s", &page(2, "n1", 0, false, many(0..4))).await;
    assert_eq!((first.withdrawn, first.held.count), (0, 10));
    // Said between two pages, so newer than the list of the snapshot.
    registry.batch("s", stamp(1, 3), vec![ready("new")], &[]).await;
    let last = registry.snapshot("s", &page(4, "n1", 1, true, many(4..6))).await;
    assert_eq!((last.withdrawn, last.withheld), (4, 0));
    let mut held = many(0..6);
    held.push(ready("new"));
    assert_eq!(last.held, sum(&held));
    assert_eq!(registry.get("/agents/other").await.status, 200);
}

#[tokio::test]
async fn a_suspicious_withdrawal_waits_for_a_second_list() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), many(0..100), &[]).await;
    let withheld = registry.snapshot("s", &page(2, "n1", 0, true, many(0..89))).await;
    assert_eq!((withheld.withdrawn, withheld.withheld), (0, 11));
    assert_eq!(withheld.held, sum(&many(0..100)));
    let confirmed = SnapshotRequest { confirmed: true, ..page(3, "n2", 0, true, many(0..89)) };
    let gone = registry.snapshot("s", &confirmed).await;
    assert_eq!((gone.withdrawn, gone.withheld), (11, 0));
    assert_eq!(gone.held, sum(&many(0..89)));
}

#[tokio::test]
async fn retained_ids_are_held_as_they_are() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a"), ready("b"), ready("c")], &[]).await;
    registry.batch("t", stamp(1, 1), vec![ready("other")], &[]).await;
    let request = SnapshotRequest {
        retained: vec!["b".to_owned(), "unknown".to_owned(), "other".to_owned()],
        ..page(2, "n1", 0, true, vec![ready("a")])
    };
    let response = registry.snapshot("s", &request).await;
    assert_eq!(response.withdrawn, 1);
    let [retained] = response.retained.as_slice() else {
        panic!("{response:?}");
    };
    assert_eq!((retained.agent_id.as_str(), retained.digest), ("b", ready("b").digest));
    assert_eq!(response.held, sum(&[ready("a"), ready("b")]));
}

#[tokio::test]
async fn a_rejected_item_of_a_snapshot_leaves_what_is_held_of_it() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a")], &[]).await;
    let mut request = serde_json::to_value(page(2, "n1", 0, true, vec![ready("a")])).unwrap();
    request["items"][0]["contribution"]["ttlSeconds"] = json!(1);
    let answer = registry.write("s", "snapshot", &request).await;
    assert_eq!(answer.body["results"][0]["outcome"], "Rejected");
    assert_eq!(answer.body["withdrawn"], 0);
    assert_eq!(answer.body["held"]["count"], 1);
}

#[tokio::test]
async fn a_gap_in_the_pages_starts_the_snapshot_again() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), many(0..8), &[]).await;
    let refused = async |request: SnapshotRequest| {
        let answer = registry.write("s", "snapshot", &request).await;
        answer.problem(409);
        assert_eq!(answer.body["type"], SNAPSHOT_GAP);
    };
    refused(page(2, "n1", 1, true, vec![])).await;
    registry.snapshot("s", &page(3, "n1", 0, false, many(0..1))).await;
    refused(page(4, "n1", 2, true, vec![])).await;
    // Not the retry of page 0, whose stamp was 3.
    refused(page(5, "n2", 1, true, vec![])).await;
    // A new id abandons the old one, with its marks: a0000 is in "n1" only.
    registry.snapshot("s", &page(6, "n2", 0, false, many(1..4))).await;
    refused(page(7, "n1", 1, true, vec![])).await;
    // The retry of a lost answer is no gap.
    registry.snapshot("s", &page(8, "n2", 1, false, many(4..6))).await;
    registry.snapshot("s", &page(8, "n2", 1, false, many(4..6))).await;
    let last = registry.snapshot("s", &page(9, "n2", 2, true, many(6..7))).await;
    assert_eq!(last.withdrawn, 2);
    assert_eq!(last.held, sum(&many(1..7)));
    refused(page(10, "n2", 3, true, vec![])).await;
}
