//! `agent-registry list` and `orchestrator discover`: which agents are there?

use super::records::{self, MOST, document, listing};
use super::{database, explain};
use crate::cli::CliError;
use crate::cli::arguments::{FilterArgs, OutputArgs, RegistryArgs, explain_registry};
use crate::cli::output::listing::{Listing, watch};
use crate::cli::output::text::{Times, count};
use crate::cli::output::{Format, Screen, note, print};
use crate::domain::agent::RecordView;
use crate::domain::filter::Filter;
use crate::ops;
use crate::registry::{DatabaseUrl, inspect};
use crate::registry_client::Client;

/// What can be typed after `agent-registry list`.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  configurable-agents agent-registry list --include-dead
  configurable-agents agent-registry list --filter capability=research -o json | jq '.items[].agentID'
  configurable-agents agent-registry list --db-url sqlite:///agent_registry.db")]
pub struct ListArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Reads this database and asks no server; the server may run meanwhile.
    #[arg(long, value_name = "URL")]
    db_url: Option<String>,
    /// The scope to read.
    #[arg(long, default_value = "default", env = "REGISTRY_SCOPE")]
    scope: String,
    #[command(flatten)]
    filter: FilterArgs,
    /// Shows every change until it is stopped.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What can be typed after `orchestrator discover`.
#[derive(Debug, clap::Args)]
#[command(before_long_help = r#"Examples:
  configurable-agents orchestrator discover --filters '{"capability":"research","model":"gpt-*"}'
  configurable-agents orchestrator discover --filters capability=research,model=gpt-*
  configurable-agents orchestrator discover --filter team=a -o name"#)]
pub struct DiscoverArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// The scope to read.
    #[arg(long, default_value = "default", env = "REGISTRY_SCOPE")]
    scope: String,
    /// Conditions that all hold: a JSON object, or `key=value` pairs with commas. See `help filters`.
    #[arg(long, value_name = "JSON|PAIRS")]
    filters: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Shows every change until it is stopped.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Where records are read.
enum From {
    Server(Client),
    Database(DatabaseUrl, String),
}

impl From {
    async fn read(&self) -> Result<Vec<RecordView>, CliError> {
        let (records, more) = match self {
            From::Server(client) => client.records(MOST).await.map_err(|e| explain_registry(&e))?,
            From::Database(url, scope) => {
                inspect::records(url, scope, MOST).await.map_err(|e| explain(&e))?
            }
        };
        if more {
            note(&format!("only the first {} agents were read", count(MOST)));
        }
        Ok(records)
    }

    /// For people: where was looked?
    fn name(&self) -> String {
        match self {
            From::Server(client) => client.url().to_owned(),
            From::Database(url, _) => url.to_string(),
        }
    }
}

pub async fn discover(args: DiscoverArgs, screen: Screen) -> Result<(), CliError> {
    let filter = args.filter.read(&args.filters)?;
    let from = From::Server(args.registry.client(&args.scope)?);
    show(&from, &filter, args.filter.include_dead, args.watch, &args.output, screen).await
}

pub async fn list(args: ListArgs, screen: Screen) -> Result<(), CliError> {
    let filter = args.filter.read(&[])?;
    let from = match &args.db_url {
        Some(url) => From::Database(database(url)?, args.scope.clone()),
        None => From::Server(args.registry.client(&args.scope)?),
    };
    show(&from, &filter, args.filter.include_dead, args.watch, &args.output, screen).await
}

async fn show(
    from: &From,
    filter: &Filter,
    include_dead: bool,
    watching: bool,
    output: &OutputArgs,
    screen: Screen,
) -> Result<(), CliError> {
    let times = || Times { now: ops::now(), absolute: output.absolute_time };
    if watching {
        let fetch = async || {
            let read = select(from.read().await?, filter, include_dead);
            listing(&read.0, output.output, &times())
        };
        return watch(output.output, screen, fetch).await;
    }
    let (found, of) = select(from.read().await?, filter, include_dead);
    let shown: Listing = listing(&found, output.output, &times())?;
    print(&shown.render(output.output, &screen, document)?)?;
    let kind = if include_dead { "agents" } else { "live agents" };
    if found.is_empty() {
        note(&format!("no agent found: 0 of {} {kind} in {} match", count(of), from.name()));
    } else if !filter.is_empty() && matches!(output.output, Format::Table | Format::Wide) {
        note(&format!("{} of {} {kind} match", count(found.len()), count(of)));
    }
    Ok(())
}

/// Those that are asked for, and how many there are without the filter.
fn select(records: Vec<RecordView>, filter: &Filter, include_dead: bool) -> (Vec<RecordView>, usize) {
    let alive: Vec<RecordView> =
        records.into_iter().filter(|record| include_dead || record.is_alive).collect();
    let of = alive.len();
    (alive.into_iter().filter(|record| records::matches(filter, record)).collect(), of)
}
