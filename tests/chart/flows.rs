//! The NetworkPolicies against a table of flows: what must pass, what must not.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::helm::{of_kind, pods, rendered, way};

const HERE: &str = "agents-system";

/// One end of a flow.
#[derive(Clone)]
enum End {
    /// A pod: namespace and labels.
    Pod(&'static str, Value),
    /// Something outside the cluster.
    Address(&'static str),
}

fn component(name: &str) -> End {
    let labels = json!({
        "app.kubernetes.io/name": "configurable-agents", "app.kubernetes.io/instance": "one", "app.kubernetes.io/component": name,
    });
    End::Pod(HERE, labels)
}

fn pod(namespace: &'static str) -> End {
    End::Pod(namespace, json!({"app": "any"}))
}

/// `matchLabels` and `In`, which is what the chart and the tests use.
fn selects(selector: &Value, labels: &Value) -> bool {
    let equal =
        selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value);
    let within = selector["matchExpressions"].as_array().into_iter().flatten().all(|expression| {
        assert_eq!(expression["operator"], "In");
        expression["values"].as_array().unwrap().contains(&labels[expression["key"].as_str().unwrap()])
    });
    equal && within
}

fn is_peer(peer: &Value, end: &End) -> bool {
    match end {
        End::Address(address) => {
            let address: IpAddr = address.parse().unwrap();
            let within = |cidr: &Value| cidr.as_str().unwrap().parse::<IpNet>().unwrap().contains(&address);
            let block = &peer["ipBlock"];
            block.is_object()
                && within(&block["cidr"])
                && !block["except"].as_array().into_iter().flatten().any(within)
        }
        End::Pod(namespace, labels) => {
            let spaces = &peer["namespaceSelector"];
            let space = if spaces.is_null() {
                *namespace == HERE
            } else {
                selects(spaces, &json!({"kubernetes.io/metadata.name": namespace}))
            };
            let pods = &peer["podSelector"];
            !(spaces.is_null() && pods.is_null()) && space && (pods.is_null() || selects(pods, labels))
        }
    }
}

/// Does some rule of the policies that select `of` let the other end through?
fn lets(policies: &[&Value], direction: (&str, &str, &str), of: &End, other: &End, port: &[Value]) -> bool {
    let (kind, rules, peers) = direction;
    let End::Pod(HERE, labels) = of else { return true };
    let mine: Vec<&&Value> = policies
        .iter()
        .filter(|policy| selects(&policy["spec"]["podSelector"], labels))
        .filter(|policy| policy["spec"]["policyTypes"].as_array().unwrap().contains(&json!(kind)))
        .collect();
    mine.is_empty()
        || mine.iter().flat_map(|policy| policy["spec"][rules].as_array().into_iter().flatten()).any(|rule| {
            let ports = rule["ports"].as_array();
            let peers = rule[peers].as_array();
            ports.is_none_or(|ports| ports.iter().any(|allowed| port.contains(&allowed["port"])))
                && peers.is_none_or(|peers| peers.iter().any(|peer| is_peer(peer, other)))
        })
}

/// A port by its number, and by the names that our containers give it.
fn passes(objects: &[Value], from: &End, to: &End, port: u16) -> bool {
    let policies = of_kind(objects, "NetworkPolicy");
    let mut names = vec![json!(port)];
    if let End::Pod(HERE, labels) = to {
        for (_, pod) in pods(objects) {
            if pod["metadata"]["labels"]["app.kubernetes.io/component"]
                == labels["app.kubernetes.io/component"]
            {
                let ports = pod["spec"]["containers"][0]["ports"].as_array().into_iter().flatten();
                names.extend(ports.filter(|p| p["containerPort"] == port).map(|p| p["name"].clone()));
            }
        }
    }
    lets(&policies, ("Egress", "egress", "to"), from, to, &names)
        && lets(&policies, ("Ingress", "ingress", "from"), to, from, &names)
}

fn check(objects: &[Value], flows: &[(End, End, u16, bool)]) {
    for (number, (from, to, port, wanted)) in flows.iter().enumerate() {
        assert_eq!(passes(objects, from, to, *port), *wanted, "flow {number}, port {port}");
    }
}

#[test]
fn by_default_only_the_named_flows_pass() {
    let [orchestrator, registry, test] = ["orchestrator", "registry", "test"].map(component);
    let (server, world, metadata) =
        (End::Address("10.98.0.1"), End::Address("203.0.113.7"), End::Address("169.254.169.254"));
    let flows = [
        (orchestrator.clone(), registry.clone(), 8000, true),
        (test.clone(), registry.clone(), 8000, true),
        (test.clone(), orchestrator.clone(), 9000, true),
        (orchestrator.clone(), pod("kube-system"), 53, true),
        (test.clone(), pod("kube-system"), 53, true),
        (orchestrator.clone(), server.clone(), 6443, true),
        // Agents, in the cluster and outside, on any port.
        (orchestrator.clone(), pod("team-a"), 8080, true),
        (orchestrator.clone(), world.clone(), 443, true),
        (orchestrator.clone(), End::Address("2001:db8::1"), 8443, true),
        (orchestrator.clone(), metadata.clone(), 80, false),
        (orchestrator.clone(), End::Address("fe80::1"), 80, false),
        // The registry asks callers for nothing: nobody else gets in, and it calls nobody.
        (pod("team-a"), registry.clone(), 8000, false),
        (pod(HERE), registry.clone(), 8000, false),
        (world.clone(), registry.clone(), 8000, false),
        (registry.clone(), world.clone(), 443, false),
        (registry.clone(), pod("kube-system"), 53, false),
        (registry.clone(), server.clone(), 6443, false),
        (registry.clone(), orchestrator.clone(), 9000, false),
        // Health and metrics: nobody until somebody is named.
        (pod("monitoring"), orchestrator.clone(), 9001, false),
        (pod("monitoring"), registry.clone(), 8001, false),
        (test.clone(), registry.clone(), 8001, false),
        // Pages and API.
        (pod(HERE), orchestrator.clone(), 9000, false),
        (pod("team-a"), orchestrator.clone(), 9000, false),
        (world, orchestrator, 9000, false),
        // The test's pods reach nothing else.
        (test.clone(), metadata, 80, false),
        (test.clone(), server, 6443, false),
        (pod("team-a"), test, 8000, false),
    ];
    check(&rendered(&[]), &flows);
}

#[test]
fn named_namespaces_reach_the_registry_and_named_peers_what_they_are_named_for() {
    let more = [
        "--set",
        "networkPolicy.registry.fromNamespaces={team-a,team-b}",
        "--set",
        "networkPolicy.orchestrator.from[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=ingress",
    ];
    let [orchestrator, registry] = ["orchestrator", "registry"].map(component);
    let flows = [
        (pod("team-a"), registry.clone(), 8000, true),
        (pod("team-b"), registry.clone(), 8000, true),
        (pod("team-c"), registry, 8000, false),
        (pod("ingress"), orchestrator.clone(), 9000, true),
        (pod("team-a"), orchestrator, 9000, false),
    ];
    check(&rendered(&more), &flows);
}

#[test]
fn a_registry_on_postgresql_reaches_its_database_and_dns_only() {
    let registry = component("registry");
    let flows = [
        (registry.clone(), pod("databases"), 6432, true),
        (registry.clone(), pod("kube-system"), 53, true),
        (registry.clone(), pod("databases"), 22, false),
        (registry.clone(), pod("team-a"), 6432, false),
        (registry, End::Address("203.0.113.7"), 443, false),
    ];
    check(&rendered(&["--values", &way("postgresql")]), &flows);
}

#[test]
fn probes_can_be_narrowed_without_cutting_the_orchestrator_off() {
    let narrow = [
        "--set-json",
        r#"networkPolicy.orchestrator.targets=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"team-a"}}}]"#,
    ];
    let orchestrator = component("orchestrator");
    let flows = [
        (orchestrator.clone(), pod("team-a"), 8080, true),
        (orchestrator.clone(), pod("team-b"), 8080, false),
        (orchestrator.clone(), End::Address("203.0.113.7"), 8080, false),
        (orchestrator.clone(), component("registry"), 8000, true),
        (orchestrator.clone(), pod("kube-system"), 53, true),
        (orchestrator, End::Address("10.98.0.1"), 6443, true),
    ];
    check(&rendered(&narrow), &flows);
}

#[test]
fn metrics_are_for_whom_they_are_meant_for_and_with_a_monitor_for_every_pod() {
    let [orchestrator, registry] = ["orchestrator", "registry"].map(component);
    let flows = |elsewhere: bool| {
        [
            (pod("monitoring"), orchestrator.clone(), 9001, true),
            (pod("monitoring"), registry.clone(), 8001, true),
            (pod("team-a"), orchestrator.clone(), 9001, elsewhere),
            (pod("monitoring"), orchestrator.clone(), 9000, false),
            (pod("monitoring"), registry.clone(), 8000, false),
            (End::Address("203.0.113.7"), orchestrator.clone(), 9001, false),
        ]
    };
    let from = r#"networkPolicy.metrics.from=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]"#;
    check(&rendered(&["--set-json", from]), &flows(false));
    let monitor = ["--set", "metrics.serviceMonitor.enabled=true"];
    check(&rendered(&monitor), &flows(true));
    check(&rendered(&[&monitor[..], &["--set-json", from]].concat()), &flows(false));
}
