//! What a YAML scalar means to kubectl: YAML 1.1 as Go's `yaml.v2` has it, then what JSON makes of it.

use serde_json::Number;

/// A scalar's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `null`, `~`, or nothing.
    Null,
    /// `true`, `yes`, `on`, `y` and their opposites.
    Bool(bool),
    /// A number; one without a fraction is a whole one, however it was written.
    Number(Number),
    /// Everything else.
    Text(String),
    /// `<<` as a key.
    Merge,
}

/// The value of a plain scalar.
///
/// # Errors
/// For what JSON cannot say: infinity and "not a number".
pub fn plain(text: &str) -> Result<Scalar, String> {
    Ok(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return Err(format!("{text} is no number that JSON knows")),
        "<<" => Scalar::Merge,
        _ => number(text).map_or_else(|| Scalar::Text(text.to_owned()), Scalar::Number),
    })
}

/// The value of a scalar with one of YAML's own tags, such as `!!int "5"`; any other tag means text
/// (`!!binary` too: nothing of ours is binary).
///
/// # Errors
/// When the text is not of that type.
pub fn tagged(tag: &str, text: &str) -> Result<Scalar, String> {
    let value = match tag {
        "bool" | "int" | "float" | "null" => plain(text)?,
        _ => return Ok(Scalar::Text(text.to_owned())),
    };
    let fits = match (&value, tag) {
        (Scalar::Bool(_), "bool") | (Scalar::Null, "null") | (Scalar::Number(_), "float") => true,
        (Scalar::Number(number), "int") => number.is_i64() || number.is_u64(),
        _ => false,
    };
    if fits { Ok(value) } else { Err(format!("`{text}` is not of type !!{tag}")) }
}

fn number(text: &str) -> Option<Number> {
    let first = text.chars().next()?;
    if first == '.' {
        return float(text);
    }
    if !first.is_ascii_digit() && !"+-".contains(first) {
        return None;
    }
    let digits = text.replace('_', "");
    whole(&digits).or_else(|| float(&digits))
}

/// Go's `ParseInt(text, 0, 64)`: a sign, then a prefix of the base; a leading 0 means octal.
fn whole(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (digits, base) = if let Some(digits) = lower.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (digits, 8)
    } else if let Some(digits) = lower.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        (digits, 8)
    } else {
        (lower.as_str(), 10)
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    if negative {
        return i64::from_str_radix(&format!("-{digits}"), base).ok().map(Number::from);
    }
    u64::from_str_radix(digits, base).ok().map(|number| match i64::try_from(number) {
        Ok(number) => Number::from(number),
        Err(_) => Number::from(number),
    })
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`; a whole one comes out as JSON prints it.
fn float(text: &str) -> Option<Number> {
    let allowed = text.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    let value: f64 = text.parse().ok().filter(|_| allowed)?;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^63")]
    if value.fract() == 0.0 && value.abs() < 9.2e18 {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
#[path = "scalar_tests.rs"]
mod tests;
