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
        let Position { line, column } = position(text, offset);
        self.at(line, column - 1)
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

/// The documents of a file; what cannot be one is a problem and hides none of the others.
pub fn split(text: &str, problems: &mut Vec<Problem>) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut offset = 0;
    if !text.trim_start().starts_with('{') {
        yaml(text, 0, &mut documents, problems);
        return documents;
    }
    loop {
        let rest = &text[offset..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            None => return documents,
            Some(Ok(_)) => {
                let end = values.byte_offset();
                let skipped = rest.len() - rest.trim_start().len();
                documents.push(Document {
                    text: rest[skipped..end].to_owned(),
                    start: position(text, offset + skipped),
                    json: true,
                });
                offset += end;
            }
            Some(Err(error)) if documents.len() > 1 => {
                let at = position(text, offset + rest.len() - rest.trim_start().len());
                problems.push(Problem::new(
                    at,
                    "",
                    format!("after two JSON documents only JSON can follow: {error}"),
                ));
                return documents;
            }
            Some(Err(_)) => break,
        }
    }
    // The white space after a JSON document belongs to no document, up to the end of its line.
    let rest = &text[offset..];
    let blank = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
    offset += rest[..blank].find('\n').map_or(blank, |line| line + 1);
    yaml(text, offset, &mut documents, problems);
    documents
}

fn yaml(text: &str, offset: usize, documents: &mut Vec<Document>, problems: &mut Vec<Problem>) {
    let mut start = position(text, offset);
    let mut current = String::new();
    for (line, part) in (start.line..).zip(text[offset..].split_inclusive('\n')) {
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

fn position(text: &str, offset: usize) -> Position {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
