//! Agents as the registry shows them to everybody: the wire shapes of `/v1` that readers (dashboard,
//! command line) and the registry share. Times are RFC 3339 in UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StatusWord;
use super::record::EndpointReference;

/// A page of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordPage {
    /// In order of id.
    pub items: Vec<RecordView>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One agent and everything that is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordView {
    /// Its id.
    #[serde(rename = "agentID")]
    pub agent_id: String,
    /// Some live contribution is evidence, and none says Failing otherwise.
    pub is_alive: bool,
    /// The agent's own first.
    pub contributions: Vec<ContributionView>,
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// The agent itself.
    Agent,
    /// An orchestrator that probes it.
    Orchestrator,
}

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    /// The agent itself, or an orchestrator.
    pub kind: SourceKind,
    /// The agent's or the orchestrator's id.
    pub id: String,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressView {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How its probe stands; an agent says nothing of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWord>,
}

/// What one source says. The fields of an orchestrator's verdict are absent in an agent's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContributionView {
    /// Who says it.
    pub source: SourceView,
    /// A name for people.
    pub agent_name: String,
    /// Where it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointReference>,
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWord>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// `http`, `tcp`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Where the agent answers.
    pub addresses: Vec<AddressView>,
    /// What callers dial, where declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Declared capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Declared metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The text that the agent registered as its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_metadata: Option<String>,
    /// When the source first said something of this agent.
    pub created_at: Timestamp,
    /// When the source last vouched for it.
    pub as_of: Timestamp,
    /// When it expires unless the source vouches again.
    pub expires_at: Timestamp,
    /// How long it lives from `asOf`; a restart of the registry may have added to that.
    pub ttl_seconds: u32,
    /// True before `expiresAt`: only a live contribution counts.
    pub live: bool,
}

/// Asks for the removal of contributions whose lease ended long ago. Both fields must be there, and
/// nothing else: a misspelt `dryRun` must not remove anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CleanupRequest {
    /// Only those whose lease ended at least this long ago.
    pub older_than_seconds: u64,
    /// Removes nothing, only says what would go.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupResponse {
    /// Ids of agents of which an expired contribution was removed, in order, each once.
    pub agents: Vec<String>,
    /// There is more than one call removes.
    pub more: bool,
}
