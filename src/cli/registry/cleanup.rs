//! `agent-registry cleanup`: what has expired goes before its time to be reaped.

use std::time::Duration;

use super::{database, explain};
use crate::cli::CliError;
use crate::cli::arguments::{RegistryArgs, duration, explain_registry};
use crate::cli::output::listing::name_line;
use crate::cli::output::text::count;
use crate::cli::output::{Screen, json, note, print};
use crate::domain::agent::{CleanupRequest, CleanupResponse};
use crate::registry::inspect;

/// What can be typed after `agent-registry cleanup`.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  configurable-agents agent-registry cleanup --dry-run
  configurable-agents agent-registry cleanup --older-than 1h
  configurable-agents agent-registry cleanup --db-url sqlite:///agent_registry.db

Each source's word goes by itself: what an orchestrator still vouches for stays when the agent's own
registration has expired. The registry removes by itself what expired more than 24 h ago.")]
pub struct CleanupArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Works on this database and asks no server; the server may run meanwhile.
    #[arg(long, value_name = "URL")]
    db_url: Option<String>,
    /// The scope to clean.
    #[arg(long, default_value = "default", env = "REGISTRY_SCOPE")]
    scope: String,
    /// Removes nothing, prints what would go.
    #[arg(long)]
    dry_run: bool,
    /// Only what expired at least this long ago: 1h, 30m, or seconds.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "DURATION")]
    older_than: Duration,
    /// Form of the answer: one id a line, or a JSON document.
    #[arg(short, long, value_enum, default_value_t = Form::Name, value_name = "FORM")]
    output: Form,
}

/// How ids are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// One id a line.
    Name,
    /// `{"agents": […], "dryRun": …}`.
    Json,
}

pub async fn run(args: CleanupArgs, screen: Screen) -> Result<(), CliError> {
    let mut agents: Vec<String> = Vec::new();
    let more = loop {
        let round = once(&args).await?;
        agents.extend(round.agents);
        if args.dry_run || !round.more {
            break round.more;
        }
    };
    agents.sort();
    agents.dedup();
    let text = match args.output {
        Form::Name => agents.iter().map(|id| name_line(id)).collect(),
        Form::Json => json(
            &serde_json::json!({"agents": agents, "dryRun": args.dry_run, "more": more}),
            screen.terminal,
        )?,
    };
    print(&text)?;
    let number = count(agents.len());
    let rest = if more { " and more" } else { "" };
    note(&match (agents.is_empty(), args.dry_run) {
        (true, _) => "nothing has expired".to_owned(),
        (false, true) => format!("{number}{rest} would go; nothing was removed (--dry-run)"),
        (false, false) => format!("{number} removed"),
    });
    Ok(())
}

async fn once(args: &CleanupArgs) -> Result<CleanupResponse, CliError> {
    if let Some(url) = &args.db_url {
        let url = database(url)?;
        return inspect::cleanup(&url, &args.scope, args.older_than, args.dry_run)
            .await
            .map_err(|e| explain(&e));
    }
    let request = CleanupRequest { older_than_seconds: args.older_than.as_secs(), dry_run: args.dry_run };
    args.registry.client(&args.scope)?.cleanup(&request).await.map_err(|e| explain_registry(&e))
}
