//! `demo`: the real orchestrator, registry and dashboard over manifests and agents made for the
//! occasion. Nothing is written outside a temporary directory.

mod agents;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::config::{FromFile, settings};
use super::{CliError, Code, LogArgs, bind_error, orchestrator};
use crate::ops::shutdown;
use crate::registry::{self, Access, DatabaseUrl};
use crate::registry_client::{AgentRegistration, Client, ClientSettings};
use agents::{Agent, Behaviour};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where the demo listens; the agents take ports that are free.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Port of the orchestrator and its dashboard.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Port of the registry.
    #[arg(long, default_value_t = 8000)]
    registry_port: u16,
    #[command(flatten)]
    log: LogArgs,
}

pub async fn run(args: DemoArgs) -> Result<(), CliError> {
    args.log.start()?;
    let stop = shutdown::on_signals()
        .map_err(|e| CliError::new(Code::Internal, "cannot listen for signals").cause(e.to_string()))?;
    if args.port == args.registry_port {
        let what = "--port and --registry-port are the same";
        return Err(CliError::new(Code::Usage, what).hint("the dashboard and the registry need a port each"));
    }
    let directory = tempfile::Builder::new().prefix("configurable-agents-demo-").tempdir().map_err(|e| {
        CliError::new(Code::Failed, "cannot make a temporary directory")
            .cause(e.to_string())
            .hint("name another place with TMPDIR")
    })?;
    let page = SocketAddr::new(LOOPBACK, args.port);
    let listener = TcpListener::bind(page).await.map_err(|e| bind_error(page, "--port", &e))?;
    // The registry outlives the others: their last words go to it.
    let last = CancellationToken::new();
    let registry = start_registry(&args, directory.path(), &last).await?;
    let registry_url = format!("http://{}", SocketAddr::new(LOOPBACK, args.registry_port));
    let (manifests, agents) = make_manifests(directory.path(), &stop).await?;
    let scout = start_scout(&registry_url, &stop).await?;

    let start = start_args(&[
        ("--port", &args.port.to_string()),
        ("--host", &LOOPBACK.to_string()),
        ("--mode", "standalone"),
        ("--manifests", &manifests.display().to_string()),
        ("--db-url", &format!("sqlite:///{}", directory.path().join("status.db").display())),
        ("--registry-url", &registry_url),
    ])?;
    super::output::print(&format!(
        "configurable-agents {} · demo · everything is in a temporary directory and goes with it\n  \
           dashboard   http://localhost:{}/ui/\n  \
           registry    http://localhost:{}/agents\n  \
           manifests   {}   (edit one and watch)\n  \
           agents      ready, slow, flapping, failing, paused, refused by policy, and one that registers itself\n  \
           try         {}\n\
         Press Ctrl-C to stop.\n",
        env!("CARGO_PKG_VERSION"),
        args.port,
        args.registry_port,
        manifests.display(),
        if args.port == 9000 && args.registry_port == 8000 {
            "configurable-agents orchestrator status, or discover".to_owned()
        } else {
            format!(
                "configurable-agents orchestrator status --url http://localhost:{}, or discover --registry-url http://localhost:{}",
                args.port, args.registry_port
            )
        },
    ))?;
    let result = orchestrator::run(start, listener, stop.clone()).await;
    stop.cancel();
    scout.await.ok();
    for agent in agents {
        agent.task.await.ok();
    }
    last.cancel();
    registry.await.ok();
    result
}

async fn start_registry(
    args: &DemoArgs,
    directory: &Path,
    stop: &CancellationToken,
) -> Result<tokio::task::JoinHandle<()>, CliError> {
    let listen = SocketAddr::new(LOOPBACK, args.registry_port);
    let url = format!("sqlite:///{}", directory.join("registry.db").display());
    let explain = super::registry::explain;
    let database: DatabaseUrl = url.parse().map_err(|e| explain(&e))?;
    let access = Access::for_listen(listen, None, false).map_err(|e| explain(&e))?;
    let listener = TcpListener::bind(listen).await.map_err(|e| bind_error(listen, "--registry-port", &e))?;
    let stop = stop.clone();
    Ok(tokio::spawn(async move {
        let settings = registry::Settings::new(listen, database, access);
        if let Err(error) = registry::run(settings, listener, stop).await {
            tracing::error!(error = %error, cause = %error.cause(), "the registry ended");
        }
    }))
}

/// Flags as if they had been typed; the environment is left out, so that the demo is the same everywhere.
fn start_args(flags: &[(&str, &str)]) -> Result<orchestrator::StartArgs, CliError> {
    let command = orchestrator::StartArgs::augment_args(clap::Command::new("demo").no_binary_name(true))
        .mut_args(|arg| arg.env(clap::builder::Resettable::<clap::builder::OsStr>::Reset));
    let bug = |e: clap::Error| CliError::new(Code::Internal, "the demo's own flags").cause(e.to_string());
    let words = flags.iter().flat_map(|(flag, value)| [*flag, *value]);
    let matches = command.clone().try_get_matches_from(words).map_err(bug)?;
    let mut args = orchestrator::StartArgs::from_arg_matches(&matches).map_err(bug)?;
    args.config.settings = settings(&command, &matches, &FromFile::new());
    Ok(args)
}

/// An agent that no manifest declares: it registers itself and beats.
async fn start_scout(url: &str, stop: &CancellationToken) -> Result<tokio::task::JoinHandle<()>, CliError> {
    let settings = ClientSettings { url: url.to_owned(), scope: "default".to_owned(), token_file: None };
    let failed = |cause: String| CliError::new(Code::Failed, "cannot start an agent").cause(cause);
    let client = Client::new(&settings).map_err(|e| failed(e.to_string()))?;
    let agent = agents::start(Behaviour::Ready, stop.clone()).await.map_err(|e| failed(e.to_string()))?;
    let registration = AgentRegistration {
        agent_id: "scout".to_owned(),
        agent_name: "Scout".to_owned(),
        host: agent.address.ip().to_string(),
        port: agent.address.port(),
        ttl_seconds: 60,
        metadata: r#"{"capability":"search","model":"sample-1"}"#.to_owned(),
    };
    let stop = stop.clone();
    Ok(tokio::spawn(async move {
        client.keep_agent(&registration, stop).await;
        agent.task.await.ok();
    }))
}

async fn make_manifests(
    directory: &Path,
    stop: &CancellationToken,
) -> Result<(std::path::PathBuf, Vec<Agent>), CliError> {
    let failed =
        |e: std::io::Error| CliError::new(Code::Failed, "cannot start an agent").cause(e.to_string());
    let mut agents = Vec::new();
    let mut start = async |behaviour| {
        let agent = agents::start(behaviour, stop.clone()).await.map_err(failed)?;
        let target = format!("{{host: 127.0.0.1, port: {}}}", agent.address.port());
        agents.push(agent);
        Ok::<String, CliError>(target)
    };
    let research = start(Behaviour::Ready).await?;
    let (replica, broken) = (start(Behaviour::Ready).await?, start(Behaviour::Failing).await?);
    let writer = start(Behaviour::Slow(Duration::from_millis(250))).await?;
    let translator = start(Behaviour::Flapping(Duration::from_secs(20))).await?;
    let planner = start(Behaviour::Failing).await?;
    let text = include_str!("demo/agents.yaml");
    let filled = [
        ("RESEARCH", research),
        ("REPLICA", replica),
        ("BROKEN", broken),
        ("WRITER", writer),
        ("TRANSLATOR", translator),
        ("PLANNER", planner),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (name, target)| text.replace(name, &target));
    let manifests = directory.join("manifests");
    let written =
        std::fs::create_dir(&manifests).and_then(|()| std::fs::write(manifests.join("agents.yaml"), filled));
    written.map_err(|e| CliError::new(Code::Failed, "cannot write the manifests").cause(e.to_string()))?;
    Ok((manifests, agents))
}
