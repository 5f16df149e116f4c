//! Records as the original's clients know them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::StatusWord;
use crate::domain::record::{ContributedAddress, Contribution};
use crate::registry::store::{OrchestratorRecord, Record};

/// One agent. Times are naive UTC ISO 8601 with six digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentInfo {
    /// Its id.
    pub agent_id: String,
    /// A name for people.
    pub agent_name: String,
    /// The agent's own address, else the first ready one that the orchestrator knows; empty (and
    /// port 0) while it knows none.
    pub host: String,
    /// See `host`.
    pub port: u16,
    /// See [`Record::is_alive`].
    pub is_alive: bool,
    /// The last beat, else the orchestrator's last renewal.
    pub last_heartbeat: String,
    /// When it was first heard of.
    pub registered_at: String,
    /// How long it lives from `last_heartbeat`.
    pub ttl_seconds: u32,
    /// JSON text, as the agent gave it; else [`AgentInfo::of`] says what an orchestrator's is.
    pub metadata: Option<String>,
    /// The same under the name that the original's own filter code reads.
    pub agent_metadata: Option<String>,
}

impl AgentInfo {
    /// The agent's own contribution wins where there is one. Else `metadata` is the JSON text of
    /// an object with the declared metadata, key by key, and beside it `capabilities`, `endpoint`
    /// (`namespace/name`), `metadata` (the declared one again, whole), `protocol`, `reason`,
    /// `status` and `url` (only where declared); these names win over declared keys.
    ///
    /// `None` for a record of which nothing can be read.
    pub fn of(record: &Record, now_ms: i64) -> Option<AgentInfo> {
        let is_alive = record.is_alive(now_ms);
        let registered_at = naive(record.registered_at());
        let agent_id = record.agent_id.clone();
        match (&record.own, &record.orchestrator) {
            (Some(own), _) => Some(AgentInfo {
                agent_id,
                agent_name: own.agent_name.clone(),
                host: own.host.clone(),
                port: own.port,
                is_alive,
                last_heartbeat: naive(own.last_heartbeat),
                registered_at,
                ttl_seconds: own.ttl_seconds,
                metadata: own.metadata.clone(),
                agent_metadata: own.metadata.clone(),
            }),
            (None, Some(said)) => {
                let address = first_ready(&said.contribution);
                let metadata = Some(describe(&said.contribution).to_string());
                Some(AgentInfo {
                    agent_id,
                    agent_name: said.contribution.agent_name.clone(),
                    host: address.map(|a| a.host.clone()).unwrap_or_default(),
                    port: address.map_or(0, |a| a.port),
                    is_alive,
                    last_heartbeat: naive(said.renewed_at),
                    registered_at,
                    ttl_seconds: said.contribution.ttl_seconds,
                    metadata: metadata.clone(),
                    agent_metadata: metadata,
                })
            }
            (None, None) => None,
        }
    }
}

/// One registered orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrchestratorInfo {
    /// Its id.
    pub orchestrator_id: String,
    /// A name for people.
    pub orchestrator_name: String,
    /// Its kind.
    pub orchestrator_type: String,
    /// Where it answers.
    pub api_endpoint: String,
    /// True while its lease runs.
    pub is_alive: bool,
    /// The last beat.
    pub last_heartbeat: String,
    /// The first registration.
    pub registered_at: String,
    /// How long one beat keeps it alive.
    pub ttl_seconds: u32,
}

impl OrchestratorInfo {
    /// As of a given time.
    pub fn of(record: OrchestratorRecord, now_ms: i64) -> OrchestratorInfo {
        OrchestratorInfo {
            is_alive: record.is_alive(now_ms),
            orchestrator_id: record.orchestrator_id,
            orchestrator_name: record.orchestrator_name,
            orchestrator_type: record.orchestrator_type,
            api_endpoint: record.api_endpoint,
            last_heartbeat: naive(record.last_heartbeat),
            registered_at: naive(record.registered_at),
            ttl_seconds: record.ttl_seconds,
        }
    }
}

/// The time as the original's Python wrote it: no zone, always six digits.
pub(super) fn naive(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

fn first_ready(said: &Contribution) -> Option<&ContributedAddress> {
    said.addresses
        .iter()
        .find(|address| address.status == StatusWord::Ready)
        .or_else(|| said.addresses.first())
}

fn describe(said: &Contribution) -> Value {
    let mut object: Map<String, Value> =
        said.metadata.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let endpoint = format!("{}/{}", said.endpoint.namespace, said.endpoint.name);
    object.insert("capabilities".into(), json!(said.capabilities));
    object.insert("endpoint".into(), json!(endpoint));
    object.insert("metadata".into(), json!(said.metadata));
    object.insert("protocol".into(), json!(said.protocol));
    object.insert("reason".into(), json!(said.reason));
    object.insert("status".into(), json!(said.status));
    if let Some(url) = &said.url {
        object.insert("url".into(), json!(url));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::naive;

    #[test]
    fn times_have_no_zone_and_always_six_digits() {
        assert_eq!(naive(1_795_417_428_995), "2026-11-23T07:03:48.995000");
        assert_eq!(naive(1_795_417_428_000), "2026-11-23T07:03:48.000000");
    }
}
