//! The command line: parse, call the library, print. No logic of its own.

mod arguments;
mod completion;
mod config;
mod demo;
mod error;
mod help;
mod orchestrator;
mod output;
mod registry;
mod sample_agent;
mod validate;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use error::{CliError, Code};
use orchestrator::OrchestratorCommand;
use output::{ColorWhen, Screen, print};
use registry::RegistryCommand;

use crate::ops::logs::{self, LogFormat};

/// Know which AI agents really answer.
#[derive(Debug, Parser)]
#[command(name = "configurable-agents", version, about, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When words have colours: auto, always or never; `NO_COLOR` and `CLICOLOR_FORCE` are read as well.
    #[arg(long, global = true, value_enum, default_value_t = ColorWhen::Auto, value_name = "WHEN", hide_possible_values = true, hide_short_help = true, display_order = 900)]
    color: ColorWhen,
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
    /// Prints a completion script for a shell.
    Completion(completion::CompletionArgs),
    /// Everything at once, with sample agents: orchestrator, registry and dashboard, in a temporary directory.
    Demo(demo::DemoArgs),
    /// Checks manifests as the API server does, without a cluster.
    Validate(validate::ValidateArgs),
    /// Prints the version.
    Version(version::VersionArgs),
    /// Explains a command or a topic: environment, exit-codes, filters, formatting.
    Help(help::HelpArgs),
}

#[derive(Debug, clap::Args)]
struct CrdsArgs {
    /// Writes the file `agentendpoints.yaml` into this directory instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How logs look, for every command that runs for long.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// Form of a log line.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "CONFIGURABLE_AGENTS_LOG_FORMAT", hide_short_help = true)]
    log_format: LogFormat,
    /// error, warn, info, debug or trace; or a list of target=level.
    #[arg(long, default_value = "info", env = "CONFIGURABLE_AGENTS_LOG", hide_short_help = true)]
    log_level: String,
}

impl LogArgs {
    /// Lines are for people, not for programs.
    fn for_people(&self) -> bool {
        self.log_format == LogFormat::Text
    }

    fn start(&self) -> Result<(), CliError> {
        logs::start(self.log_format, &self.log_level).map_err(|cause| {
            CliError::new(Code::Usage, "invalid --log-level")
                .cause(cause)
                .hint("use error, warn, info, debug or trace")
        })
    }
}

/// What comes first in long help: what it is, then examples, then how it is used.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// All commands, as they are parsed and documented.
pub fn command() -> clap::Command {
    fn prepare(command: clap::Command) -> clap::Command {
        // Values of the environment may be secrets, and would make the help differ from place to place.
        command
            .help_template(TEMPLATE)
            .disable_help_subcommand(true)
            .mut_args(|arg| from_environment(arg).hide_env_values(true))
            .mut_subcommands(prepare)
    }
    prepare(Cli::command())
}

/// Help topics with their texts, for the reference.
pub fn topics() -> [(&'static str, &'static str); 4] {
    help::TOPICS
}

/// An empty variable is none: charts and compose files set them so. The registry's URL has two names in the
/// environment; the first one counts when both are there.
fn from_environment(arg: clap::Arg) -> clap::Arg {
    let is_set = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let (first, second) = ("REGISTRY_URL".as_ref(), "AGENT_REGISTRY_URL".as_ref());
    if arg.get_id() == "registry_url" && !is_set(first) && is_set(second) {
        return arg.env("AGENT_REGISTRY_URL");
    }
    let empty = arg.get_env().is_some_and(|name| std::env::var_os(name).is_some() && !is_set(name));
    if empty { arg.env(clap::builder::Resettable::<clap::builder::OsStr>::Reset) } else { arg }
}

/// Runs what was typed; everything that is for people and not data has gone to standard error.
///
/// # Errors
/// With cause, hint and exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<(), CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let typed = help::typed_color(&args);
    let (matches, settings) = config::matches(command().color(typed), &args)?;
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let config = match &mut cli.command {
        Command::Orchestrator(OrchestratorCommand::Start(args)) => Some(&mut args.config),
        Command::AgentRegistry(RegistryCommand::Start(args)) => Some(&mut args.config),
        _ => None,
    };
    if let Some(config) = config {
        if config.print_config {
            return print(&config::render(&settings));
        }
        config.settings = settings;
    }
    let screen = Screen::of_stdout(cli.color);
    match cli.command {
        Command::Crds(args) => crds(args.out),
        Command::Version(args) => version::run(&args, screen),
        Command::Completion(args) => completion::run(&args),
        Command::Help(args) => help::run(&args, command().color(typed)),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Validate(args) => validate::run(&args),
        Command::SampleAgent(args) => block_on(sample_agent::run(args)),
        Command::Orchestrator(OrchestratorCommand::Start(args)) => block_on(orchestrator::start(*args)),
        Command::AgentRegistry(RegistryCommand::Start(args)) => block_on(registry::start(args)),
        Command::Orchestrator(command) => one_shot(orchestrator::ask(command, screen)),
        Command::AgentRegistry(command) => one_shot(registry::ask(command, screen)),
    }
}

/// Runs a server: until it is asked to stop.
fn block_on(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    // Each probe in flight is a descriptor, and common soft limits are 1,024.
    rlimit::increase_nofile_limit(u64::MAX).ok();
    run_on(tokio::runtime::Builder::new_multi_thread(), command)
}

/// Runs a command that asks something and ends, on this thread; Ctrl-C ends it.
fn one_shot(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    run_on(tokio::runtime::Builder::new_current_thread(), async {
        tokio::select! {
            result = command => result,
            _ = tokio::signal::ctrl_c() => Err(CliError::quiet(Code::Interrupted)),
        }
    })
}

fn run_on(
    mut runtime: tokio::runtime::Builder,
    command: impl Future<Output = Result<(), CliError>>,
) -> Result<(), CliError> {
    let runtime = runtime
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

/// The socket of `--ops-listen`.
async fn bind_ops(
    address: Option<std::net::SocketAddr>,
) -> Result<Option<tokio::net::TcpListener>, CliError> {
    let Some(address) = address else { return Ok(None) };
    let next = std::net::SocketAddr::new(address.ip(), address.port().saturating_add(1));
    let bound = tokio::net::TcpListener::bind(address).await;
    bound.map(Some).map_err(|e| {
        CliError::new(Code::Failed, format!("cannot listen on {address} for health and metrics"))
            .cause(e.to_string())
            .hint(format!("stop what uses the port, or choose another: --ops-listen {next}"))
    })
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
