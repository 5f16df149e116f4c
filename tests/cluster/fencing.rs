//! Two replicas: one is active, the other waits; what a stopped one had on its way is refused.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{ACCOUNT, Bed, NAMESPACE, ORCHESTRATOR, aep, condition, target};
use crate::support::{AuditEvent, Behaviour, FreezeProxy, TestAgent, Version, eventually};

const SOON: Duration = Duration::from_secs(30);

/// A second ServiceAccount with the same rights, so that the audit log tells the replicas apart.
async fn second_account(bed: &Bed) -> std::path::PathBuf {
    bed.plane.kubectl(&["create", "serviceaccount", "-n", NAMESPACE, "second"]).await.ok();
    let account = format!("--serviceaccount={NAMESPACE}:second");
    let everywhere = "--clusterrole=configurable-agents:configurable-agents:orchestrator";
    bed.plane.kubectl(&["create", "clusterrolebinding", "second", everywhere, &account]).await.ok();
    bed.plane
        .kubectl(&[
            "create",
            "rolebinding",
            "-n",
            NAMESPACE,
            "second",
            &format!("--role={ORCHESTRATOR}"),
            &account,
        ])
        .await
        .ok();
    bed.plane.service_account_kubeconfig(NAMESPACE, "second", None).await
}

/// `kubectl replace` and `helm upgrade --force` write the Lease as the chart has it, without a spec.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_somebody_emptied_is_taken_up_again_and_its_epoch_does_not_start_anew() {
    let bed = Bed::start(Version::V1_36).await;
    let registry = bed.registry();
    registry.up().await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let spec =
        json!({"targets": [target(agent.addr())], "probe": {"periodSeconds": 1, "failureThreshold": 1}});
    bed.apply(&aep("default", "steady", &spec)).await;
    // Three holders one after the other: the registry knows epoch 3.
    let config = bed.kubeconfig(None).await;
    for _ in 0..2 {
        let passing = bed.orchestrator(&config, &registry.url(), &[]);
        eventually(SOON, "it is active", async || !bed.holder().await.is_empty()).await;
        passing.process.term();
        eventually(SOON, "it has given the Lease back", async || bed.holder().await.is_empty()).await;
    }
    let _orchestrator = bed.orchestrator(&config, &registry.url(), &[]);
    bed.wait("steady", "Registered", 30).await;
    let holder = bed.holder().await;
    let lease = ["get", "lease", "-n", NAMESPACE, "configurable-agents", "-o=json"];
    let before = bed.plane.kubectl(&lease).await.json();
    assert_eq!(before["spec"]["leaseTransitions"], 3);
    let mut emptied = before.clone();
    emptied.as_object_mut().unwrap().remove("spec");
    eventually(SOON, "it is emptied", async || {
        emptied["metadata"]["resourceVersion"] = serde_json::Value::Null;
        bed.plane.kubectl_stdin(&["replace", "-f", "-"], &emptied.to_string()).await.status.success()
    })
    .await;
    eventually(SOON, "the same holder has it again", async || bed.holder().await == holder).await;
    let after = bed.plane.kubectl(&lease).await.json();
    assert_eq!(after["spec"]["leaseTransitions"], 3);
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    // And its words are believed.
    agent.stop().await;
    bed.wait("steady", "Ready=False", 30).await;
    eventually(SOON, "the registry heard it", async || registry.alive("default.steady").await == Some(false))
        .await;
}

fn writes_of(bed: &Bed, account: &str) -> Vec<AuditEvent> {
    let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
    bed.plane.audit_writes_by(&user)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_takes_over_in_time_and_the_late_writes_of_the_first_are_refused() {
    let bed = Bed::start(Version::V1_36).await;
    let registry = bed.registry();
    registry.up().await;
    let api = FreezeProxy::start(bed.plane.server_addr());
    let records = FreezeProxy::start(([127, 0, 0, 1], registry.port).into());
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let spec =
        json!({"targets": [target(agent.addr())], "probe": {"periodSeconds": 1, "failureThreshold": 1}});
    bed.apply(&aep("default", "late", &spec)).await;

    let first_config = bed.kubeconfig(Some(api.addr())).await;
    let first = bed.orchestrator(&first_config, &format!("http://{}", records.addr()), &[]);
    bed.wait("late", "Registered", 30).await;
    let second_config = second_account(&bed).await;
    let second = bed.orchestrator(&second_config, &registry.url(), &[]);
    eventually(SOON, "the standby is ready", async || second.ready().await.0 == 200).await;
    let holder = bed.holder().await;

    // The first one decides something, and its words are held on their way.
    let renewals = writes_of(&bed, ORCHESTRATOR).len();
    eventually(SOON, "a renewal has just been made", async || writes_of(&bed, ORCHESTRATOR).len() > renewals)
        .await;
    let cut = Instant::now();
    api.freeze_upstream();
    records.freeze_upstream();
    agent.stop().await;
    eventually(SOON, "both writes are on their way", async || api.held() > 0 && records.held() > 0).await;
    first.process.stop_signal();
    assert_eq!(writes_of(&bed, "second").len(), 0, "the standby never wrote");

    // The second one takes over within the Lease's duration and 2 s.
    eventually(SOON, "the second one holds the Lease", async || {
        let now = bed.holder().await;
        now != holder && !now.is_empty()
    })
    .await;
    let took = cut.elapsed();
    println!("taken over {:.1} s after the first was cut off (bound: 15 s + 2 s)", took.as_secs_f64());
    assert!(took <= Duration::from_secs(17), "{took:?}");
    bed.wait("late", "Ready=False", 10).await;
    agent.start_again();
    bed.wait("late", "Ready", 10).await;
    eventually(SOON, "the registry has the new one's word", async || {
        registry.alive("default.late").await == Some(true)
    })
    .await;

    // Now the words of the first one arrive.
    let mark = bed.plane.audit_mark();
    let before = bed.endpoint("default", "late").await;
    api.thaw();
    records.thaw();
    let refused = eventually(SOON, "the late status is refused", async || {
        let late = bed.plane.audit_since(mark);
        late.into_iter().find(|e| e.user() == ACCOUNT && e.subresource() == "status" && e.verb() == "patch")
    })
    .await;
    assert_eq!(refused.code(), 409, "{:?}", refused.0);
    let after = bed.endpoint("default", "late").await;
    assert_eq!(after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert_eq!(condition(&after, "Ready"), "True/Ready");
    eventually(SOON, "the registry has read the late words", async || records.held() == 0).await;
    assert_eq!(registry.alive("default.late").await, Some(true));

    // Let go on, the first one sees that it is not active any more and ends.
    first.process.cont();
    let status = first.process.wait_exit(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(1), "{}", first.process.logs());
    // A third one takes over from one that is killed.
    let third = bed.orchestrator(&bed.kubeconfig(None).await, &registry.url(), &[]);
    eventually(SOON, "the third is ready", async || third.ready().await.0 == 200).await;
    let holder = bed.holder().await;
    let killed = Instant::now();
    second.process.kill();
    eventually(SOON, "the third one holds the Lease", async || {
        let now = bed.holder().await;
        now != holder && !now.is_empty()
    })
    .await;
    let took = killed.elapsed();
    println!("taken over {:.1} s after the second was killed (bound: 15 s + 2 s)", took.as_secs_f64());
    assert!(took <= Duration::from_secs(17), "{took:?}");
    let probes = agent.requests();
    eventually(SOON, "it probes", async || agent.requests() >= probes + 3).await;
    let kept = bed.endpoint("default", "late").await;
    assert_eq!(kept["status"], after["status"], "a takeover moves nothing");

    let forbidden =
        bed.plane.audit().into_iter().filter(|e| e.code() == 403 && e.user().contains(NAMESPACE)).count();
    assert_eq!(forbidden, 0);
}
