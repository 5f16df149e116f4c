//! The chart, by both Helms and on both API servers, without a node: what it renders, what it refuses, what it grants,
//! and that `deploy/` is made of it.
//!
//! Run with `cargo test --features cluster-tests --test chart -- --test-threads=1`. Helm 4 and Helm 3 are those that
//! `tests/node/build.sh` builds; `HELM` and `HELM3` name others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod deploy;
mod flows;
mod helm;
mod objects;
mod postgres;
mod refusals;
mod rights;
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod values;
