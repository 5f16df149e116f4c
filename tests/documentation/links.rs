//! Links between documents lead somewhere, to the very heading.

use std::collections::BTreeMap;

use crate::support::console::{documents, read, repository};

/// The text without what is code, where a bracket is a bracket.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            // Every second piece is code; what has backticks in it is between double ones.
            for piece in line.split("``").step_by(2) {
                prose.extend(piece.split('`').step_by(2));
            }
            prose.push('\n');
        }
    }
    prose
}

/// What a git host makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The anchors of a page; of headings that are there twice the second has a `-1`.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if !inside && heading.len() < line.len() && heading.starts_with(' ') {
            let anchor = anchor(heading);
            let times = seen.entry(anchor.clone()).or_default();
            found.push(if *times == 0 { anchor.clone() } else { format!("{anchor}-{times}") });
            *times += 1;
        }
    }
    found
}

fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let images = prose.split("srcset=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.chain(images).map(str::to_owned).collect()
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let pages = documents();
    assert!(pages.len() > 10, "{pages:?}");
    let mut broken = Vec::new();
    for page in &pages {
        for link in links(&read(page)) {
            if link.starts_with("http") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let folder = repository().join(page);
            let target = if path.is_empty() { folder } else { folder.parent().unwrap().join(path) };
            if !target.exists() {
                broken.push(format!("{page}: {link}: no such file"));
            } else if !heading.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                if !anchors(&text).iter().any(|anchor| anchor == heading) {
                    broken.push(format!("{page}: {link}: no such heading"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// From `docs/index.md`, or from the list in its own folder.
#[test]
fn every_page_can_be_reached_from_the_index() {
    let mut missing = Vec::new();
    for page in documents() {
        let Some(path) = page.strip_prefix("docs/").filter(|path| *path != "index.md") else { continue };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let list = format!("docs/{folder}/README.md");
        let listed = repository().join(&list).exists() && links(&read(&list)).iter().any(|link| link == name);
        if !listed && !links(&read("docs/index.md")).iter().any(|link| link == path) {
            missing.push(page);
        }
    }
    assert!(missing.is_empty(), "docs/index.md leads to none of {missing:?}");
}

/// A code block with `<!-- file: PATH -->` above it is that file.
#[test]
fn a_file_that_a_page_shows_is_the_file_of_the_repository() {
    let mut shown = 0;
    for page in documents() {
        let text = read(&page);
        for rest in text.split("<!-- file: ").skip(1) {
            let (path, rest) = rest.split_once(" -->").unwrap();
            let block = rest.split_once("```").unwrap().1.split_once('\n').unwrap().1;
            let block = block.split("```").next().unwrap();
            assert_eq!(block, read(path), "{page} shows {path} otherwise than it is");
            shown += 1;
        }
    }
    assert!(shown > 0, "no page shows a file");
}

#[test]
fn anchors_are_made_as_git_hosts_make_them() {
    let text = "# A `b` c-d\n```\n# no\n```\n## What (and why)?\n## What (and why)?\n#no\n";
    assert_eq!(anchors(text), ["a-b-c-d", "what-and-why", "what-and-why-1"]);
    assert_eq!(links("[a](b.md#c) `[x](y)` `` [`](z) ``\n```\n[p](q)\n```\n[d](e)"), ["b.md#c", "e"]);
}
