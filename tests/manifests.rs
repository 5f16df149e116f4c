//! The corpus of manifests and our verdict on each; `tests/crd_cluster/manifests.rs` asks real API servers for theirs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use configurable_agents::manifest;
use serde_json::Value;

fn corpus(verdict: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(verdict);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_good_manifest_is_accepted() {
    let files = corpus("good");
    assert!(files.len() >= 25, "{}", files.len());
    for file in files {
        let manifest = manifest::read(&std::fs::read(&file).unwrap());
        assert!(manifest.problems.is_empty(), "{}: {:?}", file.display(), manifest.problems);
        assert!(!manifest.endpoints.is_empty(), "{}", file.display());
    }
}

#[test]
fn every_bad_manifest_is_refused_at_its_lines_and_fields() {
    let list = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/bad.txt");
    let expected = std::fs::read_to_string(list);
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in expected.unwrap().lines().filter(|line| !line.starts_with('#')) {
        let (file, place) = line.split_once(' ').unwrap();
        wanted.entry(file.to_owned()).or_default().insert(place.to_owned());
    }
    let files = corpus("bad");
    assert!(files.len() >= 60, "{}", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let manifest = manifest::read(&std::fs::read(file).unwrap());
        let place = |problem: &manifest::Problem| {
            format!("{} {}", problem.at.line, problem.field).trim_end().to_owned()
        };
        let found: BTreeSet<String> = manifest.problems.iter().map(place).collect();
        let wanted = wanted.remove(&file_name(file)).unwrap_or_default();
        if found != wanted || found.is_empty() {
            wrong.push(format!("{}: {found:?}, not {wanted:?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(wanted.is_empty(), "files that are not there: {wanted:?}");
}

fn validate(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configurable-agents"));
    let output = command.arg("validate").args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn validate_says_everything_about_several_files_and_fails_when_one_is_bad() {
    let folder = support::work_dir();
    let good = "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\nmetadata: {name: a}\nspec: {targets: [{host: a, port: 80}]}\n";
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    std::fs::write(folder.path().join("good.yaml"), good.to_owned() + service).unwrap();
    let name = folder.path().to_str().unwrap();
    let (code, stdout, stderr) = validate(&["-f", name]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert_eq!(stderr, "1 file: 1 AgentEndpoint valid, 1 object of other kinds left alone\n");

    std::fs::write(folder.path().join("x.yaml"), good.replace("port: 80", "prt: 80")).unwrap();
    std::fs::write(folder.path().join("y.yml"), "a: [\n").unwrap();
    let (code, stdout, stderr) = validate(&["-f", name]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    let place = format!("{name}/x.yaml:4:28: spec.targets[0].prt: unknown field (did you mean `port`?)");
    assert!(stderr.contains(&place), "{stderr}");
    assert!(stderr.contains(&format!("{name}/x.yaml:4:18: spec.targets[0].port: required")), "{stderr}");
    assert!(stderr.contains("y.yml:1:4: ") && stderr.contains("error: 3 problems in 2 files"), "{stderr}");

    let (code, stdout, _) = validate(&["-o", "json", "-f", name]);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, json["files"].as_array().unwrap().len()), (Some(1), 3));
    let problem = json["files"][1]["problems"][1].clone();
    assert_eq!((problem["line"].as_u64(), problem["column"].as_u64()), (Some(4), Some(28)), "{stdout}");
    assert_eq!(problem["field"], "spec.targets[0].prt");
    assert_eq!(
        (json["files"][0]["valid"].clone(), json["files"][0]["endpoints"][0].clone()),
        (true.into(), "default/a".into())
    );
}

#[test]
fn validate_fails_without_objects_and_without_a_file() {
    let (code, _, stderr) = validate(&["-f", "-"]);
    assert!(code == Some(1) && stderr.contains("no objects"), "{stderr}");
    let (code, _, stderr) = validate(&["-f", "/nowhere.yaml"]);
    assert!(code == Some(1) && stderr.contains("error: cannot read /nowhere.yaml"), "{stderr}");
    assert_eq!(validate(&[]).0, Some(2));
}

#[test]
fn validate_names_what_one_file_takes_from_another_and_what_cannot_be_read_hides_nothing() {
    let folder = support::work_dir();
    let good = "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\nmetadata: {name: a}\nspec: {targets: [{host: a, port: 80}]}\n";
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("a.yaml"), good).unwrap();
    std::fs::write(file("b.yaml"), good).unwrap();
    let name = folder.path().to_str().unwrap();
    let (code, _, stderr) = validate(&["-f", name]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("b.yaml:") && stderr.contains("a.yaml too; in a directory that one counts"),
        "{stderr}"
    );

    std::os::unix::fs::symlink(file("nowhere"), file("c.yaml")).unwrap();
    // A key may hold what acts on a terminal.
    std::fs::write(file("d.yaml"), good.replace("spec: {", "spec: {\"\\e]0;x\\a\": 1, ")).unwrap();
    let (code, _, stderr) = validate(&["-f", name]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("c.yaml:") && stderr.contains("cannot be read"), "{stderr}");
    assert!(stderr.contains("d.yaml:4:8: "), "{stderr}");
    assert!(!stderr.contains('\u{1b}') && !stderr.contains('\u{7}'), "{stderr:?}");
}
