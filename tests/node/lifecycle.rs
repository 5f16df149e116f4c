//! Helm's verbs on a release with live objects; the same with Helm 3 and 4.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;

use crate::bed::{Helm, Node, chart};
use crate::objects::{agent, allow_probes_from, endpoint};
use crate::story::{HOME, RELEASE, TEAM, alive, conditions_of, may_list_agents, workload};
use crate::support::eventually;

const KINDS: &str =
    "deploy,statefulset,pod,service,configmap,serviceaccount,role,rolebinding,networkpolicy,pdb,lease,secret";

/// Kind and name to resourceVersion of the release's objects; the Lease, which is renewed, and pods aside.
async fn versions(node: &Node) -> BTreeMap<String, String> {
    let kinds = KINDS.replace(",lease", "").replace(",pod", "").replace(",secret", "");
    let selector = format!("app.kubernetes.io/instance={RELEASE}");
    let all = node.json(&["get", &kinds, "-n", HOME, "-l", &selector]).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let version = |item: &serde_json::Value| {
        let name = format!("{} {}", text(&item["kind"]), text(&item["metadata"]["name"]));
        (name, text(&item["metadata"]["resourceVersion"]))
    };
    all["items"].as_array().unwrap().iter().map(version).collect()
}

async fn upgrade(node: &Node, helm: Helm, more: &[&str]) -> crate::support::kubectl::Output {
    let upgrade = ["upgrade", RELEASE, &chart(), "-n", HOME];
    node.helm(helm, &[&upgrade[..], more].concat()).await
}

pub async fn changes(node: &Node, helm: Helm) {
    // The same values: no object is written.
    let before = versions(node).await;
    assert!(before.len() > 8, "{before:?}");
    upgrade(node, helm, &["--wait"]).await.ok();
    assert_eq!(versions(node).await, before, "an upgrade with the same values changes nothing");

    // Other values: what read them rolls, what did not stays.
    let registry = node
        .field(&["statefulset", "-n", HOME, &workload("", "registry")[1..]], "{.metadata.generation}")
        .await;
    let values = [
        "--set",
        "orchestrator.replicas=2",
        "--set",
        "orchestrator.logLevel=debug",
        "--set",
        "networkPolicy.registry.fromNamespaces={stranger}",
        "--wait",
        "--timeout",
        "2m",
    ];
    let scout = conditions_of(node, "scout").await;
    let began = Instant::now();
    upgrade(node, helm, &values).await.ok();
    println!("helm upgrade --wait: {:.1} s", began.elapsed().as_secs_f64());
    let ready = node
        .field(&["deploy", "-n", HOME, &workload("", "orchestrator")[1..]], "{.status.readyReplicas}")
        .await;
    assert_eq!(ready, "2");
    assert!(node.field(&["pdb", "-n", HOME], "{.items[*].metadata.name}").await.contains("orchestrator"));
    let after = node
        .field(&["statefulset", "-n", HOME, &workload("", "registry")[1..]], "{.metadata.generation}")
        .await;
    assert_eq!(after, registry, "the registry was not touched");
    assert_eq!(conditions_of(node, "scout").await, scout, "a rolling update moves no condition");
    crate::story::open_namespace(node, "stranger").await;
    assert!(may_list_agents(node, "stranger", "friend").await, "who is allowed is answered");

    // One that cannot come up: helm says so, the pods of before go on working, rollback ends it.
    let broken = [&values[..], &["--set", "image.tag=none", "--timeout", "20s"]].concat();
    upgrade(node, helm, &broken).await.refused();
    // The registry has one volume and one pod, so that one is away meanwhile; what is asked of the agents goes on.
    assert_eq!(
        conditions_of(node, "scout").await["Ready"],
        scout["Ready"],
        "a failed upgrade moves no condition"
    );
    let began = Instant::now();
    node.helm(helm, &["rollback", RELEASE, "-n", HOME, "--wait", "--timeout", "2m"]).await.ok();
    println!("helm rollback --wait: {:.1} s", began.elapsed().as_secs_f64());
    let status = node.helm(helm, &["status", RELEASE, "-n", HOME, "-o", "json"]).await.json();
    assert_eq!(status["info"]["status"], "deployed");
    node.rolled_out(HOME, &workload("deploy", "orchestrator")).await;
    node.rolled_out(HOME, &workload("statefulset", "registry")).await;
    assert_eq!(conditions_of(node, "scout").await["Ready"], scout["Ready"]);
    eventually(crate::bed::SOON, "the registry holds what it held", async || {
        alive(node, "team-a.scout").await == Some(true)
    })
    .await;

    // helm test passes, and can fail.
    node.helm(helm, &["test", RELEASE, "-n", HOME]).await.ok();
    node.kubectl(&["scale", "-n", HOME, &workload("statefulset", "registry"), "--replicas=0"]).await.ok();
    node.helm(helm, &["test", RELEASE, "-n", HOME]).await.refused();
    node.kubectl(&["scale", "-n", HOME, &workload("statefulset", "registry"), "--replicas=1"]).await.ok();
    node.rolled_out(HOME, &workload("statefulset", "registry")).await;
}

/// Nothing of the release stays but the CRDs and the registry's volume.
pub async fn uninstall(node: &Node, helm: Helm) {
    node.helm(helm, &["uninstall", RELEASE, "-n", HOME, "--wait", "--timeout", "2m"]).await.ok();
    let selector = format!("app.kubernetes.io/instance={RELEASE}");
    // `--wait` returns while pods are on their way out, and helm test pods that failed are kept by helm.
    node.kubectl(&["delete", "pod", "-n", HOME, "-l", "app.kubernetes.io/component=test"]).await.ok();
    eventually(crate::bed::SOON, "nothing is left", async || {
        let left = node.kubectl(&["get", KINDS, "-n", HOME, "-l", &selector, "-o", "name"]).await.ok().stdout;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    // What has no label of the release, such as helm's own records and what controllers made.
    let left = node.kubectl(&["get", KINDS, "-n", HOME, "-o", "name"]).await.ok().stdout;
    let expected =
        ["configmap/kube-root-ca.crt", "serviceaccount/default", "networkpolicy.networking.k8s.io/deny-all"];
    let left: Vec<_> = left.lines().filter(|name| !expected.contains(name)).collect();
    assert!(left.is_empty(), "{left:?}");
    let wide = "clusterrole,clusterrolebinding,crd,priorityclass,validatingwebhookconfiguration,apiservice";
    let wide = node.kubectl(&["get", wide, "-l", &selector, "-o", "name"]).await.ok().stdout;
    let wide: Vec<_> = wide.lines().filter(|name| !name.contains(".agents.configurable.dev")).collect();
    assert!(wide.is_empty(), "{wide:?}");
    let claims = node.field(&["pvc", "-n", HOME], "{.items[*].metadata.name}").await;
    assert_eq!(claims, format!("data-{RELEASE}-configurable-agents-registry-0"));
    node.kubectl(&["get", "crd", "agentendpoints.agents.configurable.dev"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_3_installs_upgrades_rolls_back_tests_and_uninstalls_as_helm_4_does() {
    let node = Node::start().await;
    node.strict_namespace(HOME).await;
    node.strict_namespace(TEAM).await;
    node.apply(&agent(TEAM, "scout")).await;
    node.apply(&[allow_probes_from(TEAM, HOME)]).await;
    let install = ["install", RELEASE, &chart(), "-n", HOME, "--wait", "--timeout", "2m"];
    node.helm(Helm::Three, &install).await.ok();
    node.rolled_out(TEAM, "deploy/scout").await;
    node.apply(&[endpoint(TEAM, "scout", "scout", &json!({}))]).await;
    node.wait(TEAM, "scout", "Ready").await;
    node.wait(TEAM, "scout", "Registered").await;
    changes(&node, Helm::Three).await;
    uninstall(&node, Helm::Three).await;

    // Installed again, it finds the volume of before.
    node.helm(Helm::Three, &install).await.ok();
    assert!(alive(&node, "team-a.scout").await.is_some(), "the registry's data are those of before");
}
