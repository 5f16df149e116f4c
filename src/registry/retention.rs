//! The registry's own clockwork: notes that it runs, and reaps what expired long ago.

use std::time::Duration;

use rand::RngExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::meters::Meters;
use super::store::Store;

/// Expired records stay this long: the original's clients beat but never register again, so one
/// that was away over a day's outage must find its record.
pub const REAP_AFTER: Duration = Duration::from_hours(24);

const NOTE_EVERY: Duration = Duration::from_secs(10);
/// Rounds of [`NOTE_EVERY`] between two looks for what to reap: 10 to 15 minutes.
const REAP_ROUNDS: std::ops::Range<u32> = 60..90;

pub(super) async fn run(store: &Store, meters: &Meters, shutdown: &CancellationToken) {
    let mut rounds_left = 1;
    loop {
        tokio::select! {
            () = tokio::time::sleep(NOTE_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
        // A failed write is in the log already, and the next round tries again.
        let noted = store.note_running().await;
        meters.wrote(noted.err().map(|error| error.to_string()));
        rounds_left -= 1;
        if rounds_left == 0 {
            rounds_left = rand::rng().random_range(REAP_ROUNDS);
            reap(store, shutdown).await;
        }
    }
}

/// Round by round, so that beats get in between.
async fn reap(store: &Store, shutdown: &CancellationToken) {
    let mut total = 0;
    while !shutdown.is_cancelled() {
        match store.reap(REAP_AFTER).await {
            Ok(reaped) if reaped.total() > 0 => total += reaped.total(),
            Ok(_) => break,
            Err(cause) => {
                warn!(cause = %cause, "cannot reap expired records");
                break;
            }
        }
    }
    if total > 0 {
        info!(records = total, "reaped what expired more than 24 h ago");
    }
}
