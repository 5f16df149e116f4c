//! A document's text to its tree, with the parser's and kubectl's own bounds, aliases included.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag};

use super::documents::Document;
use super::node::{Field, Kind, Node};
use super::problem::{Position, Problem};
use super::quirks::{
    block_lines, foreign_escape, indenting_tab, printable, surrogates_joined, tabs_as_spaces,
};
use super::scalar::{self, Scalar};

/// Nesting of lists and maps, each of flow and of block style.
const MAX_DEPTH: usize = 100;
/// Nesting of both together, aliases written out.
const MAX_TREE: usize = 2 * MAX_DEPTH;
/// Values of a document after aliases are written out: room for a large ConfigMap, none for a "billion laughs".
const MAX_VALUES: usize = 400_000;
/// Bytes of text of a document after aliases are written out: an API server takes 3 MiB.
const MAX_TEXT: usize = 16 * 1024 * 1024;

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
        text_bytes: 0,
        kept: Size::default(),
        depth: 0,
        free: Vec::new(),
        flows: 0,
        warnings,
    };
    let root = reader.document()?;
    Ok((root, reader.free))
}

/// What a copy of a tree takes.
#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    bytes: usize,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    size: Size,
    depth: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    document: &'a Document,
    anchors: HashMap<usize, Anchored>,
    values: usize,
    aliased: usize,
    text_bytes: usize,
    /// Copies that are kept for aliases: of anchors inside of anchors there are many.
    kept: Size,
    /// Lists and maps around the present value.
    depth: usize,
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
        let before = Size { values: self.values, bytes: self.text_bytes };
        self.count(at, Size { values: 1, bytes: 0 }, false)?;
        let (kind, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(at, Size { values: 0, bytes: text.len() }, false)?;
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
                self.begin(style);
                (self.list(style, span)?, anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                self.begin(style);
                (self.map(style, span)?, anchor)
            }
            other => return Err(Problem::new(at, "", format!("unexpected {other:?}"))),
        };
        let node = Node { kind, at };
        if anchor > 0 {
            let size = Size { values: self.values - before.values, bytes: self.text_bytes - before.bytes };
            self.keep(anchor, &node, size)?;
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<Node, Problem> {
        let Some(&Anchored { size, depth, .. }) = self.anchors.get(&anchor) else {
            return Err(Problem::new(at, "", "this alias stands inside of what it stands for"));
        };
        // The parser bounds the text; what walks the tree has a stack too.
        if self.depth + depth > MAX_TREE {
            let what = format!("with its aliases the document is deeper than {MAX_TREE} levels");
            return Err(Problem::new(at, "", what));
        }
        self.count(at, size, true)?;
        Ok(self.anchors.get(&anchor).map_or(Node { kind: Kind::Null, at }, |found| found.node.clone()))
    }

    /// Keeps a copy for the aliases to come, if there is room for it.
    fn keep(&mut self, anchor: usize, node: &Node, size: Size) -> Result<(), Problem> {
        self.kept.values += size.values;
        self.kept.bytes += size.bytes;
        if self.kept.values > MAX_VALUES || self.kept.bytes > MAX_TEXT {
            return Err(Problem::new(node.at, "", "the document has too much in its anchors"));
        }
        let anchored = Anchored { node: node.clone(), size, depth: node.depth() };
        self.anchors.insert(anchor, anchored);
        Ok(())
    }

    /// Go's own limit: of a small document at most 99 % may come from aliases.
    fn count(&mut self, at: Position, size: Size, aliased: bool) -> Result<(), Problem> {
        self.values += size.values;
        self.text_bytes += size.bytes;
        self.aliased += if aliased { size.values } else { 0 };
        let too_many = self.aliased > 100 && self.values > 1000 && self.aliased > self.values / 100 * 99;
        if self.values > MAX_VALUES || too_many {
            return Err(Problem::new(at, "", "the document has too many values, or too many from aliases"));
        }
        if self.text_bytes > MAX_TEXT {
            let what = format!("with its aliases the document has more than {} MiB of text", MAX_TEXT >> 20);
            return Err(Problem::new(at, "", what));
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

    fn begin(&mut self, style: StructureStyle) {
        self.depth += 1;
        self.flows += usize::from(style == StructureStyle::Flow);
    }

    fn end(&mut self, style: StructureStyle, start: &Span, end: &Span) {
        self.depth -= 1;
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
