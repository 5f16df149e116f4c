//! `validate`: the API server's verdict on manifests, without a cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::output::text::harmless_lines;
use super::{CliError, Code, print};
use crate::domain::EndpointId;
use crate::manifest::{self, Manifest, Position, Problem, files};

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// A file, a directory of *.yaml, *.yml and *.json files, or - for standard input; may be given more than once.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-", required = true)]
    files: Vec<PathBuf>,
    /// text: problems on standard error. json: everything on standard output.
    #[arg(short = 'o', long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

struct Read {
    name: String,
    manifest: Manifest,
}

/// Reads and checks everything, prints all that is wrong, and fails when something is.
pub fn run(args: &ValidateArgs) -> Result<(), CliError> {
    let mut read = Vec::new();
    for file in &args.files {
        read_argument(file, &mut read)?;
    }
    warn_of_second_declarations(&mut read);
    let count = |of: fn(&Manifest) -> usize| read.iter().map(|read| of(&read.manifest)).sum::<usize>();
    let endpoints = count(|manifest| manifest.endpoints.len());
    let others = count(|manifest| manifest.others);
    let problems = count(|manifest| manifest.problems.len());
    if args.output == Output::Json {
        print(&format!("{:#}\n", as_json(&read)))?;
    } else {
        to_stderr(&as_text(&read));
    }
    if problems > 0 {
        let bad = read.iter().filter(|read| !read.manifest.problems.is_empty()).count();
        return Err(CliError::new(
            Code::Failed,
            format!("{} in {}", many(problems, "problem"), many(bad, "file")),
        ));
    }
    if endpoints + others == 0 {
        // `kubectl apply` fails too: whoever names files expects objects in them.
        return Err(CliError::new(Code::Failed, "no objects in what was named"));
    }
    to_stderr(&format!(
        "{}: {} valid, {} of other kinds left alone\n",
        many(read.len(), "file"),
        many(endpoints, "AgentEndpoint"),
        many(others, "object")
    ));
    Ok(())
}

fn read_argument(file: &Path, read: &mut Vec<Read>) -> Result<(), CliError> {
    let failed = |path: &Path, error: &std::io::Error| {
        CliError::new(Code::Failed, format!("cannot read {}", path.display())).cause(error.to_string())
    };
    let one = |name: String, bytes: &[u8]| Read { name, manifest: manifest::read(bytes) };
    if file == Path::new("-") {
        let bytes = files::bounded(std::io::stdin().lock()).map_err(|error| failed(file, &error))?;
        read.push(one("-".to_owned(), &bytes));
    } else if file.is_dir() {
        let (found, too_many) = files::list(file).map_err(|error| failed(file, &error))?;
        if too_many {
            let what = format!("{} has more than {} manifests", file.display(), files::MAX_FILES);
            return Err(CliError::new(Code::Failed, what));
        }
        for path in found {
            match files::content(&path) {
                Ok(bytes) => read.push(one(path.display().to_string(), &bytes)),
                // It hides nothing of what is wrong in the others.
                Err(error) => {
                    let mut manifest = Manifest::default();
                    let what = format!("cannot be read: {error}");
                    manifest.problems.push(Problem::new(Position::START, "", what));
                    read.push(Read { name: path.display().to_string(), manifest });
                }
            }
        }
    } else {
        let bytes = files::content(file).map_err(|error| failed(file, &error))?;
        read.push(one(file.display().to_string(), &bytes));
    }
    Ok(())
}

/// `kubectl apply` takes the last of several files that declare one endpoint; the orchestrator takes the first.
fn warn_of_second_declarations(read: &mut [Read]) {
    let mut owners: BTreeMap<EndpointId, String> = BTreeMap::new();
    for Read { name, manifest } in read {
        let mut warnings = Vec::new();
        for one in &manifest.endpoints {
            let owner = owners.entry(one.id.clone()).or_insert_with(|| name.clone());
            if owner != name {
                let what = format!("{} is declared in {owner} too; in a directory that one counts", one.id);
                warnings.push(Problem::new(one.at, "metadata.name", what));
            }
        }
        manifest.warnings.extend(warnings);
    }
}

fn as_text(read: &[Read]) -> String {
    let mut text = String::new();
    for Read { name, manifest } in read {
        let warnings = manifest.warnings.iter().map(|warning| ("warning: ", warning));
        let mut all: Vec<(&str, &Problem)> =
            manifest.problems.iter().map(|problem| ("", problem)).chain(warnings).collect();
        all.sort_by_key(|(_, problem)| problem.at);
        for (kind, problem) in all {
            let _ = writeln!(text, "{kind}{name}:{problem}");
        }
    }
    text
}

fn as_json(read: &[Read]) -> Value {
    let file = |Read { name, manifest }: &Read| {
        json!({
            "file": name, "valid": manifest.problems.is_empty(),
            "endpoints": manifest.endpoints.iter().map(|one| one.id.to_string()).collect::<Vec<_>>(),
            "otherObjects": manifest.others, "problems": manifest.problems, "warnings": manifest.warnings,
        })
    };
    json!({"files": read.iter().map(file).collect::<Vec<_>>()})
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn to_stderr(text: &str) {
    use std::io::Write as _;
    // A manifest may come from a stranger: it shall not write to the terminal.
    let _ = std::io::stderr().write_all(harmless_lines(text).as_bytes());
}
