//! Records of several sources: who owns, who lives, what a lost call or a restart may not break.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../registry_support/mod.rs"]
mod registry_support;

mod batches;
mod bounds;
mod cleanup;
mod records;
mod snapshots;
mod sums;
mod time;

use configurable_agents::domain::record::{Digest, Holdings, Item, ItemOutcome, ItemResult, SnapshotRequest};
use registry_support::{ready, stamp};

const AGENTS: &str = "/v1/scopes/default/agents";

fn sum(items: &[Item]) -> Holdings {
    Holdings {
        digest: items.iter().fold(Digest::default(), |sum, item| sum.combine(item.digest)),
        count: items.len() as u64,
    }
}

fn outcomes(results: &[ItemResult]) -> Vec<ItemOutcome> {
    results.iter().map(|result| result.outcome).collect()
}

fn page(seq: i64, snapshot: &str, page: u32, last: bool, items: Vec<Item>) -> SnapshotRequest {
    SnapshotRequest {
        stamp: stamp(1, seq),
        snapshot: snapshot.to_owned(),
        page,
        last,
        confirmed: false,
        items,
        retained: Vec::new(),
    }
}

fn many(range: std::ops::Range<u32>) -> Vec<Item> {
    range.map(|i| ready(&format!("a{i:04}"))).collect()
}
