//! Manifests: the files that `kubectl apply` reads, with the API server's own verdict on each, and without a cluster.
//!
//! Text is cut and read as kubectl reads it, then checked against the schema of our own CRD, its CEL rules
//! included. Every problem knows file, line, column and field; all of a document are found at once, and none
//! hides another document. What kubectl lets through and what is probably not meant is a warning.

mod check;
mod data;
mod documents;
pub mod files;
mod metadata;
mod node;
mod problem;
mod quirks;
mod reader;
mod rules;
mod scalar;
mod schema;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::json;

use crate::api::v1alpha1::AgentEndpoint;
use crate::api::{GROUP, VERSION};
use crate::domain::EndpointId;
use crate::domain::reference::ReferenceKind;
use check::Report;
pub use data::DataObject;
use documents::{decode, split};
use node::{Kind, Node};
pub use problem::{Position, Problem};
use schema::Schema;

/// An endpoint that a file declares.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Namespace and name.
    pub id: EndpointId,
    /// The object, with the schema's defaults.
    pub object: AgentEndpoint,
    /// Where its document begins.
    pub at: Position,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The endpoints that can be used.
    pub endpoints: Vec<Declaration>,
    /// The Secrets and `ConfigMaps`: what endpoints name where there is no cluster.
    pub data: Vec<DataObject>,
    /// Objects of other kinds, those among them: the same file may serve `kubectl apply`.
    pub others: usize,
    /// There is nothing in it, not even a comment.
    pub blank: bool,
    /// What the API server would refuse.
    pub problems: Vec<Problem>,
    /// What it accepts and what is probably not meant.
    pub warnings: Vec<Problem>,
}

/// The schema of the CRD that is shipped.
static SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    let crd = serde_json::to_value(crate::api::schema::crd()).map_err(|error| error.to_string())?;
    Schema::compile(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
});

/// Reads a file's content.
pub fn read(bytes: &[u8]) -> Manifest {
    let mut manifest = Manifest::default();
    let (text, replaced) = decode(bytes);
    if replaced {
        let what = "some bytes are not UTF-8; they are read as U+FFFD";
        manifest.warnings.push(Problem::new(Position::START, "", what));
    }
    manifest.blank = text.lines().all(|line| matches!(line.trim(), "" | "---"));
    for document in split(&text, &mut manifest.problems) {
        let mut report = Report::default();
        match reader::parse(&document, &mut report.warnings) {
            Ok(root) => object(&root, &mut report, &mut manifest, None),
            Err(problem) => report.problem(problem),
        }
        manifest.problems.append(&mut report.problems);
        manifest.warnings.append(&mut report.warnings);
    }
    manifest.problems.sort_by_key(|problem| problem.at);
    manifest.warnings.sort_by_key(|warning| warning.at);
    let mut seen = HashMap::new();
    for Declaration { id, at, .. } in &manifest.endpoints {
        if let Some(first) = seen.get(id) {
            let what = format!("{id} is already declared in line {first}");
            manifest.warnings.push(Problem::new(*at, "metadata.name", what));
        } else {
            seen.insert(id, at.line);
        }
    }
    manifest
}

/// What the API server would refuse of an edit that makes one object of another: fields that cannot change.
pub fn edit_problems(before: &AgentEndpoint, now: &AgentEndpoint, at: Position) -> Vec<Problem> {
    let spec = |object: &AgentEndpoint| serde_json::to_value(&object.spec).unwrap_or_default();
    let (before, now) = (spec(before), spec(now));
    let schema = SCHEMA.as_ref().ok().and_then(|schema| schema.fields.get("spec"));
    let broken = schema.map(|schema| schema.broken_by_change(&before, &now, "spec"));
    broken.into_iter().flatten().map(|(field, message)| Problem::new(at, field, message)).collect()
}

/// One object, or a list of them. `listed`: the kind that items of a list have when they do not say it.
fn object(root: &Node, report: &mut Report, manifest: &mut Manifest, listed: Option<&str>) {
    let Kind::Map(_) = &root.kind else {
        if !root.is_null() || listed.is_some() {
            report.problem(Problem::new(root.at, "", "must be a Kubernetes object: a map"));
        }
        return;
    };
    let text = |name: &str| root.get(name).and_then(Node::text).unwrap_or_default();
    let ours = format!("{GROUP}/{VERSION}");
    let inherited = listed.filter(|kind| *kind == "AgentEndpointList");
    let mut missing = false;
    for name in ["apiVersion", "kind"] {
        let wrong = match root.get(name) {
            None if inherited.is_some() => continue,
            None => Problem::new(root.at, name, "required"),
            Some(node) if node.text().is_none_or(str::is_empty) => {
                Problem::new(node.at, name, "must be text")
            }
            Some(_) => continue,
        };
        missing = true;
        report.problem(wrong);
    }
    if missing {
        return;
    }
    let at = |name: &str| root.get(name).map_or(root.at, |node| node.at);
    let version = root.get("apiVersion").map_or(ours.as_str(), |_| text("apiVersion"));
    let kind = root.get("kind").map_or("AgentEndpoint", |_| text("kind"));
    let is_list = (version == "v1" && kind == "List") || (version == ours && kind == "AgentEndpointList");
    match version {
        _ if is_list && listed.is_some() => {
            report.problem(Problem::new(root.at, "kind", "a list inside a list is not read by kubectl"));
        }
        _ if is_list => list(root, report, manifest, kind),
        version if version == ours && kind == "AgentEndpoint" => {
            endpoint(root, report, manifest);
        }
        version if version == ours => report.problem(
            Problem::new(at("kind"), "kind", format!("{GROUP}/{VERSION} has no kind {}", check::shown(kind)))
                .hint("AgentEndpoint is there"),
        ),
        version if version.starts_with(&format!("{GROUP}/")) => report.problem(
            Problem::new(at("apiVersion"), "apiVersion", format!("{version} is not served"))
                .hint(format!("use {GROUP}/{VERSION}")),
        ),
        _ if inherited.is_some() => {
            report.problem(Problem::new(
                at("kind"),
                "kind",
                "only an AgentEndpoint can be in an AgentEndpointList",
            ));
        }
        _ => {
            manifest.others += 1;
            let kind = match (version, kind) {
                ("v1", "Secret") => ReferenceKind::Secret,
                ("v1", "ConfigMap") => ReferenceKind::ConfigMap,
                _ => return,
            };
            manifest.data.extend(data::read(kind, root, report));
        }
    }
}

fn list(root: &Node, report: &mut Report, manifest: &mut Manifest, kind: &str) {
    if kind == "AgentEndpointList" {
        let text = json!({"type": "string"});
        let known = json!({"type": "object", "properties": {
            "apiVersion": text, "kind": text, "items": {},
            "metadata": {"type": "object", "properties": {
                "continue": text, "remainingItemCount": {}, "resourceVersion": text, "selfLink": text,
            }},
        }});
        if let Ok(schema) = Schema::compile(&known) {
            report.names(Some(&schema), root, "");
        }
    }
    match root.get("items").map(|items| &items.kind) {
        Some(Kind::List(items)) => {
            for item in items {
                object(item, report, manifest, Some(kind));
            }
        }
        _ => report.problem(Problem::new(root.at, "items", "must be a list of objects")),
    }
}

fn endpoint(root: &Node, report: &mut Report, manifest: &mut Manifest) {
    let schema = match SCHEMA.as_ref() {
        Ok(schema) => schema,
        Err(error) => {
            return report.problem(Problem::new(root.at, "", format!("the schema cannot be read: {error}")));
        }
    };
    let before = report.problems.len();
    let metadata = metadata::check(report, root);
    let fields = root.fields().into_iter().flatten();
    let own = ["apiVersion", "kind", "metadata", "spec", "status"];
    for (name, field) in fields.filter(|(name, field)| !own.contains(&name.as_str()) && !field.node.is_null())
    {
        report.problem(Problem::new(field.at, name.as_str(), "unknown field"));
    }
    if let Some(status) = root.get("status") {
        report.names(schema.fields.get("status"), status, "status");
    }
    let Some((spec, schema)) = root.get("spec").zip(schema.fields.get("spec")) else {
        let at = root.fields().and_then(|fields| fields.get("spec")).map_or(root.at, |field| field.at);
        return report.problem(Problem::new(at, "spec", "required"));
    };
    let spec = report.check(schema, spec, "spec");
    if report.problems.len() > before {
        return;
    }
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "AgentEndpoint", "metadata": metadata, "spec": spec,
    });
    match serde_json::from_value::<AgentEndpoint>(object) {
        Ok(mut object) => {
            let namespace = object.metadata.namespace.take().filter(|namespace| !namespace.is_empty());
            let namespace = namespace.unwrap_or_else(|| "default".to_owned());
            let name = object.metadata.name.clone().unwrap_or_default();
            object.metadata.namespace = Some(namespace.clone());
            manifest.endpoints.push(Declaration {
                id: EndpointId::new(namespace, name),
                object,
                at: root.at,
            });
        }
        Err(error) => report.problem(Problem::new(root.at, "", error.to_string())),
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
