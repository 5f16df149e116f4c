//! The objects that are declared, with what is known of each: what a cluster's API server would hold.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::DeserializeGuard;
use tokio::time::Instant;

use super::catalog::Catalog;
use super::doubt::Doubt;
use super::store::{Row, Store, StoreError};
use crate::api::convert::{Facts, Rules, ServiceFacts, endpoint, to_object};
use crate::api::v1alpha1::{AgentEndpoint, AgentEndpointSpec};
use crate::domain::{Endpoint, EndpointId, Notice, Status, plan};
use crate::engine::Engine;
use crate::mirror::Mirror;
use crate::ops::looks::Looks;
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

/// What waits for the next turn.
#[derive(Debug)]
pub struct Todo {
    /// What wants a look.
    pub due: HashSet<EndpointId>,
    /// What is declared here may not be what the files declare.
    pub unsettled: bool,
}

impl Todo {
    /// Nothing waits.
    pub fn is_done(&self) -> bool {
        !self.unsettled && self.due.is_empty()
    }
}

/// Everything that is declared and ours.
pub struct Objects {
    declared: BTreeMap<EndpointId, Declared>,
    opened: bool,
    remembered: bool,
    /// Of those, the ones that no reading has declared yet: they stay until there is one without a problem.
    kept: BTreeSet<EndpointId>,
    rules: Box<dyn Fn() -> Rules + Send + Sync>,
    class: String,
    engine: Engine,
    mirror: Mirror,
    store: Store,
    view: View,
    looks: Looks,
    /// Why something that was to be written is not.
    trouble: Option<String>,
    /// Since when something has waited for a write.
    waiting_since: Option<Instant>,
    /// Declared here and not in the files.
    missing: Doubt,
    /// Known to the database and not declared at the start.
    forgotten: Doubt,
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
        looks: Looks,
    ) -> Objects {
        Objects {
            declared: BTreeMap::new(),
            opened: false,
            remembered: false,
            kept: BTreeSet::new(),
            rules,
            class,
            engine,
            mirror,
            store,
            view,
            looks,
            trouble: None,
            waiting_since: None,
            missing: Doubt::default(),
            forgotten: Doubt::default(),
        }
    }

    /// Why something that was to be written is not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    /// Follows the files as they were read at `read_at` and looks at what is due. What could not be written stays in
    /// `todo`: what one write waits for in vain, the others would too, so there is only one such wait in a turn.
    pub async fn turn(&mut self, catalog: &Catalog, read_at: Instant, todo: &mut Todo) {
        todo.due.extend(self.remember(catalog).await);
        if todo.unsettled {
            let (changed, settled) = self.settle(catalog, read_at).await;
            todo.due.extend(changed);
            todo.unsettled = !settled;
        }
        let mut failed = HashSet::new();
        let began = Instant::now();
        for id in std::mem::take(&mut todo.due) {
            let may_write = !todo.unsettled && failed.is_empty();
            let started = Instant::now();
            self.looks.waited(started.duration_since(began));
            if !self.look(&id, may_write).await {
                failed.insert(id);
            }
            self.looks.took(started.elapsed());
        }
        todo.due = failed;
        if todo.due.is_empty() {
            self.waiting_since = None;
        }
        let oldest = (!todo.due.is_empty()).then(|| *self.waiting_since.get_or_insert_with(Instant::now));
        self.looks.waiting(todo.due.len(), oldest);
        if todo.is_done() {
            self.all_written();
            if catalog.incomplete().is_none() {
                self.open(read_at).await;
            }
        }
    }

    /// Nothing waits to be written any more.
    fn all_written(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the database can be written again");
        }
    }

    /// What is missing and stays until another reading agrees, in one line.
    pub fn doubt(&self) -> Option<String> {
        let count = self.missing.len() + self.forgotten.len();
        (count > 0).then(|| {
            format!(
                "{count} endpoints are not in the manifests any more; they stay until another reading agrees"
            )
        })
    }

    fn failed(&mut self, id: Option<&EndpointId>, what: &str, error: &StoreError) {
        self.looks.failed("store");
        let trouble = format!("{error}; verdicts are kept and written when it is back");
        if self.trouble.replace(trouble).is_none() {
            let endpoint = id.map(tracing::field::display);
            tracing::error!(endpoint, %error, "{what}; trying again");
        }
    }

    /// Makes what is declared here what the catalog declares. Answers what changed, and whether all of it could be
    /// written.
    async fn settle(&mut self, catalog: &Catalog, read_at: Instant) -> (HashSet<EndpointId>, bool) {
        let mut changed = HashSet::new();
        if catalog.incomplete().is_none() {
            self.kept.clear();
        }
        let wanted: BTreeMap<_, _> = self.ours(catalog).collect();
        let missing: BTreeSet<EndpointId> = self
            .declared
            .keys()
            .filter(|id| !wanted.contains_key(id) && !self.kept.contains(id))
            .cloned()
            .collect();
        let new: Vec<(EndpointId, AgentEndpoint)> = wanted
            .into_iter()
            .filter(|(id, object)| self.declared.get(id).is_none_or(|known| known.manifest != **object))
            .map(|(id, object)| (id.clone(), object.clone()))
            .collect();
        let (held, doubts) = (self.declared.len(), self.doubt().is_some());
        let gone = self.missing.believe(held, &missing, read_at, catalog.incomplete().is_none());
        self.tell_doubt(doubts);
        for (id, object) in new {
            if let Err(error) = self.declare(id.clone(), object).await {
                self.failed(Some(&id), "the object could not be stored", &error);
                return (changed, false);
            }
            changed.insert(id);
        }
        for id in gone {
            if let Err(error) = self.store.forget(&id).await {
                self.failed(Some(&id), "the object could not be removed", &error);
                return (changed, false);
            }
            self.missing.settled(&id);
            self.declared.remove(&id);
            self.engine.remove(&id);
            self.view.remove(&id);
            changed.extend(self.mirror.remove(&id));
            tracing::info!("{id} is not declared any more");
        }
        (changed, true)
    }

    fn tell_doubt(&self, before: bool) {
        if let Some(doubt) = self.doubt().filter(|_| !before) {
            tracing::warn!("{doubt}");
        }
    }

    fn ours<'a>(
        &'a self,
        catalog: &'a Catalog,
    ) -> impl Iterator<Item = (&'a EndpointId, &'a AgentEndpoint)> + 'a {
        catalog.endpoints().filter(|(_, object)| object.spec.class_name == self.class)
    }

    /// A file that is bad at the start declared something when it was last good: that stays in force. Once;
    /// answers what it is.
    async fn remember(&mut self, catalog: &Catalog) -> Vec<EndpointId> {
        if self.remembered || catalog.incomplete().is_none() {
            self.remembered = true;
            return Vec::new();
        }
        let rows = match self.store.remembered().await {
            Ok(rows) => rows,
            Err(error) => {
                self.failed(None, "what was declared before could not be read", &error);
                return Vec::new();
            }
        };
        self.remembered = true;
        let wanted: HashSet<EndpointId> = catalog.endpoints().map(|(id, _)| id.clone()).collect();
        let mut known = Vec::new();
        for (id, spec, row) in rows {
            // What another release wrote may not be readable.
            let Ok(spec) = serde_json::from_str::<AgentEndpointSpec>(&spec) else { continue };
            if wanted.contains(&id) || spec.class_name != self.class {
                continue;
            }
            let mut manifest = AgentEndpoint::new(&id.name, spec);
            manifest.metadata.namespace = Some(id.namespace.clone());
            tracing::warn!("{id} stays as it was declared before: not every manifest can be used");
            self.know(id.clone(), manifest, row);
            self.kept.insert(id.clone());
            known.push(id);
        }
        known
    }

    async fn declare(&mut self, id: EndpointId, manifest: AgentEndpoint) -> Result<(), StoreError> {
        let spec = serde_json::to_string(&manifest.spec).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
        let row = self.store.declare(&id, &spec, now()).await?;
        self.know(id, manifest, row);
        Ok(())
    }

    fn know(&mut self, id: EndpointId, manifest: AgentEndpoint, row: Row) {
        let mut object = manifest.clone();
        object.metadata.uid = Some(row.uid);
        object.metadata.generation = Some(row.generation);
        object.metadata.creation_timestamp = Some(Time(row.created));
        let known = Declared { manifest, object, status: row.status };
        show(&self.view, &known);
        self.declared.insert(id, known);
    }

    /// Everything that is declared is known and has been looked at: the registry and the database may forget the rest.
    async fn open(&mut self, read_at: Instant) {
        if self.opened {
            return;
        }
        match self.tidy(read_at).await {
            Ok(true) => {
                self.mirror.open();
                self.opened = true;
            }
            Ok(false) => {}
            Err(error) => self.failed(None, "the database could not be tidied", &error),
        }
    }

    /// Forgets what the files do not declare. False: not yet all of it.
    async fn tidy(&mut self, read_at: Instant) -> Result<bool, StoreError> {
        let known = self.store.known().await?;
        let missing: BTreeSet<EndpointId> =
            known.iter().filter(|id| !self.declared.contains_key(id)).cloned().collect();
        let doubts = self.doubt().is_some();
        let gone = self.forgotten.believe(known.len(), &missing, read_at, true);
        self.tell_doubt(doubts);
        for id in &gone {
            self.store.forget(id).await?;
            self.forgotten.settled(id);
        }
        Ok(gone.len() == missing.len())
    }

    /// One look at one endpoint: the same steps as in a cluster. False: a status waits to be written; it could not be, or
    /// may not be in this turn.
    async fn look(&mut self, id: &EndpointId, may_write: bool) -> bool {
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
        if !may_write {
            return false;
        }
        match self.store.write(id, &plan.status).await {
            Ok(()) => {
                self.looks.wrote("ok");
                plan.notices.iter().for_each(|notice| tell(&endpoint, notice));
                known.status = Some(plan.status);
                show(&self.view, known);
                true
            }
            Err(error) => {
                self.looks.wrote("error");
                self.failed(Some(id), "the status could not be written", &error);
                false
            }
        }
    }
}

/// What a cluster would hear as an Event.
fn tell(endpoint: &Endpoint, notice: &Notice) {
    let (kind, reason) = (crate::api::KIND, notice.reason);
    let EndpointId { namespace, name } = &endpoint.id;
    if notice.warning {
        tracing::warn!(kind, namespace, name, reason, "{} {reason}: {}", endpoint.id, notice.note);
    } else {
        tracing::info!(kind, namespace, name, reason, "{} {reason}: {}", endpoint.id, notice.note);
    }
}

/// Shows an object with its status, as `kubectl get` would.
fn show(view: &View, known: &Declared) {
    let status = known.status.as_ref().map(to_object);
    let object = AgentEndpoint { status, ..known.object.clone() };
    view.put(Arc::new(DeserializeGuard(Ok(object))));
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
