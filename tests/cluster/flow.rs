//! Both directions of registration in a cluster.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::bed::{Bed, aep, target};
use crate::support::flow::Flow;
use crate::support::{Behaviour, TestAgent, Version};

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_agent_and_one_that_registers_itself_die_and_come_back_on_every_interface() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let registry = bed.registry();
    registry.up().await;
    let spec =
        json!({"targets": [target(agent.addr())], "probe": {"periodSeconds": 1, "failureThreshold": 2}});
    bed.apply(&aep("default", "declared", &spec)).await;
    let kubeconfig = bed.kubeconfig(None).await;
    let orchestrator = bed.orchestrator(&kubeconfig, &registry.url(), &[]);
    bed.wait("declared", "Ready", 30).await;
    let flow =
        Flow { orchestrator: orchestrator.port, registry: registry.port, namespace: "default".to_owned() };
    flow.both_directions(&agent).await;
    bed.wait("declared", "Ready", 5).await;
}
