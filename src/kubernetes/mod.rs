//! Cluster mode: objects come from watches, status goes back by server-side apply, one replica of
//! several is active.
//!
//! ```text
//! watch → cache ─┐                    ┌→ status (server-side apply, only if different)
//!                ├→ queue → look ─────┼→ Events (transitions only)
//! engine, mirror ┘   (hints)          └→ mirror → registry
//! ```

mod effects;
mod error;
mod lease;
mod queue;
mod reconcile;
mod watch;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::api::PartialObjectMeta;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, Store};
use kube::{Api, Client, Config};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::convert::Rules;
use crate::api::v1alpha1::AgentEndpoint;
use crate::domain::EndpointId;
use crate::engine::{Changes, Engine};
use crate::mirror::{Mirror, OrchestratorIdentity, Source, Surroundings};
use crate::ops::health::Health;
use crate::ops::metrics::{Metrics, Number};

use effects::Publisher;
pub use error::{Error, Problem};
use lease::Election;
pub use lease::LeaseSettings;
use reconcile::{Context, Guarded};
use watch::{Observer, Scope, compare, follow, id_of, list_versions};

/// For one call to the API server.
const CALL: Duration = Duration::from_secs(10);
/// Deletes that a watch missed are looked for this often.
const RETAIN_EVERY: Duration = Duration::from_secs(30);

/// What was counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Looks at an endpoint.
    pub reconciles: AtomicU64,
    /// Statuses written.
    pub status_writes: AtomicU64,
    /// Writes that met a newer version.
    pub conflicts: AtomicU64,
    /// Writes that failed otherwise.
    pub write_errors: AtomicU64,
}

/// Where the cluster is.
#[derive(Clone, Debug, Default)]
pub struct ClusterSettings {
    /// `--kubeconfig`; otherwise `KUBECONFIG`, `~/.kube/config`, or the pod's own credentials.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
}

/// How cluster mode runs.
pub struct Settings {
    /// Namespaces to watch; none means all.
    pub watch_namespaces: Vec<String>,
    /// `--class`.
    pub class: String,
    /// The operator's part, read at each look.
    pub rules: Box<dyn Fn() -> Rules + Send + Sync>,
    /// The Lease of this installation and class.
    pub lease: LeaseSettings,
    /// How the orchestrator shows itself in the registry (the id is filled in from the Lease).
    pub identity: OrchestratorIdentity,
}

/// A connection to a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// Host and port of the API server, for the target policy.
    pub server: (String, u16),
    /// The namespace of the kubeconfig's context, or of the pod.
    pub namespace: String,
}

/// Reads the configuration. Makes no call.
pub async fn connect(settings: &ClusterSettings) -> Result<Cluster, Error> {
    let bad = |cause: String| Error::Kubeconfig { cause };
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match &settings.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|e| bad(chain(&e)))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| bad(chain(&e)))?
        }
        None => match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            // A kubeconfig that is there and cannot be used is an error, not a reason to look elsewhere.
            Err(error) if std::env::var_os("KUBECONFIG").is_some() => return Err(bad(chain(&error))),
            Err(error) => Config::incluster()
                .map_err(|e| Error::NoCluster { cause: format!("{}; {}", chain(&error), chain(&e)) })?,
        },
    };
    // Watches have their own idle limit; everything else has our own deadline as well.
    config.connect_timeout = Some(Duration::from_secs(5));
    let uri = config.cluster_url.clone();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let server = (uri.host().unwrap_or_default().to_owned(), port);
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|e| bad(chain(&e)))?;
    Ok(Cluster { client, server, namespace })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Hints from the watch of endpoints.
struct Endpoints {
    changes: Changes,
    engine: Engine,
    listed: Arc<tokio::sync::Notify>,
}

impl Observer<Guarded> for Endpoints {
    fn present(&self, id: EndpointId) {
        self.changes.push(id);
    }

    fn absent(&self, id: EndpointId) {
        // Probing stops at once; the look that follows cleans up the rest.
        self.engine.remove(&id);
        self.changes.push(id);
    }

    fn listed(&self, all: Vec<EndpointId>) {
        all.into_iter().for_each(|id| self.changes.push(id));
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

/// Runs until `shutdown` (clean: `Ok`) or until going on would be wrong.
pub async fn run(
    cluster: Cluster,
    settings: Settings,
    engine: Engine,
    mirror: Mirror,
    health: Health,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let client = cluster.client.clone();
    let changes = engine.changes();
    let tasks = TaskTracker::new();
    let (fatal, mut died) = tokio::sync::mpsc::channel::<String>(8);
    let watching = CancellationToken::new();
    let caches = Caches::start(&client, &settings, &changes, &engine, &health, &tasks, &fatal, &watching);

    // A standby is as ready as the active replica: otherwise a rolling update would wait for ever.
    let mut election = Election::new(client.clone(), settings.lease.clone());
    let mut told = String::new();
    let acquired = election.acquire(&shutdown, |report| {
        let text = match report {
            Ok(holder) => format!("waiting: {} holds the Lease", holder.unwrap_or("nobody")),
            Err(problem) => problem.to_string(),
        };
        if text != told {
            tracing::info!(lease = %settings.lease.name, "{text}");
            told = text;
        }
    });
    let held = tokio::select! {
        held = acquired => held,
        cause = died.recv() => return Err(Error::WatchDead { cause: cause.unwrap_or_default() }),
    };
    let Some(held) = held else {
        watching.cancel();
        return Ok(());
    };
    tracing::info!(lease = %settings.lease.name, epoch = held.epoch, "this replica is active");

    let active = CancellationToken::new();
    let reporter = Reporter {
        controller: crate::api::FIELD_MANAGER.to_owned(),
        instance: Some(settings.lease.identity.clone()),
    };
    let (publisher, publishing) = Publisher::new(Recorder::new(client.clone(), reporter), active.clone());
    let context = Arc::new(Context {
        client: client.clone(),
        endpoints: caches.endpoints.clone(),
        services: caches.services.clone(),
        class: settings.class,
        rules: settings.rules,
        engine: engine.clone(),
        mirror: mirror.clone(),
        changes: changes.clone(),
        publisher,
        held: held.clone(),
        written: Mutex::new(HashMap::new()),
        unseen: Mutex::new(None),
        counters: Counters::default(),
    });
    metrics.add(numbers(&context));
    let activity = TaskTracker::new();
    activity.spawn(publishing);
    activity.spawn(activate(
        Arc::clone(&context),
        caches.clone(),
        settings.identity,
        active.clone(),
        activity.clone(),
    ));

    let keeping = election.keep(&held, shutdown.clone());
    let outcome = tokio::select! {
        kept = keeping => if kept { Ok(()) } else { Err(Error::LeaseLost) },
        cause = died.recv() => Err(Error::WatchDead { cause: cause.unwrap_or_default() }),
    };
    // In this order: no new work, the mirror's last words, then the Lease, so that nothing of ours
    // comes after a successor's first write.
    active.cancel();
    activity.close();
    tokio::time::timeout(Duration::from_secs(6), activity.wait()).await.ok();
    if outcome.is_ok() {
        election.release(&held).await;
    }
    watching.cancel();
    tasks.close();
    tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await.ok();
    outcome
}

#[derive(Clone)]
struct Caches {
    endpoints: Vec<Store<Guarded>>,
    services: Vec<Store<Service>>,
    scopes: Vec<Scope>,
    listed: Arc<tokio::sync::Notify>,
}

impl Caches {
    #[allow(
        clippy::too_many_arguments,
        reason = "called once; a struct would only name the same eight things"
    )]
    fn start(
        client: &Client,
        settings: &Settings,
        changes: &Changes,
        engine: &Engine,
        health: &Health,
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
            };
            let followed = follow(
                scope.api(client),
                writer,
                store.clone(),
                crate::api::PLURAL,
                observer,
                health.clone(),
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
            let followed =
                follow(scope.api(client), writer, store, "services", observer, health.clone(), stop.clone());
            tasks.spawn(report(followed, fatal.clone()));
        }
        caches
    }

    /// Waits until every cache holds a complete list.
    async fn ready(&self) {
        for store in &self.endpoints {
            // An error means that the writer is gone: then the process is ending.
            store.wait_until_ready().await.ok();
        }
        for store in &self.services {
            store.wait_until_ready().await.ok();
        }
    }

    fn ids(&self) -> HashSet<EndpointId> {
        self.endpoints.iter().flat_map(Store::state).map(|object| id_of(&*object)).collect()
    }

    /// A live list of what exists, in all scopes.
    async fn list(&self, client: &Client) -> Option<HashSet<EndpointId>> {
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

/// The active replica's work.
async fn activate(
    context: Arc<Context>,
    caches: Caches,
    mut identity: OrchestratorIdentity,
    active: CancellationToken,
    tracker: TaskTracker,
) {
    tokio::select! {
        () = active.cancelled() => return,
        () = caches.ready() => {}
    }
    let ids = caches.ids();
    let first = ids.clone();
    ids.iter().for_each(|id| context.arm(id));
    if ids.is_empty() {
        context.mirror.open();
    } else {
        *context.unseen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(first);
    }
    ids.into_iter().for_each(|id| context.changes.push(id));

    let engine = context.engine.clone();
    let stop = active.clone();
    tracker.spawn(async move { engine.run(stop).await });
    let looking = Arc::clone(&context);
    tracker.spawn(queue::work(
        context.changes.clone(),
        move |id| Arc::clone(&looking).look(id),
        active.clone(),
    ));
    tracker.spawn(retain(Arc::clone(&context), caches.clone(), active.clone()));

    identity.orchestrator_id.clone_from(&context.held.uid);
    let source = Source { id: context.held.uid.clone(), epoch: context.held.epoch };
    let (client, changes, held) = (context.client.clone(), context.changes.clone(), context.held.clone());
    let listing = Arc::clone(&context);
    let surroundings = Surroundings {
        relist: Arc::new(move || {
            let (caches, client, listing) = (caches.clone(), client.clone(), Arc::clone(&listing));
            async move {
                let listed = caches.list(&client).await?;
                // Only those that we mirror count.
                let known = listing.mirror.known();
                Some(if listed.is_superset(&known) { known } else { listed })
            }
            .boxed()
        }),
        hint: Arc::new(move |id| changes.push(id)),
        may_write: Arc::new(move || held.is_certain()),
    };
    context.mirror.run(source, identity, surroundings, active).await;
}

/// Has what the caches do not hold any more looked at (deletes that a watch missed).
async fn retain(context: Arc<Context>, caches: Caches, active: CancellationToken) {
    loop {
        tokio::select! {
            () = active.cancelled() => return,
            () = tokio::time::sleep(RETAIN_EVERY) => {}
            () = caches.listed.notified() => {}
        }
        let cached = caches.ids();
        let known = context.mirror.known().into_iter().chain(context.engine.known());
        known.filter(|id| !cached.contains(id)).for_each(|id| context.changes.push(id));
    }
}

fn numbers(context: &Arc<Context>) -> Vec<Number> {
    use std::sync::atomic::Ordering::Relaxed;
    type Get = fn(&Counters) -> &AtomicU64;
    let counters: [(&'static str, &'static str, Get); 4] = [
        ("reconciles", "Looks at an endpoint", |c| &c.reconciles),
        ("status_writes", "Statuses written", |c| &c.status_writes),
        ("status_conflicts", "Status writes that met a newer version of the object", |c| &c.conflicts),
        ("status_write_errors", "Status writes that failed", |c| &c.write_errors),
    ];
    let mut numbers: Vec<Number> = counters
        .into_iter()
        .map(|(name, help, get)| {
            let context = Arc::clone(context);
            Number { name, help, counter: true, read: Box::new(move || get(&context.counters).load(Relaxed)) }
        })
        .collect();
    let dropped = Arc::clone(context);
    let read = Box::new(move || dropped.publisher.dropped.load(Relaxed));
    numbers.push(Number {
        name: "events_dropped",
        help: "Events that found no room in the queue",
        counter: true,
        read,
    });
    numbers
}
