//! What a user asks for.
//!
//! Absent and empty are told apart only where the difference means something. No type here knows how to act.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::formats::{self, rule_at};
use super::{AgentEndpointStatus, Probe};

/// Where one agent answers, how that is to be checked, and how it appears in the registry.
///
/// One object is one agent; its targets are where that agent answers.
#[derive(CustomResource, Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "agents.configurable.dev",
    version = "v1alpha1",
    kind = "AgentEndpoint",
    plural = "agentendpoints",
    singular = "agentendpoint",
    shortname = "aep",
    category = "agents",
    namespaced,
    status = "AgentEndpointStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "An AgentEndpoint is one AI agent: where it answers, how that is checked, and what the registry is told about it.",
    selectable = ".spec.agentID",
    selectable = ".spec.className"
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = spec_rules()))]
pub struct AgentEndpointSpec {
    /// Addresses where this agent answers, 1 to 32, each host and port once.
    /// Exactly one of `targets` and `serviceRef` is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host", "port"]))]
    pub targets: Vec<Target>,

    /// A Service of the same namespace behind which this agent answers.
    /// Exactly one of `targets` and `serviceRef` is set. Needs a cluster: without one the object is not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<ServiceRef>,

    /// How a target is checked. Absent means an HTTP request with the orchestrator's defaults.
    /// No field of `probe` has a default in the schema: what is absent follows the orchestrator's `--default-...` flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,

    /// How many targets must pass for the object to be Ready: a number, 0 to 32, or a percentage of the targets,
    /// "0%" to "100%", rounded up. 0 means that the agent may be scaled to zero. Default "100%", all of them.
    #[serde(default = "all_targets")]
    #[schemars(schema_with = "formats::min_ready")]
    pub min_ready: IntOrString,

    /// The agent's id in the registry, at most 253 letters, digits, '.', '_', '~' and '-'.
    /// Absent means NAMESPACE.NAME. In a cluster it must begin with the namespace and a dot, unless an administrator
    /// permits more. It can be neither changed, added nor removed once the object exists.
    #[serde(rename = "agentID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::agent_id")]
    pub agent_id: Option<String>,

    /// What the registry is told about this agent. Default: it is mirrored, with a time to live of 60 seconds.
    #[serde(default)]
    pub registration: Registration,

    /// The orchestrators that look after this object: those that were started with the same `--class`.
    /// A DNS label of at most 63 characters. Default "", the orchestrators that were started without one.
    #[serde(default)]
    #[schemars(schema_with = "formats::class_name")]
    pub class_name: String,

    /// true stops probing: the registry shows the agent as paused, and what was found out before no longer counts.
    /// Default false.
    #[serde(default)]
    pub suspend: bool,
}

fn spec_rules() -> serde_json::Value {
    json!([
        {
            "rule": "has(self.targets) != has(self.serviceRef)",
            "message": "must specify exactly one of: `targets`, `serviceRef`",
            "reason": "FieldValueInvalid",
        },
        rule_at(
            ".agentID",
            "FieldValueInvalid",
            "has(self.agentID) == has(oldSelf.agentID) && (!has(self.agentID) || self.agentID == oldSelf.agentID)",
            "field is immutable: it can be neither changed, added nor removed; make a new object for a new id",
        ),
    ])
}

impl Default for AgentEndpointSpec {
    /// What the schema's defaults make of an empty spec. It names no target yet.
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            service_ref: None,
            probe: None,
            min_ready: all_targets(),
            agent_id: None,
            registration: Registration::default(),
            class_name: String::new(),
            suspend: false,
        }
    }
}

fn all_targets() -> IntOrString {
    IntOrString::String("100%".to_owned())
}

/// One address where the agent answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// A lower-case DNS name whose last label begins with a letter, or an IP address in canonical form without
    /// brackets or zone; at most 253 characters. A name without a dot is a Service of the same namespace, every other
    /// name is absolute. International names in their "xn--" form. Which addresses may be probed is the platform's policy.
    #[schemars(schema_with = "formats::host")]
    pub host: String,

    /// The port, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// A Service behind which the agent answers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// The name of a Service in the same namespace: at most 63 lower-case letters, digits and '-'.
    #[schemars(schema_with = "formats::service_name")]
    pub name: String,

    /// A port of that Service: its number, 1 to 65535, or its name, at most 15 lower-case letters, digits and '-'
    /// with at least one letter.
    #[schemars(schema_with = "formats::service_port")]
    pub port: IntOrString,

    /// `Service` checks the Service as one target, `Endpoints` every ready or unready endpoint behind it as a target
    /// of its own. Default `Service`. `Endpoints` has no effect in this release yet: such an object is not accepted
    /// (`NotSupported`).
    #[serde(default)]
    pub expand: Expand,
}

/// What becomes a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Expand {
    /// The Service itself.
    #[default]
    Service,
    /// Each endpoint behind it.
    Endpoints,
}

/// What the registry is told.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// `Mirror` writes the agent and its verdict to the registry, `None` keeps it out. Default `Mirror`.
    #[serde(default)]
    pub policy: RegistrationPolicy,

    /// The name that people see in the registry, 1 to 253 printable characters, no space at either end.
    /// Absent means the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::display_text")]
    pub agent_name: Option<String>,

    /// The URL that callers of this agent dial: http or https, at most 2048 characters, without user name, password
    /// or fragment. It is passed on and never probed. Absent means that callers take a target's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::url")]
    pub url: Option<String>,

    /// Seconds, 15 to 3600, for which the registry believes the verdict when it is not renewed. Default 60.
    #[serde(default = "default_ttl_seconds")]
    #[schemars(range(min = 15, max = 3600))]
    pub ttl_seconds: i32,

    /// What the agent can do, at most 16 words of at most 64 characters, each once. People and programs filter by
    /// them. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "formats::capabilities")]
    pub capabilities: Vec<String>,

    /// Pairs that become the record's metadata: at most 16, keys of at most 63 and values of at most 256 characters.
    /// Everybody who reads the registry sees them: no secrets. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "formats::metadata")]
    pub metadata: BTreeMap<String, String>,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            policy: RegistrationPolicy::default(),
            agent_name: None,
            url: None,
            ttl_seconds: default_ttl_seconds(),
            capabilities: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }
}

fn default_ttl_seconds() -> i32 {
    60
}

/// Whether the agent is written to the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RegistrationPolicy {
    /// It is.
    #[default]
    Mirror,
    /// It is not.
    None,
}
