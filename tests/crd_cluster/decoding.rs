//! Whatever the API server accepts we decode, and whatever we encode it accepts.

use configurable_agents::api::v1alpha1::{AgentEndpoint, AgentEndpointSpec, Target};
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::bed::{Bed, object, root};
use crate::generate;

pub async fn what_the_server_accepts_decodes_and_encodes_to_something_it_accepts(bed: &Bed) {
    const OBJECTS: u64 = 600;
    let schema = root()["properties"]["spec"].clone();
    let (mut accepted, mut odd) = (0, 0);
    for seed in 0..OBJECTS {
        let wild = seed % 2 == 1;
        let spec = generate::spec(&schema, &mut generate::Random::new(seed), wild);
        let answer = bed.try_spec(&spec).await;
        if answer.code != 201 {
            // Strict decoding and a wrong top-level type are 400, all else is 422; never a fault of the server.
            assert!([400, 422].contains(&answer.code), "seed {seed}: {} {:#}", answer.code, answer.body);
            assert!(wild, "seed {seed} keeps all rules and is refused: {spec:#}: {:?}", answer.causes());
            continue;
        }
        accepted += 1;
        odd += u64::from(wild);
        let decoded: AgentEndpoint = serde_json::from_value(answer.body)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}: {spec:#}"));
        let encoded = serde_json::to_value(&decoded).unwrap();
        let again: AgentEndpoint = serde_json::from_value(encoded.clone()).unwrap();
        assert_eq!(again, decoded, "seed {seed}");
        assert!(!encoded["spec"].to_string().contains("null"), "seed {seed}: {encoded}");
        let back = bed.try_spec(&encoded["spec"]).await;
        assert_eq!(back.code, 201, "seed {seed}: {encoded:#}: {:?}", back.causes());
        let back: AgentEndpoint = serde_json::from_value(back.body).unwrap();
        assert_eq!(back.spec, decoded.spec, "seed {seed}");
    }
    println!(
        "{accepted} of {OBJECTS} generated objects were accepted, {odd} of them out of the {} that need not keep the rules",
        OBJECTS / 2
    );
    assert!(odd > 0, "the wild ones are too wild to find anything");
    assert!(accepted * 10 >= OBJECTS * 3, "only {accepted} of {OBJECTS} were accepted");
}

pub async fn a_spec_that_we_write_is_accepted_and_comes_back_unchanged(bed: &Bed) {
    let api: Api<AgentEndpoint> = Api::namespaced(bed.client.clone(), "default");
    let full: AgentEndpointSpec = serde_json::from_value(json!({
        "targets": [{"host": "10.1.2.3", "port": 8001}, {"host": "research.example", "port": 8001}],
        "probe": {
            "http": {"path": "/health", "method": "HEAD", "expectedStatuses": [200, 204], "headers": [{"name": "X-Team", "value": "a"}], "connection": "Reuse"},
            "periodSeconds": 10, "timeoutSeconds": 3, "failureThreshold": 3, "successThreshold": 1, "latencyThresholdMilliseconds": 1000,
            "onAuthenticationRequired": "Pass",
            "tls": {"caRef": {"kind": "ConfigMap", "name": "ca", "key": "ca.crt"}, "serverName": "research.example", "clientCertificateRef": {"name": "client"}, "verification": "Full"},
            "credentialsRef": {"name": "research-token", "key": "token", "header": "Authorization", "prefix": "Bearer "},
        },
        "minReady": 1, "agentID": "team-a.research", "className": "blue", "suspend": true,
        "registration": {"policy": "Mirror", "agentName": "Research", "url": "https://agents.example/research", "ttlSeconds": 60, "capabilities": ["web_search"], "metadata": {"team": "a"}},
    }))
    .unwrap();
    let least = AgentEndpointSpec {
        targets: vec![Target { host: "a".to_owned(), port: 1 }],
        ..serde_json::from_value(json!({})).unwrap()
    };
    for spec in [full, least] {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let created = api.create(&params, &AgentEndpoint::new("a", spec.clone())).await.unwrap();
        assert_eq!(created.spec, spec);
    }
}

/// JSON has one kind of number: the server takes 5.0 and 1e3 for an integer. It hands them back as 5 and 1000.
pub async fn whole_numbers_written_with_a_fraction_decode(bed: &Bed) {
    let namespace = bed.namespace().await;
    let text = object(
        "a",
        &json!({"targets": [{"host": "a", "port": 0}], "minReady": 0, "probe": {"periodSeconds": 0}}),
    );
    let text = text
        .replace("\"port\":0", "\"port\":1e3")
        .replace("\"periodSeconds\":0", "\"periodSeconds\":5.0")
        .replace("\"minReady\":0", "\"minReady\":2.0");
    bed.create(&namespace, "", text).await.accepted();
    let api: Api<AgentEndpoint> = Api::namespaced(bed.client.clone(), &namespace);
    let stored = api.get("a").await.unwrap();
    assert_eq!(stored.spec.targets[0].port, 1000);
    assert_eq!(stored.spec.probe.unwrap().period_seconds, Some(5));
    let raw = bed.kubectl(&["-n", &namespace, "get", "aep", "a", "-o=json"]).await.ok().stdout;
    assert!(raw.contains("\"periodSeconds\": 5\n") && raw.contains("\"minReady\": 2,"), "{raw}");
}
