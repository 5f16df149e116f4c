//! `agent-registry start`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::{CliError, Code, LogArgs, bind_error};
use crate::ops::shutdown;
use crate::registry::{self, Access, DatabaseUrl, Error, Settings};

/// How the registry is served.
#[derive(Debug, clap::Args)]
pub struct StartArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1", env = "AGENT_REGISTRY_HOST")]
    host: IpAddr,
    /// Port to listen on.
    #[arg(long, default_value_t = 8000, env = "AGENT_REGISTRY_PORT")]
    port: u16,
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
    #[arg(long)]
    insecure_anonymous: bool,
    #[command(flatten)]
    log: LogArgs,
}

pub async fn start(args: StartArgs) -> Result<(), CliError> {
    args.log.start()?;
    let listen = SocketAddr::new(args.host, args.port);
    let database: DatabaseUrl = args.db_url.parse().map_err(|e| explain(&e))?;
    let access =
        Access::for_listen(listen, args.auth_token_file, args.insecure_anonymous).map_err(|e| explain(&e))?;
    let stop = shutdown::on_signals()
        .map_err(|e| CliError::new(Code::Internal, "cannot listen for signals").cause(e.to_string()))?;
    let listener = registry::bind(listen).await.map_err(|e| explain(&e))?;
    registry::run(Settings::new(listen, database, access), listener, stop).await.map_err(|e| explain(&e))
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
