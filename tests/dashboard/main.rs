//! The dashboard over HTTP, without a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod fixtures;
mod guards;
mod http;
mod live;
mod pages;
mod security;
mod states;
