//! `agent-registry`: the server, and what is asked of one.

mod agents;
mod cleanup;
mod list;
mod records;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Subcommand;

use super::config::ConfigArgs;
use super::output::Screen;
use super::{CliError, Code, LogArgs, bind_error, bind_ops};
pub use list::{DiscoverArgs, discover};

use crate::ops::shutdown;
use crate::registry::{self, Access, DatabaseUrl, Error, Settings};

/// What can be typed after `agent-registry`.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Starts the registry server in the foreground.
    Start(StartArgs),
    /// Lists agents.
    List(list::ListArgs),
    /// Removes what has expired and prints the agents' ids.
    Cleanup(cleanup::CleanupArgs),
    /// Shows one agent.
    Get(agents::GetArgs),
    /// Registers an agent once.
    Register(agents::RegisterArgs),
    /// Takes back an agent's registration.
    Deregister(agents::DeregisterArgs),
}

/// Runs one that asks or changes something and ends.
pub async fn ask(command: RegistryCommand, screen: Screen) -> Result<(), CliError> {
    match command {
        RegistryCommand::Start(args) => start(args).await,
        RegistryCommand::List(args) => list::list(args, screen).await,
        RegistryCommand::Cleanup(args) => cleanup::run(args, screen).await,
        RegistryCommand::Get(args) => agents::get(args, screen).await,
        RegistryCommand::Register(args) => agents::register(args, screen).await,
        RegistryCommand::Deregister(args) => agents::deregister(args).await,
    }
}

/// How the registry is served.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  configurable-agents agent-registry start
  configurable-agents agent-registry start --host 0.0.0.0 --auth-token-file tokens
  configurable-agents agent-registry start --config registry.yaml --print-config")]
pub struct StartArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1", env = "AGENT_REGISTRY_HOST")]
    host: IpAddr,
    /// Port to listen on.
    #[arg(long, default_value_t = 8000, env = "AGENT_REGISTRY_PORT")]
    port: u16,
    /// Address and port of health and metrics; without it they are on --port.
    #[arg(long, value_name = "ADDRESS:PORT", env = "AGENT_REGISTRY_OPS_LISTEN", hide_short_help = true)]
    ops_listen: Option<SocketAddr>,
    /// Where the records are kept.
    #[arg(
        long,
        default_value = "sqlite:///agent_registry.db",
        env = "AGENT_REGISTRY_DB_URL",
        value_name = "URL"
    )]
    db_url: String,
    /// A file with bearer tokens, one a line, of which callers must show one; read again when it changes.
    #[arg(long, env = "AGENT_REGISTRY_AUTH_TOKEN_FILE", value_name = "FILE")]
    auth_token_file: Option<PathBuf>,
    /// Serves everybody who reaches the address, also beyond this machine.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_name = "BOOL",
        hide_default_value = true,
        hide_possible_values = true
    )]
    insecure_anonymous: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// A database that a flag names.
fn database(url: &str) -> Result<DatabaseUrl, CliError> {
    url.parse().map_err(|e| explain(&e))
}

pub async fn start(args: StartArgs) -> Result<(), CliError> {
    args.log.start()?;
    let listen = SocketAddr::new(args.host, args.port);
    let database = database(&args.db_url)?;
    let access =
        Access::for_listen(listen, args.auth_token_file, args.insecure_anonymous).map_err(|e| explain(&e))?;
    let stop = shutdown::on_signals()
        .map_err(|e| CliError::new(Code::Internal, "cannot listen for signals").cause(e.to_string()))?;
    let listener = registry::bind(listen).await.map_err(|e| explain(&e))?;
    let ops = bind_ops(args.ops_listen).await?;
    let settings = Settings::new(listen, database, access);
    registry::run_with_ops(settings, listener, ops, stop).await.map_err(|e| explain(&e))
}

/// The registry's errors as people read them.
pub fn explain(error: &Error) -> CliError {
    match error {
        Error::Listen { address, source } => bind_error(*address, "--port", source),
        Error::DatabaseUrl { .. } | Error::OpenToEveryone { .. } => {
            CliError::new(Code::Usage, error.to_string()).cause(error.cause()).hint(error.hint())
        }
        _ => CliError::new(Code::Failed, error.to_string()).cause(error.cause()).hint(error.hint()),
    }
}
