//! JSON and YAML.

use std::fmt::Write as _;

use serde::Serialize;

use super::text::harmful;
use crate::cli::{CliError, Code};

/// JSON, on several lines for people. What would act on a terminal is escaped: the value is the same.
pub fn json(value: &impl Serialize, pretty: bool) -> Result<String, CliError> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map(|text| escape(&text) + "\n").map_err(|e| bug(&e.to_string()))
}

/// YAML. Where a text turns what is read around (the emitter leaves that as it is), the whole document
/// is in YAML's other form, which is JSON.
pub fn yaml(value: &impl Serialize) -> Result<String, CliError> {
    let value = serde_json::to_value(value).map_err(|e| bug(&e.to_string()))?;
    let text = serde_saphyr::to_string(&value).map_err(|e| bug(&e.to_string()))?;
    if text.chars().any(|c| harmful(c) && c != '\n') { json(&value, true) } else { Ok(text) }
}

fn bug(cause: &str) -> CliError {
    CliError::new(Code::Internal, "cannot write the answer").cause(cause)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Line breaks are the document's own: those of a text are escaped already.
        if harmful(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                write!(out, "\\u{unit:04x}").ok();
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json as value};

    use super::*;

    #[test]
    fn json_and_yaml_read_back_and_hold_nothing_that_acts_on_a_terminal() {
        let hostile = value!({
            "a": "\u{1b}[31m\u{7}\n\u{9b}31m", "b": "x\u{202e}y\u{200b}", "c": ["plain", 1, true, null],
            "d": "line\nline\n", "\u{1b}key": "\u{7f}", "e": "null", "f": "a: b # c", "g": "\u{85}",
        });
        for pretty in [true, false] {
            let text = json(&hostile, pretty).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), hostile);
            assert!(!text.chars().any(|c| harmful(c) && c != '\n'), "{text:?}");
        }
        let text = yaml(&hostile).unwrap();
        assert!(!text.chars().any(|c| harmful(c) && c != '\n'), "{text:?}");
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), hostile, "{text}");
        let control = value!({"a": "\u{1b}[31m\n\u{9b}", "b": ["x"]});
        let text = yaml(&control).unwrap();
        assert!(text.contains("b:\n- x"), "{text}");
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), control, "{text}");
    }
}
