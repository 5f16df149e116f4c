//! `completion`: scripts that shells read.

use super::output::print;
use super::{CliError, Code};

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  source <(configurable-agents completion bash)
  configurable-agents completion zsh > \"${fpath[1]}/_configurable-agents\"
  configurable-agents completion fish > ~/.config/fish/completions/configurable-agents.fish")]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(args: &CompletionArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "configurable-agents", &mut script);
    let text = String::from_utf8(script)
        .map_err(|e| CliError::new(Code::Internal, "cannot write the script").cause(e.to_string()))?;
    print(&text)
}
