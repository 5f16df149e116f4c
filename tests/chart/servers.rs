//! What the API servers say of what the chart renders.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::helm::{Helm, kind, objects, pods, ways};
use crate::support::{ControlPlane, Version, eventually};

/// Kinds that the tests' servers do not have.
const OTHERS: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

fn file_of(objects: &[Value]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    write!(file, "{}", json!({"apiVersion": "v1", "kind": "List", "items": objects})).unwrap();
    file
}

/// Each way to install, as the server would take it, in a namespace that enforces `restricted`.
async fn accepted(version: Version) {
    let plane = ControlPlane::shared(version).await;
    for namespace in ["agents-system", "team-a", "team-b"] {
        plane.kubectl(&["create", "namespace", namespace]).await;
        let label = "pod-security.kubernetes.io/enforce=restricted";
        plane.kubectl(&["label", "--overwrite", "namespace", namespace, label]).await.ok();
    }
    eventually(std::time::Duration::from_secs(30), "the default ServiceAccount", async || {
        plane.kubectl(&["-n", "agents-system", "get", "serviceaccount", "default"]).await.status.success()
    })
    .await;
    for way in ways() {
        let values = way.display().to_string();
        let text = Helm::V4.template("one", &["--values", &values]).unwrap();
        let objects: Vec<Value> =
            objects(&text).into_iter().filter(|object| !OTHERS.contains(&kind(object))).collect();
        let file = file_of(&objects);
        let path = file.path().display().to_string();
        for how in [&["apply", "--validate=strict"][..], &["apply", "--server-side", "--validate=strict"][..]]
        {
            let answer = plane.kubectl(&[how, &["--dry-run=server", "-f", &path]].concat()).await.ok();
            assert!(answer.stderr.is_empty(), "{values}: {}", answer.stderr);
            assert_eq!(answer.stdout.lines().count(), objects.len(), "{values}: {}", answer.stdout);
        }
        // What a workload's controller would make: admission refuses pods, not templates.
        let pods: Vec<Value> = pods(&objects)
            .into_iter()
            .enumerate()
            .map(|(number, (_, template))| {
                let mut spec = template["spec"].clone();
                spec["serviceAccountName"] = json!("default");
                // A StatefulSet's controller adds the volumes of its claims.
                let volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
                let mounts = spec["containers"][0]["volumeMounts"].as_array().cloned().unwrap_or_default();
                let missing = mounts.iter().filter(|mount| !volumes.iter().any(|volume| volume["name"] == mount["name"]));
                let claims = missing.map(|mount| json!({"name": mount["name"], "persistentVolumeClaim": {"claimName": "data"}}));
                spec["volumes"] = volumes.iter().cloned().chain(claims).collect();
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{number}"), "namespace": "agents-system"}, "spec": spec})
            })
            .collect();
        let file = file_of(&pods);
        let answer = plane
            .kubectl(&["create", "--dry-run=server", "-f", &file.path().display().to_string()])
            .await
            .ok();
        assert!(!answer.stderr.contains("PodSecurity"), "{values}: {}", answer.stderr);
        assert_eq!(answer.stdout.lines().count(), pods.len(), "{values}");
    }
}

#[tokio::test]
async fn every_way_to_install_is_accepted_by_the_oldest_server() {
    accepted(Version::V1_33).await;
}

#[tokio::test]
async fn every_way_to_install_is_accepted_by_the_newest_server() {
    accepted(Version::V1_36).await;
}

/// What the roles for people come to, once the controller has aggregated them.
#[tokio::test]
async fn viewers_may_look_editors_may_not_write_until_that_is_asked_for() {
    let plane = ControlPlane::start(Version::V1_36).await;
    plane.kubectl(&["create", "namespace", "agents-system"]).await.ok();
    plane.kubectl(&["create", "namespace", "team-a"]).await.ok();
    for user in ["view", "edit"] {
        let args = ["create", "rolebinding", user, "-n", "team-a", "--clusterrole", user, "--user", user];
        plane.kubectl(&args).await.ok();
    }
    let install = async |more: &[&str]| {
        let objects = objects(&Helm::V4.template("one", more).unwrap());
        let file = file_of(&objects);
        plane.kubectl(&["apply", "-f", &file.path().display().to_string()]).await.ok();
    };
    let can = async |user: &str, verb: &str, what: &str| {
        plane.kubectl(&["auth", "can-i", verb, what, "-n", "team-a", "--as", user]).await.stdout.trim()
            == "yes"
    };
    install(&[]).await;
    let soon = std::time::Duration::from_secs(20);
    eventually(soon, "viewers may look", async || can("view", "list", "aep").await).await;
    eventually(soon, "editors may look", async || can("edit", "watch", "aep").await).await;
    assert!(!can("edit", "create", "aep").await);
    assert!(!can("view", "create", "aep").await);
    install(&["--set", "userRoles.aggregateToEdit=true"]).await;
    eventually(soon, "editors may write", async || can("edit", "create", "aep").await).await;
    assert!(!can("view", "create", "aep").await);
    let status = ["auth", "can-i", "patch", "aep", "--subresource=status", "-n", "team-a", "--as", "edit"];
    assert_eq!(plane.kubectl(&status).await.stdout.trim(), "no");
}

/// The secret-reader role gives a right where a tenant binds it, and nowhere else.
#[tokio::test]
async fn the_orchestrator_reads_a_secret_only_where_a_tenant_has_said_so() {
    let plane = ControlPlane::start(Version::V1_36).await;
    for namespace in ["agents-system", "team-a", "team-b"] {
        plane.kubectl(&["create", "namespace", namespace]).await.ok();
    }
    let objects = objects(&Helm::V4.template("one", &[]).unwrap());
    let file = file_of(&objects);
    plane.kubectl(&["apply", "-f", &file.path().display().to_string()]).await.ok();
    let account = "system:serviceaccount:agents-system:one-configurable-agents-orchestrator";
    let can = async |verb: &str, what: &str, namespace: &str| {
        plane.kubectl(&["auth", "can-i", verb, what, "-n", namespace, "--as", account]).await.stdout.trim()
            == "yes"
    };
    assert!(!can("get", "secrets", "team-a").await);
    let bind = [
        "create",
        "rolebinding",
        "agents",
        "-n",
        "team-a",
        "--clusterrole",
        "one-configurable-agents:agents-system:secret-reader",
    ];
    let whom = ["--serviceaccount", "agents-system:one-configurable-agents-orchestrator"];
    plane.kubectl(&[&bind[..], &whom[..]].concat()).await.ok();
    let soon = std::time::Duration::from_secs(10);
    eventually(soon, "it may read there", async || can("get", "secrets/any", "team-a").await).await;
    for (verb, what, namespace) in
        [("list", "secrets", "team-a"), ("watch", "secrets", "team-a"), ("get", "secrets/any", "team-b")]
    {
        assert!(!can(verb, what, namespace).await, "{verb} {what} in {namespace}");
    }
}
