//! The binary: crypto provider, arguments, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use configurable_agents::cli::{self, Cli};

#[allow(clippy::print_stderr, reason = "the one place where an error is told")]
fn main() -> ExitCode {
    // One provider for kube and reqwest; a second one could only lose.
    rustls::crypto::ring::default_provider().install_default().ok();
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.code())
        }
    }
}
