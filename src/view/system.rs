//! The monitor itself: is what the pages show alive, and how is it set up? The shape of
//! `/api/v1/status`, which the command line reads too.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::StatusWord;

/// Where objects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A cluster.
    Kubernetes,
    /// A directory of manifests.
    Standalone,
}

/// What this replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It probes and writes.
    Active,
    /// It waits for the Lease; what it shows comes from the API server.
    Standby,
}

/// The orchestrator as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct System {
    /// Release.
    pub version: String,
    /// Where objects come from.
    pub mode: Mode,
    /// What this replica does.
    pub role: Role,
    /// Who holds the Lease, as far as known; absent in standalone mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// When the process started.
    pub started_at: Timestamp,
    /// The server's clock, so that ages can be told whatever the reader's clock says.
    pub now: Timestamp,
    /// Where the objects come from, for people: a directory, or the API server.
    pub objects: String,
    /// When the API server last answered, or the directory was last read; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<Timestamp>,
    /// Where status is kept in standalone mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Endpoints by status word.
    pub counts: BTreeMap<StatusWord, usize>,
    /// The readiness checks: what the process waits for, by name; an empty text is fine.
    pub checks: BTreeMap<String, String>,
    /// The registry; absent with `--registry-url none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryLink>,
    /// The probes.
    pub probes: ProbeNumbers,
    /// Most healthy targets began to fail at once, and what is said of them is held; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mass_failure: Option<MassFailure>,
    /// The settings in force, in the order of the help; secrets are not in it.
    #[serde(default)]
    pub configuration: Vec<Setting>,
}

/// How the registry is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryLink {
    /// Its URL, without credentials.
    pub url: String,
    /// The last call was answered; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// Since when it has not been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<Timestamp>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Agents that the registry has acknowledged.
    pub mirrored: usize,
    /// Agents of which something waits to be said.
    pub pending: usize,
}

/// What the engine does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeNumbers {
    /// Targets that are probed.
    pub targets: usize,
    /// Probes under way.
    pub in_flight: usize,
    /// Probes that ended, per second, over about the last ten seconds.
    pub per_second: f64,
    /// Slots in which no probe could start, since the start.
    pub missed_slots: u64,
    /// The 95th percentile of how late probes began, in seconds, over the last thousand; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_p95_seconds: Option<f64>,
    /// When a probe last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_finished_at: Option<Timestamp>,
}

/// A mass failure under way: the fault may be on the orchestrator's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MassFailure {
    /// When it was noticed.
    pub since: Timestamp,
    /// Targets that were healthy before.
    pub healthy: usize,
    /// Those of them that fail.
    pub failing: usize,
    /// Until then statuses are held; absent when what fails is unknown already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// What vouches for the orchestrator's own network, in the order it is asked.
    #[serde(default)]
    pub canaries: Vec<CanaryAnswer>,
}

/// What one canary said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnswer {
    /// What it is.
    pub name: String,
    /// What is wrong; absent when it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl MassFailure {
    /// Two sentences for people: what happens, and what becomes of it. `until` writes the time out.
    pub fn sentences(&self, until: impl Fn(Timestamp) -> String) -> (String, String) {
        let what =
            format!("{} of {} healthy targets began to fail within one period.", self.failing, self.healthy);
        let then = match self.held_until {
            Some(at) => format!("statuses are held until {}, then become Unknown", until(at)),
            None => "what fails is Unknown until it answers".to_owned(),
        };
        let canaries = match self.canaries.iter().find(|canary| canary.problem.is_some()) {
            Some(canary) => {
                let problem = canary.problem.as_deref().unwrap_or_default();
                format!(" Canary {} fails: {problem}.", canary.name)
            }
            None if self.canaries.is_empty() => " No canary vouches for it (--canary HOST:PORT).".to_owned(),
            None => {
                " All canaries answer: if they go on, the failures are published after one period.".to_owned()
            }
        };
        (what, format!("The fault may be on this side (network, DNS): {then}.{canaries}"))
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Its flag, without the dashes.
    pub name: String,
    /// Its value, for people; of a secret only where it is read from.
    pub value: String,
    /// `flag`, `environment`, `file` or `default`.
    pub source: String,
}
