//! What to do about a reason: one sentence, the same on the page, on the command line and in
//! `docs/reference/conditions.md`.

use super::Reason;

impl Reason {
    /// What a person does about it; Markdown code marks stand around names.
    #[allow(clippy::too_many_lines, reason = "one table, one sentence for each reason")]
    pub const fn advice(self) -> &'static str {
        match self {
            Reason::Accepted
            | Reason::Reachable
            | Reason::Healthy
            | Reason::Registered
            | Reason::Ready
            | Reason::AsExpected => "Nothing to do.",
            Reason::Stalled => {
                "Change the spec: waiting does not help. The reason of `Accepted` says what to change."
            }
            Reason::TargetNotPermitted => {
                "Give a target that the policy permits: the message says which network this one is in. Or ask the operator to permit its address with --allow-targets."
            }
            Reason::PeriodNotPermitted => {
                "Set `probe.periodSeconds` to at least what the message names, or leave it out."
            }
            Reason::SecretNotFound => {
                "Create the Secret or ConfigMap that the message names in the namespace of this object."
            }
            Reason::SecretKeyMissing => {
                "Put what the message asks for under the key that it names, or name another key."
            }
            Reason::SecretNotPermitted => {
                "Do what the message says: apply the RoleBinding that it prints, label the Secret, or name the host in its annotation."
            }
            Reason::CABundleInvalid => {
                "Put at least one PEM certificate into the bundle, and nothing but certificates."
            }
            Reason::ServiceNotFound => {
                "Create the Service in the namespace of this object, or correct `serviceRef.name`."
            }
            Reason::ServicePortNotFound => {
                "Name a port that the Service has: `kubectl get service` lists them."
            }
            Reason::AgentIDNotPermitted => {
                "Begin `agentID` with the namespace and a dot, or leave it out. It cannot be changed: make a new object."
            }
            Reason::RequiresCluster => "Name `targets` instead, or run the orchestrator in a cluster.",
            Reason::NotSupported => {
                "Remove the field that the message names, or run a release that acts on it."
            }
            Reason::DNSNameNotFound => {
                "Correct the host, or create its DNS record. A name without a dot is a Service of this namespace."
            }
            Reason::ConnectionRefused => {
                "Start the agent, or correct the port: the host answers, but nothing listens on that port."
            }
            Reason::ConnectionReset => {
                "Look at the agent's log and at proxies and network policies before it: something closes the connection."
            }
            Reason::ConnectTimeout => {
                "See whether the host is up, and whether a firewall or network policy drops packets from the orchestrator."
            }
            Reason::HostUnreachable => {
                "See whether the host is up and its address is right: a router on the way knows no way to it."
            }
            Reason::TLSHandshakeFailed => {
                "See whether the port speaks TLS, and in a version not older than 1.2."
            }
            Reason::TLSCertificateExpired => {
                "Renew the agent's certificate; if it is not valid yet, compare the clocks of agent and orchestrator."
            }
            Reason::TLSUntrusted => "Name the authority that issued the certificate in `probe.tls.caRef`.",
            Reason::TLSHostnameMismatch => {
                "Issue a certificate for this host, or set `probe.tls.serverName` to the name that is in it."
            }
            Reason::NotEnoughTargets => "Add targets, or lower `minReady`.",
            Reason::UnexpectedStatus => {
                "Correct `probe.http.path`, or list the status in `expectedStatuses`; a 5xx is a matter for the agent's log."
            }
            Reason::UnexpectedBody => {
                "Look at the agent's log: it answers, and says itself that it is not well."
            }
            Reason::RedirectNotFollowed => "Probe the address and path that the redirect leads to.",
            Reason::ResponseTimeout => {
                "Find out why the agent is slow: it accepts connections. Or raise `probe.timeoutSeconds`."
            }
            Reason::ResponseTooLarge => "Probe a path with a small answer, such as /health.",
            Reason::ProtocolError => {
                "See whether the port speaks the protocol of the probe, with TLS only where `probe.tls` is set."
            }
            Reason::HTMLResponse => {
                "See whether a login page or a proxy answers in the agent's place, and correct the path."
            }
            Reason::NotServing => "Look at the agent's log: it says itself that it does not serve.",
            Reason::HealthServiceMissing => "Add grpc.health.v1 to the agent, or probe it with `tcp`.",
            Reason::NotAnAgentCard => "Correct `probe.a2a.cardPath`: what stands there is not an agent card.",
            Reason::NotMCP => "Correct `probe.mcp.path`: what answers there does not speak MCP.",
            Reason::ProtocolVersionUnsupported => {
                "Update the agent, or this program, to a common protocol version."
            }
            Reason::AuthenticationRequired => {
                "Name a credential in `probe.credentialsRef`, probe a path that needs none, or set `probe.onAuthenticationRequired: Pass` if that is the right answer to a stranger."
            }
            Reason::CredentialsRejected => {
                "Renew the credentials in the Secret, or permit the probe's path to everybody."
            }
            Reason::RegistryUnavailable => {
                "Start the registry, or correct --registry-url. Changes are kept and sent once it answers."
            }
            Reason::RegistryRejected => {
                "Change what the message names: the registry will not have the record as it is."
            }
            Reason::OwnedByAnother => {
                "Give one of the two another `agentID`, or each orchestrator a --scope of its own."
            }
            Reason::RegistrationPending => "Wait: the registry has not acknowledged it yet.",
            Reason::RegistrationDisabled => {
                "Nothing, if that is meant. Else set `registration.policy: Mirror`, and start the orchestrator with --registry-url."
            }
            Reason::LatencyAboveThreshold => {
                "Find out why the agent is slow, or raise `probe.latencyThresholdMilliseconds`."
            }
            Reason::CertificateExpiringSoon => "Renew the agent's certificate before it ends.",
            Reason::Flapping => "Look for restarts and overload of the agent, or raise `failureThreshold`.",
            Reason::SomeTargetsFailing => "Look at the targets that fail: enough others are ready.",
            Reason::NotYetProbed => {
                "Wait for the first probe. Should it not come, see the orchestrator's system page."
            }
            Reason::NotAccepted => "See the reason of `Accepted`.",
            Reason::Suspended => "Set `spec.suspend: false` to probe again.",
            Reason::ProbeInfrastructureSuspect => {
                "Look at the network and the DNS of the orchestrator: many targets failed at once."
            }
            Reason::ProbeLate => "Give the orchestrator more CPU, or probe less often.",
            Reason::DNSResolverUnavailable => {
                "See whether the DNS server answers the orchestrator, or name another with --dns-server."
            }
            Reason::NetworkUnreachable => {
                "See the routes of the orchestrator's machine or pod: there is none to this address."
            }
        }
    }
}
