use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::endpoint::Protocol;
use crate::domain::policy::Profile;
use crate::domain::reference::{Reference, ReferenceKind};
use serde_json::{Value, json};

fn rules() -> Rules {
    Rules {
        defaults: ProbeDefaults { min_period: Duration::from_secs(2), ..ProbeDefaults::default() },
        policy: Arc::new(TargetPolicy::new(Profile::Cluster, vec![], vec![])),
        naming: Naming::Cluster("cluster.local".to_owned()),
        agent_ids: AgentIds::Namespace,
    }
}

fn facts() -> Facts {
    Facts {
        service: ServiceFacts::Ports(vec![(Some("http".to_owned()), 8001)]),
        allowed_agent_ids: vec!["shared.*".to_owned(), "exact".to_owned()],
        supplies: BTreeMap::new(),
    }
}

fn convert(spec: &Value) -> Endpoint {
    let object: AgentEndpoint = serde_json::from_value(json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
        "metadata": {"name": "research", "namespace": "team-a", "uid": "u", "generation": 3},
        "spec": spec,
    }))
    .unwrap();
    endpoint(&object, &rules(), &facts())
}

fn refused(spec: &Value) -> Option<(Reason, bool)> {
    convert(spec).refusal.map(|r| (r.reason, r.stalled))
}

#[test]
fn absent_probe_fields_mean_the_operators_defaults() {
    let endpoint = convert(&json!({"targets": [{"host": "10.0.0.1", "port": 80}]}));
    let Protocol::Http(http) = &endpoint.probe.protocol else { panic!("http") };
    assert_eq!((http.path.as_str(), &http.expected_statuses[..]), ("/health", &[200][..]));
    assert_eq!((endpoint.probe.period.as_secs(), endpoint.probe.timeout.as_secs()), (10, 3));
    assert_eq!((endpoint.agent_id.as_str(), endpoint.refusal), ("team-a.research", None));
}

#[test]
fn an_absent_timeout_is_never_longer_than_the_period() {
    let endpoint = convert(&json!({
        "targets": [{"host": "10.0.0.1", "port": 80}], "probe": {"periodSeconds": 2}
    }));
    assert_eq!(endpoint.probe.timeout.as_secs(), 2);
}

#[test]
fn a_name_without_a_dot_is_a_service_of_the_own_namespace_and_all_names_are_absolute() {
    let endpoint = convert(&json!({
        "targets": [{"host": "db", "port": 80}, {"host": "db.example", "port": 80}]
    }));
    let names: Vec<_> = endpoint.targets.iter().map(|t| t.lookup.clone()).collect();
    assert_eq!(names[0], Lookup::Name("db.team-a.svc.cluster.local".to_owned()));
    assert_eq!(names[1], Lookup::Name("db.example".to_owned()));
}

#[test]
fn a_service_ref_is_one_target_by_number_or_by_name() {
    for port in [json!(8001), json!("http")] {
        let endpoint = convert(&json!({"serviceRef": {"name": "research", "port": port}}));
        let expected = TargetAddress { host: "research.team-a.svc.cluster.local".to_owned(), port: 8001 };
        assert_eq!(endpoint.targets[0].address, expected);
    }
    let missing = json!({"serviceRef": {"name": "research", "port": 9}});
    assert_eq!(refused(&missing), Some((Reason::ServicePortNotFound, false)));
}

#[test]
fn each_refusal_has_its_reason_and_only_a_denied_literal_is_hopeless() {
    let with = |extra: Value| {
        let mut spec = json!({"targets": [{"host": "10.0.0.1", "port": 80}]});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        spec
    };
    let ns = Some((Reason::NotSupported, false));
    let cases = [
        (
            with(json!({"targets": [{"host": "127.0.0.1", "port": 80}]})),
            Some((Reason::TargetNotPermitted, true)),
        ),
        (with(json!({"targets": [{"host": "a.example", "port": 80}]})), None),
        (with(json!({"probe": {"periodSeconds": 1}})), Some((Reason::PeriodNotPermitted, false))),
        (with(json!({"agentID": "team-b.x"})), Some((Reason::AgentIDNotPermitted, false))),
        (with(json!({"agentID": "team-ax"})), Some((Reason::AgentIDNotPermitted, false))),
        (with(json!({"agentID": "team-a.x"})), None),
        (with(json!({"agentID": "shared.x"})), None),
        (with(json!({"agentID": "exact"})), None),
        (with(json!({"probe": {"grpc": {}}})), None),
        (with(json!({"probe": {"a2a": {}}})), None),
        (with(json!({"probe": {"a2a": {"level": "RPC"}}})), ns),
        (with(json!({"probe": {"mcp": {}}})), ns),
        (with(json!({"probe": {"tls": {}}})), None),
        (with(json!({"probe": {"tls": {"verification": "Skip"}}})), None),
        (
            with(json!({"probe": {"credentialsRef": {"name": "s"}}})),
            Some((Reason::SecretNotPermitted, false)),
        ),
        (
            with(json!({"probe": {"tls": {}, "credentialsRef": {"name": "s"}}})),
            Some((Reason::SecretNotFound, false)),
        ),
        (with(json!({"probe": {"tls": {"caRef": {"name": "ca"}}}})), Some((Reason::SecretNotFound, false))),
        (with(json!({"probe": {"http": {"connection": "Reuse"}}})), ns),
        (with(json!({"probe": {"tcp": {}}})), None),
    ];
    for (spec, expected) in cases {
        assert_eq!(refused(&spec), expected, "{spec}");
    }
    let expand = json!({"serviceRef": {"name": "s", "port": "http", "expand": "Endpoints"}});
    assert_eq!(refused(&expand), ns);
    assert_eq!(convert(&with(json!({"probe": {"grpc": {}}}))).probe.protocol.name(), "grpc");
}

#[test]
fn an_object_that_may_not_have_an_id_does_not_claim_it_whatever_else_is_wrong_with_it() {
    for host in ["10.0.0.1", "127.0.0.1"] {
        let endpoint =
            convert(&json!({"targets": [{"host": host, "port": 80}], "agentID": "team-b.research"}));
        assert!(endpoint.refusal.is_some() && !endpoint.registration.mirror, "{host}");
    }
    assert!(
        convert(&json!({"targets": [{"host": "10.0.0.1", "port": 80}], "agentID": "shared.x"}))
            .registration
            .mirror
    );
}

#[test]
fn an_object_that_cannot_be_read_is_not_accepted_and_says_why() {
    let metadata = ObjectMeta { name: Some("x".into()), ..ObjectMeta::default() };
    let refusal = undecodable(&metadata, "missing field `host`", &rules().defaults).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::NotSupported);
    assert!(refusal.message.contains("missing field `host`"));
}

#[test]
fn what_a_probe_needs_is_of_its_own_namespace_and_has_the_documented_defaults() {
    let spec = convert(&json!({
        "targets": [{"host": "a.example", "port": 443}],
        "probe": {
            "tls": {"caRef": {"name": "ca"}, "clientCertificateRef": {"name": "me"}},
            "credentialsRef": {"name": "token"},
        },
    }));
    let secret = |name: &str| Reference {
        kind: ReferenceKind::Secret,
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
    };
    let needs = [
        Need::Authorities {
            of: Reference { kind: ReferenceKind::ConfigMap, ..secret("ca") },
            key: "ca.crt".to_owned(),
        },
        Need::ClientCertificate { of: secret("me") },
        Need::Credential { of: secret("token"), key: "token".to_owned() },
    ];
    assert_eq!(spec.probe.needs(), needs);
    let sent = spec.probe.credential.unwrap();
    assert_eq!((sent.header.as_str(), sent.prefix.as_str()), ("Authorization", "Bearer "));
    let own = convert(&json!({
        "targets": [{"host": "a.example", "port": 443}],
        "probe": {"tls": {}, "credentialsRef": {"name": "token", "header": "X-Key"}},
    }));
    assert_eq!(own.probe.credential.unwrap().prefix, "");
}
