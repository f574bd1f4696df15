//! A catalogue, question by question, and rows of the tables that look worth it.

use std::collections::BTreeMap;
use std::path::Path;

use engine_core::discover::{
    ColumnFacts, ForeignKey, Index, Name, RowCount, Survey, TableFacts, TableKind, name_weight, worth_a_look,
};
use engine_core::plan;
use engine_core::ports::{Cancel, Clock, SourceError};
use engine_core::run::source_failure;
use engine_spec::model::{Param, Scalar};
use serde_json::Value;

use super::catalogue::{Catalogue, catalogue};
use super::session::Session;
use super::{SourceBlock, Values, Wanted, sample};
use crate::exit::CommandError;
use crate::references::ProcessReferences;
use crate::{pipeline, project};

/// Tables whose names are read.
const NAMES_MAX: usize = 50_000;
/// Tables whose columns are read: beyond, those whose names say most.
const TABLES_MAX: usize = 2_000;
/// Rows of one answer about columns, indexes and keys.
const FACTS_MAX: usize = 100_000;
/// Tables of one question.
const TABLES_ASKED_MAX: usize = 100;
/// Tables that are sampled because they look like orders or bookings.
const SAMPLED_TABLES_MAX: usize = 8;
/// Tables that are counted because the catalogue does not say how many rows they have.
const COUNTED_TABLES_MAX: usize = 100;
/// Failures that are told one by one.
const FAILURES_TOLD_MAX: usize = 5;

/// Adds a row of an answer, given the one before, to its table.
type Add = fn(&mut TableFacts, &[Value], &[Value], Option<&str>);
type Params = BTreeMap<String, Param>;

pub(super) fn survey(
    block: &SourceBlock,
    file: &Path,
    wanted: &Wanted,
    cancel: &Cancel,
    clock: &dyn Clock,
) -> Result<Survey, CommandError> {
    let references = ProcessReferences::new(&block.folder);
    let (config, zone) = plan::source_config(&block.source, &block.folder, &references)
        .map_err(|errors| project::plan_failure(file, &errors))?;
    let source = pipeline::open_config(block.source_type, &config, cancel).map_err(failed)?;
    let now = clock.now();
    let mut session = Session::new(source, block.dialect, now);
    let questions = catalogue(block.dialect);
    let (session_timezone, bare) = session_facts(&mut session, &questions);
    let timezone = plan::source_zone(&block.source).and_then(|_| zone.iana_name()).map(str::to_owned);
    let mut survey = Survey {
        source_type: block.source_type.to_owned(),
        version: session.version(),
        session_timezone,
        timezone,
        now,
        tables: Vec::new(),
        notes: Vec::new(),
        statements: 0,
    };
    tables(&mut session, &questions, wanted, bare.as_deref(), &mut survey).map_err(failed)?;
    facts(&mut session, &questions, bare.as_deref(), &mut survey).map_err(failed)?;
    rows(&mut session, &questions, block, wanted, cancel, &mut survey).map_err(failed)?;
    survey.notes.extend(session.is_over());
    survey.statements = session.statements();
    Ok(survey)
}

fn failed(error: SourceError) -> CommandError {
    let failure = source_failure(error);
    CommandError { kind: pipeline::kind_of(&failure), message: failure.message, hint: failure.hint }
}

/// Zone of the session, and the schema that a bare name means. A server that does not say it is no obstacle.
fn session_facts(session: &mut Session, questions: &Catalogue) -> (Option<String>, Option<String>) {
    let answer = session.ask_rows(questions.session.to_owned(), 1).unwrap_or_default();
    let row = answer.rows.into_iter().next().unwrap_or_default();
    (text(&row, 0), text(&row, 1))
}

fn tables(
    session: &mut Session,
    questions: &Catalogue,
    wanted: &Wanted,
    bare: Option<&str>,
    survey: &mut Survey,
) -> Result<(), SourceError> {
    let pattern = wanted.schema.clone().unwrap_or_else(|| "%".to_owned());
    let params = Params::from([("schema".to_owned(), Param::One(Scalar::Text(pattern)))]);
    let answer = session.ask_catalogue(questions.tables, &params, NAMES_MAX)?;
    if answer.is_cut {
        survey.notes.push(format!("there are more than {NAMES_MAX} tables: name a schema"));
    }
    let mut unreadable = 0_usize;
    for row in &answer.rows {
        let Some(name) = text(row, 1) else { continue };
        let schema = text(row, 0);
        // `_` of a name is a wildcard of a pattern.
        if wanted.schema.is_some() && schema.is_some() && schema != wanted.schema {
            continue;
        }
        if !truth(row, 5) {
            unreadable += 1;
            continue;
        }
        survey.tables.push(TableFacts {
            name: named(schema, name, bare),
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
    if unreadable > 0 {
        let what = if unreadable == 1 { "table" } else { "tables" };
        survey.notes.push(format!("{unreadable} {what} may not be read by this account"));
    }
    if survey.tables.len() > TABLES_MAX {
        survey.tables.sort_by_cached_key(|table| {
            let is_named = wanted.tables.iter().any(|name| is_meant(&table.name, name));
            (!is_named, -name_weight(&table.name.table), table.name.clone())
        });
        let left_out = survey.tables.len() - TABLES_MAX;
        survey.tables.truncate(TABLES_MAX);
        survey.notes.push(format!("{left_out} more tables, whose names say less: name a schema to see others"));
    }
    survey.tables.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(())
}

/// Columns, indexes and keys of the tables.
fn facts(
    session: &mut Session,
    questions: &Catalogue,
    bare: Option<&str>,
    survey: &mut Survey,
) -> Result<(), SourceError> {
    let places: BTreeMap<Name, usize> =
        survey.tables.iter().enumerate().map(|(at, table)| (table.name.clone(), at)).collect();
    let names: Vec<String> = survey.tables.iter().map(|table| table.name.table.clone()).collect();
    let mut cut = false;
    for part in names.chunks(TABLES_ASKED_MAX) {
        if session.is_over().is_some() {
            break;
        }
        let list = part.iter().cloned().map(Scalar::Text).collect();
        let params = Params::from([("tables".to_owned(), Param::List(list))]);
        for (template, add) in [
            (questions.columns, add_column as Add),
            (questions.indexes, add_index),
            (questions.foreign_keys, add_foreign_key),
        ] {
            let answer = session.ask_catalogue(template, &params, FACTS_MAX)?;
            cut |= answer.is_cut;
            let mut before: &[Value] = &[];
            for row in &answer.rows {
                let Some(name) = text(row, 1) else { continue };
                if let Some(at) = places.get(&named(text(row, 0), name, bare)) {
                    add(&mut survey.tables[*at], row, before, bare);
                }
                before = row;
            }
        }
    }
    if cut {
        survey.notes.push(format!("of some tables not everything was read: an answer had more than {FACTS_MAX} rows"));
    }
    survey.tables.retain(|table| !table.columns.is_empty());
    Ok(())
}

fn add_column(table: &mut TableFacts, row: &[Value], _before: &[Value], _bare: Option<&str>) {
    let Some(name) = text(row, 2) else { return };
    if table.columns.iter().any(|column| column.name == name) {
        return;
    }
    let source_type = text(row, 3).unwrap_or_default();
    table.columns.push(ColumnFacts { name, source_type, nullable: truth(row, 4), comment: text(row, 5) });
}

fn add_index(table: &mut TableFacts, row: &[Value], _before: &[Value], _bare: Option<&str>) {
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

/// Counts and samples what looks worth it. A table that fails costs itself.
fn rows(
    session: &mut Session,
    questions: &Catalogue,
    block: &SourceBlock,
    wanted: &Wanted,
    cancel: &Cancel,
    survey: &mut Survey,
) -> Result<(), SourceError> {
    let sampled: Vec<Name> = if wanted.tables.is_empty() {
        worth_a_look(survey, SAMPLED_TABLES_MAX)
    } else {
        let names = survey.tables.iter().map(|table| &table.name);
        names.filter(|name| wanted.tables.iter().any(|wanted| is_meant(name, wanted))).cloned().collect()
    };
    let mut failures = Vec::new();
    let mut counted = 0;
    for table in &mut survey.tables {
        if session.is_over().is_some() || cancel.is_cancelled() {
            break;
        }
        let is_sampled = sampled.contains(&table.name);
        let is_unknown = table.rows == RowCount::Unknown && table.kind == TableKind::Table;
        let mut outcome = Ok(());
        if is_sampled || (is_unknown && counted < COUNTED_TABLES_MAX) {
            counted += 1;
            outcome = sample::count(session, questions, block.dialect, table);
        }
        if is_sampled && wanted.values != Values::LeftOut && outcome.is_ok() {
            outcome = sample::sample(session, questions, block.dialect, table, wanted);
        }
        match outcome {
            Ok(()) => {}
            Err(error) if sample::costs_only_the_table(&error) => {
                failures.push(format!("{} could not be read: {}", shown(&table.name), error.message));
            }
            Err(error) => return Err(error),
        }
    }
    let untold = failures.len().saturating_sub(FAILURES_TOLD_MAX);
    survey.notes.extend(failures.into_iter().take(FAILURES_TOLD_MAX));
    if untold > 0 {
        survey.notes.push(format!("{untold} more tables could not be read"));
    }
    Ok(())
}

/// A name as the database's own clients show it.
pub fn shown(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.table),
        None => name.table.clone(),
    }
}

/// Whether a user means a table by a name: `booking`, `dbo.booking`, in any case.
pub fn is_meant(name: &Name, wanted: &str) -> bool {
    wanted.eq_ignore_ascii_case(&name.table) || wanted.eq_ignore_ascii_case(&shown(name))
}

fn named(schema: Option<String>, table: String, bare: Option<&str>) -> Name {
    Name { schema: schema.filter(|schema| Some(schema.as_str()) != bare), table }
}

fn text(row: &[Value], at: usize) -> Option<String> {
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

pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|number| number.max(0.0) as u64)),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
