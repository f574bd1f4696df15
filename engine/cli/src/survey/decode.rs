//! What the rows of a catalogue say: answers to facts of tables, and nothing else.
//!
//! Products write the same thing differently: names in capitals, truths as `1`, `true` or `"1"`, no schema at all.

use std::collections::BTreeMap;

use engine_core::discover::{ColumnFacts, ForeignKey, Index, Name, RowCount, TableFacts, TableKind};
use serde_json::Value;

/// What is asked of tables, after their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Columns,
    Indexes,
    ForeignKeys,
}

impl Question {
    pub(super) const ALL: [Self; 3] = [Self::Columns, Self::Indexes, Self::ForeignKeys];

    /// What it is about, for people.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::Indexes => "indexes",
            Self::ForeignKeys => "foreign keys",
        }
    }
}

/// The tables of an answer that may be read, and how many may not. Only those of `schema`, where one is wanted; `bare`
/// is the schema that a bare name means.
pub(super) fn tables(rows: &[Vec<Value>], schema: Option<&str>, bare: Option<&str>) -> (Vec<TableFacts>, usize) {
    let mut found = Vec::new();
    let mut unreadable = 0;
    for row in rows {
        let Some(name) = text(row, 1) else { continue };
        let of = text(row, 0);
        // `_` of a name is a wildcard of a pattern.
        if schema.is_some() && of.is_some() && of.as_deref() != schema {
            continue;
        }
        if !truth(row, 5) {
            unreadable += 1;
            continue;
        }
        found.push(TableFacts {
            name: named(of, name, bare),
            kind: if text(row, 2).as_deref() == Some("view") { TableKind::View } else { TableKind::Table },
            comment: text(row, 3),
            rows: row.get(4).and_then(number).map_or(RowCount::Unknown, RowCount::Estimate),
            columns: Vec::new(),
            primary_key: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            sample: None,
        });
    }
    (found, unreadable)
}

/// Adds the rows of an answer to the tables that they are about; rows about others are left out.
pub(super) fn facts(tables: &mut [TableFacts], question: Question, rows: &[Vec<Value>], bare: Option<&str>) {
    let places: BTreeMap<Name, usize> = tables.iter().enumerate().map(|(at, table)| (table.name.clone(), at)).collect();
    let mut before: &[Value] = &[];
    for row in rows {
        let Some(name) = text(row, 1) else { continue };
        if let Some(at) = places.get(&named(text(row, 0), name, bare)) {
            let table = &mut tables[*at];
            match question {
                Question::Columns => add_column(table, row),
                Question::Indexes => add_index(table, row),
                Question::ForeignKeys => add_foreign_key(table, row, before, bare),
            }
        }
        before = row;
    }
}

fn add_column(table: &mut TableFacts, row: &[Value]) {
    let Some(name) = text(row, 2) else { return };
    if table.columns.iter().any(|column| column.name == name) {
        return;
    }
    let source_type = text(row, 3).unwrap_or_default();
    table.columns.push(ColumnFacts { name, source_type, nullable: truth(row, 4), comment: text(row, 5) });
}

fn add_index(table: &mut TableFacts, row: &[Value]) {
    let (Some(name), Some(column)) = (text(row, 2), text(row, 5)) else { return };
    if truth(row, 4) && !table.primary_key.contains(&column) {
        table.primary_key.push(column.clone());
    }
    match table.indexes.iter_mut().find(|index| index.name == name) {
        Some(index) if !index.columns.contains(&column) => index.columns.push(column),
        Some(_) => {}
        None => table.indexes.push(Index { name, columns: vec![column], unique: truth(row, 3) }),
    }
}

/// Adds a column of a foreign key; the columns of one key come one after the other.
fn add_foreign_key(table: &mut TableFacts, row: &[Value], before: &[Value], bare: Option<&str>) {
    let (Some(column), Some(to)) = (text(row, 3), text(row, 5)) else { return };
    // A key that names no column refers to the primary key of the other table.
    let to_column = text(row, 6).unwrap_or_default();
    match table.foreign_keys.last_mut() {
        Some(key) if before.get(..3) == row.get(..3) => {
            key.columns.push(column);
            key.to_columns.push(to_column);
        }
        _ => {
            let to = named(text(row, 4), to, bare);
            table.foreign_keys.push(ForeignKey { columns: vec![column], to, to_columns: vec![to_column] });
        }
    }
}

fn named(schema: Option<String>, table: String, bare: Option<&str>) -> Name {
    Name { schema: schema.filter(|schema| Some(schema.as_str()) != bare), table }
}

/// A text of a row; blank text, which Oracle and others give for none, is none.
pub(super) fn text(row: &[Value], at: usize) -> Option<String> {
    match row.get(at)? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// A truth, in whichever form a server gives it.
fn truth(row: &[Value], at: usize) -> bool {
    match row.get(at) {
        Some(Value::Bool(truth)) => *truth,
        Some(value) => number(value).is_some_and(|number| number != 0),
        None => false,
    }
}

/// A number that is not negative, in whichever form a server gives it.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|number| number.max(0.0) as u64)),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
