//! Documents with commands: every `console` block of every page is executed, and prints what it says.
//!
//! A line that begins with `$ ` is a command, and what follows is what it prints. Columns may be spaced otherwise; a
//! word with a digit or `…` in it stands for any word, `…` at the end of a line for all that follows, a line `…` for any
//! lines. A command goes on after a `\` at the
//! end of its line, and until `EOF` after `<<EOF`.
//!
//! Where a page's blocks run is said on the page: a line `<!-- console: program -->` (this program alone, no cluster),
//! `<!-- console: cluster -->` (a real control plane), or the test that runs them, `<!-- console: tests/… -->`. It
//! holds until the next one.

use std::path::{Path, PathBuf};

/// Where the commands that follow are executed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// With the program and no cluster.
    Program,
    /// With a control plane, by `tests/cluster/`.
    Cluster,
    /// By this test, which names the page.
    Test(String),
}

impl Place {
    fn parse(line: &str) -> Option<Place> {
        let word = line.trim().strip_prefix("<!-- console:")?.strip_suffix("-->")?.trim();
        Some(match word {
            "program" => Place::Program,
            "cluster" => Place::Cluster,
            test => Place::Test(test.to_owned()),
        })
    }
}

/// One command of a page.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands on the page.
    pub line: usize,
    /// Which `##` section it is in.
    pub section: usize,
    /// Where it is executed; nothing where the page does not say.
    pub place: Option<Place>,
    /// What is typed.
    pub command: String,
    /// What is printed.
    pub prints: Vec<String>,
}

/// The end of a here-document that this command begins.
fn here_document(command: &str) -> Option<String> {
    let first = command.lines().next()?;
    let word = first.split_once("<<")?.1.split_whitespace().next()?;
    Some(word.trim_matches(['\'', '"', '-']).to_owned())
}

/// The commands of a page, in order.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut inside, mut section, mut place) = (false, 0, None);
    let mut until: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        if let (Some(end), Some(step)) = (&until, steps.last_mut()) {
            step.command.push('\n');
            step.command.push_str(line);
            if line == end {
                until = None;
            }
        } else if line.trim_start().starts_with("```") {
            inside = line.trim() == "```console";
        } else if !inside {
            section += usize::from(line.starts_with("## "));
            place = Place::parse(line).or(place);
        } else if let Some(command) = line.trim_start().strip_prefix("$ ") {
            let command = command.to_owned();
            until = here_document(&command);
            steps.push(Step { line: number + 1, section, place: place.clone(), command, prints: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            if step.command.ends_with('\\') && step.prints.is_empty() {
                step.command.pop();
                step.command.push_str(line.trim_start());
            } else {
                step.prints.push(line.to_owned());
            }
        }
    }
    steps
}

/// Do the lines of `wanted` come in this order in `printed`?
pub fn matches(wanted: &[String], printed: &str) -> bool {
    let mut printed = printed.lines();
    wanted.iter().filter(|line| line.trim() != "…" && !line.trim().is_empty()).all(|wanted| {
        printed.by_ref().any(|line| {
            let (wanted, line): (Vec<&str>, Vec<&str>) =
                (wanted.split_whitespace().collect(), line.split_whitespace().collect());
            let any = |word: &str| word.contains('…') || word.contains(|c: char| c.is_ascii_digit());
            let (wanted, long_enough) = match wanted.split_last() {
                Some((&"…", wanted)) => (wanted, line.len() >= wanted.len()),
                _ => (&wanted[..], line.len() == wanted.len()),
            };
            long_enough && wanted.iter().zip(&line).all(|(w, l)| w == l || any(w))
        })
    })
}

/// The checkout.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the checkout.
pub fn read(relative: &str) -> String {
    let path = repository().join(relative);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// Every document of the checkout, by its path.
pub fn documents() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(repository().join(&folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = folder.join(&name);
            // What is not ours: build folders, and packages that tests install.
            let ours = !["target", "node_modules", ".git"].contains(&name.as_str());
            if ours && repository().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The pages with commands for this place.
pub fn pages(place: &Place) -> Vec<String> {
    let here = |page: &String| steps(&read(page)).iter().any(|step| step.place.as_ref() == Some(place));
    documents().into_iter().filter(here).collect()
}
