//! The documents say what the program does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use configurable_agents::domain::{ConditionType, Reason};

fn read(relative: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)).unwrap()
}

/// First cells of the tables of a section: words between backticks.
fn words(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned()))
        .collect()
}

#[test]
fn the_documented_reasons_and_conditions_are_exactly_those_of_the_program() {
    let text = read("docs/reference/conditions.md");
    let (conditions, rest) = text.split_once("## Status words").unwrap();
    let reasons = rest.split_once("## Reasons").unwrap().1.split_once("## Events").unwrap().0;
    let program: BTreeSet<String> = Reason::ALL.iter().map(|r| r.as_str().to_owned()).collect();
    assert_eq!(words(reasons), program);
    let program: BTreeSet<String> = ConditionType::ALL.iter().map(|c| c.as_str().to_owned()).collect();
    assert_eq!(words(conditions), program);
}

#[test]
fn what_to_do_about_a_reason_is_the_same_sentence_in_the_program_and_in_the_documents() {
    let text = read("docs/reference/conditions.md");
    let reasons = text.split_once("## Reasons").unwrap().1.split_once("## Events").unwrap().0;
    for reason in Reason::ALL {
        let row = reasons
            .lines()
            .find(|line| {
                line.starts_with(&format!("| `{reason}` ")) || line.starts_with(&format!("| `{reason}`*"))
            })
            .unwrap_or_else(|| panic!("{reason} has no row"));
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert_eq!(cell, reason.advice(), "{reason}");
        assert!(reason.advice().ends_with('.') && reason.advice().len() > 10, "{reason}");
    }
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec!["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    files.extend([
        "docs/reference/conditions.md",
        "docs/reference/dashboard.md",
        "docs/reference/exit-codes.md",
        "docs/reference/registry-api.md",
    ]);
    for file in files {
        let text = read(file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") && !link.starts_with('#') {
                let target = root.join(file).parent().unwrap().join(link.split('#').next().unwrap());
                assert!(target.exists(), "{file}: {link}");
            }
        }
    }
}
