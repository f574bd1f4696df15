//! `query` and `source.request`: where SQL belongs, and the checks of the templates.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{Checker, query_lint};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::load::LoadedCompanions;
use crate::model::{HttpSource, Setting, Source, Spec, SyncMode};
use crate::sql::Dialect;
use crate::template::{self, RequestFinding, RequestTemplate, SqlTemplate, check_request, check_sql};

pub(super) fn check(checker: &mut Checker<'_>, spec: &Spec, companions: &LoadedCompanions) {
    let (dialect, zone) = dialect(&spec.source);
    if let Source::Http(api) = &spec.source {
        request(checker, spec, api, zone);
        return;
    }
    let Some(query) = &spec.query else {
        if dialect.is_some() {
            checker.key(codes::MISSING_KEY, "/source", "a database source needs `query`").help =
                Some("add `query: { sql: … }`".to_owned());
        }
        return;
    };
    let Some(dialect) = dialect else {
        checker.key(codes::KEY_NOT_HERE, "/query", "this source takes no SQL").help = Some("remove `query`".to_owned());
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
        let finding = in_sql(checker, companions, found.code, &found.range, found.message.clone());
        checker.template(finding, sql, &found).help = advice(spec, &found);
    }
    if let (Some(parsed), _) = SqlTemplate::parse(sql, dialect) {
        if let Some(place) = parsed.place_of_window().filter(|_| spec.sync.mode != SyncMode::Window) {
            let finding = in_sql(checker, companions, codes::NAME_NOT_IN_MODE, &place, no_window(spec.sync.mode));
            checker.push(finding.help(NO_WINDOW_HELP));
        }
        bounds(checker, spec, companions, &parsed.uses());
        query_lint::check(checker, spec, companions, &parsed);
    }
}

/// What to do where the query asks for a window and the mode has none.
const NO_WINDOW_HELP: &str = "leave the window out, or set `sync: { mode: window }`";

fn no_window(mode: SyncMode) -> String {
    let mode = match mode {
        SyncMode::Window => "window",
        SyncMode::Cursor => "cursor",
        SyncMode::Full => "full",
    };
    format!("`window` has no value in the mode `{mode}`: every run would end here")
}

/// The advice of a finding; a cursor column is no help where the mode has no cursor.
fn advice(spec: &Spec, found: &template::TemplateFinding) -> Option<String> {
    if found.code == "template_unknown_cursor" && spec.sync.mode != SyncMode::Cursor {
        return Some("only `sync: { mode: cursor, cursor: […] }` has a cursor".to_owned());
    }
    found.help.clone()
}

/// An HTTP source has no SQL: `query` holds the parameters of its request, and nothing else.
fn request(checker: &mut Checker<'_>, spec: &Spec, api: &HttpSource, zone: Option<&str>) {
    for key in ["sql", "file"] {
        let pointer = format!("/query/{key}");
        if checker.file.value.pointer(&pointer).is_some() {
            checker.key(codes::KEY_NOT_HERE, &pointer, "an HTTP source takes no SQL").help =
                Some("what is asked stands in `source.request`; `query` holds its `params` only".to_owned());
        }
    }
    let zone = zone.and_then(super::zone).unwrap_or(TimeZone::UTC);
    let cursor: BTreeSet<String> = spec.sync.cursor.iter().cloned().collect();
    let no_params = BTreeMap::new();
    let params = spec.query.as_ref().map_or(&no_params, |query| &query.params);
    for RequestFinding { pointer, finding: found } in check_request(&api.request, params, &cursor, &zone) {
        let pointer = format!("/source/request{pointer}");
        let span = checker.file.span_in_scalar(&pointer, &found.range);
        let finding = Diagnostic::new(found.code, span, found.message.as_str()).at(&pointer);
        let template = checker.file.value.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
        checker.template(finding, template, &found).help = advice(spec, &found);
    }
    let (Some(template), _) = RequestTemplate::parse(&api.request) else { return };
    let place = if checker.file.value.pointer("/source/request").is_some() { "/source/request" } else { "/source" };
    let uses = template.uses();
    if spec.sync.mode != SyncMode::Window && (uses.window_start || uses.window_end) {
        checker.key(codes::NAME_NOT_IN_MODE, place, no_window(spec.sync.mode)).help = Some(NO_WINDOW_HELP.to_owned());
    }
    for (name, code) in unused(spec, &uses) {
        let finding = checker.key(code, place, format!("the request does not use `{name}`"));
        finding.help = Some(match spec.sync.mode {
            SyncMode::Window => {
                "ask for the window: `query: { from: \"{{ window.start | instant }}\", to: \"{{ window.end | instant }}\" }`, or set `sync: { mode: full }`"
                    .to_owned()
            }
            SyncMode::Cursor | SyncMode::Full => format!("ask for what lies after `{{{{ {name} }}}}`"),
        });
    }
}

/// A mode that does not use its bounds would read everything, or the same rows, again and again.
fn unused(spec: &Spec, uses: &template::Uses) -> BTreeMap<String, &'static str> {
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
    missing
}

fn bounds(checker: &mut Checker<'_>, spec: &Spec, companions: &LoadedCompanions, uses: &template::Uses) {
    for (name, code) in unused(spec, uses) {
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
