//! Bytes to documents, cut where kubectl cuts them.
//!
//! What begins with `{` kubectl reads as JSON values, one after the other for as long as they are JSON, and the rest as
//! YAML that is cut at each line that begins with `---`, before any YAML parser sees it.

use serde::de::IgnoredAny;

use super::problem::{Position, Problem};

/// One document's text, and where it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The text.
    pub text: String,
    /// Where its first character is.
    pub start: Position,
    /// JSON knows escapes that YAML as kubectl reads it does not, and the other way round.
    pub json: bool,
}

impl Document {
    /// The place in the file of a line, from 1, and a column, from 0, of the document.
    pub fn at(&self, line: usize, column: usize) -> Position {
        let before = if line <= 1 { self.start.column - 1 } else { 0 };
        Position { line: self.start.line + line.max(1) - 1, column: column + before + 1 }
    }

    /// The place in the file of a byte of the document.
    pub fn place(&self, text: &str, offset: usize) -> Position {
        advanced(self.start, &text[..offset])
    }
}

/// The text of a file as kubectl decodes it: by its byte order mark, else as UTF-8 in which wrong bytes are replaced.
/// True: some were.
pub fn decode(bytes: &[u8]) -> (String, bool) {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks(2).map(|pair| unit([pair[0], pair.get(1).copied().unwrap_or_default()]));
        let text = String::from_utf16_lossy(&units.collect::<Vec<_>>());
        let replaced = text.contains('\u{fffd}');
        (text, replaced)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => match String::from_utf8_lossy(rest) {
            std::borrow::Cow::Borrowed(text) => (text.to_owned(), false),
            std::borrow::Cow::Owned(text) => (text, true),
        },
    }
}

/// Of one file.
pub const MAX_DOCUMENTS: usize = 10_000;

/// The documents of a file, at most [`MAX_DOCUMENTS`] of them; what cannot be one is a problem and hides none of the others.
pub fn split(text: &str, problems: &mut Vec<Problem>) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut offset = 0;
    let mut start = Position::START;
    if text.trim_start().starts_with('{') {
        loop {
            let rest = &text[offset..];
            let skipped = rest.len() - rest.trim_start().len();
            let at = advanced(start, &rest[..skipped]);
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
            match values.next() {
                None => return documents,
                Some(_) if documents.len() == MAX_DOCUMENTS => {
                    problems.push(too_many(at));
                    return documents;
                }
                Some(Ok(_)) => {
                    let end = values.byte_offset();
                    let value = &rest[skipped..end];
                    documents.push(Document { text: value.to_owned(), start: at, json: true });
                    start = advanced(at, value);
                    offset += end;
                }
                Some(Err(error)) if documents.len() > 1 => {
                    let what = format!("after two JSON documents only JSON can follow: {error}");
                    problems.push(Problem::new(at, "", what));
                    return documents;
                }
                Some(Err(_)) => break,
            }
        }
        // The white space after a JSON document belongs to no document, up to the end of its line.
        let rest = &text[offset..];
        let blank = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let blank = rest[..blank].find('\n').map_or(blank, |line| line + 1);
        start = advanced(start, &rest[..blank]);
        offset += blank;
    }
    yaml(&text[offset..], start, &mut documents, problems);
    if let Some(first) = documents.get(MAX_DOCUMENTS) {
        problems.push(too_many(first.start));
        documents.truncate(MAX_DOCUMENTS);
    }
    documents
}

fn too_many(at: Position) -> Problem {
    Problem::new(at, "", format!("more than {MAX_DOCUMENTS} documents; the rest is not read"))
}

fn yaml(text: &str, mut start: Position, documents: &mut Vec<Document>, problems: &mut Vec<Problem>) {
    let mut current = String::new();
    for (line, part) in (start.line..).zip(text.split_inclusive('\n')) {
        if let Some(after) = part.strip_prefix("---") {
            if !current.is_empty() {
                documents.push(Document { text: std::mem::take(&mut current), start, json: false });
            }
            let after = after.trim();
            if !after.is_empty() && !after.starts_with('#') {
                problems.push(
                    Problem::new(
                        Position { line, column: 4 },
                        "",
                        "nothing but a comment may follow `---` on its line",
                    )
                    .hint("begin the document on the next line"),
                );
            }
            start = Position { line: line + 1, column: 1 };
        } else {
            current.push_str(part);
        }
    }
    if !current.is_empty() {
        documents.push(Document { text: current, start, json: false });
    }
}

/// The place after a text that begins at `from`.
fn advanced(from: Position, text: &str) -> Position {
    match text.rfind('\n') {
        Some(last) => Position {
            line: from.line + text.matches('\n').count(),
            column: text[last + 1..].chars().count() + 1,
        },
        None => Position { line: from.line, column: from.column + text.chars().count() },
    }
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
