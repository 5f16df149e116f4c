//! Which AI agents really answer: declare them, probe them, and read the truth in standard
//! conditions, in a registry and on one page.

pub mod api;
pub mod domain;
pub mod engine;
pub mod mirror;
pub mod probe;
