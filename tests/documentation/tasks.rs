//! One table of requirements, and the decisions: what they say is done has a test that exists.

use std::collections::BTreeSet;

use crate::support::console::{documents, read, repository};

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

/// The tests that a text names: `FILE.rs::NAME` between backticks.
fn named(text: &str) -> Vec<(&str, &str)> {
    let code = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    code.filter_map(|code| code.split_once(".rs::").map(|(file, name)| (&code[..file.len() + 3], name)))
        .filter(|(_, name)| !name.is_empty() && !name.contains(' '))
        .collect()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let mut missing = Vec::new();
    let mut found = 0;
    for page in documents() {
        for (file, name) in named(&read(&page)) {
            let text = std::fs::read_to_string(repository().join(file)).unwrap_or_default();
            found += 1;
            if !text.contains(&format!("fn {name}(")) {
                missing.push(format!("{page}: {file}::{name}"));
            }
        }
    }
    assert!(found > 30, "{found}");
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
}

#[test]
fn the_decision_on_the_registry_names_a_test_for_each_of_the_ten_defects_and_puts_nothing_off() {
    let text = read("docs/adr/ADR-020-agent-registry.md");
    for number in 1..=10 {
        let row = text.lines().find(|line| line.starts_with(&format!("| S{number} |")));
        let tests = named(row.unwrap_or_else(|| panic!("S{number} has no row")));
        let prefix = format!("s{number}_");
        assert!(tests.iter().any(|(_, name)| name.starts_with(&prefix)), "S{number}: {tests:?}");
    }
    for word in ["deferred", "TODO", "TBD"] {
        assert!(!text.contains(word), "{word}");
    }
}

/// S10: the original's list said of one requirement that it was complete, partial and deferred.
#[test]
fn s10_every_requirement_has_one_status_and_what_is_done_has_a_test_that_exists() {
    let rows = tasks();
    assert!(rows.len() >= 15, "{}", rows.len());
    let mut seen = BTreeSet::new();
    for [id, requirement, status, evidence] in &rows {
        assert!(seen.insert(id.clone()), "{id} has two rows");
        match status.as_str() {
            "done" | "partly" => {
                assert!(!named(evidence).is_empty(), "{id} ({requirement}) names no test");
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
