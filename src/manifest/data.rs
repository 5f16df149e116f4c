//! Secrets and `ConfigMaps` beside the endpoints: what `probe.tls` and `probe.credentialsRef` name where there is no
//! cluster.

use std::collections::BTreeMap;

use super::check::Report;
use super::node::Node;
use super::problem::{Position, Problem};
use crate::domain::reference::{Reference, ReferenceKind};

/// A Secret or `ConfigMap`. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub struct DataObject {
    /// Kind, namespace and name.
    pub reference: Reference,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Values in base64, each with its place: `data` of a Secret, `binaryData` of a `ConfigMap`.
    pub encoded: BTreeMap<String, (Position, String)>,
    /// Values as they are: `stringData` of a Secret, `data` of a `ConfigMap`.
    pub plain: BTreeMap<String, String>,
}

impl std::fmt::Debug for DataObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataObject").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// Reads one. Whatever is wrong is told without the value.
pub(super) fn read(kind: ReferenceKind, root: &Node, report: &mut Report) -> Option<DataObject> {
    let metadata = root.get("metadata")?;
    let text = |name: &str| metadata.get(name).and_then(Node::text).filter(|text| !text.is_empty());
    let reference = Reference {
        kind,
        namespace: text("namespace").unwrap_or("default").to_owned(),
        name: text("name")?.to_owned(),
    };
    let (encoded, plain) = match kind {
        ReferenceKind::Secret => ("data", "stringData"),
        ReferenceKind::ConfigMap => ("binaryData", "data"),
    };
    let without_places = |map: BTreeMap<String, (Position, String)>| {
        map.into_iter().map(|(key, (_, value))| (key, value)).collect::<BTreeMap<_, _>>()
    };
    Some(DataObject {
        reference,
        labels: without_places(texts(metadata, "labels", "metadata.labels", report)),
        annotations: without_places(texts(metadata, "annotations", "metadata.annotations", report)),
        encoded: texts(root, encoded, encoded, report),
        plain: without_places(texts(root, plain, plain, report)),
    })
}

fn texts(node: &Node, name: &str, path: &str, report: &mut Report) -> BTreeMap<String, (Position, String)> {
    let Some(map) = node.get(name) else { return BTreeMap::new() };
    let Some(fields) = map.fields() else {
        report.problem(Problem::new(map.at, path, "must be a map"));
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    for (key, field) in fields.iter().filter(|(_, field)| !field.node.is_null()) {
        match field.node.text() {
            Some(text) => {
                found.insert(key.clone(), (field.node.at, text.to_owned()));
            }
            None => report.problem(Problem::new(field.node.at, format!("{path}.{key}"), "must be text")),
        }
    }
    found
}
