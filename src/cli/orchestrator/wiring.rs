//! What both modes are made of: resolver, policy, engine, mirror, and the port with health and metrics.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt as _;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Chosen;
use super::args::{AgentIdPolicy, StartArgs, all};
use super::shown::system;
use crate::api::convert::{AgentIds, Naming, Rules};
use crate::cli::{CliError, Code};
use crate::dashboard;
use crate::domain::TargetPolicy;
use crate::domain::defaults::ProbeDefaults;
use crate::domain::policy::Profile;
use crate::engine::{Counters, Engine, Limits};
use crate::mirror::Mirror;
use crate::ops::metrics::Number;
use crate::ops::now;
use crate::ops::server::{self, Shown};
use crate::probe::{Prober, Resolver, ResolverSettings, SharedPolicy, Tls};
use crate::registry_client::{Client, ClientSettings};
use crate::vault::Vault;
use crate::view::{Fetch, Records, View};

/// Addresses of our own are looked up again this often.
const OWN_EVERY: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub struct Wiring {
    pub engine: Engine,
    pub mirror: Mirror,
    pub shown: Shown,
    pub view: View,
    pub vault: Vault,
    pages: (dashboard::Shown, dashboard::Settings),
    resolver: Resolver,
    policy: SharedPolicy,
    base: TargetPolicy,
    /// Hosts and ports of our own: the API server and the registry.
    peers: Vec<(String, u16)>,
    listens: (IpAddr, u16),
    /// The last addresses of each peer.
    peer_addresses: Arc<Mutex<HashMap<String, Vec<IpAddr>>>>,
}

impl Wiring {
    pub fn new(args: &StartArgs, mode: &Chosen) -> Result<Wiring, CliError> {
        let profile = match mode {
            Chosen::Cluster(_) => Profile::Cluster,
            Chosen::Directory => Profile::Standalone,
        };
        let client = client(args)?;
        let mut peers: Vec<(String, u16)> = client.iter().filter_map(Client::peer).collect();
        if let Chosen::Cluster(cluster) = mode {
            peers.push(cluster.server.clone());
        }
        let settings =
            ResolverSettings { servers: all(&args.dns_server), hosts_file: profile == Profile::Standalone };
        let resolver = Resolver::new(&settings).map_err(|cause| {
            CliError::new(Code::Failed, "cannot set up the DNS resolver")
                .cause(cause)
                .hint("name a server with --dns-server IP:53")
        })?;
        let base = TargetPolicy::new(profile, all(&args.allow_targets), all(&args.deny_targets));
        let policy: SharedPolicy = Arc::new(RwLock::new(Arc::new(base.clone())));
        let vault = Vault::default();
        let tls = Tls::new(vault.clone(), now);
        let prober = Prober::new(resolver.clone(), Arc::clone(&policy), tls);
        let limits = Limits {
            in_flight: args.max_in_flight as usize,
            per_host: args.max_in_flight_per_host as usize,
            ..Limits::default()
        };
        let engine = Engine::new(Arc::new(prober), limits);
        let shown = Shown { health: crate::ops::health::Health::default(), metrics: Arc::default() };
        let records = Records::new(client.clone().map(fetch), now);
        let mirror = Mirror::new(client);
        shown.metrics.add(numbers(&engine, &mirror));
        let view = View::new(now);
        let system = system(args, mode, &engine, &mirror, &view, &shown);
        let settings = dashboard::Settings {
            base_path: args.base_path.clone(),
            listen: args.host,
            allowed_hosts: all(&args.allowed_hosts),
            ..dashboard::Settings::default()
        };
        let pages = (dashboard::Shown { view: view.clone(), system, records }, settings);
        Ok(Wiring {
            engine,
            mirror,
            shown,
            view,
            vault,
            pages,
            resolver,
            policy,
            base,
            peers,
            listens: (args.host, args.port),
            peer_addresses: Arc::default(),
        })
    }

    /// Serves health, metrics, pages and their JSON.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let (shown, settings) = self.pages;
        let records = shown.records.clone();
        let serving = server::serve(listener, self.shown, dashboard::router(shown, settings), stop.clone());
        tokio::join!(serving, keep_read(records, stop));
    }

    /// The operator's part, as it is at the moment of each call.
    pub fn rules(&self, args: &StartArgs, cluster: bool) -> Box<dyn Fn() -> Rules + Send + Sync> {
        let seconds = |n: u32| Duration::from_secs(u64::from(n));
        let defaults = ProbeDefaults {
            period: seconds(args.default_period_seconds),
            timeout: seconds(args.default_timeout_seconds),
            failure_threshold: args.default_failure_threshold,
            success_threshold: args.default_success_threshold,
            latency_threshold: Duration::from_millis(u64::from(args.default_latency_threshold_milliseconds)),
            path: args.default_path.clone(),
            min_period: seconds(args.min_period_seconds),
            certificate_expiry: Duration::from_hours(24 * u64::from(args.certificate_expiry_days)),
        };
        let naming = if cluster { Naming::Cluster(args.cluster_domain.clone()) } else { Naming::System };
        let agent_ids = match args.agent_ids {
            AgentIdPolicy::Namespace if cluster => AgentIds::Namespace,
            _ => AgentIds::Any,
        };
        let policy = Arc::clone(&self.policy);
        Box::new(move || Rules {
            defaults: defaults.clone(),
            policy: Arc::clone(&policy.read().unwrap_or_else(PoisonError::into_inner)),
            naming: naming.clone(),
            agent_ids,
        })
    }

    /// Puts our own addresses into the policy: they are never probed.
    pub async fn refresh_own_addresses(&self) {
        let mut own: Vec<(IpNet, u16)> = Vec::new();
        for (host, port) in &self.peers {
            for ip in self.addresses_of(host, *port).await {
                own.push((IpNet::from(ip), *port));
            }
        }
        let (host, port) = self.listens;
        if host.is_unspecified() {
            own.extend(loopback().map(|ip| (IpNet::from(ip), port)));
            let pod = std::env::var("POD_IP").ok().and_then(|ip| ip.parse::<IpAddr>().ok());
            own.extend(pod.map(|ip| (IpNet::from(ip), port)));
        } else {
            own.push((IpNet::from(host), port));
        }
        let policy = Arc::new(self.base.clone().with_own(own));
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// The addresses of one of our peers: as the probes' resolver and as the system's own sees it
    /// (which has a search list, and is what our clients use). No answer leaves the last one in force.
    async fn addresses_of(&self, host: &str, port: u16) -> Vec<IpAddr> {
        let host = host.trim_matches(['[', ']']);
        if let Ok(ip) = host.parse() {
            return vec![ip];
        }
        let five = Duration::from_secs(5);
        let mut found =
            tokio::time::timeout(five, self.resolver.own_addresses(host)).await.unwrap_or_default();
        if let Ok(Ok(system)) = tokio::time::timeout(five, tokio::net::lookup_host((host, port))).await {
            found.extend(system.map(|address| address.ip()));
        }
        if host == "localhost" {
            found.extend(loopback());
        }
        let mut last = self.peer_addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.entry(host.to_owned()).or_default();
        if !found.is_empty() {
            *last = found;
        }
        last.clone()
    }

    /// Keeps them up to date; a cluster's Service may move.
    pub async fn keep_own_addresses(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                // Whoever waits for us is ended by the same token.
                () = stop.cancelled() => std::future::pending().await,
                () = tokio::time::sleep(OWN_EVERY) => {}
            }
            self.refresh_own_addresses().await;
        }
    }
}

fn loopback() -> [IpAddr; 2] {
    [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]
}

/// A client of the registry; `None` without one.
pub fn client(args: &StartArgs) -> Result<Option<Client>, CliError> {
    if args.registry_url == "none" {
        return Ok(None);
    }
    let settings = ClientSettings {
        url: args.registry_url.clone(),
        scope: args.scope.clone(),
        token_file: args.registry_token_file.clone(),
    };
    Client::new(&settings).map(Some).map_err(|e| {
        CliError::new(Code::Usage, "invalid --registry-url")
            .cause(e.to_string())
            .hint("use http://HOST:8000, or none")
    })
}

/// The registry's records are read this often though nobody looks, so that there is something to show
/// when it is gone.
const RECORDS_EVERY: Duration = Duration::from_mins(1);
/// The first time, when what was found first has been mirrored.
const RECORDS_FIRST: Duration = Duration::from_secs(5);

async fn keep_read(records: Records, stop: CancellationToken) {
    let mut pause = RECORDS_FIRST;
    while records.configured() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        records.read().await;
        pause = RECORDS_EVERY;
    }
}

/// Records that are read for the pages; of more the first are shown, and that there are more.
const MAX_RECORDS: usize = 20_000;

fn fetch(client: Client) -> Fetch {
    Arc::new(move || {
        let client = client.clone();
        async move { client.records(MAX_RECORDS).await.map_err(|error| error.to_string()) }.boxed()
    })
}

fn numbers(engine: &Engine, mirror: &Mirror) -> Vec<Number> {
    type Get = fn(&Counters) -> &AtomicU64;
    let counters: [(&'static str, &'static str, Get); 6] = [
        ("probes_started", "Probes begun", |c| &c.started),
        ("probes_finished", "Probes that ended by themselves", |c| &c.finished),
        ("probe_slots_missed", "Slots in which no probe could start", |c| &c.missed_slots),
        ("probes_outdated", "Outcomes that came after their target was edited or removed", |c| &c.outdated),
        ("probes_not_asked", "Probes that our side could not make", |c| &c.not_asked),
        ("probe_panics", "Probes that panicked (a bug)", |c| &c.panics),
    ];
    let mut numbers: Vec<Number> = counters
        .into_iter()
        .map(|(name, help, get)| {
            let engine = engine.clone();
            let read = Box::new(move || get(engine.counters()).load(Ordering::Relaxed));
            Number { name, help, counter: true, read }
        })
        .collect();
    let (targets, flying) = (engine.clone(), engine.clone());
    let gauge =
        |name, help, read: Box<dyn Fn() -> u64 + Send + Sync>| Number { name, help, counter: false, read };
    numbers.push(gauge("targets", "Targets that are probed", Box::new(move || targets.load().0 as u64)));
    numbers.push(gauge("probes_in_flight", "Probes in flight", Box::new(move || flying.load().1 as u64)));
    let mirror = mirror.clone();
    let reachable =
        Box::new(move || u64::from(mirror.link().is_some_and(|link| link.reachable == Some(true))));
    numbers.push(gauge("registry_reachable", "Whether the registry answered the last call", reachable));
    numbers
}
