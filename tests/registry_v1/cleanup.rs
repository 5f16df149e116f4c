//! `POST /v1/scopes/{scope}/cleanup`, and the same from outside the server.

use std::time::Duration;

use configurable_agents::domain::agent::CleanupResponse;
use configurable_agents::registry::inspect;
use serde_json::json;

use crate::registry_support::{Registry, ready, stamp};

const PATH: &str = "/v1/scopes/default/cleanup";

fn all() -> serde_json::Value {
    json!({"olderThanSeconds": 0, "dryRun": false})
}

/// Asks for everything that has expired, unless it is said otherwise.
async fn cleanup(registry: &Registry, more: serde_json::Value) -> Vec<String> {
    let mut body = all();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = registry.post(PATH, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.read::<CleanupResponse>().agents
}

#[tokio::test]
async fn what_has_expired_goes_and_what_somebody_vouches_for_stays() {
    let registry = Registry::start().await;
    for id in ["both", "own"] {
        registry.register(id).await;
    }
    registry.batch("cluster", stamp(1, 1), vec![ready("both"), ready("said")], &[]).await;
    assert!(cleanup(&registry, json!({})).await.is_empty(), "all of it lives");
    registry.pass(61);
    registry.renew("cluster", stamp(1, 2)).await;
    registry.register("fresh").await;

    assert_eq!(cleanup(&registry, json!({"dryRun": true})).await, ["both", "own"]);
    assert_eq!(registry.get("/agents/own").await.status, 200, "a dry run removes nothing");
    assert!(cleanup(&registry, json!({"olderThanSeconds": 3600})).await.is_empty());
    assert_eq!(cleanup(&registry, json!({})).await, ["both", "own"]);
    assert_eq!(registry.get("/agents/own").await.status, 404);
    assert!(registry.is_alive("both").await, "the orchestrator still vouches for it");
    assert!(registry.is_alive("said").await && registry.is_alive("fresh").await);

    // The orchestrator goes, too: its word expires, and when it comes back it is told to say it again.
    let before = registry.renew("cluster", stamp(1, 3)).await.held;
    registry.pass(61);
    assert_eq!(cleanup(&registry, json!({})).await, ["both", "fresh", "said"]);
    assert_ne!(registry.renew("cluster", stamp(1, 4)).await.held, before);
    assert!(cleanup(&registry, json!({})).await.is_empty());
}

#[tokio::test]
async fn other_scopes_and_bad_requests_change_nothing() {
    let registry = Registry::start().await;
    registry.register("a").await;
    registry.pass(61);
    let other = registry.post("/v1/scopes/other/cleanup", &all()).await;
    assert_eq!(other.read::<CleanupResponse>(), CleanupResponse::default());
    for bad in [
        json!([]),
        json!({}),
        json!({"olderThanSeconds": -1, "dryRun": true}),
        json!({"olderThanSeconds": 0, "dryRun": false, "dry_run": true}),
    ] {
        let answer = registry.post(PATH, &bad).await;
        assert!((400..500).contains(&answer.status), "{bad}: {}", answer.text);
        answer.problem(answer.status);
    }
    assert_eq!(registry.get("/agents/a").await.status, 200);
    assert_eq!(registry.get(PATH).await.status, 405);
    // Longer than anything has been there.
    assert!(cleanup(&registry, json!({"olderThanSeconds": u64::MAX})).await.is_empty());
}

#[tokio::test]
async fn more_than_one_call_removes_goes_in_several() {
    let registry = Registry::start().await;
    for n in 0..501 {
        registry.register(&format!("agent-{n:03}")).await;
    }
    registry.pass(61);
    let first: CleanupResponse = registry.post(PATH, &all()).await.read();
    assert_eq!((first.agents.len(), first.more), (500, true));
    let second: CleanupResponse = registry.post(PATH, &all()).await.read();
    assert_eq!((second.agents.len(), second.more), (1, false));
}

#[tokio::test]
async fn of_a_registry_that_does_not_run_nothing_goes_that_was_alive_when_it_stopped() {
    let registry = Registry::start().await;
    registry.register("expired").await;
    registry.pass(61);
    registry.register("alive").await;
    registry.begin_stop();
    // Its clock says 2026-11-23; the system's own is later or earlier, and does not matter.
    let (_folder, url, _) = registry.stopped().await;
    let gone = inspect::cleanup(&url, "default", Duration::ZERO, false).await.unwrap();
    assert_eq!(gone.agents, ["expired"]);
    let (records, more) = inspect::records(&url, "default", 10).await.unwrap();
    assert_eq!((records.len(), more, records[0].is_alive), (1, false, true));
}
