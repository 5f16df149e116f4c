//! The chart and the image on a real node: kubelet, containerd, CoreDNS, volumes, NetworkPolicy (`node.sh` beside this
//! file). As root; `tests/run.sh` builds what it needs. `docs/development/testing.md` says how to try things by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::too_many_lines,
    clippy::disallowed_methods,
    reason = "a scenario is one story, on the real clock"
)]
#![allow(clippy::print_stdout, reason = "figures are printed for the reader of the run")]

#[path = "../support/mod.rs"]
mod support;

mod bed;
mod lifecycle;
mod objects;
mod outage;
mod policies;
mod rights;
mod story;
mod traces;
mod waiting;
