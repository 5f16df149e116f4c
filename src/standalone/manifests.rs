//! Manifests in a directory: multi-document YAML, the same objects as for `kubectl apply`. One bad
//! file never hides the others.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::v1alpha1::AgentEndpoint;
use crate::api::{GROUP, VERSION};
use crate::domain::EndpointId;
use crate::domain::address::parse_host;

/// Larger files are not manifests.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Something in a file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", file.display())]
pub struct ManifestError {
    /// Which file.
    pub file: PathBuf,
    /// Document, field, and what is wrong with it.
    pub message: String,
}

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The endpoints that can be used, by namespace and name.
    pub endpoints: BTreeMap<EndpointId, AgentEndpoint>,
    /// Everything that cannot.
    pub errors: Vec<ManifestError>,
    /// Files that were read.
    pub files: usize,
}

/// Reads every `*.yaml`, `*.yml` and `*.json` file of a directory (not of those below it).
///
/// # Errors
/// When the directory itself cannot be read.
pub fn read(directory: &Path) -> std::io::Result<Manifests> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let extension = path.extension().and_then(|e| e.to_str());
            matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file()
        })
        .collect();
    files.sort();
    let mut manifests = Manifests { files: files.len(), ..Manifests::default() };
    for file in files {
        read_file(&file, &mut manifests);
    }
    Ok(manifests)
}

fn read_file(file: &Path, manifests: &mut Manifests) {
    let mut bad = |message: String| manifests.errors.push(ManifestError { file: file.to_owned(), message });
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.len() > MAX_FILE => return bad("larger than 4 MiB".to_owned()),
        _ => {}
    }
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return bad(error.to_string()),
    };
    let documents: Vec<Value> = match serde_saphyr::from_multiple(&text) {
        Ok(documents) => documents,
        Err(error) => return bad(error.to_string()),
    };
    for (number, document) in documents.into_iter().enumerate() {
        match endpoint(&document) {
            Ok(None) => {}
            Ok(Some((id, endpoint))) => {
                if let Entry::Vacant(vacant) = manifests.endpoints.entry(id.clone()) {
                    vacant.insert(endpoint);
                } else {
                    let message = format!("document {}: AgentEndpoint {id} is declared twice", number + 1);
                    manifests.errors.push(ManifestError { file: file.to_owned(), message });
                }
            }
            Err(messages) => manifests.errors.extend(messages.into_iter().map(|message| ManifestError {
                file: file.to_owned(),
                message: format!("document {}: {message}", number + 1),
            })),
        }
    }
}

/// `Ok(None)` for objects of other kinds: the same directory may serve `kubectl apply`.
fn endpoint(document: &Value) -> Result<Option<(EndpointId, AgentEndpoint)>, Vec<String>> {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let group = format!("{GROUP}/");
    match text("/apiVersion") {
        _ if document.is_null() => return Ok(None),
        None => return Err(vec!["apiVersion: required".to_owned()]),
        Some(version) if !version.starts_with(&group) => return Ok(None),
        Some(version) if version != format!("{GROUP}/{VERSION}") => {
            return Err(vec![format!("apiVersion: {version} is not served; use {GROUP}/{VERSION}")]);
        }
        Some(_) => {}
    }
    if text("/kind") != Some("AgentEndpoint") {
        return Err(vec![format!(
            "kind: {:?} is not one of AgentEndpoint",
            text("/kind").unwrap_or_default()
        )]);
    }
    let mut object: AgentEndpoint =
        serde_json::from_value(document.clone()).map_err(|error| vec![error.to_string()])?;
    let read = serde_json::to_value(&object).map_err(|error| vec![error.to_string()])?;
    let mut errors = Vec::new();
    if let (Some(given), Some(read)) = (document.get("spec"), read.get("spec")) {
        unknown_fields("spec", given, read, &mut errors);
    }
    check(&object, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let namespace = object.metadata.namespace.get_or_insert_with(|| "default".to_owned()).clone();
    let name = object.metadata.name.clone().unwrap_or_default();
    Ok(Some((EndpointId::new(namespace, name), object)))
}

/// Keys that were given and that the type did not keep.
fn unknown_fields(path: &str, given: &Value, read: &Value, errors: &mut Vec<String>) {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            for (key, value) in given {
                let path = format!("{path}.{key}");
                match read.get(key) {
                    Some(read) => unknown_fields(&path, value, read, errors),
                    None if is_empty(value) => {}
                    None => errors.push(format!("{path}: unknown field")),
                }
            }
        }
        (Value::Array(given), Value::Array(read)) => {
            for (i, (given, read)) in given.iter().zip(read).enumerate() {
                unknown_fields(&format!("{path}[{i}]"), given, read, errors);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// What the schema's rules refuse and the types do not.
fn check(object: &AgentEndpoint, errors: &mut Vec<String>) {
    let spec = &object.spec;
    if object.metadata.name.as_deref().unwrap_or_default().is_empty() {
        errors.push("metadata.name: required".to_owned());
    }
    if spec.targets.is_empty() != spec.service_ref.is_some() {
        errors.push("spec: must specify exactly one of: `targets`, `serviceRef`".to_owned());
    }
    for (i, target) in spec.targets.iter().enumerate() {
        if parse_host(&target.host).is_none() {
            errors.push(format!(
                "spec.targets[{i}].host: {:?} is neither a canonical IP address nor a lower-case DNS name",
                target.host
            ));
        }
        if !(1..=65535).contains(&target.port) {
            errors.push(format!("spec.targets[{i}].port: {} is not in 1-65535", target.port));
        }
    }
    if spec.targets.len() > 32 {
        errors.push("spec.targets: must have at most 32 items".to_owned());
    }
    let Some(probe) = &spec.probe else { return };
    let protocols = [
        probe.http.is_some(),
        probe.tcp.is_some(),
        probe.grpc.is_some(),
        probe.a2a.is_some(),
        probe.mcp.is_some(),
    ];
    if protocols.into_iter().filter(|given| *given).count() > 1 {
        errors
            .push("spec.probe: must specify at most one of: `http`, `tcp`, `grpc`, `a2a`, `mcp`".to_owned());
    }
    let mut range = |field: &str, value: Option<i32>, most: i32| {
        if value.is_some_and(|value| !(1..=most).contains(&value)) {
            errors.push(format!("spec.probe.{field}: must be in 1-{most}"));
        }
    };
    range("periodSeconds", probe.period_seconds, 3600);
    range("timeoutSeconds", probe.timeout_seconds, 3600);
    range("failureThreshold", probe.failure_threshold, 10);
    range("successThreshold", probe.success_threshold, 10);
    range("latencyThresholdMilliseconds", probe.latency_threshold_milliseconds, 3_600_000);
    if let (Some(timeout), Some(period)) = (probe.timeout_seconds, probe.period_seconds)
        && timeout > period
    {
        errors.push("spec.probe.timeoutSeconds: must be less than or equal to `periodSeconds`".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\n\
        metadata: {name: a}\nspec:\n  targets: [{host: 10.0.0.1, port: 80}]\n";

    fn read_texts(files: &[(&str, &str)]) -> Manifests {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        read(directory.path()).unwrap()
    }

    #[test]
    fn one_bad_file_never_hides_the_others_and_every_error_names_its_place() {
        let unknown = GOOD.replace("name: a", "name: b") + "  probe: {prot: 5}\n";
        let manifests = read_texts(&[
            ("a.yaml", "x: [1,\n"),
            ("b.yaml", GOOD),
            ("c.yaml", &unknown),
            ("d.yaml", &(GOOD.replace("10.0.0.1", "'127.1'").replace("name: a", "name: d"))),
            ("notes.txt", "not a manifest"),
        ]);
        assert_eq!(manifests.endpoints.keys().map(|id| id.name.as_str()).collect::<Vec<_>>(), ["a"]);
        let errors: Vec<String> = manifests.errors.iter().map(ToString::to_string).collect();
        assert_eq!((manifests.files, errors.len()), (4, 3), "{errors:#?}");
        assert!(errors[0].contains("a.yaml") && errors[0].contains("line"), "{}", errors[0]);
        assert!(errors[1].contains("document 1: spec.probe.prot: unknown field"), "{}", errors[1]);
        assert!(errors[2].contains("spec.targets[0].host"), "{}", errors[2]);
    }

    #[test]
    fn documents_of_other_kinds_are_left_alone_and_a_name_is_declared_once() {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
        let manifests = read_texts(&[("a.yaml", &format!("{service}---\n{GOOD}---\n{GOOD}"))]);
        assert_eq!(manifests.endpoints.len(), 1);
        assert!(manifests.errors[0].message.contains("declared twice"));
    }
}
