//! What goes to the API server: status, by server-side apply, and Events.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::events::{Event, Recorder};
use kube::{Api, Client, ResourceExt as _};
use prometheus_client::metrics::counter::Counter;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::{Problem, problem_of};
use crate::api::v1alpha1::AgentEndpoint;
use crate::api::{FIELD_MANAGER, convert};
use crate::domain::{Endpoint, EndpointId, Status};

/// What we wrote of an object.
#[derive(Clone, Debug)]
pub struct Written {
    /// Which object.
    pub uid: String,
    /// The version that the write made.
    pub version: String,
    /// What was written.
    pub status: Status,
}

/// Writes the status on top of the version that it was planned on: another version in between is
/// [`Problem::Conflict`], also for a write that was held up on its way.
///
/// By server-side apply, so that conditions of others stay. That needs an object which the server
/// itself can read by the schema; for one that it cannot (`readable` is false) a merge patch does,
/// and such an object has no conditions of others worth keeping.
pub async fn write_status(
    client: &Client,
    endpoint: &Endpoint,
    version: &str,
    status: &Status,
    readable: bool,
) -> Result<Written, Problem> {
    // The answer may be an object that our own type cannot read.
    let resource = ApiResource::erase::<AgentEndpoint>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &endpoint.id.namespace, &resource);
    let patch = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": endpoint.id.name, "uid": endpoint.uid, "resourceVersion": version},
        "status": convert::to_object(status),
    });
    let (params, patch) = if readable {
        (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(&patch))
    } else {
        (
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() },
            Patch::Merge(&patch),
        )
    };
    let call = api.patch_status(&endpoint.id.name, &params, &patch);
    match tokio::time::timeout(super::CALL, call).await {
        Ok(Ok(object)) => Ok(Written {
            uid: endpoint.uid.clone(),
            version: object.resource_version().unwrap_or_default(),
            status: status.clone(),
        }),
        Ok(Err(error)) => Err(problem_of(&error, "the status")),
        Err(_) => Err(Problem::Timeout),
    }
}

/// The status of an object whose spec cannot be read.
pub async fn read_status(client: &Client, id: &EndpointId) -> Result<Option<Status>, Problem> {
    let resource = ApiResource::erase::<AgentEndpoint>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &id.namespace, &resource);
    match tokio::time::timeout(super::CALL, api.get_opt(&id.name)).await {
        Ok(Ok(object)) => {
            let status =
                object.and_then(|mut object| object.data.get_mut("status").map(serde_json::Value::take));
            let status = status.and_then(|status| serde_json::from_value(status).ok());
            Ok(status.as_ref().map(convert::from_object))
        }
        Ok(Err(error)) => Err(problem_of(&error, "the object")),
        Err(_) => Err(Problem::Timeout),
    }
}

/// So many Events wait to be published at most; what comes beyond is dropped and counted. 4,096 is
/// two Events for each of 2,000 endpoints at a first start.
const WAITING: usize = 4096;
/// So many are on their way at once.
const AT_ONCE: usize = 4;

/// Where Events are left: they are news, not state, and must not hold a status up.
pub struct Publisher {
    sender: mpsc::Sender<(Event, ObjectReference)>,
    /// Events that found no room.
    dropped: Counter,
}

impl Publisher {
    /// The publisher, and the task that empties it until `stop`.
    pub fn new(
        recorder: Recorder,
        stop: CancellationToken,
        dropped: Counter,
    ) -> (Self, impl Future<Output = ()>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let waiting = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async {
            receiver.recv().await.map(|news| (news, receiver))
        });
        let recorder = Arc::new(recorder);
        let publishing = waiting.for_each_concurrent(AT_ONCE, move |(event, about)| {
            let recorder = Arc::clone(&recorder);
            async move { publish(&recorder, &event, &about).await }
        });
        let task = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = publishing => {}
            }
        };
        (Publisher { sender, dropped }, task)
    }

    /// Leaves an Event to be published.
    pub fn leave(&self, event: Event, about: ObjectReference) {
        if self.sender.try_send((event, about)).is_err() {
            self.dropped.inc();
        }
    }
}

async fn publish(recorder: &Recorder, event: &Event, about: &ObjectReference) {
    let deadline = Duration::from_secs(5);
    match tokio::time::timeout(deadline, recorder.publish(event, about)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %problem_of(&error, "events"), "an Event could not be published");
        }
        Err(_) => tracing::warn!("an Event could not be published in time"),
    }
}
