//! Values as text to insert: YAML with tab stops.

use serde_json::{Map, Value, json};

/// A value with a tab stop for each scalar in it: the body of a snippet.
pub(super) fn tab_stops(value: &Value, stop: &mut usize) -> Value {
    match value {
        Value::Object(members) if reference(members).is_some() => {
            let name = reference(members).unwrap_or_default();
            json!(format!("{{ env: {} }}", numbered(name, stop)))
        }
        Value::Object(members) => {
            members.iter().map(|(key, value)| (quoted(key), tab_stops(value, stop))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(|item| tab_stops(item, stop)).collect(),
        Value::String(text) if is_plain(text) => json!(numbered(text, stop)),
        Value::String(text) => json!(format!("\"{}\"", numbered(&escaped(text), stop))),
        other => json!(numbered(&other.to_string(), stop)),
    }
}

/// A value as a snippet of its own; none where there is nothing in it.
pub(super) fn labelled(value: &Value) -> Option<Value> {
    let label = match value {
        Value::Object(members) if members.is_empty() => return None,
        Value::Object(members) if members.len() == 1 => {
            members.iter().map(|(key, value)| format!("{key}: {}", inline(value))).collect()
        }
        Value::Object(_) | Value::Array(_) => "example".to_owned(),
        other => inline(other),
    };
    Some(json!({"label": label, "body": tab_stops(value, &mut 1)}))
}

/// A value as lines of YAML.
pub(super) fn block(value: &Value) -> String {
    let mut out = String::new();
    write_block(value, "", &mut out);
    out
}

fn write_block(value: &Value, indent: &str, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                out.push_str(&format!("{indent}{}:", quoted(key)));
                after(value, indent, out);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| out.push_str(&format!("{indent}- {}\n", inline(item)))),
        other => out.push_str(&format!("{indent}{}\n", inline(other))),
    }
}

fn after(value: &Value, indent: &str, out: &mut String) {
    let is_nested = |value: &Value| value.is_object() || value.is_array();
    match value {
        Value::Object(members) if reference(members).is_none() && !members.is_empty() => {
            out.push('\n');
            write_block(value, &format!("{indent}  "), out);
        }
        Value::Array(items) if items.iter().any(is_nested) => {
            out.push('\n');
            write_block(value, &format!("{indent}  "), out);
        }
        other => out.push_str(&format!(" {}\n", inline(other))),
    }
}

/// A value in one line of YAML.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("{}: {}", quoted(key), inline(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// The name of the variable, where an example is a reference to one.
fn reference(members: &Map<String, Value>) -> Option<&str> {
    if members.len() == 1 { members.get("env")?.as_str() } else { None }
}

/// A text with a tab stop, in the syntax of snippets.
fn numbered(text: &str, stop: &mut usize) -> String {
    let text = text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}");
    *stop += 1;
    format!("${{{}:{text}}}", *stop - 1)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn quoted(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { format!("\"{}\"", escaped(text)) }
}

/// Whether YAML reads a text as itself without quotes, in a list or map on one line as well.
fn is_plain(text: &str) -> bool {
    let is_word =
        !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "null");
    is_word
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '$')
        && text.ends_with(|last: char| last != ' ')
        && text.chars().all(|char| char.is_alphanumeric() || "-_./ $:".contains(char))
        && !text.contains(": ")
        && !text.ends_with(':')
}
