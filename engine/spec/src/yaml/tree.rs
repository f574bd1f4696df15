//! Parser events to a tree of nodes with byte ranges; duplicate keys, tags, aliases and merges are settled here.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::Value;

use super::scalar::{self, Plain};
use crate::codes;
use crate::diagnostic::{Diagnostic, child};
use crate::text::Text;

/// Deepest nesting of lists and maps.
pub const DEPTH_MAX: usize = 64;
/// Most values in a file, those that aliases repeat included: a file of a few lines can name billions.
pub const NODES_MAX: usize = 50_000;

/// Longest part of a scalar that a message shows, in characters.
const SHOWN_CHARACTERS_MAX: usize = 40;

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub span: Range<usize>,
    pub data: Data,
    /// Number of nodes, this one included.
    size: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Scalar { value: Value, literal: bool },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: String,
    pub span: Range<usize>,
    /// `<<` without quotes: in quotes it is a key like any other.
    merges: bool,
}

/// Ends the reading; the finding is already recorded.
struct Stop;

/// The tree of a text, where it could be read to its end, and everything that is wrong with it.
pub(super) fn read(text: &Text) -> (Option<Node>, Vec<Diagnostic>) {
    let mut reader = Reader {
        parser: Parser::new_from_str(&text.text),
        text,
        byte_of_character: byte_table(&text.text),
        anchors: HashMap::new(),
        nodes: 0,
        findings: Vec::new(),
    };
    let root = reader.document();
    (root.ok(), reader.findings)
}

/// Byte offset of every character; none where all are one byte long and the two counts agree.
fn byte_table(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a Text,
    byte_of_character: Option<Vec<usize>>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    findings: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn byte(&self, character: usize) -> usize {
        match &self.byte_of_character {
            Some(table) => table.get(character).copied().unwrap_or(self.text.text.len()),
            None => character.min(self.text.text.len()),
        }
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let range = self.range(&span);
                Ok((event, range))
            }
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let line_end = self.text.text[at..].find('\n').map_or(self.text.text.len(), |newline| at + newline);
                let mut finding = Diagnostic::new(codes::YAML_SYNTAX, at..line_end, error.info().to_owned());
                if self.text.text.contains('\t') && self.text.line(self.text.line_column(at).line).contains('\t') {
                    finding = finding.help("YAML indents with blanks, never with tabs");
                }
                self.findings.push(finding);
                Err(Stop)
            }
            None => Err(Stop),
        }
    }

    fn document(&mut self) -> Result<Node, Stop> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, range) => {
                    self.findings.push(Diagnostic::new(codes::EMPTY_FILE, range, "the file is empty"));
                    return Err(Stop);
                }
                (event, range) => {
                    let root = self.node(event, range, "", 0)?;
                    self.end_of_stream()?;
                    return Ok(root);
                }
            }
        }
    }

    fn end_of_stream(&mut self) -> Result<(), Stop> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd, _) => {}
                (_, range) => {
                    let finding = Diagnostic::new(codes::SEVERAL_DOCUMENTS, range, "a second document begins here")
                        .help("one file is one pipeline: move the rest to a file of its own");
                    self.findings.push(finding);
                    return Err(Stop);
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, range: Range<usize>, pointer: &str, depth: usize) -> Result<Node, Stop> {
        if depth > DEPTH_MAX {
            let finding = Diagnostic::new(codes::TOO_DEEP, range, format!("nested deeper than {DEPTH_MAX} levels"));
            self.findings.push(finding.at(pointer));
            return Err(Stop);
        }
        self.count(1, &range, pointer)?;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.after_properties(range, anchor, tag.is_some());
                self.refuse_tag(tag.as_deref(), &span, pointer);
                let literal = style == ScalarStyle::Literal;
                // The parser's mark lies behind the blanks that follow a scalar.
                let span = trim_end(&self.text.text, span);
                let value = self.scalar_value(&text, style, &span, pointer);
                (anchor, Node { span, data: Data::Scalar { value, literal }, size: 1 })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &range, pointer);
                (anchor, self.list(range, pointer, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &range, pointer);
                (anchor, self.map(range, pointer, depth)?)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    let finding =
                        Diagnostic::new(codes::YAML_SYNTAX, range, "the alias names a value that contains it");
                    self.findings.push(finding.at(pointer));
                    return Err(Stop);
                };
                self.count(node.size - 1, &range, pointer)?;
                return Ok((*node).clone());
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(Stop),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::new(node.clone()));
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, range: &Range<usize>, pointer: &str) -> Result<(), Stop> {
        self.nodes += nodes;
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        let message = format!("more than {NODES_MAX} values, those that aliases repeat included");
        self.findings.push(Diagnostic::new(codes::TOO_MANY_VALUES, range.clone(), message).at(pointer));
        Err(Stop)
    }

    /// The parser's range of a scalar begins at its anchor.
    fn after_properties(&self, range: Range<usize>, anchor: usize, tagged: bool) -> Range<usize> {
        let text = &self.text.text[range.clone()];
        if anchor == 0 || tagged || !text.starts_with('&') {
            return range;
        }
        let name = text.find(char::is_whitespace).unwrap_or(text.len());
        let blanks = text[name..].len() - text[name..].trim_start().len();
        range.start + name + blanks..range.end
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, range: &Range<usize>, pointer: &str) {
        if let Some(tag) = tag {
            let finding =
                Diagnostic::new(codes::TAG, range.clone(), format!("a tag, `{tag}`, changes how a value is read"))
                    .help("remove the tag; write text in quotes");
            self.findings.push(finding.at(pointer));
        }
    }

    fn scalar_value(&mut self, text: &str, style: ScalarStyle, span: &Range<usize>, pointer: &str) -> Value {
        if style != ScalarStyle::Plain {
            return Value::String(text.to_owned());
        }
        match scalar::read(text) {
            Plain::Clear(value) => value,
            Plain::Ambiguous(why) => {
                self.ambiguous(text, why, span, pointer);
                Value::String(text.to_owned())
            }
        }
    }

    fn ambiguous(&mut self, text: &str, why: &str, span: &Range<usize>, pointer: &str) {
        let shown = shorten(text);
        let finding = Diagnostic::new(codes::AMBIGUOUS_SCALAR, span.clone(), format!("`{shown}` without quotes {why}"))
            .at(pointer)
            .help(format!("write it in quotes: \"{shown}\""))
            .fix(span.clone(), format!("\"{text}\""));
        self.findings.push(finding);
    }

    fn list(&mut self, start: Range<usize>, pointer: &str, depth: usize) -> Result<Node, Stop> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, range) = self.next()?;
            if event == Event::SequenceEnd {
                let last = items.last().map(|item| item.span.end);
                let span = self.collection_span(&start, &range, None, last);
                let size = 1 + items.iter().map(|item| item.size).sum::<usize>();
                return Ok(Node { span, data: Data::List(items), size });
            }
            let item = self.node(event, range, &format!("{pointer}/{}", items.len()), depth + 1)?;
            items.push(item);
        }
    }

    fn map(&mut self, start: Range<usize>, pointer: &str, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merges: Vec<(Range<usize>, Node)> = Vec::new();
        let mut places: HashMap<String, Range<usize>> = HashMap::new();
        let mut ends: (Option<usize>, Option<usize>) = (None, None);
        let end = loop {
            let (event, range) = self.next()?;
            if event == Event::MappingEnd {
                break range;
            }
            let key = self.key(event, range, pointer, depth)?;
            let (event, range) = self.next()?;
            let name = key.as_ref().map_or("?", |key| &key.name);
            let value = self.node(event, range.clone(), &child(pointer, name), depth + 1)?;
            let Some(key) = key else { continue };
            ends = (ends.0.or(Some(key.span.start)), Some(range.end.max(value.span.end.min(self.text.text.len()))));
            if key.merges {
                merges.push((key.span, value));
                continue;
            }
            if let Some(first) = places.get(&key.name) {
                let finding = Diagnostic::new(
                    codes::DUPLICATE_KEY,
                    key.span.clone(),
                    format!("the key `{}` is given twice", shorten(&key.name)),
                )
                .at(child(pointer, &key.name))
                .label(first.clone(), "first given here")
                .help("keep one of them");
                self.findings.push(finding);
                continue;
            }
            places.insert(key.name.clone(), key.span.clone());
            entries.push((key, value));
        };
        for (span, value) in merges {
            self.merge(span, value, pointer, &mut entries);
        }
        let span = self.collection_span(&start, &end, ends.0, entries.last().map(|(_, value)| value.span.end));
        let size = 1 + entries.iter().map(|(_, value)| value.size).sum::<usize>();
        Ok(Node { span, data: Data::Map(entries), size })
    }

    /// Adds the entries of merged maps; what is there already wins.
    fn merge(&mut self, span: Range<usize>, value: Node, pointer: &str, entries: &mut Vec<(Key, Node)>) {
        match value.data {
            Data::Map(merged) => {
                for (key, node) in merged {
                    if !entries.iter().any(|(present, _)| present.name == key.name) {
                        entries.push((key, node));
                    }
                }
            }
            Data::List(items) if items.iter().all(|item| matches!(item.data, Data::Map(_))) => {
                for item in items {
                    self.merge(span.clone(), item, pointer, entries);
                }
            }
            Data::List(_) | Data::Scalar { .. } => {
                let finding = Diagnostic::new(codes::BAD_MERGE, span, "`<<` takes a map, or a list of maps")
                    .at(pointer)
                    .help("give it an alias of a map: `<<: *defaults`");
                self.findings.push(finding);
            }
        }
    }

    /// A key, or none where it cannot be one; the finding is recorded and the reading goes on.
    fn key(&mut self, event: Event<'a>, range: Range<usize>, pointer: &str, depth: usize) -> Result<Option<Key>, Stop> {
        let node_of_alias = match &event {
            Event::Alias(anchor) => self.anchors.get(anchor).cloned(),
            _ => None,
        };
        if let Some(Node { data: Data::Scalar { value: Value::String(name), .. }, .. }) = node_of_alias.as_deref() {
            return Ok(Some(Key { name: name.clone(), span: range, merges: false }));
        }
        let Event::Scalar(text, style, anchor, tag) = event else {
            let finding = Diagnostic::new(codes::BAD_KEY, range.start..range.start + 1, "a key must be text")
                .at(pointer)
                .help("write the key as text, in quotes where needed");
            self.findings.push(finding);
            self.node(event, range, pointer, depth + 1)?;
            return Ok(None);
        };
        let span = self.after_properties(range, anchor, tag.is_some());
        self.refuse_tag(tag.as_deref(), &span, pointer);
        let name = text.into_owned();
        let merges = style == ScalarStyle::Plain && name == "<<";
        if style == ScalarStyle::Plain && !merges {
            match scalar::read(&name) {
                Plain::Clear(Value::String(_)) => {}
                Plain::Clear(Value::Number(number)) if !number.is_f64() => {}
                Plain::Clear(_) => self.ambiguous(&name, "is not text", &span, pointer),
                Plain::Ambiguous(why) => self.ambiguous(&name, why, &span, pointer),
            }
        }
        if anchor > 0 {
            let data = Data::Scalar { value: Value::String(name.clone()), literal: false };
            self.anchors.insert(anchor, Rc::new(Node { span: span.clone(), data, size: 1 }));
        }
        Ok(Some(Key { name, span, merges }))
    }

    /// A flow collection ends with its bracket; the parser's end of a block collection is the next line.
    fn collection_span(
        &self,
        start: &Range<usize>,
        end: &Range<usize>,
        first: Option<usize>,
        last: Option<usize>,
    ) -> Range<usize> {
        if self.text.text[start.start..start.end].starts_with(['[', '{']) {
            // The parser's end may lie behind a comment that follows.
            let is_bracket = self.text.text[end.start..].starts_with([']', '}']);
            return start.start..if is_bracket { end.start + 1 } else { end.end };
        }
        let start = first.unwrap_or(start.start);
        // A value that an alias repeats lies elsewhere; the block then ends where the parser says.
        let end = last.filter(|last| (start..=end.start).contains(last)).unwrap_or(end.start);
        trim_end(&self.text.text, start..end.max(start))
    }
}

fn trim_end(text: &str, span: Range<usize>) -> Range<usize> {
    span.start..span.start + text[span.start..span.end].trim_end().len()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
