//! `deploy/` is what the chart renders: `UPDATE_DEPLOY=1 cargo test --features cluster-tests --test chart deploy` writes it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::helm::{Helm, kind, name, objects, repository};
use crate::support::{ControlPlane, Version};

const NAME: &str = "configurable-agents";

/// What Helm says of itself is not true of what kubectl applies.
const HELMS_OWN: [&str; 3] = ["helm.sh/chart:", "app.kubernetes.io/managed-by:", "# Source:"];

/// The chart's objects for `kubectl apply`, with their namespace.
fn manifest(what: &str, more: &[&str]) -> String {
    let always = ["--namespace", NAME, "--no-hooks", "--set", "crds.keep=false"];
    let text = Helm::V4.template(NAME, &[&always[..], more].concat()).unwrap();
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| !HELMS_OWN.iter().any(|own| line.trim_start().starts_with(own))) {
        // Neither an empty line at the end of a document nor an empty document.
        if line == "---" {
            while lines.last().is_some_and(|last| last.is_empty() || *last == "---") {
                lines.pop();
            }
        }
        lines.push(line);
    }
    format!(
        "# {what}\n\
         # Made of the chart by `UPDATE_DEPLOY=1 cargo test --features cluster-tests --test chart deploy`. Do not edit.\n\
         apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAME}\n  labels:\n    \
         app.kubernetes.io/part-of: configurable-agents\n    pod-security.kubernetes.io/enforce: restricted\n\
         {}{}\n",
        if lines.first() == Some(&"---") { "" } else { "---\n" },
        lines.join("\n").trim_end()
    )
}

/// The part of the render that says what the orchestrator may do.
const RIGHTS: [&str; 6] = [
    "--show-only",
    "templates/orchestrator/serviceaccount.yaml",
    "--show-only",
    "templates/orchestrator/rbac.yaml",
    "--show-only",
    "templates/user-roles.yaml",
];

const FILES: [(&str, &str, &[&str]); 4] = [
    (
        "deploy/rbac.yaml",
        "What the orchestrator may do, for one that runs outside the cluster; and roles that are bound to nobody.",
        &RIGHTS,
    ),
    (
        "deploy/install.yaml",
        "Orchestrator, agent registry and CustomResourceDefinition: kubectl apply -f install.yaml",
        &[],
    ),
    (
        "deploy/kustomize/base/install.yaml",
        "The same as ../../install.yaml: kustomize reads nothing above its own folder.",
        &[],
    ),
    (
        "deploy/kustomize/overlays/namespaced/install.yaml",
        "With rights in its own namespace only, without the CustomResourceDefinition.",
        &["--set", "watchNamespaces={configurable-agents}", "--set", "crds.install=false"],
    ),
];

#[test]
fn the_plain_manifests_are_the_charts_default_render() {
    for (file, what, more) in FILES {
        let path = repository().join(file);
        let wanted = manifest(what, more);
        if std::env::var_os("UPDATE_DEPLOY").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "{file}: run `UPDATE_DEPLOY=1 cargo test --features cluster-tests --test chart deploy`"
        );
    }
}

/// What `kubectl kustomize` makes of a folder.
fn kustomized(folder: &Path) -> Vec<Value> {
    let programs = std::env::var_os("CONTROLPLANE_BIN_1_36").map(|folder| Path::new(&folder).join("kubectl"));
    let kubectl = programs.unwrap_or_else(|| "kubectl".into());
    let output = Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap();
    let (text, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && error.is_empty(), "{}: {error}", folder.display());
    objects(&text)
}

fn overlay(name: &str) -> Vec<Value> {
    kustomized(&repository().join("deploy/kustomize/overlays").join(name))
}

fn find<'a>(objects: &'a [Value], wanted: &str, component: &str) -> Option<&'a Value> {
    objects.iter().find(|object| kind(object) == wanted && name(object) == format!("{NAME}-{component}"))
}

#[test]
fn the_kustomize_base_holds_the_same_objects_as_the_single_file() {
    let sorted = |objects: Vec<Value>| {
        let mut texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
        texts.sort();
        texts
    };
    let single = objects(&std::fs::read_to_string(repository().join("deploy/install.yaml")).unwrap());
    assert!(single.len() > 15, "{}", single.len());
    assert_eq!(sorted(kustomized(&repository().join("deploy/kustomize/base"))), sorted(single));
}

#[test]
fn every_overlay_changes_what_it_says() {
    let base = kustomized(&repository().join("deploy/kustomize/base"));
    let ha = overlay("ha");
    assert_eq!(find(&ha, "Deployment", "orchestrator").unwrap()["spec"]["replicas"], 2);
    let budget = &find(&ha, "PodDisruptionBudget", "orchestrator").unwrap()["spec"];
    assert_eq!(budget["selector"], find(&base, "Deployment", "orchestrator").unwrap()["spec"]["selector"]);
    assert_eq!(ha.len(), base.len() + 1);

    let dev = overlay("dev");
    assert!(!dev.iter().any(|object| kind(object) == "NetworkPolicy"));
    let args = find(&dev, "Deployment", "orchestrator").unwrap()["spec"]["template"]["spec"]["containers"][0]
        ["args"]
        .to_string();
    assert!(args.contains("--log-level=debug") && !args.contains("--log-level=info"), "{args}");
    assert!(find(&dev, "StatefulSet", "registry").unwrap()["spec"]["volumeClaimTemplates"].is_null());

    let namespaced = overlay("namespaced");
    assert!(
        !namespaced
            .iter()
            .any(|object| kind(object).starts_with("Cluster") || kind(object) == "CustomResourceDefinition")
    );
}

#[test]
fn an_overlay_can_move_everything_to_another_namespace() {
    let folder = tempfile::tempdir_in(repository().join("target")).unwrap();
    std::os::unix::fs::symlink(
        repository().join("deploy/kustomize/base/install.yaml"),
        folder.path().join("unused"),
    )
    .unwrap();
    let text = std::fs::read_to_string(repository().join("deploy/kustomize/base/install.yaml")).unwrap();
    std::fs::write(folder.path().join("install.yaml"), text).unwrap();
    std::fs::write(
        folder.path().join("kustomization.yaml"),
        "namespace: elsewhere\nresources: [install.yaml]\n",
    )
    .unwrap();
    let moved = kustomized(folder.path());
    for object in &moved {
        let namespace = object["metadata"]["namespace"].as_str();
        let name = name(object);
        assert!(matches!(namespace, None | Some("elsewhere")), "{name}: {namespace:?}");
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "elsewhere", "{name}");
        }
    }
    let orchestrator = find(&moved, "Deployment", "orchestrator").unwrap().to_string();
    assert!(
        !orchestrator.contains("configurable-agents.svc"),
        "an address of the old namespace: {orchestrator}"
    );
}

async fn install_twice(version: Version) {
    let plane = ControlPlane::start(version).await;
    let file = repository().join("deploy/install.yaml").display().to_string();
    let first = plane.kubectl(&["apply", "-f", &file]).await.ok();
    assert!(first.stdout.lines().all(|line| line.ends_with(" created")), "{}", first.stdout);
    assert!(first.stderr.is_empty(), "{}", first.stderr);
    let registry = [
        "get",
        "statefulset",
        "configurable-agents-registry",
        "-n",
        NAME,
        // Not resourceVersion: the controller writes status whenever it likes.
        "-o=jsonpath={.metadata.generation} {.metadata.annotations}",
    ];
    let before = plane.kubectl(&registry).await.ok().stdout;
    let second = plane.kubectl(&["apply", "-f", &file]).await.ok();
    // 1.33 writes `creationTimestamp: null` into claim templates, in which its kubectl sees a difference: nothing is stored.
    let seen = |line: &&str| !(version == Version::V1_33 && line.starts_with("statefulset"));
    assert!(second.stdout.lines().filter(seen).all(|line| line.ends_with(" unchanged")), "{}", second.stdout);
    assert_eq!(plane.kubectl(&registry).await.ok().stdout, before);
    assert_eq!(first.stdout.lines().count(), second.stdout.lines().count());

    // Server-side, over a holder's Lease: the holder stays.
    let lease = ["lease", "configurable-agents", "-n", NAME];
    let held = r#"{"spec":{"holderIdentity":"somebody","leaseTransitions":7}}"#;
    plane.kubectl(&[&["patch"], &lease[..], &["--type=merge", "-p", held]].concat()).await.ok();
    let server_side = ["apply", "--server-side", "--force-conflicts", "-f", &file];
    plane.kubectl(&server_side).await.ok();
    let versions = async || {
        let kinds = "deploy,sts,svc,sa,cm,netpol,role,rolebinding,clusterrole,clusterrolebinding,lease,crd";
        let list = plane
            .kubectl(&["get", kinds, "-A", "-l", "app.kubernetes.io/part-of=configurable-agents", "-o=json"])
            .await
            .json();
        let items = list["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| format!("{} {} {}", kind(item), name(item), item["metadata"]["generation"]))
            .collect::<Vec<String>>()
    };
    let before = versions().await;
    assert!(before.len() > 15, "{before:?}");
    plane.kubectl(&server_side).await.ok();
    assert_eq!(versions().await, before);
    let lease = plane.kubectl(&[&["get"], &lease[..], &["-o=json"]].concat()).await.json();
    assert_eq!(lease["spec"]["holderIdentity"], "somebody");
    assert_eq!(lease["spec"]["leaseTransitions"], 7);
}

#[tokio::test]
async fn the_single_file_installs_in_one_go_and_a_second_time_changes_nothing_on_the_oldest_server() {
    install_twice(Version::V1_33).await;
}

#[tokio::test]
async fn the_single_file_installs_in_one_go_and_a_second_time_changes_nothing_on_the_newest_server() {
    install_twice(Version::V1_36).await;
}
