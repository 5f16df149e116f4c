//! What a person types, and what comes back: exit codes, `error / cause / hint`, clean streams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bed;
mod crds;
mod errors;
mod exit_codes;
mod reference;
mod registry;
mod settings;
mod status;
mod streams;
mod stub;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program without any environment.
fn program(args: &[&str], directory: &Path) -> Output {
    with_env(args, &[], directory)
}

/// Runs the program with this environment and no other.
fn with_env(args: &[&str], env: &[(&str, &str)], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configurable-agents"));
    command.args(args).current_dir(directory).env_clear().envs(env.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The exit code of a command that has written nothing to standard output, and what it says.
fn failure(output: &Output) -> (i32, String) {
    let text = stderr(output);
    assert!(output.stdout.is_empty(), "standard output is for data: {:?}", stdout(output));
    (output.status.code().unwrap_or_else(|| panic!("ended by a signal: {text}")), text)
}

/// Runs a command that must fail: its exit code and what it says.
fn fails(args: &[&str], directory: &Path) -> (i32, String) {
    failure(&program(args, directory))
}

fn is_well_formed(text: &str) {
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert!(lines[0].starts_with("error: "), "{text}");
    assert!(lines[1..].iter().all(|line| line.starts_with("  ")), "one error: {text}");
    assert!(lines.iter().any(|line| line.starts_with("  cause: ")), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("  hint: ")), "{text}");
}
