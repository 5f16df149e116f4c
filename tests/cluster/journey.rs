//! From `kubectl apply` to `kubectl delete`, with everything restarted in between.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::bed::{ACCOUNT, Bed, aep, condition, conditions, target};
use crate::support::{Behaviour, TestAgent, Version, eventually};

const SOON: Duration = Duration::from_secs(30);

/// (READY, REASON) of each line of `kubectl get -w` about `name`; equal neighbours count once. An
/// object without a status has neither, and no word of a cell holds a space.
fn transitions(output: &str, name: &str) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for line in output.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() != Some(&name) {
            continue;
        }
        let pair = match words[..] {
            [_, ready, reason, _, _, _] => (ready.to_owned(), reason.to_owned()),
            _ => (String::new(), String::new()),
        };
        if seen.last() != Some(&pair) {
            seen.push(pair);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_lives_from_apply_to_delete_and_no_restart_moves_a_condition() {
    let bed = Bed::start(Version::V1_36).await;
    let mut registry = bed.registry();
    registry.up().await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 8001, Behaviour::Ok);
    let kubeconfig = bed.kubeconfig(None).await;
    let mut orchestrator = bed.orchestrator(&kubeconfig, &registry.url(), &[]);
    let watch = bed.plane.spawn_kubectl(&["get", "aep", "-n", "default", "-w"]);

    // The agent answers.
    bed.apply_file("deploy/samples/agents.yaml").await;
    bed.wait("research", "Ready", 30).await;
    eventually(SOON, "the registry says alive", async || {
        registry.alive("default.research").await == Some(true)
    })
    .await;
    bed.wait("research", "Registered", 30).await;
    bed.wait("writer", "Ready=False", 30).await;

    // It does not: within failureThreshold x period + 2 s.
    agent.stop().await;
    let took = bed.wait("research", "Ready=False", 17).await;
    println!("Ready=False {:.1} s after the agent stopped (bound: 3 x 5 s + 2 s)", took.as_secs_f64());
    eventually(SOON, "the registry says dead", async || {
        registry.alive("default.research").await == Some(false)
    })
    .await;

    // It does again.
    agent.start_again();
    bed.wait("research", "Ready", 17).await;
    eventually(SOON, "the registry says alive again", async || {
        registry.alive("default.research").await == Some(true)
    })
    .await;

    let before = conditions(&bed.endpoint("default", "research").await);
    let unmoved = async |when: &str| {
        assert_eq!(conditions(&bed.endpoint("default", "research").await), before, "{when}");
    };
    let probed_on = async |probes: u64, what: &str| {
        let from = agent.requests();
        eventually(SOON, what, async || agent.requests() >= from + probes).await;
    };

    // The orchestrator is restarted: SIGTERM ends it cleanly, the next one goes on.
    orchestrator.process.term();
    let status = orchestrator.process.wait_exit(Duration::from_secs(10)).await;
    assert!(status.success(), "{}", orchestrator.process.logs());
    assert_eq!(bed.holder().await, "", "the Lease is released");
    orchestrator = bed.orchestrator(&kubeconfig, &registry.url(), &[]);
    probed_on(3, "the new orchestrator probes").await;
    unmoved("after a restart of the orchestrator").await;

    // The registry is restarted.
    registry.restart().await;
    probed_on(2, "probing goes on").await;
    assert_eq!(registry.alive("default.research").await, Some(true), "kept on disk");
    unmoved("after a restart of the registry").await;

    // The API server is restarted.
    // While it starts it refuses callers whose rights it has not read yet: not ours to answer for.
    let restarting = jiff::Timestamp::now();
    bed.plane.restart_apiserver().await;
    let restarting = restarting..jiff::Timestamp::now();
    let renewed = bed.plane.audit_mark();
    eventually(SOON, "the Lease is renewed", async || {
        let events = bed.plane.audit_since(renewed);
        events
            .iter()
            .any(|e| e.user() == ACCOUNT && e.resource() == "leases" && e.is_write() && e.code() == 200)
    })
    .await;
    probed_on(2, "probing goes on").await;
    unmoved("after a restart of the API server").await;

    // The API server is away for longer than the renew deadline: the same process goes on.
    let pid = orchestrator.process.pid();
    bed.plane.stop_apiserver().await;
    probed_on(4, "probing goes on without an API server").await;
    let away = std::time::Instant::now();
    let back = jiff::Timestamp::now();
    eventually(SOON, "nothing is certain any more", async || {
        orchestrator.process.logs().contains("nothing is written until it is")
    })
    .await;
    bed.plane.start_apiserver().await;
    let starting = back..jiff::Timestamp::now();
    eventually(SOON, "the Lease is renewed again", async || {
        orchestrator.process.logs().contains("writes go on")
    })
    .await;
    println!("the API server was away for more than {:.0} s", away.elapsed().as_secs_f64());
    assert_eq!((orchestrator.process.pid(), orchestrator.process.exited()), (pid, None));
    unmoved("after the API server was away").await;

    // The registry comes back empty and is filled again.
    registry.empty().await;
    assert_eq!(registry.alive("default.research").await, None);
    eventually(SOON, "the registry is filled again", async || {
        registry.alive("default.research").await == Some(true)
            && registry.alive("default.writer").await == Some(false)
    })
    .await;
    unmoved("after the registry was emptied").await;

    // The same agent registers itself: one record, two contributions.
    let address = agent.addr();
    registry
        .register(&json!({"agent_id": "default.research", "agent_name": "me", "host": "127.0.0.1", "port": address.port()}))
        .await;
    let record = registry.record("default.research").await.unwrap();
    let kinds: BTreeSet<&str> = record["contributions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["source"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["Agent", "Orchestrator"]), "{record}");

    // A Service by reference, by the test's DNS.
    let scout = TestAgent::start(Ipv4Addr::new(127, 0, 0, 9), 8001, Behaviour::Ok);
    bed.dns.set_addresses("scout.default.svc.cluster.local", &[scout.addr().ip()]);
    let without = aep(
        "default",
        "scout",
        &json!({"serviceRef": {"name": "scout", "port": "http"}, "probe": {"periodSeconds": 5}}),
    );
    bed.apply(&without).await;
    bed.wait("scout", "Accepted=False", 15).await;
    assert_eq!(condition(&bed.endpoint("default", "scout").await, "Accepted"), "False/ServiceNotFound");
    bed.apply_file("deploy/samples/cluster/scout.yaml").await;
    bed.wait("scout", "Ready", 10).await;

    // An id of another namespace needs the Namespace's word.
    let other = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let shared = aep(
        "default",
        "shared",
        &json!({"targets": [target(other.addr())], "agentID": "shared.x", "probe": {"periodSeconds": 1}}),
    );
    bed.apply(&shared).await;
    bed.wait("shared", "Accepted=False", 10).await;
    assert_eq!(condition(&bed.endpoint("default", "shared").await, "Accepted"), "False/AgentIDNotPermitted");
    let annotation = "agents.configurable.dev/allowed-agent-ids=shared.*";
    bed.plane.kubectl(&["annotate", "namespace", "default", annotation]).await.ok();
    bed.wait("shared", "Ready", 40).await;

    // The same transition twice within minutes is one Event with a count.
    for ready in ["Ready=False", "Ready", "Ready=False", "Ready"] {
        if ready == "Ready" {
            other.start_again();
        } else {
            other.stop().await;
        }
        bed.wait("shared", ready, 10).await;
    }

    // Deleted: its contribution goes, the agent's own stays.
    bed.plane.kubectl(&["delete", "aep", "-n", "default", "research", "writer"]).await.ok();
    eventually(SOON, "the contribution is withdrawn", async || {
        let record = registry.record("default.research").await.unwrap();
        record["contributions"].as_array().unwrap().len() == 1
    })
    .await;
    eventually(SOON, "the record is gone", async || registry.agent("default.writer").await.is_none()).await;

    orchestrator.process.term();
    assert!(orchestrator.process.wait_exit(Duration::from_secs(10)).await.success());

    println!("{}", watch.stdout());
    let expected = [
        ("", ""),
        ("Unknown", "NotYetProbed"),
        ("True", "Ready"),
        ("False", "ConnectionRefused"),
        ("True", "Ready"),
    ];
    let printed = transitions(&watch.stdout(), "research");
    let printed: Vec<(&str, &str)> = printed.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(printed, expected, "{}", watch.stdout());

    nothing_forbidden_and_every_right_used(&bed, &[restarting, starting]);
}

/// Reads what `deploy/rbac.yaml` gives the orchestrator and looks each right up in the audit log.
fn nothing_forbidden_and_every_right_used(bed: &Bed, restarts: &[std::ops::Range<jiff::Timestamp>]) {
    let events: Vec<_> = bed.plane.audit().into_iter().filter(|e| e.user() == ACCOUNT).collect();
    assert!(events.len() > 100, "the audit log was read");
    let forbidden: Vec<_> = events
        .iter()
        .filter(|e| e.code() == 403 && !restarts.iter().any(|r| r.contains(&e.time())))
        .map(|e| e.uri().to_owned())
        .collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
    let text = std::fs::read_to_string(crate::bed::repository().join("deploy/rbac.yaml")).unwrap();
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
    let strings = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let bound: Vec<&serde_json::Value> = documents.iter().map(|d| &d["roleRef"]["name"]).collect();
    let ours = documents.iter().filter(|d| bound.contains(&&d["metadata"]["name"]));
    let mut unused = Vec::new();
    for rule in ours.filter_map(|d| d["rules"].as_array()).flatten() {
        for (group, resource) in strings(&rule["apiGroups"]).iter().zip(strings(&rule["resources"])) {
            let (resource, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
            for verb in strings(&rule["verbs"]) {
                let used = events.iter().any(|e| {
                    e.group() == group
                        && e.resource() == resource
                        && e.subresource() == subresource
                        && e.verb() == verb
                        && e.code() != 403
                });
                if !used {
                    unused.push(format!("{verb} {group}/{resource}/{subresource}"));
                }
            }
        }
    }
    assert!(unused.is_empty(), "granted and never used: {unused:?}");
}
