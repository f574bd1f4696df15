use std::collections::BTreeMap;

use engine_spec::model::{Param, Scalar};
use engine_spec::sql::check_read_only;
use engine_spec::template::{Scope, SqlTemplate};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;

/// A question as it is sent.
fn text(dialect: Dialect, template: &str) -> String {
    let (parsed, findings) = SqlTemplate::parse(template, dialect);
    let tables = ["a", "b"].map(|name| Scalar::Text(name.to_owned())).to_vec();
    let params = BTreeMap::from([
        ("schema".to_owned(), Param::One(Scalar::Text("%".to_owned()))),
        ("tables".to_owned(), Param::List(tables)),
    ]);
    let cursor = BTreeMap::new();
    let scope =
        Scope { params: &params, window: None, cursor: &cursor, now: Timestamp::UNIX_EPOCH, zone: &TimeZone::UTC };
    parsed.unwrap_or_else(|| panic!("{findings:?}")).render(&scope).expect("it renders").sql
}

/// A question as it is sent, on one line.
fn sent(dialect: Dialect, template: &str) -> String {
    text(dialect, template).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn questions(dialect: Dialect) -> Vec<&'static str> {
    let asked = catalogue(dialect);
    vec![asked.session, asked.tables, asked.columns, asked.indexes, asked.foreign_keys]
}

#[test]
fn every_question_only_reads_and_has_an_order() {
    for dialect in Dialect::ALL {
        let asked = catalogue(dialect);
        let table = dialect.quote_name("t").expect("a name");
        let rows = [asked.rows(&table, "c", Some("c"), 5), asked.count(&table, 5), asked.range(&table, "c")];
        for sql in questions(dialect).into_iter().map(|question| sent(dialect, question)).chain(rows) {
            let findings = check_read_only(&sql, dialect);
            assert!(findings.is_empty(), "{}: {sql}: {findings:?}", dialect.name());
        }
        for question in &questions(dialect)[1..] {
            assert!(question.contains("ORDER BY"), "{}: {question}", dialect.name());
        }
    }
}

/// Views of the catalogues that are documented, by which the two products that are not at hand are asked.
#[test]
fn sql_server_and_oracle_are_asked_by_documented_views() {
    for (dialect, views) in [
        (
            Dialect::SqlServer,
            "columns extended_properties foreign_key_columns foreign_keys index_columns indexes objects partitions schemas",
        ),
        (
            Dialect::Oracle,
            "ALL_COL_COMMENTS ALL_CONS_COLUMNS ALL_CONSTRAINTS ALL_IND_COLUMNS ALL_INDEXES ALL_TAB_COLUMNS ALL_TAB_COMMENTS ALL_TABLES ALL_VIEWS DUAL",
        ),
    ] {
        let text = questions(dialect).join(" ");
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.');
        let mut named: Vec<&str> = words
            .filter_map(|word| match dialect {
                Dialect::SqlServer => word.strip_prefix("sys."),
                _ => Some(word).filter(|word| word.starts_with("ALL_") || *word == "DUAL"),
            })
            .collect();
        named.sort_unstable();
        named.dedup();
        let mut expected: Vec<&str> = views.split(' ').collect();
        expected.sort_unstable();
        assert_eq!(named, expected, "{}", dialect.name());
    }
}

#[test]
fn rows_are_limited_in_every_dialect() {
    let of = |dialect| {
        let asked = catalogue(dialect);
        [asked.rows("t", "a, b", Some("a"), 7), asked.count("t", 9), asked.range("t", "a")]
    };
    assert_eq!(
        of(Dialect::SqlServer),
        [
            "SELECT TOP (7) a, b FROM t WHERE a IS NOT NULL ORDER BY a DESC",
            "SELECT COUNT_BIG(*) FROM (SELECT TOP (9) 1 AS one FROM t) AS counted",
            "SELECT (SELECT MIN(a) FROM t) AS lowest, (SELECT MAX(a) FROM t) AS highest",
        ]
    );
    assert_eq!(
        of(Dialect::Oracle),
        [
            "SELECT * FROM (SELECT a, b FROM t WHERE a IS NOT NULL ORDER BY a DESC) WHERE ROWNUM <= 7",
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM t WHERE ROWNUM <= 9)",
            "SELECT (SELECT MIN(a) FROM t) AS lowest, (SELECT MAX(a) FROM t) AS highest FROM DUAL",
        ]
    );
    assert_eq!(
        of(Dialect::Postgres),
        [
            "SELECT a, b FROM t WHERE a IS NOT NULL ORDER BY a DESC LIMIT 7",
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM t LIMIT 9) AS counted",
            "SELECT (SELECT MIN(a) FROM t) AS lowest, (SELECT MAX(a) FROM t) AS highest",
        ]
    );
}

#[test]
fn names_are_bound_and_never_text() {
    for dialect in Dialect::ALL {
        let sql = sent(dialect, catalogue(dialect).columns);
        let two = format!("({}, {})", dialect.placeholder(1), dialect.placeholder(2));
        assert!(sql.contains(&two), "{}: {sql}", dialect.name());
    }
}

/// Every statement, word by word: a change of what a foreign database is asked is seen by whoever reviews it.
#[test]
fn a_database_is_asked_in_these_words() {
    for dialect in Dialect::ALL {
        let asked = catalogue(dialect);
        let [schema, table, column] =
            ["Werk 1", "BDE.Buchung", "Menge [kg]"].map(|name| dialect.quote_part(name).expect("a name"));
        let name = format!("{schema}.{table}");
        let named = [
            ("the session", text(dialect, asked.session)),
            ("tables and views", text(dialect, asked.tables)),
            ("columns of tables", text(dialect, asked.columns)),
            ("indexes of tables", text(dialect, asked.indexes)),
            ("foreign keys of tables", text(dialect, asked.foreign_keys)),
            ("rows", asked.rows(&name, &column, None, 1_001)),
            ("the latest rows", asked.rows(&name, &column, Some(&column), 1_001)),
            ("the number of rows", asked.count(&name, 100_001)),
            ("the first and the last value", asked.range(&name, &column)),
        ];
        let statements: Vec<String> = named.iter().map(|(what, sql)| format!("-- {what}\n{sql};\n")).collect();
        let file = format!("discover/{}.sql", dialect.source_type());
        engine_tests::golden::golden(&file, &statements.join("\n"), "--lib a_database_is_asked_in_these_words");
    }
}
