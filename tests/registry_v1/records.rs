//! Two contributions in one record, and pages of records.

use configurable_agents::domain::{Reason, StatusWord};
use serde_json::{Value, json};

use crate::registry_support::{Registry, contribution, failing, ready, stamp};
use crate::{AGENTS, many};

#[tokio::test]
async fn an_agents_beat_never_masks_a_failing_probe() {
    let registry = Registry::start().await;
    registry.register("a").await;
    assert!(registry.is_alive("a").await);
    registry.batch("s", stamp(1, 1), vec![failing("a")], &[]).await;
    assert!(!registry.is_alive("a").await);
    assert_eq!(registry.send("POST", "/agents/a/heartbeat", &[], "").await.status, 200);
    assert!(!registry.is_alive("a").await);
    assert_eq!(registry.get("/health").await.body["active_agents"], 0);
    registry.register("a").await;
    assert!(!registry.is_alive("a").await);
    // Only a live contribution counts.
    registry.pass(59);
    registry.send("POST", "/agents/a/heartbeat", &[], "").await;
    registry.pass(1);
    assert!(registry.is_alive("a").await);
    assert_eq!(registry.get("/health").await.body["active_agents"], 1);
}

#[tokio::test]
async fn a_verdict_keeps_an_agent_alive_that_does_not_beat() {
    use StatusWord::{Degraded, Failing, Paused, Ready, Rejected, Unknown};
    let registry = Registry::start().await;
    for (seq, (status, reason, alone, beating)) in [
        (Ready, Reason::Ready, true, true),
        (Degraded, Reason::LatencyAboveThreshold, true, true),
        (Failing, Reason::AuthenticationRequired, true, true),
        (Failing, Reason::CredentialsRejected, true, true),
        (Failing, Reason::ConnectionRefused, false, false),
        (Rejected, Reason::SecretNotFound, false, true),
        (Unknown, Reason::NotYetProbed, false, true),
        (Paused, Reason::Suspended, false, true),
    ]
    .into_iter()
    .enumerate()
    {
        let item = contribution("a", status, reason).into_item();
        registry.batch("s", stamp(1, i64::try_from(seq).unwrap()), vec![item], &[]).await;
        assert_eq!(registry.is_alive("a").await, alone, "{status} {reason}");
        let active = registry.get("/health").await.body["active_agents"].clone();
        assert_eq!(active, i32::from(alone), "{status} {reason}");
        registry.register("a").await;
        assert_eq!(registry.is_alive("a").await, beating, "{status} {reason}");
        let active = registry.get("/health").await.body["active_agents"].clone();
        assert_eq!(active, i32::from(beating), "{status} {reason}");
        assert_eq!(registry.delete("/agents/a").await.status, 200);
    }
}

#[tokio::test]
async fn a_record_shows_both_contributions_and_old_clients_the_agents_own() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a")], &[]).await;
    let info = registry.get("/agents/a").await.body;
    assert_eq!(info["agent_name"], "probed name");
    // The first ready address, not the first.
    assert_eq!((&info["host"], &info["port"]), (&json!("two.example"), &json!(8002)));
    assert_eq!(info["ttl_seconds"], 60);
    assert_eq!(info["registered_at"], "2026-11-23T07:00:00.000000");
    let metadata: Value = serde_json::from_str(info["metadata"].as_str().unwrap()).unwrap();
    assert_eq!(
        metadata,
        json!({
            "model": "gpt-4o", "capabilities": ["research"], "endpoint": "team/writer",
            "metadata": { "model": "gpt-4o" }, "protocol": "http", "reason": "Ready",
            "status": "Ready", "url": "https://writer.example",
        })
    );
    registry.pass(10);
    registry.renew("s", stamp(1, 2)).await;
    let info = registry.get("/agents/a").await.body;
    assert_eq!(info["last_heartbeat"], "2026-11-23T07:00:10.000000");

    registry.register("a").await;
    let info = registry.get("/agents/a").await.body;
    assert_eq!(info["agent_name"], "own name");
    assert_eq!(info["host"], "10.0.0.1");
    let record = registry.get(&format!("{AGENTS}/a")).await.body;
    assert_eq!(record["isAlive"], true);
    let [own, said] = record["contributions"].as_array().unwrap().as_slice() else {
        panic!("{record}");
    };
    assert_eq!(own["source"], json!({ "kind": "Agent", "id": "a" }));
    assert_eq!(own["addresses"], json!([{ "host": "10.0.0.1", "port": 8001 }]));
    assert_eq!(own["expiresAt"], "2026-11-23T07:01:10Z");
    assert_eq!(said["source"], json!({ "kind": "Orchestrator", "id": "s" }));
    assert_eq!(said["status"], "Ready");
    assert_eq!(said["addresses"][0]["status"], "Failing");
    assert_eq!(said["asOf"], "2026-11-23T07:00:10Z");
    assert_eq!(said["createdAt"], "2026-11-23T07:00:00Z");
    assert_eq!(said["live"], true);
    registry.pass(60);
    let record = registry.get(&format!("{AGENTS}/a")).await.body;
    assert_eq!(record["contributions"][1]["live"], false);
    registry.get(&format!("{AGENTS}/nobody")).await.problem(404);
}

#[tokio::test]
async fn delete_and_heartbeat_touch_only_the_agents_own_contribution() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a")], &[]).await;
    assert_eq!(registry.delete("/agents/a").await.status, 404);
    let beat = registry.send("POST", "/agents/a/heartbeat", &[], "").await;
    assert_eq!(beat.status, 404);
    assert!(beat.body["hint"].as_str().unwrap().contains("register again"));
    registry.register("a").await;
    assert_eq!(registry.delete("/agents/a").await.status, 200);
    assert_eq!(registry.get("/agents/a").await.body["agent_name"], "probed name");
    registry.batch("s", stamp(1, 2), vec![], &["a"]).await;
    assert_eq!(registry.get("/agents/a").await.status, 404);
}

#[tokio::test]
async fn paging_misses_nothing_and_repeats_nothing_while_others_come_and_go() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), many(0..300), &[]).await;
    for i in 250..320 {
        registry.register(&format!("a{i:04}")).await;
    }
    let mut seen = Vec::new();
    let mut path = format!("{AGENTS}?limit=7");
    for round in 0.. {
        let page = registry.get(&path).await.body;
        let ids = page["items"].as_array().unwrap().iter();
        seen.extend(ids.map(|item| item["agentID"].as_str().unwrap().to_owned()));
        registry.register(&format!("z{round:04}")).await;
        registry.delete(&format!("/agents/z{:04}", round - 1)).await;
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{AGENTS}?limit=7&cursor={cursor}"),
            None => break,
        }
    }
    let stable: Vec<String> = (0..320).map(|i| format!("a{i:04}")).collect();
    seen.retain(|id| id.starts_with('a'));
    assert_eq!(seen, stable);
}

#[tokio::test]
async fn bad_paging_is_a_400_with_a_reason() {
    let registry = Registry::start().await;
    for query in
        ["limit=0", "limit=501", "limit=-1", "limit=1e9", "limit=", "cursor=zz", "cursor=", "cursor=ff"]
    {
        let answer = registry.get(&format!("{AGENTS}?{query}")).await;
        let name = query.split('=').next().unwrap();
        assert!(answer.problem(400).contains(name), "{query}");
    }
}
