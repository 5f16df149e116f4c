//! The registry on PostgreSQL: the same suite as on SQLite, and what only a server can do to it.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(
    clippy::duplicate_mod,
    reason = "registry_wire is a program by itself, too, and brings its support along"
)]

#[path = "../registry_support/mod.rs"]
mod registry_support;

#[path = "../registry_v1/backup.rs"]
mod backup;
#[path = "../registry_v1/batches.rs"]
mod batches;
#[path = "../registry_v1/bounds.rs"]
mod bounds;
#[path = "../registry_v1/cleanup.rs"]
mod cleanup;
mod faults;
mod program;
#[path = "../registry_v1/records.rs"]
mod records;
mod shared;
#[path = "../registry_v1/snapshots.rs"]
mod snapshots;
#[path = "../registry_v1/sums.rs"]
mod sums;
#[path = "../registry_v1/time.rs"]
mod time;
#[path = "../registry_wire.rs"]
mod wire;

use registry_support::{AGENTS, many, outcomes, page, sum};
