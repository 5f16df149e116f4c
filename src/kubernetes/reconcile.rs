//! One look at one endpoint: object → engine → plan → effects. Level-triggered: it never asks why
//! it was called.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource as _, ResourceExt as _};

use super::effects::{Publisher, Written, read_status, write_status};
use super::error::{Problem, problem_of};
use super::lease::Held;
use super::queue::Done;
use super::watch::find;
use crate::api::convert::{self, Facts, Rules, ServiceFacts};
use crate::api::v1alpha1::{AgentEndpoint, Guarded};
use crate::domain::{Endpoint, EndpointId, Notice, Status, TargetAddress, TargetState, plan};
use crate::engine::{Changes, Engine};
use crate::mirror::Mirror;
use crate::ops::looks::Looks;
use crate::ops::now;

/// A safety net under the watches: every endpoint is looked at this often, whatever happens.
const RESYNC: Duration = Duration::from_mins(10);
/// A Namespace is not watched: an annotation that permits an agent id takes effect this soon.
const NAMESPACE_AGAIN: Duration = Duration::from_secs(30);

/// While the Lease is not certain nothing is written; looked at again this soon.
const UNCERTAIN_AGAIN: Duration = Duration::from_secs(2);

/// What became of reading an object.
enum Understood {
    /// An endpoint, its stored status, and when to look again.
    As(Box<Endpoint>, Option<Box<Status>>, Done),
    /// It belongs to another class.
    NotOurs,
    /// The API server did not say what is needed.
    NotNow,
}

/// Everything that a look needs.
pub struct Context {
    /// Client of the API server.
    pub client: Client,
    /// Caches of the endpoints, one a scope.
    pub endpoints: Vec<Store<Guarded>>,
    /// Caches of the Services, one a scope.
    pub services: Vec<Store<Service>>,
    /// `--class`.
    pub class: String,
    /// The operator's part; the policy inside can be exchanged.
    pub rules: Box<dyn Fn() -> Rules + Send + Sync>,
    /// Timers and verdicts.
    pub engine: Engine,
    /// To the registry.
    pub mirror: Mirror,
    /// Hints for the queue.
    pub changes: Changes,
    /// Where Events are left.
    pub publisher: Publisher,
    /// The Lease.
    pub held: Held,
    /// What we wrote last and the watch may not have shown us yet.
    pub written: Mutex<HashMap<EndpointId, Written>>,
    /// Endpoints of the first list that have not been looked at yet.
    pub unseen: Mutex<Option<HashSet<EndpointId>>>,
    /// What was counted.
    pub looks: Looks,
}

impl Context {
    /// Has the engine probe an endpoint of the first list. No call is made, so that all of them are
    /// probed in time however long the first writes take.
    pub fn arm(&self, id: &EndpointId) {
        let Some(object) = find(&self.endpoints, id) else { return };
        let Ok(read) = &object.0 else { return };
        if read.spec.class_name != self.class {
            return;
        }
        let rules = (self.rules)();
        if convert::asks_for_foreign_id(read, &rules) {
            // The first look asks the Namespace.
            return;
        }
        let facts = Facts { service: self.service(read, id), allowed_agent_ids: Vec::new() };
        let endpoint = convert::endpoint(read, &rules, &facts);
        let observed = read.status.as_ref().map(convert::from_object);
        self.engine.upsert(&endpoint, |address| restore(observed.as_ref(), &endpoint, address));
    }

    /// Looks at one endpoint, and measures that.
    pub async fn look(self: Arc<Self>, id: EndpointId) -> Done {
        let started = tokio::time::Instant::now();
        let done = self.look_at(id).await;
        self.looks.took(started.elapsed());
        done
    }

    async fn look_at(&self, id: EndpointId) -> Done {
        let Some(object) = find(&self.endpoints, &id) else {
            return self.gone(&id).await;
        };
        let (endpoint, observed, again) = match self.understand(&object, &id).await {
            Understood::As(endpoint, observed, again) => (endpoint, observed, again),
            Understood::NotNow => return Done::Failed,
            Understood::NotOurs => {
                self.forget(&id);
                return Done::Settled;
            }
        };
        let observed = observed.as_deref();
        self.engine.upsert(&endpoint, |address| restore(observed, &endpoint, address));
        let states = self.engine.states(&endpoint);
        let registration = self.mirror.state(&endpoint);
        let plan = plan(&endpoint, &states, &registration, observed, now());
        self.hint(self.mirror.put(&endpoint, plan.mirror));
        self.seen(&id);
        if !plan.write {
            return again;
        }
        if !self.held.is_certain() {
            return Done::Again(UNCERTAIN_AGAIN);
        }
        let version = self.version(&object, &id);
        match write_status(&self.client, &endpoint, &version, &plan.status, object.0.is_ok()).await {
            Ok(written) => {
                self.looks.wrote("ok");
                self.written().insert(id, written);
                self.tell(&object, &endpoint, &plan.notices);
                again
            }
            Err(Problem::Gone) => Done::Settled,
            Err(Problem::Conflict) => {
                self.looks.wrote("conflict");
                self.written().remove(&id);
                Done::Outrun
            }
            Err(problem) => {
                self.looks.wrote("error");
                self.looks.failed(problem.label());
                tracing::warn!(endpoint = %id, error = %problem, "the status could not be written; trying again");
                Done::Failed
            }
        }
    }

    /// What the object says, what its status says, and when to look again.
    async fn understand(&self, object: &Guarded, id: &EndpointId) -> Understood {
        let rules = (self.rules)();
        let mut again = Done::Again(RESYNC.mul_f64(0.9 + 0.1 * fraction(id)));
        let newer = self.newer(object, id);
        match &object.0 {
            Ok(object) => {
                if object.spec.class_name != self.class {
                    return Understood::NotOurs;
                }
                let mut facts = Facts { service: self.service(object, id), allowed_agent_ids: Vec::new() };
                if convert::asks_for_foreign_id(object, &rules) {
                    // Without an answer nothing is concluded: an error is not a refusal.
                    let Some(allowed) = self.allowed_agent_ids(&id.namespace).await else {
                        return Understood::NotNow;
                    };
                    facts.allowed_agent_ids = allowed;
                    again = Done::Again(NAMESPACE_AGAIN);
                }
                let endpoint = convert::endpoint(object, &rules, &facts);
                let observed = newer.or_else(|| object.status.as_ref().map(convert::from_object));
                Understood::As(Box::new(endpoint), observed.map(Box::new), again)
            }
            Err(invalid) => {
                let endpoint = convert::undecodable(&invalid.metadata, &invalid.error, &rules.defaults);
                // What we wrote ourselves is known; after a start it is asked for once.
                let ours = self.written().get(id).filter(|w| w.uid == endpoint.uid).map(|w| w.status.clone());
                let observed = match newer.or(ours) {
                    Some(status) => Some(status),
                    None => match read_status(&self.client, id).await {
                        Ok(status) => status,
                        Err(problem) => {
                            self.looks.failed(problem.label());
                            return Understood::NotNow;
                        }
                    },
                };
                Understood::As(Box::new(endpoint), observed.map(Box::new), again)
            }
        }
    }

    /// The status that we wrote, when the cache does not show it yet.
    fn newer(&self, object: &Guarded, id: &EndpointId) -> Option<Status> {
        let mut written = self.written();
        let ours = written.get(id)?;
        let cached = object.resource_version()?.parse::<u64>().ok()?;
        let same_object = object.uid().as_deref() == Some(&ours.uid);
        if same_object && ours.version.parse::<u64>().ok()? > cached {
            return Some(ours.status.clone());
        }
        if object.0.is_ok() {
            written.remove(id);
        }
        None
    }

    fn version(&self, object: &Guarded, id: &EndpointId) -> String {
        let cached = object.resource_version().unwrap_or_default();
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let written = self.written();
        match written.get(id) {
            Some(ours)
                if Some(&ours.uid) == object.uid().as_ref() && number(&ours.version) > number(&cached) =>
            {
                ours.version.clone()
            }
            _ => cached,
        }
    }

    fn service(&self, object: &AgentEndpoint, id: &EndpointId) -> ServiceFacts {
        let Some(wanted) = &object.spec.service_ref else { return ServiceFacts::Missing };
        let Some(service) = find(&self.services, &EndpointId::new(&id.namespace, &wanted.name)) else {
            return ServiceFacts::Missing;
        };
        let ports = service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default();
        let port = |p: k8s_openapi::api::core::v1::ServicePort| Some((p.name, u16::try_from(p.port).ok()?));
        ServiceFacts::Ports(ports.into_iter().filter_map(port).collect())
    }

    /// `None`: the API server gave no answer.
    async fn allowed_agent_ids(&self, namespace: &str) -> Option<Vec<String>> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let annotation = format!("{}/allowed-agent-ids", crate::api::GROUP);
        match tokio::time::timeout(super::CALL, api.get_opt(namespace)).await {
            Ok(Ok(namespace)) => {
                let list =
                    namespace.and_then(|n| n.annotations().get(&annotation).cloned()).unwrap_or_default();
                Some(list.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect())
            }
            Ok(Err(error)) => {
                self.looks.failed(problem_of(&error, "the Namespace").label());
                tracing::warn!(namespace, error = %error, "cannot read the Namespace's annotation {annotation}");
                None
            }
            Err(_) => {
                self.looks.failed(Problem::Timeout.label());
                None
            }
        }
    }

    fn tell(&self, object: &Guarded, endpoint: &Endpoint, notices: &[Notice]) {
        let reference = object.object_ref(&());
        for notice in notices {
            let EndpointId { namespace, name } = &endpoint.id;
            tracing::info!(
                kind = crate::api::KIND,
                namespace,
                name,
                uid = endpoint.uid,
                reason = notice.reason,
                "{} {}: {}",
                endpoint.id,
                notice.reason,
                notice.note
            );
            let event = Event {
                type_: if notice.warning { EventType::Warning } else { EventType::Normal },
                reason: notice.reason.to_owned(),
                note: Some(notice.note.clone()),
                action: notice.action.to_owned(),
                secondary: None,
            };
            self.publisher.leave(event, reference.clone());
        }
    }

    /// The cache does not hold it. A cache can be wrong (an empty list, a stale server): only the
    /// API server's own word removes what the registry holds.
    async fn gone(&self, id: &EndpointId) -> Done {
        let api: Api<Guarded> = Api::namespaced(self.client.clone(), &id.namespace);
        match tokio::time::timeout(super::CALL, api.get_metadata_opt(&id.name)).await {
            Ok(Ok(None)) => {
                self.forget(id);
                Done::Settled
            }
            Ok(Ok(Some(_))) => Done::Again(NAMESPACE_AGAIN),
            Ok(Err(error)) => {
                self.looks.failed(problem_of(&error, "the object").label());
                tracing::warn!(endpoint = %id, error = %error, "cannot ask whether the object is gone; trying again");
                Done::Failed
            }
            Err(_) => {
                self.looks.failed(Problem::Timeout.label());
                Done::Failed
            }
        }
    }

    /// The endpoint is gone, or not ours.
    pub fn forget(&self, id: &EndpointId) {
        self.engine.remove(id);
        self.hint(self.mirror.remove(id));
        self.written().remove(id);
        self.seen(id);
    }

    fn hint(&self, ids: Vec<EndpointId>) {
        ids.into_iter().for_each(|id| self.changes.push(id));
    }

    /// One less of the first list; after the last one the mirror may withdraw what is not there.
    pub fn seen(&self, id: &EndpointId) {
        let mut unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = unseen.as_mut() {
            waiting.remove(id);
            if waiting.is_empty() {
                *unseen = None;
                self.mirror.open();
            }
        }
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashMap<EndpointId, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the status says of a target, if it is about this generation of the spec.
fn restore(observed: Option<&Status>, endpoint: &Endpoint, address: &TargetAddress) -> Option<TargetState> {
    observed.filter(|status| status.observed_generation == endpoint.generation)?.restore(address)
}

/// A number from 0 to 1 that spreads endpoints.
fn fraction(id: &EndpointId) -> f64 {
    let period = Duration::from_secs(1000);
    crate::domain::schedule::phase(&id.to_string(), period).as_secs_f64() / period.as_secs_f64()
}
