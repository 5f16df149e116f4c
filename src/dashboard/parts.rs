//! Pieces that several pages have: status words with their shapes, counts, the address of a page.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use super::{Site, text};
use crate::domain::{EndpointId, StatusWord};

/// Endpoints of each word, as of a version of the view.
#[derive(Clone, Debug)]
pub struct Counts {
    version: u64,
    /// Every word is in it.
    pub words: BTreeMap<StatusWord, usize>,
}

impl Site {
    /// Counted once per version, however many streams and pages ask.
    pub(super) fn counts(&self) -> BTreeMap<StatusWord, usize> {
        let mut kept = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let version = self.shown.view.version();
        if let Some(counts) = kept.as_ref().filter(|counts| counts.version == version) {
            return counts.words.clone();
        }
        let mut words: BTreeMap<StatusWord, usize> = StatusWord::ALL.map(|word| (word, 0)).into();
        for row in self.shown.view.rows().values() {
            *words.entry(row.word).or_default() += 1;
        }
        *kept = Some(Counts { version, words: words.clone() });
        words
    }
}

/// A word in small letters: classes, ids and URLs.
pub fn lower(word: StatusWord) -> &'static str {
    match word {
        StatusWord::Ready => "ready",
        StatusWord::Degraded => "degraded",
        StatusWord::Failing => "failing",
        StatusWord::Rejected => "rejected",
        StatusWord::Unknown => "unknown",
        StatusWord::Paused => "paused",
    }
}

/// Each word's own outline, and its mark inside: told apart without colour.
pub const fn shape(word: StatusWord) -> (&'static str, &'static str) {
    match word {
        StatusWord::Ready => (r#"<circle cx="8" cy="8" r="7"/>"#, "M4.7 8.3l2.2 2.3 4.3-5"),
        StatusWord::Degraded => (r#"<path d="M8 .8l7.6 14H.4z"/>"#, "M8 6v4.2M8 12.2v.9"),
        StatusWord::Failing => {
            (r#"<path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z"/>"#, "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2")
        }
        StatusWord::Rejected => (r#"<path d="M8 .3L15.7 8 8 15.7.3 8z"/>"#, "M5 8h6"),
        StatusWord::Unknown => (
            r#"<circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6"/>"#,
            "M6 6.4c.2-2.4 4-2.2 4 .1 0 1.4-2 1.5-2 2.9M8 11.2v.7",
        ),
        StatusWord::Paused => (r#"<rect x="1" y="1" width="14" height="14" rx="1.5"/>"#, "M6 5v6M10 5v6"),
    }
}

/// The six shapes, once per page.
pub fn sprite() -> Markup {
    html! {
        svg.sprite aria-hidden="true" focusable="false" width="0" height="0" {
            @for word in StatusWord::ALL {
                @let (outline, mark) = shape(word);
                symbol id={ "i-" (lower(word)) } viewBox="0 0 16 16" {
                    (PreEscaped(outline))
                    path.mark.own[word == StatusWord::Unknown] d=(mark) {}
                }
            }
        }
    }
}

/// Shape and word.
pub fn status(word: StatusWord) -> Markup {
    html! { span class={ "st st-" (lower(word)) } { (icon(word)) (word) } }
}

/// The shape alone, for where the word stands beside it.
pub fn icon(word: StatusWord) -> Markup {
    html! { svg.i aria-hidden="true" focusable="false" { use href={ "#i-" (lower(word)) } {} } }
}

/// The page of an endpoint, from `/ui/`.
pub fn endpoint_path(id: &EndpointId) -> String {
    format!("endpoints/{}/{}", text::segment(&id.namespace), text::segment(&id.name))
}

/// A command with a button to copy it, where there is a script.
pub fn command(command: &str) -> Markup {
    html! { div.cmd { code data-copy { (text::safe(command, text::LONG)) } } }
}

/// A name as a word of a shell: what somebody copies must not do more than it says.
pub fn word_of_shell(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if plain && !name.starts_with('-') {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// A problem text of the program: what follows `hint:` stands apart, commands as such.
pub fn problem(problem: &str) -> Markup {
    let (what, hint) = problem.split_once("; hint: ").unwrap_or((problem, ""));
    let commands: Vec<&str> = [
        ("CRD is not installed", "configurable-agents crds | kubectl apply --server-side -f -"),
        (
            "orbidden",
            "kubectl auth can-i list agentendpoints.agents.configurable.dev --all-namespaces \
             --as=system:serviceaccount:NAMESPACE:NAME",
        ),
        ("not allowed", "kubectl apply -f deploy/rbac.yaml"),
    ]
    .into_iter()
    .filter(|(sign, _)| problem.contains(sign))
    .map(|(_, command)| command)
    .collect();
    html! {
        (text::long(what)) @if !what.ends_with('.') { "." }
        @if commands.is_empty() && !hint.is_empty() { " " (text::long(hint)) }
        @for line in commands { (command(line)) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_copied_command_does_no_more_than_it_says() {
        for (name, word) in
            [("a-b.c", "a-b.c"), ("a; rm x", "'a; rm x'"), ("a'b", r"'a'\''b'"), ("-n", "'-n'")]
        {
            assert_eq!(word_of_shell(name), word);
        }
    }

    #[test]
    fn each_status_word_has_a_shape_and_a_mark_of_its_own() {
        let outlines: BTreeSet<_> = StatusWord::ALL.iter().map(|word| shape(*word).0).collect();
        let marks: BTreeSet<_> = StatusWord::ALL.iter().map(|word| shape(*word).1).collect();
        assert_eq!((outlines.len(), marks.len()), (6, 6));
    }
}
