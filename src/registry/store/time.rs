//! Which clock leases are measured with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::registry::clock::{Clock, DatabaseClock};

/// More than this between what the database says and what was expected of it is a jump: another
/// server with another clock, or a clock that was set.
const JUMP_MS: i64 = 5_000;

/// Ours, or the database's where several registries share it.
#[derive(Clone)]
pub(super) enum Time {
    Own(Arc<dyn Clock>),
    Database(Arc<DatabaseClock>, Arc<AtomicBool>),
}

impl Time {
    pub(super) fn of_database() -> Time {
        Time::Database(Arc::new(DatabaseClock::start()), Arc::new(AtomicBool::new(false)))
    }

    pub(super) fn now_ms(&self) -> i64 {
        match self {
            Time::Own(clock) => clock.now_ms(),
            Time::Database(clock, _) => clock.now_ms(),
        }
    }

    /// Takes over what the database says, if its time is the one that counts. True when that is a
    /// jump.
    pub(super) fn hear(&self, database_ms: i64) -> bool {
        let Time::Database(clock, heard) = self else { return false };
        let ahead = database_ms.saturating_sub(clock.now_ms());
        clock.set(database_ms);
        heard.swap(true, Ordering::Relaxed) && ahead.abs() > JUMP_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_time_counts_and_its_jumps_are_seen() {
        let time = Time::of_database();
        let first = time.now_ms() + 3_600_000;
        assert!(!time.hear(first), "the first reading is no jump");
        assert!((0..1_000).contains(&(time.now_ms() - first)));
        assert!(!time.hear(first + 100));
        assert!(time.hear(first - 86_400_000));
        assert!((0..1_000).contains(&(time.now_ms() + 86_400_000 - first)));
    }
}
