//! One release of the chart, from `helm install` to `helm uninstall`.

use std::time::Instant;

use serde_json::{Value, json};

use crate::bed::{Helm, Node, SOON, chart};
use crate::objects::{agent, allow_egress, allow_probes_from, command, conditions, endpoint, namespace};
use crate::support::eventually;
use crate::{lifecycle, outage, policies, rights};

/// Where the release is.
pub const HOME: &str = "agents";
/// Where a team has its agents.
pub const TEAM: &str = "team-a";
/// The release.
pub const RELEASE: &str = "ca";

/// `deploy/ca-configurable-agents-orchestrator` and the like.
pub fn workload(kind: &str, component: &str) -> String {
    format!("{kind}/{RELEASE}-configurable-agents-{component}")
}

/// The registry's API by way of the API server, which reaches every pod.
fn registry(path: &str) -> String {
    format!("/api/v1/namespaces/{HOME}/services/http:{RELEASE}-configurable-agents-registry:8000/proxy{path}")
}

/// An agent that registered itself, and is not known in any other way.
pub async fn guest(node: &Node) -> Option<Value> {
    let answer = node.kubectl(&["get", "--raw", &registry("/agents/guest")]).await;
    answer.status.success().then(|| answer.json())
}

/// What the registry says of an agent.
pub async fn alive(node: &Node, id: &str) -> Option<bool> {
    let answer = node.kubectl(&["get", "--raw", &registry(&format!("/agents/{id}"))]).await;
    if answer.status.success() { answer.json()["is_alive"].as_bool() } else { None }
}

pub async fn conditions_of(
    node: &Node,
    name: &str,
) -> std::collections::BTreeMap<String, (String, String, String)> {
    conditions(&node.json(&["get", "aep", "-n", TEAM, name]).await)
}

fn step(what: &str) {
    println!("== {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_install_to_uninstall_the_product_works_under_restricted_pods_and_default_deny() {
    let mut node = Node::start().await;
    node.strict_namespace(HOME).await;
    node.strict_namespace(TEAM).await;
    node.apply(&agent(TEAM, "scout")).await;
    node.apply(&[allow_probes_from(TEAM, HOME)]).await;

    step("helm install --wait");
    let began = Instant::now();
    let install = ["install", RELEASE, &chart(), "-n", HOME, "--wait", "--timeout", "2m"];
    let said = node.helm(Helm::Four, &install).await.ok();
    println!("helm install --wait: {:.1} s", began.elapsed().as_secs_f64());
    assert!(said.stdout.contains("kubectl"), "the notes say what to do next:\n{}", said.stdout);

    step("an agent behind a Service is Ready over cluster DNS");
    node.rolled_out(TEAM, "deploy/scout").await;
    node.apply(&[endpoint(TEAM, "scout", "scout", &json!({}))]).await;
    let took = node.wait(TEAM, "scout", "Ready").await;
    println!("Ready {:.1} s after kubectl apply", took.as_secs_f64());
    node.wait(TEAM, "scout", "Registered").await;
    assert_eq!(alive(&node, "team-a.scout").await, Some(true));

    step("the agent is scaled to nothing and back, twice");
    for _ in 0..2 {
        node.kubectl(&["scale", "-n", TEAM, "deploy/scout", "--replicas=0"]).await.ok();
        let took = node.wait(TEAM, "scout", "Ready=False").await;
        println!("Ready=False {:.1} s after kubectl scale", took.as_secs_f64());
        eventually(SOON, "the registry says dead", async || {
            alive(&node, "team-a.scout").await == Some(false)
        })
        .await;
        node.kubectl(&["scale", "-n", TEAM, "deploy/scout", "--replicas=1"]).await.ok();
        let took = node.wait(TEAM, "scout", "Ready").await;
        println!("Ready {:.1} s after kubectl scale", took.as_secs_f64());
    }
    eventually(SOON, "the registry says alive", async || alive(&node, "team-a.scout").await == Some(true))
        .await;

    step("an id of another namespace is not permitted");
    node.apply(&[endpoint(TEAM, "stranger", "scout", &json!({"agentID": "elsewhere.scout"}))]).await;
    node.wait(TEAM, "stranger", "Accepted=False").await;
    assert_eq!(conditions_of(&node, "stranger").await["Ready"].1, "AgentIDNotPermitted");
    node.kubectl(&["delete", "-n", TEAM, "aep/stranger"]).await.ok();

    step("an agent registers itself");
    let guest_says = json!({"agent_id": "guest", "agent_name": "Guest", "host": "guest.example", "port": 80, "ttl_seconds": 3600});
    let registry = format!("{RELEASE}-configurable-agents-registry");
    let said = node.post(HOME, &registry, 8000, "/agents/register", &guest_says).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");

    step("what is denied is denied");
    policies::only_named_flows_pass(&node).await;

    step("the orchestrator's pod is deleted");
    outage::orchestrator_deleted(&node).await;
    step("the registry's pod is deleted");
    outage::registry_deleted(&node).await;

    step("upgrades, a failed one, rollback, helm test");
    lifecycle::changes(&node, Helm::Four).await;

    step("of two replicas the active one is killed");
    outage::active_killed(&node).await;

    step("the Lease is deleted");
    outage::lease_deleted(&node).await;

    step("a second release in another namespace");
    second_release(&node).await;

    step("the node restarts");
    let restarting = outage::restarted(&mut node).await;

    step("rights");
    rights::nothing_forbidden_and_every_right_used(&node, HOME, &[restarting]).await;

    step("helm uninstall");
    lifecycle::uninstall(&node, Helm::Four).await;
    let still = node.json(&["get", "aep", "-n", TEAM, "scout"]).await;
    assert_eq!(still["metadata"]["name"], "scout", "objects of users stay");
}

/// Another release beside the first, with a class of its own: neither touches the other's objects.
async fn second_release(node: &Node) {
    let other = "agents-two";
    node.strict_namespace(other).await;
    node.apply(&[allow_probes_from(TEAM, other)]).await;
    let values = ["--set", "crds.install=false", "--set", "orchestrator.class=two"];
    let chart = chart();
    let install =
        [&["install", RELEASE, &chart, "-n", other, "--wait", "--timeout", "2m"], &values[..]].concat();
    node.helm(Helm::Four, &install).await.ok();
    let before = conditions_of(node, "scout").await["Ready"].clone();
    node.apply(&[endpoint(TEAM, "second", "scout", &json!({"className": "two"}))]).await;
    node.wait(TEAM, "second", "Ready").await;
    node.wait(TEAM, "second", "Registered").await;
    assert_eq!(alive(node, "team-a.second").await, None, "the first release's registry does not hold it");
    assert_eq!(conditions_of(node, "scout").await["Ready"], before);
    let holder = async |namespace: &str| {
        let lease = format!("{RELEASE}-configurable-agents");
        node.field(&["lease", "-n", namespace, &lease], "{.spec.holderIdentity}").await
    };
    let (first, second) = (holder(HOME).await, holder(other).await);
    assert!(!first.is_empty() && !second.is_empty() && first != second, "{first} {second}");
    rights::nothing_forbidden(node, other, &[]);
    node.helm(Helm::Four, &["uninstall", RELEASE, "-n", other, "--wait"]).await.ok();
    assert_eq!(conditions_of(node, "scout").await["Ready"], before, "the second goes, the first stays");
    node.kubectl(&["delete", "-n", TEAM, "aep/second"]).await.ok();
}

/// A pod of `namespace` that asks the registry for its agents: whether it got an answer.
pub async fn may_list_agents(node: &Node, namespace_of_caller: &str, name: &str) -> bool {
    let url = format!("http://{RELEASE}-configurable-agents-registry.{HOME}.svc.cluster.local:8000");
    node.apply(&[command(namespace_of_caller, name, &["agent-registry", "list", "--registry-url", &url])])
        .await;
    let phase = eventually(SOON, "the pod has ended", async || {
        let phase = node.field(&["pod", "-n", namespace_of_caller, name], "{.status.phase}").await;
        (phase == "Succeeded" || phase == "Failed").then_some(phase)
    })
    .await;
    phase == "Succeeded"
}

/// A namespace whose pods may call everything, as far as the other side lets them.
pub async fn open_namespace(node: &Node, name: &str) {
    node.apply(&[namespace(name), allow_egress(name)]).await;
    eventually(SOON, "the namespace is furnished", async || {
        node.kubectl(&["get", "serviceaccount", "default", "-n", name]).await.status.success()
    })
    .await;
}
