//! `version`.

use serde_json::json;

use super::CliError;
use super::output::{Screen, json as to_json, print};

/// How the version is printed.
#[derive(Debug, clap::Args)]
pub struct VersionArgs {
    /// Only the number.
    #[arg(long, conflicts_with = "output")]
    short: bool,
    /// As JSON: `{"name": …, "version": …}`.
    #[arg(short, long, value_enum, value_name = "FORM")]
    output: Option<Form>,
}

/// The only form beside plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// JSON.
    Json,
}

pub fn run(args: &VersionArgs, screen: Screen) -> Result<(), CliError> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    match args.output {
        Some(Form::Json) => print(&to_json(&json!({ "name": name, "version": version }), screen.terminal)?),
        None if args.short => print(&format!("{version}\n")),
        None => print(&format!("{name} {version}\n")),
    }
}
