//! One endpoint as people read it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::convert::from_object;
use crate::api::v1alpha1::{AgentEndpoint, AgentEndpointSpec, AgentEndpointStatus, Guarded};
use crate::domain::endpoint::default_agent_id;
use crate::domain::{ConditionType, EndpointId, Status, StatusWord};

/// An endpoint, and what lists need of it.
#[derive(Debug)]
pub struct Row {
    /// Namespace and name.
    pub id: EndpointId,
    /// The one word for its state.
    pub word: StatusWord,
    /// The reason of the `Ready` condition; of an endpoint without status `NotYetProbed`.
    pub reason: String,
    /// Since when it has the word, as its conditions tell; of an endpoint without status since its creation.
    pub since: Timestamp,
    /// What a search looks into, in small letters: made once, looked at for every reader.
    searched: String,
    object: Arc<Guarded>,
}

impl Row {
    /// Reads an object.
    pub fn of(object: Arc<Guarded>) -> Row {
        let metadata = match &object.0 {
            Ok(object) => &object.metadata,
            Err(invalid) => &invalid.metadata,
        };
        let id = EndpointId::new(
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        );
        let created = metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let (word, reason, since) = match &object.0 {
            // The status of an object that does not decode cannot be read either; what is in it says this.
            Err(_) => (StatusWord::Rejected, "NotSupported".to_owned(), created),
            Ok(read) => {
                let ready = read
                    .status
                    .as_ref()
                    .and_then(|s| s.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str()));
                let status = read.status.as_ref().map(from_object);
                let word = status.as_ref().map_or(StatusWord::Unknown, Status::word);
                let reason = ready.map_or_else(|| "NotYetProbed".to_owned(), |c| c.reason.clone());
                // The condition that makes the word what it is.
                let kind = match word {
                    StatusWord::Degraded => ConditionType::Degraded,
                    StatusWord::Rejected => ConditionType::Accepted,
                    _ => ConditionType::Ready,
                };
                let since = status.and_then(|s| s.condition(kind).map(|c| c.last_transition_time));
                (word, reason, since.unwrap_or(created))
            }
        };
        let mut row = Row { id, word, reason, since, searched: String::new(), object };
        let mut searched = format!("{}\n{}\n{}\n{}", row.id, row.reason, row.message(), row.agent_id());
        for target in row.object().iter().flat_map(|object| &object.spec.targets) {
            let _ = write!(searched, "\n{}:{}", target.host, target.port);
        }
        row.searched = searched.to_lowercase();
        row
    }

    /// Is the text, in small letters, in its name, namespace, agent id, reason, message or a target?
    pub(super) fn contains(&self, wanted: &str) -> bool {
        self.searched.contains(wanted)
    }

    /// The object, unless it cannot be read.
    pub fn object(&self) -> Option<&AgentEndpoint> {
        self.object.0.as_ref().ok()
    }

    /// The object; for one that cannot be read what is known of it: its metadata, and that it is not accepted.
    pub fn shown(&self) -> Cow<'_, AgentEndpoint> {
        match &self.object.0 {
            Ok(object) => Cow::Borrowed(object),
            Err(invalid) => {
                let condition = |kind: ConditionType| Condition {
                    type_: kind.as_str().to_owned(),
                    status: "False".to_owned(),
                    reason: self.reason.clone(),
                    message: invalid.error.clone(),
                    last_transition_time: Time(self.since),
                    observed_generation: invalid.metadata.generation,
                };
                let status = AgentEndpointStatus {
                    conditions: [ConditionType::Ready, ConditionType::Accepted].map(condition).into(),
                    ..AgentEndpointStatus::default()
                };
                let (metadata, spec) = (invalid.metadata.clone(), AgentEndpointSpec::default());
                Cow::Owned(AgentEndpoint { metadata, spec, status: Some(status) })
            }
        }
    }

    /// Why the object cannot be read.
    pub fn unreadable(&self) -> Option<&str> {
        self.object.0.as_ref().err().map(|invalid| invalid.error.as_str())
    }

    /// Its status, as far as it is ours.
    pub fn status(&self) -> Option<Status> {
        self.object()?.status.as_ref().map(from_object)
    }

    /// The message of the `Ready` condition.
    pub fn message(&self) -> &str {
        match self.object() {
            None => self.unreadable().unwrap_or_default(),
            Some(object) => object
                .status
                .iter()
                .flat_map(|status| &status.conditions)
                .find(|c| c.type_ == ConditionType::Ready.as_str())
                .map_or("", |c| c.message.as_str()),
        }
    }

    /// The protocol that is probed; empty while nobody has looked.
    pub fn protocol(&self) -> &str {
        self.object().and_then(|o| o.status.as_ref()?.protocol.as_deref()).unwrap_or_default()
    }

    /// The id in the registry.
    pub fn agent_id(&self) -> String {
        let explicit = self.object().and_then(|object| object.spec.agent_id.clone());
        explicit.unwrap_or_else(|| default_agent_id(&self.id))
    }

    pub(super) fn same(&self, other: &Row) -> bool {
        match (&self.object.0, &other.object.0) {
            (Ok(a), Ok(b)) => a == b,
            (Err(a), Err(b)) => a.error == b.error && a.metadata == b.metadata,
            _ => false,
        }
    }
}
