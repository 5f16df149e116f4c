//! The closed set of reasons. Adding one is a change of `docs/reference/conditions.md`.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition has the status it has: API, closed, documented, one per cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason there is, in the order of the documentation.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The word as it stands in a condition.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)* }
            }

            /// Reads a reason back from a stored condition; `None` for a word that is not ours.
            pub fn parse(text: &str) -> Option<Reason> {
                match text { $(stringify!($name) => Some(Reason::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    // True: the type's own name.
    /// The spec can be acted on.
    Accepted,
    /// Enough targets accept a connection.
    Reachable,
    /// Enough targets give the answer that the protocol demands.
    Healthy,
    /// The registry holds this verdict.
    Registered,
    /// Accepted, reachable and healthy.
    Ready,
    /// Nothing but a spec change can help.
    Stalled,
    // Accepted is False.
    /// The target policy denies an address.
    TargetNotPermitted,
    /// The period is shorter than the operator allows.
    PeriodNotPermitted,
    /// A Secret or ConfigMap that the spec names does not exist.
    SecretNotFound,
    /// The Secret or ConfigMap has no such key, or what is there cannot be sent.
    SecretKeyMissing,
    /// The Secret did not opt in, does not name the host, or may not be read; or the spec would send
    /// it without verified TLS.
    SecretNotPermitted,
    /// The CA bundle cannot be used.
    CABundleInvalid,
    /// `serviceRef` names a Service that does not exist.
    ServiceNotFound,
    /// The Service has no such port.
    ServicePortNotFound,
    /// An explicit `agentID` outside the namespace's own names.
    AgentIDNotPermitted,
    /// The field needs a cluster.
    RequiresCluster,
    /// A field that this release accepts but does not act on.
    NotSupported,
    // Reachable is False.
    /// The name does not exist.
    DNSNameNotFound,
    /// The port refused the connection.
    ConnectionRefused,
    /// The peer reset the connection.
    ConnectionReset,
    /// No connection within the timeout.
    ConnectTimeout,
    /// A router says that the host cannot be reached.
    HostUnreachable,
    /// The TLS handshake failed.
    TLSHandshakeFailed,
    /// The certificate has expired, or is not valid yet.
    TLSCertificateExpired,
    /// The certificate's issuer is not trusted.
    TLSUntrusted,
    /// The certificate is for another name.
    TLSHostnameMismatch,
    /// Fewer targets exist than `minReady` asks for.
    NotEnoughTargets,
    // Healthy is False.
    /// The HTTP status is not an expected one.
    UnexpectedStatus,
    /// The body says that the agent is not well.
    UnexpectedBody,
    /// The agent answered with a redirect, which is not followed.
    RedirectNotFollowed,
    /// Connected, but no whole answer within the timeout.
    ResponseTimeout,
    /// The answer is larger than the bound.
    ResponseTooLarge,
    /// The answer breaks the protocol.
    ProtocolError,
    /// An HTML page where an agent's answer belongs.
    HTMLResponse,
    /// gRPC health says `NOT_SERVING`.
    NotServing,
    /// The gRPC server has no health service.
    HealthServiceMissing,
    /// The document is not an agent card.
    NotAnAgentCard,
    /// The endpoint does not speak MCP.
    NotMCP,
    /// The agent speaks no version that we know.
    ProtocolVersionUnsupported,
    /// The agent asks for credentials: 401 or 403, and none were sent.
    AuthenticationRequired,
    /// The agent refused the credentials that were sent (401 or 403).
    CredentialsRejected,
    // Registered is not True.
    /// The registry has not answered for half a TTL.
    RegistryUnavailable,
    /// The registry refused the record.
    RegistryRejected,
    /// Another orchestrator or object owns the id.
    OwnedByAnother,
    /// Not acknowledged yet.
    RegistrationPending,
    /// Mirroring is off for this object or this orchestrator.
    RegistrationDisabled,
    // Degraded.
    /// Slower than the threshold.
    LatencyAboveThreshold,
    /// The certificate ends soon.
    CertificateExpiringSoon,
    /// The verdict changes often.
    Flapping,
    /// Ready, but not all targets are.
    SomeTargetsFailing,
    /// Nothing to look at.
    AsExpected,
    // Unknown.
    /// No probe has finished yet.
    NotYetProbed,
    /// Not looked at while the spec is not accepted.
    NotAccepted,
    /// `spec.suspend` is true.
    Suspended,
    /// Many targets failed at once: our side is suspected.
    ProbeInfrastructureSuspect,
    /// Our own scheduler was late.
    ProbeLate,
    /// Our resolver does not answer.
    DNSResolverUnavailable,
    /// There is no route from here.
    NetworkUnreachable,
}

impl Reason {
    /// True for a reason that says "no connection was made": `Reachable` is False with it.
    pub const fn is_unreachable(self) -> bool {
        matches!(
            self,
            Reason::DNSNameNotFound
                | Reason::ConnectionRefused
                | Reason::ConnectionReset
                | Reason::ConnectTimeout
                | Reason::HostUnreachable
                | Reason::TLSHandshakeFailed
                | Reason::TLSCertificateExpired
                | Reason::TLSUntrusted
                | Reason::TLSHostnameMismatch
        )
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_reason_reads_back_as_itself() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::parse("NoSuchReason"), None);
    }
}
