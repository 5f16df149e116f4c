//! The registry's time: the only clock that leases are measured with.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time as unix milliseconds. An agent's or orchestrator's own clock is never asked.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;
}

/// The wall clock at the start, counted on by the monotonic clock: a jump of the wall clock
/// neither expires records nor makes them immortal.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started_ms: i64,
    started: Instant,
}

impl SystemClock {
    /// Reads the wall clock, once.
    #[allow(clippy::disallowed_methods, reason = "the registry's only reading of the clock")]
    pub fn start() -> SystemClock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SystemClock { started_ms: millis(since), started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        self.started_ms.saturating_add(millis(self.started.elapsed()))
    }
}

/// The database's clock, which several registries share: ours, set right whenever the database
/// tells its time.
#[derive(Debug)]
pub(super) struct DatabaseClock {
    own: SystemClock,
    ahead_ms: AtomicI64,
}

impl DatabaseClock {
    pub(super) fn start() -> DatabaseClock {
        DatabaseClock { own: SystemClock::start(), ahead_ms: AtomicI64::new(0) }
    }

    /// Takes over the database's time.
    pub(super) fn set(&self, now_ms: i64) {
        self.ahead_ms.store(now_ms.saturating_sub(self.own.now_ms()), Ordering::Relaxed);
    }
}

impl Clock for DatabaseClock {
    fn now_ms(&self) -> i64 {
        self.own.now_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }
}

/// A clock that only moves when told to, for tests of everything that expires.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at a given time.
    pub fn at_ms(now_ms: i64) -> ManualClock {
        ManualClock(AtomicI64::new(now_ms))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
