//! What was wrong in the project that this one began as, each with the test that shows it gone.
//! The others are in `tests/command_line/` (S2 to S6) and `tests/dashboard/` (S8).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use configurable_agents::registry_client::{AgentRegistration, Client, ClientSettings};
use serde_json::{Value, json};
use support::{Behaviour, Proc, TestAgent, eventually, free_port, work_dir};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build().unwrap()
}

async fn get(port: u16, path: &str) -> Option<Value> {
    let answer = http().get(format!("http://127.0.0.1:{port}{path}")).send().await.ok()?;
    let text = answer.error_for_status().ok()?.text().await.ok()?;
    serde_json::from_str(&text).ok()
}

async fn registry(port: u16, database: PathBuf) -> Proc {
    let args = [
        "agent-registry".to_owned(),
        "start".to_owned(),
        format!("--port={port}"),
        format!("--db-url=sqlite:///{}", database.display()),
    ];
    let process = Proc::start(&args, &[]);
    eventually(SOON, "the registry answers", async || get(port, "/health").await.is_some()).await;
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_an_agent_registers_again_when_the_registry_has_lost_it() {
    let files = work_dir();
    let port = free_port(Ipv4Addr::LOCALHOST);
    http();
    let settings = ClientSettings {
        url: format!("http://127.0.0.1:{port}"),
        scope: "default".to_owned(),
        token_file: None,
    };
    let agent = AgentRegistration {
        agent_id: "a".to_owned(),
        agent_name: "A".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        ttl_seconds: 3,
        metadata: "{}".to_owned(),
    };
    // The agent is there before the registry is.
    let (client, stop) = (Client::new(&settings).unwrap(), CancellationToken::new());
    let stopped = stop.clone();
    let keeping = tokio::spawn(async move { client.keep_agent(&agent, stopped).await });
    let known = async || get(port, "/agents/a").await.is_some_and(|a| a["is_alive"] == true);
    let first = registry(port, files.path().join("one.db")).await;
    eventually(SOON, "it has registered", known).await;
    first.term();
    assert!(first.wait_exit(SOON).await.success());

    let second = registry(port, files.path().join("two.db")).await;
    eventually(SOON, "an empty registry has it again", known).await;
    stop.cancel();
    keeping.await.unwrap();
    assert!(get(port, "/agents/a").await.is_none(), "it left at the end");
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_the_routes_of_the_code_and_our_own_are_both_served_and_documented() {
    let files = work_dir();
    let port = free_port(Ipv4Addr::LOCALHOST);
    let _registry = registry(port, files.path().join("registry.db")).await;
    let agent = json!({"agent_id": "a", "agent_name": "A", "host": "h", "port": 1, "metadata": "{}"});
    let answer =
        http().post(format!("http://127.0.0.1:{port}/agents/register")).json(&agent).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/registry-api.md");
    let documents = std::fs::read_to_string(documents).unwrap();
    for (path, documented) in
        [("/agents/a", "GET /agents/{id}"), ("/v1/scopes/default/agents/a", "/v1/scopes/{scope}/agents/{id}")]
    {
        assert!(get(port, path).await.is_some(), "{path}");
        assert!(documents.contains(documented), "{documented}");
    }
    assert!(!documents.contains("/api/v1/agents"), "a route that nothing serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_an_agent_that_answers_is_ready_whichever_word_it_has_for_it() {
    let files = work_dir();
    let manifests = files.path().join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    let bodies = [
        r#"{"status":"alive"}"#,
        r#"{"status":"healthy"}"#,
        r#"{"status":"ok"}"#,
        r#"{"status":"up"}"#,
        "OK",
    ];
    let agents: Vec<TestAgent> = bodies
        .iter()
        .map(|body| TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Body((*body).to_owned())))
        .collect();
    for (n, agent) in agents.iter().enumerate() {
        let object = json!({
            "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
            "metadata": {"name": format!("agent-{n}")},
            "spec": {"targets": [{"host": "127.0.0.1", "port": agent.port()}]},
        });
        std::fs::write(manifests.join(format!("{n}.yaml")), object.to_string()).unwrap();
    }
    let port = free_port(Ipv4Addr::LOCALHOST);
    let args = [
        "orchestrator".to_owned(),
        "start".to_owned(),
        format!("--manifests={}", manifests.display()),
        format!("--db-url=sqlite:///{}", files.path().join("status.db").display()),
        format!("--port={port}"),
        "--registry-url=none".to_owned(),
    ];
    let _orchestrator = Proc::start(&args, &[]);
    eventually(SOON, "all of them are ready", async || {
        get(port, "/api/v1/status").await.is_some_and(|s| s["counts"]["Ready"] == bodies.len())
    })
    .await;
}
