//! Records as `/v1` shows them. Times are RFC 3339 in UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::record::EndpointReference;
use crate::domain::{Reason, StatusWord};
use crate::registry::store::{OrchestratorContribution, OwnContribution, Record};

/// A page of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordPage {
    /// In order of id.
    pub items: Vec<RecordView>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One agent and everything that is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordView {
    /// Its id.
    #[serde(rename = "agentID")]
    pub agent_id: String,
    /// See [`Record::is_alive`].
    pub is_alive: bool,
    /// The agent's own first.
    pub contributions: Vec<ContributionView>,
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SourceKind {
    /// The agent itself.
    Agent,
    /// An orchestrator that probes it.
    Orchestrator,
}

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    /// The agent itself, or an orchestrator.
    pub kind: SourceKind,
    /// The agent's or the orchestrator's id.
    pub id: String,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressView {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How its probe stands; an agent says nothing of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWord>,
}

/// What one source says. The fields of an orchestrator's verdict are absent in an agent's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContributionView {
    /// Who says it.
    pub source: SourceView,
    /// A name for people.
    pub agent_name: String,
    /// Where it is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointReference>,
    /// The verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWord>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// `http`, `tcp`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Where the agent answers.
    pub addresses: Vec<AddressView>,
    /// What callers dial, where declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Declared capabilities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Declared metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The text that the agent registered as its metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
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

impl RecordView {
    /// As of a given time.
    pub fn of(record: Record, now_ms: i64) -> RecordView {
        let own = record.own.clone().map(|own| agents_own(&record.agent_id, own, now_ms));
        let is_alive = record.is_alive(now_ms);
        let said = record.orchestrator.map(|said| orchestrators(said, now_ms));
        RecordView {
            agent_id: record.agent_id,
            is_alive,
            contributions: own.into_iter().chain(said).collect(),
        }
    }
}

fn agents_own(agent_id: &str, own: OwnContribution, now_ms: i64) -> ContributionView {
    ContributionView {
        source: SourceView { kind: SourceKind::Agent, id: agent_id.to_owned() },
        endpoint: None,
        status: None,
        reason: None,
        message: None,
        since: None,
        protocol: None,
        url: None,
        capabilities: Vec::new(),
        metadata: BTreeMap::new(),
        created_at: time(own.registered_at),
        as_of: time(own.last_heartbeat),
        expires_at: time(own.expires_at()),
        ttl_seconds: own.ttl_seconds,
        live: own.expires_at() > now_ms,
        agent_name: own.agent_name,
        addresses: vec![AddressView { host: own.host, port: own.port, status: None }],
        agent_metadata: own.metadata,
    }
}

fn orchestrators(said: OrchestratorContribution, now_ms: i64) -> ContributionView {
    let contribution = said.contribution;
    let addresses = contribution.addresses.into_iter().map(|address| AddressView {
        host: address.host,
        port: address.port,
        status: Some(address.status),
    });
    ContributionView {
        source: SourceView { kind: SourceKind::Orchestrator, id: said.source },
        agent_name: contribution.agent_name,
        endpoint: Some(contribution.endpoint),
        status: Some(contribution.status),
        reason: Some(contribution.reason),
        message: Some(contribution.message),
        since: Some(contribution.since),
        protocol: Some(contribution.protocol),
        addresses: addresses.collect(),
        url: contribution.url,
        capabilities: contribution.capabilities,
        metadata: contribution.metadata,
        agent_metadata: None,
        created_at: time(said.created_at),
        as_of: time(said.renewed_at),
        expires_at: time(said.expires_at),
        ttl_seconds: contribution.ttl_seconds,
        live: said.expires_at > now_ms,
    }
}

fn time(unix_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or_default()
}
