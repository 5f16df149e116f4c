//! kubectl (and, on the node, helm), run as users run it: with a deadline, and its output kept.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::children::Managed;

/// How long one call may take unless said otherwise.
const DEADLINE: Duration = Duration::from_mins(1);

/// What one call of kubectl came to.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Itself when the call succeeded, else a panic with all it said.
    pub fn ok(self) -> Output {
        assert!(self.status.success(), "{}: {}\n{}{}", self.command, self.status, self.stdout, self.stderr);
        self
    }

    /// Itself when the call failed, else a panic with all it said.
    pub fn refused(self) -> Output {
        assert!(!self.status.success(), "{} succeeded:\n{}{}", self.command, self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON, of a call that succeeded.
    pub fn json(self) -> serde_json::Value {
        let output = self.ok();
        let value = serde_json::from_str(&output.stdout);
        value.unwrap_or_else(|error| panic!("{}: {error}: {}", output.command, output.stdout))
    }
}

/// A kubectl that runs on, such as `get --watch`; killed on drop.
#[derive(Debug)]
pub struct Background {
    process: Managed,
    _work: TempDir,
}

impl Background {
    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// The process, for its id, exit status and signals.
    pub fn process(&self) -> &Managed {
        &self.process
    }
}

/// A kubectl for one cluster, as one user.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// `program` with `kubeconfig`; what it discovers is cached in `cache`, never in the user's home.
    pub fn new(program: PathBuf, kubeconfig: &Path, cache: &Path) -> Kubectl {
        Kubectl { program, kubeconfig: kubeconfig.to_owned(), cache: cache.to_owned() }
    }

    /// The same program and cache folder as another user.
    pub fn with_kubeconfig(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl { kubeconfig: kubeconfig.to_owned(), ..self.clone() }
    }

    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The kubeconfig in use.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// One call.
    pub async fn run(&self, args: &[&str]) -> Output {
        self.run_within(DEADLINE, args, None).await
    }

    /// One call with text on standard input, for `-f -`.
    pub async fn run_stdin(&self, args: &[&str], input: &str) -> Output {
        self.run_within(DEADLINE, args, Some(input)).await
    }

    /// One call with a deadline of its own; panics when it has passed.
    pub async fn run_within(&self, deadline: Duration, args: &[&str], input: Option<&str>) -> Output {
        let name = self.program.file_name().unwrap_or_default().display();
        let line = format!("{name} {}", args.join(" "));
        let mut command = Command::new(&self.program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.cache);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{} ({line}): {error}", self.program.display()));
        let stdin = child.stdin.take();
        let feed = async move {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A call that ends before it has read everything says why in its own output.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = tokio::time::timeout(deadline, both).await;
        let output = output.unwrap_or_else(|_| panic!("{line}: not done within {deadline:?}"));
        let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
        Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: line,
        }
    }

    /// A call that runs on, its output in files.
    pub fn spawn(&self, args: &[&str]) -> Background {
        let work = super::work_dir();
        let (stdout, stderr) = (work.path().join("stdout"), work.path().join("stderr"));
        let process = Managed::start(
            &format!("kubectl {}", args.join(" ")),
            &self.program,
            &stdout,
            &stderr,
            |command| {
                command.args(args).env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.cache);
            },
        );
        Background { process, _work: work }
    }
}
