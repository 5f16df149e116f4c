//! The binary: crypto provider, arguments, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use configurable_agents::cli;

fn main() -> ExitCode {
    // One provider for kube and reqwest; a second one could only lose.
    rustls::crypto::ring::default_provider().install_default().ok();
    match cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_quiet() {
                // Nobody is left to be told that standard error is closed.
                writeln!(std::io::stderr(), "{error}").ok();
            }
            ExitCode::from(error.code())
        }
    }
}
