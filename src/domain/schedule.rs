//! When a probe is due: a fixed grid with a phase of its own, so that restarts do not align probes,
//! nothing drifts, and a missed slot is skipped.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Where in its period a target sits, from a hash of its identity: 0 ≤ phase < period.
pub fn phase(identity: &str, period: Duration) -> Duration {
    let digest = Sha256::digest(identity.as_bytes());
    let word = digest.iter().take(8).fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    let period = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(word % period)
}

/// The first slot after `now`; both are durations since the engine started.
pub fn next_slot(now: Duration, phase: Duration, period: Duration) -> Duration {
    if now < phase {
        return phase;
    }
    let period_ms = period.as_millis().max(1);
    let passed = (now - phase).as_millis() / period_ms + 1;
    let offset = u64::try_from(passed * period_ms).unwrap_or(u64::MAX);
    phase + Duration::from_millis(offset)
}

/// The phase of the grid on which `due` lies.
pub fn modulo(due: Duration, period: Duration) -> Duration {
    let rest = due.as_millis() % period.as_millis().max(1);
    Duration::from_millis(u64::try_from(rest).unwrap_or_default())
}

/// How many whole slots lie between two due times of the same grid, both excluded.
pub fn missed(previous: Duration, next: Duration, period: Duration) -> u64 {
    let steps = next.saturating_sub(previous).as_millis() / period.as_millis().max(1);
    u64::try_from(steps).unwrap_or(u64::MAX).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slots_lie_on_the_grid_and_never_in_the_past(now in 0_u64..10_000_000, period in 1_u64..3_600, id in "[a-z]{1,20}") {
            let period = Duration::from_secs(period);
            let now = Duration::from_millis(now);
            let phase = phase(&id, period);
            let slot = next_slot(now, phase, period);
            prop_assert!(phase < period);
            prop_assert!(slot >= now && slot <= now + period);
            prop_assert_eq!((slot - phase).as_millis() % period.as_millis(), 0);
            let following = next_slot(slot, phase, period);
            prop_assert_eq!(following, slot + period);
            prop_assert_eq!(modulo(following, period), phase);
            prop_assert_eq!(missed(slot, following, period), 0);
            prop_assert_eq!(missed(slot, following + 2 * period, period), 2);
        }
    }

    #[test]
    fn phases_spread_evenly_over_the_period() {
        let period = Duration::from_secs(10);
        let mut seconds = [0_u32; 10];
        for n in 0..10_000 {
            let phase = phase(&format!("ns/agent-{n}|10.0.0.1:80"), period);
            seconds[usize::try_from(phase.as_secs()).unwrap()] += 1;
        }
        assert!(seconds.iter().all(|n| (850..1150).contains(n)), "{seconds:?}");
    }
}
