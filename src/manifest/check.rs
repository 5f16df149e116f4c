//! A tree against a schema: every problem at once, each at its place.

use serde_json::{Map, Value};

use super::node::{Kind, Node};
use super::problem::{Position, Problem};
use super::schema::{Schema, Type, below};

/// Of one document; whoever made that many sees the pattern.
const MAX_PROBLEMS: usize = 100;

/// Collects what is wrong with one document.
#[derive(Debug, Default)]
pub struct Report {
    /// What the API server refuses.
    pub problems: Vec<Problem>,
    /// What it accepts and what is probably not meant.
    pub warnings: Vec<Problem>,
}

impl Report {
    /// Notes a problem.
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else if self.problems.len() == MAX_PROBLEMS {
            self.problems.push(Problem::new(problem.at, "", "too many problems; the rest is not shown"));
        }
    }

    /// Notes something that is accepted.
    pub fn warning(&mut self, warning: Problem) {
        if self.warnings.len() < MAX_PROBLEMS {
            self.warnings.push(warning);
        }
    }

    fn at(&mut self, node: &Node, path: &str, message: impl Into<String>) {
        self.problem(Problem::new(node.at, path, message));
    }

    /// Checks a value and hands back what the API server would make of it: `null` taken away, defaults put in.
    pub fn check(&mut self, schema: &Schema, node: &Node, path: &str) -> Value {
        let before = self.problems.len();
        let mut value = match (&node.kind, schema.kind) {
            (Kind::Map(_), Type::Object) => self.object(schema, node, path),
            (Kind::List(items), Type::List) => self.list(schema, node, items, path),
            (Kind::Text(text), Type::Text | Type::IntegerOrText) => {
                self.text(schema, node, text, path);
                node.to_json()
            }
            (Kind::Number(number), Type::Integer | Type::IntegerOrText) if number.is_i64() => {
                self.number(schema, node, number.as_i64().unwrap_or_default(), path);
                node.to_json()
            }
            (Kind::Bool(_), Type::Boolean) | (_, Type::Any) => node.to_json(),
            (found, wanted) => {
                let what = format!("must be {}, not {}", name(wanted), found_name(found));
                let mut problem = Problem::new(node.at, path, what);
                if wanted == Type::Text && matches!(found, Kind::Bool(_) | Kind::Number(_)) {
                    problem.hint = Some("put it in quotes".to_owned());
                }
                self.problem(problem);
                return node.to_json();
            }
        };
        if !schema.words.is_empty() && !schema.words.contains(&value) {
            let words: Vec<String> = schema.words.iter().map(ToString::to_string).collect();
            let given = value.as_str().unwrap_or_default();
            let known = schema.words.iter().filter_map(Value::as_str);
            let mut problem =
                Problem::new(node.at, path, format!("{} is not one of {}", shown(given), words.join(", ")));
            problem.hint = closest(given, known).map(|word| format!("did you mean `{word}`?"));
            self.problem(problem);
        }
        schema.fill(&mut value);
        self.rules(schema, node, &value, path, self.problems.len() == before);
        value
    }

    /// Where something below is wrong, a rule that cannot be evaluated says nothing new.
    fn rules(&mut self, schema: &Schema, node: &Node, value: &Value, path: &str, sound: bool) {
        for rule in schema.rules.iter().filter(|rule| !rule.transition) {
            let message = match rule.holds(value, None) {
                Ok(true) => continue,
                Ok(false) => rule.message.clone(),
                Err(_) if !sound => continue,
                Err(error) => format!("{} ({error})", rule.message),
            };
            let (mut at, mut full) = (node.at, path.to_owned());
            let mut place = Some(node);
            for part in rule.field.iter().flat_map(|field| field.split('.')) {
                full = below(&full, part);
                place = place.and_then(|place| place.get(part));
                at = place.map_or(at, |place| place.at);
            }
            self.problem(Problem::new(at, full, message));
        }
    }

    fn object(&mut self, schema: &Schema, node: &Node, path: &str) -> Value {
        let mut value = Map::new();
        let fields = node.fields().into_iter().flatten();
        for (name, field) in fields.clone() {
            let below = below(path, name);
            let Some(known) = schema.fields.get(name).or(schema.values.as_deref()) else {
                self.unknown(schema, &field.node, &below, name, field.at);
                continue;
            };
            if !field.node.is_null() {
                value.insert(name.clone(), self.check(known, &field.node, &below));
            }
        }
        for name in schema.required.iter().filter(|name| !value.contains_key(*name)) {
            if schema.fields.get(name).is_some_and(|field| field.default.is_some()) {
                continue;
            }
            let at = fields.clone().find(|(given, _)| *given == name).map_or(node.at, |(_, field)| field.at);
            self.problem(Problem::new(at, below(path, name), "required"));
        }
        self.size(schema, node, value.len() as u64, "entries", path);
        Value::Object(value)
    }

    /// kubectl takes a `null` away before the API server sees the name.
    fn unknown(&mut self, schema: &Schema, node: &Node, path: &str, name: &str, at: Position) {
        let mut problem = Problem::new(at, path, "unknown field");
        let known = schema.fields.keys().map(String::as_str);
        problem.hint = closest(name, known).map(|field| format!("did you mean `{field}`?"));
        if node.is_null() {
            problem.message.push_str(", ignored because it is null");
            self.warning(problem);
        } else {
            self.problem(problem);
        }
    }

    fn list(&mut self, schema: &Schema, node: &Node, items: &[Node], path: &str) -> Value {
        let mut values: Vec<Value> = Vec::new();
        let key = |value: &Value| -> Value {
            let keys = schema.keys.iter().map(|key| value[key].clone());
            if schema.set { value.clone() } else { keys.collect() }
        };
        self.size(schema, node, items.len() as u64, "items", path);
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some(known) = &schema.items else { continue };
            let value = self.check(known, item, &path);
            let same = (schema.set || !schema.keys.is_empty())
                .then(|| values.iter().position(|other| key(other) == key(&value)))
                .flatten();
            if let Some(first) = same {
                let what = if schema.set { String::new() } else { format!(" {}", schema.keys.join(" and ")) };
                self.at(item, &path, format!("the same{what} as item {first}"));
            }
            // Two lists of a size beyond the bound are not compared item by item.
            if schema.size.1.is_none_or(|most| (values.len() as u64) < most) {
                values.push(value);
            }
        }
        Value::Array(values)
    }

    fn text(&mut self, schema: &Schema, node: &Node, text: &str, path: &str) {
        self.size(schema, node, text.chars().count() as u64, "characters", path);
        if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            self.at(node, path, format!("{} does not match {pattern}", shown(text)));
        }
        if schema.date_time && !is_time(text) {
            self.at(node, path, format!("{} is not a time such as 2026-01-02T15:04:05Z", shown(text)));
        }
    }

    fn number(&mut self, schema: &Schema, node: &Node, number: i64, path: &str) {
        let (least, most) = schema.range;
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            self.at(node, path, format!("{number} is not {}", between(least, most)));
        }
    }

    fn size(&mut self, schema: &Schema, node: &Node, size: u64, what: &str, path: &str) {
        let (least, most) = schema.size;
        if least.is_some_and(|least| size < least) || most.is_some_and(|most| size > most) {
            self.at(node, path, format!("has {size} {what}, not {}", between(least, most)));
        }
    }

    /// Names that the schema does not know, and nothing else: what the API server asks of a status in a manifest.
    pub fn names(&mut self, schema: Option<&Schema>, node: &Node, path: &str) {
        match &node.kind {
            Kind::Map(fields) => {
                for (name, field) in fields {
                    let below = below(path, name);
                    let known =
                        schema.and_then(|schema| schema.fields.get(name).or(schema.values.as_deref()));
                    match (known, field.node.is_null()) {
                        (_, true) => {}
                        (Some(known), _) if known.kind == Type::Any => {}
                        (Some(known), _) => self.names(Some(known), &field.node, &below),
                        (None, _) => self.problem(Problem::new(field.at, below, "unknown field")),
                    }
                }
            }
            Kind::List(items) => {
                let schema = schema.and_then(|schema| schema.items.as_deref());
                for (index, item) in items.iter().enumerate() {
                    self.names(schema, item, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }
}

/// The known name that somebody may have meant.
fn closest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase());
    let near = known.map(|name| (distance(name), name)).min()?;
    (near.0 <= 2 && near.0 < given.chars().count()).then_some(near.1)
}

/// RFC 3339 as Go has it: jiff also takes a space or a small `t` between date and time, a leap second, and zones of
/// more than a day.
fn is_time(text: &str) -> bool {
    let hours = text
        .len()
        .checked_sub(6)
        .and_then(|at| text.get(at..))
        .and_then(|zone| zone.strip_prefix(['+', '-']));
    let zone = hours.is_none_or(|zone| zone < "25");
    zone && text.get(10..11) == Some("T")
        && text.get(17..19) != Some("60")
        && text.parse::<jiff::Timestamp>().is_ok()
}

/// A text in quotes; of a long one the beginning.
pub fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    if short.len() == text.len() { format!("{text:?}") } else { format!("{short:?}…") }
}

fn between<T: std::fmt::Display>(least: Option<T>, most: Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "anything".to_owned(),
    }
}

fn name(kind: Type) -> &'static str {
    match kind {
        Type::Object => "a map",
        Type::List => "a list",
        Type::Text => "text",
        Type::Integer => "a whole number",
        Type::Boolean => "true or false",
        Type::IntegerOrText => "a whole number or text",
        Type::Any => "anything",
    }
}

fn found_name(kind: &Kind) -> String {
    match kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(value) => format!("the boolean {value}"),
        Kind::Number(number) => format!("the number {number}"),
        Kind::Text(text) => format!("the text {}", shown(text)),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a map".to_owned(),
    }
}
