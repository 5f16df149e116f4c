//! `orchestrator status`: what a running orchestrator knows.

mod one;
mod overview;
mod rows;
mod wait;

use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::{Value, json};

use crate::api::{GROUP, VERSION};
use crate::cli::arguments::{OutputArgs, duration};
use crate::cli::output::listing::{Listing, watch};
use crate::cli::output::text::Times;
use crate::cli::output::{Format, Screen, note, print};
use crate::cli::{CliError, Code};
use crate::domain::{EndpointId, StatusWord};
use crate::ops;
use crate::orchestrator_client::{OrchestratorClient, OrchestratorError};
use rows::Read;

/// What can be typed after `orchestrator status`.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  configurable-agents orchestrator status
  configurable-agents orchestrator status --status failing,rejected -o wide
  configurable-agents orchestrator status team-a/research --explain
  configurable-agents orchestrator status team-a/research --wait --for ready --timeout 60s
  configurable-agents orchestrator status -n team-a --wait --for all-ready --exit-code

Without NAME: the orchestrator, the counts, and what needs attention. All namespaces are shown unless
-n says otherwise.")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct StatusArgs {
    /// One endpoint: NAMESPACE/NAME, or NAME where it is the only one of that name.
    name: Option<String>,
    /// The orchestrator.
    #[arg(long, default_value = "http://localhost:9000", env = "ORCHESTRATOR_URL", value_name = "URL")]
    url: String,
    /// Only this namespace.
    #[arg(short, long)]
    namespace: Option<String>,
    /// All namespaces, as without -n.
    #[arg(short = 'A', long, conflicts_with = "namespace", hide_short_help = true)]
    all_namespaces: bool,
    /// Only endpoints with these labels, as for kubectl.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "name")]
    selector: Option<String>,
    /// Only these states: failing, rejected, degraded, unknown, paused, ready; with commas.
    #[arg(long, value_name = "STATES", value_delimiter = ',', ignore_case = true, value_parser = words(), hide_possible_values = true, conflicts_with = "name")]
    status: Vec<StatusWord>,
    /// Every endpoint, and not only the first that need attention.
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// With NAME: also how it is probed, and where that is said.
    #[arg(long, requires = "name")]
    explain: bool,
    /// Shows every change until it is stopped.
    #[arg(short, long, conflicts_with_all = ["wait", "explain"])]
    watch: bool,
    /// Waits until what --for says has come about.
    #[arg(long)]
    wait: bool,
    /// What to wait for: `ready` with NAME, `all-ready` without one, where nothing is said.
    #[arg(long = "for", value_enum, requires = "wait", value_name = "STATE")]
    wanted: Option<Wanted>,
    /// How long to wait: 30s, 5m, or seconds.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    timeout: Duration,
    /// Ends with 1 when one of the endpoints asked for is failing, rejected or unknown.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// The endpoint is ready (also when degraded).
    Ready,
    /// Every endpoint that is not paused is ready, and there is one.
    AllReady,
    /// The endpoint is degraded.
    Degraded,
    /// The endpoint is failing.
    Failing,
    /// The endpoint is rejected.
    Rejected,
    /// The endpoint is in an unknown state.
    Unknown,
    /// The endpoint is paused.
    Paused,
    /// There is no such endpoint.
    Deleted,
}

fn words() -> impl clap::builder::TypedValueParser<Value = StatusWord> {
    let names = StatusWord::ALL.map(|word| clap::builder::PossibleValue::new(word.as_str().to_lowercase()));
    PossibleValuesParser::new(names).map(|text| {
        let found = StatusWord::ALL.into_iter().find(|word| word.as_str().eq_ignore_ascii_case(&text));
        // The parser lets nothing else through.
        found.unwrap_or(StatusWord::Unknown)
    })
}

/// A status command with its client.
struct Asked {
    args: StatusArgs,
    client: OrchestratorClient,
    screen: Screen,
}

pub async fn run(args: StatusArgs, screen: Screen) -> Result<(), CliError> {
    let client = OrchestratorClient::new(&args.url).map_err(|e| explain(&args.url, &e))?;
    wait::check(&args)?;
    let asked = Asked { args, client, screen };
    if asked.args.wait {
        wait::until(&asked).await?;
        if asked.args.wanted == Some(Wanted::Deleted) {
            return Ok(());
        }
    }
    if asked.args.watch {
        return watch(asked.args.output.output, screen, async || asked.listing().await).await;
    }
    let endpoints = match asked.id().await? {
        Some(id) => one::show(&asked, &id).await?,
        None => overview::show(&asked).await?,
    };
    if asked.args.exit_code && !endpoints.iter().all(Read::is_fine) {
        return Err(CliError::quiet(Code::Failed));
    }
    Ok(())
}

impl Asked {
    fn explain(&self, error: &OrchestratorError) -> CliError {
        explain(&self.client.url(), error)
    }

    fn times(&self, now: jiff::Timestamp) -> Times {
        Times { now, absolute: self.args.output.absolute_time }
    }

    /// Namespace and name of the endpoint that was named.
    async fn id(&self) -> Result<Option<EndpointId>, CliError> {
        let Some(name) = &self.args.name else { return Ok(None) };
        match (name.split_once('/'), &self.args.namespace) {
            (Some((namespace, _)), Some(other)) if namespace != other => {
                Err(CliError::new(Code::Usage, format!("{name} is not in namespace {other}")))
            }
            (Some((namespace, name)), _) => Ok(Some(EndpointId::new(namespace, name))),
            (None, Some(namespace)) => Ok(Some(EndpointId::new(namespace, name))),
            (None, None) => self.only_one(name).await.map(Some),
        }
    }

    async fn only_one(&self, name: &str) -> Result<EndpointId, CliError> {
        let found = self.client.endpoints(&[("q", name)]).await.map_err(|e| self.explain(&e))?;
        let mut ids =
            found.into_iter().filter_map(Read::of).map(|read| read.row.id).filter(|id| id.name == name);
        let Some(first) = ids.next() else { return Err(missing(name)) };
        let others: Vec<EndpointId> = ids.collect();
        if others.is_empty() {
            return Ok(first);
        }
        Err(CliError::new(Code::Usage, format!("{name} is in more than one namespace"))
            .cause(format!("there is {first}, and {}", others[0]))
            .hint(format!("say which: {first}")))
    }

    /// Every endpoint that the flags ask for, whatever its state; worst first.
    async fn endpoints(&self, words: &[StatusWord]) -> Result<Vec<Read>, CliError> {
        let words = words.iter().map(|word| word.as_str().to_lowercase()).collect::<Vec<_>>().join(",");
        let given = [
            ("ns", self.args.namespace.as_deref().unwrap_or_default()),
            ("label", self.args.selector.as_deref().unwrap_or_default()),
            ("status", &words),
        ];
        let parameters: Vec<(&str, &str)> =
            given.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let objects = self.client.endpoints(&parameters).await.map_err(|e| self.explain(&e))?;
        let mut read: Vec<Read> = objects.into_iter().filter_map(Read::of).collect();
        // The list comes in order of namespace and name, and the sort is stable.
        read.sort_by_key(|read| crate::view::query::rank(read.row.word));
        Ok(read)
    }

    async fn listing(&self) -> Result<Listing, CliError> {
        let endpoints = match self.id().await? {
            Some(id) => {
                let object = self.client.endpoint(&id).await.map_err(|e| self.explain(&e))?;
                object.and_then(Read::of).into_iter().collect()
            }
            None => self.endpoints(&self.args.status).await?,
        };
        Ok(rows::listing(&endpoints, self.args.output.output, &self.times(ops::now())))
    }

    fn print_list(&self, endpoints: &[Read], times: &Times) -> Result<(), CliError> {
        let listing = rows::listing(endpoints, self.args.output.output, times);
        print(&listing.render(self.args.output.output, &self.screen, list)?)?;
        if endpoints.is_empty() {
            note(&format!("no endpoint found at {}", self.client.url()));
        }
        Ok(())
    }

    fn is_table(&self) -> bool {
        matches!(self.args.output.output, Format::Table | Format::Wide)
    }
}

/// The JSON document of a list: as the API server would answer.
fn list(items: Vec<Value>) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "AgentEndpointList",
        "metadata": {},
        "items": Value::Array(items),
    })
}

fn missing(name: &str) -> CliError {
    CliError::new(Code::NotFound, format!("there is no AgentEndpoint {name}"))
        .cause("the orchestrator does not know it")
        .hint("`configurable-agents orchestrator status --all` shows those that it knows")
}

fn explain(url: &str, error: &OrchestratorError) -> CliError {
    match error {
        OrchestratorError::Url(_) => {
            CliError::new(Code::Usage, "invalid --url").cause(error.to_string()).hint("use http://HOST:9000")
        }
        OrchestratorError::Client(_) => CliError::new(Code::Failed, error.to_string()),
        OrchestratorError::Unreachable(cause) => {
            CliError::new(Code::Unreachable, format!("cannot reach the orchestrator at {url}"))
                .cause(cause)
                .hint("start one with `configurable-agents orchestrator start`, or pass --url")
        }
        OrchestratorError::Refused { status: 401 | 403, .. } => {
            CliError::new(Code::NotAllowed, format!("the orchestrator at {url} does not let us in"))
                .cause(error.to_string())
                .hint("something in front of it wants credentials: ask it from where none are wanted")
        }
        OrchestratorError::Refused { status: 400, .. } => {
            CliError::new(Code::Usage, format!("the orchestrator at {url} cannot read the request"))
                .cause(error.to_string())
        }
        OrchestratorError::Refused { status: 429 | 500..=599, .. } => {
            CliError::new(Code::Unreachable, format!("the orchestrator at {url} cannot answer now"))
                .cause(error.to_string())
                .hint("its log says why; try again")
        }
        OrchestratorError::Refused { .. } | OrchestratorError::Garbage(_) => CliError::new(
            Code::Unreachable,
            format!("what answers at {url} is no orchestrator of this version"),
        )
        .cause(error.to_string())
        .hint("pass the URL of one: --url http://HOST:9000"),
    }
}
