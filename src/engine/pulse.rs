//! How fast and how punctual the engine is, over the last while.

use std::collections::VecDeque;
use std::time::Duration;

/// Seconds over which the rate is taken.
const SECONDS: u64 = 10;
/// Starts of which the lag is kept.
const STARTS: usize = 1000;

/// How fast and how punctual the engine is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace {
    /// Probes that ended, per second, over the last ten seconds.
    pub per_second: f64,
    /// The 95th percentile of how late the last thousand probes began; `None` before the first.
    pub lag_p95: Option<Duration>,
    /// How long ago a probe last ended.
    pub last_finished: Option<Duration>,
}

/// Collects it. Times are durations since the engine was made.
#[derive(Default)]
pub(super) struct Pulse {
    lags: VecDeque<Duration>,
    /// Ends in each of the last seconds, the newest last, and which second that is.
    ends: VecDeque<u32>,
    second: u64,
    last: Option<Duration>,
}

impl Pulse {
    pub fn started(&mut self, lag: Duration) {
        if self.lags.len() == STARTS {
            self.lags.pop_front();
        }
        self.lags.push_back(lag);
    }

    pub fn finished(&mut self, now: Duration) {
        self.advance(now.as_secs());
        if let Some(count) = self.ends.back_mut() {
            *count = count.saturating_add(1);
        }
        self.last = Some(now);
    }

    /// Makes `second` the newest of the seconds that are counted.
    fn advance(&mut self, second: u64) {
        let steps = if self.ends.is_empty() { 1 } else { second.saturating_sub(self.second) };
        for _ in 0..steps.min(SECONDS + 1) {
            self.ends.push_back(0);
        }
        while self.ends.len() as u64 > SECONDS + 1 {
            self.ends.pop_front();
        }
        self.second = self.second.max(second);
    }

    pub fn pace(&mut self, now: Duration) -> Pace {
        self.advance(now.as_secs());
        // The newest second is not over yet.
        let over = self.ends.len().saturating_sub(1);
        let ends: u32 = self.ends.iter().take(over).sum();
        let seconds = now.as_secs().clamp(1, SECONDS);
        let mut lags: Vec<Duration> = self.lags.iter().copied().collect();
        lags.sort_unstable();
        Pace {
            per_second: f64::from(ends) / f64::from(u32::try_from(seconds).unwrap_or(1)),
            lag_p95: lags.get((lags.len() * 95 / 100).min(lags.len().saturating_sub(1))).copied(),
            last_finished: self.last.map(|last| now.saturating_sub(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.pace(Duration::from_secs(1)), Pace::default());
        for tenth in 0..300 {
            pulse.finished(Duration::from_millis(tenth * 100));
        }
        let pace = pulse.pace(Duration::from_secs(30));
        assert!((pace.per_second - 10.0).abs() < 1e-9, "{pace:?}");
        assert_eq!(pace.last_finished, Some(Duration::from_millis(100)));
        let later = pulse.pace(Duration::from_secs(35));
        assert!((later.per_second - 5.0).abs() < 1e-9, "{later:?}");
        assert!(pulse.pace(Duration::from_hours(1)).per_second < 1e-9);
    }

    #[test]
    fn the_lag_is_the_95th_percentile_of_the_last_thousand() {
        let mut pulse = Pulse::default();
        for ms in 0..2000 {
            pulse.started(Duration::from_millis(ms));
        }
        assert_eq!(pulse.pace(Duration::from_secs(1)).lag_p95, Some(Duration::from_millis(1950)));
    }
}
