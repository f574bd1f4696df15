//! Lints of the query: SQL that a server takes, and that reads other rows than the run believes.

use std::collections::BTreeSet;
use std::ops::Range;

use super::live_rows::{self, Known};
use super::query::in_sql;
use super::{Checker, habits};
use crate::codes;
use crate::diagnostic::{Diagnostic, Fix, Label};
use crate::load::LoadedCompanions;
use crate::model::{FieldSource, Spec, SyncMode, TableType, TimeField, TimeSource};
use crate::sql::parse_query;
use crate::template::{Bound, Columns, Comparison, Operator, Outline, SqlTemplate};

/// Operators of a bound that is not half-open, and what they must be; those of a bound on the left included.
const HALF_OPEN: [(&str, &str); 4] = [("<=", "<"), (">", ">="), ("<", "<="), (">=", ">")];
/// Code that may keep a row without an end in the result, for queries that no parser knows.
const KEEPS_LIVE_ROWS: [&str; 9] =
    ["OR", "UNION", "COALESCE", "IFNULL", "ISNULL", "NVL", "NVL2", "IS NULL", "IS NOT DISTINCT"];

pub(super) fn check(checker: &mut Checker<'_>, spec: &Spec, companions: &LoadedCompanions, template: &SqlTemplate) {
    let outline = Outline::of(template);
    let mut lint = Lint { checker, spec, companions };
    lint.select_star(&outline);
    if outline.is_beyond_reading() {
        return;
    }
    habits::check(&mut lint, &outline);
    if spec.sync.mode == SyncMode::Window {
        let comparisons = outline.comparisons();
        let columns = outline.columns();
        lint.live_rows_left_out(&outline, &comparisons, &columns, template);
        lint.inclusive_bounds(&comparisons, &columns);
        lint.window_column(&outline, &comparisons, &columns);
        habits::check_window(&mut lint, &comparisons, &columns);
    }
}

pub(super) struct Lint<'a, 'f> {
    pub(super) checker: &'a mut Checker<'f>,
    pub(super) spec: &'a Spec,
    companions: &'a LoadedCompanions,
}

impl Lint<'_, '_> {
    /// A finding in the SQL; the caller may add to it.
    pub(super) fn warn(
        &mut self,
        code: &'static str,
        place: &Range<usize>,
        message: String,
        help: String,
    ) -> &mut Diagnostic {
        let finding = in_sql(self.checker, self.companions, code, place, message).help(help);
        self.checker.push(finding)
    }

    /// The bytes of a finding's text behind bytes of the SQL; none where they are not written byte for byte.
    pub(super) fn written(&self, place: &Range<usize>, sql: &str) -> Option<Range<usize>> {
        let found = in_sql(self.checker, self.companions, codes::SELECT_STAR, place, String::new());
        let text = self.companions.sql_file.as_ref().unwrap_or(&self.checker.file.text);
        (text.text.get(found.span.clone()) == Some(sql)).then_some(found.span)
    }

    /// The column by which rows are taken for gone, and the key that names it; none where it is calculated.
    pub(super) fn expected_column(&self) -> Option<&str> {
        let field = match self.spec.table {
            TableType::Order => &self.spec.fields.start,
            TableType::Booking => &self.spec.fields.timestamp,
        };
        self.spec.sync.column.as_deref().or_else(|| field.as_ref().and_then(window_column))
    }

    fn select_star(&mut self, outline: &Outline) {
        if let Some(star) = outline.stars().first() {
            let message = "`*` reads whatever columns the table has: they come and go with updates of the source";
            let help = "name the columns that `key`, `fields` and the expressions use";
            self.warn(codes::SELECT_STAR, star, message.to_owned(), help.to_owned());
        }
    }

    fn live_rows_left_out(
        &mut self,
        outline: &Outline,
        comparisons: &[Comparison],
        columns: &Columns,
        template: &SqlTemplate,
    ) {
        let bounds = comparisons.iter().find(|comparison| comparison.bound == Bound::Start);
        let Some(bounds) = bounds.filter(|_| self.spec.table == TableType::Order) else { return };
        let are_kept = match parse_query(&outline.named(), template.dialect()) {
            Some(query) => live_rows::are_kept(&query, &self.known(columns)),
            None => outline.has_any(&KEEPS_LIVE_ROWS),
        };
        if are_kept {
            return;
        }
        let message = "a run that began before the window and has no end yet is not read: its end is never seen";
        let fields = &self.spec.fields;
        let start = fields.start.as_ref().and_then(window_column);
        let help = match fields.end.as_ref().and_then(window_column).filter(|end| start != Some(end)) {
            Some(end) => format!("read it whatever its age: `WHERE (… the window …) OR {end} IS NULL`"),
            None => "read it whatever its age: `WHERE (… the window …) OR …`, with what a live run has".to_owned(),
        };
        self.warn(codes::LIVE_ROWS_LEFT_OUT, &bounds.place, message.to_owned(), help);
    }

    /// What is known of the columns of a live run. An end that has a value for "none" is not null.
    fn known(&self, columns: &Columns) -> Known {
        let fields = &self.spec.fields;
        let start = fields.start.as_ref().and_then(window_column);
        let named = [self.spec.sync.column.as_deref(), start].into_iter().flatten();
        let window: Option<Vec<_>> = named.map(|column| columns.names_of(column)).collect();
        let window =
            window.map(|names| names.into_iter().flatten().collect::<BTreeSet<_>>()).filter(|names| !names.is_empty());
        let end = fields.end.as_ref().filter(|end| end.options.null_if.is_empty() && !has_null_if(end));
        let end = end.and_then(window_column).filter(|end| start != Some(end));
        Known { window, end: end.and_then(|end| columns.names_of(end)).unwrap_or_default() }
    }

    fn inclusive_bounds(&mut self, comparisons: &[Comparison], columns: &Columns) {
        for comparison in comparisons {
            let Some((operator, place)) = &comparison.operator else { continue };
            let name = comparison.column.as_ref().map_or("…", |(name, _)| name.as_str());
            let (message, help) = match (comparison.bound, operator) {
                (Bound::Start, Operator::Greater) if !self.may_be_end(comparison, columns) => (
                    "`>` leaves out the rows at `window.start` itself, which lie in the window: they count as gone",
                    format!("bounds are half-open: `{name} >= {{{{ window.start }}}}`"),
                ),
                (Bound::End, Operator::LessOrEqual) => (
                    "`<=` reads the rows at `window.end` itself, which lie outside: they are never seen to go",
                    format!("bounds are half-open: `{name} < {{{{ window.end }}}}`"),
                ),
                (Bound::End, Operator::Between) => (
                    "`BETWEEN` reads the rows at `window.end` itself, which lie outside: they are never seen to go",
                    format!(
                        "bounds are half-open: `{name} >= {{{{ window.start }}}} AND {name} < {{{{ window.end }}}}`"
                    ),
                ),
                _ => continue,
            };
            // `<= date(…)` reads the rows of today, and `< date(…)` would not.
            let mut operators = HALF_OPEN.iter().filter(|_| comparison.cut.is_none());
            let fix = operators.find_map(|(written, right)| Some((self.written(place, written)?, *right)));
            let finding = self.warn(codes::WINDOW_BOUND_INCLUSIVE, place, message.to_owned(), help);
            finding.fix = fix.map(|(span, right)| Fix { span, replacement: right.to_owned() });
        }
    }

    /// Whether the end of a run is compared, or what might be one. `end > window.start` asks for the runs that reach
    /// into the window, and takes all that begin in it.
    fn may_be_end(&self, comparison: &Comparison, columns: &Columns) -> bool {
        let Some(end) = &self.spec.fields.end else { return false };
        let Some((compared, _)) = &comparison.column else { return true };
        if window_column(end) == self.spec.fields.start.as_ref().and_then(window_column) {
            // One date for both: it is that of the start.
            return false;
        }
        window_column(end).and_then(|end| columns.names_of(end)).is_none_or(|names| names.contains(compared))
    }

    /// For each bound, whether it is compared with the column by which rows are taken for gone. What is calculated is
    /// not judged, and a second comparison beside the right one only makes the result smaller or larger on purpose.
    fn window_column(&mut self, outline: &Outline, comparisons: &[Comparison], columns: &Columns) {
        let field = match self.spec.table {
            TableType::Order => "start",
            TableType::Booking => "timestamp",
        };
        let named = self.spec.sync.column.as_deref();
        let Some(expected) = self.expected_column().map(str::to_owned) else { return };
        let expected = expected.as_str();
        if !columns.has(expected) && outline.stars().is_empty() {
            return;
        }
        let Some(names) = columns.names_of(expected) else { return };
        for bound in [Bound::Start, Bound::End] {
            let mut other = None;
            for comparison in comparisons.iter().filter(|comparison| comparison.bound == bound) {
                let Some((compared, place)) = &comparison.column else { return };
                let is_calculated = columns.names_of(compared).is_none();
                let reaches_in = bound == Bound::Start && self.may_be_end(comparison, columns);
                if is_calculated || reaches_in || names.contains(compared) {
                    other = None;
                    break;
                }
                other.get_or_insert((compared, place));
            }
            if let Some((compared, place)) = other {
                let (owner, pointer) = match named {
                    Some(_) => ("sync.column", "/sync/column".to_owned()),
                    None => (field, format!("/fields/{field}")),
                };
                let message = format!(
                    "the query's window is on `{compared}`, but `{owner}` is `{expected}`: a row that only one of them \
                     puts into the window counts as gone, or is never seen to be gone"
                );
                let help = format!("select `{compared}` and set `sync: {{ column: {compared} }}`");
                self.warn(codes::WINDOW_COLUMN_DIFFERS, place, message, help);
                if self.companions.sql_file.is_none() {
                    let span = self.checker.file.value_span(&pointer);
                    let label = Label { span, message: "rows are compared with what was delivered by this".to_owned() };
                    self.checker.findings.last_mut().expect("one was just pushed").labels.push(label);
                }
                return;
            }
        }
    }
}

fn has_null_if(field: &TimeField) -> bool {
    match &field.from {
        TimeSource::Parts { date, time } => !date.null_if.is_empty() || !time.null_if.is_empty(),
        TimeSource::Whole(_) => false,
    }
}

/// The column that holds a time, or its date; none where it is calculated.
pub(super) fn window_column(field: &TimeField) -> Option<&str> {
    match &field.from {
        TimeSource::Whole(FieldSource::Column(column)) => Some(column),
        TimeSource::Parts { date, .. } => match &date.from {
            FieldSource::Column(column) => Some(column),
            FieldSource::Template(_) | FieldSource::Value(_) => None,
        },
        TimeSource::Whole(_) => None,
    }
}

#[cfg(test)]
mod tests;
