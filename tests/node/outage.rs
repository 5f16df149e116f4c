//! What stops, and what must not move when it does.

use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::bed::{Node, SOON, repository};
use crate::story::{HOME, RELEASE, TEAM, alive, conditions_of, guest, workload};
use crate::support::eventually;

/// The Lease lasts 15 s; two more for the one that waits to notice.
const SUCCESSION: Duration = Duration::from_secs(17);

fn lease() -> String {
    format!("{RELEASE}-configurable-agents")
}

async fn holder(node: &Node) -> String {
    node.field(&["lease", "-n", HOME, &lease()], "{.spec.holderIdentity}").await
}

async fn pods(node: &Node, component: &str) -> Vec<String> {
    let selector = format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}");
    let names = node.field(&["pods", "-n", HOME, "-l", &selector], "{.items[*].metadata.name}").await;
    names.split_whitespace().map(str::to_owned).collect()
}

/// Until another than `old` holds the Lease.
async fn successor(node: &Node, old: &str) -> Duration {
    let began = Instant::now();
    eventually(Duration::from_secs(30), "another holds the Lease", async || {
        let now = holder(node).await;
        !now.is_empty() && now != old
    })
    .await;
    began.elapsed()
}

/// The audit log has no write to the endpoint's status since then.
fn no_write_since(node: &Node, since: Timestamp, when: &str) {
    let writes: Vec<_> = node
        .audit()
        .into_iter()
        .filter(|e| {
            e.is_write() && e.resource() == "agentendpoints" && e.name() == "scout" && e.time() > since
        })
        .map(|e| e.0.to_string())
        .collect();
    assert!(writes.is_empty(), "{when}: {writes:?}");
}

/// Two further probes have been judged: long enough for a wrong verdict to show (three of 2 s and a moment).
async fn some_probes_later(node: &Node) {
    let count = async || {
        let active = holder(node).await;
        let pod = pods(node, "orchestrator").await.into_iter().find(|pod| active.starts_with(pod))?;
        let path = format!("/api/v1/namespaces/{HOME}/pods/{pod}:9001/proxy/metrics");
        let text = node.kubectl(&["get", "--raw", &path]).await.stdout;
        let value =
            text.lines().find_map(|line| line.strip_prefix("configurable_agents_probes_started_total "));
        value?.trim().parse::<u64>().ok()
    };
    let from = eventually(SOON, "the active replica counts its probes", &count).await;
    eventually(SOON, "probes go on", async || count().await.is_some_and(|now| now >= from + 4)).await;
}

pub async fn orchestrator_deleted(node: &Node) {
    let (before, since, old) = (conditions_of(node, "scout").await, Timestamp::now(), holder(node).await);
    let pod = pods(node, "orchestrator").await.remove(0);
    node.kubectl(&["delete", "pod", "-n", HOME, &pod, "--wait=false"]).await.ok();
    let took = successor(node, &old).await;
    println!("a successor {:.1} s after kubectl delete pod", took.as_secs_f64());
    assert!(took <= SUCCESSION, "{took:?}");
    node.rolled_out(HOME, &workload("deploy", "orchestrator")).await;
    some_probes_later(node).await;
    assert_eq!(conditions_of(node, "scout").await, before);
    no_write_since(node, since, "the orchestrator was deleted");
}

pub async fn registry_deleted(node: &Node) {
    let (before, since) = (conditions_of(node, "scout").await, Timestamp::now());
    let known = guest(node).await.expect("the guest is registered");
    let pod = pods(node, "registry").await.remove(0);
    let began = Instant::now();
    node.kubectl(&["delete", "pod", "-n", HOME, &pod]).await.ok();
    node.rolled_out(HOME, &workload("statefulset", "registry")).await;
    println!("the registry is back {:.1} s after kubectl delete pod", began.elapsed().as_secs_f64());
    let now = eventually(SOON, "the guest is there", async || guest(node).await).await;
    assert_eq!(now["registered_at"], known["registered_at"]);
    assert_eq!(alive(node, "team-a.scout").await, Some(true));
    some_probes_later(node).await;
    assert_eq!(conditions_of(node, "scout").await, before);
    no_write_since(node, since, "the registry was deleted");
}

/// SIGKILL from the node, as the kernel does when memory is short: nothing is released.
pub async fn active_killed(node: &Node) {
    let (before, since, old) = (conditions_of(node, "scout").await, Timestamp::now(), holder(node).await);
    let all = pods(node, "orchestrator").await;
    assert_eq!(all.len(), 2, "{all:?}");
    let pod = all.iter().find(|pod| old.starts_with(*pod)).unwrap_or_else(|| panic!("{old} of {all:?}"));
    let id = node.field(&["pod", "-n", HOME, pod], "{.status.containerStatuses[0].containerID}").await;
    let killed = Command::new(repository().join("tests/node/node.sh"))
        .arg("inside")
        .arg(node.dir())
        .args([
            "ctr",
            "-a",
            "/run/containerd/containerd.sock",
            "-n",
            "k8s.io",
            "tasks",
            "kill",
            "-s",
            "SIGKILL",
        ])
        .arg(id.trim_start_matches("containerd://"))
        .output()
        .unwrap();
    assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    let took = successor(node, &old).await;
    println!("a successor {:.1} s after SIGKILL", took.as_secs_f64());
    assert!(took <= SUCCESSION, "{took:?}");
    node.rolled_out(HOME, &workload("deploy", "orchestrator")).await;
    some_probes_later(node).await;
    assert_eq!(conditions_of(node, "scout").await, before);
    no_write_since(node, since, "the active replica was killed");
}

/// Somebody cleans up too much: the next look makes it again. Its uid is the source's name at the registry, which takes
/// the new one for another until what the old one said has expired (the ttl, 60 s).
pub async fn lease_deleted(node: &Node) {
    let before = conditions_of(node, "scout").await;
    let name = lease();
    let release = async || {
        let annotation = "{.metadata.annotations.meta\\.helm\\.sh/release-name}";
        node.field(&["lease", "-n", HOME, &name], annotation).await
    };
    assert_eq!(release().await, RELEASE);
    node.kubectl(&["delete", "lease", "-n", HOME, &name]).await.ok();
    eventually(SOON, "the Lease is there again", async || !holder(node).await.is_empty()).await;
    assert_eq!(release().await, RELEASE, "made anew it is still of the release, and goes with it");
    let began = Instant::now();
    some_probes_later(node).await;
    let registered = async || conditions_of(node, "scout").await["Registered"].0 == "True";
    eventually(Duration::from_secs(90), "the registry holds it again", registered).await;
    println!("registered again {:.1} s after the Lease was made anew", began.elapsed().as_secs_f64());
    let mut after = conditions_of(node, "scout").await;
    after.insert("Registered".to_owned(), before["Registered"].clone());
    assert_eq!(after, before, "only Registered moved");
}

/// A power cut. When that was: the API server refuses callers until it has read their rights.
pub async fn restarted(node: &mut Node) -> Range<Timestamp> {
    let known = guest(node).await.expect("the guest is registered");
    let from = Timestamp::now();
    let began = Instant::now();
    node.restart();
    println!("the node is back after {:.1} s", began.elapsed().as_secs_f64());
    for (namespace, workload) in [
        (HOME, workload("statefulset", "registry")),
        (HOME, workload("deploy", "orchestrator")),
        (TEAM, "deploy/scout".to_owned()),
    ] {
        node.rolled_out(namespace, &workload).await;
    }
    println!("all workloads are back after {:.1} s", began.elapsed().as_secs_f64());
    let until = Timestamp::now();
    let now = eventually(SOON, "the guest is there", async || guest(node).await).await;
    assert_eq!(now["registered_at"], known["registered_at"]);
    node.wait(TEAM, "scout", "Ready").await;
    eventually(SOON, "the registry says alive", async || alive(node, "team-a.scout").await == Some(true))
        .await;
    some_probes_later(node).await;
    node.wait(TEAM, "scout", "Ready").await;
    from..until
}
