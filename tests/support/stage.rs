//! Where the commands of a document are executed: a folder that looks like the checkout, the programs in the path, and
//! a network with nothing else in it where the machine permits that.
#![allow(clippy::print_stdout, reason = "which page was executed is for the reader of the run")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures::StreamExt as _;
use nix::sys::signal::Signal;

use super::children::Managed;
use super::console::{Place, Step, matches, pages, read, repository, steps};
use super::{poll, work_dir};

/// How long a command is tried until it prints what it should.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one try may take.
const DEADLINE: Duration = Duration::from_secs(45);
/// A page's name, for the process that executes it in a network of its own; by hand: to try one page.
const PAGE: &str = "CONSOLE_PAGE";

/// Does this command run until it is stopped?
fn serves(command: &str) -> bool {
    [
        "configurable-agents demo",
        "orchestrator start",
        "agent-registry start",
        "sample-agent",
        "agent.py",
        "http.server",
    ]
    .iter()
    .any(|word| command.contains(word))
        && !["--help", "--print-config", "<<"].iter().any(|word| command.contains(word))
}

/// Does this command print an error?
fn must_fail(step: &Step) -> bool {
    step.prints.iter().any(|line| line.starts_with("error: ") || line.starts_with("Error from "))
}

/// Executes what `run` does for each page of this place, `at_once` pages at a time, each page in a process and a network
/// of its own, so that the ports that documents name are free. `test` is the name of the calling test.
///
/// A machine that permits no network of its own runs them one after the other on its own ports.
pub async fn each_page(test: &str, place: &Place, at_once: usize, run: impl AsyncFn(&str)) {
    if let Ok(page) = std::env::var(PAGE) {
        assert!(repository().join(&page).exists(), "{PAGE}: there is no {page}");
        // Only the test that is meant: other places have no such page.
        if pages(place).contains(&page) {
            run(&page).await;
        }
        return;
    }
    let pages = pages(place);
    assert!(!pages.is_empty(), "no page has commands for {place:?}");
    if !own_network_is_permitted() {
        for page in &pages {
            println!("{page}, on the machine's own ports");
            run(page).await;
        }
        return;
    }
    let files = work_dir();
    let results = futures::stream::iter(pages.iter().enumerate().map(async |(number, page)| {
        let output = files.path().join(format!("{number}"));
        let process = Managed::start(page, Path::new("unshare"), &output, &output, |command| {
            command.args([
                "-rn",
                "sh",
                "-c",
                "ip link set lo up && exec setpriv --pdeathsig KILL \"$@\"",
                "sh",
            ]);
            command.arg(std::env::current_exe().unwrap());
            command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PAGE, page);
        });
        let status = process.wait_exit(Duration::from_mins(10)).await;
        println!("{page}: {status}");
        (!status.success()).then(|| format!("{page}:\n{}", process.stdout()))
    }))
    .buffer_unordered(at_once);
    let failed: Vec<String> = results.filter_map(async |result| result).collect().await;
    assert!(failed.is_empty(), "{} of {} pages:\n{}", failed.len(), pages.len(), failed.join("\n\n"));
}

fn own_network_is_permitted() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["-rn", "sh", "-c", "ip link set lo up"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// Where one page's commands are executed.
pub struct Stage {
    files: tempfile::TempDir,
    env: Vec<(String, PathBuf)>,
}

impl Stage {
    /// A folder that looks like the checkout, with these programs in the path and these variables.
    pub fn new(programs: &[(&str, &Path)], env: &[(&str, &Path)]) -> Stage {
        for program in ["bash", "curl", "jq", "openssl", "python3"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
                .any(|folder| folder.join(program).exists());
            assert!(found, "the documents' commands use {program}: install it");
        }
        let files = work_dir();
        let folder = files.path().join(".programs");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["deploy", "crds", "charts"] {
            if repository().join(name).exists() {
                std::os::unix::fs::symlink(repository().join(name), files.path().join(name)).unwrap();
            }
        }
        let program = Path::new(env!("CARGO_BIN_EXE_configurable-agents"));
        for (name, path) in [("configurable-agents", program)].iter().chain(programs) {
            std::os::unix::fs::symlink(path, folder.join(name)).unwrap();
        }
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut env: Vec<(String, PathBuf)> =
            env.iter().map(|(name, value)| ((*name).to_owned(), value.to_path_buf())).collect();
        env.push(("PATH".to_owned(), path.into()));
        Stage { files, env }
    }

    /// Executes the commands of a page that are for this place, in order.
    pub async fn run(&self, page: &str, place: &Place) {
        let steps = steps(&read(page));
        let mut running: Vec<(&Step, Managed)> = Vec::new();
        let mut section = 0;
        for step in steps.iter().filter(|step| step.place.as_ref() == Some(place)) {
            if step.section != section {
                section = step.section;
                stop(std::mem::take(&mut running)).await;
            }
            let at = format!("{page}:{}: {}", step.line, step.command);
            if step.prints.first().is_some_and(|line| line.trim() == "^C") {
                let found = running.iter().position(|(other, _)| other.command == step.command);
                let found = found.unwrap_or_else(|| panic!("{at}: ^C, but it does not run"));
                stop(vec![running.remove(found)]).await;
            } else if serves(&step.command) && !must_fail(step) {
                running.push((step, self.serve(step, &at).await));
            } else {
                self.ask(step, &at).await;
            }
        }
        stop(running).await;
    }

    async fn serve(&self, step: &Step, at: &str) -> Managed {
        let output = self.files.path().join(format!(".output-{}", step.line));
        let process = Managed::start(&step.command, Path::new("bash"), &output, &output, |command| {
            command.args(["-c", &format!("exec {}", step.command)]).current_dir(self.files.path());
            command.envs(self.env.iter().cloned());
        });
        let said = poll(PATIENCE, async || {
            if let Some(status) = process.exited() {
                panic!("{at}: ended with {status}\n{}", process.stdout());
            }
            if matches(&step.prints, &process.stdout()) { Ok(()) } else { Err(process.stdout()) }
        });
        said.await.unwrap_or_else(|printed| panic!("{at}: did not print what it should, but\n{printed}"));
        process
    }

    /// Tries a command until it prints what it should. One that prints an error must fail.
    async fn ask(&self, step: &Step, at: &str) {
        let fails = must_fail(step);
        let tried = poll(PATIENCE, async || {
            let mut command = tokio::process::Command::new("bash");
            command.args(["-o", "pipefail", "-c", &step.command]).current_dir(self.files.path());
            command.envs(self.env.iter().cloned()).stdin(Stdio::null()).kill_on_drop(true);
            let output = tokio::time::timeout(DEADLINE, command.output()).await;
            let output = output.unwrap_or_else(|_| panic!("{at}: no end within {DEADLINE:?}")).unwrap();
            let printed =
                [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            let good = output.status.success() != fails && matches(&step.prints, &printed.concat());
            if good { Ok(()) } else { Err(format!("{}\n{}", output.status, printed.concat())) }
        });
        tried.await.unwrap_or_else(|printed| panic!("{at}: did not print what it should, but\n{printed}"));
    }
}

/// As Ctrl-C would, the newest first.
async fn stop(running: Vec<(&Step, Managed)>) {
    for (_, process) in running.into_iter().rev() {
        process.signal(Signal::SIGINT);
        process.wait_exit(Duration::from_secs(20)).await;
    }
}
