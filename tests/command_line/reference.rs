//! Help, and the reference that is made of it.

use std::fmt::Write as _;
use std::path::Path;

use configurable_agents::cli;

use crate::{program, stderr, stdout};

/// Every command with its path, the program itself first.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn walk(path: &[String], command: &clap::Command, found: &mut Vec<(Vec<String>, clap::Command)>) {
        found.push((path.to_vec(), command.clone()));
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            walk(&[path, &[sub.get_name().to_owned()]].concat(), sub, found);
        }
    }
    let mut root = cli::command().term_width(100).color(clap::ColorChoice::Never);
    root.build();
    let mut found = Vec::new();
    walk(&[], &root, &mut found);
    found
}

fn generated() -> String {
    let mut text =
        "# Command line\n\nGenerated from the program: `UPDATE_DOCS=1 cargo test --test command_line`.\n\
                    Exit codes and errors: [exit-codes.md](exit-codes.md).\n"
            .to_owned();
    for (path, mut command) in commands() {
        let name = [&["configurable-agents".to_owned()], path.as_slice()].concat().join(" ");
        let help = command.render_long_help().to_string();
        let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n")).unwrap();
    }
    for (topic, body) in cli::topics() {
        write!(text, "\n## `configurable-agents help {topic}`\n\n```text\n{}\n```\n", body.trim_end())
            .unwrap();
    }
    text
}

#[test]
fn the_reference_is_what_the_program_says_of_itself() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/cli.md");
    let text = generated();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "run UPDATE_DOCS=1 cargo test --test command_line");
}

#[test]
fn short_help_fits_a_screen_and_long_help_begins_with_examples() {
    for (path, mut command) in commands() {
        let short = command.render_help().to_string();
        assert!(short.lines().count() <= 30, "{path:?} has {} lines:\n{short}", short.lines().count());
        assert!(command.get_about().is_some(), "{path:?}");
        let long = command.render_long_help().to_string();
        if let Some(examples) = long.find("Examples:") {
            assert!(examples < long.find("Usage:").unwrap(), "{long}");
        }
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path:?} {}", argument.get_id());
        }
    }
}

#[test]
fn help_is_the_same_by_flag_and_by_word_and_tells_no_value_of_the_environment() {
    let here = tempfile::tempdir().unwrap();
    for words in [&[][..], &["orchestrator", "start"], &["agent-registry", "cleanup"], &["crds"]] {
        let by_word = program(&[&["help"], words].concat(), here.path());
        let env =
            [("REGISTRY_URL", "http://me:hunter2@h"), ("AGENT_REGISTRY_DB_URL", "sqlite:///hunter2.db")];
        let by_flag = crate::with_env(&[words, &["--help"]].concat(), &env, here.path());
        assert!(by_word.status.success() && by_word.stderr.is_empty(), "{by_word:?}");
        assert_eq!(stdout(&by_word), stdout(&by_flag), "{words:?}");
        assert!(
            stdout(&by_word).contains("Usage: configurable-agents") && !stdout(&by_flag).contains("hunter2")
        );
    }
}

#[test]
fn every_topic_is_printed_and_an_unknown_one_names_them() {
    let here = tempfile::tempdir().unwrap();
    for (topic, text) in cli::topics() {
        let output = program(&["help", topic], here.path());
        assert_eq!(stdout(&output), text);
        assert!(text.lines().all(|line| line.chars().count() <= 105), "{topic}");
        let summary = stdout(&program(&["--help"], here.path()));
        assert!(summary.contains(topic), "{topic} is not in the list of commands");
    }
    let output = program(&["help", "nonsense"], here.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("environment, exit-codes, filters, formatting"));
}

#[test]
fn the_exit_codes_of_the_help_are_those_of_the_document() {
    let document = include_str!("../../docs/reference/exit-codes.md");
    let (_, topic) = cli::topics().into_iter().find(|(name, _)| *name == "exit-codes").unwrap();
    for code in ["0", "1", "2", "3", "4", "5", "6", "70", "130"] {
        assert!(
            document.contains(&format!("| {code} ")) || document.contains(&format!("| {code}, ")),
            "{code}"
        );
        assert!(topic.lines().any(|line| line.trim_start().starts_with(&format!("{code} "))), "{code}");
    }
}

#[test]
fn there_is_a_completion_script_for_every_shell() {
    let here = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = program(&["completion", shell], here.path());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        for word in ["agent-registry", "discover", "print-config"] {
            assert!(stdout(&output).contains(word), "{shell}: {word}");
        }
    }
    // A shell that is here reads it without a word.
    let script = here.path().join("script");
    std::fs::write(&script, stdout(&program(&["completion", "bash"], here.path()))).unwrap();
    if let Ok(output) = std::process::Command::new("bash").arg("-n").arg(&script).output() {
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn the_version_is_told_in_three_forms() {
    let here = tempfile::tempdir().unwrap();
    let say = |args: &[&str]| stdout(&program(&[&["version"], args].concat(), here.path()));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(say(&[]), format!("configurable-agents {version}\n"));
    assert_eq!(say(&["--short"]), format!("{version}\n"));
    let json: serde_json::Value = serde_json::from_str(&say(&["-o", "json"])).unwrap();
    assert_eq!(json, serde_json::json!({"name": "configurable-agents", "version": version}));
}
