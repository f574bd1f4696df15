//! Keys that had another name: they are read under it as before, a finding says the new one, and `--fix` writes it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::codes;
use crate::diagnostic::{Diagnostic, child, path_of};
use crate::schema::Document;
use crate::yaml::SpecFile;

/// A key that got another name, in the block where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenamedKey {
    /// The kind of file that it is a key of; a key of tests needs a line for each of the two that have tests.
    pub document: Document,
    /// JSON pointer of its block, empty for the top level; `*` stands for every key of a map and every item of a list.
    pub block: &'static str,
    /// Its name before.
    pub old: &'static str,
    /// Its name now.
    pub new: &'static str,
    /// The version of the engine that has the new name: `1.4.0`.
    pub since: &'static str,
    /// Why, as a sentence without its stop.
    pub why: &'static str,
}

/// Every key that got another name. One line here is all that it takes: the loader, `--fix`, the schemas for editors
/// and the reference read this table. A line stays for ever, for specs are as old as the plants that they serve.
pub const RENAMED: &[RenamedKey] = &[];

impl RenamedKey {
    /// What is said of the old name.
    fn words(&self) -> String {
        format!("`{}` is called `{}` since version {}: {}", self.old, self.new, self.since, self.why)
    }
}

/// Gives the keys of a file their names of today, places included, and says which had another one.
pub(crate) fn read(file: &mut SpecFile, document: Document, table: &[RenamedKey]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for row in table.iter().filter(|row| row.document == document) {
        for block in blocks(&file.value, row.block) {
            let (old, new) = (child(&block, row.old), child(&block, row.new));
            if file.value.pointer(&old).is_none() {
                continue;
            }
            let span = file.key_span(&old);
            findings.push(if file.value.pointer(&new).is_some() {
                let message = format!("`{}` is the old name of `{}`, and both are given", row.old, row.new);
                Diagnostic::new(codes::DUPLICATE_KEY, span, message).help(format!("remove `{}`", row.old))
            } else {
                let finding = Diagnostic::new(codes::RENAMED_KEY, span.clone(), row.words());
                finding.help("`validate-spec --fix` writes the new name").fix(span, row.new)
            });
            if let Some(finding) = findings.last_mut() {
                finding.pointer.clone_from(&old);
            }
            file.rename(&old, &new);
        }
    }
    findings
}

/// The blocks of a value that a pattern stands for, whether they are there or not.
fn blocks(value: &Value, pattern: &str) -> Vec<String> {
    pattern.split('/').skip(1).fold(vec![String::new()], |found, part| {
        let below = |at: String| match (part, value.pointer(&at)) {
            ("*", Some(Value::Object(members))) => members.keys().map(|key| child(&at, key)).collect(),
            ("*", Some(Value::Array(items))) => (0..items.len()).map(|index| format!("{at}/{index}")).collect(),
            ("*", _) => Vec::new(),
            (part, _) => vec![child(&at, part)],
        };
        found.into_iter().flat_map(below).collect()
    })
}

/// Adds the old names to a schema for editors, marked as such. A key that is required is asked for by its new name only.
pub(crate) fn deprecate(schema: &mut Value, document: Document, table: &[RenamedKey]) {
    for row in table.iter().filter(|row| row.document == document) {
        for block in schemas_of(schema, row) {
            let Some(properties) = schema.pointer_mut(&format!("{block}/properties")) else { continue };
            let mut property = properties[row.new].clone();
            if let Some(property) = property.as_object_mut() {
                property.retain(|key, _| !["examples", "default", "defaultSnippets"].contains(&key.as_str()));
                for key in ["description", "markdownDescription", "deprecationMessage"] {
                    property.insert(key.to_owned(), json!(row.words()));
                }
                property.extend(["deprecated", "doNotSuggest"].map(|key| (key.to_owned(), json!(true))));
            }
            properties[row.old] = property;
        }
    }
}

/// Pointers of the schemas that have the new key of a row, where its block is.
fn schemas_of(schema: &Value, row: &RenamedKey) -> BTreeSet<String> {
    let mut found = with_parts(schema, [String::new()]);
    for part in row.block.split('/').skip(1) {
        let below = found.iter().flat_map(|at| match part {
            "*" => vec![format!("{at}/additionalProperties"), format!("{at}/items")],
            part => vec![format!("{at}/properties/{part}")],
        });
        found = with_parts(schema, below);
    }
    found.retain(|at| schema.pointer(&format!("{at}/properties/{}", row.new)).is_some());
    found
}

/// Schemas, and all that they are made of: what they refer to, and what they say under a condition.
fn with_parts(schema: &Value, places: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut waiting: Vec<String> = places.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(at) = waiting.pop() {
        let Some(node) = schema.pointer(&at).filter(|_| !found.contains(&at)) else { continue };
        waiting.extend(node["$ref"].as_str().map(|target| target.trim_start_matches('#').to_owned()));
        waiting.extend(["then", "else"].map(|key| format!("{at}/{key}")));
        let several = node["allOf"].as_array().map_or(0, Vec::len);
        waiting.extend((0..several).map(|index| format!("{at}/allOf/{index}")));
        found.insert(at);
    }
    found
}

/// The old names as a table of the reference; none where no key has one.
pub fn reference(table: &[RenamedKey]) -> String {
    let rows = table.iter().map(|row| {
        let path = |name| match path_of(&child(row.block, name)) {
            path if row.document == Document::Device => format!("engine.yaml: {path}"),
            path => path,
        };
        format!("| `{}` | `{}` | {} | {}. |\n", path(row.old), path(row.new), row.since, row.why)
    });
    let rows: String = rows.collect();
    if rows.is_empty() { rows } else { format!("| before | now | since | why |\n| --- | --- | --- | --- |\n{rows}") }
}

#[cfg(test)]
mod tests;
