//! Between the objects that people write and what the core works on.

mod spec;
mod status;

pub use spec::{AgentIds, Facts, Naming, Rules, ServiceFacts, endpoint, undecodable};
pub use status::{from_object, to_object};
