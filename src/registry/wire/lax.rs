//! Reads a JSON object field by field as the original's models did: integers may come as digits in
//! a string or as 80.0, unknown fields are ignored, and every bad field gets its own entry.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::MAX_BODY;
use crate::registry::body::{self, Unreadable};
use crate::registry::problem::{Invalid, WireError};

/// The object of a request body, and what was wrong with it so far.
pub(super) struct Fields {
    object: Map<String, Value>,
    invalid: Vec<Invalid>,
}

impl Fields {
    /// Reads and parses a body.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Fields, WireError> {
        let bytes = body::read(headers, body, MAX_BODY).await.map_err(|error| match error {
            Unreadable::TooLarge => WireError::Detail(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The body has more than {MAX_BODY} bytes"),
            ),
            Unreadable::Broken => unparsable(),
        })?;
        if bytes.is_empty() {
            return Err(whole_body("missing", "Field required", Value::Null).into());
        }
        let text = String::from_utf8(bytes).map_err(|_| unparsable())?;
        let value = if body::is_json(headers) {
            serde_json::from_str(&text).map_err(|error| not_json(&text, &error))?
        } else {
            Value::String(text)
        };
        match value {
            Value::Object(object) => Ok(Fields { object, invalid: Vec::new() }),
            other => Err(whole_body(
                "model_attributes_type",
                "Input should be a valid dictionary or object to extract fields from",
                other,
            )
            .into()),
        }
    }

    /// A string that must be there, within bounds in characters.
    pub(super) fn text(&mut self, name: &str, least: usize, most: usize) -> String {
        match self.object.get(name).cloned() {
            None => self.missing(name),
            Some(Value::String(text)) => {
                self.check_length(name, &text, least, most);
                return text;
            }
            Some(other) => self.not_a_string(name, other),
        }
        String::new()
    }

    /// As [`Fields::text`], without control characters: ids are shown and logged everywhere.
    pub(super) fn id(&mut self, name: &str, most: usize) -> String {
        let id = self.text(name, 1, most);
        // A zero byte is refused already.
        if id.chars().any(|c| c.is_control() && c != '\0') {
            self.refuse(
                name,
                "value_error",
                "Value error, control characters are not allowed",
                json!(id),
                None,
            );
        }
        id
    }

    /// An integer within bounds; with a default it may be absent, but not null.
    pub(super) fn integer(&mut self, name: &str, default: Option<u16>, most: u16) -> u16 {
        let input = match (self.object.get(name).cloned(), default) {
            (Some(input), _) => input,
            (None, Some(default)) => return default,
            (None, None) => {
                self.missing(name);
                return 0;
            }
        };
        let number = match to_integer(&input) {
            Ok(number) => number,
            Err((kind, msg)) => {
                self.refuse(name, kind, msg, input, None);
                return 0;
            }
        };
        if number < 1 {
            let msg = "Input should be greater than or equal to 1";
            let ctx = Some(json!({ "ge": 1 }));
            self.refuse(name, "greater_than_equal", msg, input, ctx);
            return 0;
        }
        match u16::try_from(number) {
            Ok(number) if number <= most => number,
            _ => {
                let msg = format!("Input should be less than or equal to {most}");
                let ctx = Some(json!({ "le": most }));
                self.refuse(name, "less_than_equal", &msg, input, ctx);
                0
            }
        }
    }

    /// A string, null, nothing, or an object, which becomes its JSON text.
    pub(super) fn metadata(&mut self, name: &str, most: usize) -> Option<String> {
        let text = match self.object.get(name).cloned()? {
            Value::Null => return None,
            Value::String(text) => text,
            object @ Value::Object(_) => object.to_string(),
            other => {
                self.not_a_string(name, other);
                return None;
            }
        };
        self.check_length(name, &text, 0, most);
        Some(text)
    }

    /// Everything that was wrong, if anything was.
    pub(super) fn finish(self) -> Result<(), WireError> {
        if self.invalid.is_empty() { Ok(()) } else { Err(WireError::Invalid(self.invalid)) }
    }

    fn missing(&mut self, name: &str) {
        let input = Value::Object(self.object.clone());
        self.refuse(name, "missing", "Field required", input, None);
    }

    fn not_a_string(&mut self, name: &str, input: Value) {
        self.refuse(name, "string_type", "Input should be a valid string", input, None);
    }

    fn check_length(&mut self, name: &str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length < least {
            let msg = format!("String should have at least {least} character");
            let ctx = Some(json!({ "min_length": least }));
            self.refuse(name, "string_too_short", &msg, json!(text), ctx);
        } else if length > most {
            let msg = format!("String should have at most {most} characters");
            let ctx = Some(json!({ "max_length": most }));
            self.refuse(name, "string_too_long", &msg, json!(text), ctx);
        } else if text.contains('\0') {
            // PostgreSQL cannot keep one, and no record should depend on the store.
            let msg = "Value error, zero bytes are not allowed";
            self.refuse(name, "value_error", msg, json!(text), None);
        }
    }

    fn refuse(&mut self, name: &str, kind: &'static str, msg: &str, input: Value, ctx: Option<Value>) {
        self.invalid.push(Invalid {
            kind,
            loc: vec![json!("body"), json!(name)],
            msg: msg.to_owned(),
            input,
            ctx,
        });
    }
}

/// An integer as pydantic's lax mode takes it. What is beyond `i64` ends at its edge, which is out
/// of every bound.
fn to_integer(input: &Value) -> Result<i64, (&'static str, &'static str)> {
    match input {
        Value::Bool(yes) => Ok(i64::from(*yes)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(integer),
            // `as` saturates, as wanted.
            #[expect(clippy::cast_possible_truncation, reason = "saturating is wanted")]
            (None, Some(float)) if float.fract() == 0.0 => Ok(float as i64),
            _ => Err((
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            )),
        },
        Value::String(text) => parse_integer(text.trim())
            .ok_or(("int_parsing", "Input should be a valid integer, unable to parse string as an integer")),
        _ => Err(("int_type", "Input should be a valid integer")),
    }
}

/// Digits with a sign, single underscores between them, and a fraction of zeros.
fn parse_integer(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let (negative, digits) = match whole.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, whole.strip_prefix('+').unwrap_or(whole)),
    };
    let parts: Vec<&str> = digits.split('_').collect();
    if !parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let magnitude = parts.concat().parse::<i64>().unwrap_or(i64::MAX);
    Some(if negative { -magnitude } else { magnitude })
}

fn whole_body(kind: &'static str, msg: &str, input: Value) -> Invalid {
    Invalid { kind, loc: vec![json!("body")], msg: msg.to_owned(), input, ctx: None }
}

fn unparsable() -> WireError {
    WireError::Detail(StatusCode::BAD_REQUEST, "There was an error parsing the body".to_owned())
}

/// The second part of `loc` is the character at which parsing stopped.
fn not_json(text: &str, error: &serde_json::Error) -> Invalid {
    let before: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(|line| line.chars().count())
        .sum();
    let column = if error.is_eof() { error.column() } else { error.column().saturating_sub(1) };
    Invalid {
        kind: "json_invalid",
        loc: vec![json!("body"), json!(before + column)],
        msg: "JSON decode error".to_owned(),
        input: json!({}),
        ctx: Some(json!({ "error": error.to_string() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What pydantic 2 takes for an integer in lax mode.
    #[test]
    fn integers_are_read_as_the_original_read_them() {
        for (input, expected) in [
            (json!(8001), Ok(8001)),
            (json!("8001"), Ok(8001)),
            (json!(" 8001 "), Ok(8001)),
            (json!("+1_000"), Ok(1000)),
            (json!("80.0"), Ok(80)),
            (json!(80.0), Ok(80)),
            (json!(1e300), Ok(i64::MAX)),
            (json!(true), Ok(1)),
            (json!("-5"), Ok(-5)),
            (json!(80.5), Err("int_from_float")),
            (json!("80.5"), Err("int_parsing")),
            (json!("1__0"), Err("int_parsing")),
            (json!("0x10"), Err("int_parsing")),
            (json!(""), Err("int_parsing")),
            (json!(null), Err("int_type")),
            (json!([1]), Err("int_type")),
        ] {
            let read = to_integer(&input).map_err(|(kind, _)| kind);
            assert_eq!(read, expected, "{input}");
        }
    }
}
