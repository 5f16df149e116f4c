//! A structural schema, made ready for checking: the same text that the API server enforces.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::rules::Rule;

/// The JSON types of a structural schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `type: object`.
    Object,
    /// `type: array`.
    List,
    /// `type: string`.
    Text,
    /// `type: integer`.
    Integer,
    /// `type: boolean`.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntegerOrText,
    /// No type: anything.
    Any,
}

/// What a value must be.
pub struct Schema {
    /// Its type.
    pub kind: Type,
    /// Named fields.
    pub fields: BTreeMap<String, Schema>,
    /// `additionalProperties`: what every value of a map must be.
    pub values: Option<Box<Schema>>,
    /// What every item of a list must be.
    pub items: Option<Box<Schema>>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// What an absent field is.
    pub default: Option<Value>,
    /// The only values there are.
    pub words: Vec<Value>,
    /// What a text must match, and the expression as it is written.
    pub pattern: Option<Regex>,
    /// `date-time` is checked; the numbers' formats are narrower than no bound of ours.
    pub date_time: bool,
    /// Characters, items or entries.
    pub size: (Option<u64>, Option<u64>),
    /// Least and greatest number.
    pub range: (Option<i64>, Option<i64>),
    /// The keys of a list map.
    pub keys: Vec<String>,
    /// `x-kubernetes-list-type: set`.
    pub set: bool,
    /// CEL.
    pub rules: Vec<Rule>,
}

/// Every keyword that is checked or says nothing about values. Another one would be a rule that is not kept.
const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minimum",
    "minItems",
    "minLength",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

impl Schema {
    /// Compiles the schema of a CRD.
    ///
    /// # Errors
    /// When it has a keyword that is not checked here, or an expression that cannot be read.
    pub fn compile(schema: &Value) -> Result<Schema, String> {
        let keywords = schema.as_object().ok_or("a schema is an object")?;
        if let Some(unknown) = keywords.keys().find(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
            return Err(format!("the keyword {unknown} is not checked"));
        }
        let below = |key: &str| match &schema[key] {
            Value::Object(_) => Schema::compile(&schema[key]).map(|schema| Some(Box::new(schema))),
            _ => Ok(None),
        };
        let words = |key: &str| -> Vec<String> {
            let items = schema[key].as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let bound = |names: [&str; 3]| names.iter().find_map(|name| schema[*name].as_f64()).map(whole);
        let size = |names: [&str; 3]| bound(names).and_then(|bound| u64::try_from(bound).ok());
        let mut fields = BTreeMap::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            fields.insert(name.clone(), Schema::compile(field)?);
        }
        let mut rules = Vec::new();
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules.push(Rule::compile(rule)?);
        }
        let pattern = schema["pattern"].as_str().map(Regex::new).transpose();
        Ok(Schema {
            kind: kind(schema)?,
            fields,
            values: below("additionalProperties")?,
            items: below("items")?,
            required: words("required"),
            default: schema.get("default").cloned(),
            words: schema["enum"].as_array().cloned().unwrap_or_default(),
            pattern: pattern.map_err(|error| error.to_string())?,
            date_time: schema["format"] == "date-time",
            size: (
                size(["minLength", "minItems", "minProperties"]),
                size(["maxLength", "maxItems", "maxProperties"]),
            ),
            range: (bound(["minimum"; 3]), bound(["maximum"; 3])),
            keys: words("x-kubernetes-list-map-keys"),
            set: schema["x-kubernetes-list-type"] == "set",
            rules,
        })
    }

    /// The rules about a change that do not hold between two values, each with the path of its field. Only fields are
    /// followed: which item of a list was which before is not known.
    pub fn broken_by_change(&self, before: &Value, now: &Value, path: &str) -> Vec<(String, String)> {
        let mut broken = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.transition) {
            let message = match rule.holds(now, Some(before)) {
                Ok(true) => continue,
                Ok(false) => rule.message.clone(),
                Err(error) => format!("{} ({error})", rule.message),
            };
            let parts = rule.field.iter().flat_map(|field| field.split('.'));
            broken.push((parts.fold(path.to_owned(), |path, part| below(&path, part)), message));
        }
        for (name, field) in &self.fields {
            if let (Some(before), Some(now)) = (before.get(name), now.get(name)) {
                broken.extend(field.broken_by_change(before, now, &below(path, name)));
            }
        }
        broken
    }

    /// The value with every default that the API server would put into it.
    pub fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(given) => {
                for (name, field) in &self.fields {
                    if let Some(default) = field.default.as_ref().filter(|_| !given.contains_key(name)) {
                        given.insert(name.clone(), default.clone());
                    }
                    if let Some(value) = given.get_mut(name) {
                        field.fill(value);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    items.iter_mut().for_each(|item| schema.fill(item));
                }
            }
            _ => {}
        }
    }
}

/// The path of a field of something.
pub fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn kind(schema: &Value) -> Result<Type, String> {
    if schema["x-kubernetes-int-or-string"] == true {
        return Ok(Type::IntegerOrText);
    }
    Ok(match schema["type"].as_str() {
        Some("object") if schema["x-kubernetes-preserve-unknown-fields"] == true => Type::Any,
        Some("object") => Type::Object,
        Some("array") => Type::List,
        Some("string") => Type::Text,
        Some("integer") => Type::Integer,
        Some("boolean") => Type::Boolean,
        None => Type::Any,
        Some(other) => return Err(format!("the type {other} is not checked")),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "bounds are whole numbers below 2^53")]
fn whole(bound: f64) -> i64 {
    bound as i64
}
