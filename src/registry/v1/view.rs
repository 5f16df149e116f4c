//! Records as `/v1` shows them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::agent::{AddressView, ContributionView, RecordView, SourceKind, SourceView};
use crate::registry::store::{OrchestratorContribution, OwnContribution, Record};

/// A record as of a given time.
pub fn view(record: Record, now_ms: i64) -> RecordView {
    let own = record.own.clone().map(|own| agents_own(&record.agent_id, own, now_ms));
    let is_alive = record.is_alive(now_ms);
    let said = record.orchestrator.map(|said| orchestrators(said, now_ms));
    RecordView { agent_id: record.agent_id, is_alive, contributions: own.into_iter().chain(said).collect() }
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
        reason: Some(contribution.reason.as_str().to_owned()),
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
