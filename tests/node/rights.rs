//! The audit log against what was granted.

use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value;

use crate::bed::Node;
use crate::support::AuditEvent;

fn of_release(node: &Node, namespace: &str) -> Vec<AuditEvent> {
    let account = format!("system:serviceaccount:{namespace}:");
    let events: Vec<_> = node.audit().into_iter().filter(|e| e.user().starts_with(&account)).collect();
    assert!(events.len() > 10, "the audit log was read");
    events
}

/// No call of the release's accounts was refused, but while the API server was starting.
pub fn nothing_forbidden(node: &Node, namespace: &str, restarts: &[Range<Timestamp>]) {
    let forbidden: Vec<_> = of_release(node, namespace)
        .iter()
        .filter(|e| matches!(e.code(), 401 | 403) && !restarts.iter().any(|r| r.contains(&e.time())))
        .map(|e| format!("{} {} {}", e.code(), e.verb(), e.uri()))
        .collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// Roles and rules that the bindings of `kind` give to accounts of the namespace.
async fn granted(node: &Node, binding: &str, namespace: &str) -> Vec<(String, Value)> {
    let mut rules = Vec::new();
    let all = node.json(&["get", binding, "-A"]).await;
    for item in all["items"].as_array().unwrap() {
        let ours = |s: &Value| s["kind"] == "ServiceAccount" && s["namespace"] == namespace;
        if !item["subjects"].as_array().is_some_and(|subjects| subjects.iter().any(ours)) {
            continue;
        }
        let (kind, name) =
            (item["roleRef"]["kind"].as_str().unwrap(), item["roleRef"]["name"].as_str().unwrap());
        let there = item["metadata"]["namespace"].as_str().unwrap_or("default");
        let role = node.json(&["get", kind, name, "-n", there]).await;
        let of_role = role["rules"].as_array().cloned().unwrap_or_default();
        rules.extend(of_role.into_iter().map(|rule| (format!("{kind} {name}"), rule)));
    }
    rules
}

/// Every verb of every rule that the release's accounts have is in the audit log, and nothing was refused.
pub async fn nothing_forbidden_and_every_right_used(
    node: &Node,
    namespace: &str,
    restarts: &[Range<Timestamp>],
) {
    nothing_forbidden(node, namespace, restarts);
    let events = of_release(node, namespace);
    let mut rules = granted(node, "clusterrolebindings", namespace).await;
    rules.extend(granted(node, "rolebindings", namespace).await);
    assert!(!rules.is_empty(), "the bindings were read");
    let (mut unused, mut seen) = (Vec::new(), 0);
    for (role, rule) in rules {
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                let (resource, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
                for verb in strings(&rule["verbs"]) {
                    let used = events.iter().any(|e| {
                        e.group() == group
                            && e.resource() == resource
                            && e.subresource() == subresource
                            && e.verb() == verb
                            && !matches!(e.code(), 401 | 403) // 404 is an answer
                    });
                    if used {
                        seen += 1
                    } else {
                        unused.push(format!("{role}: {verb} {group}/{resource}/{subresource}"))
                    }
                }
            }
        }
    }
    println!("{seen} rights, each used");
    assert!(unused.is_empty(), "granted and never used: {unused:#?}");
}
