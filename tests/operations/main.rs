//! What operators work with: health and metrics on their own port, rules, runbooks, the dashboard of
//! Grafana, logs. Prometheus itself is the judge (Debian package `prometheus`, which has promtool too).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "samples are whole numbers")]
#![allow(clippy::too_many_lines, reason = "a scenario is one story")]

#[path = "../support/mod.rs"]
mod support;

mod bed;
mod console;
mod files;
mod logs;
mod metrics;
mod port;
mod walk;
