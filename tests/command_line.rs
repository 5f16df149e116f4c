//! What a person types, and what comes back: exit codes, `error / cause / hint`, clean streams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn program(args: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configurable-agents"));
    command.args(args).current_dir(directory).env_clear().stdin(Stdio::null()).output().unwrap()
}

/// Runs a command that must fail: its exit code and what it says.
fn fails(args: &[&str], directory: &Path) -> (i32, String) {
    let output = program(args, directory);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.stdout.is_empty(),
        "standard output is for data: {:?}",
        String::from_utf8_lossy(&output.stdout)
    );
    (output.status.code().unwrap_or_else(|| panic!("ended by a signal: {text}")), text)
}

fn is_well_formed(text: &str) {
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert!(lines[0].starts_with("error: "), "{text}");
    assert!(lines[1..].iter().all(|line| line.starts_with("  ")), "one error: {text}");
    assert!(lines.iter().any(|line| line.starts_with("  cause: ")), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("  hint: ")), "{text}");
}

#[test]
fn the_crds_command_prints_what_the_repository_holds() {
    let here = tempfile::tempdir().unwrap();
    let output = program(&["crds"], here.path());
    let committed = include_str!("../crds/agentendpoints.yaml");
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), committed);
    program(&["crds", "--out", "."], here.path());
    assert_eq!(std::fs::read_to_string(here.path().join("agentendpoints.yaml")).unwrap(), committed);
}

#[test]
fn an_unknown_flag_is_a_usage_error_that_names_it() {
    let here = tempfile::tempdir().unwrap();
    let (code, text) = fails(&["orchestrator", "start", "--no-such-flag"], here.path());
    assert_eq!(code, 2);
    assert!(text.contains("--no-such-flag"), "{text}");
}

#[test]
fn a_bad_value_is_a_usage_error() {
    let here = tempfile::tempdir().unwrap();
    for flag in [
        "--allow-targets=10.0.0.0/40",
        "--default-period-seconds=0",
        "--dns-server=nowhere",
        "--registry-url=localhost:8000",
        "--registry-url=ftp://x",
    ] {
        let args = ["orchestrator", "start", "--manifests", ".", "--port=0", flag];
        let (code, text) = fails(&args, here.path());
        assert_eq!(code, 2, "{flag}: {text}");
    }
}

#[test]
fn a_malformed_kubeconfig_is_named_with_its_cause() {
    let here = tempfile::tempdir().unwrap();
    for (content, name) in
        [("clusters: [", "half.yaml"), ("kind: Config\n", "empty.yaml"), ("\u{0}\u{1}", "binary.yaml")]
    {
        std::fs::write(here.path().join(name), content).unwrap();
        let (code, text) = fails(&["orchestrator", "start", "--kubeconfig", name], here.path());
        assert_eq!(code, 2, "{text}");
        is_well_formed(&text);
        assert!(text.contains("cannot use the kubeconfig"), "{text}");
    }
    let (code, text) = fails(&["orchestrator", "start", "--kubeconfig", "not-there.yaml"], here.path());
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("not-there.yaml"), "{text}");
    let (code, text) = fails(&["orchestrator", "start"], here.path());
    assert_eq!(code, 2, "{text}");
    is_well_formed(&text);
    assert!(text.contains("--manifests DIR"), "no cluster at all: {text}");
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--port={}", taken.local_addr().unwrap().port());
    for args in
        [&["orchestrator", "start", "--manifests", ".", &port][..], &["agent-registry", "start", &port][..]]
    {
        let (code, text) = fails(args, here.path());
        assert_eq!(code, 1, "{text}");
        is_well_formed(&text);
        assert!(text.contains("is already in use") && text.contains("choose another port: --port"), "{text}");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(
        here.path().join("text.db"),
        "this is not a database, it only has the name of one\n".repeat(50),
    )
    .unwrap();
    std::fs::create_dir(here.path().join("folder.db")).unwrap();
    for url in ["sqlite:///text.db", "sqlite:///folder.db", "sqlite:///no/such/folder/x.db"] {
        for args in [
            &[
                "orchestrator",
                "start",
                "--manifests",
                ".",
                "--port=0",
                "--registry-url=none",
                "--db-url",
                url,
            ][..],
            &["agent-registry", "start", "--port=0", "--db-url", url][..],
        ] {
            let (code, text) = fails(args, here.path());
            assert_eq!(code, 1, "{url}: {text}");
            is_well_formed(&text);
            assert!(text.contains("cannot open the database"), "{text}");
        }
    }
    let (code, text) = fails(&["agent-registry", "start", "--port=0", "--db-url", "mysql://x"], here.path());
    assert_eq!(code, 2, "{text}");
    is_well_formed(&text);
}

#[test]
fn a_registry_open_to_everybody_needs_to_be_told_so() {
    let here = tempfile::tempdir().unwrap();
    let (code, text) = fails(&["agent-registry", "start", "--host=0.0.0.0", "--port=0"], here.path());
    assert_eq!(code, 2, "{text}");
    is_well_formed(&text);
    assert!(text.contains("--insecure-anonymous") || text.contains("--auth-token-file"), "{text}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let here = tempfile::tempdir().unwrap();
    let args = ["orchestrator", "start", "--manifests", "nowhere", "--port=0", "--registry-url=none"];
    let (code, text) = fails(&args, here.path());
    assert_eq!(code, 1, "{text}");
    is_well_formed(&text);
    assert!(text.contains("nowhere"), "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_configurable-agents"))
        .arg("crds")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn every_command_has_help_with_a_description() {
    let here = tempfile::tempdir().unwrap();
    for args in [
        &["--help"][..],
        &["orchestrator", "start", "--help"],
        &["agent-registry", "start", "--help"],
        &["crds", "-h"],
    ] {
        let output = program(args, here.path());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Usage: configurable-agents"), "{args:?}: {text}");
    }
}
