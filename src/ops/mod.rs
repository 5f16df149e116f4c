//! What every long-running mode has: logs, health, metrics, a clean stop.

pub mod health;
pub mod logs;
pub mod metrics;
pub mod server;
pub mod shutdown;

/// The time now.
#[allow(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
