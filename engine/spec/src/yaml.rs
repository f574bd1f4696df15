//! YAML in one pass: a value, and the place of every key and value by JSON pointer.
//!
//! What two readers of YAML understand differently is refused here, so that the editor, the validator and the engine
//! never disagree: ambiguous plain scalars, tags, duplicate keys. Anchors, aliases and `<<` are supported.

pub mod emit;
mod scalar;
mod tree;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::text::Text;

pub use tree::{DEPTH_MAX, NODES_MAX};

/// Where a value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Byte range of the key; none for items of a list and for the whole.
    pub key: Option<Range<usize>>,
    /// Byte range of the value.
    pub value: Range<usize>,
    /// How the text of a scalar lies in the file.
    layout: Layout,
}

/// How the decoded text of a scalar lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Byte for byte, from this offset.
    Direct(usize),
    /// A literal block scalar: line for line, from this line of the file, without so many bytes of indent.
    Literal { first_line: usize, indent: usize },
    /// Not comparable: escapes, folded lines, or no scalar.
    Opaque,
}

/// A YAML file: its text, its value, and where everything is.
#[derive(Debug, Clone)]
pub struct SpecFile {
    /// The text.
    pub text: Arc<Text>,
    /// The value; null where the text is malformed.
    pub value: Value,
    places: HashMap<String, Place>,
}

impl SpecFile {
    /// Reads a text. All findings at once; only malformed YAML, more than one document and a nesting too deep end the
    /// reading, and then there is no file but its text.
    pub fn parse(text: Arc<Text>) -> (Self, Vec<Diagnostic>) {
        let (root, findings) = tree::read(&text);
        let mut places = HashMap::new();
        let value = match root {
            Some(root) => flatten(&text, root, None, String::new(), &mut places),
            None => Value::Null,
        };
        (Self { text, value, places }, findings)
    }

    /// A file that could not be read.
    pub fn unreadable(text: Arc<Text>) -> Self {
        Self { text, value: Value::Null, places: HashMap::new() }
    }

    /// Place of a JSON pointer; of its nearest parent that is written where it is not.
    pub fn place<'a>(&'a self, pointer: &'a str) -> (&'a str, Option<&'a Place>) {
        pointer_and_parents(pointer)
            .find_map(|pointer| self.places.get(pointer).map(|place| (pointer, Some(place))))
            .unwrap_or(("", None))
    }

    /// Byte range of the value at a JSON pointer, or of the nearest parent's key.
    pub fn value_span(&self, pointer: &str) -> Range<usize> {
        match self.place(pointer) {
            (found, Some(place)) if found == pointer => place.value.clone(),
            (_, Some(place)) => place.key.clone().unwrap_or_else(|| self.first_line(&place.value)),
            (_, None) => 0..0,
        }
    }

    /// Byte range of the key at a JSON pointer, or of the nearest parent's.
    pub fn key_span(&self, pointer: &str) -> Range<usize> {
        match self.place(pointer) {
            (_, Some(place)) => place.key.clone().unwrap_or_else(|| self.first_line(&place.value)),
            (_, None) => 0..0,
        }
    }

    /// Byte range in the file of a byte range in the decoded text of the scalar at a JSON pointer. Exact for literal
    /// block scalars and for texts without escapes on one line; otherwise the whole scalar.
    pub fn span_in_scalar(&self, pointer: &str, range: &Range<usize>) -> Range<usize> {
        let whole = self.value_span(pointer);
        let (Some(place), Some(decoded)) =
            (self.places.get(pointer), self.value.pointer(pointer).and_then(Value::as_str))
        else {
            return whole;
        };
        let place_of = |offset: usize| match place.layout {
            Layout::Direct(start) => Some(start + offset.min(decoded.len())),
            Layout::Literal { first_line, indent } => {
                let before = decoded.get(..offset.min(decoded.len()))?;
                let line = first_line + before.matches('\n').count();
                let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
                let line_end = self.text.line_start(line) + self.text.line(line).len();
                Some((self.text.line_start(line) + indent + column).min(line_end))
            }
            Layout::Opaque => None,
        };
        match (place_of(range.start), place_of(range.end)) {
            (Some(start), Some(end)) => self.text.clamp(&(start..end.max(start))),
            _ => whole,
        }
    }

    /// Gives a value another pointer, with all that is in it; where there is a value already, this one goes.
    pub(crate) fn rename(&mut self, old: &str, new: &str) {
        let (Some((parent, old_name)), Some((_, new_name))) = (old.rsplit_once('/'), new.rsplit_once('/')) else {
            return;
        };
        let Some(Value::Object(members)) = self.value.pointer_mut(parent) else { return };
        let Some(value) = members.swap_remove(old_name) else { return };
        if members.contains_key(new_name) {
            return;
        }
        members.insert(new_name.to_owned(), value);
        let is_within =
            |pointer: &str| pointer.strip_prefix(old).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let moved: Vec<String> = self.places.keys().filter(|pointer| is_within(pointer)).cloned().collect();
        for pointer in moved {
            if let Some(place) = self.places.remove(&pointer) {
                self.places.insert(format!("{new}{}", &pointer[old.len()..]), place);
            }
        }
    }

    /// JSON pointer of the text value that covers a byte of the file.
    pub(crate) fn text_at(&self, offset: usize) -> Option<&str> {
        let mut places = self.places.iter().filter(|(_, place)| place.value.contains(&offset));
        places.find(|(pointer, _)| self.value.pointer(pointer).is_some_and(Value::is_string)).map(|(at, _)| at.as_str())
    }

    fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let text = &self.text.text[span.clone()];
        span.start..span.start + text.find('\n').unwrap_or(text.len())
    }
}

fn pointer_and_parents(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |pointer| pointer.rfind('/').map(|slash| &pointer[..slash]))
}

fn flatten(
    text: &Text,
    node: tree::Node,
    key: Option<Range<usize>>,
    pointer: String,
    places: &mut HashMap<String, Place>,
) -> Value {
    let mut layout = Layout::Opaque;
    let span = node.span;
    let value = match node.data {
        tree::Data::Scalar { value, literal } => {
            if let Some(decoded) = value.as_str() {
                layout = layout_of(text, &span, decoded, literal);
            }
            value
        }
        tree::Data::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| flatten(text, item, None, format!("{pointer}/{index}"), places))
            .collect(),
        tree::Data::Map(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, item)| {
                    let pointer = crate::diagnostic::child(&pointer, &key.name);
                    let value = flatten(text, item, Some(key.span), pointer, places);
                    (key.name, value)
                })
                .collect(),
        ),
    };
    places.insert(pointer, Place { key, value: span, layout });
    value
}

fn layout_of(text: &Text, span: &Range<usize>, decoded: &str, literal: bool) -> Layout {
    let raw = &text.text[span.clone()];
    if literal {
        // The parser's mark is the first content character, or the first blank line before it.
        let first_text = decoded.bytes().take_while(|byte| *byte == b'\n').count();
        let Some(line) = decoded.lines().nth(first_text) else { return Layout::Opaque };
        let marked = text.line_column(span.start).line;
        let fits = |candidate: &usize| text.line(candidate + first_text).ends_with(line);
        return match (marked.saturating_sub(first_text)..=marked).rev().find(fits) {
            Some(first_line) => {
                let indent = text.line(first_line + first_text).len() - line.len();
                Layout::Literal { first_line, indent }
            }
            None => Layout::Opaque,
        };
    }
    if raw == decoded {
        return Layout::Direct(span.start);
    }
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if raw.starts_with(['"', '\'']) && inner == decoded { Layout::Direct(span.start + 1) } else { Layout::Opaque }
}

#[cfg(test)]
mod tests;
