//! Every command of every document is executed by somebody; those that need no cluster here.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::console::{Place, documents, matches, read, repository, steps};
use crate::support::stage::{Stage, each_page};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_without_a_cluster_in_the_documents_prints_what_it_says() {
    let test = "console::every_command_without_a_cluster_in_the_documents_prints_what_it_says";
    each_page(test, &Place::Program, 4, async |page| {
        Stage::new(&[], &[]).run(page, &Place::Program).await;
    })
    .await;
}

#[test]
fn every_console_block_says_who_executes_it_and_that_test_names_the_page() {
    let mut orphans = Vec::new();
    for page in documents() {
        for step in steps(&read(&page)) {
            let at = format!("{page}:{}: {}", step.line, step.command);
            match step.place {
                Some(Place::Program | Place::Cluster) => {}
                Some(Place::Test(test)) => {
                    // By its path, or as the page that has this name.
                    let name = page.rsplit('/').next().unwrap().trim_end_matches(".md");
                    if !repository().join(&test).is_file() || !read(&test).contains(name) {
                        orphans.push(format!("{at}: {test} does not name {page}"));
                    }
                }
                None => orphans.push(format!("{at}: `<!-- console: … -->` is missing above it")),
            }
        }
    }
    assert!(orphans.is_empty(), "{} commands that nobody executes:\n{}", orphans.len(), orphans.join("\n"));
}

#[test]
fn every_manifest_that_a_page_shows_is_valid() {
    let mut shown = 0;
    for page in documents() {
        let text = read(&page);
        let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        for block in blocks.filter(|block| block.contains("kind: AgentEndpoint")) {
            let mut validate = Command::new(env!("CARGO_BIN_EXE_configurable-agents"))
                .args(["validate", "-f", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            validate.stdin.take().unwrap().write_all(block.as_bytes()).unwrap();
            let output = validate.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}: {said}\n{block}");
            shown += 1;
        }
    }
    assert!(shown >= 2, "{shown}");
}

#[test]
fn a_word_with_a_digit_stands_for_any_word_and_all_else_must_be_there() {
    let wanted = ["NAME  READY  AGE".to_owned(), "a True 12s".to_owned()];
    assert!(matches(&wanted, "hint\nNAME   READY   AGE\nb False 3s\na  True   4m\n"));
    assert!(!matches(&wanted, "NAME   READY   AGE\na  False   4m\n"));
    assert!(!matches(&wanted, "a True 1s\nNAME READY AGE\n"));
    assert!(matches(&["a False …".to_owned()], "a False for some reason\n"));
    assert!(!matches(&["a False …".to_owned()], "a\n"));
}

#[test]
fn a_page_is_read_as_a_person_reads_it() {
    let page = "# A\n\n<!-- console: program -->\n\n```console\n$ one \\\n    --two\nsays\n$ cat > f <<'EOF'\n$ x\nEOF\n```\n\
                ## B\n<!-- console: tests/node.rs -->\n```sh\n$ no\n```\n```console\n$ three\n```\n";
    let steps = steps(page);
    let found: Vec<(&str, usize, &[String])> =
        steps.iter().map(|step| (step.command.as_str(), step.section, step.prints.as_slice())).collect();
    assert_eq!(
        found,
        [
            ("one --two", 0, &["says".to_owned()][..]),
            ("cat > f <<'EOF'\n$ x\nEOF", 0, &[][..]),
            ("three", 1, &[][..]),
        ]
    );
    assert_eq!(steps[0].place, Some(Place::Program));
    assert_eq!(steps[2].place, Some(Place::Test("tests/node.rs".to_owned())));
}
