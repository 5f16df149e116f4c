//! What the scenarios put into the cluster, and what they read of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Image of the release, which also holds the sample agent.
pub const IMAGE: &str =
    concat!("ghcr.io/configurable-agents/configurable-agents:", env!("CARGO_PKG_VERSION"));

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }}})
}

/// Nothing in, nothing out.
pub fn deny_all(namespace: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}})
}

/// What a team with such a namespace writes: its agents may be probed from there.
pub fn allow_probes_from(namespace: &str, from: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": format!("probes-from-{from}"), "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": from}},
             "podSelector": {"matchLabels": {"app.kubernetes.io/component": "orchestrator"}}}]}]}})
}

/// Names can be looked up, and all can be called: for pods that try what the other side allows.
pub fn allow_egress(namespace: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "egress", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}})
}

fn restricted_pod(args: &Value) -> Value {
    json!({
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "main", "image": IMAGE, "args": args,
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]}}}],
    })
}

/// A sample agent: Deployment and Service.
pub fn agent(namespace: &str, name: &str) -> [Value; 2] {
    let labels = json!({"app": name});
    let mut pod = restricted_pod(&json!(["sample-agent", "--host=0.0.0.0", "--port=8001"]));
    pod["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 8001}]);
    pod["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1});
    [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
    ]
}

/// A pod that runs one command of our program and ends.
pub fn command(namespace: &str, name: &str, args: &[&str]) -> Value {
    let mut pod = restricted_pod(&json!(args));
    pod["restartPolicy"] = json!("Never");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": pod})
}

/// An AgentEndpoint that follows a Service and is probed every 2 s.
pub fn endpoint(namespace: &str, name: &str, service: &str, more: &Value) -> Value {
    let mut spec = json!({"serviceRef": {"name": service, "port": "http"}, "probe": {"periodSeconds": 2}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

/// Type → (status, reason, lastTransitionTime).
pub fn conditions(object: &Value) -> BTreeMap<String, (String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|c| (text(&c["type"]), (text(&c["status"]), text(&c["reason"]), text(&c["lastTransitionTime"]))))
        .collect()
}
