//! The CEL rules of the CRD (`x-kubernetes-validations`), evaluated as the API server does.
//!
//! `kube-cel` has all of Kubernetes' functions, but reads URLs by the browsers' rules where the API server has Go's, and
//! brings a second calendar (chrono). Five functions are all that our rules use; a rule with another one fails the test
//! of its good examples.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, LazyLock};

use cel::extractors::This;
use cel::objects::{Key, Map};
use cel::{Context, Env, Program, Value};
use serde_json::Value as Json;

/// The language with what Kubernetes adds to it, as far as our rules use it.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut language = Env::stdlib();
    let added = language.add_extension(cel::extensions::strings);
    debug_assert!(added.is_ok(), "the extension is registered once");
    Arc::new(language)
});

/// One rule of a schema.
pub struct Rule {
    program: Program,
    /// What is said when it does not hold.
    pub message: String,
    /// The field, below the one that the rule stands at, that the message is about.
    pub field: Option<String>,
    /// It is about a change: there must be an earlier value.
    pub transition: bool,
}

impl Rule {
    /// Makes a rule ready.
    ///
    /// # Errors
    /// When it is no CEL.
    pub fn compile(rule: &Json) -> Result<Rule, String> {
        let source = rule["rule"].as_str().unwrap_or_default();
        let text = |key: &str| rule[key].as_str().map(str::to_owned);
        Ok(Rule {
            program: LANGUAGE.compile(source).map_err(|error| format!("{source}: {error}"))?,
            message: text("message").unwrap_or_else(|| format!("failed rule: {source}")),
            field: text("fieldPath").map(|path| path.trim_start_matches('.').to_owned()),
            transition: source.contains("oldSelf"),
        })
    }

    /// Whether the rule holds of a value, and of what it was before.
    ///
    /// # Errors
    /// When it cannot be evaluated, which for the API server is a refusal too.
    pub fn holds(&self, value: &Json, before: Option<&Json>) -> Result<bool, String> {
        thread_local!(static BASE: Context<'static, 'static> = context());
        BASE.with(|base| {
            let mut context = base.new_inner_scope();
            context.add_variable_from_value("self", convert(value));
            if let Some(before) = before {
                context.add_variable_from_value("oldSelf", convert(before));
            }
            match self.program.execute(&context) {
                Ok(Value::Bool(holds)) => Ok(holds),
                Ok(other) => Err(format!("the rule came to {other:?}")),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

fn context() -> Context<'static, 'static> {
    let mut context = Context::with_env(LANGUAGE.clone());
    let added = [
        context.add_function("isIP", |text: Arc<String>| ip(&text).is_some()),
        context.add_function("ip.isCanonical", |text: Arc<String>| {
            ip(&text).is_some_and(|ip| ip.to_string() == *text)
        }),
        context.add_function("isURL", |text: Arc<String>| authority(&text).is_some()),
        context.add_function("url", |text: Arc<String>| text),
        context.add_function("getPort", |This(url): This<Arc<String>>| {
            authority(&url).map(|(_, port)| port).unwrap_or_default()
        }),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "each name is new");
    context
}

/// Kubernetes' `isIP`: neither a zone nor an IPv4 address in the form of an IPv6 one.
fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()))
}

/// Host and port of an absolute URL, by the rules of Go's `url.ParseRequestURI`.
fn authority(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let letters = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) {
        return None;
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = if let Some(literal) = host_port.strip_prefix('[') {
        let (host, port) = literal.rsplit_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, port)
    } else {
        host_port.split_at(host_port.find(':').unwrap_or(host_port.len()))
    };
    let port = if port.is_empty() { "" } else { port.strip_prefix(':')? };
    port.chars().all(|c| c.is_ascii_digit()).then(|| (host.to_owned(), port.to_owned()))
}

fn convert(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(convert).collect())),
        Json::Object(fields) => {
            let entry = |(key, value): (&String, &Json)| (Key::String(Arc::new(key.clone())), convert(value));
            Value::Map(Map { map: Arc::new(fields.iter().map(entry).collect::<HashMap<_, _>>()) })
        }
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
