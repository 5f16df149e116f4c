//! Label selectors as kubectl takes them: `a=b,c!=d,e in (f,g),h,!i`.

use std::collections::BTreeSet;

use kube::core::{Expression, Selector};

/// Reads a selector.
///
/// # Errors
/// With what is wrong, for people.
pub fn parse(text: &str) -> Result<Selector, String> {
    let mut rest = text;
    let mut expressions = Vec::new();
    while !rest.trim().is_empty() {
        // A comma inside parentheses does not end a requirement.
        let mut depth = 0_i32;
        let end = rest
            .char_indices()
            .find(|(_, c)| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                *c == ',' && depth == 0
            })
            .map_or(rest.len(), |(at, _)| at);
        expressions.push(requirement(rest[..end].trim())?);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Ok(expressions.into_iter().collect())
}

fn requirement(text: &str) -> Result<Expression, String> {
    let key = |text: &str| {
        let text = text.trim();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if text.is_empty() || !text.chars().all(allowed) {
            return Err(format!("`{text}` is not a label's key"));
        }
        Ok(text.to_owned())
    };
    let value = |text: &str| {
        let text = text.trim();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !text.chars().all(allowed) {
            return Err(format!("`{text}` is not a label's value"));
        }
        Ok(text.to_owned())
    };
    if let Some((name, set)) = text.split_once('(') {
        let Some(set) = set.trim_end().strip_suffix(')') else {
            return Err(format!("`{text}` lacks its closing parenthesis"));
        };
        let values = set.split(',').map(value).collect::<Result<BTreeSet<String>, String>>()?;
        let name = name.trim();
        return match name.rsplit_once(char::is_whitespace) {
            Some((name, "in")) => Ok(Expression::In(key(name)?, values)),
            Some((name, "notin")) => Ok(Expression::NotIn(key(name)?, values)),
            _ => Err(format!("`{text}` is neither KEY in (…) nor KEY notin (…)")),
        };
    }
    if let Some((name, wanted)) = text.split_once("!=") {
        return Ok(Expression::NotEqual(key(name)?, value(wanted)?));
    }
    if let Some((name, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Expression::Equal(key(name)?, value(wanted)?));
    }
    match text.strip_prefix('!') {
        Some(name) => Ok(Expression::DoesNotExist(key(name)?)),
        None => Ok(Expression::Exists(key(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::core::SelectorExt as _;

    use super::*;

    #[test]
    fn requirements_are_read_as_kubectl_reads_them() {
        let labels: BTreeMap<String, String> =
            [("tier", "gold"), ("team/x", "a")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, expected) in [
            ("", true),
            ("tier=gold", true),
            ("tier==gold", true),
            ("tier = silver", false),
            ("tier!=silver", true),
            ("absent!=x", true),
            ("tier in (gold, silver),team/x", true),
            ("tier notin (gold)", false),
            ("!tier", false),
            ("!absent,tier", true),
        ] {
            assert_eq!(parse(text).unwrap().matches(&labels), expected, "{text}");
        }
        for bad in ["=x", "a in (b", "a like (b)", "a=<b>", ",", "a b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
