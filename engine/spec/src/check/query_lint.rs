//! Lints of the query: SQL that a server takes, and that reads other rows than the run believes.

use std::ops::Range;

use super::Checker;
use super::query::in_sql;
use crate::codes;
use crate::diagnostic::Label;
use crate::load::LoadedCompanions;
use crate::model::{FieldSource, Spec, SyncMode, TableType, TimeField, TimeSource};
use crate::template::{Bound, Columns, Comparison, Operator, Outline, SqlTemplate};

/// Code that may keep a row without an end in the result.
const KEEPS_LIVE_ROWS: [&str; 9] =
    ["OR", "UNION", "COALESCE", "IFNULL", "ISNULL", "NVL", "NVL2", "IS NULL", "IS NOT DISTINCT"];

pub(super) fn check(checker: &mut Checker<'_>, spec: &Spec, companions: &LoadedCompanions, template: &SqlTemplate) {
    let outline = Outline::of(template);
    let mut lint = Lint { checker, spec, companions };
    lint.select_star(&outline);
    if spec.sync.mode == SyncMode::Window {
        let comparisons = outline.comparisons();
        let columns = outline.columns();
        lint.live_rows_left_out(&outline, &comparisons);
        lint.inclusive_bounds(&comparisons, &columns);
        lint.window_column(&outline, &comparisons, &columns);
    }
}

struct Lint<'a, 'f> {
    checker: &'a mut Checker<'f>,
    spec: &'a Spec,
    companions: &'a LoadedCompanions,
}

impl Lint<'_, '_> {
    fn warn(&mut self, code: &'static str, place: &Range<usize>, message: String, help: String) {
        let finding = in_sql(self.checker, self.companions, code, place, message).help(help);
        self.checker.push(finding);
    }

    fn select_star(&mut self, outline: &Outline) {
        if let Some(star) = outline.stars().first() {
            let message = "`*` reads whatever columns the table has: they come and go with updates of the source";
            let help = "name the columns that `key`, `fields` and the expressions use";
            self.warn(codes::SELECT_STAR, star, message.to_owned(), help.to_owned());
        }
    }

    fn live_rows_left_out(&mut self, outline: &Outline, comparisons: &[Comparison]) {
        let bounds = comparisons.iter().find(|comparison| comparison.bound == Bound::Start);
        let Some(bounds) = bounds.filter(|_| self.spec.table == TableType::Order) else { return };
        if outline.has_any(&KEEPS_LIVE_ROWS) {
            return;
        }
        let message = "a run that began before the window and has no end yet is not read: its end is never seen";
        let help = match self.spec.fields.end.as_ref().and_then(window_column) {
            Some(end) => format!("read it whatever its age: `WHERE (… the window …) OR {end} IS NULL`"),
            None => "read it whatever its age: `WHERE (… the window …) OR …`, with what a live run has".to_owned(),
        };
        self.warn(codes::LIVE_ROWS_LEFT_OUT, &bounds.place, message.to_owned(), help);
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
            self.warn(codes::WINDOW_BOUND_INCLUSIVE, place, message.to_owned(), help);
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
            TableType::Order => ("start", &self.spec.fields.start),
            TableType::Booking => ("timestamp", &self.spec.fields.timestamp),
        };
        let named = self.spec.sync.column.as_deref();
        let Some(expected) = named.or_else(|| field.1.as_ref().and_then(window_column)) else { return };
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
                    None => (field.0, format!("/fields/{}", field.0)),
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

/// The column that holds a time, or its date; none where it is calculated.
fn window_column(field: &TimeField) -> Option<&str> {
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
mod tests {
    use crate::{NoCompanions, load};

    const ORDER: &str =
        "table: order\nfields: { order_code: a, product_code: b, machine_code: c, start: von, end: bis }\n";
    const BOOKING: &str = "table: booking\nfields: { order_code: a, product_code: b, machine_code: c, event: k, \
                           timestamp: { date: tag, time: zeit } }\n";

    /// The findings of a query as code and place, of a table with these further keys.
    fn check(rest: &str, sql: &str, expected: &[&str]) {
        let text = format!(
            "version: 1\nid: a\nkey: [id]\nsource: {{ type: sqlite, path: a.db, timezone: UTC }}\n{rest}\
             query:\n  sql: |\n    {sql}\n"
        );
        let loaded = load("a.yaml", text.as_bytes(), &NoCompanions);
        let found: Vec<String> =
            loaded.diagnostics.iter().map(|found| format!("{} {}", found.code, &text[found.span.clone()])).collect();
        assert_eq!(found, expected, "{sql}\n{:#?}", loaded.diagnostics);
        assert!(loaded.diagnostics.iter().all(|finding| finding.help.is_some()));
    }

    #[test]
    fn live_rows_need_a_branch_of_their_own() {
        const WINDOW: &str = "SELECT von, bis FROM t WHERE von >= {{ window.start }} AND von < {{ window.end }}";
        let left_out = ["live_rows_left_out window.start"];
        check(ORDER, WINDOW, &left_out);
        check(ORDER, &format!("{WINDOW} -- OR bis IS NULL"), &left_out);
        check(ORDER, &format!("{WINDOW} AND a <> 'OR'"), &left_out);
        for kept in ["OR bis IS NULL", "or a = 1", "AND ifnull(bis, 1) > 0", "UNION ALL SELECT von, bis FROM u"] {
            check(ORDER, &format!("{WINDOW} {kept}"), &[]);
        }
        check(BOOKING, &WINDOW.replace("von", "tag"), &[]);
        check(&format!("{ORDER}sync: {{ mode: full }}\n"), "SELECT von, bis FROM t WHERE von < {{ run.now }}", &[]);
    }

    #[test]
    fn bounds_are_half_open() {
        let booking = |condition: &str, expected: &[&str]| {
            check(BOOKING, &format!("SELECT tag FROM t WHERE {condition}"), expected);
        };
        booking("tag >= {{ window.start }} AND tag < {{ window.end }}", &[]);
        booking("tag > {{ window.start }} AND tag < {{ window.end }}", &["window_bound_inclusive >"]);
        booking(
            "{{ window.start }} < tag AND {{ window.end | date }} >= tag",
            &["window_bound_inclusive <", "window_bound_inclusive >="],
        );
        booking("tag BETWEEN {{ window.start }} AND {{ window.end }}", &["window_bound_inclusive BETWEEN"]);
        booking("date(tag) <= {{ window.end }} AND tag >= {{ window.start }}", &["window_bound_inclusive <="]);
        // A conversion of the bound leaves it what it is, a calculation with it does not.
        booking(
            "tag > CAST({{ window.start }} AS DATE) AND tag <= CAST({{ window.end }} AS VARCHAR(20))",
            &["window_bound_inclusive >", "window_bound_inclusive <="],
        );
        booking(
            "TO_DATE({{ window.end | format('%Y') }}, 'YYYY') >= tag AND a = {{ window.start }}",
            &["window_bound_inclusive >="],
        );
        booking("tag >= CAST({{ window.start }} AS DATE) AND tag < CAST({{ window.end }} AS DATE)", &[]);
        booking("tag >= CAST({{ window.start }} AS DATE) AND tag <= CAST({{ window.end }} AS DATE) - 1", &[]);
        // A run that reaches into the window.
        let reaching =
            "SELECT von, bis FROM t WHERE von < {{ window.end }} AND (bis > {{ window.start }} OR bis IS NULL)";
        check(ORDER, reaching, &[]);
        check(ORDER, &reaching.replace("bis >", "coalesce(bis, 1) >"), &[]);
        check(ORDER, &reaching.replace("bis >", "von >"), &["window_bound_inclusive >"]);
        let one_date = ORDER.replace("von, end: bis", "{ date: bis, time: a }, end: { date: bis, time: b }");
        check(&one_date, &reaching.replace("von", "bis"), &["window_bound_inclusive >"]);
    }

    #[test]
    fn the_window_is_on_the_column_that_says_what_is_gone() {
        let query = |select: &str, column: &str| {
            format!(
                "SELECT {select} FROM t WHERE {column} >= {{{{ window.start }}}} AND {column} < {{{{ window.end }}}}"
            )
        };
        let booking = |select: &str, column: &str, expected: &[&str]| {
            check(BOOKING, &query(select, column), expected);
        };
        booking("tag", "t.[TAG]", &[]);
        booking("tag, am", "am", &["window_column_differs am"]);
        booking("tag, am", "t.\"am\"", &["window_column_differs t.\"am\""]);
        booking("am AS tag", "am", &[]);
        booking("t.am tag", "am", &[]);
        booking("date(am) AS tag", "am", &[]);
        booking("tag", "date(am)", &[]);
        booking("1", "am", &[]);
        booking("t.*", "am", &["select_star *", "window_column_differs am"]);
        let column = format!("{BOOKING}sync: {{ column: am }}\n");
        check(&column, &query("tag, am", "am"), &[]);
        check(&column, &query("tag, am", "tag"), &["window_column_differs tag"]);
        check(ORDER, &(query("von, bis", "bis") + " OR bis IS NULL"), &["window_column_differs bis"]);
        check(ORDER, &(query("von, bis, am", "von") + " OR am >= {{ window.start }}"), &[]);
        let expression = BOOKING.replace("tag", "{ template: tag }");
        check(&expression, &query("tag, am", "am"), &[]);
    }

    #[test]
    fn columns_are_named() {
        let full = format!("{BOOKING}sync: {{ mode: full }}\n");
        check(&full, "SELECT * FROM t JOIN u ON t.a = u.a", &["select_star *"]);
        check(&full, "SELECT t.a, u.b FROM t JOIN u ON t.a = u.a", &[]);
    }
}
