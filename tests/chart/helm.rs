//! Helm, run as users run it, and what it renders.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The two that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helm {
    V3,
    V4,
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn chart() -> PathBuf {
    repository().join("charts/configurable-agents")
}

/// The files of `ci/`, each a way to install.
pub fn ways() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(chart().join("ci")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files
}

pub fn way(name: &str) -> String {
    chart().join(format!("ci/{name}-values.yaml")).display().to_string()
}

impl Helm {
    pub const BOTH: [Helm; 2] = [Helm::V4, Helm::V3];

    fn program(self) -> PathBuf {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let (variable, name) = match self {
            Helm::V3 => ("HELM3", "helm3"),
            Helm::V4 => ("HELM", "helm4"),
        };
        let cache = set("CONFIGURABLE_AGENTS_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME")?.join("configurable-agents")))
            .or_else(|| Some(set("HOME")?.join(".cache/configurable-agents")));
        let built = cache.map(|cache| cache.join("node/bin").join(name));
        set(variable).or(built.filter(|path| path.exists())).unwrap_or_else(|| {
            panic!("there is no {name}: run tests/node/build.sh once (or tests/run.sh, which does), or set {variable}")
        })
    }

    /// One call: standard output, or what it complained of.
    pub fn run(self, args: &[&str]) -> Result<String, String> {
        // Without a cluster, and without what a user has configured.
        let nowhere = repository().join("target/no-helm-configuration");
        let output = Command::new(self.program())
            .args(args)
            .env("KUBECONFIG", nowhere.join("kubeconfig"))
            .envs(["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"].map(|name| (name, &nowhere)))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// `helm template NAME` in namespace `agents-system`, as for the newest server.
    pub fn template(self, name: &str, more: &[&str]) -> Result<String, String> {
        let chart = chart().display().to_string();
        let kubernetes = ["--namespace", "agents-system", "--kube-version", "1.36.0"];
        self.run(&[&["template", name, &chart], &kubernetes[..], more].concat())
    }
}

/// The objects of a rendered text.
pub fn objects(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// What Helm 4 renders for a release `one`.
pub fn rendered(more: &[&str]) -> Vec<Value> {
    objects(&Helm::V4.template("one", more).unwrap())
}

pub fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap()
}

pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

pub fn of_kind<'a>(objects: &'a [Value], wanted: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| kind(object) == wanted).collect()
}

/// The pods that an object makes, or is: labels and spec.
pub fn pods(objects: &[Value]) -> Vec<(&str, &Value)> {
    let pod = |object| match kind(object) {
        "Pod" => Some((name(object), object)),
        "Deployment" | "StatefulSet" => Some((name(object), &object["spec"]["template"])),
        _ => None,
    };
    objects.iter().filter_map(pod).collect()
}
