//! Where a setting comes from: flag, then environment, then `--config FILE`, then the default.
//!
//! The file's values are put in as defaults and the command line is read again: so they pass the
//! same checks, and clap itself says what came from where.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::{CliError, Code};
use crate::view::system::Setting;

/// A larger file is none of ours.
const MAX_FILE: u64 = 1024 * 1024;
/// Flags that are no settings.
const NO_SETTINGS: [&str; 5] = ["config", "print_config", "help", "version", "color"];

/// Of commands that run for long.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// A YAML file of settings; its keys are the flags without dashes.
    ///
    /// A flag wins over the environment, the environment over the file, the file over the default.
    #[arg(long, value_name = "FILE", env = "CONFIGURABLE_AGENTS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Prints every setting with its source, as a file for --config.
    #[arg(long)]
    pub print_config: bool,
    /// Every setting in force, in the order of the help.
    #[arg(skip)]
    pub settings: Vec<Setting>,
}

/// Values of a file by the id of their argument.
pub type FromFile = BTreeMap<String, String>;

/// Reads the command line, and the file that it names.
///
/// # Errors
/// When the file cannot be used. What cannot be typed ends the process, with clap's own words.
pub fn matches(command: Command, args: &[OsString]) -> Result<(ArgMatches, Vec<Setting>), CliError> {
    let first = command.clone().try_get_matches_from(args).unwrap_or_else(|e| e.exit());
    let (path, leaf) = innermost(&first);
    let Ok(Some(file)) = leaf.try_get_one::<PathBuf>("config") else {
        let settings = find(&command, &path).map(|sub| settings(sub, leaf, &FromFile::new()));
        return Ok((first.clone(), settings.unwrap_or_default()));
    };
    let file = file.clone();
    let known = find(&command, &path).cloned().unwrap_or_default();
    let values = read(&file, &known)?;
    let changed = with_defaults(command, &path, &values);
    let second = changed.clone().try_get_matches_from(args).map_err(|e| {
        let text = e.to_string();
        let cause = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        CliError::new(Code::Usage, format!("cannot use {}", file.display())).cause(cause).hint(HINT)
    })?;
    let (_, leaf) = innermost(&second);
    let settings = find(&changed, &path).map(|sub| settings(sub, leaf, &values)).unwrap_or_default();
    Ok((second.clone(), settings))
}

const HINT: &str = "`--print-config` without --config prints a file with every key";

fn innermost(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut path, mut at) = (Vec::new(), matches);
    while let Some((name, next)) = at.subcommand() {
        path.push(name.to_owned());
        at = next;
    }
    (path, at)
}

fn find<'a>(command: &'a Command, path: &[String]) -> Option<&'a Command> {
    path.iter().try_fold(command, |at, name| at.find_subcommand(name))
}

fn with_defaults(command: Command, path: &[String], values: &FromFile) -> Command {
    match path.split_first() {
        Some((name, rest)) => command.mut_subcommand(name, |sub| with_defaults(sub, rest, values)),
        None => command.mut_args(|arg| match values.get(arg.get_id().as_str()) {
            Some(value) => arg.default_value(value.clone()),
            None => arg,
        }),
    }
}

fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some() && !NO_SETTINGS.contains(&arg.get_id().as_str())
}

fn read(file: &Path, command: &Command) -> Result<FromFile, CliError> {
    let bad = |cause: String| {
        CliError::new(Code::Usage, format!("cannot use {}", file.display())).cause(cause).hint(HINT)
    };
    let length = std::fs::metadata(file).map_err(|e| bad(e.to_string()))?.len();
    if length > MAX_FILE {
        return Err(bad("it is larger than 1 MiB".to_owned()));
    }
    let text = std::fs::read_to_string(file).map_err(|e| bad(e.to_string()))?;
    // A file of comments only is an empty document.
    let blank = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let value =
        if blank { Value::Null } else { serde_saphyr::from_str(&text).map_err(|e| bad(e.to_string()))? };
    let object = match value {
        Value::Object(object) => object,
        Value::Null => return Ok(FromFile::new()),
        _ => return Err(bad("it is no mapping of keys to values".to_owned())),
    };
    let mut values = FromFile::new();
    for (key, value) in object {
        let known: Vec<&Arg> = command.get_arguments().filter(|arg| is_setting(arg)).collect();
        let Some(arg) = known.iter().find(|arg| arg.get_long() == Some(key.as_str())) else {
            let names = known.iter().filter_map(|arg| arg.get_long());
            let near =
                names.max_by(|a, b| strsim::jaro_winkler(a, &key).total_cmp(&strsim::jaro_winkler(b, &key)));
            let near = near.filter(|name| strsim::jaro_winkler(name, &key) > 0.7);
            let hint = near.map_or_else(|| HINT.to_owned(), |near| format!("did you mean `{near}`?"));
            return Err(bad(format!("unknown key `{key}`")).hint(hint));
        };
        match scalar(&value) {
            Some(text) => drop(values.insert(arg.get_id().to_string(), text)),
            // Like an absent key.
            None if value.is_null() => {}
            None => {
                return Err(bad(format!("`{key}` must be a text, a number, true, false or a list of those")));
            }
        }
    }
    Ok(values)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<String>> =
                items.iter().filter(|item| !item.is_array()).map(scalar).collect();
            items.map(|items| items.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// Every setting in force, in the order of the help.
pub fn settings(command: &Command, matches: &ArgMatches, file: &FromFile) -> Vec<Setting> {
    let setting = |arg: &Arg| {
        let id = arg.get_id().as_str();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            _ if file.contains_key(id) => "file",
            _ => "default",
        };
        let raw = matches.get_raw(id).into_iter().flatten();
        let value = raw.map(|value| without_secrets(&value.to_string_lossy())).collect::<Vec<_>>().join(",");
        Setting { name: arg.get_long().unwrap_or(id).to_owned(), value, source: source.to_owned() }
    };
    command.get_arguments().filter(|arg| is_setting(arg)).map(setting).collect()
}

/// A value as it may be shown: what a URL has before its `@`, and parameters that sound like secrets,
/// are left out.
fn without_secrets(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    // A password may hold what else ends an authority.
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) if !rest.starts_with('/') => format!("***@{host}"),
        _ => rest.to_owned(),
    };
    let rest = rest.as_str();
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) =
        rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    // The last `@`: a password may hold one.
    let mut shown = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => format!("{scheme}://{authority}"),
    };
    if let Some(path) = path {
        shown = format!("{shown}/{path}");
    }
    let hidden = |pair: &str| match pair.split_once('=') {
        Some((name, _))
            if ["token", "secret", "password", "key"]
                .iter()
                .any(|word| name.to_lowercase().contains(word)) =>
        {
            format!("{name}=***")
        }
        _ => pair.to_owned(),
    };
    match query {
        Some(query) => format!("{shown}?{}", query.split('&').map(hidden).collect::<Vec<_>>().join("&")),
        None => shown,
    }
}

/// The settings as a file for `--config`, with the source of each as a comment.
pub fn render(settings: &[Setting]) -> String {
    let line = |setting: &Setting| {
        let value = match setting.value.as_str() {
            "" => String::new(),
            text @ ("true" | "false") => text.to_owned(),
            // As it was typed: 007 is no number.
            text if text.parse::<u64>().is_ok_and(|n| n.to_string() == text) => text.to_owned(),
            // JSON's texts are YAML's, too.
            text => Value::String(text.to_owned()).to_string(),
        };
        (format!("{}: {value}", setting.name).trim_end().to_owned(), setting.source.clone())
    };
    let lines: Vec<_> = settings.iter().map(line).collect();
    let width = lines.iter().map(|(text, _)| text.len()).max().unwrap_or_default();
    let lines: Vec<String> =
        lines.iter().map(|(text, source)| format!("{text:width$}  # {source}")).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
