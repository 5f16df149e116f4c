//! What the core knows of one `AgentEndpoint`, with every default filled in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::reference::{CredentialSpec, TlsSpec};
use super::{Reason, Thresholds};

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl EndpointId {
    /// Pairs the two.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        EndpointId { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for EndpointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Host and port as the spec names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetAddress {
    /// DNS name or canonical IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How a target's addresses are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// It is one.
    Literal(IpAddr),
    /// By this absolute DNS name (no trailing dot, no search list).
    Name(String),
}

/// One place where the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// As the spec (or the Service) names it.
    pub address: TargetAddress,
    /// How to find where to dial.
    pub lookup: Lookup,
}

/// HTTP method of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`; the body is read.
    Get,
    /// `HEAD`; there is no body.
    Head,
}

impl Method {
    /// As it goes over the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
        }
    }
}

/// The question of an `http` probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpProbe {
    /// Path and query, origin form.
    pub path: String,
    /// Method.
    pub method: Method,
    /// Statuses that count as an answer.
    pub expected_statuses: Vec<u16>,
    /// Extra header fields.
    pub headers: Vec<(String, String)>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// An HTTP/1.1 request.
    Http(HttpProbe),
    /// A TCP connection and nothing else.
    Tcp,
    /// The gRPC health service.
    Grpc {
        /// Whose health; empty: the whole server's.
        service: String,
    },
    /// The agent card of A2A.
    A2a {
        /// Where it is; `None`: where the specification has it.
        card_path: Option<String>,
    },
    /// A protocol that this release names but does not probe; it always comes with a refusal.
    Other(&'static str),
}

impl Protocol {
    /// The name in `status.protocol` and in the registry.
    pub const fn name(&self) -> &'static str {
        match self {
            Protocol::Http(_) => "http",
            Protocol::Tcp => "tcp",
            Protocol::Grpc { .. } => "grpc",
            Protocol::A2a { .. } => "a2a",
            Protocol::Other(name) => name,
        }
    }
}

/// What a 401 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnAuthenticationRequired {
    /// Not healthy.
    Fail,
    /// What this agent owes a stranger.
    Pass,
}

/// What is asked, how often, and what decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeSpec {
    /// The question.
    pub protocol: Protocol,
    /// From one probe to the next.
    pub period: Duration,
    /// For the whole probe: resolution, connection, request, answer.
    pub timeout: Duration,
    /// How many outcomes decide.
    pub thresholds: Thresholds,
    /// Slower than this is slow.
    pub latency_threshold: Duration,
    /// What a 401 means.
    pub on_authentication_required: OnAuthenticationRequired,
    /// `None`: no TLS.
    pub tls: Option<TlsSpec>,
    /// `None`: nothing is sent.
    pub credential: Option<CredentialSpec>,
    /// A certificate that ends sooner is worth a look.
    pub certificate_expiry: Duration,
}

/// How many targets must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinReady {
    /// So many.
    Count(u32),
    /// This share of the targets, in percent, rounded up.
    Percent(u32),
}

impl MinReady {
    /// How many of `total` that are.
    pub fn of(self, total: usize) -> usize {
        match self {
            MinReady::Count(count) => count as usize,
            MinReady::Percent(percent) => (total * percent as usize).div_ceil(100),
        }
    }
}

/// What goes to the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// False: nothing does.
    pub mirror: bool,
    /// A name for people.
    pub agent_name: String,
    /// What callers dial.
    pub url: Option<String>,
    /// How long a contribution lives unrenewed, in seconds.
    pub ttl_seconds: u32,
    /// Declared capabilities.
    pub capabilities: Vec<String>,
    /// Declared metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Why the spec cannot be acted on, found before any probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A reason of `Accepted`.
    pub reason: Reason,
    /// What, and what to do.
    pub message: String,
    /// Nothing but a spec change can help.
    pub stalled: bool,
}

/// One `AgentEndpoint`, ready to be acted on. If two are equal, nothing has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Namespace and name.
    pub id: EndpointId,
    /// Identity: delete and create again is another object.
    pub uid: String,
    /// Version of the spec.
    pub generation: i64,
    /// When it was made (whole seconds).
    pub created: Timestamp,
    /// 1–32 in spec order (a `serviceRef` is one); empty only when refused.
    pub targets: Vec<Target>,
    /// What is asked; the `protocol` is shown even when refused.
    pub probe: ProbeSpec,
    /// How many must pass.
    pub min_ready: MinReady,
    /// Id in the registry.
    pub agent_id: String,
    /// What goes to the registry.
    pub registration: Registration,
    /// Not probed.
    pub suspended: bool,
    /// Why the spec cannot be acted on.
    pub refusal: Option<Refusal>,
}

impl Endpoint {
    /// True when its targets are to be probed.
    pub fn is_probed(&self) -> bool {
        self.refusal.is_none() && !self.suspended
    }
}

/// The default id: `<namespace>.<name>`, and beyond 253 characters `<namespace>.~` with 32
/// hexadecimal digits of the SHA-256 of that text.
pub fn default_agent_id(id: &EndpointId) -> String {
    use sha2::Digest as _;
    let plain = format!("{}.{}", id.namespace, id.name);
    if plain.len() <= super::record::MAX_AGENT_ID {
        return plain;
    }
    let digest = super::record::Digest(sha2::Sha256::digest(plain.as_bytes()).into()).to_string();
    format!("{}.~{}", id.namespace, &digest[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_up_and_zero_stays_zero() {
        assert_eq!(MinReady::Percent(100).of(3), 3);
        assert_eq!(MinReady::Percent(50).of(3), 2);
        assert_eq!(MinReady::Percent(1).of(32), 1);
        assert_eq!(MinReady::Percent(0).of(3), 0);
        assert_eq!(MinReady::Count(2).of(1), 2);
    }

    #[test]
    fn an_id_that_would_be_too_long_is_hashed_and_stays_in_its_namespace() {
        let id = EndpointId::new("team-a", "x".repeat(253));
        let agent_id = default_agent_id(&id);
        assert!(agent_id.starts_with("team-a.~") && agent_id.len() == 8 + 32);
        assert_eq!(default_agent_id(&EndpointId::new("team-a", "research")), "team-a.research");
    }
}
