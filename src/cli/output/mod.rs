//! How answers look: the form, the colours, the width. Data goes to standard output, every other
//! word to standard error.

mod color;
mod document;
pub mod listing;
pub mod table;
pub mod text;

use std::io::{IsTerminal as _, Write as _};

pub use color::{ColorWhen, Style};
pub use document::{json, yaml};
pub use table::{Cell, Table};

use super::{CliError, Code};

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns, for people.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// The API's own JSON.
    Json,
    /// The same as YAML.
    Yaml,
    /// One name a line.
    Name,
}

/// What standard output is.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Somebody looks at it.
    pub terminal: bool,
    /// Its width, where somebody looks at it.
    pub width: Option<usize>,
    /// Words may have colours.
    pub colours: bool,
}

impl Screen {
    /// Standard output as it is.
    pub fn of_stdout(when: ColorWhen) -> Screen {
        let terminal = std::io::stdout().is_terminal();
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let width = columns.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)));
        let colours = color::wanted(when, terminal, |name| std::env::var(name).ok());
        Screen { terminal, width: width.filter(|width| terminal && *width > 0), colours }
    }
}

/// Writes data to standard output. A reader that has gone away ends the command, and is no error.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(CliError::quiet(Code::Done)),
        Err(e) => Err(CliError::new(Code::Failed, "cannot write to standard output").cause(e.to_string())),
    }
}

/// Says something that is not data.
pub fn note(text: &str) {
    // Nobody is left to be told that standard error is closed.
    writeln!(std::io::stderr(), "{}", text::harmless_lines(text)).ok();
}
