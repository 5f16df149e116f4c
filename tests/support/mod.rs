//! What the integration tests share: a real control plane, fault-injecting agents, DNS, a TCP proxy, and the program
//! under test as a process. Nothing here is a stand-in for Kubernetes.
//!
//! Waits have a deadline and a condition ([`eventually`], [`stays`]); there is one sleep, in [`poll`].
#![allow(dead_code, unused_imports, reason = "each test target uses a part of this module")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up fails by a panic that says why"
)]

pub mod agent;
pub mod audit;
pub mod certificates;
pub mod chart;
pub mod children;
pub mod cluster;
pub mod console;
pub mod controlplane;
pub mod dns;
pub mod engine;
pub mod farm;
pub mod faults;
pub mod flow;
pub mod kubectl;
pub mod launch;
pub mod listening;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod stage;
pub mod version;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use agent::TestAgent;
pub use audit::AuditEvent;
pub use controlplane::ControlPlane;
pub use dns::{Answer, TestDns};
pub use engine::Behaviour;
pub use farm::AgentFarm;
pub use process::Proc;
pub use proxy::FreezeProxy;
pub use version::Version;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(25);

/// What a condition may answer: `bool`, `Option<T>`, or `Result<T, String>` whose error is shown when time is up.
pub trait Settled {
    /// What is handed back once the condition holds.
    type Value;
    /// `Ok` when the condition holds, else what is still missing.
    fn settled(self) -> Result<Self::Value, String>;
}

impl Settled for bool {
    type Value = ();
    fn settled(self) -> Result<(), String> {
        if self { Ok(()) } else { Err(String::new()) }
    }
}

impl<T> Settled for Option<T> {
    type Value = T;
    fn settled(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}

impl<T> Settled for Result<T, String> {
    type Value = T;
    fn settled(self) -> Result<T, String> {
        self
    }
}

/// Looks at `condition` until it holds or `deadline` has passed; the error is what the last look said.
pub async fn poll<R: Settled>(
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> R,
) -> Result<R::Value, String> {
    let start = Instant::now();
    loop {
        match condition().await.settled() {
            Ok(value) => return Ok(value),
            Err(missing) if start.elapsed() >= deadline => return Err(missing),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Waits until `condition` holds and hands back its value; panics with `what` when `deadline` has passed.
pub async fn eventually<R: Settled>(
    deadline: Duration,
    what: &str,
    condition: impl AsyncFnMut() -> R,
) -> R::Value {
    match poll(deadline, condition).await {
        Ok(value) => value,
        Err(missing) if missing.is_empty() => panic!("not within {deadline:?}: {what}"),
        Err(missing) => panic!("not within {deadline:?}: {what}: {missing}"),
    }
}

/// Panics when `condition` does not hold at any look during `time`: for what must *not* happen.
pub async fn stays<R: Settled>(time: Duration, what: &str, mut condition: impl AsyncFnMut() -> R) {
    let start = Instant::now();
    let broken = poll(time, async || condition().await.settled().err().map(|why| (start.elapsed(), why)));
    if let Ok((after, why)) = broken.await {
        panic!("for {time:?}: {what}: broken after {after:?} {why}");
    }
}

/// A TCP port of `address` that is free now. Taken below the range of outgoing connections (32768 and up), so that a
/// stopped listener's port is neither taken by a client nor connected to itself.
pub fn free_port(address: Ipv4Addr) -> u16 {
    for _ in 0..1000 {
        let random = uuid::Uuid::new_v4();
        let port = 10_240 + u16::from_be_bytes([random.as_bytes()[0], random.as_bytes()[1]]) % 22_000;
        if TcpListener::bind((address, port)).is_ok() {
            return port;
        }
    }
    panic!("no free TCP port on {address} after 1000 tries");
}

/// Where tests keep their files: inside the build folder. Folders of test processes that have ended are removed.
fn work_root() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&root).expect("the build folder is writable");
    let entries = std::fs::read_dir(&root).expect("the build folder can be read");
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("run-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    root
}

/// A private folder, removed when dropped, or by the next test run when this process ends without that.
pub fn work_dir() -> tempfile::TempDir {
    let prefix = format!("run-{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(work_root()).expect("a folder for the test's files")
}
