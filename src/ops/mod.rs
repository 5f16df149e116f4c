//! What every long-running mode has: logs, health, metrics, a clean stop.

pub mod calls;
pub mod health;
pub mod logs;
pub mod looks;
pub mod metrics;
pub mod server;
pub mod shutdown;
pub mod sockets;

/// The commit that this was built from, where the build was told it (`CONFIGURABLE_AGENTS_COMMIT`).
pub const COMMIT: &str = match option_env!("CONFIGURABLE_AGENTS_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Bounds in seconds that suit whatever takes from a millisecond to half a minute.
pub const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The time now.
#[allow(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
