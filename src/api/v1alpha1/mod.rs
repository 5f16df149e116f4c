//! `agents.configurable.dev/v1alpha1`.
//!
//! The doc comment of each field is its description in the CRD: it is what `kubectl explain` prints, so it speaks to
//! users and states unit, bounds, default and effect.

mod formats;
mod probe;
mod spec;
mod status;

pub use probe::{
    A2aLevel, A2aProbe, AuthenticationRequiredPolicy, CaBundleRef, CaKind, ClientCertificateRef, Connection,
    CredentialsRef, GrpcProbe, HttpHeader, HttpMethod, HttpProbe, McpProbe, Probe, TcpProbe, Tls,
    Verification,
};
pub use spec::{
    AgentEndpoint, AgentEndpointSpec, Expand, Registration, RegistrationPolicy, ServiceRef, Target,
};
pub use status::{AgentEndpointStatus, AgentSummary, StatusWord, TargetStatus};

/// What watches and readers hold: an object that cannot be read does not stop the others.
pub type Guarded = kube::core::DeserializeGuard<AgentEndpoint>;
