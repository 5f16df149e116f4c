//! What the orchestrator says. Nothing in it changes from probe to probe.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;

/// What the orchestrator found out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentEndpointStatus {
    /// The state in standard conditions, at most 16, each type once. `Ready` is the one to wait for; `Accepted`,
    /// `Reachable`, `Healthy` and `Registered` say which part of it holds, `Degraded` is True when somebody should
    /// look, `Stalled` is present only while nothing but a change of the spec can help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status speaks about. -1 until an orchestrator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,

    /// The protocol that is probed, such as "http" or "a2a"; at most 16 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[a-z][a-z0-9]*$"))]
    pub protocol: Option<String>,

    /// How many targets are ready, Degraded ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub ready_targets: Option<i32>,

    /// How many targets there are, also those that `targets` has no room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub total_targets: Option<i32>,

    /// Ready targets and all targets, such as "2/3", for the table that kubectl prints; at most 16 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[0-9]+/[0-9]+$"))]
    pub ready_summary: Option<String>,

    /// The targets, at most 32, each host and port once; of more the failing ones come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host", "port"]))]
    pub targets: Vec<TargetStatus>,

    /// What the agent says of itself, shortened; the whole of it is in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSummary>,
}

/// The state of one target.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// The host, as in the spec or, behind a Service, the endpoint's address; at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,

    /// The port, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,

    /// The target's state in one word: `Ready`, `Degraded` (works, but look at it), `Failing`, `Rejected` (policy
    /// denies it, nothing was sent), `Unknown` (not known yet, or our side's fault) or `Paused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "formats::of::<StatusWord>")]
    pub status: Option<StatusWord>,

    /// Why, in one word of at most 64 characters, from the closed list that conditions use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Z][A-Za-z0-9]*$"))]
    pub reason: Option<String>,

    /// What happened and what to do, at most 512 characters. It stays the same while the state does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,

    /// When `status` took its present value, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
}

/// The word that people read everywhere for the state of a target or an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum StatusWord {
    /// It answers as it must.
    Ready,
    /// It answers, but somebody should look.
    Degraded,
    /// It does not answer as it must.
    Failing,
    /// It is not probed, because it is not permitted.
    Rejected,
    /// Nothing is known yet, or our own side is at fault.
    #[default]
    Unknown,
    /// It is not probed, because the user said so.
    Paused,
}

/// What an agent says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentSummary {
    /// Its name, at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub name: Option<String>,

    /// Its own version, at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,

    /// The version of the protocol that it speaks, at most 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub protocol_version: Option<String>,

    /// What it says that it can do, at most 16 entries of at most 64 characters, in its own order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "formats::reported_capabilities")]
    pub capabilities: Vec<String>,
}
