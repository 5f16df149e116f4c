//! `help`: commands, and topics that belong to no single one.

use std::ffi::OsString;

use clap::ColorChoice;

use super::output::print;
use super::{CliError, Code};

/// Topics, with their texts.
pub const TOPICS: [(&str, &str); 4] = [
    ("environment", include_str!("help/environment.txt")),
    ("exit-codes", include_str!("help/exit-codes.txt")),
    ("filters", include_str!("help/filters.txt")),
    ("formatting", include_str!("help/formatting.txt")),
];

/// What shall be explained.
#[derive(Debug, clap::Args)]
pub struct HelpArgs {
    /// A topic (environment, exit-codes, filters, formatting) or a command.
    #[arg(value_name = "TOPIC|COMMAND")]
    words: Vec<String>,
}

pub fn run(args: &HelpArgs, mut command: clap::Command) -> Result<(), CliError> {
    if let [word] = args.words.as_slice()
        && let Some((_, text)) = TOPICS.iter().find(|(topic, _)| topic == word)
    {
        return print(text);
    }
    // Names and versions of parents get into the children's usage lines.
    command.build();
    let mut at = &mut command;
    for word in &args.words {
        at = at.find_subcommand_mut(word).ok_or_else(|| {
            CliError::new(Code::Usage, format!("there is no command or topic `{word}`")).hint(format!(
                "topics are {}; `--help` shows the commands",
                TOPICS.map(|(topic, _)| topic).join(", ")
            ))
        })?;
    }
    match at.print_long_help() {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::new(Code::Failed, "cannot write to standard output").cause(e.to_string()))
        }
        _ => Ok(()),
    }
}

/// `--color` as it was typed, for help and for what clap says of mistakes: it is not parsed then.
pub fn typed_color(args: &[OsString]) -> ColorChoice {
    let texts: Vec<&str> =
        args.iter().filter_map(|arg| arg.to_str()).take_while(|arg| *arg != "--").collect();
    let after = texts.windows(2).filter(|pair| pair[0] == "--color").map(|pair| pair[1]);
    let joined = texts.iter().filter_map(|arg| arg.strip_prefix("--color="));
    match after.chain(joined).last() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}
