//! `query`: where SQL belongs, and the checks of the template.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::tz::TimeZone;

use super::{Checker, query_lint};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::load::LoadedCompanions;
use crate::model::{Setting, Source, Spec, SyncMode};
use crate::sql::Dialect;
use crate::template::{self, SqlTemplate, check_sql};

pub(super) fn check(checker: &mut Checker<'_>, spec: &Spec, companions: &LoadedCompanions) {
    let (dialect, zone) = dialect(&spec.source);
    let Some(query) = &spec.query else {
        if dialect.is_some() {
            checker.key(codes::MISSING_KEY, "/source", "a database source needs `query`").help =
                Some("add `query: { sql: … }`".to_owned());
        }
        return;
    };
    let Some(dialect) = dialect else {
        checker.key(codes::KEY_NOT_HERE, "/query", "this source takes no SQL").help =
            Some("remove `query`; an HTTP source has `request`".to_owned());
        return;
    };
    match (&query.sql, &query.file) {
        (Some(_), Some(_)) => {
            let message = "`query` takes exactly one of `sql`, `file`; both are given";
            checker.key(codes::EXACTLY_ONE, "/query/file", message);
        }
        (None, None) => {
            let message = "`query` takes exactly one of `sql`, `file`; there is neither";
            checker.key(codes::EXACTLY_ONE, "/query", message);
        }
        _ => {}
    }
    let Some(sql) = &companions.sql else { return };
    let zone = zone.and_then(super::zone).unwrap_or(TimeZone::UTC);
    let cursor: BTreeSet<String> = spec.sync.cursor.iter().cloned().collect();
    for found in check_sql(sql, dialect, &query.params, &cursor, &zone) {
        let mut finding = in_sql(checker, companions, found.code, &found.range, found.message);
        finding.severity = found.severity.into();
        finding.help = found.help;
        checker.push(finding);
    }
    if let (Some(parsed), _) = SqlTemplate::parse(sql, dialect) {
        bounds(checker, spec, companions, &parsed.uses());
        query_lint::check(checker, spec, companions, &parsed);
    }
}

/// A mode that does not use its bounds would read everything, or the same rows, again and again.
fn bounds(checker: &mut Checker<'_>, spec: &Spec, companions: &LoadedCompanions, uses: &template::Uses) {
    let mut missing: BTreeMap<String, &'static str> = BTreeMap::new();
    match spec.sync.mode {
        SyncMode::Window => {
            for (name, used) in [("window.start", uses.window_start), ("window.end", uses.window_end)] {
                if !used {
                    missing.insert(name.to_owned(), codes::BOUND_UNUSED);
                }
            }
        }
        SyncMode::Cursor => {
            for column in &spec.sync.cursor {
                if !uses.cursor.contains(column) {
                    missing.insert(format!("cursor.{column}"), codes::CURSOR_UNUSED);
                }
            }
        }
        SyncMode::Full => {}
    }
    for (name, code) in missing {
        let message = format!("the query does not use `{name}`");
        let mut finding = in_sql(checker, companions, code, &(0..0), message);
        finding.span = if companions.sql_file.is_some() { finding.span } else { checker.file.key_span("/query/sql") };
        finding.help = Some(match spec.sync.mode {
            SyncMode::Window => {
                "select the rows with `ts >= {{ window.start }} AND ts < {{ window.end }}`, or set `sync: { mode: full }`"
                    .to_owned()
            }
            SyncMode::Cursor | SyncMode::Full => {
                format!("select the rows after the cursor, which holds `{{{{ {name} }}}}`")
            }
        });
        checker.push(finding);
    }
}

/// A finding at a range of the SQL, in the spec or in the file beside it.
pub(super) fn in_sql(
    checker: &Checker<'_>,
    companions: &LoadedCompanions,
    code: &'static str,
    range: &Range<usize>,
    message: String,
) -> Diagnostic {
    match &companions.sql_file {
        Some(text) => {
            let mut finding = Diagnostic::new(code, text.clamp(range), message).at("/query/file");
            finding.companion = Some(std::sync::Arc::clone(text));
            finding
        }
        None => Diagnostic::new(code, checker.file.span_in_scalar("/query/sql", range), message).at("/query/sql"),
    }
}

fn dialect(source: &Source) -> (Option<Dialect>, Option<&str>) {
    let (dialect, zone) = match source {
        Source::SqlServer(server) => (Some(Dialect::SqlServer), &server.timezone),
        Source::MySql(server) => (Some(Dialect::MySql), &server.timezone),
        Source::MariaDb(server) => (Some(Dialect::MariaDb), &server.timezone),
        Source::Oracle(server) => (Some(Dialect::Oracle), &server.timezone),
        Source::Postgres(server) => (Some(Dialect::Postgres), &server.timezone),
        Source::Sqlite(file) => (Some(Dialect::Sqlite), &file.timezone),
        Source::Http(api) => (None, &api.timezone),
        Source::Csv(folder) => (None, &folder.timezone),
    };
    (dialect, zone.as_ref().and_then(Setting::literal).map(String::as_str))
}
