//! The pure core: what a verdict is and what follows from it.
//!
//! No async, no clock, no randomness, no I/O: time comes in as an argument, and the same input
//! always gives the same answer. Both modes (cluster and standalone) call the same [`plan()`].

pub mod address;
mod advice;
pub mod agent;
pub mod condition;
pub mod defaults;
pub mod disagreement;
pub mod endpoint;
pub mod filter;
#[cfg(test)]
pub mod fixtures;
pub mod guard;
pub mod machine;
mod notices;
pub mod outcome;
pub mod plan;
pub mod policy;
mod reason;
pub mod record;
pub mod reference;
pub mod schedule;
pub mod status;
mod word;

pub use condition::{Condition, ConditionStatus, ConditionType};
pub use endpoint::{Endpoint, EndpointId, ProbeSpec, Target, TargetAddress};
pub use machine::{Machine, TargetState, Thresholds};
pub use notices::Notice;
pub use outcome::{Certificate, Failure, Outcome};
pub use plan::{MirrorIntent, Plan, RegistrationState, plan};
pub use policy::TargetPolicy;
pub use reason::Reason;
pub use status::{Status, TargetStatus};
pub use word::StatusWord;
