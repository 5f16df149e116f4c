//! Between the objects that people write and what the core works on.

mod spec;
mod status;

pub use spec::{AgentIds, Facts, Naming, Rules, ServiceFacts, asks_for_foreign_id, endpoint, undecodable};
pub use status::{from_object, to_object};
