//! `helm install --wait` and agents that are down.

use std::time::Instant;

use crate::bed::{Helm, Node, chart};
use crate::objects::endpoint;
use crate::story::{HOME, RELEASE, TEAM};
use serde_json::json;

/// A chart of a user's own with one AgentEndpoint in it.
fn users_chart(node: &Node) -> String {
    let folder = node.dir().join("users-chart");
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    std::fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: mine\nversion: 0.1.0\n").unwrap();
    let object = endpoint(TEAM, "down", "nobody", &json!({}));
    std::fs::write(folder.join("templates/endpoint.yaml"), object.to_string()).unwrap();
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

    // The user's chart holds an endpoint whose agent is down.
    let chart = users_chart(&node);
    for helm in [Helm::Three, Helm::Four] {
        let began = Instant::now();
        let install = ["install", "mine", &chart, "-n", TEAM, "--wait", "--timeout", "20s"];
        let said = node.helm(helm, &install).await;
        println!(
            "{helm:?}: an endpoint that is down in the chart: {} after {:.1} s\n{}{}",
            said.status,
            began.elapsed().as_secs_f64(),
            said.stdout,
            said.stderr
        );
        node.helm(helm, &["uninstall", "mine", "-n", TEAM]).await.ok();
    }
}
