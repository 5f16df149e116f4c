//! The documents say what the program does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod console;
mod generated;
mod links;
mod tasks;

use std::collections::BTreeSet;

use configurable_agents::domain::{ConditionType, Reason};
use support::console::read;

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
fn the_documented_exit_codes_are_exactly_those_of_the_program() {
    let source = read("src/cli/error.rs");
    let codes = source.split_once("pub enum Code {").unwrap().1.split_once('}').unwrap().0;
    let number = |line: &str| line.trim().trim_end_matches(',').split_once(" = ")?.1.parse().ok();
    let mut program: BTreeSet<u8> = codes.lines().filter_map(number).collect();
    assert!(program.len() >= 9, "{program:?}");
    // The second SIGTERM to a server: the shell's number for that, not one of ours.
    program.insert(143);
    let table = read("docs/reference/exit-codes.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let documented: BTreeSet<u8> =
        rows.flat_map(|cell| cell.split(", ")).filter_map(|c| c.parse().ok()).collect();
    assert_eq!(documented, program);
}
