//! The objects that are declared, with what is known of each: what a cluster's API server would hold.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::DeserializeGuard;

use super::catalog::Catalog;
use super::store::{Store, StoreError};
use crate::api::convert::{Facts, Rules, ServiceFacts, endpoint, to_object};
use crate::api::v1alpha1::AgentEndpoint;
use crate::domain::{Endpoint, EndpointId, Status, plan};
use crate::engine::Engine;
use crate::mirror::Mirror;
use crate::ops::now;
use crate::view::View;

/// What was read, and what is known of it.
struct Declared {
    /// As it stands in the file.
    manifest: AgentEndpoint,
    /// With uid, generation and age.
    object: AgentEndpoint,
    status: Option<Status>,
}

/// Everything that is declared and ours.
pub struct Objects {
    declared: BTreeMap<EndpointId, Declared>,
    opened: bool,
    rules: Box<dyn Fn() -> Rules + Send + Sync>,
    class: String,
    engine: Engine,
    mirror: Mirror,
    store: Store,
    view: View,
    /// Why the last write failed, when it did.
    trouble: Option<String>,
}

impl Objects {
    /// Nothing yet.
    pub fn new(
        rules: Box<dyn Fn() -> Rules + Send + Sync>,
        class: String,
        engine: Engine,
        mirror: Mirror,
        store: Store,
        view: View,
    ) -> Objects {
        let (declared, trouble) = (BTreeMap::new(), None);
        Objects { declared, opened: false, rules, class, engine, mirror, store, view, trouble }
    }

    /// Why the last write failed, when it did.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    /// Everything that the first reading declares; all of it wants a look.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn first(&mut self, catalog: &Catalog) -> Result<HashSet<EndpointId>, StoreError> {
        let ours: Vec<_> = self.ours(catalog).map(|(id, object)| (id.clone(), object.clone())).collect();
        for (id, object) in ours {
            self.declare(id, object).await?;
        }
        Ok(self.declared.keys().cloned().collect())
    }

    /// Makes what is declared here what the catalog declares. Answers what changed, and whether all of it could be
    /// written.
    pub async fn settle(&mut self, catalog: &Catalog) -> (HashSet<EndpointId>, bool) {
        let mut settled = true;
        let mut changed = HashSet::new();
        let wanted: BTreeMap<_, _> = self.ours(catalog).collect();
        let gone: Vec<EndpointId> =
            self.declared.keys().filter(|id| !wanted.contains_key(id)).cloned().collect();
        let new: Vec<(EndpointId, AgentEndpoint)> = wanted
            .into_iter()
            .filter(|(id, object)| self.declared.get(id).is_none_or(|known| known.manifest != **object))
            .map(|(id, object)| (id.clone(), object.clone()))
            .collect();
        for (id, object) in new {
            match self.declare(id.clone(), object).await {
                Ok(()) => {
                    changed.insert(id);
                }
                Err(error) => {
                    tracing::error!(endpoint = %id, %error, "the object could not be stored; trying again");
                    settled = false;
                }
            }
        }
        for id in gone {
            match self.store.forget(&id).await {
                Ok(()) => {
                    self.declared.remove(&id);
                    self.engine.remove(&id);
                    self.view.remove(&id);
                    changed.extend(self.mirror.remove(&id));
                    tracing::info!("{id} is not declared any more");
                }
                Err(error) => {
                    tracing::error!(endpoint = %id, %error, "the object could not be removed; trying again");
                    settled = false;
                }
            }
        }
        (changed, settled)
    }

    fn ours<'a>(
        &'a self,
        catalog: &'a Catalog,
    ) -> impl Iterator<Item = (&'a EndpointId, &'a AgentEndpoint)> + 'a {
        catalog.endpoints().filter(|(_, object)| object.spec.class_name == self.class)
    }

    async fn declare(&mut self, id: EndpointId, manifest: AgentEndpoint) -> Result<(), StoreError> {
        let spec = serde_json::to_string(&manifest.spec).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
        let row = self.store.declare(&id, &spec, now()).await?;
        let mut object = manifest.clone();
        object.metadata.uid = Some(row.uid);
        object.metadata.generation = Some(row.generation);
        object.metadata.creation_timestamp = Some(Time(row.created));
        let known = Declared { manifest, object, status: row.status };
        show(&self.view, &known);
        self.declared.insert(id, known);
        Ok(())
    }

    /// Everything that is declared is known and has been looked at: the registry and the database may forget the rest.
    pub async fn open(&mut self) {
        if self.opened {
            return;
        }
        let names = self.declared.keys().cloned().collect();
        match self.store.keep_only(&names).await {
            Ok(()) => {
                self.mirror.open();
                self.opened = true;
            }
            Err(error) => tracing::error!(%error, "the database could not be tidied; trying again"),
        }
    }

    /// One look at one endpoint: the same steps as in a cluster. False: the status could not be written.
    pub async fn look(&mut self, id: &EndpointId) -> bool {
        let Some(known) = self.declared.get_mut(id) else { return true };
        let facts = Facts { service: ServiceFacts::NoCluster, allowed_agent_ids: Vec::new() };
        let endpoint: Endpoint = endpoint(&known.object, &(self.rules)(), &facts);
        let restored = known.status.as_ref().filter(|s| s.observed_generation == endpoint.generation);
        self.engine.upsert(&endpoint, |address| restored.and_then(|s| s.restore(address)));
        let states = self.engine.states(&endpoint);
        let registration = self.mirror.state(&endpoint);
        let plan = plan(&endpoint, &states, &registration, known.status.as_ref(), now());
        let touched = self.mirror.put(&endpoint, plan.mirror);
        touched.into_iter().for_each(|id| self.engine.changes().push(id));
        if !plan.write {
            return true;
        }
        match self.store.write(id, &plan.status).await {
            Ok(()) => {
                for notice in &plan.notices {
                    if notice.warning {
                        tracing::warn!("{id} {}: {}", notice.reason, notice.note);
                    } else {
                        tracing::info!("{id} {}: {}", notice.reason, notice.note);
                    }
                }
                known.status = Some(plan.status);
                show(&self.view, known);
                self.trouble = None;
                true
            }
            Err(error) => {
                self.trouble = Some(format!("{error}; verdicts are kept and written when it is back"));
                tracing::error!(endpoint = %id, error = %error, "the status could not be written; trying again");
                false
            }
        }
    }
}

/// Shows an object with its status, as `kubectl get` would.
fn show(view: &View, known: &Declared) {
    let status = known.status.as_ref().map(to_object);
    let object = AgentEndpoint { status, ..known.object.clone() };
    view.put(Arc::new(DeserializeGuard(Ok(object))));
}
