//! The command line: parse, call the library, print. No logic of its own.

mod demo;
mod error;
mod orchestrator;
mod registry;
mod sample_agent;
mod validate;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use error::{CliError, Code};

use crate::ops::logs::{self, LogFormat};

/// Know which AI agents really answer.
#[derive(Debug, Parser)]
#[command(name = "configurable-agents", version, about, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The orchestrator: probes agents, keeps their status true, mirrors it into the registry.
    #[command(subcommand)]
    Orchestrator(OrchestratorCommand),
    /// The agent registry: what agents and orchestrators say, in one place.
    #[command(subcommand)]
    AgentRegistry(RegistryCommand),
    /// Prints the CustomResourceDefinitions, for `kubectl apply --server-side -f -`.
    Crds(CrdsArgs),
    /// A small agent to try things with: answers GET /health until it is stopped.
    SampleAgent(sample_agent::SampleAgentArgs),
    /// Everything at once, with sample agents: orchestrator, registry and dashboard, in a temporary directory.
    Demo(demo::DemoArgs),
    /// Checks manifests as the API server does, without a cluster.
    Validate(validate::ValidateArgs),
    /// Prints the version.
    Version,
}

#[derive(Debug, Subcommand)]
enum OrchestratorCommand {
    /// Starts the orchestrator in the foreground, in a cluster or over a directory of manifests.
    Start(Box<orchestrator::StartArgs>),
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// Starts the registry server in the foreground.
    Start(registry::StartArgs),
}

#[derive(Debug, clap::Args)]
struct CrdsArgs {
    /// Writes the file `agentendpoints.yaml` into this directory instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How logs look, for every command that runs for long.
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// Form of a log line.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "CONFIGURABLE_AGENTS_LOG_FORMAT")]
    log_format: LogFormat,
    /// error, warn, info, debug or trace; or a list of target=level.
    #[arg(long, default_value = "info", env = "CONFIGURABLE_AGENTS_LOG")]
    log_level: String,
}

impl LogArgs {
    fn start(&self) -> Result<(), CliError> {
        logs::start(self.log_format, &self.log_level).map_err(|cause| {
            CliError::new(Code::Usage, "invalid --log-level")
                .cause(cause)
                .hint("use error, warn, info, debug or trace")
        })
    }
}

/// Runs the command; everything that is for people and not data has gone to standard error.
///
/// # Errors
/// With cause, hint and exit code.
pub fn run(cli: Cli) -> Result<(), CliError> {
    match cli.command {
        Command::Crds(args) => crds(args.out),
        Command::Version => print(concat!("configurable-agents ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Validate(args) => validate::run(&args),
        Command::SampleAgent(args) => block_on(sample_agent::run(args)),
        Command::Orchestrator(OrchestratorCommand::Start(args)) => block_on(orchestrator::start(*args)),
        Command::AgentRegistry(RegistryCommand::Start(args)) => block_on(registry::start(args)),
    }
}

fn block_on(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    // Each probe in flight is a descriptor, and common soft limits are 1,024.
    rlimit::increase_nofile_limit(u64::MAX).ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::new(Code::Internal, "cannot start the runtime").cause(e.to_string()))?;
    let result = runtime.block_on(command);
    // What still runs is a blocking look-up at most; it must not hold the exit up.
    runtime.shutdown_background();
    result
}

fn crds(out: Option<PathBuf>) -> Result<(), CliError> {
    let text = crate::api::schema::crd_yaml();
    let Some(directory) = out else { return print(&text) };
    let file = directory.join("agentendpoints.yaml");
    std::fs::write(&file, text).map_err(|e| {
        CliError::new(Code::Failed, format!("cannot write {}", file.display())).cause(e.to_string())
    })
}

/// Writes data to standard output; a reader that went away is no error.
fn print(text: &str) -> Result<(), CliError> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::new(Code::Failed, "cannot write to standard output").cause(e.to_string()))
        }
        _ => Ok(()),
    }
}

/// A port that cannot be listened on.
fn bind_error(address: std::net::SocketAddr, flag: &str, error: &std::io::Error) -> CliError {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        let next = address.port().saturating_add(1);
        CliError::new(Code::Failed, format!("port {} is already in use", address.port()))
            .cause(format!("another process listens on {address}"))
            .hint(format!("stop it, or choose another port: {flag} {next}"))
    } else {
        CliError::new(Code::Failed, format!("cannot listen on {address}")).cause(error.to_string())
    }
}
