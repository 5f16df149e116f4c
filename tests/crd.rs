//! The CRD as a document: it is what the types say, and it keeps the conventions that a linter can see.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use configurable_agents::api::{GROUP, VERSION, schema};
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/agentendpoints.yaml");

/// What the linter finds and we mean, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("spec.suspend boolean", "as in Job and CronJob: a third state is not thinkable"),
    (
        "status.conditions.*.observedGeneration integer-unbounded",
        "the schema of metav1.Condition, which gives a minimum only",
    ),
];

fn crd() -> Value {
    serde_saphyr::from_str(&schema::crd_yaml()).unwrap()
}

fn root() -> Value {
    crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Calls `look` with each schema of the tree and its path: property names, `*` for the items of a list or map.
fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    let below = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &below(name), look);
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            walk(&schema[key], &below("*"), look);
        }
    }
}

/// `crdlint.jq` of the rubric, and a little more: int-or-string, rules and their messages.
fn lint(schema: &Value) -> BTreeSet<String> {
    let mut findings = BTreeSet::new();
    walk(schema, "", &mut |path, node| {
        let has = |key: &str| node.get(key).is_some();
        let kind = node["type"].as_str().unwrap_or_default();
        let format = node["format"].as_str().unwrap_or_default();
        let either = node["x-kubernetes-int-or-string"] == true;
        let unbounded = !has("minimum") || !has("maximum");
        let checks = [
            (
                "string-without-maxLength",
                kind == "string"
                    && !has("maxLength")
                    && !has("enum")
                    && !["date-time", "duration"].contains(&format),
            ),
            ("array-without-maxItems", kind == "array" && !has("maxItems")),
            ("array-without-list-type", kind == "array" && !has("x-kubernetes-list-type")),
            (
                "map-without-maxProperties",
                kind == "object" && has("additionalProperties") && !has("maxProperties"),
            ),
            ("integer-unbounded", kind == "integer" && unbounded),
            ("bad-integer-format", kind == "integer" && !["int32", "int64"].contains(&format)),
            ("boolean", kind == "boolean"),
            ("float", kind == "number"),
            ("nullable", has("nullable")),
            ("no-description", node["description"].as_str().is_none_or(str::is_empty)),
            ("no-type", kind.is_empty() && !either),
            ("int-or-string-unbounded", either && (unbounded || !has("maxLength") || !has("pattern"))),
            ("unknown-fields-preserved", has("x-kubernetes-preserve-unknown-fields")),
            ("set-of-objects", node["x-kubernetes-list-type"] == "set" && node["items"]["type"] == "object"),
        ];
        findings.extend(checks.iter().filter(|(_, found)| *found).map(|(name, _)| format!("{path} {name}")));
    });
    findings
}

/// `UPDATE_CRDS=1 cargo test --test crd` writes the file instead.
#[test]
fn the_checked_in_file_is_what_the_types_generate() {
    let wanted = schema::crd_yaml();
    if std::env::var_os("UPDATE_CRDS").is_some() {
        std::fs::write(FILE, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        found == wanted,
        "crds/agentendpoints.yaml is not what src/api says: run `UPDATE_CRDS=1 cargo test --test crd` (or `configurable-agents crds > crds/agentendpoints.yaml`)"
    );
}

#[test]
fn the_linter_finds_only_what_is_allowed_with_a_reason() {
    let allowed: BTreeSet<String> = ALLOWED.iter().map(|(finding, _)| (*finding).to_owned()).collect();
    assert_eq!(lint(&root()), allowed);
}

#[test]
fn the_linter_sees_what_it_looks_for() {
    let bad: Value = serde_json::json!({"type": "object", "properties": {
        "a": {"type": "string"}, "b": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"},
        "c": {"type": "object", "additionalProperties": {"type": "number", "description": "."}},
        "d": {"type": "integer", "format": "uint16", "nullable": true}, "e": {"x-kubernetes-int-or-string": true},
        "f": {"x-kubernetes-preserve-unknown-fields": true},
    }});
    let found = lint(&bad);
    for finding in [
        "a string-without-maxLength",
        "a no-description",
        "b array-without-maxItems",
        "b set-of-objects",
        "c map-without-maxProperties",
        "c.* float",
        "d integer-unbounded",
        "d bad-integer-format",
        "d nullable",
        "e int-or-string-unbounded",
        "f unknown-fields-preserved",
        "f no-type",
    ] {
        assert!(found.contains(finding), "{finding} not in {found:?}");
    }
}

#[test]
fn the_file_has_no_empty_lists_no_phase_and_fits_into_an_annotation() {
    let text = schema::crd_yaml();
    assert!(text.starts_with("# Generated by `configurable-agents crds`"));
    for noise in [": []", "nullable", "preserve-unknown", "phase", "uint", "null"] {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(noise)).collect();
        assert!(lines.is_empty(), "{noise}: {lines:?}");
    }
    assert!(text.len() <= 256 * 1024, "{} bytes", text.len());
}

#[test]
fn the_names_are_complete_and_ours() {
    let crd = crd();
    let spec = &crd["spec"];
    assert_eq!(spec["group"], GROUP);
    assert_eq!(spec["versions"][0]["name"], VERSION);
    let names = serde_json::json!({
        "kind": "AgentEndpoint", "listKind": "AgentEndpointList", "plural": "agentendpoints", "singular": "agentendpoint",
        "shortNames": ["aep"], "categories": ["agents"],
    });
    assert_eq!(spec["names"], names);
    assert_eq!(spec["scope"], "Namespaced");
    let root = root();
    let top: Vec<&String> = root["properties"].as_object().unwrap().keys().collect();
    assert_eq!(top, ["spec", "status"]);
}

#[test]
fn nothing_inside_probe_has_a_schema_default() {
    walk(&root()["properties"]["spec"]["properties"]["probe"], "probe", &mut |path, node| {
        assert!(node.get("default").is_none(), "{path}");
    });
}

#[test]
fn the_other_defaults_are_static_and_few() {
    let mut defaults = Vec::new();
    walk(&root(), "", &mut |path, node| {
        if let Some(default) = node.get("default") {
            defaults.push(format!("{path}={default}"));
        }
    });
    defaults.sort();
    assert_eq!(
        defaults,
        [
            r#"spec.className="""#,
            r#"spec.minReady="100%""#,
            "spec.registration.policy=\"Mirror\"",
            "spec.registration.ttlSeconds=60",
            r#"spec.registration={"policy":"Mirror","ttlSeconds":60}"#,
            "spec.serviceRef.expand=\"Service\"",
            "spec.suspend=false",
            r#"status={"observedGeneration":-1}"#,
        ]
    );
}

#[test]
fn no_status_field_is_required_and_enumerations_are_camel_case() {
    let root = root();
    assert!(root["properties"]["status"].get("required").is_none());
    walk(&root, "", &mut |path, node| {
        for word in node["enum"].as_array().into_iter().flatten() {
            let word = word.as_str().unwrap();
            assert!(
                word.starts_with(|c: char| c.is_ascii_uppercase())
                    && word.chars().all(|c| c.is_ascii_alphanumeric()),
                "{path}: {word}"
            );
        }
        let name = path.rsplit('.').next().unwrap_or_default();
        let duration = name.ends_with("nterval") || name.ends_with("uration") || name.ends_with("imeout");
        assert!(!(duration && node["type"] == "string"), "{path} is a duration in a string");
    });
}

#[test]
fn every_rule_has_a_sentence_and_a_reason() {
    walk(&root(), "", &mut |path, node| {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().unwrap_or_default();
            let house = ["must ", "may only ", "may not ", "field is immutable"];
            assert!(house.iter().any(|start| message.starts_with(start)), "{path}: {message}");
            assert!(!message.contains("should") && !message.contains("self"), "{path}: {message}");
            assert!(rule["reason"].is_string(), "{path}: {message} has no reason");
        }
    });
}

#[test]
fn conditions_carry_the_limits_of_metav1_condition() {
    let item = root()["properties"]["status"]["properties"]["conditions"]["items"].clone();
    let mut required: Vec<&str> =
        item["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    required.sort_unstable();
    assert_eq!(required, ["lastTransitionTime", "message", "reason", "status", "type"]);
    let mut fields = item["properties"].clone();
    for field in fields.as_object_mut().unwrap().values_mut() {
        field.as_object_mut().unwrap().remove("description");
    }
    // Copied from the CRDs that controller-gen makes of k8s.io/apimachinery's markers.
    let upstream = serde_json::json!({
        "lastTransitionTime": {"format": "date-time", "type": "string"},
        "message": {"maxLength": 32768, "type": "string"},
        "observedGeneration": {"format": "int64", "minimum": 0, "type": "integer"},
        "reason": {"maxLength": 1024, "minLength": 1, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", "type": "string"},
        "status": {"enum": ["True", "False", "Unknown"], "type": "string"},
        "type": {"maxLength": 316, "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$", "type": "string"},
    });
    assert_eq!(fields, upstream);
}
