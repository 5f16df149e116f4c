//! `agent-registry get`, `register` and `deregister`: one agent, for scripts and for looking closely.

use serde_json::Value;

use super::records::{document, listing};
use crate::cli::arguments::{OutputArgs, RegistryArgs, explain_registry};
use crate::cli::output::text::Times;
use crate::cli::output::{Screen, note, print};
use crate::cli::{CliError, Code};
use crate::domain::agent::RecordView;
use crate::ops;
use crate::registry::DEFAULT_SCOPE;
use crate::registry_client::AgentRegistration;

/// What can be typed after `agent-registry get`.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  configurable-agents agent-registry get team-a.research -o yaml")]
pub struct GetArgs {
    /// The agent's id.
    id: String,
    #[command(flatten)]
    registry: RegistryArgs,
    /// The scope to read.
    #[arg(long, default_value = "default", env = "REGISTRY_SCOPE")]
    scope: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// What can be typed after `agent-registry register`.
#[derive(Debug, clap::Args)]
#[command(before_long_help = r#"Examples:
  configurable-agents agent-registry register scout --host 10.0.0.7 --port 8003 --ttl 3600
  configurable-agents agent-registry register scout --host scout.lan --port 8003 --metadata '{"capability":"research"}'

It registers once, in the scope `default`, and sends no heartbeats: the registration expires after --ttl."#)]
pub struct RegisterArgs {
    /// The agent's id.
    id: String,
    /// Where the agent listens: a DNS name or an IP address.
    #[arg(long)]
    host: String,
    /// Where the agent listens.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// A name for people; the id when absent.
    #[arg(long)]
    name: Option<String>,
    /// How many seconds it lives without a heartbeat.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    ttl: u32,
    /// A JSON object, for filters.
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What can be typed after `agent-registry deregister`.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  configurable-agents agent-registry deregister scout

It takes away what the agent said of itself, in the scope `default`. What an orchestrator says of it stays.")]
pub struct DeregisterArgs {
    /// The agent's id.
    id: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub async fn get(args: GetArgs, screen: Screen) -> Result<(), CliError> {
    let client = args.registry.client(&args.scope)?;
    match client.record(&args.id).await.map_err(|e| explain_registry(&e))? {
        Some(record) => show(&record, &args.output, screen),
        None => Err(missing(
            &args.id,
            &format!("no source speaks of it in scope \"{}\" of {}", args.scope, client.url()),
        )),
    }
}

pub async fn register(args: RegisterArgs, screen: Screen) -> Result<(), CliError> {
    if let Some(text) = &args.metadata {
        let wrong = match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => None,
            Ok(_) => Some("it is JSON, but not an object".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(cause) = wrong {
            let error = CliError::new(Code::Usage, "invalid --metadata").cause(cause);
            return Err(error.hint(r#"use a JSON object: --metadata '{"capability":"research"}'"#));
        }
    }
    let client = args.registry.client(DEFAULT_SCOPE)?;
    let agent = AgentRegistration {
        agent_name: args.name.unwrap_or_else(|| args.id.clone()),
        agent_id: args.id.clone(),
        host: args.host,
        port: args.port,
        ttl_seconds: args.ttl,
        metadata: args.metadata.unwrap_or_else(|| "{}".to_owned()),
    };
    client.register_agent(&agent).await.map_err(|e| explain_registry(&e))?;
    match client.record(&args.id).await.map_err(|e| explain_registry(&e))? {
        Some(record) => show(&record, &args.output, screen),
        None => Err(missing(&args.id, "somebody removed it again")),
    }
}

pub async fn deregister(args: DeregisterArgs) -> Result<(), CliError> {
    let client = args.registry.client(DEFAULT_SCOPE)?;
    if client.deregister_agent(&args.id).await.map_err(|e| explain_registry(&e))? {
        note(&format!("{} is deregistered", args.id));
        Ok(())
    } else {
        Err(missing(&args.id, "it has not registered itself, or was removed"))
    }
}

fn missing(id: &str, cause: &str) -> CliError {
    CliError::new(Code::NotFound, format!("there is no agent {id}"))
        .cause(cause)
        .hint("`configurable-agents agent-registry list --include-dead` shows all")
}

fn show(record: &RecordView, output: &OutputArgs, screen: Screen) -> Result<(), CliError> {
    let times = Times { now: ops::now(), absolute: output.absolute_time };
    let one = listing(std::slice::from_ref(record), output.output, &times)?;
    // One agent was asked for: its object and no list of one.
    let whole = |mut items: Vec<Value>| items.pop().unwrap_or_else(|| document(Vec::new()));
    print(&one.render(output.output, &screen, whole)?)
}
