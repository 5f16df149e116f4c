//! Which AI agents really answer: declare them, probe them, and read the truth in standard
//! conditions, in a registry and on one page.
//!
//! ```text
//!                     cli
//!   ┌──────────┬────────┼─────────┬──────────┐
//! kubernetes standalone dashboard registry  clients
//!   │   │      │  │  │     │        │
//!   │   │      │  │ manifest│       │
//!   │  api ────┘  │      view       │
//!   ├─ engine ────┤                 │
//!   │    └ probe  │                 │
//!   ├─ mirror ────┘                 │
//!   └───────────── domain ──────────┘     (pure)
//! ```
//!
//! `tests/architecture.rs` holds these arrows.

pub mod api;
pub mod cli;
pub mod dashboard;
pub mod domain;
pub mod engine;
pub mod kubernetes;
pub mod manifest;
pub mod mirror;
pub mod ops;
pub mod orchestrator_client;
pub mod probe;
pub mod registry;
pub mod registry_client;
pub mod standalone;
pub mod vault;
pub mod view;
pub mod web;
