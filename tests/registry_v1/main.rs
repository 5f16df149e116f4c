//! Records of several sources: who owns, who lives, what a lost call or a restart may not break.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../registry_support/mod.rs"]
mod registry_support;

mod backup;
mod batches;
mod bounds;
mod cleanup;
mod files;
mod records;
mod snapshots;
mod sums;
mod time;

use registry_support::{AGENTS, many, outcomes, page, sum};
