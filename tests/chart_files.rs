//! The chart's files without Helm: the CRD's template, the documented values, the versions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use configurable_agents::api::schema;
use serde_json::Value;

mod support;

use support::chart::{documented, file};

/// `UPDATE_DEPLOY=1 cargo test --test chart_files` writes the file instead.
fn same(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE_DEPLOY").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "{}: run `UPDATE_DEPLOY=1 cargo test --test chart_files`", path.display());
}

/// The CRD as a template: with the chart's labels, and only when it is wanted.
fn crd_template() -> String {
    let crd = schema::crd_yaml();
    assert!(!crd.contains("{{"), "the CRD would have to be quoted");
    let (comment, body) = crd.split_once('\n').unwrap();
    assert!(comment.starts_with('#'));
    let name = "  name: agentendpoints.agents.configurable.dev\n";
    let (above, below) = body.split_once(name).unwrap();
    format!(
        "{{{{- /* Made of src/api by `UPDATE_DEPLOY=1 cargo test --test chart_files`. Do not edit. */}}}}\n\
         {{{{- if .Values.crds.install }}}}\n\
         {above}{name}  labels:\n    \
         {{{{- include \"configurable-agents.labels\" (dict \"root\" $ \"component\" \"crds\") | trim | nindent 4 }}}}\n  \
         {{{{- if .Values.crds.keep }}}}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{{{- end }}}}\n\
         {below}{{{{- end }}}}\n"
    )
}

#[test]
fn the_charts_crd_is_what_the_types_generate() {
    same(&file("templates/crd-agentendpoints.yaml"), &crd_template());
}

fn reference() -> String {
    let mut text = "# Values of the Helm chart\n\n\
        Made of the comments in [values.yaml](../../charts/configurable-agents/values.yaml) by `UPDATE_DEPLOY=1 cargo test --test chart_files`.\n\
        [How to install](../how-to/install-helm.md). A name that is not here is refused, as is a value of another type.\n"
        .to_owned();
    let values = documented();
    let section = |value: &support::chart::Documented| match value.path.split_once('.') {
        Some((top, _)) => top.to_owned(),
        None => "General".to_owned(),
    };
    let mut sections = vec!["General".to_owned()];
    for value in &values {
        if !sections.contains(&section(value)) {
            sections.push(section(value));
        }
    }
    for heading in sections {
        writeln!(text, "\n## {heading}\n\n| Value | Default | What it is |\n|---|---|---|").unwrap();
        for value in values.iter().filter(|value| section(value) == heading) {
            let default = value.default.to_string().replace('|', "\\|");
            writeln!(text, "| `{}` | `{default}` | {} |", value.path, value.text.replace('|', "\\|"))
                .unwrap();
        }
    }
    text
}

#[test]
fn the_documented_values_are_those_of_the_chart() {
    same(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/helm-values.md"), &reference());
}

#[test]
fn every_value_has_a_sentence() {
    fn walk(value: &Value, path: &str, documented: &BTreeSet<String>) {
        if documented.contains(path) {
            return;
        }
        let map = value.as_object().unwrap_or_else(|| panic!("{path} has no `# --` comment"));
        assert!(!map.is_empty(), "{path} has no `# --` comment");
        for (key, below) in map {
            walk(below, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, documented);
        }
    }
    let values: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(file("values.yaml")).unwrap()).unwrap();
    let documented = documented();
    for value in &documented {
        assert!(value.text.len() > 8 && value.text.contains(['.', ':']), "{}: {}", value.path, value.text);
    }
    walk(&values, "", &documented.into_iter().map(|value| value.path).collect());
}

#[test]
fn the_chart_is_of_this_program() {
    let chart: Value = serde_saphyr::from_str(&std::fs::read_to_string(file("Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["apiVersion"], "v2");
    assert_eq!(chart["kubeVersion"], ">=1.33.0-0", "the oldest server that the tests run on");
    for field in ["version", "home", "icon", "sources", "maintainers", "keywords", "description"] {
        assert!(!chart[field].is_null(), "{field}");
    }
    let annotation =
        |name: &str| chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap().to_owned();
    assert!(annotation("images").contains(&format!("configurable-agents:{}", env!("CARGO_PKG_VERSION"))));
    assert_eq!(annotation("license"), "Apache-2.0");
    for list in ["crds", "crdsExamples", "images", "links", "changes"] {
        let list: Value = serde_saphyr::from_str(&annotation(list)).unwrap();
        assert!(!list.as_array().unwrap().is_empty());
    }
}
