//! Standalone mode: objects come from a directory of manifests, status goes to SQLite, notices to
//! the log. Everything in between is the same engine, the same `plan`, the same mirror.

pub mod manifests;
pub mod store;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::DeserializeGuard;
use tokio_util::sync::CancellationToken;

use crate::api::convert::{Facts, Rules, ServiceFacts, endpoint, to_object};
use crate::api::v1alpha1::AgentEndpoint;
use crate::domain::{Endpoint, EndpointId, Status, plan};
use crate::engine::Engine;
use crate::mirror::{Mirror, Surroundings};
use crate::ops::health::{Check, Health};
use crate::ops::now;
use crate::registry_client::OrchestratorIdentity;
use crate::view::View;
use store::{Store, StoreError};

/// Why standalone mode cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be read.
    #[error("cannot read the manifests in {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How standalone mode runs.
pub struct Settings {
    /// Where the manifests are.
    pub manifests: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// `--class`: the others are left alone.
    pub class: String,
    /// The operator's part, read at each look.
    pub rules: Box<dyn Fn() -> Rules + Send + Sync>,
    /// How the orchestrator shows itself in the registry (the id is filled in from the database).
    pub identity: OrchestratorIdentity,
    /// Where objects are shown.
    pub view: View,
}

/// What was read, and what is known of it.
struct Declared {
    object: AgentEndpoint,
    status: Option<Status>,
}

/// Reads the manifests once and probes what they declare until `shutdown`. Bad manifests are
/// logged; the others work.
pub async fn run(
    settings: Settings,
    engine: Engine,
    mirror: Mirror,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let unreadable = |source| Error::Directory { path: settings.manifests.clone(), source };
    let mut read = manifests::read(&settings.manifests).map_err(unreadable)?;
    read.endpoints.retain(|_, object| object.spec.class_name == settings.class);
    let store = Store::open(&settings.database).await?;
    let source = store.begin().await?;
    for error in &read.errors {
        tracing::error!(error = %error, "a manifest cannot be used");
    }
    tracing::info!(
        endpoints = read.endpoints.len(), files = read.files, manifests = %settings.manifests.display(),
        database = %settings.database.display(), "standalone mode"
    );
    let names: HashSet<EndpointId> = read.endpoints.keys().cloned().collect();
    // A file that cannot be read is no word that its endpoints are gone.
    let complete = read.errors.is_empty();
    if complete {
        store.keep_only(&names).await?;
    }
    let mut declared = declare(&store, read.endpoints).await?;
    declared.values().for_each(|known| show(&settings.view, known));
    health.set("started", Check::Ok);
    health.set(
        "manifests",
        if read.errors.is_empty() {
            Check::Ok
        } else {
            Check::NotReady(format!("{} of the manifests cannot be used; see the log", read.errors.len()))
        },
    );

    let changes = engine.changes();
    let hints = changes.clone();
    let (directory, class) = (settings.manifests.clone(), settings.class.clone());
    let surroundings = Surroundings {
        relist: Arc::new(move || {
            let (directory, class) = (directory.clone(), class.clone());
            async move {
                let read =
                    tokio::task::spawn_blocking(move || manifests::read(&directory)).await.ok()?.ok()?;
                let ours = read.endpoints.into_iter().filter(|(_, object)| object.spec.class_name == class);
                read.errors.is_empty().then(|| ours.map(|(id, _)| id).collect())
            }
            .boxed()
        }),
        hint: Arc::new(move |id| hints.push(id)),
        may_write: Arc::new(|| true),
    };
    let identity = OrchestratorIdentity { orchestrator_id: source.id.clone(), ..settings.identity };
    let mirroring = mirror.run(source, identity, surroundings, shutdown.clone());
    let probing = engine.run(shutdown.clone());
    let looking = async {
        let mut due: HashSet<EndpointId> = declared.keys().cloned().collect();
        let mut opened = false;
        loop {
            let mut failed = HashSet::new();
            for id in due {
                if !look(&id, &mut declared, &settings.rules, &engine, &mirror, &store, &settings.view).await
                {
                    failed.insert(id);
                }
            }
            if complete && !std::mem::replace(&mut opened, true) {
                mirror.open();
            }
            due = tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(RETRY), if !failed.is_empty() => HashSet::new(),
                ids = changes.take() => ids,
            };
            due.extend(failed);
        }
    };
    tokio::join!(mirroring, probing, looking);
    store.close().await;
    Ok(())
}

async fn declare(
    store: &Store,
    endpoints: BTreeMap<EndpointId, AgentEndpoint>,
) -> Result<BTreeMap<EndpointId, Declared>, StoreError> {
    let mut declared = BTreeMap::new();
    for (id, mut object) in endpoints {
        let spec = serde_json::to_string(&object.spec).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
        let row = store.declare(&id, &spec, now()).await?;
        object.metadata.uid = Some(row.uid);
        object.metadata.generation = Some(row.generation);
        object.metadata.creation_timestamp = Some(Time(row.created));
        declared.insert(id, Declared { object, status: row.status });
    }
    Ok(declared)
}

/// Shows an object with its status, as `kubectl get` would.
fn show(view: &View, known: &Declared) {
    let status = known.status.as_ref().map(to_object);
    let object = AgentEndpoint { status, ..known.object.clone() };
    view.put(Arc::new(DeserializeGuard(Ok(object))));
}

/// A status that could not be written is tried again this soon.
const RETRY: Duration = Duration::from_secs(5);

/// One look at one endpoint: the same steps as in a cluster. False: the status could not be written.
async fn look(
    id: &EndpointId,
    declared: &mut BTreeMap<EndpointId, Declared>,
    rules: &(dyn Fn() -> Rules + Send + Sync),
    engine: &Engine,
    mirror: &Mirror,
    store: &Store,
    view: &View,
) -> bool {
    let Some(known) = declared.get_mut(id) else { return true };
    let facts = Facts { service: ServiceFacts::NoCluster, allowed_agent_ids: Vec::new() };
    let endpoint: Endpoint = endpoint(&known.object, &rules(), &facts);
    let restored = known.status.as_ref().filter(|s| s.observed_generation == endpoint.generation);
    engine.upsert(&endpoint, |address| restored.and_then(|s| s.restore(address)));
    let states = engine.states(&endpoint);
    let plan = plan(&endpoint, &states, &mirror.state(&endpoint), known.status.as_ref(), now());
    let touched = mirror.put(&endpoint, plan.mirror);
    touched.into_iter().for_each(|id| engine.changes().push(id));
    if !plan.write {
        return true;
    }
    match store.write(id, &plan.status).await {
        Ok(()) => {
            for notice in &plan.notices {
                if notice.warning {
                    tracing::warn!("{id} {}: {}", notice.reason, notice.note);
                } else {
                    tracing::info!("{id} {}: {}", notice.reason, notice.note);
                }
            }
            known.status = Some(plan.status);
            show(view, known);
            true
        }
        Err(error) => {
            tracing::error!(endpoint = %id, error = %error, "the status could not be written; trying again");
            false
        }
    }
}
