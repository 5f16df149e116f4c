//! How a target is checked.
//!
//! Nothing here has a schema default: what is absent is the orchestrator's to fill, so a cluster can change its mind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::formats::{self, rule_at};

/// How a target is checked.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = probe_rules()))]
pub struct Probe {
    /// Sends an HTTP request and looks at the status of the answer. At most one of `http`, `tcp`, `grpc`, `a2a` and
    /// `mcp` is set; none means `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,

    /// Opens a connection (with TLS where `tls` is set) and closes it. At most one of `http`, `tcp`, `grpc`, `a2a` and
    /// `mcp` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,

    /// Asks the gRPC health service, grpc.health.v1, over HTTP/2 (with TLS where `tls` is set). At most one of
    /// `http`, `tcp`, `grpc`, `a2a` and `mcp` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcProbe>,

    /// Reads the agent card of the A2A protocol. At most one of `http`, `tcp`, `grpc`, `a2a` and `mcp` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a2a: Option<A2aProbe>,

    /// Speaks the Model Context Protocol over HTTP. At most one of `http`, `tcp`, `grpc`, `a2a` and `mcp` is set.
    /// Has no effect in this release yet: such an object is not accepted (`NotSupported`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpProbe>,

    /// Seconds from one probe of a target to the next, 1 to 3600; an administrator may have set a higher minimum.
    /// Absent means the orchestrator's default, 10 where nothing else was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: Option<i32>,

    /// Seconds after which a probe without a complete answer has failed, 1 to 3600 and at most `periodSeconds`.
    /// Absent means the orchestrator's default, 3 where nothing else was set, or the period where that is smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<i32>,

    /// Failed probes in a row that make a target fail, 1 to 10.
    /// Absent means the orchestrator's default, 3 where nothing else was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub failure_threshold: Option<i32>,

    /// Successful probes in a row that make a failed target ready again, 1 to 10.
    /// Absent means the orchestrator's default, 1 where nothing else was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub success_threshold: Option<i32>,

    /// Milliseconds, 1 to 3600000, above which an answer is slow. `failureThreshold` slow answers in a row make the
    /// target Degraded; it stays Ready. Absent means the orchestrator's default, 1000 where nothing else was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub latency_threshold_milliseconds: Option<i32>,

    /// What it means that the agent asks for credentials and none were configured: `Fail` or `Pass` (a 401 or 403
    /// is what this agent owes a stranger). Absent means the orchestrator's default, `Fail` where nothing else was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::of::<AuthenticationRequiredPolicy>")]
    pub on_authentication_required: Option<AuthenticationRequiredPolicy>,

    /// Present means TLS, with every kind of probe. `{}` is TLS with the orchestrator's certificate authorities and the
    /// target's host as the expected name. Absent means no TLS. With `tcp`, the handshake is the probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// A credential that is sent with every probe. Needs `tls` with full verification, and a Secret that opts in and
    /// names the hosts that may see it. Not with `tcp`. Absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<CredentialsRef>,
}

fn probe_rules() -> serde_json::Value {
    json!([
        {
            "rule": "[has(self.http), has(self.tcp), has(self.grpc), has(self.a2a), has(self.mcp)].filter(set, set).size() <= 1",
            "message": "must specify at most one of: `http`, `tcp`, `grpc`, `a2a`, `mcp`",
            "reason": "FieldValueInvalid",
        },
        rule_at(
            ".timeoutSeconds",
            "FieldValueInvalid",
            "!has(self.timeoutSeconds) || !has(self.periodSeconds) || self.timeoutSeconds <= self.periodSeconds",
            "must be less than or equal to `periodSeconds`",
        ),
        rule_at(
            ".credentialsRef",
            "FieldValueForbidden",
            "!has(self.credentialsRef) || (has(self.tls) && (!has(self.tls.verification) || self.tls.verification == 'Full'))",
            "may only be set when `tls` is set and its `verification` is not `Skip`",
        ),
        rule_at(
            ".credentialsRef",
            "FieldValueForbidden",
            "!has(self.credentialsRef) || !has(self.tcp)",
            "may not be set when `tcp` is set",
        ),
        rule_at(
            ".http.headers",
            "FieldValueInvalid",
            "!has(self.credentialsRef) || !has(self.credentialsRef.header) || !has(self.http) || !has(self.http.headers) || !self.http.headers.exists(header, header.name.lowerAscii() == self.credentialsRef.header.lowerAscii())",
            "must not name the header that `credentialsRef` sends",
        ),
    ])
}

/// An HTTP probe.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// Path and, if wanted, query of the request, at most 1024 characters: begins with '/' and not with "//", no
    /// fragment, no space, no "." or ".." segments; anything unusual as %XX.
    /// Absent means the orchestrator's default, "/health" where nothing else was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::request_path")]
    pub path: Option<String>,

    /// The method of the request: `GET` or `HEAD`. Absent means `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::of::<HttpMethod>")]
    pub method: Option<HttpMethod>,

    /// Statuses that count as success, 1 to 16 of 100 to 599, each once. Redirects are not followed: their status is
    /// the answer. Absent means 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "formats::statuses")]
    pub expected_statuses: Vec<i32>,

    /// Headers of the request, at most 16, each name once in whatever case. Absent means none but our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "x-kubernetes-validations" = header_rules()))]
    pub headers: Vec<HttpHeader>,

    /// `Close` opens a connection for each probe, so that each also checks that one can be opened; `Reuse` keeps it.
    /// Absent means `Close`. `Reuse` has no effect in this release yet: such an object is not accepted (`NotSupported`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::of::<Connection>")]
    pub connection: Option<Connection>,
}

fn header_rules() -> serde_json::Value {
    json!([{
        "rule": "self.all(header, self.exists_one(other, other.name.lowerAscii() == header.name.lowerAscii()))",
        "message": "must not name a header twice; upper and lower case are the same name",
        "reason": "FieldValueInvalid",
    }])
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
}

/// Whether a connection outlives a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Connection {
    /// It does not.
    #[default]
    Close,
    /// It does.
    Reuse,
}

/// A header of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpHeader {
    /// `Accept`, `Accept-Language`, or `X-` followed by letters, digits and '-', at most 64 characters, in any case.
    /// Not the ones that proxies or metadata services act upon, such as `X-Forwarded-For` or `X-Real-Ip`.
    #[schemars(schema_with = "formats::header_name")]
    pub name: String,

    /// The value: 1 to 256 printable ASCII characters, no space at either end. Everybody who reads this object sees
    /// it; a secret belongs into `credentialsRef`.
    #[schemars(schema_with = "formats::header_value")]
    pub value: String,
}

/// A TCP probe. It has no fields yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct TcpProbe {}

/// A gRPC probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcProbe {
    /// The service whose health is asked for, at most 253 printable ASCII characters without spaces.
    /// Absent or empty asks for the health of the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::grpc_service")]
    pub service: Option<String>,
}

/// An A2A probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct A2aProbe {
    /// Path of the agent card, with the same rules as `http.path`, at most 1024 characters.
    /// Absent means "/.well-known/agent-card.json", and "/.well-known/agent.json" when nothing is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::request_path")]
    pub card_path: Option<String>,

    /// How far the check goes: `Card` reads and checks the agent card, `RPC` also calls the agent. Absent means `Card`.
    /// `RPC` has no effect in this release yet: such an object is not accepted (`NotSupported`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::of::<A2aLevel>")]
    pub level: Option<A2aLevel>,
}

/// How far an A2A probe goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum A2aLevel {
    /// To the agent card.
    #[default]
    Card,
    /// To a call of the agent.
    #[serde(rename = "RPC")]
    Rpc,
}

/// An MCP probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpProbe {
    /// Path of the MCP endpoint, with the same rules as `http.path`, at most 1024 characters. Absent means "/mcp".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::request_path")]
    pub path: Option<String>,
}

/// What a request for credentials means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AuthenticationRequiredPolicy {
    /// The probe failed.
    #[default]
    Fail,
    /// The probe succeeded.
    Pass,
}

/// TLS towards the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = tls_rules()))]
pub struct Tls {
    /// Certificate authorities, PEM, that vouch for the target; the only ones when set. Not with `verification: Skip`.
    /// Absent means the orchestrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaBundleRef>,

    /// The DNS name that is asked for (SNI) and that the certificate must carry, lower case, at most 253 characters.
    /// Absent means the target's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::dns_name")]
    pub server_name: Option<String>,

    /// The certificate with which the orchestrator identifies itself to the target. Absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<ClientCertificateRef>,

    /// `Full` checks the chain, the dates and the name of the target's certificate; `Skip` checks nothing, and then no
    /// credential is sent. Absent means `Full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::of::<Verification>")]
    pub verification: Option<Verification>,
}

fn tls_rules() -> serde_json::Value {
    json!([rule_at(
        ".caRef",
        "FieldValueForbidden",
        "!has(self.caRef) || !has(self.verification) || self.verification == 'Full'",
        "may not be set when `verification` is `Skip`",
    )])
}

/// How much of a certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Verification {
    /// Chain, dates and name.
    #[default]
    Full,
    /// Nothing.
    Skip,
}

/// Where certificate authorities are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaBundleRef {
    /// `ConfigMap` or `Secret`. Absent means `ConfigMap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::of::<CaKind>")]
    pub kind: Option<CaKind>,

    /// The name of the object in the same namespace, at most 253 characters.
    #[schemars(schema_with = "formats::object_name")]
    pub name: String,

    /// The key in its data, at most 253 letters, digits, '-', '_' and '.'. Absent means "ca.crt".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::data_key")]
    pub key: Option<String>,
}

/// The kind of object that keeps certificate authorities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CaKind {
    /// A `ConfigMap`.
    #[default]
    ConfigMap,
    /// A `Secret`.
    Secret,
}

/// A client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificateRef {
    /// The name of a Secret with the keys tls.crt and tls.key (as type kubernetes.io/tls has them) in the same namespace,
    /// at most 253 characters. It must opt in.
    #[schemars(schema_with = "formats::object_name")]
    pub name: String,
}

/// A credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// The name of a Secret in the same namespace, at most 253 characters. It must opt in.
    #[schemars(schema_with = "formats::object_name")]
    pub name: String,

    /// The key in its data, at most 253 letters, digits, '-', '_' and '.'. Absent means "token".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::data_key")]
    pub key: Option<String>,

    /// The header (with gRPC, the metadata key) that carries it: `Authorization`, `Api-Key`, or `X-` followed by
    /// letters, digits and '-', at most 64 characters, in any case; not the ones that proxies or metadata services act
    /// upon. Absent means `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::credential_header")]
    pub header: Option<String>,

    /// What stands before the credential in the header, at most 64 printable ASCII characters; spaces at the end
    /// count. Absent means "Bearer " for `Authorization`, and nothing for any other header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::credential_prefix")]
    pub prefix: Option<String>,
}
