//! The Kubernetes API of the project: types and their schema, nothing else.
//!
//! May not use a kube client, tokio, or a clock. Conversion to what the engine works on lives elsewhere.

pub mod convert;
pub mod schema;
pub mod v1alpha1;

/// API group of all our resources, and the prefix of our labels and annotations.
pub const GROUP: &str = "agents.configurable.dev";

/// The version that is served and stored.
pub const VERSION: &str = "v1alpha1";

/// Field manager of everything that we write with server-side apply.
pub const FIELD_MANAGER: &str = "configurable-agents";

/// Plural of `AgentEndpoint`, as it stands in URLs and roles.
pub const PLURAL: &str = "agentendpoints";

/// Kind of `AgentEndpoint`.
pub const KIND: &str = "AgentEndpoint";
