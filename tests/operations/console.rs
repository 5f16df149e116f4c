//! The `console` blocks of a runbook: commands, and what they print. As in `tests/cluster/console.rs` a word with a
//! digit or `…` in it stands for any word, a line `…` for any lines, and a command is tried until it prints that. At the
//! end of a line `…` stands for any rest.

use std::process::Stdio;
use std::time::Duration;

use crate::support::poll;

struct Step {
    command: String,
    prints: Vec<String>,
}

fn steps(section: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in section.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), prints: Vec::new() }),
                (None, Some(step)) => step.prints.push(line.to_owned()),
                (None, None) => panic!("a block begins with what is printed: {line}"),
            }
        }
    }
    steps
}

fn matches(wanted: &[String], printed: &str) -> bool {
    let mut printed = printed.lines();
    wanted.iter().filter(|line| line.trim() != "…" && !line.trim().is_empty()).all(|wanted| {
        printed.by_ref().any(|line| {
            let (wanted, line): (Vec<&str>, Vec<&str>) =
                (wanted.split_whitespace().collect(), line.split_whitespace().collect());
            let any = |word: &str| word.contains('…') || word.contains(|c: char| c.is_ascii_digit());
            let (wanted, rest) = match wanted.split_last() {
                Some((&"…", wanted)) => (wanted, true),
                _ => (&wanted[..], false),
            };
            let long_enough = if rest { line.len() >= wanted.len() } else { line.len() == wanted.len() };
            long_enough && wanted.iter().zip(&line).all(|(w, l)| w == l || any(w))
        })
    })
}

/// Executes the console blocks of one section; answers how many commands that were.
pub async fn execute(section: &str, environment: &[(&str, String)]) -> usize {
    let steps = steps(section);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_configurable-agents")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    for step in &steps {
        let tried = poll(Duration::from_secs(40), async || {
            let mut command = tokio::process::Command::new("bash");
            command.args(["-o", "pipefail", "-c", &step.command]).kill_on_drop(true).stdin(Stdio::null());
            command.env("PATH", &path).envs(environment.iter().map(|(name, value)| (name, value)));
            let output = tokio::time::timeout(Duration::from_secs(35), command.output()).await;
            let output = output.unwrap_or_else(|_| panic!("{}: no end within 35 s", step.command)).unwrap();
            let printed =
                [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            let printed = printed.concat();
            if matches(&step.prints, &printed) { Ok(()) } else { Err(printed) }
        });
        let wanted = step.prints.join("\n");
        tried.await.unwrap_or_else(|printed| {
            panic!("{}\nshould print\n{wanted}\nbut printed\n{printed}", step.command)
        });
    }
    steps.len()
}
