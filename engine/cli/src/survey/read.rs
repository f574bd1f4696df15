//! A catalogue, question by question, and rows of the tables that look worth it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use engine_core::discover::{Name, RowCount, Survey, TableFacts, TableKind, name_weight, worth_a_look};
use engine_core::plan;
use engine_core::ports::{Cancel, Clock, SourceError};
use engine_core::report::counted;
use engine_core::run::source_failure;
use engine_spec::model::{Param, Scalar};

use super::catalogue::{Catalogue, catalogue};
use super::decode::{self, Question, text};
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
        survey.notes.push(format!("there are more than {} tables: name a schema", answer.rows.len()));
    }
    let (found, unreadable) = decode::tables(&answer.rows, wanted.schema.as_deref(), bare);
    survey.tables = found;
    if unreadable > 0 {
        survey.notes.push(format!("{} may not be read by this account", counted(unreadable, "table")));
    }
    if survey.tables.len() > TABLES_MAX {
        survey.tables.sort_by_cached_key(|table| {
            let is_named = wanted.tables.iter().any(|name| is_meant(&table.name, name));
            (!is_named, -name_weight(&table.name.table), table.name.clone())
        });
        let left_out = survey.tables.len() - TABLES_MAX;
        survey.tables.truncate(TABLES_MAX);
        let left_out = counted(left_out, "more table");
        survey.notes.push(format!("{left_out} left out, whose names say less: name a schema to see others"));
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
    // A name that several schemas have is asked about once, for all of them.
    let names: BTreeSet<String> = survey.tables.iter().map(|table| table.name.table.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let mut asked = 0;
    for part in names.chunks(TABLES_ASKED_MAX) {
        if session.is_over().is_some() {
            break;
        }
        asked += part.len();
        let list = part.iter().cloned().map(Scalar::Text).collect();
        let params = Params::from([("tables".to_owned(), Param::List(list))]);
        for question in Question::ALL {
            let answer = session.ask_catalogue(questions.about(question), &params, FACTS_MAX)?;
            decode::facts(&mut survey.tables, question, &answer.rows, bare);
            if let (true, Some(last)) = (answer.is_cut, answer.rows.last()) {
                survey.notes.push(format!(
                    "{}: an answer was cut after {} rows, at table {}: it and those after it may lack some",
                    question.what(),
                    answer.rows.len(),
                    text(last, 1).unwrap_or_default()
                ));
            }
        }
    }
    let is_asked = |table: &&TableFacts| !names[asked..].contains(&table.name.table);
    let (known, unknown): (Vec<&TableFacts>, Vec<&TableFacts>) = survey.tables.iter().partition(is_asked);
    if !unknown.is_empty() {
        survey.notes.push(format!("{} left out: nothing more was asked", counted(unknown.len(), "more table")));
    }
    let without = known.iter().filter(|table| table.columns.is_empty()).count();
    if without > 0 {
        survey.notes.push(format!("{} left out, of which no column is shown", counted(without, "table")));
    }
    survey.tables.retain(|table| !table.columns.is_empty());
    Ok(())
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
    let worth: Vec<Name> = if wanted.tables.is_empty() {
        worth_a_look(survey, usize::MAX)
    } else {
        let names = survey.tables.iter().map(|table| &table.name);
        names.filter(|name| wanted.tables.iter().any(|wanted| is_meant(name, wanted))).cloned().collect()
    };
    let sampled = &worth[..if wanted.tables.is_empty() { worth.len().min(SAMPLED_TABLES_MAX) } else { worth.len() }];
    let mut failures = Vec::new();
    let (mut asked, mut looked_at, mut uncounted) = (0, 0, 0);
    for table in &mut survey.tables {
        let is_sampled = sampled.contains(&table.name);
        let is_unknown = table.rows == RowCount::Unknown && table.kind == TableKind::Table;
        if session.is_over().is_some() || cancel.is_cancelled() || (!is_sampled && asked >= COUNTED_TABLES_MAX) {
            uncounted += usize::from(is_unknown);
            continue;
        }
        let mut outcome = Ok(());
        if is_sampled || is_unknown {
            asked += 1;
            outcome = sample::count(session, questions, block.dialect, table);
        }
        if is_sampled && wanted.values != Values::LeftOut && outcome.is_ok() {
            outcome = sample::sample(session, questions, block.dialect, table, wanted, &mut survey.notes);
        }
        looked_at += usize::from(is_sampled);
        match outcome {
            Ok(()) => {}
            Err(error) if sample::costs_only_the_table(&error) => {
                failures.push(format!("{} could not be read: {}", shown(&table.name), error.message));
            }
            Err(error) => return Err(error),
        }
    }
    let unsampled = worth.len() - looked_at;
    if unsampled > 0 && wanted.values != Values::LeftOut {
        survey.notes.push(format!(
            "no row of {} was looked at that could hold orders or bookings: `--table NAME` shows one",
            counted(unsampled, "more table")
        ));
    }
    if uncounted > 0 {
        survey.notes.push(format!("the rows of {} were not counted", counted(uncounted, "table")));
    }
    let untold = failures.len().saturating_sub(FAILURES_TOLD_MAX);
    survey.notes.extend(failures.into_iter().take(FAILURES_TOLD_MAX));
    if untold > 0 {
        survey.notes.push(format!("{} could not be read", counted(untold, "more table")));
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

#[cfg(test)]
mod tests;
