//! Batches, stamps, and who owns an id.

use configurable_agents::domain::record::ItemOutcome as O;
use configurable_agents::domain::record::STALE_STAMP;
use serde_json::{Value, json};

use crate::registry_support::{Registry, failing, ready, stamp};
use crate::{outcomes, page, sum};

#[tokio::test]
async fn a_batch_answers_item_by_item() {
    let registry = Registry::start().await;
    let items = vec![ready("a"), ready("b")];
    let response = registry.batch("s", stamp(1, 1), items.clone(), &["x"]).await;
    assert_eq!(outcomes(&response.results), [O::Applied, O::Applied, O::NotFound]);
    assert_eq!(response.held, sum(&items));
    let items = vec![failing("a"), ready("b")];
    let response = registry.batch("s", stamp(1, 2), items.clone(), &[]).await;
    assert_eq!(outcomes(&response.results), [O::Applied, O::Unchanged]);
    assert_eq!(response.held, sum(&items));
    let response = registry.batch("s", stamp(1, 3), vec![], &["a"]).await;
    assert_eq!(outcomes(&response.results), [O::Withdrawn]);
    assert_eq!(response.held, sum(&items[1..]));
}

#[tokio::test]
async fn a_bad_item_is_rejected_alone() {
    let registry = Registry::start().await;
    let good = serde_json::to_value(ready("good")).unwrap();
    let bad = |path: &str, value: Value| {
        let mut item = serde_json::to_value(ready("bad")).unwrap();
        *item.pointer_mut(path).unwrap() = value;
        item
    };
    let address = json!({ "host": "h", "port": 1, "status": "Ready" });
    let upserts = [
        bad("/contribution/agentID", json!("")),
        bad("/contribution/agentID", json!("a\nb")),
        bad("/contribution/agentID", json!("x".repeat(254))),
        bad("/contribution/status", json!("Splendid")),
        bad("/contribution/ttlSeconds", json!(14)),
        bad("/contribution/ttlSeconds", json!(3601)),
        bad("/contribution/addresses/0/port", json!(0)),
        bad("/contribution/addresses/0/port", json!(70_000)),
        bad("/contribution/addresses", json!(vec![address; 33])),
        bad("/contribution/message", json!("x".repeat(4097))),
        bad("/contribution/since", json!("yesterday")),
        bad("/digest", json!("00")),
        json!(5),
        good,
    ];
    let body = json!({ "epoch": 1, "seq": 1, "upserts": upserts });
    let answer = registry.write("s", "batch", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results = answer.body["results"].as_array().unwrap();
    let (good, bad) = results.split_last().unwrap();
    assert_eq!(good["outcome"], "Applied");
    assert_eq!(bad.len(), 13);
    for result in bad {
        assert_eq!(result["outcome"], "Rejected", "{result}");
        assert!(result["message"].as_str().unwrap().len() > 5, "{result}");
    }
    assert_eq!(bad[4]["agentID"], "bad");
    assert_eq!(answer.body["held"]["count"], 1);
}

#[tokio::test]
async fn an_older_stamp_is_refused_and_changes_nothing() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(2, 5), vec![ready("a")], &[]).await;
    for (epoch, seq) in [(2, 4), (1, 900)] {
        let body = json!({ "epoch": epoch, "seq": seq, "withdrawals": ["a"] });
        let answer = registry.write("s", "batch", &body).await;
        let detail = answer.problem(409);
        assert!(detail.contains("epoch 2, seq 5"), "{detail}");
        assert_eq!(answer.body["type"], STALE_STAMP);
        let answer = registry.write("s", "renewal", &json!({ "epoch": epoch, "seq": seq })).await;
        answer.problem(409);
    }
    let held = registry.renew("s", stamp(3, 1)).await.held;
    assert_eq!(held, sum(&[ready("a")]));
}

/// The answer to a call can be lost after the call was stored.
#[tokio::test]
async fn a_retry_with_an_equal_stamp_has_the_same_result() {
    let registry = Registry::start().await;
    let items = vec![ready("a"), failing("b")];
    let first = registry.batch("s", stamp(1, 1), items.clone(), &[]).await;
    let again = registry.batch("s", stamp(1, 1), items.clone(), &[]).await;
    assert_eq!(first.held, again.held);
    assert_eq!(outcomes(&again.results), [O::Unchanged, O::Unchanged]);
    let last = page(2, "n1", 0, true, vec![ready("a")]);
    let first = registry.snapshot("s", &last).await;
    let again = registry.snapshot("s", &last).await;
    assert_eq!((first.withdrawn, again.withdrawn), (1, 0));
    assert_eq!(first.held, again.held);
}

#[tokio::test]
async fn stamps_of_two_sources_and_of_two_scopes_are_independent() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(9, 9), vec![ready("a")], &[]).await;
    registry.batch("t", stamp(1, 1), vec![ready("b")], &[]).await;
    let body = json!({ "epoch": 1, "seq": 1, "upserts": [ready("a")] });
    let answer = registry.post("/v1/scopes/other/sources/s/batch", &body).await;
    assert_eq!(answer.body["results"][0]["outcome"], "Applied");
    // The unversioned routes see the default scope only.
    assert_eq!(registry.get("/health").await.body["registered_agents"], 2);
}

#[tokio::test]
async fn an_id_belongs_to_the_first_live_source_until_it_expires() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a"), ready("b")], &[]).await;
    registry.pass(59);
    let response = registry.batch("t", stamp(1, 1), vec![failing("a")], &["a"]).await;
    assert_eq!(outcomes(&response.results), [O::OwnedByAnother, O::NotFound]);
    let message = response.results[0].message.clone().unwrap();
    assert!(message.contains("\"s\"") && message.contains("team/writer"), "{message}");
    assert_eq!(response.held.count, 0);
    assert!(registry.is_alive("a").await);

    registry.pass(1);
    let response = registry.batch("t", stamp(1, 2), vec![failing("a")], &[]).await;
    assert_eq!(outcomes(&response.results), [O::Applied]);
    // The former owner is told by its sum, then item by item.
    let held = registry.renew("s", stamp(1, 2)).await.held;
    assert_eq!(held, sum(&[ready("b")]));
    let response = registry.batch("s", stamp(1, 3), vec![ready("a")], &[]).await;
    assert_eq!(outcomes(&response.results), [O::OwnedByAnother]);
    assert_eq!(registry.renew("t", stamp(1, 3)).await.held, sum(&[failing("a")]));
}

#[tokio::test]
async fn a_withdrawn_id_is_free_at_once_and_a_renewed_one_is_not() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a"), ready("b")], &[]).await;
    registry.pass(59);
    registry.renew("s", stamp(1, 2)).await;
    registry.pass(59);
    registry.batch("s", stamp(1, 3), vec![], &["a"]).await;
    let response = registry.batch("t", stamp(1, 1), vec![ready("a"), ready("b")], &[]).await;
    assert_eq!(outcomes(&response.results), [O::Applied, O::OwnedByAnother]);
}
