//! Bounds and access.

use std::time::Duration;

use configurable_agents::registry::Access;
use serde_json::json;

use crate::AGENTS;
use crate::registry_support::{Registry, ready, stamp};

#[tokio::test]
async fn calls_beyond_the_bounds_are_problems() {
    let registry = Registry::start().await;
    let too_many = json!({ "epoch": 1, "seq": 1, "withdrawals": vec!["a"; 501] });
    registry.write("s", "batch", &too_many).await.problem(413);
    let too_large = json!({ "epoch": 1, "seq": 1, "withdrawals": ["x".repeat(1024 * 1024)] });
    registry.write("s", "batch", &too_large).await.problem(413);
    registry.write("s", "batch", &json!({ "epoch": 1 })).await.problem(422);
    registry.write("s", "batch", &json!({ "epoch": -1, "seq": 1 })).await.problem(422);
    registry.write("a%0ab", "renewal", &json!({ "epoch": 1, "seq": 1 })).await.problem(422);
    registry.write(&"x".repeat(254), "renewal", &json!({ "epoch": 1, "seq": 1 })).await.problem(422);
    let path = "/v1/scopes/default/sources/s/batch";
    let json_type = ("content-type", "application/json");
    registry.send("POST", path, &[json_type], "{").await.problem(400);
    registry.send("POST", path, &[], "{}").await.problem(415);
    registry.get("/v1/nothing").await.problem(404);
    registry.get(path).await.problem(405);
}

#[tokio::test]
async fn without_a_token_only_monitors_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "# mirror\nfirst-token\n").unwrap();
    let access = Access::for_listen("0.0.0.0:0".parse().unwrap(), Some(tokens.clone()), false);
    let registry = Registry::start_with(access.unwrap()).await;
    for (method, path) in [
        ("GET", "/agents"),
        ("GET", "/agents/a"),
        ("POST", "/agents/register"),
        ("DELETE", "/agents/a"),
        ("POST", "/agents/a/heartbeat"),
        ("GET", "/nothing"),
        ("PUT", "/agents/a"),
        ("GET", AGENTS),
        ("GET", "/health/"),
        ("POST", "/v1/scopes/default/sources/s/batch"),
    ] {
        for headers in [
            vec![],
            vec![("authorization", "Bearer first-toke")],
            vec![("authorization", "Basic first-token")],
            vec![("authorization", "Bearer # mirror")],
            vec![("authorization", "Bearer ")],
        ] {
            let answer = registry.send(method, path, &headers, "").await;
            answer.problem(401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(registry.get(path).await.status, 200, "{path}");
    }
    let first = [("authorization", "Bearer first-token")];
    assert_eq!(registry.send("GET", "/agents", &first, "").await.status, 200);

    std::fs::write(&tokens, "second-token-of-another-length\n").unwrap();
    let second = [("authorization", "bearer second-token-of-another-length")];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while registry.send("GET", "/agents", &first, "").await.status != 401 {
        assert!(tokio::time::Instant::now() < deadline, "the old token is still valid");
        tokio::task::yield_now().await;
    }
    assert_eq!(registry.send("GET", "/agents", &second, "").await.status, 200);
}

/// PostgreSQL has no word for a zero byte; SQLite does, and both answer alike.
#[tokio::test]
async fn a_zero_byte_is_refused_or_stored_whole_and_harms_nobody_else() {
    let registry = Registry::start().await;
    for field in ["agent_id", "agent_name", "host", "metadata"] {
        let mut body = json!({ "agent_id": "a", "agent_name": "A", "host": "h", "port": 1, "metadata": "" });
        body[field] = json!("a\0b");
        let answer = registry.post("/agents/register", &body).await;
        assert_eq!(answer.status, 422, "{field}: {}", answer.text);
        let detail = answer.body["detail"].as_array().unwrap();
        assert_eq!((detail.len(), &detail[0]["loc"]), (1, &json!(["body", field])));
    }
    let mut item = ready("b");
    item.contribution.message = "a\0b".to_owned();
    registry.batch("s", stamp(1, 1), vec![item.contribution.into_item()], &["x\0y"]).await;
    let seen = registry.get(&format!("{AGENTS}/b")).await;
    assert_eq!(seen.body["contributions"][0]["message"], "a\0b");
    registry.get(&format!("{AGENTS}/x%00y")).await.problem(422);
}
