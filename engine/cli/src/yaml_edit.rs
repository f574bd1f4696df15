//! Changes of a YAML file by the places of its values: everything else stays as it is, comments and layout included.

use std::ops::Range;

use engine_spec::diagnostic::child;
use engine_spec::text::Text;
use engine_spec::yaml::SpecFile;
use engine_spec::yaml::emit::{flow, quoted};
use serde_json::Value;

/// One replacement of a part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// What becomes of an item of a list.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemChange {
    /// It stays as it is written.
    Keep,
    /// These members get other values.
    Members(Vec<(String, Value)>),
    /// It is written anew.
    Rewrite(Value),
    /// It goes.
    Remove,
}

/// The text with the edits, which do not overlap.
pub fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.span.start, edit.span.end)));
    let mut out = text.to_owned();
    for edit in edits {
        out.replace_range(edit.span, &edit.text);
    }
    out
}

/// Gives a value that is written another one.
pub fn set(file: &SpecFile, pointer: &str, value: &Value) -> Option<Edit> {
    if value.is_string() || !is_block(file, pointer) {
        return Some(Edit { span: exact_span(file, pointer)?, text: flow(value) });
    }
    Some(Edit { span: after_key(file, pointer)?, text: format!(" {}", flow(value)) })
}

/// Gives a key a text of several lines.
pub fn set_lines(file: &SpecFile, pointer: &str, text: &str) -> Option<Edit> {
    let plain = !text.chars().any(|c| c.is_control() && c != '\n') && !text.starts_with([' ', '\n']);
    if is_in_flow(file, pointer) || !plain {
        return Some(Edit { span: exact_span(file, pointer)?, text: quoted(text) });
    }
    let key = file.place(pointer).1?.key.clone()?;
    let indent = " ".repeat(file.text.line_column(key.start).column + 1);
    let lines: String =
        text.trim_end().lines().map(|line| format!("\n{indent}{line}").trim_end_matches(' ').to_owned()).collect();
    let chomp = if text.ends_with('\n') { "|" } else { "|-" };
    Some(Edit { span: after_key(file, pointer)?, text: format!(" {chomp}{lines}") })
}

/// Changes a list: what becomes of each item, and what is added at its end.
pub fn change_list(file: &SpecFile, pointer: &str, changes: &[ItemChange], added: &[Value]) -> Option<Vec<Edit>> {
    let kept = changes.iter().any(|change| *change != ItemChange::Remove);
    let items: Vec<Range<usize>> =
        (0..changes.len()).map(|index| exact_span(file, &format!("{pointer}/{index}"))).collect::<Option<_>>()?;
    let text = &file.text;
    let is_plain_block =
        is_block(file, pointer) && !items.is_empty() && items.iter().all(|item| dash(text, item).is_some());
    if !kept || !is_plain_block {
        return rewrite_list(file, pointer, changes, added).map(|edit| vec![edit]);
    }
    let mut edits = Vec::new();
    for (index, (change, item)) in changes.iter().zip(&items).enumerate() {
        match change {
            ItemChange::Keep => {}
            ItemChange::Members(members) => {
                for (name, value) in members {
                    edits.push(set(file, &child(&format!("{pointer}/{index}"), name), value)?);
                }
            }
            ItemChange::Rewrite(value) => edits.push(Edit { span: item.clone(), text: flow(value) }),
            ItemChange::Remove => {
                edits.push(Edit { span: dash(text, item)?..next_line(text, item), text: String::new() });
            }
        }
    }
    let last = items.last()?;
    let start = dash(text, last)?;
    let indent: String = text.text[start..].chars().take_while(|c| *c == ' ').collect();
    let at = next_line(text, last);
    let lines: String = added.iter().map(|value| format!("{indent}- {}\n", flow(value))).collect();
    if !lines.is_empty() {
        let begins_a_line = at == 0 || text.text[..at].ends_with('\n');
        let lines = if begins_a_line { lines } else { format!("\n{lines}") };
        edits.push(Edit { span: at..at, text: lines });
    }
    Some(edits)
}

/// Puts an item, given in lines, in the place of another or at the end of a list that is written in lines.
pub fn put_item(file: &SpecFile, pointer: &str, place: Option<usize>, lines: &[String]) -> Option<Edit> {
    let text = &file.text;
    let count = file.value.pointer(pointer)?.as_array()?.len();
    let (first, rest) = lines.split_first()?;
    let item = |indent: &str| {
        let rest: String = rest.iter().map(|line| format!("\n{indent}  {line}")).collect();
        format!("{first}{rest}")
    };
    if count == 0 && !is_in_flow(file, pointer) {
        return Some(Edit { span: after_key(file, pointer)?, text: format!("\n  - {}", item("  ")) });
    }
    let at = exact_span(file, &format!("{pointer}/{}", place.unwrap_or(count.checked_sub(1)?)))?;
    let start = dash(text, &at)?;
    let indent: String = text.text[start..].chars().take_while(|c| *c == ' ').collect();
    if place.is_some() {
        return Some(Edit { span: at, text: item(&indent) });
    }
    let end = next_line(text, &at);
    let newline = if text.text[..end].ends_with('\n') { "" } else { "\n" };
    Some(Edit { span: end..end, text: format!("{newline}{indent}- {}\n", item(&indent)) })
}

/// Where the line of an item begins that starts with its dash.
fn dash(text: &Text, item: &Range<usize>) -> Option<usize> {
    let start = text.line_start(text.line_column(item.start).line);
    let before = text.text[start..item.start].trim_start().strip_prefix('-')?;
    before.trim().is_empty().then_some(start)
}

/// Where the line behind an item begins.
fn next_line(text: &Text, item: &Range<usize>) -> usize {
    text.line_start(text.line_column(item.end.max(1) - 1).line + 1)
}

fn rewrite_list(file: &SpecFile, pointer: &str, changes: &[ItemChange], added: &[Value]) -> Option<Edit> {
    let old = file.value.pointer(pointer)?.as_array()?;
    let mut items: Vec<Value> = Vec::new();
    for (item, change) in old.iter().zip(changes) {
        match change {
            ItemChange::Keep => items.push(item.clone()),
            ItemChange::Members(members) => {
                let mut item = item.clone();
                let object = item.as_object_mut()?;
                object.extend(members.iter().cloned());
                items.push(item);
            }
            ItemChange::Rewrite(value) => items.push(value.clone()),
            ItemChange::Remove => {}
        }
    }
    items.extend(added.iter().cloned());
    if is_in_flow(file, pointer) {
        return Some(Edit { span: exact_span(file, pointer)?, text: flow(&items.into()) });
    }
    let span = after_key(file, pointer)?;
    if items.is_empty() {
        return Some(Edit { span, text: " []".to_owned() });
    }
    let key = file.place(pointer).1?.key.clone()?;
    let indent = " ".repeat(file.text.line_column(key.start).column + 1);
    Some(Edit { span, text: items.iter().map(|item| format!("\n{indent}- {}", flow(item))).collect() })
}

/// The range of a value that is written where its pointer says.
fn exact_span(file: &SpecFile, pointer: &str) -> Option<Range<usize>> {
    let (found, place) = file.place(pointer);
    place.filter(|_| found == pointer).map(|place| place.value.clone())
}

/// From behind the colon of a key to the end of its value.
fn after_key(file: &SpecFile, pointer: &str) -> Option<Range<usize>> {
    let (found, place) = file.place(pointer);
    let place = place.filter(|_| found == pointer)?;
    let key = place.key.clone()?;
    let colon = key.end + file.text.text.get(key.end..place.value.end)?.find(':')?;
    Some(colon + 1..place.value.end)
}

fn starts_flow(file: &SpecFile, pointer: &str) -> bool {
    exact_span(file, pointer).is_some_and(|span| file.text.text[span].starts_with(['[', '{']))
}

/// Whether a collection is written in lines, and not in brackets.
fn is_block(file: &SpecFile, pointer: &str) -> bool {
    let is_collection = file.value.pointer(pointer).is_some_and(|value| value.is_array() || value.is_object());
    is_collection && !starts_flow(file, pointer)
}

/// Whether a value stands within brackets.
fn is_in_flow(file: &SpecFile, pointer: &str) -> bool {
    let parents = std::iter::successors(pointer.rfind('/'), |at| pointer[..*at].rfind('/'));
    parents.map(|at| &pointer[..at]).any(|parent| starts_flow(file, parent))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn file(text: &str) -> SpecFile {
        let (file, findings) = SpecFile::parse(Arc::new(Text::new("a.yaml", text)));
        assert_eq!(findings, [], "{text}");
        file
    }

    /// Changes the list at `/a`, and reads the result again.
    fn check(text: &str, changes: &[ItemChange], added: &[Value], expected: &str) {
        let file = file(text);
        let changed = apply(text, change_list(&file, "/a", changes, added).expect("edits"));
        assert_eq!(changed, expected, "{text}");
        self::file(&changed);
    }

    #[test]
    fn a_list_keeps_its_comments_and_its_layout() {
        let block = "a:\n  # first\n  - { x: 1,  z: 2 } # one\n  - x: 3\n    z: 4\n# end\nb: 5\n";
        let member = ItemChange::Members(vec![("z".to_owned(), json!("M 1"))]);
        check(
            block,
            &[member.clone(), ItemChange::Keep],
            &[json!({"x": 7})],
            "a:\n  # first\n  - { x: 1,  z: \"M 1\" } # one\n  - x: 3\n    z: 4\n  - { x: 7 }\n# end\nb: 5\n",
        );
        check(block, &[ItemChange::Remove, member], &[], "a:\n  # first\n  - x: 3\n    z: \"M 1\"\n# end\nb: 5\n");
        check(
            block,
            &[ItemChange::Keep, ItemChange::Remove],
            &[json!({"x": "0047"})],
            "a:\n  # first\n  - { x: 1,  z: 2 } # one\n  - { x: \"0047\" }\n# end\nb: 5\n",
        );
        check(block, &[ItemChange::Remove, ItemChange::Remove], &[], "a: []\n# end\nb: 5\n");
        check("a: [] # none\n", &[], &[json!({"x": 1})], "a:\n  - { x: 1 } # none\n");
        check("{ a: [{ x: 1 }] }\n", &[ItemChange::Keep], &[json!(2)], "{ a: [{ x: 1 }, 2] }\n");
        check("a:\n- 1", &[ItemChange::Rewrite(json!({"x": null}))], &[json!(2)], "a:\n- { x: null }\n- 2\n");
    }

    #[test]
    fn a_text_of_several_lines_is_a_block() {
        for (text, expected) in [
            ("a:\n  sql: x\n  b: 1\n", "a:\n  sql: |-\n    SELECT 1\n    FROM t\n  b: 1\n"),
            ("a:\n  sql: |\n    x\n    z\n  b: 1\n", "a:\n  sql: |-\n    SELECT 1\n    FROM t\n  b: 1\n"),
            ("a: { sql: x, b: 1 }\n", "a: { sql: \"SELECT 1\\nFROM t\", b: 1 }\n"),
        ] {
            let file = file(text);
            let changed = apply(text, set_lines(&file, "/a/sql", "SELECT 1\nFROM t").into_iter().collect());
            assert_eq!(changed, expected);
            assert_eq!(self::file(&changed).value["a"], json!({"sql": "SELECT 1\nFROM t", "b": 1}));
        }
    }
}
