//! What an orchestrator tells the registry: the wire shapes of `/v1` that the mirror (client) and
//! the registry (server) share, and the digest by which both know that they agree.
//!
//! A *source* is one orchestrator (all its replicas): it has a stable id, and its writes carry a
//! [`Stamp`]. A *contribution* is what one source says of one agent. All calls are
//! `POST /v1/scopes/{scope}/sources/{source}/…` with JSON bodies, camelCase field names:
//!
//! | call | request | answer |
//! |---|---|---|
//! | `batch` | [`BatchRequest`] | [`BatchResponse`], item by item |
//! | `renewal` | [`RenewalRequest`] | [`RenewalResponse`] |
//! | `snapshot` | [`SnapshotRequest`], page by page | [`SnapshotResponse`] |
//!
//! A stamp older than the last accepted one of the same source is answered 409 and changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Reason, StatusWord};

/// The most items that one batch or one snapshot page may carry.
pub const MAX_ITEMS: usize = 500;
/// The longest agent id, in characters.
pub const MAX_AGENT_ID: usize = 253;

/// Bytes of one request that the registry reads at most; senders stay below it.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// Problem `type` of a 409: a newer write of the same source was accepted before.
pub const STALE_STAMP: &str = "urn:configurable-agents:problem:stale-stamp";
/// Problem `type` of a 409: the page does not follow the one before; the snapshot starts again.
pub const SNAPSHOT_GAP: &str = "urn:configurable-agents:problem:snapshot-gap";

/// Orders the writes of one source: a new holder has a higher epoch, and counts `seq` from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Lease transitions in a cluster, a counter in the database without one.
    pub epoch: i64,
    /// Counts the calls of one holder.
    pub seq: i64,
}

/// The object that a contribution is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointReference {
    /// Namespace of the `AgentEndpoint`.
    pub namespace: String,
    /// Name of the `AgentEndpoint`.
    pub name: String,
    /// Its uid (standalone: a stable hash of namespace and name).
    pub uid: String,
}

/// One address of an agent, and how its probe stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContributedAddress {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port, 1–65535.
    pub port: u16,
    /// The target's own status word.
    pub status: StatusWord,
}

/// What one orchestrator says of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// The agent's id in the registry, 1–253 characters.
    #[serde(rename = "agentID")]
    pub agent_id: String,
    /// A name for people.
    pub agent_name: String,
    /// Where it is declared.
    pub endpoint: EndpointReference,
    /// The verdict, in the word that people see.
    pub status: StatusWord,
    /// The reason of the `Ready` condition.
    pub reason: Reason,
    /// A sentence for people.
    pub message: String,
    /// When the status word last changed (whole seconds).
    pub since: Timestamp,
    /// `http`, `tcp`, …
    pub protocol: String,
    /// Its addresses in spec order, at most 32.
    pub addresses: Vec<ContributedAddress>,
    /// What callers dial, where the spec says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Capabilities that the spec declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Metadata that the spec declares.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// How long the contribution lives without a renewal, 15–3600 s.
    pub ttl_seconds: u32,
}

impl Contribution {
    /// True when the verdict proves that the agent is there: Ready, Degraded, or a 401/403.
    pub fn is_evidence(&self) -> bool {
        match self.status {
            StatusWord::Ready | StatusWord::Degraded => true,
            StatusWord::Failing => self.demands_credentials(),
            _ => false,
        }
    }

    /// True when the verdict proves that the agent does not answer.
    pub fn is_counter_evidence(&self) -> bool {
        self.status == StatusWord::Failing && !self.demands_credentials()
    }

    fn demands_credentials(&self) -> bool {
        matches!(self.reason, Reason::AuthenticationRequired | Reason::CredentialsRejected)
    }

    /// Pairs the contribution with its digest.
    pub fn into_item(self) -> Item {
        let text = serde_json::to_vec(&self)
            .unwrap_or_else(|error| unreachable!("strings and numbers always serialise: {error}"));
        Item { digest: Digest(Sha256::digest(&text).into()), contribution: self }
    }
}

/// 32 bytes, 64 hexadecimal digits on the wire. Digests of many items combine by XOR, so the order
/// does not matter and both sides can keep the sum up to date item by item. It guards against
/// loss, not against a forger: a source speaks only for itself.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Adds an item to, or takes it out of, a combined digest.
    #[must_use]
    pub fn combine(self, other: Digest) -> Digest {
        let mut bytes = self.0;
        for (byte, o) in bytes.iter_mut().zip(other.0) {
            *byte ^= o;
        }
        Digest(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Digest> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(Digest(bytes))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest is 64 hexadecimal digits"))
    }
}

/// A contribution with the digest that its source gave it. The registry keeps the digest as it is,
/// so a newer source's unknown fields do not make the two disagree for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// SHA-256 of the contribution as its source wrote it.
    pub digest: Digest,
    /// The contribution.
    pub contribution: Contribution,
}

/// Changes to some contributions of a source. Each is applied for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchRequest {
    /// Orders this write.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Contributions to make or replace; with the withdrawals at most [`MAX_ITEMS`].
    #[serde(default)]
    pub upserts: Vec<Item>,
    /// Agent ids whose contribution of this source goes.
    #[serde(default)]
    pub withdrawals: Vec<String>,
}

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemOutcome {
    /// Stored.
    Applied,
    /// Stored already; its lease was renewed.
    Unchanged,
    /// Gone now.
    Withdrawn,
    /// There was nothing to withdraw.
    NotFound,
    /// Another live orchestrator owns the id in this scope; nothing was changed.
    OwnedByAnother,
    /// The item is invalid; nothing was changed.
    Rejected,
}

/// The answer for one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemResult {
    /// Which agent.
    #[serde(rename = "agentID")]
    pub agent_id: String,
    /// What became of it.
    pub outcome: ItemOutcome,
    /// Why, for `OwnedByAnother` and `Rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What the registry holds of a source after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holdings {
    /// XOR of the digests of all its contributions.
    pub digest: Digest,
    /// How many they are.
    pub count: u64,
}

/// Answer to a [`BatchRequest`]: one result an item, upserts first, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// One an item.
    pub results: Vec<ItemResult>,
    /// What is held now.
    pub held: Holdings,
}

/// Renews every contribution of a source, each for its own TTL, whether the digests agree or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalRequest {
    /// Orders this write.
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// Answer to a [`RenewalRequest`]: the source compares it with its own and sends a snapshot when
/// they differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalResponse {
    /// What is held now.
    pub held: Holdings,
}

/// One page of everything that a source says. What a complete snapshot lacks is withdrawn with the
/// last page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRequest {
    /// Orders this write.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// One random id for all pages of one snapshot.
    pub snapshot: String,
    /// From 0, without a gap; a gap is answered 409 and the snapshot starts again.
    pub page: u32,
    /// This is the last page.
    pub last: bool,
    /// A second list of objects agreed: withdraw, however many they are.
    #[serde(default)]
    pub confirmed: bool,
    /// Contributions, at most [`MAX_ITEMS`] with `retained`.
    #[serde(default)]
    pub items: Vec<Item>,
    /// Ids that the source still has but says nothing new of (no verdict yet): held as they are.
    #[serde(default)]
    pub retained: Vec<String>,
}

/// A contribution that was kept because the snapshot named it in `retained`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetainedItem {
    /// Which agent.
    #[serde(rename = "agentID")]
    pub agent_id: String,
    /// The digest that is held of it.
    pub digest: Digest,
}

/// Answer to a [`SnapshotRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotResponse {
    /// One an item of this page.
    pub results: Vec<ItemResult>,
    /// The retained ones of this page that are held, and the rejected ones of which something
    /// older is held.
    pub retained: Vec<RetainedItem>,
    /// With the last page: how many contributions went.
    pub withdrawn: u64,
    /// With the last page: how many would have gone but are more than max(5, 10 %) of what was
    /// held, and the snapshot was not `confirmed`. They stay.
    pub withheld: u64,
    /// What is held now.
    pub held: Holdings,
}

/// The brake on withdrawals that nobody asked for one by one: more than max(5, 10 %) of what was
/// held need a second list of objects that agrees.
pub fn withdrawal_needs_confirmation(held: u64, missing: u64) -> bool {
    missing > std::cmp::max(5, held / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_combine_in_any_order_and_cancel_out() {
        let a = Digest(Sha256::digest(b"a").into());
        let b = Digest(Sha256::digest(b"b").into());
        assert_eq!(a.combine(b), b.combine(a));
        assert_eq!(a.combine(b).combine(a), b);
        assert_eq!(Digest::parse(&a.to_string()), Some(a));
        assert_eq!(Digest::parse("zz"), None);
    }

    #[test]
    fn a_few_missing_contributions_go_at_once_and_many_need_a_second_list() {
        assert!(!withdrawal_needs_confirmation(10, 5));
        assert!(withdrawal_needs_confirmation(10, 6));
        assert!(!withdrawal_needs_confirmation(1000, 100));
        assert!(withdrawal_needs_confirmation(1000, 101));
    }
}
