//! Records of a page as rows: members as columns, nested ones as `a.b`, those of the objects around as `^.a`.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use engine_core::mapping::find_column;
use engine_core::ports::SourceErrorKind;
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use serde_json_path::{JsonPath, PathElement};
use xxhash_rust::xxh3::xxh3_64;

use super::json::{Document, Node, plain_digits};
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
    /// Names of the members that lead to the list, where the path is nothing but these and `[*]`.
    names: Option<Vec<String>>,
}

/// The names in a path such as `$.data.rows[*]`; `None` of any other path.
fn names_of(path: &str) -> Option<Vec<String>> {
    let names = path.strip_prefix('$')?.strip_suffix("[*]")?;
    if names.is_empty() {
        return Some(Vec::new());
    }
    let is_name = |name: &str| {
        !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let names = names.strip_prefix('.')?.split('.').map(|name| is_name(name).then(|| name.to_owned()));
    names.collect()
}

/// A record, and the objects around it, the nearest first.
pub(super) struct Record<'n, 'a> {
    node: &'n Node<'a>,
    around: Arc<[&'n Node<'a>]>,
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
        let names = names_of(&text);
        Ok(Self { text, records, list, names })
    }

    /// The records of a page. A page without the list in which they should be is an error: what a server says of its
    /// own trouble must not look like "no records".
    pub(super) fn find<'n, 'a>(&self, page: &'n Document<'a>) -> Result<Found<'n, 'a>, Problem> {
        let root = &page.root;
        let mut items = Vec::new();
        if *root == Node::Null {
            return Ok(Found { items, records: Vec::new() });
        }
        if let Some(found) = self.find_by_names(root)? {
            return Ok(found);
        }
        let value = page.value();
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
                return Err(self.no_object(node, root));
            }
            let item = match (depth, depth.and_then(|depth| location.get(depth))) {
                (Some(_), Some(PathElement::Index(index))) => *index,
                (Some(_), _) => records.len(),
                (None, _) => {
                    items.push(hash(node));
                    items.len() - 1
                }
            };
            records.push(Record { node, around: around.into(), item });
        }
        Ok(Found { items, records })
    }

    /// Nearly every path is a few names and `[*]`, and leads to a list. For these, the page need not be made anew for
    /// JSONPath. `None` where this is another path, or the page another than it expects.
    fn find_by_names<'n, 'a>(&self, root: &'n Node<'a>) -> Result<Option<Found<'n, 'a>>, Problem> {
        let (mut node, mut around) = (root, Vec::new());
        let Some(names) = &self.names else { return Ok(None) };
        for name in names {
            around.insert(0, node);
            match node.exact_member(name) {
                Some(member) => node = member,
                None => return Ok(None),
            }
        }
        let Node::List(nodes, _) = node else { return Ok(None) };
        let around: Arc<[&Node<'_>]> = around.into();
        let mut found = Found { items: Vec::with_capacity(nodes.len()), records: Vec::with_capacity(nodes.len()) };
        for (item, node) in nodes.iter().enumerate() {
            if !matches!(node, Node::Object(..)) {
                return Err(self.no_object(node, root));
            }
            found.items.push(hash(node));
            found.records.push(Record { node, around: Arc::clone(&around), item });
        }
        Ok(Some(found))
    }

    fn no_object(&self, node: &Node<'_>, root: &Node<'_>) -> Problem {
        wrong(format!("`{}` leads to {}, not to an object; {}", self.text, node.kind(), members_of(root)))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found on a page, or what is wrong with it, in a form that can be compared.
    fn found(path: &RecordPath, text: &str) -> Result<String, String> {
        let page = Document::parse(text).expect("is JSON");
        let found = path.find(&page).map_err(|problem| problem.message)?;
        let records = found.records.iter().map(|record| (record.item, record.node, &record.around));
        Ok(format!("{:?} {:?}", found.items, records.collect::<Vec<_>>()))
    }

    #[test]
    fn a_path_of_names_finds_what_jsonpath_finds() {
        let pages = [
            r#"{"data": {"rows": [{"a": 1}, {"a": 2, "b": {"c": 3}}], "total": 2}, "rows": [{"x": 1}]}"#,
            r#"[{"a": 1}, {"a": 2}]"#,
            r#"{"rows": []}"#,
            r#"{"rows": {"one": {"a": 1}, "two": {"a": 2}}}"#,
            r#"{"rows": [{"a": 1}, 7]}"#,
            r#"{"rows": [{"a": 1}], "rows": [{"a": 2}]}"#,
            r#"{"Rows": [{"a": 1}], "data": 7}"#,
            r#"{"message": "out of order"}"#,
            "null",
            "7",
        ];
        for text in ["$[*]", "$.rows[*]", "$.data.rows[*]", "$.data.total[*]"] {
            let by_names = RecordPath::new(Some(text)).expect("is a path");
            let by_path = RecordPath { names: None, ..RecordPath::new(Some(text)).expect("is a path") };
            assert!(by_names.names.is_some());
            for page in pages {
                assert_eq!(found(&by_names, page), found(&by_path, page), "{text} in {page}");
            }
        }
    }

    #[test]
    fn only_plain_names_are_taken_for_names() {
        assert_eq!(names_of("$[*]"), Some(vec![]));
        assert_eq!(names_of("$.data.rows_2[*]"), Some(vec!["data".to_owned(), "rows_2".to_owned()]));
        for other in
            ["$", "$.rows", "$.rows[*].a", "$..rows[*]", "$.rows[?@.a > 1]", "$['rows'][*]", "$.*[*]", "$.2[*]"]
        {
            assert_eq!(names_of(other), None, "{other}");
        }
    }
}
