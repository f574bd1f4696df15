//! Lints of the query: what another server has, and what makes a query slow or its result untrue.

use super::query_lint::{Lint, window_column};
use crate::codes;
use crate::diagnostic::Fix;
use crate::model::{Isolation, Setting, Source, TimeField, TimeFormat, TimeSource};
use crate::template::{Bound, Columns, Comparison, Operator, Outline};

pub(super) fn check(lint: &mut Lint<'_, '_>, outline: &Outline) {
    dialect(lint, outline);
    dirty_reads(lint, outline);
    if let Some(order_by) = outline.order_by() {
        let message = "`ORDER BY` makes the server sort a result whose order means nothing here";
        lint.warn(codes::ORDER_BY_UNNEEDED, &order_by, message.to_owned(), "leave it out".to_owned());
    }
}

pub(super) fn check_window(lint: &mut Lint<'_, '_>, comparisons: &[Comparison], columns: &Columns) {
    window_in_function(lint, comparisons, columns);
    for comparison in comparisons {
        if let (Some(cut), Bound::End, Some((Operator::Less, _))) =
            (&comparison.cut, comparison.bound, &comparison.operator)
        {
            let message = "the time of day is cut off the end of the window: the rows of its last day are not read";
            let help = "let the bound move outward: `{{ window.end | date }}` is the day after";
            lint.warn(codes::WINDOW_END_CUT, cut, message.to_owned(), help.to_owned());
        }
    }
}

fn dialect(lint: &mut Lint<'_, '_>, outline: &Outline) {
    let dialect = outline.dialect();
    for habit in outline.foreign_syntax() {
        let message = format!("{}; {} refuses it", habit.what, dialect.name());
        let fix = habit.superfluous.and_then(|place| {
            let sql = outline.template_text(&place).to_owned();
            lint.written(&place, &sql)
        });
        let help = format!("in {}: {}", dialect.name(), habit.instead);
        let finding = lint.warn(codes::DIALECT_SYNTAX, &habit.place, message, help);
        finding.fix = fix.map(|span| Fix { span, replacement: String::new() });
    }
    for habit in outline.foreign_functions() {
        let message = format!("{} has no function `{}` of its own", dialect.name(), habit.what);
        lint.warn(codes::DIALECT_FUNCTION, &habit.place, message, format!("write {}", habit.instead));
    }
}

fn dirty_reads(lint: &mut Lint<'_, '_>, outline: &Outline) {
    for (hint, place) in outline.dirty_hints() {
        let what =
            if hint == "READPAST" { "leaves out rows that are being changed" } else { "reads what may be undone" };
        let message = format!("`{hint}` {what}, and may read a row twice or miss it: a missed row counts as gone");
        let help = "leave it out; where readers would wait for writers, `source: { isolation: snapshot }`";
        lint.warn(codes::DIRTY_READ, &place, message, help.to_owned());
    }
    if let Source::SqlServer(server) = &lint.spec.source
        && matches!(server.isolation, Some(Setting::Literal(Isolation::ReadUncommitted)))
    {
        let message = "`read uncommitted` reads what may be undone, and may miss a row: a missed row counts as gone";
        lint.checker.value(codes::DIRTY_READ, "/source/isolation", message).help =
            Some("use `snapshot` where the database allows it, else `read committed`".to_owned());
    }
}

/// A column that is calculated with cannot be found by its index. What is stored as text must be converted.
fn window_in_function(lint: &mut Lint<'_, '_>, comparisons: &[Comparison], columns: &Columns) {
    let fields = &lint.spec.fields;
    let Some(expected) = lint.expected_column() else { return };
    let written =
        [&fields.start, &fields.timestamp].into_iter().flatten().find(|field| window_column(field) == Some(expected));
    if written.is_some_and(is_written_in_a_way_of_its_own) {
        return;
    }
    let Some(names) = columns.names_of(expected) else { return };
    let expected = expected.to_owned();
    let is_sql_server = matches!(lint.spec.source, Source::SqlServer(_));
    let mut said = false;
    for comparison in comparisons {
        let Some(calculated) = &comparison.calculated else { continue };
        let is_served = is_sql_server && ["CAST", "CONVERT"].contains(&calculated.function.as_str());
        if said || is_served || !calculated.names.iter().any(|name| names.contains(name)) {
            continue;
        }
        said = true;
        let message = format!(
            "`{expected}` is compared after `{}` was applied to it: no index on it serves, and every run reads the whole \
             table",
            calculated.function
        );
        let help =
            format!("compare the column as it is: `{expected} >= {{{{ window.start }}}}`, with a filter of the bound");
        lint.warn(codes::WINDOW_COLUMN_IN_FUNCTION, &calculated.place, message, help);
    }
}

fn is_written_in_a_way_of_its_own(field: &TimeField) -> bool {
    let is_own = |format: &Option<TimeFormat>| format.as_ref().is_some_and(|format| *format != TimeFormat::Iso8601);
    match &field.from {
        TimeSource::Parts { date, .. } => is_own(&date.format) || !date.transform.is_empty(),
        TimeSource::Whole(_) => is_own(&field.options.format) || !field.options.transform.is_empty(),
    }
}
