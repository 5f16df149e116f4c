//! Standard output is for data, in every form and place.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::bed::{Orchestrator, Registry, SOON, manifest};
use crate::support::{Proc, eventually, free_port};
use crate::{stdout, with_env};

fn is_plain(text: &str) -> bool {
    !text.contains('\u{1b}')
}

/// Commands that need nobody.
const ALONE: [&[&str]; 7] = [
    &["--help"],
    &["crds"],
    &["version"],
    &["help", "filters"],
    &["completion", "bash"],
    &["orchestrator", "start", "--print-config"],
    &["orchestrator", "status", "-h"],
];

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in ALONE {
        let mut child = Command::new(env!("CARGO_BIN_EXE_configurable-agents"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_configurable-agents"));
    let output = command.arg("crds").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"));
}

#[test]
fn commands_work_without_any_stream() {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_configurable-agents");
    let status = command.args([
        "-c",
        "exec \"$0\" agent-registry list --registry-url http://127.0.0.1:1 >&- 2>&- <&-",
        program,
    ]);
    assert_eq!(status.status().unwrap().code(), Some(3), "and no panic (101)");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_get_whole_texts_without_colours_whatever_the_environment_says() {
    let registry = Registry::start().await;
    let long = "x".repeat(200);
    registry.register("scout", &["--name", &long]);
    let list = |args: &[&str], env: &[(&str, &str)]| {
        let output = registry.run_with(&[&["agent-registry", "list"], args].concat(), env);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        stdout(&output)
    };
    let plain = list(&[], &[]);
    assert!(is_plain(&plain) && plain.contains(&long));
    for env in [&[("COLUMNS", "40")][..], &[("CI", "1")], &[("NO_COLOR", "1")], &[("TERM", "xterm-256color")]]
    {
        assert_eq!(list(&[], env), plain, "{env:?}");
    }
    let coloured = list(&[], &[("CLICOLOR_FORCE", "1")]);
    assert!(coloured.contains("\u{1b}[32myes\u{1b}[0m"), "{coloured}");
    assert_eq!(list(&["--color", "always"], &[("NO_COLOR", "1")]), coloured);
    assert_eq!(list(&["--color=never"], &[("CLICOLOR_FORCE", "1")]), plain);
    assert_eq!(list(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);
    assert!(is_plain(&list(&["-o", "json"], &[("CLICOLOR_FORCE", "1")])));
    assert_eq!(list(&["-o", "json"], &[]).lines().count(), 1, "compact in a pipe");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_colours_and_lines_that_fit() {
    // `script` (util-linux) is the terminal.
    let nobody = free_port(std::net::Ipv4Addr::LOCALHOST);
    let orchestrator = Orchestrator::start(&[("a.yaml", manifest("team-a", "research", nobody, ""))]).await;
    orchestrator.status(&["research", "--wait", "--for", "failing", "--timeout", "20s"]);
    let show_with = |args: &str, env: &[(&str, &str)]| {
        let line = format!("{} orchestrator status{args}", env!("CARGO_BIN_EXE_configurable-agents"));
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("ORCHESTRATOR_URL", &orchestrator.url).env("TERM", "xterm").envs(env.iter().copied());
        String::from_utf8(command.stdin(Stdio::null()).output().unwrap().stdout).unwrap().replace('\r', "")
    };
    let show = |env: &[(&str, &str)]| show_with("", env);
    let text = show(&[("COLUMNS", "60")]);
    assert!(text.contains("\u{1b}[31mFailing\u{1b}[0m") && text.contains('…'), "{text}");
    let plain = show(&[("COLUMNS", "60"), ("NO_COLOR", "1")]);
    assert!(is_plain(&plain) && plain.contains("Failing"), "{plain}");
    let table = plain.split("NEEDS ATTENTION").nth(1).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 60), "{plain}");
    assert!(!show(&[("COLUMNS", "300")]).contains('…'));
    for (columns, args) in
        [(40, ""), (40, " --all -o wide"), (40, " research --explain"), (30, ""), (20, " --all")]
    {
        let plain = show_with(args, &[("COLUMNS", &columns.to_string()), ("NO_COLOR", "1")]);
        assert!(plain.contains("research"), "{plain}");
        assert!(plain.lines().all(|line| line.chars().count() <= columns), "{columns}{args}: {plain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_watch_with_130_and_without_a_word() {
    let registry = Registry::start().await;
    registry.register("scout", &[]);
    let watching = Proc::start(&["agent-registry", "list", "-w"], &[("REGISTRY_URL", &registry.url)]);
    eventually(SOON, "the list", async || watching.stdout().contains("scout")).await;
    watching.signal(Signal::SIGINT);
    assert_eq!(watching.wait_exit(SOON).await.code(), Some(130));
    assert_eq!(watching.stderr(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_reader_goes_away_ends() {
    let registry = Registry::start().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_configurable-agents"))
        .args(["agent-registry", "list", "--watch", "-o", "json"])
        .env("REGISTRY_URL", &registry.url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    registry.register("scout", &[]);
    eventually(SOON, "it has ended", async || {
        child.try_wait().unwrap().map(|status| assert!(status.success()))
    })
    .await;
}

#[test]
fn errors_have_no_colours_in_a_pipe() {
    let here = tempfile::tempdir().unwrap();
    for args in [&["nonsense"][..], &["agent-registry", "list", "--registry-url", "http://127.0.0.1:1"]] {
        let output = with_env(args, &[], here.path());
        assert!(output.stdout.is_empty() && is_plain(&String::from_utf8_lossy(&output.stderr)), "{output:?}");
    }
}
