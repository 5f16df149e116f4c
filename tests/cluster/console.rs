//! Every `console` block of the README and of the quickstart is executed, in order, on a real control
//! plane, and prints what it says.
//!
//! A line that begins with `$ ` is a command; what follows is what it prints. Columns may be spaced
//! otherwise; a word with a digit or `…` in it stands for any word, a line `…` for any lines. A
//! command is tried until it prints that, for a minute. One that serves runs on until the section ends.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::bed::{Bed, repository};
use crate::support::children::Managed;
use crate::support::{Version, poll};

struct Step {
    line: usize,
    section: usize,
    command: String,
    prints: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut inside, mut section) = (false, 0);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line.trim() == "```console";
        } else if !inside {
            section += usize::from(line.starts_with("## "));
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: number + 1, section, command: command.to_owned(), prints: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            if step.command.ends_with('\\') && step.prints.is_empty() {
                step.command.pop();
                step.command.push_str(line.trim_start());
            } else {
                step.prints.push(line.to_owned());
            }
        }
    }
    steps
}

/// Do the lines of `wanted` come in this order in `printed`?
fn matches(wanted: &[String], printed: &str) -> bool {
    let mut printed = printed.lines();
    wanted.iter().filter(|line| line.trim() != "…" && !line.trim().is_empty()).all(|wanted| {
        printed.by_ref().any(|line| {
            let (wanted, line): (Vec<&str>, Vec<&str>) =
                (wanted.split_whitespace().collect(), line.split_whitespace().collect());
            let any = |word: &str| word.contains('…') || word.contains(|c: char| c.is_ascii_digit());
            wanted.len() == line.len() && wanted.iter().zip(&line).all(|(w, l)| w == l || any(w))
        })
    })
}

/// Does this command run until it is stopped?
fn serves(command: &str) -> bool {
    ["configurable-agents demo", "orchestrator start", "agent-registry start", "sample-agent"]
        .iter()
        .any(|word| command.contains(word))
}

/// A place that looks like the checkout, where commands may leave files.
fn workplace(bed: &Bed) -> std::path::PathBuf {
    let place = bed.files.path().join("checkout");
    let programs = place.join(".programs");
    std::fs::create_dir_all(&programs).unwrap();
    for name in ["deploy", "crds"] {
        std::os::unix::fs::symlink(repository().join(name), place.join(name)).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_configurable-agents"));
    std::os::unix::fs::symlink(program, programs.join("configurable-agents")).unwrap();
    std::os::unix::fs::symlink(bed.plane.admin().program(), programs.join("kubectl")).unwrap();
    place
}

async fn execute(document: &str) {
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    let steps = steps(&text);
    assert!(steps.len() >= 3, "{document}: no console blocks");
    let bed = Bed::start(Version::V1_36).await;
    let place = workplace(&bed);
    let path = format!("{}:{}", place.join(".programs").display(), std::env::var("PATH").unwrap());
    let mut running: Vec<Managed> = Vec::new();
    let mut section = 0;
    for step in &steps {
        if step.section != section {
            section = step.section;
            stop(std::mem::take(&mut running)).await;
        }
        let at = format!("{document}:{}: {}", step.line, step.command);
        if serves(&step.command) {
            let output = place.join(format!(".output-{}", step.line));
            let process = Managed::start(&step.command, Path::new("bash"), &output, &output, |command| {
                command.args(["-c", &format!("exec {}", step.command)]).current_dir(&place);
                command.env("PATH", &path).env("KUBECONFIG", bed.plane.kubeconfig());
            });
            let printed = async || {
                if let Some(status) = process.exited() {
                    panic!("{at}: ended with {status}\n{}", process.stdout());
                }
                if matches(&step.prints, &process.stdout()) { Ok(()) } else { Err(process.stdout()) }
            };
            let said = poll(Duration::from_mins(1), printed).await;
            said.unwrap_or_else(|printed| panic!("{at}: did not print what it should, but\n{printed}"));
            running.push(process);
            continue;
        }
        let tried = poll(Duration::from_mins(1), async || {
            let mut command = tokio::process::Command::new("bash");
            command.args(["-o", "pipefail", "-c", &step.command]).current_dir(&place).kill_on_drop(true);
            command.env("PATH", &path).env("KUBECONFIG", bed.plane.kubeconfig()).stdin(Stdio::null());
            let output = tokio::time::timeout(Duration::from_secs(45), command.output()).await;
            let output = output.unwrap_or_else(|_| panic!("{at}: no end within 45 s")).unwrap();
            let printed =
                [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            let good = output.status.success() && matches(&step.prints, &printed.concat());
            if good { Ok(()) } else { Err(format!("{}\n{}", output.status, printed.concat())) }
        });
        tried.await.unwrap_or_else(|printed| panic!("{at}: did not print what it should, but\n{printed}"));
    }
    stop(running).await;
}

/// As Ctrl-C would, the newest first.
async fn stop(running: Vec<Managed>) {
    for process in running.into_iter().rev() {
        process.signal(nix::sys::signal::Signal::SIGINT);
        process.wait_exit(Duration::from_secs(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_console_block_of_the_readme_prints_what_it_says() {
    execute("README.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_console_block_of_the_quickstart_prints_what_it_says() {
    execute("docs/quickstart.md").await;
}

#[test]
fn a_word_with_a_digit_stands_for_any_word_and_all_else_must_be_there() {
    let wanted = ["NAME  READY  AGE".to_owned(), "a True 12s".to_owned()];
    assert!(matches(&wanted, "hint\nNAME   READY   AGE\nb False 3s\na  True   4m\n"));
    assert!(!matches(&wanted, "NAME   READY   AGE\na  False   4m\n"));
    assert!(!matches(&wanted, "a True 1s\nNAME READY AGE\n"));
}
