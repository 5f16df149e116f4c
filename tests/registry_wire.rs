//! The original project's contract: its recorded exchanges, replayed against our registry.
#![allow(clippy::unwrap_used, clippy::panic)]

mod registry_support;

use std::time::Duration;

use registry_support::{Answer, Registry};
use serde_json::{Value, json};

const RECORDED: &str = include_str!("data/exchanges.json");

const AGENT_INFO: [&str; 10] = [
    "agent_id",
    "agent_name",
    "host",
    "port",
    "is_alive",
    "last_heartbeat",
    "registered_at",
    "ttl_seconds",
    "metadata",
    "agent_metadata",
];
const ORCHESTRATOR_INFO: [&str; 8] = [
    "orchestrator_id",
    "orchestrator_name",
    "orchestrator_type",
    "api_endpoint",
    "is_alive",
    "last_heartbeat",
    "registered_at",
    "ttl_seconds",
];

/// Locks the whole contract: an unmodified client must not see a difference that is not listed in
/// [`expected`].
#[tokio::test]
async fn the_recorded_exchanges_replay_with_only_the_listed_differences() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let exchanges = recorded["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), 57);
    let registry = Registry::start().await;
    for (index, exchange) in exchanges.iter().enumerate() {
        let number = index + 1;
        let what = format!("{number}: {}", exchange["note"]);
        if number == 36 {
            // "short" has a TTL of 1 s.
            registry.clock.advance(Duration::from_millis(1500));
        }
        let answer = replay(&registry, &exchange["request"]).await;
        let (status, mut body) = expected(number, exchange);
        assert_eq!(json!(answer.status), status, "{what}: {}", answer.text);
        let content_type = answer.header("content-type");
        assert_eq!(json!(content_type), exchange["response"]["content_type"], "{what}");
        if number == 46 {
            assert_eq!(answer.header("location"), Some("/agents"), "{what}");
            assert_eq!(answer.text, "");
            continue;
        }
        check_order(&answer, &what);
        let mut ours = answer.body.clone();
        normalise(&mut ours, true);
        normalise(&mut body, false);
        assert_eq!(ours, body, "{what}");
    }
}

async fn replay(registry: &Registry, request: &Value) -> Answer {
    let mut path = request["path"].as_str().unwrap().to_owned();
    if let Some(query) = request["query"].as_object() {
        for (name, value) in query {
            path = format!("{path}?{name}={}", value.as_str().unwrap());
        }
    }
    let method = request["method"].as_str().unwrap();
    match (&request["json"], request["body"].as_str()) {
        (Value::Null, None) => registry.send(method, &path, &[], "").await,
        (Value::Null, Some(text)) => {
            let headers = [("content-type", "application/json")];
            registry.send(method, &path, &headers, text.to_owned()).await
        }
        (value, _) => {
            let headers = [("content-type", "application/json")];
            registry.send(method, &path, &headers, value.to_string()).await
        }
    }
}

/// The recorded status and body, and where ours differs on purpose, ours.
fn expected(number: usize, exchange: &Value) -> (Value, Value) {
    let recorded = &exchange["response"];
    let sent = &exchange["request"]["json"];
    let (mut status, mut body) = (recorded["status"].clone(), recorded["body"].clone());
    match number {
        // Metadata as an object is accepted, and comes back as its JSON text.
        7 => {
            status = json!(200);
            body = a4();
        }
        // An empty id is refused.
        20 => {
            status = json!(422);
            body = json!({ "detail": [{
                "type": "string_too_short", "loc": ["body", "agent_id"], "msg": "", "input": "",
                "ctx": { "min_length": 1 },
            }]});
        }
        // An id has at most 253 characters.
        21 => {
            status = json!(422);
            body = json!({ "detail": [{
                "type": "string_too_long", "loc": ["body", "agent_id"], "msg": "",
                "input": sent["agent_id"], "ctx": { "max_length": 253 },
            }]});
        }
        // A 404 on a heartbeat says what to do.
        28 | 51 => body["hint"] = json!("not registered, or removed: register again"),
        // What follows from 7, 20 and 21.
        31..=33 | 37 | 38 => {
            let list = body.as_array_mut().unwrap();
            list.retain(|agent| {
                let length = agent["agent_id"].as_str().unwrap().len();
                length > 0 && length <= 253
            });
            let before_a3 = list.iter().position(|agent| agent["agent_id"] == "a3");
            list.insert(before_a3.unwrap(), a4());
        }
        41 => {
            body["registered_agents"] = json!(9);
            body["active_agents"] = json!(9);
        }
        // The original answers 404 to every heartbeat of an orchestrator.
        50 => {
            status = json!(200);
            body = json!({ "status": "ok", "last_heartbeat": "2026-11-23T07:03:50.559346" });
        }
        _ => {}
    }
    (status, body)
}

/// The agent that the original refused in exchange 7.
fn a4() -> Value {
    json!({
        "agent_id": "a4", "agent_name": "Agent One", "host": "10.0.0.1", "port": 8001,
        "is_alive": true, "last_heartbeat": "2026-11-23T07:03:49.005000",
        "registered_at": "2026-11-23T07:03:49.005000", "ttl_seconds": 60,
        "metadata": "{\"x\":1}",
    })
}

/// Takes out what may differ everywhere: times (their form must be right), the wording of `msg`
/// and of `ctx.error`, and `agent_metadata`, which must repeat `metadata`.
fn normalise(value: &mut Value, is_ours: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| normalise(item, is_ours)),
        Value::Object(object) => {
            for name in ["last_heartbeat", "registered_at"] {
                if let Some(time) = object.get_mut(name) {
                    assert!(is_naive(time.as_str().unwrap()), "{name}: {time}");
                    *time = json!("a time");
                }
            }
            if object.contains_key("type") && object.contains_key("loc") {
                assert!(object["msg"].is_string());
                object.remove("msg");
                if let Some(error) = object.get_mut("ctx").and_then(|ctx| ctx.get_mut("error")) {
                    *error = json!("a sentence");
                }
            }
            if is_ours && object.contains_key("metadata") {
                assert_eq!(object.remove("agent_metadata").as_ref(), object.get("metadata"));
            }
            object.values_mut().for_each(|item| normalise(item, is_ours));
        }
        _ => {}
    }
}

/// `2026-11-23T07:03:48.995064`
fn is_naive(time: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.dddddd";
    time.len() == pattern.len()
        && time.bytes().zip(pattern.bytes()).all(|(t, p)| if p == b'd' { t.is_ascii_digit() } else { t == p })
}

fn check_order(answer: &Answer, what: &str) {
    let names: &[&str] = match &answer.body {
        Value::Object(object) if object.contains_key("agent_name") => &AGENT_INFO,
        Value::Object(object) if object.contains_key("orchestrator_name") => &ORCHESTRATOR_INFO,
        _ => return,
    };
    assert_eq!(answer.body.as_object().unwrap().len(), names.len(), "{what}");
    let places: Vec<usize> =
        names.iter().map(|name| answer.text.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{what}: {}", answer.text);
}

fn agent(changes: &Value) -> Value {
    let mut body = json!({ "agent_id": "a", "agent_name": "A", "host": "10.0.0.1", "port": 8001 });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn every_bad_field_has_its_own_entry() {
    let registry = Registry::start().await;
    let body = json!({ "agent_id": 1, "port": "x", "ttl_seconds": 0.5, "metadata": [] });
    let answer = registry.post("/agents/register", &body).await;
    assert_eq!(answer.status, 422);
    let entries: Vec<(&str, &str)> = answer.body["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["loc"][1].as_str().unwrap(), e["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        entries,
        [
            ("agent_id", "string_type"),
            ("agent_name", "missing"),
            ("host", "missing"),
            ("port", "int_parsing"),
            ("ttl_seconds", "int_from_float"),
            ("metadata", "string_type"),
        ]
    );
}

#[tokio::test]
async fn bounds_are_held_in_bodies_and_in_paths() {
    let registry = Registry::start().await;
    for (changes, loc) in [
        (json!({ "agent_id": "a\u{1b}[2J" }), "agent_id"),
        (json!({ "agent_name": "x".repeat(254) }), "agent_name"),
        (json!({ "host": "x".repeat(254) }), "host"),
        (json!({ "metadata": "x".repeat(16_385) }), "metadata"),
        (json!({ "metadata": { "k": "x".repeat(16_385) } }), "metadata"),
        (json!({ "ttl_seconds": 1e12 }), "ttl_seconds"),
    ] {
        let answer = registry.post("/agents/register", &agent(&changes)).await;
        assert_eq!(answer.status, 422, "{loc}");
        assert_eq!(answer.body["detail"][0]["loc"], json!(["body", loc]));
    }
    let long = "x".repeat(254);
    for path in ["/agents/a%00b", "/agents/%0a", "/agents/%ff", &format!("/agents/{long}")] {
        let answer = registry.get(path).await;
        assert_eq!(answer.status, 422, "{path}");
        assert_eq!(answer.body["detail"][0]["loc"], json!(["path", "agent_id"]));
    }
    let longest = json!({ "agent_id": "é".repeat(253) });
    let answer = registry.post("/agents/register", &agent(&longest)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn ids_are_data_whatever_characters_they_have() {
    let registry = Registry::start().await;
    for (id, path) in [
        ("a/b", "a%2Fb"),
        ("' OR 1=1 --", "%27%20OR%201%3D1%20--"),
        ("50%_", "50%25_"),
        ("A", "A"),
        ("a", "a"),
        ("register", "register"),
    ] {
        let body = agent(&json!({ "agent_id": id }));
        assert_eq!(registry.post("/agents/register", &body).await.status, 200);
        let answer = registry.get(&format!("/agents/{path}")).await;
        assert_eq!(answer.body["agent_id"], id);
    }
    assert_eq!(registry.get("/health").await.body["registered_agents"], 6);
    assert_eq!(registry.delete("/agents/register").await.status, 200);
    assert_eq!(registry.delete("/agents/a").await.status, 200);
    assert_eq!(registry.get("/agents/A").await.status, 200);
}

#[tokio::test]
async fn booleans_in_queries_are_read_as_pydantic_reads_them() {
    let registry = Registry::start().await;
    registry.register("a").await;
    registry.pass(61);
    for (text, count) in [
        ("true", 1),
        ("True", 1),
        ("1", 1),
        ("yes", 1),
        ("on", 1),
        ("t", 1),
        ("Y", 1),
        ("false", 0),
        ("0", 0),
        ("no", 0),
        ("OFF", 0),
        ("f", 0),
        ("n", 0),
    ] {
        let answer = registry.get(&format!("/agents?include_dead={text}")).await;
        assert_eq!(answer.body.as_array().unwrap().len(), count, "{text}");
    }
    for text in ["", "2", "%20true"] {
        let answer = registry.get(&format!("/orchestrators?include_dead={text}")).await;
        assert_eq!(answer.status, 422, "{text}");
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_or_not_json_are_refused_early() {
    let registry = Registry::start().await;
    let json = ("content-type", "application/json");
    let large = "x".repeat(256 * 1024 + 1);
    let answer = registry.send("POST", "/agents/register", &[json], large).await;
    assert_eq!(answer.status, 413);
    // A page of another origin can send text/plain, or nothing, without being asked.
    let body = agent(&json!({})).to_string();
    for headers in [vec![], vec![("content-type", "text/plain")]] {
        let answer = registry.send("POST", "/agents/register", &headers, body.clone()).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.body["detail"][0]["type"], "model_attributes_type");
    }
    let invalid = Vec::from(*b"\"\xff\"");
    let answer = registry.send("POST", "/agents/register", &[json], invalid).await;
    assert_eq!(answer.status, 400);
    let deep = "[".repeat(10_000);
    let answer = registry.send("POST", "/agents/register", &[json], deep).await;
    assert_eq!(answer.body["detail"][0]["type"], "json_invalid");
}

#[tokio::test]
async fn a_trailing_slash_redirects_only_to_what_is_there() {
    let registry = Registry::start().await;
    let answer = registry.get("/agents/?include_dead=1").await;
    assert_eq!(answer.header("location"), Some("/agents?include_dead=1"));
    assert_eq!(registry.get("/agents/x/").await.status, 307);
    assert_eq!(registry.get("/nothing/").await.status, 404);
    assert_eq!(registry.get("//evil.example/").await.status, 404);
    assert_eq!(registry.get("//evil.example/agents/").await.status, 404);
}
