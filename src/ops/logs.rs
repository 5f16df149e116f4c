//! Logs: to standard error, as text or JSON, at the level of `--log-level`.

use tracing_subscriber::EnvFilter;

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `filter` is a level or a list of `target=level`.
///
/// # Errors
/// When the filter cannot be read, or logging has been started before.
pub fn start(format: LogFormat, filter: &str) -> Result<(), String> {
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
    let builder =
        tracing_subscriber::fmt().with_env_filter(directives).with_writer(std::io::stderr).with_ansi(
            std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none(),
        );
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| e.to_string())
}
