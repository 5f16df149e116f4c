//! Between the objects that people write and what the core works on.

mod probe;
mod spec;
mod status;

pub use spec::{
    AgentIds, Facts, Naming, Rules, ServiceFacts, asks_for_foreign_id, endpoint, needs, undecodable,
};
pub use status::{from_object, to_object};
