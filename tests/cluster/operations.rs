//! What the metrics of cluster mode say when the API server, a right or the active replica goes, and which alerts fire.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::bed::{Bed, Orchestrator, aep, target};
use crate::support::prometheus::{Prometheus, program};
use crate::support::{Behaviour, TestAgent, Version, eventually};

const SOON: Duration = Duration::from_mins(1);

/// The alert fires, or is gone; nothing without Prometheus.
async fn alert(prometheus: Option<&Prometheus>, name: &str, fires: bool) {
    if let Some(prometheus) = prometheus {
        prometheus.alert(name, fires).await;
    }
}

/// Waits until a sample is as it should be.
async fn shows(orchestrator: &Orchestrator, sample: &str, good: impl Fn(u64) -> bool) {
    eventually(SOON, sample, async || {
        let value = orchestrator.metric(sample).await;
        if good(value) { Ok(()) } else { Err(format!("it is {value}\n{}", orchestrator.process.logs())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_metric_of_cluster_mode_moves_when_its_thing_happens() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let spec =
        json!({"targets": [target(agent.addr())], "probe": {"periodSeconds": 1, "failureThreshold": 1}});
    bed.apply(&aep("default", "one", &spec)).await;
    let config = bed.kubeconfig(None).await;
    let first = bed.orchestrator(&config, "none", &[]);
    bed.wait("one", "Ready", 30).await;
    let any = |value: u64| value > 0;
    shows(&first, "leader", |value| value == 1).await;
    for (verb, code) in [("get", 200), ("watch", 200), ("patch", 200), ("update", 200), ("create", 201)] {
        let sample = format!("api_requests_total{{verb=\"{verb}\",code=\"{code}\"}}");
        shows(&first, &sample, any).await;
    }
    shows(&first, "lease_renewals_total{result=\"ok\"}", any).await;
    shows(&first, "status_writes_total{result=\"ok\"}", any).await;
    shows(&first, "reconcile_duration_seconds_count", any).await;
    shows(&first, "queue_wait_seconds_count", any).await;
    shows(&first, "endpoint_ready{namespace=\"default\",name=\"one\",protocol=\"http\"}", any).await;
    shows(&first, "check_ok{check=\"agentendpoints\"}", any).await;

    // The standby shows no endpoints, so that a sum over both is right.
    let second = bed.orchestrator(&config, "none", &[]);
    eventually(SOON, "the standby is ready", async || second.ready().await.0 == 200).await;
    assert_eq!(second.metric("leader").await, 0);
    assert_eq!(second.metric("endpoints{namespace=\"default\",status=\"ready\"}").await, 0);

    let prometheus = match program("prometheus") {
        Some(program) => Some(Prometheus::start(&program, &[first.port, second.port]).await),
        None => None,
    };
    let prometheus = prometheus.as_ref();
    alert(prometheus, "AgentOrchestratorDown", false).await;

    // A right is gone: the status cannot be written.
    let binding = "configurable-agents:configurable-agents:orchestrator";
    bed.plane.kubectl(&["delete", "clusterrolebinding", binding]).await.ok();
    agent.stop().await;
    shows(&first, "reconcile_errors_total{error=\"forbidden\"}", any).await;
    shows(&first, "api_requests_total{verb=\"patch\",code=\"403\"}", any).await;
    shows(&first, "status_writes_total{result=\"error\"}", any).await;
    alert(prometheus, "AgentStatusWritesFailing", true).await;
    bed.install_rights().await;
    let failing = [
        "get",
        "aep",
        "-n",
        "default",
        "one",
        "-o",
        "jsonpath={.status.conditions[?(@.type=='Ready')].status}",
    ];
    eventually(SOON, "the status is written", async || bed.plane.kubectl(&failing).await.stdout == "False")
        .await;

    alert(prometheus, "AgentStatusWritesFailing", false).await;

    // The API server is gone.
    bed.plane.stop_apiserver().await;
    shows(&first, "watch_failing_seconds{watch=\"agentendpoints\"}", any).await;
    shows(&first, "watch_errors_total{watch=\"agentendpoints\"}", any).await;
    shows(&first, "lease_renewals_total{result=\"error\"}", any).await;
    shows(&first, "api_requests_total{verb=\"get\",code=\"error\"}", any).await;
    shows(&first, "check_ok{check=\"agentendpoints\"}", |value| value == 0).await;
    alert(prometheus, "AgentCheckFailing", true).await;
    bed.plane.start_apiserver().await;
    alert(prometheus, "AgentCheckFailing", false).await;
    shows(&first, "watch_failing_seconds{watch=\"agentendpoints\"}", |value| value == 0).await;
    shows(&first, "check_ok{check=\"agentendpoints\"}", any).await;

    // The active one dies.
    let (active, waiting) = if first.metric("leader").await == 1 { (first, second) } else { (second, first) };
    active.process.kill();
    shows(&waiting, "leader", any).await;
    shows(&waiting, "endpoints{namespace=\"default\",status=\"failing\"}", any).await;
    alert(prometheus, "AgentOrchestratorDown", false).await;
    waiting.process.kill();
    alert(prometheus, "AgentOrchestratorDown", true).await;
}
