//! A document as a tree in which every value knows its place.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag};
use serde_json::{Number, Value};

use super::documents::Document;
use super::problem::{Position, Problem};
use super::quirks::{
    block_lines, foreign_escape, indenting_tab, printable, surrogates_joined, tabs_as_spaces,
};
use super::scalar::{self, Scalar};

/// Nesting of lists and maps, each of flow and of block style.
const MAX_DEPTH: usize = 100;
/// Values of a document after aliases are written out: room for a large ConfigMap, none for a "billion laughs".
const MAX_VALUES: usize = 400_000;

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

/// Reads the first YAML document of a text; what kubectl would not read of the rest is a warning.
///
/// # Errors
/// With the first problem: a parser knows nothing of what follows it.
pub fn parse(document: &Document, warnings: &mut Vec<Problem>) -> Result<Node, Problem> {
    let text = if document.json { surrogates_joined(&document.text) } else { document.text.clone() };
    if let Some(at) = text.find(|c| !document.json && !printable(c)) {
        let control = text[at..].chars().next().unwrap_or_default();
        let what = format!("the control character {control:?} is not allowed");
        return Err(Problem::new(document.place(&text, at), "", what));
    }
    let before = warnings.len();
    let (root, free) = match read(document, &text, warnings) {
        Ok(read) => read,
        Err(problem) => {
            // In a flow collection kubectl lets tabs indent and this parser does not.
            let spaced = tabs_as_spaces(&text).ok_or(problem.clone())?;
            warnings.truncate(before);
            read(document, &spaced, warnings).map_err(|_| problem)?
        }
    };
    match indenting_tab(&text, free) {
        Some(at) if !document.json => {
            Err(Problem::new(document.place(&text, at), "", "a tab cannot indent").hint("use spaces"))
        }
        _ => Ok(root),
    }
}

fn read(
    document: &Document,
    text: &str,
    warnings: &mut Vec<Problem>,
) -> Result<(Node, Vec<Range<usize>>), Problem> {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_comments: false,
        bom_inside_document_as_content: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        simple_key_max_lookahead: if document.json { 1 << 20 } else { 1024 },
    };
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
        text,
        document,
        anchors: HashMap::new(),
        values: 0,
        aliased: 0,
        free: Vec::new(),
        flows: 0,
        warnings,
    };
    let root = reader.document()?;
    Ok((root, reader.free))
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    document: &'a Document,
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
    aliased: usize,
    /// Byte ranges in which a tab may stand where it likes: scalars and flow collections.
    free: Vec<Range<usize>>,
    /// Flow collections around the present value.
    flows: usize,
    warnings: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let marker = error.marker();
                let at = self.document.at(marker.line(), marker.col());
                Err(Problem::new(at, "", error.info()))
            }
            None => Err(Problem::new(self.document.start, "", "the document ends too early")),
        }
    }

    fn place(&self, span: &Span) -> Position {
        self.document.at(span.start.line(), span.start.col())
    }

    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = Node { kind: Kind::Null, at: self.document.start };
        let (mut found, mut ended) = (false, false);
        loop {
            let at = match self.next() {
                Ok((Event::StreamEnd, _)) => return Ok(root),
                Ok((Event::StreamStart | Event::DocumentStart(..), _)) => continue,
                Ok((Event::DocumentEnd, _)) => {
                    ended = true;
                    continue;
                }
                Ok((event, span)) if !found => {
                    found = true;
                    root = self.node(event, &span)?;
                    continue;
                }
                Ok((_, span)) => self.place(&span),
                Err(problem) if ended => problem.at,
                Err(problem) => return Err(problem),
            };
            // Nor what is wrong with it: only the first document of a text counts.
            let what = "kubectl does not read what follows the end of a document";
            self.warnings.push(Problem::new(at, "", what).hint("separate documents by `---`"));
            return Ok(root);
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span) -> Result<Node, Problem> {
        let at = self.place(span);
        let before = self.values;
        self.count(at, 1, false)?;
        let (kind, anchor) = match event {
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem::new(at, "", "this alias stands inside of what it stands for"));
                };
                self.count(at, size, true)?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    self.free.extend(
                        span.byte_range().into_iter().flat_map(|at| block_lines(&self.document.text, &at)),
                    );
                } else {
                    self.free.extend(span.byte_range());
                }
                (self.scalar(&text, style, tag.as_deref(), at, span)?, anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.flows += usize::from(style == StructureStyle::Flow);
                (self.list(style, span)?, anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                self.flows += usize::from(style == StructureStyle::Flow);
                (self.map(style, span)?, anchor)
            }
            other => return Err(Problem::new(at, "", format!("unexpected {other:?}"))),
        };
        let node = Node { kind, at };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.values - before));
        }
        Ok(node)
    }

    /// Go's own limit: of a small document at most 99 % may come from aliases.
    fn count(&mut self, at: Position, values: usize, aliased: bool) -> Result<(), Problem> {
        self.values += values;
        self.aliased += if aliased { values } else { 0 };
        let too_many = self.aliased > 100 && self.values > 1000 && self.aliased > self.values / 100 * 99;
        if self.values > MAX_VALUES || too_many {
            return Err(Problem::new(at, "", "the document has too many values, or too many from aliases"));
        }
        Ok(())
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: Position,
        span: &Span,
    ) -> Result<Kind, Problem> {
        if style == ScalarStyle::DoubleQuoted
            && !self.document.json
            && let Some(escape) = foreign_escape(span.slice(self.text).unwrap_or_default())
        {
            let what = format!("kubectl does not know the escape `{escape}` in YAML");
            return Err(Problem::new(at, "", what));
        }
        if style == ScalarStyle::Plain && self.flows > 0 && text.starts_with([':', '?']) {
            return Err(Problem::new(at, "", "inside of brackets nothing begins with `:` or `?`"));
        }
        let value = match tag {
            Some(tag) if tag.handle() == "tag:yaml.org,2002:" => scalar::tagged(tag.suffix(), text),
            None if style == ScalarStyle::Plain => scalar::plain(text),
            _ => Ok(Scalar::Text(text.to_owned())),
        };
        match value {
            Ok(Scalar::Null) => Ok(Kind::Null),
            Ok(Scalar::Bool(value)) => Ok(Kind::Bool(value)),
            Ok(Scalar::Number(number)) => Ok(Kind::Number(number)),
            Ok(Scalar::Text(text)) => Ok(Kind::Text(text)),
            Ok(Scalar::Merge) => Ok(Kind::Text("<<".to_owned())),
            Err(message) => Err(Problem::new(at, "", message)),
        }
    }

    fn end(&mut self, style: StructureStyle, start: &Span, end: &Span) {
        if style == StructureStyle::Flow {
            self.flows -= 1;
            let range = start.byte_range().zip(end.byte_range());
            self.free.extend(range.map(|(start, end)| start.start..end.end));
        }
    }

    fn list(&mut self, style: StructureStyle, start: &Span) -> Result<Kind, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => {
                    self.end(style, start, &span);
                    return Ok(Kind::List(items));
                }
                event => items.push(self.node(event, &span)?),
            }
        }
    }

    fn map(&mut self, style: StructureStyle, start: &Span) -> Result<Kind, Problem> {
        let mut fields: BTreeMap<String, Field> = BTreeMap::new();
        let mut own: BTreeMap<String, Position> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                self.end(style, start, &span);
                return Ok(Kind::Map(fields));
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, &span)?;
            let at = key.at;
            let (event, span) = self.next()?;
            let node = self.node(event, &span)?;
            if merge {
                merge_into(&mut fields, node)?;
                continue;
            }
            let key = match key.kind {
                Kind::Text(text) => text,
                Kind::Bool(value) => value.to_string(),
                Kind::Number(number) => number.to_string(),
                Kind::Null => return Err(Problem::new(at, "", "`null` cannot be a key")),
                Kind::List(_) | Kind::Map(_) => {
                    return Err(Problem::new(at, "", "a list or a map cannot be a key"));
                }
            };
            if let Some(first) = own.insert(key.clone(), at) {
                let what = format!("`{key}` stands here and in line {}; this one counts", first.line);
                self.warnings.push(Problem::new(at, "", what));
            }
            fields.insert(key, Field { at, node });
        }
    }
}

/// `<<: *base` and `<<: [*first, *second]`; of two merged maps the first one wins.
fn merge_into(fields: &mut BTreeMap<String, Field>, node: Node) -> Result<(), Problem> {
    let at = node.at;
    let maps = match node.kind {
        Kind::Map(map) => vec![Kind::Map(map)],
        Kind::List(items) => items.into_iter().rev().map(|item| item.kind).collect(),
        other => vec![other],
    };
    for map in maps {
        let Kind::Map(map) = map else {
            return Err(Problem::new(at, "", "`<<` needs a map or a list of maps"));
        };
        fields.extend(map);
    }
    Ok(())
}
