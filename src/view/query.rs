//! Which endpoints a reader wants: the parameters of the list page and of `/api/v1/endpoints`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use kube::core::{Selector, SelectorExt as _};

use super::{Row, Rows, selector};
use crate::domain::{EndpointId, StatusWord};

/// Rows of a page that can be asked for.
pub const SIZES: [usize; 4] = [25, 50, 100, 200];
/// Protocols that can be asked for.
pub const PROTOCOLS: [&str; 5] = ["http", "tcp", "grpc", "a2a", "mcp"];
/// The longest parameter that is read, in bytes.
const MAX_VALUE: usize = 512;

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}={given}: {problem}")]
pub struct BadParameter {
    /// Its name.
    pub parameter: String,
    /// What was given, shortened.
    pub given: String,
    /// What is wrong, with what is allowed.
    pub problem: String,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Worst first, then by namespace and name.
    #[default]
    Problems,
    /// By name, then namespace.
    Name,
    /// By namespace and name.
    Namespace,
    /// What changed last first.
    Since,
}

impl Sort {
    /// Every order, with its word in a URL.
    pub const ALL: [(&'static str, Sort); 4] = [
        ("problems", Sort::Problems),
        ("name", Sort::Name),
        ("namespace", Sort::Namespace),
        ("since", Sort::Since),
    ];

    /// Its word in a URL.
    pub fn as_str(self) -> &'static str {
        Sort::ALL.into_iter().find(|(_, sort)| *sort == self).map_or("problems", |(word, _)| word)
    }
}

/// What is asked for. The default asks for everything.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// In name, namespace, agent id, reason, message or a target's host; upper and lower case alike.
    pub text: String,
    /// Any of these words; none means all.
    pub words: Vec<StatusWord>,
    /// This namespace.
    pub namespace: Option<String>,
    /// This protocol.
    pub protocol: Option<String>,
    /// A declared capability.
    pub capability: Option<String>,
    /// A label selector as it was given.
    pub label: Option<String>,
    /// In which order.
    pub sort: Sort,
    selector: Option<Selector>,
}

impl Query {
    /// The parameters that are read here.
    pub const PARAMETERS: [&'static str; 7] = ["q", "status", "ns", "proto", "label", "cap", "sort"];

    /// Reads a parameter; false when it is not one of [`Query::PARAMETERS`].
    ///
    /// # Errors
    /// When its value is not one of those that are allowed.
    pub fn read(&mut self, parameter: &str, value: &str) -> Result<bool, BadParameter> {
        let bad = |problem: String| bad(parameter, value, problem);
        if value.len() > MAX_VALUE {
            return Err(bad(format!("longer than {MAX_VALUE} bytes")));
        }
        let given = (!value.trim().is_empty()).then(|| value.trim().to_owned());
        match parameter {
            "q" => self.text = given.unwrap_or_default(),
            "ns" => self.namespace = given,
            "proto" => {
                if given.as_deref().is_some_and(|given| !PROTOCOLS.contains(&given)) {
                    return Err(bad(format!("use one of {}", PROTOCOLS.join(", "))));
                }
                self.protocol = given;
            }
            "cap" => self.capability = given,
            "status" => self.words = words(value).map_err(bad)?,
            "label" => {
                self.selector = match &given {
                    Some(text) => Some(selector::parse(text).map_err(bad)?),
                    None => None,
                };
                self.label = given;
            }
            "sort" => {
                let allowed = || Sort::ALL.map(|(word, _)| word).join(", ");
                self.sort = match given.as_deref() {
                    None => Sort::default(),
                    Some(text) => Sort::ALL
                        .into_iter()
                        .find(|(word, _)| *word == text)
                        .map(|(_, sort)| sort)
                        .ok_or_else(|| bad(format!("use one of {}", allowed())))?,
                };
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Is the row asked for, whatever its word?
    fn matches(&self, row: &Row, text: &str) -> bool {
        let object = row.object();
        self.namespace.as_ref().is_none_or(|wanted| *wanted == row.id.namespace)
            && self.protocol.as_ref().is_none_or(|wanted| *wanted == row.protocol())
            && self.capability.as_ref().is_none_or(|wanted| {
                object.is_some_and(|o| o.spec.registration.capabilities.contains(wanted))
            })
            && self.selector.as_ref().is_none_or(|selector| {
                selector.matches(object.map_or(const { &BTreeMap::new() }, |o| o.labels()))
            })
            && (text.is_empty() || row.contains(text))
    }

    /// Selects and sorts.
    pub fn select(&self, rows: &Rows) -> Selection {
        let mut counts: BTreeMap<StatusWord, usize> = StatusWord::ALL.map(|word| (word, 0)).into();
        let mut found: Vec<Arc<Row>> = Vec::new();
        let text = self.text.to_lowercase();
        for row in rows.values().filter(|row| self.matches(row, &text)) {
            *counts.entry(row.word).or_default() += 1;
            if self.words.is_empty() || self.words.contains(&row.word) {
                found.push(Arc::clone(row));
            }
        }
        // The rows come in order of namespace and name, and the sort is stable.
        match self.sort {
            Sort::Namespace => {}
            Sort::Problems => found.sort_by_key(|row| rank(row.word)),
            Sort::Name => found.sort_by(|a, b| a.id.name.cmp(&b.id.name)),
            Sort::Since => found.sort_by_key(|row| Reverse(row.since)),
        }
        Selection { rows: found, counts, total: rows.len() }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Selection {
    /// In the order that was asked for.
    pub rows: Vec<Arc<Row>>,
    /// How many there are of each word, whatever words were asked for: the other filters hold.
    pub counts: BTreeMap<StatusWord, usize>,
    /// All endpoints, without any filter.
    pub total: usize,
}

/// Rows after a given one in order of namespace and name, for listings that go page by page.
pub fn after(selection: &Selection, after: &EndpointId) -> Vec<Arc<Row>> {
    selection.rows.iter().filter(|row| row.id > *after).cloned().collect()
}

/// Worst first.
pub fn rank(word: StatusWord) -> usize {
    StatusWord::ALL.iter().position(|other| *other == word).unwrap_or(StatusWord::ALL.len())
}

fn words(text: &str) -> Result<Vec<StatusWord>, String> {
    let allowed = || StatusWord::ALL.map(|word| word.as_str().to_lowercase()).join(", ");
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|given| {
            StatusWord::ALL
                .into_iter()
                .find(|word| word.as_str().eq_ignore_ascii_case(given))
                .ok_or_else(|| format!("use one or more of {}, with commas between them", allowed()))
        })
        .collect()
}

/// A value that cannot be used, shortened for showing.
pub fn bad(parameter: &str, given: &str, problem: String) -> BadParameter {
    let short = |text: &str| text.chars().take(80).collect::<String>();
    BadParameter { parameter: short(parameter), given: short(given), problem }
}
