//! Bad input in a cluster: one clear word each, and nothing else is disturbed.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::bed::{Bed, aep, condition, http_get, target};
use crate::support::{Behaviour, TestAgent, Version, eventually, stays};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_does_not_decode_is_not_accepted_and_the_others_go_on() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    // Stored under a schema without rules, as an older or newer release may have left it.
    let crd = "agentendpoints.agents.configurable.dev";
    let loose = json!([{
        "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/targets",
        "value": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    }]);
    bed.plane.kubectl(&["patch", "crd", crd, "--type=json", "-p", &loose.to_string()]).await.ok();
    let odd = aep("default", "odd", &json!({"targets": [{"host": "10.0.0.1", "port": "http"}]}));
    eventually(SOON, "the loose schema is in force", async || {
        bed.plane.kubectl_stdin(&["apply", "-f", "-"], &odd.to_string()).await.status.success()
    })
    .await;
    bed.install_crd().await;
    let good =
        aep("default", "good", &json!({"targets": [target(agent.addr())], "probe": {"periodSeconds": 1}}));
    bed.apply(&good).await;

    let kubeconfig = bed.kubeconfig(None).await;
    let orchestrator = bed.orchestrator(&kubeconfig, "none", &[]);
    bed.wait("good", "Ready", 30).await;
    bed.wait("odd", "Accepted=False", 30).await;
    let object = bed.endpoint("default", "odd").await;
    assert_eq!(condition(&object, "Ready"), "False/NotSupported");
    let message = object["status"]["conditions"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("cannot read the object"), "{message}");
    let version = object["metadata"]["resourceVersion"].clone();
    stays(Duration::from_secs(3), "no write for the odd one", async || {
        bed.endpoint("default", "odd").await["metadata"]["resourceVersion"] == version
    })
    .await;
    let events =
        bed.plane.kubectl(&["get", "events", "-n", "default", "--field-selector=reason=Rejected"]).await.ok();
    assert!(events.stdout.contains("cannot read the object"), "{}", events.stdout);

    // Mended, it is like a fresh one.
    bed.apply(&aep("default", "odd", &json!({"targets": [target(agent.addr())]}))).await;
    bed.wait("odd", "Ready", 30).await;
    assert_eq!(orchestrator.process.logs().matches("panicked").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_answers_garbage_is_named_once_and_disturbs_nothing() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let garbage = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Html);
    let spec = json!({
        "targets": [target(agent.addr())], "probe": {"periodSeconds": 1}, "registration": {"ttlSeconds": 15},
    });
    bed.apply(&aep("default", "good", &spec)).await;
    let kubeconfig = bed.kubeconfig(None).await;
    let url = format!("http://{}", garbage.addr());
    let orchestrator = bed.orchestrator(&kubeconfig, &url, &[]);
    bed.wait("good", "Ready", 30).await;
    // After half of the TTL, and not before.
    assert_eq!(
        condition(&bed.endpoint("default", "good").await, "Registered"),
        "Unknown/RegistrationPending"
    );
    bed.wait("good", "Registered=False", 15).await;
    let object = bed.endpoint("default", "good").await;
    assert_eq!(condition(&object, "Registered"), "False/RegistryUnavailable");
    assert_eq!(condition(&object, "Ready"), "True/Ready");
    let logs = orchestrator.process.logs();
    assert_eq!(logs.matches("does not answer like an agent registry").count(), 1, "{logs}");
    assert!(!logs.contains("<html"), "nothing of what it sent is shown: {logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_crd_and_missing_rights_are_named_with_what_to_do_and_waited_for() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let kubeconfig = bed.kubeconfig(None).await;
    let binding = "configurable-agents:configurable-agents:orchestrator";
    bed.plane.kubectl(&["delete", "clusterrolebinding", binding]).await.ok();
    bed.plane.kubectl(&["delete", "crd", "agentendpoints.agents.configurable.dev"]).await.ok();
    let orchestrator = bed.orchestrator(&kubeconfig, "none", &[]);
    eventually(SOON, "the missing right is named", async || {
        let logs = orchestrator.process.logs();
        logs.contains("not allowed") && logs.contains("deploy/rbac.yaml")
    })
    .await;
    bed.install_rights().await;
    eventually(SOON, "the missing CRD is named", async || {
        orchestrator.process.logs().contains("configurable-agents crds | kubectl apply --server-side -f -")
    })
    .await;
    let (status, text) = orchestrator.ready().await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("[-]agentendpoints failed: the AgentEndpoint CRD is not installed"), "{text}");
    assert_eq!(http_get(orchestrator.port, "/livez").await.0, 200);
    bed.install_crd().await;
    bed.apply(&aep(
        "default",
        "good",
        &json!({"targets": [target(agent.addr())], "probe": {"periodSeconds": 1}}),
    ))
    .await;
    bed.wait("good", "Ready", 60).await;
    eventually(SOON, "ready", async || orchestrator.ready().await.0 == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_targets_get_no_packet_and_classes_namespaces_and_periods_are_kept_to() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let denied = TestAgent::start(Ipv4Addr::new(127, 0, 0, 77), 0, Behaviour::Ok);
    bed.plane.kubectl(&["create", "namespace", "elsewhere"]).await.ok();
    let server = bed.plane.server_addr();
    bed.dns.set_addresses("bad.example", &[agent.addr().ip(), denied.addr().ip()]);
    let probe = json!({"periodSeconds": 2});
    let objects = [
        ("default", "mine", json!({"className": "blue", "targets": [target(agent.addr())], "probe": probe})),
        ("default", "other-class", json!({"targets": [target(agent.addr())], "probe": probe})),
        (
            "elsewhere",
            "elsewhere",
            json!({"className": "blue", "targets": [target(agent.addr())], "probe": probe}),
        ),
        (
            "default",
            "hasty",
            json!({"className": "blue", "targets": [target(agent.addr())], "probe": {"periodSeconds": 1}}),
        ),
        (
            "default",
            "literal",
            json!({"className": "blue", "targets": [target(denied.addr())], "probe": probe}),
        ),
        (
            "default",
            "named",
            json!({"className": "blue", "targets": [{"host": "bad.example", "port": denied.port()}], "probe": probe}),
        ),
        (
            "default",
            "metadata",
            json!({"className": "blue", "targets": [{"host": "169.254.169.254", "port": 80}]}),
        ),
        ("default", "apiserver", json!({"className": "blue", "targets": [target(server)]})),
        ("default", "defaults", json!({"className": "blue", "targets": [target(agent.addr())]})),
    ];
    for (namespace, name, spec) in &objects {
        bed.apply(&aep(namespace, name, spec)).await;
    }
    let kubeconfig = bed.kubeconfig(None).await;
    let role = "Role configurable-agents-blue";
    // The Lease of a class has its own name: the right to it comes with the class.
    let patch =
        json!([{"op": "add", "path": "/rules/1/resourceNames/-", "value": "configurable-agents-blue"}]);
    bed.plane
        .kubectl(&[
            "patch",
            "role",
            "-n",
            crate::bed::NAMESPACE,
            "configurable-agents-orchestrator",
            "--type=json",
            "-p",
            &patch.to_string(),
        ])
        .await
        .ok();
    let flags = [
        "--class=blue",
        "--watch-namespaces=default",
        "--min-period-seconds=2",
        "--allow-targets=127.0.0.0/8",
        "--deny-targets=127.0.0.77/32",
        "--default-period-seconds=2",
        "--default-path=/elsewhere",
    ];
    let _orchestrator = bed.orchestrator(&kubeconfig, "none", &flags);
    bed.wait("mine", "Ready", 30).await;
    bed.wait("defaults", "Ready", 30).await;
    eventually(SOON, "the default path is asked for", async || {
        agent.last_request().starts_with("GET /elsewhere ")
    })
    .await;
    for (name, accepted, stalled) in [
        ("hasty", "False/PeriodNotPermitted", ""),
        ("literal", "False/TargetNotPermitted", "True/TargetNotPermitted"),
        ("named", "False/TargetNotPermitted", ""),
        ("metadata", "False/TargetNotPermitted", "True/TargetNotPermitted"),
        ("apiserver", "False/TargetNotPermitted", "True/TargetNotPermitted"),
    ] {
        bed.wait(name, "Accepted=False", 30).await;
        let object = bed.endpoint("default", name).await;
        assert_eq!(condition(&object, "Accepted"), accepted, "{name} {role}");
        assert_eq!(condition(&object, "Stalled"), stalled, "{name}");
        assert_eq!(condition(&object, "Ready"), accepted, "{name}");
    }
    assert_eq!(denied.connections(), 0, "no packet to a denied address");
    for (namespace, name) in [("default", "other-class"), ("elsewhere", "elsewhere")] {
        let object = bed.endpoint(namespace, name).await;
        assert_eq!(condition(&object, "Ready"), "", "{name} is not ours");
    }
    // A name heals alone when its addresses are permitted again.
    bed.dns.set_addresses("bad.example", &[agent.addr().ip()]);
    eventually(SOON, "the name is accepted again", async || {
        condition(&bed.endpoint("default", "named").await, "Accepted") == "True/Accepted"
    })
    .await;
}
