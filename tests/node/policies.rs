//! NetworkPolicy: what the chart and the team allow passes, nothing else.

use crate::bed::Node;
use crate::story::{HOME, TEAM, may_list_agents, open_namespace, workload};

/// With deny-all in both namespaces. What works is seen by the story itself; this is what must not.
pub async fn only_named_flows_pass(node: &Node) {
    open_namespace(node, "stranger").await;
    assert!(!may_list_agents(node, "stranger", "caller").await, "the registry answers a stranger");

    // The registry calls nobody, not even by address.
    let address = node.field(&["service", "-n", TEAM, "scout"], "{.spec.clusterIP}").await;
    let url = format!("http://{address}:80");
    let list = ["agent-registry", "list", "--registry-url", &url];
    let out = node.inside(HOME, &workload("statefulset", "registry"), &list).await.refused();
    assert!(!out.stderr.contains("404"), "the registry reached an agent: {}", out.stderr);
    // The same call from the orchestrator is answered, by an agent that is no registry.
    let out = node.inside(HOME, &workload("deploy", "orchestrator"), &list).await.refused();
    assert!(out.stderr.contains("404"), "the orchestrator did not reach the agent: {}", out.stderr);
}
