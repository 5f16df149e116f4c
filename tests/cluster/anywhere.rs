//! What can be shown on anybody's cluster, also one without an audit log: set `KUBECONFIG_UNDER_TEST`.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::bed::{Bed, aep, target};
use crate::support::{Behaviour, ControlPlane, TestAgent, Version};

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_becomes_ready_and_fails_on_the_oldest_supported_server_or_on_yours() {
    let bed = Bed::on(ControlPlane::any(Version::V1_33).await).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let spec = json!({"targets": [target(agent.addr())], "probe": {"periodSeconds": 1}});
    bed.apply(&aep("default", "anywhere", &spec)).await;
    let kubeconfig = bed.kubeconfig(None).await;
    let _orchestrator = bed.orchestrator(&kubeconfig, "none", &[]);
    bed.wait("anywhere", "Ready", 30).await;
    agent.stop().await;
    bed.wait("anywhere", "Ready=False", 10).await;
    bed.plane.kubectl(&["delete", "aep", "-n", "default", "anywhere"]).await.ok();
}
