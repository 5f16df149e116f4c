//! What the chart grants: exactly the reviewed list.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{kind, name, of_kind, rendered, way};

/// `group/resource[names] verb`, of all rules.
fn grants(objects: &[&Value]) -> BTreeSet<String> {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in objects.iter().flat_map(|object| object["rules"].as_array().unwrap()) {
        assert!(rule["nonResourceURLs"].is_null(), "{rule}");
        let names = strings(&rule["resourceNames"]).join(",");
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    let group = if group.is_empty() { "core" } else { &group };
                    all.insert(format!("{group}/{resource}[{names}] {verb}"));
                }
            }
        }
    }
    all
}

const WATCHED: [&str; 9] = [
    "agents.configurable.dev/agentendpoints[] get",
    "agents.configurable.dev/agentendpoints[] list",
    "agents.configurable.dev/agentendpoints[] watch",
    "agents.configurable.dev/agentendpoints/status[] patch",
    "core/namespaces[] get",
    "core/services[] list",
    "core/services[] watch",
    "events.k8s.io/events[] create",
    "events.k8s.io/events[] patch",
];
const OWN: [&str; 3] = [
    "coordination.k8s.io/leases[] create",
    "coordination.k8s.io/leases[one-configurable-agents] get",
    "coordination.k8s.io/leases[one-configurable-agents] update",
];

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The role that a binding names.
fn bound<'a>(objects: &'a [Value], binding: &Value) -> &'a Value {
    let role = objects.iter().find(|object| {
        kind(object) == binding["roleRef"]["kind"]
            && name(object) == binding["roleRef"]["name"]
            && object["metadata"]["namespace"] == binding["metadata"]["namespace"]
    });
    role.unwrap_or_else(|| panic!("{binding} names a role that is not there"))
}

#[test]
fn the_orchestrator_has_the_reviewed_rights_and_the_registry_none() {
    let objects = rendered(&[]);
    let everywhere = of_kind(&objects, "ClusterRoleBinding");
    let here = of_kind(&objects, "RoleBinding");
    assert_eq!((everywhere.len(), here.len()), (1, 1));
    assert_eq!(grants(&[bound(&objects, everywhere[0])]), set(&WATCHED));
    assert_eq!(grants(&[bound(&objects, here[0])]), set(&OWN));
    for binding in everywhere.iter().chain(&here) {
        let subjects = binding["subjects"].as_array().unwrap();
        assert_eq!(subjects.len(), 1);
        assert_eq!(subjects[0]["name"], "one-configurable-agents-orchestrator");
        assert_eq!(subjects[0]["namespace"], "agents-system");
    }
}

#[test]
fn with_watched_namespaces_nothing_is_cluster_wide() {
    let objects = rendered(&["--values", &way("namespaced")]);
    for wide in ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"] {
        assert!(of_kind(&objects, wide).is_empty(), "{wide}");
    }
    for namespace in ["team-a", "team-b"] {
        let bindings: Vec<&Value> = of_kind(&objects, "RoleBinding")
            .into_iter()
            .filter(|binding| binding["metadata"]["namespace"] == namespace)
            .collect();
        assert_eq!(bindings.len(), 1);
        // A Namespace is read by name, which a Role of that namespace can grant.
        let wanted: Vec<String> = WATCHED
            .iter()
            .map(|grant| grant.replace("namespaces[]", &format!("namespaces[{namespace}]")))
            .collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        assert_eq!(grants(&[bound(&objects, bindings[0])]), set(&wanted));
        assert_eq!(bindings[0]["subjects"][0]["namespace"], "agents-system");
    }
}

#[test]
fn nothing_in_any_role_is_a_wildcard_or_a_way_to_more_rights() {
    for objects in [rendered(&[]), rendered(&["--values", &way("namespaced")])] {
        for role in objects.iter().filter(|object| kind(object).ends_with("Role")) {
            let text = role["rules"].to_string();
            for word in [
                "\"*\"",
                "escalate",
                "bind",
                "impersonate",
                "pods/exec",
                "nodes/proxy",
                "customresourcedefinitions",
            ] {
                assert!(!text.contains(word), "{}: {word}", name(role));
            }
            if text.contains("\"secrets\"") {
                assert_eq!(grants(&[role]), set(&["core/secrets[] get"]), "{}", name(role));
            }
        }
    }
}

#[test]
fn people_get_roles_that_are_bound_to_nobody() {
    let objects = rendered(&[]);
    let role = |suffix: &str| {
        let roles = of_kind(&objects, "ClusterRole");
        roles
            .into_iter()
            .find(|role| name(role) == format!("one-configurable-agents:agents-system:{suffix}"))
            .unwrap()
    };
    let on = |verbs: &[&str]| -> BTreeSet<String> {
        verbs.iter().map(|verb| format!("agents.configurable.dev/agentendpoints[] {verb}")).collect()
    };
    assert_eq!(grants(&[role("view")]), on(&["get", "list", "watch"]));
    let edit = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    assert_eq!(grants(&[role("edit")]), on(&edit));
    assert_eq!(grants(&[role("secret-reader")]), set(&["core/secrets[] get"]));
    assert_eq!(grants(&[role("configmap-reader")]), set(&["core/configmaps[] get"]));
    let bound: Vec<&Value> = objects.iter().filter(|object| kind(object).ends_with("Binding")).collect();
    for binding in bound {
        let to = binding["roleRef"]["name"].as_str().unwrap();
        assert!(
            !["view", "edit", "secret-reader", "configmap-reader"]
                .iter()
                .any(|role| to.ends_with(&format!(":{role}"))),
            "{to}"
        );
    }
}

#[test]
fn aggregation_to_editors_has_to_be_asked_for() {
    let labels = |more: &[&str], suffix: &str| {
        let objects = rendered(more);
        let roles = of_kind(&objects, "ClusterRole");
        let role = roles.into_iter().find(|role| name(role).ends_with(suffix)).unwrap();
        let labels = role["metadata"]["labels"].as_object().unwrap().keys();
        labels
            .filter_map(|key| key.strip_prefix("rbac.authorization.k8s.io/aggregate-to-"))
            .map(str::to_owned)
            .collect::<BTreeSet<String>>()
    };
    assert_eq!(labels(&[], ":view"), set(&["view", "edit", "admin"]));
    assert_eq!(labels(&[], ":edit"), set(&[]));
    assert_eq!(labels(&[], ":secret-reader"), set(&[]));
    assert_eq!(labels(&["--set", "userRoles.aggregateToEdit=true"], ":edit"), set(&["edit", "admin"]));
    assert_eq!(labels(&["--set", "userRoles.aggregateToView=false"], ":view"), set(&[]));
}

/// What a status tells a tenant to bind is a role that is there, of the kind that it says.
#[test]
fn the_orchestrator_names_the_roles_that_the_chart_ships() {
    for (set, kind) in [(&[][..], "ClusterRole"), (&["--set", "watchNamespaces={team-a}"], "Role")] {
        let objects = rendered(set);
        let roles: Vec<&str> = of_kind(&objects, kind).into_iter().map(name).collect();
        let variables =
            &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["env"];
        for (variable, suffix) in
            [("SECRET_READER_ROLE", ":secret-reader"), ("CONFIGMAP_READER_ROLE", ":configmap-reader")]
        {
            let variable =
                variables.as_array().unwrap().iter().find(|found| found["name"] == variable).unwrap();
            let value = variable["value"].as_str().unwrap();
            let role = if kind == "Role" { value.strip_prefix("Role/").unwrap_or_default() } else { value };
            assert!(role.ends_with(suffix) && roles.contains(&role), "{value}: {roles:?}");
        }
    }
}
