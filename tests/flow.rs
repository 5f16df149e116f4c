//! Both directions of registration without a cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::net::Ipv4Addr;

use serde_json::json;
use support::flow::Flow;
use support::{Behaviour, Proc, TestAgent, free_port, work_dir};

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_agent_and_one_that_registers_itself_die_and_come_back_on_every_interface() {
    let files = work_dir();
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let manifests = files.path().join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    let object = json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
        "metadata": {"name": "declared", "namespace": "team-a"},
        "spec": {
            "targets": [{"host": "127.0.0.1", "port": agent.port()}],
            "probe": {"periodSeconds": 1, "failureThreshold": 2},
        },
    });
    std::fs::write(manifests.join("declared.yaml"), object.to_string()).unwrap();
    let (registry, orchestrator) = (free_port(Ipv4Addr::LOCALHOST), free_port(Ipv4Addr::LOCALHOST));
    let place = files.path().display();
    let _registry = Proc::start(
        &[
            "agent-registry".to_owned(),
            "start".to_owned(),
            format!("--port={registry}"),
            format!("--db-url=sqlite:///{place}/registry.db"),
        ],
        &[],
    );
    let _orchestrator = Proc::start(
        &[
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--manifests={}", manifests.display()),
            format!("--db-url=sqlite:///{place}/status.db"),
            format!("--port={orchestrator}"),
            format!("--registry-url=http://127.0.0.1:{registry}"),
        ],
        &[],
    );
    support::eventually(std::time::Duration::from_secs(20), "the orchestrator listens", async || {
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, orchestrator)).await.is_ok()
    })
    .await;
    let flow = Flow { orchestrator, registry, namespace: "team-a".to_owned() };
    flow.both_directions(&agent).await;
}
