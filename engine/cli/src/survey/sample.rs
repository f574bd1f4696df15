//! A few rows of a table, the latest where an index finds them, and what its values look like.

use engine_core::discover::{RowCount, TableFacts, TableSample, is_bulky, latest_by, persons, summarise};
use engine_core::ports::{SourceError, SourceErrorKind};
use engine_spec::sql::Dialect;
use serde_json::Value;

use super::catalogue::Catalogue;
use super::session::Session;
use super::{Values, Wanted};

/// Rows of a table over which values are counted.
pub(super) const SAMPLED_ROWS_MAX: usize = 1_000;
/// Rows that are kept where nobody says how many.
pub(super) const KEPT_ROWS: usize = 20;
/// Columns of a table that are sampled.
pub(super) const SAMPLED_COLUMNS_MAX: usize = 200;
/// Rows up to which a table is counted, and may be sorted.
pub(super) const COUNTED_ROWS_MAX: u64 = 100_000;
/// What stands in place of a value of a column that looks like a person.
const MASK: &str = "***";

/// The name of a table in the dialect's quotes; `None` where it has one that cannot be quoted.
fn quoted(dialect: Dialect, table: &TableFacts) -> Option<String> {
    let own = dialect.quote_part(&table.name.table).ok()?;
    match &table.name.schema {
        Some(schema) => Some(format!("{}.{own}", dialect.quote_part(schema).ok()?)),
        None => Some(own),
    }
}

/// Counts a table up to a number of rows. Where it has more, what the statistics say stands, or that there are more.
pub(super) fn count(
    session: &mut Session,
    catalogue: &Catalogue,
    dialect: Dialect,
    table: &mut TableFacts,
) -> Result<(), SourceError> {
    if matches!(table.rows, RowCount::Estimate(rows) if rows > COUNTED_ROWS_MAX) {
        return Ok(());
    }
    let Some(name) = quoted(dialect, table) else { return Ok(()) };
    let answer = session.ask_rows(catalogue.count(&name, COUNTED_ROWS_MAX + 1), 1)?;
    let counted = answer.rows.first().and_then(|row| row.first()).and_then(super::decode::number);
    if let Some(rows) = counted {
        let is_more = rows > COUNTED_ROWS_MAX;
        table.rows = if is_more { RowCount::MoreThan(COUNTED_ROWS_MAX) } else { RowCount::Exact(rows) };
    }
    Ok(())
}

/// Samples a table.
pub(super) fn sample(
    session: &mut Session,
    catalogue: &Catalogue,
    dialect: Dialect,
    table: &mut TableFacts,
    wanted: &Wanted,
    notes: &mut Vec<String>,
) -> Result<(), SourceError> {
    let Some(name) = quoted(dialect, table) else { return Ok(()) };
    // What may be large, and what cannot be named, is not fetched.
    let mut fetched: Vec<(usize, String)> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !is_bulky(&column.source_type))
        .filter_map(|(at, column)| Some((at, dialect.quote_part(&column.name).ok()?)))
        .collect();
    if let Some(more) = fetched.len().checked_sub(SAMPLED_COLUMNS_MAX).filter(|more| *more > 0) {
        fetched.truncate(SAMPLED_COLUMNS_MAX);
        notes.push(format!(
            "{} has {} columns: the values of the last {more} were not looked at",
            super::shown(&table.name),
            table.columns.len()
        ));
    }
    if fetched.is_empty() {
        return Ok(());
    }
    let columns: Vec<&str> = fetched.iter().map(|(_, name)| name.as_str()).collect();
    let is_small = matches!(table.rows, RowCount::Exact(rows) if rows <= COUNTED_ROWS_MAX);
    let order = latest_by(table, is_small).and_then(|column| dialect.quote_part(&column).ok().map(|by| (column, by)));
    let by = order.as_ref().map(|(_, by)| by.as_str());
    // One row more than is kept tells whether there are more.
    let rows = catalogue.rows(&name, &columns.join(", "), by, SAMPLED_ROWS_MAX + 1);
    let answer = session.ask_rows(rows, SAMPLED_ROWS_MAX)?;
    let has_more = answer.is_cut;
    let rows: Vec<Vec<Value>> = answer
        .rows
        .into_iter()
        .map(|values| {
            let mut row = vec![Value::Null; table.columns.len()];
            for ((at, _), value) in fetched.iter().zip(values) {
                row[*at] = value;
            }
            row
        })
        .collect();
    let mut sample = TableSample {
        looked_at: rows.len() as u64,
        has_more,
        columns: summarise(&table.columns, &rows),
        rows,
        ..TableSample::default()
    };
    for (at, column) in table.columns.iter().enumerate() {
        if !fetched.iter().any(|(fetched, _)| *fetched == at) {
            sample.columns.remove(&column.name);
            sample.left_out.push(column.name.clone());
        }
    }
    if let Some((column, by)) = &order
        && let Ok(answer) = session.ask_rows(catalogue.range(&name, by), 1)
        && let [lowest, highest] = answer.rows.first().map_or(&[][..], Vec::as_slice)
        && let Some(seen) = sample.columns.get_mut(column)
    {
        seen.min = Some(lowest.clone()).filter(|value| !value.is_null());
        seen.max = Some(highest.clone()).filter(|value| !value.is_null());
    }
    if wanted.values == Values::Masked {
        mask(table, &mut sample);
    }
    sample.rows.truncate(wanted.rows.unwrap_or(KEPT_ROWS));
    table.sample = Some(sample);
    Ok(())
}

/// Takes the values of persons out of a sample.
fn mask(table: &TableFacts, sample: &mut TableSample) {
    let persons = persons(table, &sample.rows);
    for (at, column) in table.columns.iter().enumerate() {
        if !persons.contains(&column.name.as_str()) || !sample.columns.contains_key(&column.name) {
            continue;
        }
        sample.masked.push(column.name.clone());
        for value in sample.rows.iter_mut().filter_map(|row| row.get_mut(at)).filter(|value| !value.is_null()) {
            *value = MASK.into();
        }
        if let Some(seen) = sample.columns.get_mut(&column.name) {
            seen.frequent.clear();
            seen.min = None;
            seen.max = None;
        }
    }
}

/// Whether the survey can go on after a failure at one table.
pub(super) fn costs_only_the_table(error: &SourceError) -> bool {
    use SourceErrorKind::{Data, Permission, Query, Timeout};
    matches!(error.kind, Permission | Query | Data | Timeout)
}
