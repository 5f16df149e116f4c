//! Flags that several commands share: the same flag means the same everywhere.

use std::path::PathBuf;
use std::time::Duration;

use super::output::Format;
use super::{CliError, Code};
use crate::domain::filter::Filter;
use crate::registry_client::{Client, ClientError, ClientSettings};

/// How a list is printed.
#[derive(Debug, clap::Args)]
pub struct OutputArgs {
    /// Form of the answer; see `help formatting`.
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub output: Format,
    /// Shows times as RFC 3339 and not as ages.
    #[arg(long)]
    pub absolute_time: bool,
}

/// Where the registry is.
#[derive(Clone, Debug, clap::Args)]
pub struct RegistryArgs {
    /// The agent registry (`AGENT_REGISTRY_URL` is read as well).
    #[arg(long, default_value = "http://localhost:8000", env = "REGISTRY_URL", value_name = "URL")]
    pub registry_url: String,
    /// A file with the bearer token for the registry.
    #[arg(long, value_name = "FILE", env = "REGISTRY_TOKEN_FILE")]
    pub registry_token_file: Option<PathBuf>,
}

impl RegistryArgs {
    /// A client for one scope; makes no connection.
    pub fn client(&self, scope: &str) -> Result<Client, CliError> {
        let settings = ClientSettings {
            url: self.registry_url.clone(),
            scope: scope.to_owned(),
            token_file: self.registry_token_file.clone(),
        };
        Client::new(&settings).map_err(|e| explain_registry(&e))
    }
}

/// What a reader asks for.
#[derive(Clone, Debug, clap::Args)]
pub struct FilterArgs {
    /// One more condition, such as `model=gpt-*`; may be given several times. See `help filters`.
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Also agents that are not alive.
    #[arg(long)]
    pub include_dead: bool,
}

impl FilterArgs {
    /// All conditions, those of `--filters` first.
    pub fn read(&self, filters: &[String]) -> Result<Filter, CliError> {
        let mut filter = Filter::default();
        let bad = |flag: &str, cause: String| {
            CliError::new(Code::Usage, format!("invalid {flag}"))
                .cause(cause)
                .hint(r#"use JSON {"capability":"research"} or pairs capability=research,model=gpt-*"#)
        };
        for text in filters {
            filter.add(text).map_err(|e| bad("--filters", e.to_string()))?;
        }
        for pair in &self.filter {
            filter.add_pair(pair).map_err(|e| bad("--filter", e.to_string()))?;
        }
        Ok(filter)
    }
}

/// A duration as people write it: `30s`, `5m`, `1h30m`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    let parsed = seconds.or_else(|| Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok());
    let most = Duration::from_hours(24 * 366);
    parsed
        .filter(|duration| *duration <= most)
        .ok_or_else(|| "write 30s, 5m, 1h30m or a number of seconds, at most 366 days".to_owned())
}

/// The registry client's errors as people read them.
pub fn explain_registry(error: &ClientError) -> CliError {
    match error {
        ClientError::Url(_) => CliError::new(Code::Usage, "invalid --registry-url")
            .cause(error.to_string())
            .hint("use http://HOST:8000"),
        ClientError::Client(_) => CliError::new(Code::Failed, error.to_string()),
        ClientError::Token { .. } => CliError::new(Code::Failed, "cannot read the registry token")
            .cause(error.to_string())
            .hint("name a file with the token: --registry-token-file FILE"),
        ClientError::Unreachable { url, cause } => {
            CliError::new(Code::Unreachable, format!("cannot reach the agent registry at {url}"))
                .cause(cause)
                .hint("start one with `configurable-agents agent-registry start`, or pass --registry-url")
        }
        ClientError::Refused { url, status: status @ (401 | 403), .. } => {
            CliError::new(Code::NotAllowed, format!("the agent registry at {url} does not let us in"))
                .cause(format!("it answered {status}"))
                .hint("pass a token that it knows: --registry-token-file FILE")
        }
        ClientError::Refused { url, status: status @ (400 | 409 | 413 | 422), .. } => CliError::new(
            Code::Failed,
            format!("the agent registry at {url} does not accept the request"),
        )
        .cause(format!("it answered {status}"))
        .hint(
            "names have at most 253 characters, metadata at most 16,384; see docs/reference/registry-api.md",
        ),
        ClientError::Refused { url, status: status @ (429 | 500..=599), .. } => {
            CliError::new(Code::Unreachable, format!("the agent registry at {url} cannot answer now"))
                .cause(format!("it answered {status}"))
                .hint("its log says why; try again")
        }
        ClientError::Refused { url, .. } | ClientError::Garbage { url, .. } => CliError::new(
            Code::Unreachable,
            format!("what answers at {url} is no agent registry of this version"),
        )
        .cause(error.to_string())
        .hint("pass the URL of a registry: --registry-url http://HOST:8000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, seconds) in
            [("0", 0), ("90", 90), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172_800)]
        {
            let read = duration(text);
            // A day is no fixed duration to the parser; hours are.
            if text != "2d" {
                assert_eq!(read, Ok(Duration::from_secs(seconds)), "{text}");
            }
        }
        for text in ["", "-5s", "soon", "5 parsecs", "9999999h", "-1"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
