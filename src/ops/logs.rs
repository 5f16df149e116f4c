//! Logs: to standard error, as text or JSON, at the level of `--log-level`.

use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

type Exchange = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// What the running process logs, and how to change that: one for the process, as logging itself is.
struct Level {
    filter: Mutex<String>,
    exchange: Exchange,
}

static LEVEL: OnceLock<Level> = OnceLock::new();

/// Starts logging. `filter` is a level or a list of `target=level`.
///
/// # Errors
/// When the filter cannot be read, or logging has been started before.
pub fn start(format: LogFormat, filter: &str) -> Result<(), String> {
    let builder =
        tracing_subscriber::fmt().with_env_filter(parse(filter)?).with_writer(std::io::stderr).with_ansi(
            std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none(),
        );
    let exchange: Exchange = match format {
        LogFormat::Text => {
            let builder = builder.with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(|e| e.to_string())?;
            Box::new(move |filter| handle.reload(filter).map_err(|e| e.to_string()))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(|e| e.to_string())?;
            Box::new(move |filter| handle.reload(filter).map_err(|e| e.to_string()))
        }
    };
    LEVEL.get_or_init(|| Level { filter: Mutex::new(filter.to_owned()), exchange });
    Ok(())
}

/// The filter in force; `None` before [`start`].
pub fn level() -> Option<String> {
    LEVEL.get().map(|level| level.filter.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Logs by another filter from now on.
///
/// # Errors
/// When it cannot be read.
pub fn change(filter: &str) -> Result<(), String> {
    let level = LEVEL.get().ok_or("nothing is logged yet")?;
    (level.exchange)(parse(filter)?)?;
    let before = std::mem::replace(
        &mut *level.filter.lock().unwrap_or_else(PoisonError::into_inner),
        filter.to_owned(),
    );
    tracing::info!(before, now = filter, "the log level was changed");
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    // A lone word that is no level would be read as the name of a module, and silence everything.
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let lone = |part: &&str| !part.contains('=') && !LEVELS.contains(&part.trim().to_lowercase().as_str());
    if let Some(part) = filter.split(',').find(lone) {
        return Err(format!("`{part}` is not a level"));
    }
    let mut directives = EnvFilter::try_new(filter).map_err(|e| e.to_string())?;
    if !filter.contains("kube_client") {
        // It logs each failed call as an error; whoever made the call logs it once, with what to do.
        let quiet =
            "kube_client=off".parse().map_err(|e: tracing_subscriber::filter::ParseError| e.to_string())?;
        directives = directives.add_directive(quiet);
    }
    Ok(directives)
}
