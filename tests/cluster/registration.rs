//! The registry comes and goes, and ids are fought over: `Registered` says so, `Ready` does not move.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::bed::{Bed, aep, condition, conditions, target};
use crate::support::{Behaviour, TestAgent, Version, eventually};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_absent_vanishes_and_comes_back_is_told_by_registered_alone() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let token = bed.files.path().join("token");
    std::fs::write(&token, "s3cret-canary\n").unwrap();
    let tokens = format!("--auth-token-file={}", token.display());
    let mut registry = bed.registry_with(&[&tokens]);
    registry.up().await;
    registry.stop().await;

    let spec = json!({
        "targets": [target(agent.addr())], "probe": {"periodSeconds": 1}, "registration": {"ttlSeconds": 15},
    });
    bed.apply(&aep("default", "one", &spec)).await;
    let kubeconfig = bed.kubeconfig(None).await;
    let flag = format!("--registry-token-file={}", token.display());
    let orchestrator = bed.orchestrator(&kubeconfig, &registry.url(), &[&flag]);
    bed.wait("one", "Ready", 30).await;
    let ready = conditions(&bed.endpoint("default", "one").await)["Ready"].clone();
    assert_eq!(condition(&bed.endpoint("default", "one").await, "Registered"), "Unknown/RegistrationPending");

    // Absent at the start: False after half of the TTL, then True by itself.
    bed.wait("one", "Registered=False", 12).await;
    assert_eq!(condition(&bed.endpoint("default", "one").await, "Registered"), "False/RegistryUnavailable");
    registry.start_again().await;
    bed.wait("one", "Registered", 12).await;

    // Vanished: not at once, but after half of the TTL; back again, empty: True by itself.
    registry.process.kill();
    registry.process.wait_exit(Duration::from_secs(10)).await;
    bed.wait("one", "Registered=False", 25).await;
    registry.forget();
    registry.start_again().await;
    bed.wait("one", "Registered", 12).await;
    assert_eq!(conditions(&bed.endpoint("default", "one").await)["Ready"], ready, "Ready never moved");
    let wrong = bed.endpoint("default", "one").await.to_string() + &orchestrator.process.logs();
    assert!(!wrong.contains("s3cret-canary"), "the token is shown nowhere");

    // A wrong token is an outage with its own words.
    std::fs::write(&token, "another\n").unwrap();
    let other = bed.files.path().join("other-token");
    std::fs::write(&other, "wrong\n").unwrap();
    drop(orchestrator);
    let flag = format!("--registry-token-file={}", other.display());
    let orchestrator = bed.orchestrator(&kubeconfig, &registry.url(), &[&flag]);
    eventually(SOON, "the refusal is named", async || {
        orchestrator.process.logs().contains("it wants another token (--registry-token-file)")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_id_belongs_to_the_older_object_and_to_the_first_live_orchestrator() {
    let bed = Bed::start(Version::V1_36).await;
    let registry = bed.registry();
    registry.up().await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let spec = |extra: serde_json::Value| {
        let mut spec = json!({
            "targets": [target(agent.addr())], "probe": {"periodSeconds": 1}, "agentID": "default.same",
            "registration": {"ttlSeconds": 15},
        });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        spec
    };
    let kubeconfig = bed.kubeconfig(None).await;
    let first = bed.orchestrator(&kubeconfig, &registry.url(), &[]);
    bed.apply(&aep("default", "b-older", &spec(json!({})))).await;
    bed.wait("b-older", "Registered", 30).await;
    // Creation times are whole seconds.
    let made = bed.endpoint("default", "b-older").await["metadata"]["creationTimestamp"].clone();
    let made: jiff::Timestamp = made.as_str().unwrap().parse().unwrap();
    let later = made + Duration::from_secs(2);
    eventually(SOON, "a second has passed", async || jiff::Timestamp::now() > later).await;
    bed.apply(&aep("default", "a-younger", &spec(json!({})))).await;
    bed.wait("a-younger", "Registered=False", 30).await;
    let younger = bed.endpoint("default", "a-younger").await;
    assert_eq!(condition(&younger, "Registered"), "False/OwnedByAnother");
    assert_eq!(condition(&younger, "Ready"), "True/Ready");

    // Another orchestrator, with a Lease and a class of its own, in the same scope.
    let right =
        json!([{"op": "add", "path": "/rules/1/resourceNames/-", "value": "configurable-agents-green"}]);
    let role =
        ["patch", "role", "-n", crate::bed::NAMESPACE, "configurable-agents-orchestrator", "--type=json"];
    bed.plane.kubectl(&[&role[..], &["-p", &right.to_string()]].concat()).await.ok();
    let _second = bed.orchestrator(&kubeconfig, &registry.url(), &["--class=green"]);
    bed.apply(&aep("default", "c-foreign", &spec(json!({"className": "green"})))).await;
    bed.wait("c-foreign", "Registered=False", 30).await;
    assert_eq!(condition(&bed.endpoint("default", "c-foreign").await, "Registered"), "False/OwnedByAnother");

    // The older one goes: the heir has the id, and the foreign one still does not.
    bed.plane.kubectl(&["delete", "aep", "-n", "default", "b-older"]).await.ok();
    bed.wait("a-younger", "Registered", 30).await;
    // All of the first orchestrator's go: the foreign one gets it.
    bed.plane.kubectl(&["delete", "aep", "-n", "default", "a-younger"]).await.ok();
    bed.wait("c-foreign", "Registered", 30).await;
    drop(first);
}
