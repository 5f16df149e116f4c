//! The chart's values as they are documented: the comments of `values.yaml` that begin with `# --`.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A value with its comment.
#[derive(Debug, Clone, PartialEq)]
pub struct Documented {
    /// Names, with dots.
    pub path: String,
    /// The comment.
    pub text: String,
    /// What it is when nobody says anything.
    pub default: Value,
}

/// A file of the chart.
pub fn file(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/configurable-agents").join(relative)
}

/// All documented values, in the order of the file.
pub fn documented() -> Vec<Documented> {
    let text = std::fs::read_to_string(file("values.yaml")).expect("the chart has values");
    let values: Value = serde_saphyr::from_str(&text).expect("the chart's values are YAML");
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut comment = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(first) = line.strip_prefix("# -- ") {
            comment = first.to_owned();
            continue;
        }
        let Some((key, _)) = line.split_once(':').filter(|_| !line.starts_with(['#', '-'])) else { continue };
        above.retain(|(other, _)| *other < indent);
        above.push((indent, key.to_owned()));
        let path: Vec<&str> = above.iter().map(|(_, key)| key.as_str()).collect();
        if !comment.is_empty() {
            let default = path.iter().fold(&values, |value, key| &value[*key]).clone();
            found.push(Documented { path: path.join("."), text: std::mem::take(&mut comment), default });
        }
    }
    found
}
