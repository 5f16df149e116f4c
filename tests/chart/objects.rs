//! What is rendered: labels, names, images, pods, budgets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helm::{Helm, chart, kind, name, objects, of_kind, pods, rendered, way, ways};

/// Values files that need nothing but this chart's templates.
fn all_ways() -> Vec<(String, Vec<Value>)> {
    ways()
        .iter()
        .map(|file| {
            let file = file.display().to_string();
            let objects = rendered(&["--values", &file]);
            (file, objects)
        })
        .collect()
}

#[test]
fn lint_has_nothing_to_say_of_any_way_to_install() {
    for helm in Helm::BOTH {
        for file in ways() {
            let (chart, file) = (chart().display().to_string(), file.display().to_string());
            helm.run(&["lint", "--strict", "--kube-version", "1.36.0", &chart, "--values", &file])
                .unwrap_or_else(|error| panic!("{helm:?} {file}: {error}"));
        }
    }
}

#[test]
fn both_helms_render_the_same_objects_and_twice_the_same_text() {
    for file in ways() {
        let file = file.display().to_string();
        let values = ["--values", file.as_str()];
        let first = Helm::V4.template("one", &values).unwrap();
        assert_eq!(first, Helm::V4.template("one", &values).unwrap(), "{file}");
        let sorted = |text: &str| {
            let mut texts: Vec<String> = objects(text).iter().map(ToString::to_string).collect();
            texts.sort();
            texts
        };
        assert_eq!(sorted(&first), sorted(&Helm::V3.template("one", &values).unwrap()), "{file}");
    }
}

#[test]
fn every_object_has_the_recommended_labels_and_selectors_use_only_those_that_never_change() {
    let stable: BTreeSet<&str> =
        ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"].into();
    let mut selectors = 0;
    for (file, objects) in all_ways() {
        for object in &objects {
            let labels = object["metadata"]["labels"].as_object().unwrap();
            for label in ["name", "instance", "component", "version", "part-of", "managed-by"] {
                assert!(
                    labels.contains_key(&format!("app.kubernetes.io/{label}")),
                    "{file}: {} has no {label}",
                    name(object)
                );
            }
            assert!(labels.contains_key("helm.sh/chart"), "{file}: {}", name(object));
            let selector = match kind(object) {
                "Service" => &object["spec"]["selector"],
                "Deployment" | "StatefulSet" | "PodDisruptionBudget" | "ServiceMonitor" => {
                    &object["spec"]["selector"]["matchLabels"]
                }
                "NetworkPolicy" => &object["spec"]["podSelector"]["matchLabels"],
                _ => continue,
            };
            let keys: BTreeSet<&str> = selector.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, stable, "{file}: {} {}", kind(object), name(object));
            selectors += 1;
        }
    }
    assert!(selectors > 30, "{selectors}");
}

#[test]
fn every_namespaced_object_says_the_releases_namespace() {
    let cluster = ["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"];
    for (file, objects) in all_ways() {
        for object in &objects {
            let namespace = object["metadata"]["namespace"].as_str();
            let watched = ["Role", "RoleBinding"].contains(&kind(object)) && file.contains("namespaced");
            match namespace {
                None => assert!(cluster.contains(&kind(object)), "{file}: {} {}", kind(object), name(object)),
                Some("team-a" | "team-b") => assert!(watched, "{file}: {} {}", kind(object), name(object)),
                Some(namespace) => assert_eq!(namespace, "agents-system", "{file}: {}", name(object)),
            }
        }
    }
}

#[test]
fn images_have_a_version_and_latest_is_refused() {
    let mut images = BTreeSet::new();
    for (_, objects) in all_ways() {
        for (_, pod) in pods(&objects) {
            images.insert(pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned());
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        images.contains(&format!("ghcr.io/configurable-agents/configurable-agents:{version}")),
        "{images:?}"
    );
    assert!(images.iter().all(|image| image.split('/').next_back().unwrap().contains(':')), "{images:?}");
    assert!(images.iter().any(|image| image.contains("@sha256:")), "{images:?}");
    let refused = Helm::V4.template("one", &["--set", "image.tag=latest"]).unwrap_err();
    assert!(refused.contains("image.tag"), "{refused}");
}

#[test]
fn every_pod_is_what_pod_security_restricted_wants_and_more() {
    for (file, objects) in all_ways() {
        for (owner, pod) in pods(&objects) {
            let spec = &pod["spec"];
            let context = &spec["securityContext"];
            assert_eq!(context["runAsNonRoot"], true, "{file}: {owner}");
            assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{file}: {owner}");
            assert_eq!(
                spec["enableServiceLinks"], false,
                "{file}: {owner}: a Service would set our variables"
            );
            // Only the orchestrator calls the API server.
            let token = spec["automountServiceAccountToken"] == true;
            assert_eq!(
                token,
                owner.ends_with("-orchestrator") && !owner.contains("-test-"),
                "{file}: {owner}"
            );
            for container in spec["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false, "{file}: {owner}");
                assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{file}: {owner}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{file}: {owner}");
                assert!(container["resources"]["requests"]["cpu"].is_string(), "{file}: {owner}");
            }
        }
    }
    for (owner, pod) in pods(&rendered(&[])) {
        assert_eq!(pod["spec"]["securityContext"]["runAsUser"], 65532, "{owner}");
        assert_eq!(
            pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true,
            "{owner}"
        );
    }
}

#[test]
fn no_object_holds_a_secret() {
    for (file, objects) in all_ways() {
        assert!(of_kind(&objects, "Secret").is_empty(), "{file}");
        for (owner, pod) in pods(&objects) {
            let container = &pod["spec"]["containers"][0];
            for variable in container["env"].as_array().into_iter().flatten() {
                let plain = variable["value"].as_str().unwrap_or_default();
                assert!(
                    plain.is_empty() || plain == "UTC" || plain.ends_with("-reader"),
                    "{file}: {owner}: {variable}"
                );
            }
            for argument in container["args"].as_array().unwrap() {
                let argument = argument.as_str().unwrap();
                let (flag, value) = argument.split_once('=').unwrap_or((argument, ""));
                let secret = ["token", "password", "secret", "key"].iter().any(|word| flag.contains(word));
                assert!(!secret || value.starts_with('/'), "{file}: {owner}: {argument}");
                assert!(
                    !value.contains('@') && !value.starts_with("postgres"),
                    "{file}: {owner}: {argument}"
                );
            }
        }
    }
    let postgres = rendered(&["--values", &way("postgresql")]);
    let registry = of_kind(&postgres, "Deployment")
        .into_iter()
        .find(|object| name(object).ends_with("-registry"))
        .unwrap();
    let variable = &registry["spec"]["template"]["spec"]["containers"][0]["env"][0];
    let wanted = json!({"name": "AGENT_REGISTRY_DB_URL", "valueFrom": {"secretKeyRef": {"name": "agent-registry-database", "key": "dsn"}}});
    assert_eq!(*variable, wanted);
}

#[test]
fn a_budget_exists_only_with_more_than_one_replica_and_never_holds_up_a_broken_pod() {
    for (replicas, budgets) in [(1, 0), (2, 1), (3, 1)] {
        let objects = rendered(&["--set", &format!("orchestrator.replicas={replicas}")]);
        let found = of_kind(&objects, "PodDisruptionBudget");
        assert_eq!(found.len(), budgets, "{replicas} replicas");
        for budget in found {
            assert_eq!(budget["spec"]["maxUnavailable"], 1);
            assert!(budget["spec"]["minAvailable"].is_null());
            assert_eq!(budget["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
        }
    }
}

#[test]
fn the_registry_is_one_on_a_volume_or_several_on_postgresql() {
    let sqlite = rendered(&[]);
    let registry = of_kind(&sqlite, "StatefulSet")[0];
    assert_eq!(registry["spec"]["replicas"], 1);
    // Else a broken pod holds up the rollback that would mend it.
    assert_eq!(registry["spec"]["podManagementPolicy"], "Parallel");
    let claim = &registry["spec"]["volumeClaimTemplates"][0];
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    assert_eq!(registry["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
    // A claim's template cannot be changed: nothing in it may depend on the chart's version.
    let labels = claim["metadata"]["labels"].as_object().unwrap();
    assert_eq!(labels.len(), 3, "{labels:?}");
    let postgres = rendered(&["--values", &way("postgresql")]);
    assert!(of_kind(&postgres, "StatefulSet").is_empty());
    let registry = of_kind(&postgres, "Deployment")
        .into_iter()
        .find(|object| name(object).ends_with("-registry"))
        .unwrap();
    assert_eq!(registry["spec"]["replicas"], 3);
    assert!(!registry.to_string().contains("sqlite"), "{registry}");
}

#[test]
fn probes_ask_separate_paths_and_a_stop_has_time() {
    for (owner, pod) in pods(&rendered(&["--set", "orchestrator.replicas=2"])) {
        if owner.contains("-test-") {
            continue;
        }
        let container = &pod["spec"]["containers"][0];
        let path = |probe: &str| {
            let ask = &container[probe]["httpGet"];
            assert_eq!(ask["port"], "ops", "{owner}: {probe}");
            ask["path"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            [path("startupProbe"), path("livenessProbe"), path("readinessProbe")],
            ["/livez", "/livez", "/readyz"]
        );
        assert!(pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap() > 10 + 3, "{owner}");
        let sleeps = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
        assert_eq!(
            sleeps,
            owner.ends_with("orchestrator").then_some(3),
            "{owner}: of use only where another takes over"
        );
    }
}

#[test]
fn replicas_wish_for_nodes_of_their_own_and_do_not_demand_them() {
    for (replicas, wanted) in [(1, 0), (2, 1)] {
        let objects = rendered(&["--set", &format!("orchestrator.replicas={replicas}")]);
        let spread =
            &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["topologySpreadConstraints"];
        let spread = spread.as_array().cloned().unwrap_or_default();
        assert_eq!(spread.len(), wanted);
        assert!(spread.iter().all(|rule| rule["whenUnsatisfiable"] == "ScheduleAnyway"));
    }
}

#[test]
fn settings_roll_the_pods_that_read_them() {
    let annotation = |more: &[&str]| {
        let objects = rendered(more);
        of_kind(&objects, "Deployment")[0]["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
            .clone()
    };
    let changed = annotation(&["--set", "orchestrator.settings.default-period-seconds=30"]);
    assert_ne!(annotation(&[]), changed);
    assert_eq!(annotation(&[]), annotation(&["--set", "registry.settings.x=1"]));
}

#[test]
fn the_crd_stays_when_the_release_goes_unless_told_otherwise() {
    let policy = |more: &[&str]| {
        let objects = rendered(more);
        let crd = of_kind(&objects, "CustomResourceDefinition");
        crd.first().map(|crd| crd["metadata"]["annotations"]["helm.sh/resource-policy"].clone())
    };
    assert_eq!(policy(&[]), Some(json!("keep")));
    assert_eq!(policy(&["--set", "crds.keep=false"]), Some(Value::Null));
    assert_eq!(policy(&["--set", "crds.install=false"]), None);
}

#[test]
fn two_releases_share_no_object_but_the_crd() {
    let names = |release: &str, namespace: &str, more: &[&str]| {
        let text = Helm::V4.template(release, &[&["--namespace", namespace], more].concat()).unwrap();
        let key =
            |object: &Value| format!("{} {} {}", kind(object), object["metadata"]["namespace"], name(object));
        objects(&text).iter().map(key).collect::<BTreeSet<String>>()
    };
    let override_ = ["--set", "fullnameOverride=agents"];
    for (one, two) in [
        (names("one", "a", &[]), names("two", "a", &["--set", "crds.install=false"])),
        (names("one", "a", &[]), names("one", "b", &["--set", "crds.install=false"])),
        (
            names("one", "a", &override_),
            names("two", "b", &[&override_[..], &["--set", "crds.install=false"]].concat()),
        ),
        // What a hyphen between the parts would make the same.
        (
            names("configurable-agents-b", "a", &[]),
            names("configurable-agents", "b-a", &["--set", "crds.install=false"]),
        ),
    ] {
        let shared: Vec<&String> = one.intersection(&two).collect();
        assert!(shared.is_empty(), "{shared:?}");
        assert!(one.len() > 20);
    }
}

#[test]
fn the_lease_is_an_object_of_the_release_that_no_apply_takes_from_its_holder() {
    let objects = rendered(&[]);
    let lease = of_kind(&objects, "Lease")[0];
    assert!(lease["spec"].is_null());
    let args =
        of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains(&format!("--lease-name={}\"", name(lease))), "{args}");
}

#[test]
fn the_test_pods_ask_the_services_that_exist() {
    for (way_, wanted) in [("default", 2), ("external-registry", 1)] {
        let objects = rendered(&["--values", &way(way_)]);
        let tests = of_kind(&objects, "Pod");
        assert_eq!(tests.len(), wanted, "{way_}");
        for pod in tests {
            let args = pod["spec"]["containers"][0]["args"].as_array().unwrap();
            let url = args.iter().filter_map(Value::as_str).find(|arg| arg.starts_with("http://")).unwrap();
            let (host, port) = url.trim_start_matches("http://").split_once(':').unwrap();
            let service = of_kind(&objects, "Service")
                .into_iter()
                .find(|service| host.starts_with(&format!("{}.agents-system.", name(service))))
                .unwrap();
            assert_eq!(service["spec"]["ports"][0]["port"].to_string(), port);
        }
    }
}

#[test]
fn the_monitoring_objects_lead_to_what_is_there() {
    let objects = rendered(&["--values", &way("monitoring")]);
    let monitors = of_kind(&objects, "ServiceMonitor");
    assert_eq!(monitors.len(), 2);
    for monitor in monitors {
        let (port, wanted) =
            (&monitor["spec"]["endpoints"][0]["port"], &monitor["spec"]["selector"]["matchLabels"]);
        let selected = |object: &&Value| {
            wanted.as_object().unwrap().iter().all(|(key, value)| object["metadata"]["labels"][key] == *value)
        };
        let services: Vec<&Value> = of_kind(&objects, "Service").into_iter().filter(selected).collect();
        let found: Vec<&Value> = services
            .iter()
            .flat_map(|service| service["spec"]["ports"].as_array().unwrap())
            .filter(|found| found["name"] == *port)
            .collect();
        assert_eq!(found.len(), 1, "{}", name(monitor));
        let pods = pods(&objects);
        let ports = pods
            .iter()
            .filter(|(_, pod)| selected(&&**pod))
            .flat_map(|(_, pod)| pod["spec"]["containers"][0]["ports"].as_array().unwrap());
        let numbers: Vec<&Value> =
            ports.filter(|port| port["name"] == "ops").map(|port| &port["containerPort"]).collect();
        assert_eq!(numbers, [&found[0]["port"]], "{}", name(monitor));
    }
    let rule = of_kind(&objects, "PrometheusRule")[0];
    let alerts: Vec<&Value> = rule["spec"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .filter(|rule| !rule["alert"].is_null())
        .collect();
    assert!(alerts.len() > 5);
    for alert in alerts {
        let wanted = format!("https://runbooks.example/agents/{}.md", alert["alert"].as_str().unwrap());
        assert_eq!(alert["annotations"]["runbook_url"], *wanted);
    }
    let dashboard =
        of_kind(&objects, "ConfigMap").into_iter().find(|map| name(map).ends_with("-dashboard")).unwrap();
    serde_json::from_str::<Value>(dashboard["data"]["configurable-agents.json"].as_str().unwrap()).unwrap();
    // Braces of the rules and the dashboard are for Prometheus and Grafana, not for Helm.
    assert!(rule.to_string().contains("{{ $labels."), "{rule}");
}
