//! The codes of findings in templates and row expressions, for the registry of codes and its documents.

use super::Severity;
use ExampleKind::{MySqlQuery, OracleQuery, Query, Row};

/// What a code's example is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExampleKind {
    /// A query template for PostgreSQL, with the parameters `plant: "1000"` and `plants: ["1000", "2000"]`.
    Query,
    /// A query template for Oracle.
    OracleQuery,
    /// A query template for MySQL.
    MySqlQuery,
    /// An expression over a row.
    Row,
    /// None: the code is about a size, or about the values of a run.
    None,
}

/// A code, what it means and what provokes it.
#[derive(Debug, Clone, Copy)]
pub struct FindingCode {
    /// The code.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// What the example is.
    pub kind: ExampleKind,
    /// A text that has this finding.
    pub example: &'static str,
}

const fn error(code: &'static str, kind: ExampleKind, example: &'static str, meaning: &'static str) -> FindingCode {
    FindingCode { code, severity: Severity::Error, meaning, kind, example }
}

const fn warning(code: &'static str, kind: ExampleKind, example: &'static str, meaning: &'static str) -> FindingCode {
    FindingCode { code, severity: Severity::Warning, meaning, kind, example }
}

const fn note(code: &'static str, kind: ExampleKind, example: &'static str, meaning: &'static str) -> FindingCode {
    FindingCode { code, severity: Severity::Note, meaning, kind, example }
}

/// Every code, in the order of the alphabet.
#[rustfmt::skip]
pub const CODES: &[FindingCode] = &[
    error("expr_argument", Row, "anr | extract('(')", "an argument of a filter is wrong"),
    error("expr_if_without_else", Row, "a if b == 'X'", "a choice without `else` may have no value"),
    error("expr_not_allowed", Row, "{% set x %}a{% endset %}{{ x }}", "a statement that row expressions do not have"),
    error("expr_syntax", Row, "kenn ==", "the expression cannot be read"),
    error("expr_too_long", ExampleKind::None, "", "the expression is beyond a limit"),
    error("expr_unknown_filter", Row, "anr | tirm", "there is no such filter"),
    error("expr_unknown_function", Row, "upper(anr)", "there are no functions and methods"),
    error("expr_unknown_test", Row, "kenn is frob", "there is no such test"),
    error("sql_empty", Query, "-- nothing", "there is no statement"),
    error("sql_executable_comment", MySqlQuery, "SELECT 1 /*! INTO OUTFILE 'x' */", "the server executes what stands in a comment"),
    error("sql_lock", Query, "SELECT a FROM t FOR UPDATE", "the query would lock rows"),
    error("sql_many_statements", Query, "SELECT 1; SELECT 2", "there is more than one statement"),
    error("sql_not_a_read", Query, "DELETE FROM t", "the statement changes the source"),
    error("sql_select_into", Query, "SELECT a INTO b FROM t", "the query would write its result"),
    error("sql_semicolon", OracleQuery, "SELECT a FROM t;", "Oracle refuses a semicolon at the end"),
    error("sql_side_effect", Query, "SELECT pg_sleep(1)", "a function does more than read"),
    note("sql_unparsed", Query, "SELECT a FROM t WHERE a = 1 FROM u", "the syntax is not known; only its words were checked"),
    error("sql_unterminated", Query, "SELECT 'a", "a quote or comment is never closed"),
    error("template_character", Query, "SELECT '\u{FDD0}'", "a character that is not text"),
    warning("template_comparison", Query, "SELECT {{ params.plant == '1' }}", "a comparison is bound as true or false"),
    error("template_if_without_else", Query, "SELECT {{ params.plant if params.plants }}", "a choice without `else` may have no value"),
    error("template_literal", Query, "SELECT {{ 'a' }}", "a text inside `{{ }}` is bound, it does not become SQL"),
    error("template_no_value", Query, "SELECT {{ params.plants.x }}", "an expression has no value"),
    error("template_not_allowed", Query, "{% include 'x' %}", "a statement that query templates do not have"),
    error("template_pattern", Query, "SELECT {{ window.end | format('%q') }}", "a pattern of `format` is wrong"),
    error("template_placeholder", MySqlQuery, "SELECT a FROM t WHERE b = ?", "a placeholder that nothing is bound to"),
    error("template_placeholder_glued", Query, "SELECT a FROM t_{{ params.plant }}", "a value touches a name, number or text"),
    error("template_placeholder_quoted", Query, "SELECT '{{ params.plant }}'", "a value inside quotes or a comment"),
    error("template_syntax", Query, "SELECT {{ params.plant", "the template cannot be read"),
    error("template_too_large", ExampleKind::None, "", "the template is beyond a limit"),
    error("template_too_long", ExampleKind::None, "", "rendering, or what is rendered, is beyond a limit"),
    error("template_too_many_values", ExampleKind::None, "", "the statement binds more values than a server takes"),
    error("template_unknown_cursor", Query, "SELECT {{ cursor.x }}", "not a column of `sync.cursor`"),
    error("template_unknown_filter", Query, "SELECT {{ params.plant | safe }}", "there is no such filter"),
    error("template_unknown_function", Query, "SELECT {{ now() }}", "there are no functions and methods"),
    error("template_unknown_name", Query, "SELECT {{ windw.start }}", "there is no such name"),
    error("template_unknown_param", Query, "SELECT {{ params.plnt }}", "not a name of `query.params`"),
    error("template_unknown_test", Query, "SELECT 1 {% if params.plant is frob %}{% endif %}", "there is no such test"),
    error("template_value", Query, "SELECT {{ params.plant | date }}", "a value does not fit its filter or place"),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::tz::TimeZone;

    use super::*;
    use crate::expr::RowExpr;
    use crate::model::Param;
    use crate::scalar::Scalar;
    use crate::sql::Dialect;
    use crate::template::check_sql;

    #[test]
    fn every_example_provokes_its_code() {
        let text = |text: &str| Scalar::Text(text.to_owned());
        let params = BTreeMap::from([
            ("plant".to_owned(), Param::One(text("1000"))),
            ("plants".to_owned(), Param::List(vec![text("1000"), text("2000")])),
        ]);
        for code in CODES {
            let query = |dialect| check_sql(code.example, dialect, &params, &BTreeSet::new(), &TimeZone::UTC);
            let found = match code.kind {
                ExampleKind::Query => query(Dialect::Postgres),
                ExampleKind::OracleQuery => query(Dialect::Oracle),
                ExampleKind::MySqlQuery => query(Dialect::MySql),
                ExampleKind::Row => RowExpr::parse(code.example).1,
                ExampleKind::None => continue,
            };
            let matching = found.iter().find(|finding| finding.code == code.code);
            assert_eq!(matching.map(|finding| finding.severity), Some(code.severity), "{}: {found:?}", code.code);
        }
    }

    #[test]
    fn every_code_of_the_checks_is_listed() {
        /// Codes of a row or a run, which no check of a spec gives.
        const OF_A_ROW: [&str; 7] = [
            "expr_no_column",
            "expr_no_value",
            "expr_not_condition",
            "expr_not_number",
            "expr_not_text",
            "expr_pattern",
            "expr_value",
        ];
        let sources = [
            include_str!("analyse.rs"),
            include_str!("check.rs"),
            include_str!("place.rs"),
            include_str!("render.rs"),
            include_str!("../sql/read_only.rs"),
            include_str!("../expr/analyse.rs"),
            include_str!("../expr/condition.rs"),
            include_str!("../expr/mod.rs"),
            include_str!("../expr/native.rs"),
            include_str!("../expr/script.rs"),
        ]
        .concat();
        let pattern = regex::Regex::new("\"((?:template|sql|expr)_[a-z_]+)\"").expect("a pattern");
        let used: BTreeSet<&str> =
            pattern.captures_iter(&sources).filter_map(|found| Some(found.get(1)?.as_str())).collect();
        let listed: BTreeSet<&str> = CODES.iter().map(|code| code.code).chain(OF_A_ROW).collect();
        assert_eq!(used, listed);
        assert!(CODES.is_sorted_by_key(|code| code.code));
    }
}
