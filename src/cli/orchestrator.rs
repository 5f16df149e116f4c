//! `orchestrator start`: flags to settings, then one of the two modes. What is asked of one that
//! runs is in modules of its own.

mod args;
mod greeting;
mod measured;
mod shown;
mod status;
mod wiring;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Subcommand;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use args::Mode;
pub use args::StartArgs;
use wiring::Wiring;

use super::output::{Screen, note};
use super::{CliError, Code, bind_error, bind_ops, registry::DiscoverArgs, registry::explain, sample_agent};
use crate::kubernetes::{self, Cluster, ClusterSettings, LeaseSettings};
use crate::ops::health::{Check, Health};
use crate::ops::shutdown;
use crate::registry::{self, Access, DatabaseUrl};
use crate::registry_client::OrchestratorIdentity;
use crate::standalone;

/// What can be typed after `orchestrator`.
#[derive(Debug, Subcommand)]
pub enum OrchestratorCommand {
    /// Starts the orchestrator in the foreground, in a cluster or over a directory of manifests.
    Start(Box<StartArgs>),
    /// Shows what a running orchestrator knows: the same words and counts as its status objects.
    Status(Box<status::StatusArgs>),
    /// Finds agents in the registry.
    Discover(Box<DiscoverArgs>),
}

/// Runs one that asks something and ends.
pub async fn ask(command: OrchestratorCommand, screen: Screen) -> Result<(), CliError> {
    match command {
        OrchestratorCommand::Start(args) => start(*args).await,
        OrchestratorCommand::Status(args) => status::run(*args, screen).await,
        OrchestratorCommand::Discover(args) => super::registry::discover(*args, screen).await,
    }
}

pub async fn start(args: StartArgs) -> Result<(), CliError> {
    args.log.start()?;
    let stop = shutdown::on_signals()
        .map_err(|e| CliError::new(Code::Internal, "cannot listen for signals").cause(e.to_string()))?;
    // Whatever cannot work is told before anything is started.
    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).await.map_err(|e| bind_error(address, "--port", &e))?;
    let mode = choose(&args).await?;
    let greeting = args.log.for_people().then(|| greeting::text(&args, &mode));
    run_in(mode, args, listener, stop, greeting).await
}

/// Runs over a directory until `stop`, serving on `listener`.
pub async fn run(args: StartArgs, listener: TcpListener, stop: CancellationToken) -> Result<(), CliError> {
    run_in(Chosen::Directory, args, listener, stop, None).await
}

async fn run_in(
    mode: Chosen,
    args: StartArgs,
    listener: TcpListener,
    stop: CancellationToken,
    greeting: Option<String>,
) -> Result<(), CliError> {
    let ops = bind_ops(args.ops_listen).await?;
    // The mirror's last words go to it: it stops after the mode has.
    let last = CancellationToken::new();
    let registry = with_registry(&args, &last).await?;
    let agent = with_sample_agent(&args, &stop).await?;
    let wiring = Wiring::new(&args, &mode)?;
    if let Some(greeting) = greeting {
        tokio::spawn(greet(greeting, wiring.shown.health.clone(), stop.clone()));
    }
    let serving = tokio::spawn(wiring.clone().serve(listener, ops, stop.clone()));
    // The modes end with `stop`, or because they must: then everything else ends too.
    let result = match mode {
        Chosen::Cluster(cluster) => in_cluster(&args, *cluster, &wiring, stop.clone()).await,
        Chosen::Directory => over_directory(&args, &wiring, stop.clone()).await,
    };
    stop.cancel();
    last.cancel();
    serving.await.ok();
    for task in registry.into_iter().chain(agent) {
        task.await.ok();
    }
    result
}

/// Says where everything is once it has started, or after a moment: what cannot start says only why.
async fn greet(greeting: String, health: Health, stop: CancellationToken) {
    let started = async {
        while health.all().get("started") != Some(&Check::Ok) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = tokio::time::timeout(Duration::from_secs(2), started) => note(&greeting),
    }
}

enum Chosen {
    Cluster(Box<Cluster>),
    Directory,
}

/// `--mode auto` says what it chose; nothing is guessed silently.
async fn choose(args: &StartArgs) -> Result<Chosen, CliError> {
    let directory = args.manifests.is_some();
    match args.mode {
        Mode::Standalone if !directory => {
            Err(CliError::new(Code::Usage, "--mode standalone needs --manifests DIR"))
        }
        Mode::Kubernetes if directory => Err(CliError::new(
            Code::Usage,
            "--manifests is for standalone mode: in a cluster the objects come from the API server",
        )),
        Mode::Standalone => Ok(Chosen::Directory),
        Mode::Auto if directory => Ok(Chosen::Directory),
        Mode::Auto | Mode::Kubernetes => {
            let settings =
                ClusterSettings { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() };
            let cluster = kubernetes::connect(&settings).await.map_err(|e| explain_cluster(&e))?;
            tracing::info!(server = %format!("{}:{}", cluster.server.0, cluster.server.1), "cluster mode");
            Ok(Chosen::Cluster(Box::new(cluster)))
        }
    }
}

fn explain_cluster(error: &kubernetes::Error) -> CliError {
    match error {
        kubernetes::Error::Kubeconfig { cause } => CliError::new(Code::Usage, "cannot use the kubeconfig")
            .cause(cause)
            .hint("`kubectl config view` shows what it says; name another one with --kubeconfig"),
        kubernetes::Error::NoCluster { cause } => CliError::new(Code::Usage, "no cluster was found")
            .cause(cause)
            .hint("name one with --kubeconfig FILE, or work without one: --manifests DIR"),
        other => CliError::new(Code::Failed, other.to_string()),
    }
}

type Task = tokio::task::JoinHandle<()>;

/// `--with-registry`: the registry in the same process, on `--host` and the port of `--registry-url`.
async fn with_registry(args: &StartArgs, stop: &CancellationToken) -> Result<Option<Task>, CliError> {
    if !args.with_registry {
        return Ok(None);
    }
    let (host, port) = wiring::client(args)?.and_then(|client| client.peer()).unwrap_or_default();
    let here = host == "localhost" || host.trim_matches(['[', ']']).parse() == Ok(args.host);
    if !here {
        let what = "--with-registry serves a registry here, and --registry-url names another place";
        return Err(CliError::new(Code::Usage, what).hint(format!(
            "leave one of them out, or name this place: --registry-url http://{}:8000",
            args.host
        )));
    }
    let listen = SocketAddr::new(args.host, port);
    let database: DatabaseUrl = "sqlite:///agent_registry.db".parse().map_err(|e| explain(&e))?;
    let access = Access::for_listen(listen, None, false).map_err(|e| explain(&e))?;
    let listener = registry::bind(listen).await.map_err(|e| {
        CliError::new(Code::Failed, format!("the registry cannot listen on {listen}"))
            .cause(e.cause())
            .hint("stop what uses the port, leave --with-registry out, or choose another: --registry-url http://localhost:PORT")
    })?;
    let stop = stop.clone();
    Ok(Some(tokio::spawn(async move {
        let settings = registry::Settings::new(listen, database, access);
        if let Err(error) = registry::run(settings, listener, stop).await {
            tracing::error!(error = %error, cause = %error.cause(), "the registry ended");
        }
    })))
}

/// `--with-sample-agent`: something to probe on 127.0.0.1:8001.
async fn with_sample_agent(args: &StartArgs, stop: &CancellationToken) -> Result<Option<Task>, CliError> {
    if !args.with_sample_agent {
        return Ok(None);
    }
    let address = SocketAddr::from(([127, 0, 0, 1], 8001));
    let listener = TcpListener::bind(address).await.map_err(|e| {
        CliError::new(Code::Failed, format!("the sample agent cannot listen on {address}"))
            .cause(e.to_string())
            .hint("stop what uses the port, or leave --with-sample-agent out")
    })?;
    Ok(Some(tokio::spawn(sample_agent::serve(listener, stop.clone()))))
}

fn identity(args: &StartArgs, kind: &str) -> OrchestratorIdentity {
    let url = format!("http://{}", SocketAddr::new(args.host, args.port));
    OrchestratorIdentity {
        orchestrator_id: String::new(),
        orchestrator_name: "configurable-agents".to_owned(),
        orchestrator_type: kind.to_owned(),
        api_endpoint: args.advertise_url.clone().unwrap_or(url),
        ttl_seconds: 300,
    }
}

async fn in_cluster(
    args: &StartArgs,
    cluster: Cluster,
    wiring: &Wiring,
    stop: CancellationToken,
) -> Result<(), CliError> {
    let suffix = if args.class.is_empty() { String::new() } else { format!("-{}", args.class) };
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_default();
    let lease = LeaseSettings {
        namespace: args.lease_namespace.clone().unwrap_or_else(|| cluster.namespace.clone()),
        name: args.lease_name.clone().unwrap_or_else(|| format!("configurable-agents{suffix}")),
        identity: format!("{host}_{}", uuid::Uuid::new_v4()),
    };
    let settings = kubernetes::Settings {
        watch_namespaces: args::all(&args.watch_namespaces),
        class: args.class.clone(),
        rules: wiring.rules(args, true),
        lease,
        identity: identity(args, "kubernetes"),
        view: wiring.view.clone(),
    };
    // Before the first probe.
    wiring.refresh_own_addresses().await;
    let watching_own = wiring.keep_own_addresses(stop.clone());
    let running = kubernetes::run(
        cluster,
        settings,
        wiring.engine.clone(),
        wiring.mirror.clone(),
        wiring.shown.health.clone(),
        wiring.instruments.cluster.clone(),
        stop,
    );
    tokio::select! {
        result = running => result.map_err(|e| explain_cluster(&e)),
        () = watching_own => Ok(()),
    }
}

async fn over_directory(args: &StartArgs, wiring: &Wiring, stop: CancellationToken) -> Result<(), CliError> {
    let database: DatabaseUrl = args.db_url.parse().map_err(|e| explain(&e))?;
    let settings = standalone::Settings {
        manifests: args.manifests.clone().unwrap_or_default(),
        database: database.path().to_owned(),
        class: args.class.clone(),
        rules: wiring.rules(args, false),
        identity: identity(args, "standalone"),
        view: wiring.view.clone(),
        looks: wiring.instruments.cluster.looks.clone(),
    };
    wiring.refresh_own_addresses().await;
    let (engine, mirror) = (wiring.engine.clone(), wiring.mirror.clone());
    let health = wiring.shown.health.clone();
    standalone::run(settings, engine, mirror, health, stop).await.map_err(|e| {
        use std::error::Error as _;
        let cause = match &e {
            standalone::Error::Store(standalone::store::StoreError::Open { cause, .. }) => cause.clone(),
            other => other.source().map(ToString::to_string).unwrap_or_default(),
        };
        CliError::new(Code::Failed, e.to_string()).cause(cause).hint(match e {
            standalone::Error::Directory { .. } => "name a directory with *.yaml files: --manifests DIR",
            standalone::Error::Store(_) => "give another file with --db-url sqlite:///FILE, or mend this one",
        })
    })
}
