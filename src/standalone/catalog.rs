//! What the files declare, taken together: which endpoint is whose, what stays of a file that went bad, and what has
//! been said about it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::directory::{Content, Reading};
use crate::api::v1alpha1::AgentEndpoint;
use crate::domain::EndpointId;
use crate::domain::reference::Reference;
use crate::manifest::{DataObject, Declaration, Manifest, Position, edit_problems};

/// Endpoints of one process.
const MAX_ENDPOINTS: usize = 20_000;
/// Lines about one file; whoever made that many problems sees the pattern.
const MAX_LINES: usize = 20;

/// What one file declares.
#[derive(Default)]
struct File {
    /// Of a file with problems also what it declared when it had none.
    endpoints: BTreeMap<EndpointId, (Position, AgentEndpoint)>,
    /// Likewise; of two with one name the last one counts, as it does for `kubectl apply`.
    data: BTreeMap<Reference, DataObject>,
    /// What is wrong in it.
    problems: Vec<String>,
    /// Why it cannot be read, when it cannot.
    unreadable: Option<String>,
    warnings: Vec<String>,
}

/// All files, taken together.
#[derive(Default)]
pub struct Catalog {
    files: BTreeMap<PathBuf, File>,
    /// The file that an endpoint is taken from: another one that names it too changes nothing.
    owners: BTreeMap<EndpointId, PathBuf>,
    /// The last file by name that has a Secret or `ConfigMap`.
    data: BTreeMap<Reference, PathBuf>,
    /// Problems by the file, or the directory, that has them: what follows its name in a line, `:3:5: …` or `: …`.
    problems: BTreeMap<PathBuf, Vec<String>>,
}

/// What is to be said after a reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Problems that were not there before.
    pub worse: Vec<String>,
    /// What is probably not meant, in files that are new or have changed.
    pub warnings: Vec<String>,
    /// Files without problems that had some.
    pub mended: Vec<PathBuf>,
}

impl Catalog {
    /// Takes a reading in.
    pub fn update(&mut self, directory: &Path, reading: std::io::Result<Reading>) -> News {
        let mut news = News::default();
        let mut problems: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        match reading {
            Ok(reading) => {
                if reading.too_many {
                    let what = ": there are more files than are read: nothing is withdrawn".to_owned();
                    problems.entry(directory.to_owned()).or_default().push(what);
                } else {
                    let there: BTreeSet<&PathBuf> = reading.files.iter().map(|(path, _)| path).collect();
                    self.files.retain(|path, _| there.contains(path));
                }
                for (path, content) in reading.files {
                    news.warnings.extend(self.files.entry(path.clone()).or_default().update(&path, content));
                }
            }
            Err(error) => {
                let what = format!(": the directory cannot be read: {error}");
                problems.entry(directory.to_owned()).or_default().push(what);
            }
        }
        for (path, file) in &self.files {
            let lines = file.problems.iter().chain(&file.unreadable).cloned();
            problems.entry(path.clone()).or_default().extend(lines);
        }
        self.data = self
            .files
            .iter()
            .flat_map(|(path, file)| file.data.keys().map(|reference| (reference.clone(), path.clone())))
            .collect();
        self.choose_owners(&mut problems);
        problems.retain(|_, lines| !lines.is_empty());
        for (path, lines) in &problems {
            let before = self.problems.get(path);
            let new = lines.iter().filter(|line| !before.is_some_and(|before| before.contains(line)));
            let (shown, rest): (Vec<_>, Vec<_>) = new.enumerate().partition(|(index, _)| *index < MAX_LINES);
            news.worse.extend(shown.into_iter().map(|(_, line)| format!("{}{line}", path.display())));
            if !rest.is_empty() {
                news.worse.push(format!("{}: and {} more", path.display(), rest.len()));
            }
        }
        let gone = self.problems.keys().filter(|path| !problems.contains_key(*path));
        news.mended =
            gone.filter(|path| *path == directory || self.files.contains_key(*path)).cloned().collect();
        self.problems = problems;
        news
    }

    /// Each endpoint belongs to the file that had it first; without one, to the first file by name.
    fn choose_owners(&mut self, problems: &mut BTreeMap<PathBuf, Vec<String>>) {
        let files = &self.files;
        let declares = |path: &PathBuf, id: &EndpointId| {
            files.get(path).is_some_and(|file| file.endpoints.contains_key(id))
        };
        self.owners.retain(|id, path| declares(path, id));
        for (path, file) in files {
            for (id, (at, _)) in &file.endpoints {
                let mut wrong = |what: String| {
                    problems.entry(path.clone()).or_default().push(name_problem(*at, &what));
                };
                if let Some(owner) = self.owners.get(id) {
                    if owner != path {
                        wrong(format!("{id} is declared in {} too; that one counts", owner.display()));
                    }
                } else if self.owners.len() < MAX_ENDPOINTS {
                    self.owners.insert(id.clone(), path.clone());
                } else {
                    wrong(format!("{id} is one more than {MAX_ENDPOINTS} endpoints"));
                }
            }
        }
    }

    /// Every endpoint that is declared, each once.
    pub fn endpoints(&self) -> impl Iterator<Item = (&EndpointId, &AgentEndpoint)> {
        self.owners.iter().filter_map(|(id, path)| {
            let (_, object) = self.files.get(path)?.endpoints.get(id)?;
            Some((id, object))
        })
    }

    /// A Secret or `ConfigMap`.
    pub fn data(&self, reference: &Reference) -> Option<&DataObject> {
        self.data.get(reference).and_then(|path| self.files.get(path))?.data.get(reference)
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Why this is not everything that is declared, in one line; `None`: it is, and what is missing is gone.
    pub fn incomplete(&self) -> Option<String> {
        let count: usize = self.problems.values().map(Vec::len).sum();
        let (path, lines) = self.problems.iter().next()?;
        let first = format!("{}{}", path.display(), lines.first().map_or("", String::as_str));
        Some(match count {
            1 => first,
            count => format!("{first} (and {} more)", count - 1),
        })
    }
}

fn name_problem(at: Position, what: &str) -> String {
    format!(":{}:{}: metadata.name: {what}", at.line, at.column)
}

impl File {
    fn update(&mut self, path: &Path, content: Content) -> Vec<String> {
        self.unreadable = None;
        match content {
            Content::Same => Vec::new(),
            Content::Unreadable(why) => {
                self.unreadable = Some(format!(": cannot be read: {why}"));
                Vec::new()
            }
            Content::New(manifest) => {
                let Manifest { endpoints, data, problems, warnings, blank, .. } = *manifest;
                if blank && !(self.endpoints.is_empty() && self.data.is_empty()) {
                    // `helm template > file` empties it before it fills it.
                    let what = ": it is empty; delete the file to withdraw what it declared";
                    self.problems = vec![what.to_owned()];
                    return Vec::new();
                }
                self.problems = problems.iter().map(|problem| format!(":{problem}")).collect();
                let wrong = data.iter().flat_map(super::data::problems);
                self.problems.extend(wrong.map(|problem| format!(":{problem}")));
                let data: BTreeMap<_, _> =
                    data.into_iter().map(|object| (object.reference.clone(), object)).collect();
                if self.problems.is_empty() {
                    self.data = data;
                } else {
                    self.data.extend(data);
                }
                let mut new = BTreeMap::new();
                for Declaration { id, object, at } in endpoints {
                    let refused = self.endpoints.get(&id).map(|(_, old)| edit_problems(old, &object, at));
                    let refused = refused.unwrap_or_default();
                    match new.entry(id) {
                        Entry::Occupied(first) => {
                            let what = format!("{} is declared twice; the first one counts", first.key());
                            self.problems.push(name_problem(at, &what));
                        }
                        Entry::Vacant(vacant) if refused.is_empty() => {
                            vacant.insert((at, object));
                        }
                        Entry::Vacant(vacant) => {
                            self.problems.extend(refused.iter().map(|problem| format!(":{problem}")));
                            if let Some((_, old)) = self.endpoints.get(vacant.key()) {
                                let old = old.clone();
                                vacant.insert((at, old));
                            }
                        }
                    }
                }
                if !problems.is_empty() {
                    for (id, old) in std::mem::take(&mut self.endpoints) {
                        new.entry(id).or_insert(old);
                    }
                }
                self.endpoints = new;
                let before = std::mem::take(&mut self.warnings);
                self.warnings =
                    warnings.iter().map(|warning| format!("{}:{warning}", path.display())).collect();
                self.warnings.iter().filter(|line| !before.contains(line)).take(MAX_LINES).cloned().collect()
            }
        }
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
