//! Which agents a reader asks for: conditions on metadata, as the original project compares them.
//!
//! All conditions hold (AND). A key is a path with dots. Between two texts `*` matches any run of
//! characters; with a `*` in it, `?` and `[a-z]` work as well, as in the shell. A list on one side
//! contains the other side, two lists share an element. Everything else is equality, in which `true`
//! is 1 and 1 is 1.0, as in the language that the original is written in.

use serde_json::{Map, Value};

/// Longest text of one filter, in bytes.
const MAX_TEXT: usize = 16 * 1024;
/// Most conditions.
const MAX_CONDITIONS: usize = 64;

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// Neither JSON nor pairs.
    #[error("{0}")]
    Text(String),
    /// A key without a value.
    #[error("`{key}` has no value: {text}")]
    NoValue {
        /// The key.
        key: String,
        /// What was given.
        text: String,
    },
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    key: String,
    /// Any of these: a value of a pair is a text, and what it is in JSON where that is no text.
    expected: Vec<Value>,
}

/// Conditions that all hold. The default asks for everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Adds conditions: a JSON object, or pairs `key=value` with commas between them.
    ///
    /// # Errors
    /// When it is neither.
    pub fn add(&mut self, text: &str) -> Result<(), BadFilter> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(BadFilter::Text(format!("longer than {MAX_TEXT} bytes")));
        }
        if text.starts_with('{') {
            let object: Map<String, Value> =
                serde_json::from_str(text).map_err(|error| bad_json(text, &error))?;
            let condition = |(key, value)| Condition { key, expected: vec![value] };
            self.conditions.extend(object.into_iter().map(condition));
        } else {
            for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
                self.add_pair(pair)?;
            }
        }
        if self.conditions.len() > MAX_CONDITIONS {
            return Err(BadFilter::Text(format!("more than {MAX_CONDITIONS} conditions")));
        }
        Ok(())
    }

    /// Adds one condition `key=value`; a comma belongs to the value.
    ///
    /// # Errors
    /// Without a key or a value.
    pub fn add_pair(&mut self, pair: &str) -> Result<(), BadFilter> {
        let no_value = |key: &str| BadFilter::NoValue { key: short(key), text: short(pair) };
        let Some((key, value)) = pair.split_once('=') else { return Err(no_value(pair.trim())) };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err(BadFilter::Text(format!("a value without a key: {}", short(pair))));
        }
        if value.is_empty() {
            return Err(no_value(key));
        }
        let mut expected = vec![Value::String(value.to_owned())];
        expected.extend(
            serde_json::from_str::<Value>(value)
                .ok()
                .filter(|value| value.is_number() || value.is_boolean() || value.is_null()),
        );
        self.conditions.push(Condition { key: key.to_owned(), expected });
        Ok(())
    }

    /// Do all conditions hold? Each key is looked for in the objects one after the other; the first
    /// one that has its first part decides.
    pub fn matches(&self, layers: &[&Map<String, Value>]) -> bool {
        self.conditions.iter().all(|condition| {
            let actual = find(layers, &condition.key);
            condition.expected.iter().any(|expected| holds(actual, expected))
        })
    }
}

fn short(text: &str) -> String {
    let mut short: String = text.trim().chars().take(120).collect();
    if short.len() < text.trim().len() {
        short.push('…');
    }
    short
}

fn bad_json(text: &str, error: &serde_json::Error) -> BadFilter {
    // `{"capability":}`: the key before the place where a value was expected.
    let read = if error.is_eof() { text.chars().count() } else { error.column().saturating_sub(1) };
    let before: String = text.chars().take(read).collect();
    let key = before.trim_end().strip_suffix(':').and_then(|rest| rest.trim_end().strip_suffix('"'));
    match key.and_then(|rest| rest.rsplit('"').next()) {
        Some(key) if error.line() == 1 => BadFilter::NoValue { key: short(key), text: short(text) },
        _ => BadFilter::Text(format!("{error}: {}", short(text))),
    }
}

/// The value at a path; what is missing is null.
fn find<'a>(layers: &[&'a Map<String, Value>], key: &str) -> &'a Value {
    const NOTHING: &Value = &Value::Null;
    for layer in layers {
        if let Some(value) = layer.get(key) {
            return value;
        }
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| layer.get(part));
        if let Some(first) = first {
            return parts.try_fold(first, |value, part| value.as_object()?.get(part)).unwrap_or(NOTHING);
        }
    }
    NOTHING
}

fn holds(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::String(actual), Value::String(pattern)) if pattern.contains('*') => {
            Glob::new(pattern).matches(actual)
        }
        (Value::String(_), Value::Array(any)) => contains(any, actual),
        (Value::Array(list), Value::String(_)) => contains(list, expected),
        (Value::Array(list), Value::Array(any)) => any.iter().any(|item| contains(list, item)),
        _ => equal(actual, expected),
    }
}

fn contains(list: &[Value], item: &Value) -> bool {
    list.iter().any(|other| equal(other, item))
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

/// Numbers and truth values on one line.
#[derive(PartialEq)]
enum Number {
    Whole(i128),
    Broken(f64),
}

#[allow(clippy::cast_possible_truncation, reason = "a whole number in the range that the guard names")]
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(truth) => Some(Number::Whole(i128::from(*truth))),
        Value::Number(number) => {
            let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            whole.map(Number::Whole).or_else(|| {
                let float = number.as_f64()?;
                let whole = float.fract() == 0.0 && float.abs() < 1e38;
                Some(if whole { Number::Whole(float as i128) } else { Number::Broken(float) })
            })
        }
        _ => None,
    }
}

enum Piece {
    Run,
    One,
    Is(char),
    In { not: bool, ranges: Vec<(char, char)> },
}

/// A shell pattern.
struct Glob(Vec<Piece>);

impl Glob {
    fn new(pattern: &str) -> Glob {
        let text: Vec<char> = pattern.chars().collect();
        let (mut pieces, mut at) = (Vec::new(), 0);
        while let Some(&c) = text.get(at) {
            at += 1;
            pieces.push(match c {
                '*' => Piece::Run,
                '?' => Piece::One,
                '[' => match Glob::class(&text, at) {
                    Some((class, next)) => {
                        at = next;
                        class
                    }
                    None => Piece::Is('['),
                },
                c => Piece::Is(c),
            });
        }
        Glob(pieces)
    }

    /// What follows a `[`; `None` when it is not closed.
    fn class(text: &[char], from: usize) -> Option<(Piece, usize)> {
        let not = text.get(from) == Some(&'!');
        let start = from + usize::from(not);
        // A bracket that comes first is one of the characters.
        let end = start + 1 + text.get(start + 1..)?.iter().position(|c| *c == ']')?;
        let (inside, mut ranges, mut at) = (&text[start..end], Vec::new(), 0);
        while let Some(&low) = inside.get(at) {
            if let (Some('-'), Some(&high)) = (inside.get(at + 1), inside.get(at + 2)) {
                ranges.push((low, high));
                at += 3;
            } else {
                ranges.push((low, low));
                at += 1;
            }
        }
        Some((Piece::In { not, ranges }, end + 1))
    }

    /// Only the last `*` is ever tried again: at most pattern × text steps.
    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut piece, mut at, mut back) = (0, 0, None);
        while at < text.len() {
            let one = match self.0.get(piece) {
                Some(Piece::Run) => {
                    back = Some((piece, at));
                    piece += 1;
                    continue;
                }
                Some(Piece::One) => true,
                Some(Piece::Is(c)) => *c == text[at],
                Some(Piece::In { not, ranges }) => {
                    ranges.iter().any(|(low, high)| (*low..=*high).contains(&text[at])) != *not
                }
                None => false,
            };
            if one {
                piece += 1;
                at += 1;
            } else if let Some((run, from)) = back {
                back = Some((run, from + 1));
                piece = run + 1;
                at = from + 1;
            } else {
                return false;
            }
        }
        self.0[piece..].iter().all(|piece| matches!(piece, Piece::Run))
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
