//! `helm install --wait` and agents that are down.

use std::time::{Duration, Instant};

use crate::bed::{Helm, Node, chart};
use crate::objects::endpoint;
use crate::story::{HOME, RELEASE, TEAM};
use serde_json::{Value, json};

/// A chart of a user's own with one AgentEndpoint in it.
fn users_chart(node: &Node, name: &str, endpoint: &Value) -> String {
    let folder = node.dir().join(name);
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    std::fs::write(folder.join("Chart.yaml"), format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n"))
        .unwrap();
    std::fs::write(folder.join("templates/endpoint.yaml"), endpoint.to_string()).unwrap();
    folder.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_waits_for_the_product_and_for_endpoints_of_its_own_chart_only() {
    let node = Node::start().await;
    node.strict_namespace(HOME).await;
    node.strict_namespace(TEAM).await;
    // The CRD first, as a cluster has it in which the product was installed before.
    let crds = crate::bed::repository().join("crds");
    node.kubectl(&["apply", "--server-side", "-f", crds.to_str().unwrap()]).await.ok();
    node.kubectl(&["wait", "--for=condition=Established", "crd/agentendpoints.agents.configurable.dev"])
        .await
        .ok();
    node.apply(&[endpoint(TEAM, "absent", "absent", &json!({}))]).await;

    let install = [
        "install",
        RELEASE,
        &chart(),
        "-n",
        HOME,
        "--set",
        "crds.install=false",
        "--wait",
        "--timeout",
        "2m",
    ];
    node.helm(Helm::Four, &install).await.ok();
    node.wait(TEAM, "absent", "Ready=False").await;

    // A chart of the user's own holds an endpoint: Helm 3 does not look at it, nor does Helm 4 when it is told to wait
    // as Helm 3 does. Helm 4 waits for Ready, and ends at once on what nothing but an edit can help.
    let target = |host: &str| json!({"targets": [{"host": host, "port": 80}], "probe": {"periodSeconds": 2}});
    let object = |name: &str, host: &str| {
        let mut object = endpoint(TEAM, name, "", &target(host));
        object["spec"].as_object_mut().unwrap().remove("serviceRef");
        object
    };
    let down = users_chart(&node, "down", &object("down", "nobody"));
    let denied = users_chart(&node, "denied", &object("denied", "127.0.0.1"));
    let try_it = async |helm: Helm, name: &str, chart: &str, wait: &str| {
        let began = Instant::now();
        let said = node.helm(helm, &["install", name, chart, "-n", TEAM, wait, "--timeout", "20s"]).await;
        let took = began.elapsed();
        println!(
            "{helm:?} {wait} {name}: {} after {:.1} s\n{}",
            said.status,
            took.as_secs_f64(),
            said.stderr
        );
        node.helm(helm, &["uninstall", name, "-n", TEAM]).await.ok();
        (said, took)
    };
    try_it(Helm::Three, "down", &down, "--wait").await.0.ok();
    try_it(Helm::Four, "down", &down, "--wait=legacy").await.0.ok();
    let (said, took) = try_it(Helm::Four, "down", &down, "--wait").await;
    let said = said.refused().stderr;
    assert!(said.contains("AgentEndpoint/team-a/down not ready. status: InProgress"), "{said}");
    assert!(took >= Duration::from_secs(20), "it waits until the timeout: {took:?}");
    try_it(Helm::Three, "denied", &denied, "--wait").await.0.ok();
    let (said, took) = try_it(Helm::Four, "denied", &denied, "--wait").await;
    let said = said.refused().stderr;
    assert!(said.contains("AgentEndpoint/team-a/denied"), "{said}");
    assert!(said.contains("Failed"), "{said}");
    println!("a denied literal: {took:?}");
}
