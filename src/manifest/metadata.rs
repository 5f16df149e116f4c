//! `metadata`, as the API server checks it for objects of every kind.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::check::{Report, shown};
use super::node::{Kind, Node};
use super::problem::Problem;
use super::schema::Schema;

/// All annotations of an object together, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let time = json!({"type": "string", "format": "date-time"});
    let whole = json!({"type": "integer"});
    let yes_no = json!({"type": "boolean"});
    let list = |fields: Value| json!({"type": "array", "items": {"type": "object", "properties": fields}});
    Schema::compile(&json!({"type": "object", "properties": {
        "annotations": texts, "labels": texts,
        "creationTimestamp": time, "deletionTimestamp": time,
        "deletionGracePeriodSeconds": whole, "generation": whole,
        "finalizers": {"type": "array", "items": text},
        "generateName": text, "name": text, "namespace": text,
        "resourceVersion": text, "selfLink": text, "uid": text,
        "managedFields": list(json!({
            "apiVersion": text, "fieldsType": text, "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "manager": text, "operation": text, "subresource": text, "time": time,
        })),
        "ownerReferences": list(json!({
            "apiVersion": text, "kind": text, "name": text, "uid": text, "controller": yes_no, "blockOwnerDeletion": yes_no,
        })),
    }}))
    .ok()
});

/// Checks the `metadata` of a document and hands it back without what is `null`.
pub fn check(report: &mut Report, document: &Node) -> Value {
    let Some((metadata, schema)) = document.get("metadata").zip(SCHEMA.as_ref()) else {
        report.problem(Problem::new(document.at, "metadata.name", "required"));
        return json!({});
    };
    let value = report.check(schema, metadata, "metadata");
    let Kind::Map(_) = metadata.kind else { return value };
    names(report, metadata);
    for (name, is_label) in [("labels", true), ("annotations", false)] {
        let Some(map) = metadata.get(name) else { continue };
        let mut bytes = 0;
        for (key, field) in map.fields().into_iter().flatten() {
            // Annotations may have capital letters in the prefix.
            let checked = if is_label { key.clone() } else { key.to_lowercase() };
            if let Some(wrong) = qualified_name(&checked) {
                report.problem(Problem::new(field.at, format!("metadata.{name}.{key}"), wrong));
            }
            let text = field.node.text().unwrap_or_default();
            bytes += key.len() + text.len();
            if is_label && !(text.is_empty() || is_name_part(text)) {
                let what = "a label's value has at most 63 letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit";
                report.problem(Problem::new(field.node.at, format!("metadata.labels.{key}"), what));
            }
        }
        if !is_label && bytes > MAX_ANNOTATIONS {
            let what = format!("{bytes} bytes together, and at most {MAX_ANNOTATIONS} are allowed");
            report.problem(Problem::new(map.at, "metadata.annotations", what));
        }
    }
    finalizers(report, metadata);
    owners(report, metadata);
    value
}

fn names(report: &mut Report, metadata: &Node) {
    let subdomain = "must have lower-case letters, digits, `-` and `.`, begin and end with a letter or digit, and have at most 253 characters";
    let text = |name: &str| metadata.get(name).and_then(Node::text).filter(|text| !text.is_empty());
    let at = |name: &str| metadata.get(name).map_or(metadata.at, |node| node.at);
    match text("name") {
        Some(name) if !is_subdomain(name) => {
            report.problem(Problem::new(at("name"), "metadata.name", format!("{} {subdomain}", shown(name))));
        }
        None if text("generateName").is_some() => report.problem(
            Problem::new(at("generateName"), "metadata.generateName", "cannot be applied again and again")
                .hint("give it a name"),
        ),
        // A name of a wrong type has been reported.
        None if metadata.get("name").is_none_or(|name| name.text().is_some()) => {
            report.problem(Problem::new(at("name"), "metadata.name", "required"));
        }
        _ => {}
    }
    if let Some(prefix) = text("generateName").filter(|prefix| !is_subdomain(&masked(prefix))) {
        let what = format!("{} {subdomain}", shown(prefix));
        report.problem(Problem::new(at("generateName"), "metadata.generateName", what));
    }
    if let Some(namespace) = text("namespace").filter(|namespace| !is_label(namespace)) {
        let what =
            format!("{} is not made of at most 63 lower-case letters, digits and `-`", shown(namespace));
        report.problem(Problem::new(at("namespace"), "metadata.namespace", what));
    }
}

fn finalizers(report: &mut Report, metadata: &Node) {
    let Some(Kind::List(items)) = metadata.get("finalizers").map(|list| &list.kind) else { return };
    for (index, item) in items.iter().enumerate() {
        if let Some(wrong) = item.text().and_then(qualified_name) {
            report.problem(Problem::new(item.at, format!("metadata.finalizers[{index}]"), wrong));
        }
    }
}

fn owners(report: &mut Report, metadata: &Node) {
    let Some(Kind::List(items)) = metadata.get("ownerReferences").map(|list| &list.kind) else { return };
    let mut controllers = 0;
    for (index, owner) in items.iter().enumerate().filter(|(_, owner)| owner.fields().is_some()) {
        let path = format!("metadata.ownerReferences[{index}]");
        let text = |name: &str| owner.get(name).and_then(Node::text).unwrap_or_default();
        for name in ["kind", "name", "uid"].into_iter().filter(|name| text(name).is_empty()) {
            report.problem(Problem::new(owner.at, format!("{path}.{name}"), "required"));
        }
        let version = text("apiVersion");
        let slashes = version.matches('/').count();
        if version.is_empty() || version.ends_with('/') || slashes > 1 {
            report.problem(Problem::new(
                owner.at,
                format!("{path}.apiVersion"),
                "must be a version, or a group, `/` and a version",
            ));
        }
        if (version == "v1" || version == "events.k8s.io/v1") && text("kind") == "Event" {
            report.problem(Problem::new(owner.at, path, "an Event owns nothing"));
        }
        controllers +=
            usize::from(matches!(owner.get("controller").map(|n| &n.kind), Some(Kind::Bool(true))));
        if controllers == 2 {
            let what = "only one owner can be the controller";
            report.problem(Problem::new(owner.at, "metadata.ownerReferences", what));
            controllers = 0;
        }
    }
}

/// A prefix that ends with `-` as Kubernetes looks at it: it takes an `a` for the last two characters.
fn masked(prefix: &str) -> String {
    let kept = prefix.strip_suffix('-').and_then(|rest| rest.get(..rest.len().checked_sub(1)?));
    kept.map_or_else(|| prefix.to_owned(), |kept| format!("{kept}a"))
}

/// RFC 1123 label: at most 63 lower-case letters, digits and `-`.
pub fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= 63 && edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inner)
}

/// RFC 1123 subdomain, as Kubernetes has it: its labels have no bound of their own.
fn is_subdomain(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let part = |p: &str| edge(p.chars().next()) && edge(p.chars().last()) && p.chars().all(inner);
    text.len() <= 253 && text.split('.').all(part)
}

/// The name of a label, its value, or the name of an annotation, without a prefix.
fn is_name_part(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 63 && edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inner)
}

fn qualified_name(text: &str) -> Option<&'static str> {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return Some("the prefix before `/` must be a lower-case DNS name of at most 253 characters");
    }
    (!is_name_part(name)).then_some(
        "a name has at most 63 letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit",
    )
}
