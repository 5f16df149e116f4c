//! The main job on a real control plane: kube-apiserver and etcd with RBAC, kubectl, real agents on
//! loopback, the program as a process under a ServiceAccount with the rights of `deploy/rbac.yaml`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::too_many_lines,
    clippy::disallowed_methods,
    reason = "a scenario is one story, on the real clock"
)]
#![allow(clippy::print_stdout, reason = "figures are printed for the reader of the run")]

#[path = "../support/mod.rs"]
mod support;

mod anywhere;
mod bad_input;
mod bed;
mod console;
mod edits;
mod fencing;
mod flow;
mod journey;
mod operations;
mod pages;
mod quiet;
mod registration;
mod scale;
