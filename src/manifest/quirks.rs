//! Where kubectl's YAML parser and ours differ, in the text itself.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What Go's YAML reader lets through.
pub fn printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Escapes of JSON that YAML 1.1 does not have: a slash, and half a character.
pub fn foreign_escape(quoted: &str) -> Option<&str> {
    let mut rest = quoted;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at..];
        let code = escape.get(2..6).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let half = escape.starts_with("\\u") && code.is_some_and(|code| (0xd800..0xe000).contains(&code));
        if escape.starts_with("\\/") || half {
            return escape.get(..if half { 6 } else { 2 });
        }
        rest = escape.get(2..).unwrap_or_default();
    }
    None
}

/// JSON writes characters beyond the first 65,536 as two escapes, which YAML does not know.
pub fn surrogates_joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        joined.push_str(&rest[..at]);
        let unit = |escape: &str| {
            escape.strip_prefix("\\u").and_then(|hex| u16::from_str_radix(hex.get(..4)?, 16).ok())
        };
        let pair = unit(&rest[at..]).zip(rest.get(at + 6..).and_then(unit));
        let character = pair.and_then(|(high, low)| char::decode_utf16([high, low]).next()?.ok());
        let length = if let Some(character) = character.filter(|c| u32::from(*c) > 0xffff) {
            joined.push(character);
            12
        } else {
            // A backslash and what it escapes: one character, or the `u` of an escape.
            let escaped = rest[at + 1..].chars().next().map_or(0, char::len_utf8);
            joined.push_str(&rest[at..=at + escaped]);
            1 + escaped
        };
        rest = &rest[at + length..];
    }
    joined + rest
}

/// A tab where only spaces may indent. Our parser takes some of them, kubectl's takes none.
static TAB: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)^ *(?:- +)*-?\t").expect("a constant"));

/// The first tab that indents, outside of the ranges in which it may: scalars and flow collections.
pub fn indenting_tab(text: &str, free: Vec<Range<usize>>) -> Option<usize> {
    let free = merged(free);
    let is_free = |at: usize| {
        free[..free.partition_point(|range| range.start <= at)].last().is_some_and(|range| at < range.end)
    };
    TAB.find_iter(text).find(|tab| !is_free(tab.start())).map(|tab| tab.end() - 1)
}

/// The lines of a block scalar in which a tab is content: those that are indented as far as its first one.
pub fn block_lines(text: &str, scalar: &Range<usize>) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut indent = None;
    let mut start = text[..scalar.start].rfind('\n').map_or(0, |at| at + 1);
    for line in text[start..scalar.end].split_inclusive('\n') {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        if indent.is_none() && !line.trim().is_empty() {
            indent = Some(spaces);
        }
        if indent.is_some_and(|indent| spaces >= indent) {
            lines.push(start..start + line.len());
        }
        start += line.len();
    }
    lines
}

/// The same text, every tab before the first word of a line a space; `None` without any.
pub fn tabs_as_spaces(text: &str) -> Option<String> {
    static LEADING: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^[ \t]*\t[ \t]*").expect("a constant"));
    LEADING.is_match(text).then(|| {
        LEADING.replace_all(text, |found: &regex::Captures<'_>| " ".repeat(found[0].len())).into_owned()
    })
}

/// Ranges of which none overlaps another, in order.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut().filter(|last| range.start < last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => merged.push(range),
        }
    }
    merged
}
