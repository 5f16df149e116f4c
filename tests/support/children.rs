//! Child processes that never outlive the tests: killed by id on drop, and by the kernel when the test process ends in
//! any other way (`setpriv --pdeathsig`, started from a thread that lives as long as the process).

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `command` from the one thread that starts all: the kernel's parent-death signal follows the thread.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, todo) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in todo {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, started) = channel();
    spawner.lock().unwrap().send((command, reply)).expect("the spawner thread lives");
    started.recv().expect("the spawner thread answers")
}

/// A command for `program` that the kernel ends with this process, where `setpriv` (util-linux) is installed.
fn guarded(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if setpriv.exists() {
        // In the background of a script Ctrl-C is ignored, and children would inherit that.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,QUIT").arg(setpriv).args(["--pdeathsig", "KILL"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn append(path: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A running child process with its output in files.
#[derive(Debug)]
pub struct Managed {
    name: String,
    pid: u32,
    child: Mutex<Child>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Managed {
    /// Starts `program`; output is appended to `stdout` and `stderr` (they may be the same file).
    pub fn start(
        name: &str,
        program: &Path,
        stdout: &Path,
        stderr: &Path,
        configure: impl FnOnce(&mut Command),
    ) -> Managed {
        let mut command = guarded(program);
        configure(&mut command);
        command.stdin(Stdio::null()).stdout(append(stdout)).stderr(append(stderr));
        let child = spawn(command).unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
        Managed {
            name: name.to_owned(),
            pid: child.id(),
            child: Mutex::new(child),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        read_lossy(&self.stdout)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        read_lossy(&self.stderr)
    }

    /// The exit status, when it has ended.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().expect("a child can be waited for")
    }

    /// Sends a signal, unless the process has ended (its id may be another's by then).
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().unwrap();
        if child.try_wait().expect("a child can be waited for").is_none() {
            let pid = Pid::from_raw(i32::try_from(self.pid).expect("a process id"));
            kill(pid, signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
        }
    }

    /// SIGSTOP; when this returns the kernel has stopped it.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let start = Instant::now();
        let state = Path::new("/proc").join(self.pid.to_string()).join("stat");
        while !read_lossy(&state).rsplit(')').next().unwrap_or_default().starts_with(" T") {
            assert!(start.elapsed() < Duration::from_secs(10), "{} did not stop", self.name);
            std::thread::yield_now();
        }
    }

    /// Waits for the end; panics with the last output when `deadline` has passed.
    pub async fn wait_exit(&self, deadline: Duration) -> ExitStatus {
        let ended = super::poll(deadline, async || self.exited()).await;
        ended.unwrap_or_else(|_| {
            panic!("{} did not end within {deadline:?}; it wrote:\n{}", self.name, self.tail())
        })
    }

    /// The last lines of standard error.
    pub fn tail(&self) -> String {
        let text = self.stderr();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
