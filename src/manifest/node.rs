//! A document as a tree in which every value knows its place.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::problem::Position;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// Its first character.
    pub at: Position,
}

/// JSON's types, with places.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map; of a key that stands there twice the last one counts.
    Map(BTreeMap<String, Field>),
}

/// An entry of a map.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where the key is.
    pub at: Position,
    /// The value.
    pub node: Node,
}

impl Node {
    /// The entry of a map, when it is one and has it, and it is not `null`: to an API server that is the same as absent.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.fields().and_then(|fields| fields.get(key)).map(|f| &f.node).filter(|node| !node.is_null())
    }

    /// The entries of a map.
    pub fn fields(&self) -> Option<&BTreeMap<String, Field>> {
        match &self.kind {
            Kind::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// The text of a text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// Lists and maps inside of each other.
    pub fn depth(&self) -> usize {
        match &self.kind {
            Kind::List(items) => 1 + items.iter().map(Node::depth).max().unwrap_or_default(),
            Kind::Map(fields) => {
                1 + fields.values().map(|field| field.node.depth()).max().unwrap_or_default()
            }
            _ => 0,
        }
    }

    /// The same without places.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Map(fields) => {
                Value::Object(fields.iter().map(|(key, field)| (key.clone(), field.node.to_json())).collect())
            }
        }
    }
}
