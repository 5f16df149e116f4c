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
    let mut files: Vec<String> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(str::to_owned).into();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = read(&file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") && !link.starts_with('#') {
                let target = root.join(&file).parent().unwrap().join(link.split('#').next().unwrap());
                assert!(target.exists(), "{file}: {link}");
            }
        }
    }
}

/// Rows of the table of `docs/TASKS.md`: id, requirement, status, evidence.
fn tasks() -> Vec<[String; 4]> {
    let text = read("docs/TASKS.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ID"));
    rows.map(|line| {
        let cells: Vec<String> =
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("four cells: {cells:?}"))
    })
    .collect()
}

/// S10: the original's list said of one requirement that it was complete, partial and deferred.
#[test]
fn s10_every_requirement_has_one_status_and_what_is_done_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = tasks();
    assert!(rows.len() >= 15, "{}", rows.len());
    let mut seen = BTreeSet::new();
    for [id, requirement, status, evidence] in &rows {
        assert!(seen.insert(id.clone()), "{id} has two rows");
        match status.as_str() {
            "done" | "partly" => {
                let tests: Vec<&str> = evidence.split('`').skip(1).step_by(2).collect();
                assert!(!tests.is_empty(), "{id} ({requirement}) names no test");
                for test in tests {
                    let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{id}: {test}"));
                    let text =
                        std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
                    assert!(text.contains(&format!("fn {name}(")), "{id}: there is no test {test}");
                }
            }
            "open" => assert!(!evidence.is_empty(), "{id} says nothing of what is missing"),
            other => panic!("{id}: {other} is not one of done, partly, open"),
        }
    }
    let text = read("docs/TASKS.md");
    for word in ["deferred", "TODO", "TBD"] {
        assert!(!text.contains(word), "one table, one status: {word}");
    }
}
