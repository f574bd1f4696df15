//! A JSON schema of engine-spec as Markdown: a section for each block of keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use engine_spec::schema::title_of;
use serde_json::{Map, Value};

/// Places that a section names at most.
const PLACES_MAX: usize = 4;

/// The sections of a schema. Blocks that another schema has too are linked to in the page given with it.
pub fn sections(schema: &Value, title: &str, shared: Option<(&Value, &str)>) -> String {
    let mut page = Page { schema, shared, out: String::new(), waiting: Vec::new(), places: BTreeMap::new() };
    page.collect_places(schema, "", &mut BTreeSet::new());
    page.section(title, schema);
    let mut done = BTreeSet::new();
    while !page.waiting.is_empty() {
        let name = page.waiting.remove(0);
        if done.insert(name.clone()) {
            page.definition(&name);
        }
    }
    page.out
}

struct Page<'a> {
    schema: &'a Value,
    shared: Option<(&'a Value, &'a str)>,
    out: String,
    /// Definitions that are named and not yet described.
    waiting: Vec<String>,
    /// Where each definition is used.
    places: BTreeMap<String, Vec<String>>,
}

impl Page<'_> {
    fn definition(&mut self, name: &str) {
        let definition = &self.schema["definitions"][name];
        let title = title_of(name);
        let kinds: Vec<&Value> =
            definition["allOf"].as_array().into_iter().flatten().filter(|kind| kind["then"].is_object()).collect();
        if kinds.is_empty() {
            self.section(&title, definition);
            return;
        }
        let _ = write!(self.out, "\n## {title}\n\n{}\n\n", text(definition));
        let kind = &definition["properties"]["type"];
        for (name, meaning) in values(kind) {
            let _ = writeln!(self.out, "- [`type: {name}`](#{}): {meaning}", anchor(&format!("{title}: {name}")));
        }
        for kind in kinds {
            let name = kind["if"]["properties"]["type"]["const"].as_str().unwrap_or_default();
            self.section(&format!("{title}: {name}"), &kind["then"]);
        }
    }

    fn section(&mut self, title: &str, block: &Value) {
        let _ = write!(self.out, "\n## {title}\n\n");
        let description = text(block);
        if !description.is_empty() {
            let _ = write!(self.out, "{description}\n\n");
        }
        if let Some(places) = self.places.get(title).filter(|places| !places.is_empty()) {
            let shown: Vec<String> = places.iter().take(PLACES_MAX).map(|place| format!("`{place}`")).collect();
            let more = if places.len() > PLACES_MAX { ", …" } else { "" };
            let _ = write!(self.out, "At {}{more}.\n\n", shown.join(", "));
        }
        let required: BTreeSet<&str> =
            block["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.out.push_str("| key | type | default | meaning | example |\n| --- | --- | --- | --- | --- |\n");
        let empty = Map::new();
        let mut explained = Vec::new();
        for (name, property) in block["properties"].as_object().unwrap_or(&empty) {
            let kind = self.kind(property);
            let default = match property.get("default") {
                _ if required.contains(name.as_str()) => "required".to_owned(),
                Some(default) if is_scalar(default) => format!("`{}`", inline(default)),
                _ => String::new(),
            };
            let example = property["examples"][0].clone();
            let example = if example.is_null() { String::new() } else { code(&inline(&example)) };
            let meaning = text(property);
            let meanings = self.meanings(property);
            if !meanings.is_empty() {
                explained.push(format!("`{name}` is {meanings}."));
            }
            let _ = writeln!(self.out, "| `{name}` | {kind} | {default} | {} | {example} |", cell(&meaning));
        }
        // A value may be a name instead of a map.
        let names: Vec<String> = values(&block["then"]).map(|(name, _)| format!("`{name}`")).collect();
        if !names.is_empty() {
            explained.push(format!("Without a map: {}.", names.join(", ")));
        }
        for line in explained {
            let _ = write!(self.out, "\n{line}\n");
        }
    }

    /// The values of a property and what they mean, where that is said.
    fn meanings(&self, property: &Value) -> String {
        let property = property.get("else").unwrap_or(property);
        let target = reference(property).map_or(property, |name| &self.schema["definitions"][name]);
        let described = values(target).filter(|(_, meaning)| !meaning.is_empty());
        let described: Vec<String> =
            described.map(|(value, meaning)| format!("`{value}` ({})", meaning.trim_end_matches('.'))).collect();
        described.join(", ")
    }

    /// The type of a property in words, with a link where it is a block of its own.
    fn kind(&mut self, property: &Value) -> String {
        if let Some(other) = property.get("else") {
            return format!("{} or reference", self.kind(other));
        }
        if let Some(name) = reference(property) {
            return self.named(name);
        }
        if let Some(value) = property.get("const") {
            return code(&inline(value));
        }
        if property.get("enum").is_some() {
            return choices(property);
        }
        let format = property["format"].as_str().unwrap_or_default();
        match (property["type"].as_str(), format) {
            (_, "Period") => "period".to_owned(),
            (_, "Percent") => "share".to_owned(),
            (_, "ByteSize") => "size".to_owned(),
            (Some("array"), _) => format!("list of {}", self.kind(&property["items"])),
            (Some("object"), _) if property["additionalProperties"].is_object() => {
                format!("map to {}", self.kind(&property["additionalProperties"]))
            }
            (Some("string"), _) => "text".to_owned(),
            (Some("integer"), _) => "whole number".to_owned(),
            (Some("number"), _) => "number".to_owned(),
            (Some("boolean"), _) => "`true` or `false`".to_owned(),
            (Some("object"), _) => "map".to_owned(),
            _ => "value".to_owned(),
        }
    }

    fn named(&mut self, name: &str) -> String {
        let definition = &self.schema["definitions"][name];
        if name == "Reference" {
            return self.link(name, "reference");
        }
        if !is_block(definition) {
            return match name {
                "FutureCheck" => "`reject`, `report`, `allow` or a period".to_owned(),
                "TimeFormat" => "format of a time".to_owned(),
                "Param" => "value or list of values".to_owned(),
                _ => self.kind(definition),
            };
        }
        let title = title_of(name).to_lowercase();
        self.link(name, &title)
    }

    fn link(&mut self, name: &str, shown: &str) -> String {
        let anchor = anchor(&title_of(name));
        match self.shared {
            Some((other, page)) if other["definitions"].get(name).is_some() => format!("[{shown}]({page}#{anchor})"),
            _ => {
                self.waiting.push(name.to_owned());
                format!("[{shown}](#{anchor})")
            }
        }
    }

    /// Notes where each block is used, by the path from the top.
    fn collect_places(&mut self, schema: &Value, path: &str, above: &mut BTreeSet<String>) {
        let kinds = schema["allOf"].as_array().into_iter().flatten().map(|kind| &kind["then"]);
        let blocks: Vec<&Value> = std::iter::once(schema).chain(kinds).collect();
        for (name, property) in blocks.iter().filter_map(|block| block["properties"].as_object()).flatten() {
            let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let target = reference(property).or_else(|| reference(&property["items"]));
            let Some(target) = target.filter(|target| above.insert((*target).to_owned())) else { continue };
            let places = self.places.entry(title_of(target)).or_default();
            if !places.contains(&here) {
                places.push(here.clone());
            }
            let definition = self.schema["definitions"][target].clone();
            self.collect_places(&definition, &here, above);
            above.remove(target);
        }
    }
}

/// Whether a definition is a map of keys.
fn is_block(definition: &Value) -> bool {
    definition["properties"].is_object()
}

/// The definition that a property stands for.
fn reference(property: &Value) -> Option<&str> {
    let direct = property["$ref"].as_str();
    direct.or_else(|| property["allOf"][0]["$ref"].as_str())?.rsplit('/').next()
}

fn choices(property: &Value) -> String {
    let described: Vec<String> = values(property).map(|(value, _)| format!("`{value}`")).collect();
    described.join(", ")
}

/// The values of an enum, with what they mean.
fn values(property: &Value) -> impl Iterator<Item = (String, &str)> {
    let meanings = property["enumDescriptions"].as_array();
    property["enum"].as_array().into_iter().flatten().enumerate().map(move |(index, value)| {
        let meaning = meanings.and_then(|meanings| meanings.get(index)).and_then(Value::as_str).unwrap_or_default();
        (inline(value), meaning)
    })
}

fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_number() || value.is_boolean()
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().trim().to_owned()
}

fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// A value as it is written in one line of a spec.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}: {}", quoted(value))).collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        other => other.to_string(),
    }
}

/// A value inside a list or map: text that YAML could read as something else is quoted.
fn quoted(value: &Value) -> String {
    let Value::String(text) = value else { return inline(value) };
    let is_plain = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '$')
        && text.chars().all(|char| char.is_alphanumeric() || "-_./ $".contains(char));
    if is_plain { text.clone() } else { value.to_string() }
}

/// The anchor that a title has on a page.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.flat_map(char::to_lowercase).map(|char| if char == ' ' { '-' } else { char }).collect()
}
