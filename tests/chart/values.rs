//! Every value does something, and the files of `ci/` between them show all of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{Helm, chart, ways};

/// Paths of all values: of `values.yaml` itself, or of what a file sets.
fn leaves(value: &Value, path: &[String], whole: &dyn Fn(&[String]) -> bool, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) if !map.is_empty() && !whole(path) => {
            for (key, below) in map {
                leaves(below, &[path, &[key.clone()]].concat(), whole, found);
            }
        }
        _ => found.push(path.to_vec()),
    }
}

fn read(path: &std::path::Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap_or(Value::Null)
}

fn at<'a>(value: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(value, |value, key| &value[key.as_str()])
}

fn remove(value: &mut Value, path: &[String]) {
    let (last, above) = path.split_last().unwrap();
    let map = above.iter().fold(value, |value, key| value.get_mut(key.as_str()).unwrap());
    map.as_object_mut().unwrap().remove(last);
}

#[test]
fn every_value_arrives_in_what_is_rendered() {
    let documented: Vec<String> =
        crate::support::chart::documented().into_iter().map(|value| value.path).collect();
    let whole = |path: &[String]| documented.contains(&path.join("."));
    let defaults = read(&chart().join("values.yaml"));
    let mut arrived = BTreeSet::new();
    let mut all = Vec::new();
    leaves(&defaults, &[], &whole, &mut all);
    for file in ways() {
        let values = read(&file);
        let mut set = Vec::new();
        if values.is_object() {
            leaves(&values, &[], &whole, &mut set);
        }
        let with = Helm::V4.template("one", &["--values", &file.display().to_string()]).unwrap();
        for path in set.into_iter().filter(|path| all.contains(path)) {
            assert_ne!(
                at(&values, &path),
                at(&defaults, &path),
                "{}: {} is the default",
                file.display(),
                path.join(".")
            );
            let mut less = values.clone();
            remove(&mut less, &path);
            let folder = tempfile::tempdir().unwrap();
            let reduced = folder.path().join("values.json");
            std::fs::write(&reduced, less.to_string()).unwrap();
            let without = Helm::V4.template("one", &["--values", &reduced.display().to_string()]);
            if without.as_ref() != Ok(&with) {
                arrived.insert(path.join("."));
            }
        }
    }
    let all: BTreeSet<String> = all.into_iter().map(|path| path.join(".")).collect();
    let missing: Vec<&String> = all.difference(&arrived).collect();
    assert!(missing.is_empty(), "no file of ci/ shows that these do something: {missing:?}");
}

#[test]
fn the_schema_knows_exactly_the_values_that_there_are() {
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap();
    compare(&schema, &schema, &read(&chart().join("values.yaml")), "");
}

fn compare(root: &Value, schema: &Value, value: &Value, path: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => &root["definitions"][reference.trim_start_matches("#/definitions/")],
        None => schema,
    };
    let Some(properties) = schema["properties"].as_object() else { return };
    if !value.is_object() || path.ends_with("Probe") {
        return; // a probe may say more than the chart's default does
    }
    assert_eq!(schema["additionalProperties"], false, "{path}");
    let known: BTreeSet<&String> = properties.keys().collect();
    let there: BTreeSet<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(known, there, "{path}");
    for (key, below) in properties {
        compare(root, below, &value[key], &format!("{path}/{key}"));
    }
}

#[test]
fn every_values_file_of_the_documents_renders() {
    let text =
        std::fs::read_to_string(crate::helm::repository().join("docs/how-to/install-helm.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```yaml\n# values").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "{blocks:?}");
    let plain = Helm::V4.template("one", &[]).unwrap();
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values.yaml");
        std::fs::write(&file, format!("#{block}")).unwrap();
        let rendered = Helm::V4.template("one", &["--values", &file.display().to_string()]);
        assert_ne!(rendered.unwrap_or_else(|error| panic!("{block}: {error}")), plain, "{block}");
    }
}
