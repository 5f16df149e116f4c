//! What the API server does with status: ours, and wrong ones.

use configurable_agents::api::v1alpha1::{
    AgentEndpoint, AgentEndpointStatus, AgentSummary, StatusWord, TargetStatus,
};
use configurable_agents::api::{FIELD_MANAGER, GROUP, VERSION};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::rules;

pub async fn a_condition_is_refused_as_metav1_condition_is(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "a", &rules::least()).await;
    let bad =
        json!({"type": "Ready", "status": "Maybe", "reason": "", "message": "", "lastTransitionTime": "x"});
    let refused = bed.patch(&namespace, "a", "/status", json!({"status": {"conditions": [bad]}})).await;
    assert_eq!(refused.code, 422);
    for field in ["status", "reason", "lastTransitionTime"] {
        assert!(refused.names(&format!("status.conditions[0].{field}")), "{field}: {:#}", refused.body);
    }
    let bad = json!({"type": "not a type!", "status": "True", "reason": "Has-Dash", "message": "m".repeat(32769), "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": -1});
    let refused = bed.patch(&namespace, "a", "/status", json!({"status": {"conditions": [bad]}})).await;
    for field in ["type", "reason", "message", "observedGeneration"] {
        assert!(refused.names(&format!("status.conditions[0].{field}")), "{field}: {:#}", refused.body);
    }
    let refused = bed.patch(&namespace, "a", "/status", json!({"status": {"conditions": [{}]}})).await;
    for field in ["type", "status", "reason", "message", "lastTransitionTime"] {
        assert!(refused.names(&format!("status.conditions[0].{field}")), "{field}: {:#}", refused.body);
    }
}

pub fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: Time("2026-01-01T00:00:00Z".parse().unwrap()),
        observed_generation: Some(1),
    }
}

pub async fn apply_status(
    bed: &Bed,
    namespace: &str,
    name: &str,
    status: &AgentEndpointStatus,
) -> AgentEndpoint {
    let api: Api<AgentEndpoint> = Api::namespaced(bed.client.clone(), namespace);
    let patch =
        json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": "AgentEndpoint", "status": status});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(name, &params, &Patch::Apply(patch))
        .await
        .unwrap_or_else(|error| panic!("{error} {status:?}"))
}

pub async fn status_is_limited(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "a", &rules::least()).await;
    let target = |field: &str, value: Value| {
        let mut target = json!({"host": "agent.example", "port": 1});
        target[field] = value;
        json!({"targets": [target]})
    };
    let time = "2026-01-01T00:00:00Z";
    let conditions: Vec<Value> = (0..17).map(|n| json!({"type": format!("T{n}"), "status": "True", "reason": "R", "message": "", "lastTransitionTime": time})).collect();
    let targets: Vec<Value> = (1..=33).map(|port| json!({"host": "a", "port": port})).collect();
    let cases = [
        ("status.targets[0].message", target("message", json!("m".repeat(513)))),
        ("status.targets[0].status", target("status", json!("Healthy"))),
        ("status.targets[0].reason", target("reason", json!("not one word"))),
        ("status.targets[0].lastTransitionTime", target("lastTransitionTime", json!("yesterday"))),
        ("status.targets[0].port", target("port", json!(0))),
        ("status.targets", json!({"targets": targets})),
        ("status.targets[1]", json!({"targets": [{"host": "a", "port": 1}, {"host": "a", "port": 1}]})),
        ("status.conditions", json!({"conditions": conditions})),
        ("status.conditions[1]", json!({"conditions": [conditions[0], conditions[0]]})),
        ("status.readyTargets", json!({"readyTargets": -1})),
        ("status.readySummary", json!({"readySummary": "two of three"})),
        ("status.protocol", json!({"protocol": "p".repeat(17)})),
        ("status.observedGeneration", json!({"observedGeneration": -2})),
        ("status.agent.name", json!({"agent": {"name": "n".repeat(129)}})),
        ("status.agent.capabilities", json!({"agent": {"capabilities": vec!["c"; 17]}})),
    ];
    for (path, status) in cases {
        let refused = bed.patch(&namespace, "a", "/status", json!({"status": status})).await;
        assert!(refused.names(path), "{path}: {} {:?}", refused.code, refused.causes());
    }
}

/// Types and reasons of design.md 3.1; the domain's own list is compared with this one where it lives.
pub const CONDITIONS: &[(&str, &str)] = &[
    (
        "Accepted",
        "Accepted TargetNotPermitted PeriodNotPermitted SecretNotFound SecretKeyMissing SecretNotPermitted CABundleInvalid ServiceNotFound ServicePortNotFound AgentIDNotPermitted RequiresCluster NotSupported",
    ),
    (
        "Reachable",
        "Reachable DNSNameNotFound ConnectionRefused ConnectionReset ConnectTimeout HostUnreachable TLSHandshakeFailed TLSCertificateExpired TLSUntrusted TLSHostnameMismatch NotEnoughTargets NotYetProbed NotAccepted Suspended ProbeInfrastructureSuspect ProbeLate DNSResolverUnavailable NetworkUnreachable",
    ),
    (
        "Healthy",
        "Healthy UnexpectedStatus UnexpectedBody RedirectNotFollowed ResponseTimeout ResponseTooLarge ProtocolError HTMLResponse NotServing HealthServiceMissing NotAnAgentCard NotMCP ProtocolVersionUnsupported AuthenticationRequired CredentialsRejected",
    ),
    (
        "Registered",
        "Registered RegistryUnavailable RegistryRejected OwnedByAnother RegistrationPending RegistrationDisabled",
    ),
    ("Degraded", "LatencyAboveThreshold CertificateExpiringSoon Flapping SomeTargetsFailing AsExpected"),
    ("Ready", "Ready NotYetProbed LatencyAboveThreshold"),
    ("Stalled", "TargetNotPermitted"),
];

pub async fn every_condition_that_we_write_is_accepted(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "a", &rules::least()).await;
    let rounds = CONDITIONS.iter().map(|(_, reasons)| reasons.split(' ').count()).max().unwrap();
    for round in 0..rounds {
        let reason = |reasons: &'static str| reasons.split(' ').cycle().nth(round).unwrap();
        let status = AgentEndpointStatus {
            conditions: CONDITIONS
                .iter()
                .map(|(kind, reasons)| {
                    condition(
                        kind,
                        ["True", "False", "Unknown"][round % 3],
                        reason(reasons),
                        &"m".repeat(512),
                    )
                })
                .collect(),
            targets: CONDITIONS
                .iter()
                .zip(1..)
                .map(|((_, reasons), port)| TargetStatus {
                    reason: Some(reason(reasons).to_owned()),
                    ..target_status("agent.example", port, StatusWord::Failing)
                })
                .collect(),
            observed_generation: Some(1),
            ..AgentEndpointStatus::default()
        };
        let stored = apply_status(bed, &namespace, "a", &status).await;
        assert_eq!(stored.status, Some(status), "round {round}");
    }
}

pub fn target_status(host: &str, port: i32, word: StatusWord) -> TargetStatus {
    TargetStatus {
        host: host.to_owned(),
        port,
        status: Some(word),
        reason: Some("R".repeat(64)),
        message: Some("ü".repeat(512)),
        last_transition_time: Some(Time("2026-01-01T00:00:00Z".parse().unwrap())),
    }
}

pub async fn a_status_at_its_limits_is_accepted_and_comes_back_unchanged(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "a", &rules::least()).await;
    let words = [
        StatusWord::Ready,
        StatusWord::Degraded,
        StatusWord::Failing,
        StatusWord::Rejected,
        StatusWord::Unknown,
        StatusWord::Paused,
    ];
    let status = AgentEndpointStatus {
        conditions: CONDITIONS
            .iter()
            .map(|(kind, _)| condition(kind, "Unknown", "NotYetProbed", &"ü".repeat(512)))
            .collect(),
        observed_generation: Some(9_007_199_254_740_991),
        protocol: Some("p".repeat(16)),
        ready_targets: Some(100_000),
        total_targets: Some(100_000),
        ready_summary: Some("100000/100000".to_owned()),
        targets: (0..32_u8)
            .map(|n| {
                target_status(&"h".repeat(253), 65535 - i32::from(n), words[usize::from(n) % words.len()])
            })
            .collect(),
        agent: Some(AgentSummary {
            name: Some("ü".repeat(128)),
            version: Some("v".repeat(64)),
            protocol_version: Some("p".repeat(32)),
            capabilities: vec!["ü".repeat(64); 16],
        }),
    };
    let stored = apply_status(bed, &namespace, "a", &status).await;
    assert_eq!(stored.status.as_ref(), Some(&status));
    let again = apply_status(bed, &namespace, "a", &status).await;
    assert_eq!(again.metadata.resource_version, stored.metadata.resource_version);
    let gone = apply_status(bed, &namespace, "a", &AgentEndpointStatus::default()).await;
    let empty = AgentEndpointStatus { observed_generation: Some(-1), ..AgentEndpointStatus::default() };
    assert_eq!(gone.status, Some(empty), "what is no longer applied is gone, and the default is back");
}

pub async fn spec_and_status_are_written_apart(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "a", &rules::least()).await;
    let through_spec =
        bed.patch(&namespace, "a", "", json!({"status": {"observedGeneration": 99}})).await.accepted();
    assert_eq!(through_spec["status"], json!({"observedGeneration": -1}));
    let through_status = bed
        .patch(
            &namespace,
            "a",
            "/status",
            json!({"spec": {"suspend": true}, "status": {"observedGeneration": 1}}),
        )
        .await
        .accepted();
    assert_eq!(through_status["spec"]["suspend"], json!(false));
    assert_eq!(through_status["metadata"]["generation"], json!(1));
    assert_eq!(through_status["status"]["observedGeneration"], json!(1));
    let changed = bed.patch(&namespace, "a", "", json!({"spec": {"suspend": true}})).await.accepted();
    assert_eq!(changed["metadata"]["generation"], json!(2));
}
