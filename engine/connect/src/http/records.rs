//! Records of a page as rows: members as columns, nested ones as `a.b`, those of the objects around as `^.a`.

use std::collections::{BTreeSet, HashSet};

use engine_core::mapping::find_column;
use engine_core::ports::SourceErrorKind;
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use serde_json::Value;
use serde_json_path::{JsonPath, PathElement};
use xxhash_rust::xxh3::xxh3_64;

use super::json::{Node, plain_digits};
use super::paging::json_path;
use crate::failure::Problem;
use crate::slots::{push_bad, push_float};

/// Where records are, if the spec does not say.
const ITEMS: &str = "$[*]";
/// Columns of a result; members beyond it are left out unless the spec names them.
const COLUMNS_MAX: usize = 1_000;
/// Names that a message lists.
const NAMES_SHOWN_MAX: usize = 8;
/// Begins the name of a column of the object around the record; one for each level.
const UP: char = '^';

/// Where the records of every page are.
pub(super) struct RecordPath {
    text: String,
    records: JsonPath,
    /// The path up to the first `[*]` or filter: the list that the pages are cut from.
    list: Option<(String, JsonPath)>,
}

/// A record, and the objects around it, the nearest first.
pub(super) struct Record<'n, 'a> {
    node: &'n Node<'a>,
    around: Vec<&'n Node<'a>>,
    /// Which item of the page's list it belongs to.
    pub(super) item: usize,
}

/// What was found on a page.
pub(super) struct Found<'n, 'a> {
    /// Hashes of the items of the list, in order.
    pub(super) items: Vec<u64>,
    pub(super) records: Vec<Record<'n, 'a>>,
}

impl RecordPath {
    pub(super) fn new(path: Option<&str>) -> Result<Self, Problem> {
        let text = path.unwrap_or(ITEMS).to_owned();
        let records = json_path(&text)?;
        let end = ["[*]", "[?", ".*", ".."].iter().filter_map(|sign| text.find(sign)).min();
        let list = end.and_then(|end| Some((text[..end].to_owned(), JsonPath::parse(&text[..end]).ok()?)));
        Ok(Self { text, records, list })
    }

    /// The records of a page. A page without the list in which they should be is an error: what a server says of its
    /// own trouble must not look like "no records".
    pub(super) fn find<'n, 'a>(&self, value: &Value, root: &'n Node<'a>) -> Result<Found<'n, 'a>, Problem> {
        let mut items = Vec::new();
        if *root == Node::Null {
            return Ok(Found { items, records: Vec::new() });
        }
        let mut depth = None;
        if let Some((text, list)) = &self.list {
            let located = list.query_located(value);
            let Some(first) = located.iter().next() else {
                return Err(wrong(format!("the answer has no `{text}`; {}", members_of(root))));
            };
            let location: Vec<&PathElement<'_>> = first.location().iter().collect();
            match walk(root, &location).map(|(node, _)| node) {
                Some(Node::List(nodes, _)) => items.extend(nodes.iter().map(hash)),
                Some(Node::Object(members, _)) => items.extend(members.iter().map(|(_, node)| hash(node))),
                _ => {}
            }
            depth = Some(location.len());
        }
        let mut records = Vec::new();
        for located in self.records.query_located(value).iter() {
            let location: Vec<&PathElement<'_>> = located.location().iter().collect();
            // Both readings are of the same text.
            let Some((node, around)) = walk(root, &location) else { continue };
            if !matches!(node, Node::Object(..)) {
                let message =
                    format!("`{}` leads to {}, not to an object; {}", self.text, node.kind(), members_of(root));
                return Err(wrong(message));
            }
            let item = match (depth, depth.and_then(|depth| location.get(depth))) {
                (Some(_), Some(PathElement::Index(index))) => *index,
                (Some(_), _) => records.len(),
                (None, _) => {
                    items.push(hash(node));
                    items.len() - 1
                }
            };
            records.push(Record { node, around, item });
        }
        Ok(Found { items, records })
    }
}

fn wrong(message: String) -> Problem {
    Problem::new(SourceErrorKind::Data, message).hint(
        "Check `source.records`, a JSONPath such as `$.data[*]`, and whether the API reports a failure in its answer.",
    )
}

/// The value at a place, and the objects on the way to it, the nearest first.
fn walk<'n, 'a>(root: &'n Node<'a>, location: &[&PathElement<'_>]) -> Option<(&'n Node<'a>, Vec<&'n Node<'a>>)> {
    let (mut node, mut around) = (root, Vec::new());
    for element in location {
        if matches!(node, Node::Object(..)) {
            around.insert(0, node);
        }
        node = match element {
            PathElement::Name(name) => node.member(name)?,
            PathElement::Index(index) => node.item(*index)?,
        };
    }
    Some((node, around))
}

fn hash(node: &Node<'_>) -> u64 {
    match node {
        Node::List(_, text) | Node::Object(_, text) | Node::Number(text) | Node::Broken(text) => {
            xxh3_64(text.as_bytes())
        }
        Node::Text(text) => xxh3_64(text.as_bytes()),
        Node::Null => 0,
        Node::Bool(truth) => 1 + u64::from(*truth),
    }
}

fn members_of(root: &Node<'_>) -> String {
    let Node::Object(members, _) = root else { return format!("it is {}", root.kind()) };
    let names: Vec<String> = members.iter().take(NAMES_SHOWN_MAX).map(|(name, _)| format!("`{name}`")).collect();
    let more = if members.len() > NAMES_SHOWN_MAX { ", …" } else { "" };
    format!("it is an object with the members {}{more}", names.join(", "))
}

/// The columns of a result: the members of the records at hand, and what else the spec names.
pub(super) fn columns(records: &[Record<'_, '_>], named: &BTreeSet<String>) -> Columns {
    let column = |name: String| Column { name, kind: Kind::Any, source_type: "json".to_owned() };
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    for record in records {
        members(record.node, "", &mut |name| {
            if names.len() < COLUMNS_MAX && !seen.contains(&name) {
                seen.insert(name.clone());
                names.push(name);
            }
        });
    }
    let mut columns: Vec<Column> = names.into_iter().map(column).collect();
    for name in named {
        let is_there =
            find_column(&columns, name).is_ok() || columns.iter().any(|known| known.name.eq_ignore_ascii_case(name));
        if !is_there {
            columns.push(column(name.clone()));
        }
    }
    columns.into()
}

/// The names of all members that are no objects themselves.
fn members(node: &Node<'_>, prefix: &str, see: &mut dyn FnMut(String)) {
    let Node::Object(all, _) = node else { return };
    for (name, member) in all.iter() {
        let name = format!("{prefix}{name}");
        match member {
            Node::Object(inner, _) if inner.len() > 0 => members(member, &format!("{name}."), see),
            _ => see(name),
        }
    }
}

impl Record<'_, '_> {
    /// Appends the record as a row.
    pub(super) fn push(&self, columns: &Columns, batch: &mut RowBatch) {
        for column in columns.iter() {
            match self.value(&column.name) {
                None | Some(Node::Null) => batch.push(Slot::Null),
                Some(Node::Bool(truth)) => batch.push(Slot::Bool(*truth)),
                Some(Node::Number(digits)) => push_number(batch, column, digits),
                Some(Node::Text(text)) => batch.push_text(text),
                Some(Node::Broken(_)) => push_bad(batch, column, "a text with half a character, a lone surrogate"),
                Some(Node::List(_, text) | Node::Object(_, text)) => batch.push_json(text),
            }
        }
    }

    fn value(&self, name: &str) -> Option<&Node<'_>> {
        if let Some(value) = self.node.find(name) {
            return Some(value);
        }
        let rest = name.trim_start_matches(UP);
        let level = name.len() - rest.len();
        self.around.get(level.checked_sub(1)?)?.find(rest.strip_prefix('.')?)
    }
}

/// A whole number where it is one of 64 bits, else its exact digits.
fn push_number(batch: &mut RowBatch, column: &Column, digits: &str) {
    if let Ok(whole) = digits.parse() {
        return batch.push(Slot::Int(whole));
    }
    match (plain_digits(digits), digits.parse::<f64>()) {
        (Some(plain), _) => batch.push_decimal(&plain),
        (None, Ok(number)) => push_float(batch, column, number),
        (None, Err(_)) => push_bad(batch, column, "a number that cannot be read"),
    }
}
