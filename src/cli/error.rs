//! Errors as people read them: what, why, what to do; and the exit codes.

use std::fmt;

use super::output::text::harmless_lines;

/// Exit codes (documented in `docs/reference/exit-codes.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done; the reader of the answer went away.
    Done = 0,
    /// It could not be done here (a port is taken, a database or directory cannot be used), or the
    /// answer is bad (`--exit-code`).
    Failed = 1,
    /// What was asked for makes no sense: a flag, a value, a configuration file.
    Usage = 2,
    /// The registry, the orchestrator or the cluster cannot be reached.
    Unreachable = 3,
    /// Somebody is asked who says that we may not.
    NotAllowed = 4,
    /// What was named does not exist.
    NotFound = 5,
    /// What was waited for did not come in time.
    TimedOut = 6,
    /// A bug.
    Internal = 70,
    /// Ctrl-C.
    Interrupted = 130,
}

/// An error with its cause and a hint.
#[derive(Debug)]
pub struct CliError {
    code: Code,
    what: String,
    cause: Option<String>,
    hint: Option<String>,
}

impl CliError {
    /// What went wrong, in one line.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        CliError { code, what: what.into(), cause: None, hint: None }
    }

    /// An end of which nothing needs to be said.
    pub fn quiet(code: Code) -> Self {
        CliError::new(code, "")
    }

    /// Is there something to say?
    pub fn is_quiet(&self) -> bool {
        self.what.is_empty()
    }

    /// What kind it is.
    pub fn kind(&self) -> Code {
        self.code
    }

    /// Why.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into()).filter(|cause: &String| !cause.is_empty());
        self
    }

    /// What to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into()).filter(|hint: &String| !hint.is_empty());
        self
    }

    /// For the process.
    pub fn code(&self) -> u8 {
        self.code as u8
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cause of several lines (a parser's excerpt) stays readable under its heading.
        let indent = |text: &str| harmless_lines(text.trim_end()).replace('\n', "\n         ");
        write!(f, "error: {}", indent(&self.what))?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  cause: {}", indent(cause))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", indent(hint))?;
        }
        Ok(())
    }
}
