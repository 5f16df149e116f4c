//! The `console` blocks of a runbook, in the environment of its walk. How they are read: `tests/support/console.rs`.

use std::process::Stdio;
use std::time::Duration;

use crate::support::console::{matches, steps};
use crate::support::poll;

/// Executes the console blocks of one section; answers how many commands that were.
pub async fn execute(section: &str, environment: &[(&str, String)]) -> usize {
    let steps = steps(section);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_configurable-agents")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    for step in &steps {
        let tried = poll(Duration::from_secs(40), async || {
            let mut command = tokio::process::Command::new("bash");
            command.args(["-o", "pipefail", "-c", &step.command]).kill_on_drop(true).stdin(Stdio::null());
            command.env("PATH", &path).envs(environment.iter().map(|(name, value)| (name, value)));
            let output = tokio::time::timeout(Duration::from_secs(35), command.output()).await;
            let output = output.unwrap_or_else(|_| panic!("{}: no end within 35 s", step.command)).unwrap();
            let printed =
                [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            let printed = printed.concat();
            if matches(&step.prints, &printed) { Ok(()) } else { Err(printed) }
        });
        let wanted = step.prints.join("\n");
        tried.await.unwrap_or_else(|printed| {
            panic!("{}\nshould print\n{wanted}\nbut printed\n{printed}", step.command)
        });
    }
    steps.len()
}
