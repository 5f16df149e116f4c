//! The program under test, as a process.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::children::Managed;

/// A running `configurable-agents`, killed on drop. Its environment is `PATH`, `HOME` and what is given.
#[derive(Debug)]
pub struct Proc {
    process: Managed,
    work: TempDir,
}

impl Proc {
    /// Starts the program with these arguments and environment variables.
    pub fn start<A: AsRef<str>>(args: &[A], env: &[(&str, &str)]) -> Proc {
        let work = super::work_dir();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_configurable-agents"));
        let (stdout, stderr) = (work.path().join("stdout"), work.path().join("stderr"));
        let process = Managed::start("configurable-agents", &program, &stdout, &stderr, |command| {
            command.args(args.iter().map(AsRef::as_ref)).env_clear().current_dir(work.path());
            for name in ["PATH", "HOME"] {
                if let Some(value) = std::env::var_os(name) {
                    command.env(name, value);
                }
            }
            command.envs(env.iter().copied());
        });
        Proc { process, work }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// SIGSTOP: it keeps its connections and does nothing, from when this returns.
    pub fn stop_signal(&self) {
        self.process.freeze();
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// SIGTERM.
    pub fn term(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.signal(Signal::SIGKILL);
    }

    /// Any signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// The exit status, when it has ended.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Waits for the end; panics with the last output when `deadline` has passed.
    pub async fn wait_exit(&self, deadline: Duration) -> ExitStatus {
        self.process.wait_exit(deadline).await
    }

    /// Standard output, then standard error, as written so far.
    pub fn logs(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Its working folder, for files it shall find or write.
    pub fn work_dir(&self) -> &Path {
        self.work.path()
    }

    /// Resident memory.
    pub fn rss_kib(&self) -> u64 {
        self.status_field("VmRSS:")
    }

    /// The highest resident memory so far.
    pub fn peak_rss_kib(&self) -> u64 {
        self.status_field("VmHWM:")
    }

    /// Threads.
    pub fn threads(&self) -> u64 {
        self.status_field("Threads:")
    }

    /// Open file descriptors.
    pub fn open_files(&self) -> usize {
        let folder = self.proc_file("fd");
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).count()
    }

    /// Processor time used so far, user and system.
    pub fn cpu_seconds(&self) -> f64 {
        // The fields after the program's name, which is in parentheses and may hold blanks: 14 and 15 of proc(5).
        let stat = self.read("stat");
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_whitespace().collect();
        let ticks: u32 = [11, 12].iter().map(|&field| fields[field].parse::<u32>().unwrap()).sum();
        f64::from(ticks) / 100.0 // USER_HZ is 100 on Linux
    }

    fn status_field(&self, name: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|rest| rest.split_whitespace().next());
        value.unwrap_or_else(|| panic!("{name} of process {}", self.pid())).parse().unwrap()
    }

    fn proc_file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(name)
    }

    fn read(&self, name: &str) -> String {
        let path = self.proc_file(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
