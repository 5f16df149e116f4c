//! What both modes are made of: resolver, policy, engine, mirror, and the port with health and metrics.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt as _;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Chosen;
use super::args::{AgentIdPolicy, StartArgs, all};
use super::measured::{self, Instruments};
use super::shown::system;
use crate::api::convert::{AgentIds, Naming, Rules};
use crate::cli::{CliError, Code};
use crate::dashboard;
use crate::domain::TargetPolicy;
use crate::domain::defaults::ProbeDefaults;
use crate::domain::policy::Profile;
use crate::engine::{Engine, Limits};
use crate::mirror::Mirror;
use crate::ops::now;
use crate::ops::server::{self, Shown};
use crate::probe::{Prober, Resolver, ResolverSettings, SharedPolicy};
use crate::registry_client::{Client, ClientSettings};
use crate::view::system::Role;
use crate::view::{Fetch, Records, View};

/// Addresses of our own are looked up again this often.
const OWN_EVERY: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub struct Wiring {
    pub engine: Engine,
    pub mirror: Mirror,
    pub shown: Shown,
    pub view: View,
    pub instruments: Instruments,
    pages: (dashboard::Shown, dashboard::Settings),
    resolver: Resolver,
    policy: SharedPolicy,
    base: TargetPolicy,
    /// Hosts and ports of our own: the API server and the registry.
    peers: Vec<(String, u16)>,
    /// Where this process listens.
    listens: Vec<(IpAddr, u16)>,
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
        let prober = Prober::new(resolver.clone(), Arc::clone(&policy));
        let limits = Limits {
            in_flight: args.max_in_flight as usize,
            per_host: args.max_in_flight_per_host as usize,
            ..Limits::default()
        };
        let engine = Engine::new(Arc::new(prober), limits);
        let (shown, instruments) = (Shown::default(), Instruments::default());
        let records = Records::new(client.clone().map(fetch), now);
        let mirror = Mirror::new(client);
        let view = View::new(now);
        measured::show(&shown, &engine, &mirror, &view, args.metrics_per_endpoint);
        let api = match mode {
            Chosen::Cluster(cluster) => {
                // Nobody is active before the Lease says so.
                view.stand(Role::Standby, None);
                Some(&cluster.calls)
            }
            Chosen::Directory => None,
        };
        instruments.show(&shown.metrics, api);
        let system = system(args, mode, &engine, &mirror, &view, &shown);
        let settings = dashboard::Settings {
            base_path: args.base_path.clone(),
            listen: args.host,
            allowed_hosts: all(&args.allowed_hosts),
            ..dashboard::Settings::default()
        };
        let followers = instruments.followers.clone();
        let pages = (dashboard::Shown { view: view.clone(), system, records, followers }, settings);
        Ok(Wiring {
            engine,
            mirror,
            shown,
            view,
            instruments,
            pages,
            resolver,
            policy,
            base,
            peers,
            listens: std::iter::once((args.host, args.port))
                .chain(args.ops_listen.map(|ops| (ops.ip(), ops.port())))
                .collect(),
            peer_addresses: Arc::default(),
        })
    }

    /// Serves pages and their JSON, and health and metrics beside them or on `ops`.
    pub async fn serve(self, listener: TcpListener, ops: Option<TcpListener>, stop: CancellationToken) {
        let (shown, settings) = self.pages;
        let records = shown.records.clone();
        let pages = dashboard::router(shown, settings);
        let calls = Some(self.instruments.calls);
        let serving = async {
            if let Some(ops) = ops {
                tokio::join!(
                    server::serve(listener, pages, calls, stop.clone()),
                    server::serve(ops, server::operations(self.shown), None, stop.clone())
                );
            } else {
                let both = server::router(self.shown).merge(pages);
                server::serve(listener, both, calls, stop.clone()).await;
            }
        };
        tokio::join!(serving, keep_read(records, stop.clone()));
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
        for (host, port) in self.listens.iter().copied() {
            if host.is_unspecified() {
                own.extend(loopback().map(|ip| (IpNet::from(ip), port)));
                let pod = std::env::var("POD_IP").ok().and_then(|ip| ip.parse::<IpAddr>().ok());
                own.extend(pod.map(|ip| (IpNet::from(ip), port)));
            } else {
                own.push((IpNet::from(host), port));
            }
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
