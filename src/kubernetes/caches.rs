//! The caches of all scopes, and who hears of what changes in them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Api, Client, ResourceExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Settings;
use super::meters::Meters;
use super::watch::{Observer, Scope, compare, follow, id_of, list_versions};
use crate::api::v1alpha1::{AgentEndpoint, Guarded};
use crate::domain::EndpointId;
use crate::engine::{Changes, Engine};
use crate::ops::health::Health;
use crate::view::View;

/// Hints from the watch of endpoints, and what is shown of them.
struct Endpoints {
    changes: Changes,
    engine: Engine,
    listed: Arc<tokio::sync::Notify>,
    view: View,
    class: String,
    scope: Scope,
    store: Store<Guarded>,
}

impl Endpoints {
    /// Objects of other classes are not ours to show. One that cannot be read belongs to whom it belonged
    /// before, and else to those without a class.
    fn show(&self, id: &EndpointId) {
        let key = ObjectRef::new(&id.name).within(&id.namespace);
        let Some(object) = self.store.get(&key) else { return self.view.remove(id) };
        let ours = match &object.0 {
            Ok(read) => read.spec.class_name == self.class,
            Err(_) => self.class.is_empty() || self.view.row(id).is_some(),
        };
        if ours {
            self.view.put(object);
        } else {
            self.view.hide(id);
        }
    }
}

impl Observer<Guarded> for Endpoints {
    fn present(&self, id: EndpointId) {
        self.show(&id);
        self.changes.push(id);
    }

    fn absent(&self, id: EndpointId) {
        // Probing stops at once; the look that follows cleans up the rest.
        self.engine.remove(&id);
        self.view.remove(&id);
        self.changes.push(id);
    }

    fn listed(&self, all: Vec<EndpointId>) {
        let known: HashSet<&EndpointId> = all.iter().collect();
        self.view.retain(|id| !self.scope.covers(id) || known.contains(id));
        for id in all {
            self.show(&id);
            self.changes.push(id);
        }
        // What the list lacks is looked for by `retain`.
        self.listed.notify_one();
    }
}

/// Hints from the watch of Services: the endpoints that name the Service.
struct Services {
    changes: Changes,
    endpoints: Vec<Store<Guarded>>,
}

impl Services {
    fn touch(&self, service: &EndpointId) {
        for object in self.endpoints.iter().flat_map(Store::state) {
            let named = object.0.as_ref().ok().and_then(|o| o.spec.service_ref.as_ref());
            let id = id_of(&*object);
            if named.is_some_and(|named| named.name == service.name) && id.namespace == service.namespace {
                self.changes.push(id);
            }
        }
    }
}

impl Observer<Service> for Services {
    fn present(&self, id: EndpointId) {
        self.touch(&id);
    }

    fn absent(&self, id: EndpointId) {
        self.touch(&id);
    }

    fn listed(&self, _: Vec<EndpointId>) {
        for object in self.endpoints.iter().flat_map(Store::state) {
            if object.0.as_ref().is_ok_and(|o| o.spec.service_ref.is_some()) {
                self.changes.push(id_of(&*object));
            }
        }
    }
}

/// The caches; clones share them.
#[derive(Clone)]
pub struct Caches {
    /// Endpoints, one store a scope.
    pub endpoints: Vec<Store<Guarded>>,
    /// Services, one store a scope.
    pub services: Vec<Store<Service>>,
    scopes: Vec<Scope>,
    /// A complete list of endpoints has been read.
    pub listed: Arc<tokio::sync::Notify>,
}

impl Caches {
    #[allow(clippy::too_many_arguments, reason = "called once; a struct would only name the same ten things")]
    /// Starts all watches.
    pub fn start(
        client: &Client,
        settings: &Settings,
        changes: &Changes,
        engine: &Engine,
        view: &View,
        health: &Health,
        meters: &Meters,
        tasks: &TaskTracker,
        fatal: &tokio::sync::mpsc::Sender<String>,
        stop: &CancellationToken,
    ) -> Caches {
        let scopes = Scope::of(&settings.watch_namespaces);
        let listed = Arc::new(tokio::sync::Notify::new());
        let mut caches = Caches { endpoints: Vec::new(), services: Vec::new(), scopes, listed };
        let mut writers = Vec::new();
        for _ in &caches.scopes {
            let (store, writer) = reflector::store();
            caches.endpoints.push(store);
            writers.push(writer);
        }
        for ((scope, writer), store) in caches.scopes.iter().zip(writers).zip(&caches.endpoints) {
            let observer = Endpoints {
                changes: changes.clone(),
                engine: engine.clone(),
                listed: Arc::clone(&caches.listed),
                view: view.clone(),
                class: settings.class.clone(),
                scope: scope.clone(),
                store: store.clone(),
            };
            let followed = follow(
                scope.api(client),
                writer,
                store.clone(),
                crate::api::PLURAL,
                scope.check(crate::api::PLURAL),
                observer,
                health.clone(),
                meters.clone(),
                stop.clone(),
            );
            tasks.spawn(report(followed, fatal.clone()));
            let compared =
                compare(scope.api::<PartialObjectMeta<Guarded>>(client), store.clone(), stop.clone());
            tasks.spawn(report(compared.map(Err), fatal.clone()));
        }
        for scope in &caches.scopes {
            let (store, writer) = reflector::store();
            caches.services.push(store.clone());
            let observer = Services { changes: changes.clone(), endpoints: caches.endpoints.clone() };
            let followed = follow(
                scope.api(client),
                writer,
                store,
                "services",
                scope.check("services"),
                observer,
                health.clone(),
                meters.clone(),
                stop.clone(),
            );
            tasks.spawn(report(followed, fatal.clone()));
        }
        caches
    }

    /// Waits until every cache holds a complete list.
    pub async fn ready(&self) {
        for store in &self.endpoints {
            // An error means that the writer is gone: then the process is ending.
            store.wait_until_ready().await.ok();
        }
        for store in &self.services {
            store.wait_until_ready().await.ok();
        }
    }

    /// Waits until the caches are as new as a live list made now, at most 10 s: a successor must not
    /// go on from a verdict that its predecessor has taken back.
    pub async fn catch_up(&self, client: &Client) {
        let number = |version: &str| version.parse::<u64>().unwrap_or_default();
        let catching_up = async {
            for (scope, store) in self.scopes.iter().zip(&self.endpoints) {
                let Some(listed) = list_versions(&scope.api::<PartialObjectMeta<Guarded>>(client)).await
                else {
                    return;
                };
                let behind = || {
                    let cached = store.state();
                    cached.iter().any(|object| {
                        let live = listed.get(&id_of(&**object)).map_or(0, |version| number(version));
                        live > number(&object.resource_version().unwrap_or_default())
                    })
                };
                while behind() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(10), catching_up).await.is_err() {
            tracing::warn!("the cache is behind the API server; going on all the same");
        }
    }

    /// Endpoints that the caches hold.
    pub fn ids(&self) -> HashSet<EndpointId> {
        self.endpoints.iter().flat_map(Store::state).map(|object| id_of(&*object)).collect()
    }

    /// A live list of what exists, in all scopes.
    pub async fn list(&self, client: &Client) -> Option<HashSet<EndpointId>> {
        let mut all = HashSet::new();
        for scope in &self.scopes {
            let api: Api<PartialObjectMeta<AgentEndpoint>> = scope.api(client);
            all.extend(list_versions(&api).await?.into_keys());
        }
        Some(all)
    }
}

async fn report(task: impl Future<Output = Result<(), String>>, fatal: tokio::sync::mpsc::Sender<String>) {
    if let Err(cause) = task.await {
        fatal.send(cause).await.ok();
    }
}
