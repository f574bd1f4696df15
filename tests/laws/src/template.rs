//! A query template of any text, rendered with values that would be SQL.

use std::collections::{BTreeMap, BTreeSet};

use engine_spec::model::Param;
use engine_spec::scalar::Scalar;
use engine_spec::sql::Dialect;
use engine_spec::template::{
    BINDS_MAX, BindValue, STATEMENT_BYTES_MAX, Scope, Severity, SqlTemplate, Statement, check_sql,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::Take;

/// A character that is in every value, in no template, and in no name that can be quoted.
const MARK: char = '\u{7}';
/// What the values hold beside the mark.
const POISON: &str = "'\"`]\\; DROP TABLE booking; -- /*";
/// Starts of the windows, in seconds: an ordinary one, one in a change of the clock, both ends of time.
const STARTS: [i64; 4] = [1_748_772_000, 1_743_296_400, -377_705_023_201, 253_402_207_200];

/// A value never becomes a part of the statement; each has its placeholder; the limits hold; and the same template
/// gives the same statement twice.
pub fn holds(input: &[u8]) {
    let mut take = Take::new(input);
    let dialect = take.one_of(&Dialect::ALL);
    let zone = TimeZone::get(take.one_of(&["Europe/Berlin", "UTC", "Pacific/Apia"])).expect("the zone is bundled");
    let start = Timestamp::from_second(take.one_of(&STARTS)).expect("an instant");
    let end = start.checked_add(jiff::SignedDuration::from_mins(take.number().rem_euclid(1 << 16)));
    let end = end.unwrap_or(Timestamp::MAX);
    let has_cursor = take.below(2) == 1;
    let template = String::from_utf8_lossy(take.rest()).replace(MARK, " ");

    let params = params();
    let cursor = if has_cursor { cursor(start) } else { BTreeMap::new() };
    let columns: BTreeSet<String> = self::cursor(start).into_keys().collect();
    for finding in check_sql(&template, dialect, &params, &columns, &zone) {
        is_in(&template, &finding.range, finding.code);
    }
    let (parsed, findings) = SqlTemplate::parse(&template, dialect);
    findings.iter().for_each(|finding| is_in(&template, &finding.range, finding.code));
    let Some(parsed) = parsed else {
        assert!(findings.iter().any(|found| found.severity == Severity::Error), "no template, and no error");
        return;
    };
    for window in [Some((start, end)), None] {
        let scope = Scope { params: &params, window, cursor: &cursor, now: end, zone: &zone };
        let rendered = parsed.render(&scope);
        assert_eq!(rendered, parsed.render(&scope), "rendered twice");
        match rendered {
            Ok(statement) => is_sound(&statement, dialect),
            Err(error) => is_in(&template, &error.range, error.code),
        }
    }
}

fn is_in(template: &str, range: &std::ops::Range<usize>, code: &str) {
    assert!(template.get(range.clone()).is_some(), "`{code}` lies outside of the template: {range:?}");
}

fn is_sound(statement: &Statement, dialect: Dialect) {
    let sql = &statement.sql;
    assert!(!sql.contains(MARK), "a value is in the statement: {sql:?}");
    assert!(sql.len() <= 2 * STATEMENT_BYTES_MAX, "{} bytes", sql.len());
    assert!(statement.binds.len() <= BINDS_MAX, "{} values", statement.binds.len());
    for number in 1..=statement.binds.len() {
        assert!(sql.contains(&dialect.placeholder(number)), "value {number} has no placeholder in {sql:?}");
    }
    let marks = sql.matches('?').count();
    assert!(!matches!(dialect, Dialect::MySql | Dialect::MariaDb) || marks >= statement.binds.len(), "{sql:?}");
}

fn params() -> BTreeMap<String, Param> {
    let text = |text: &str| Scalar::Text(format!("{MARK}{text}{MARK}"));
    BTreeMap::from([
        ("a".to_owned(), Param::One(text(POISON))),
        ("b".to_owned(), Param::One(text(""))),
        ("t".to_owned(), Param::One(Scalar::Text("dbo.booking".to_owned()))),
        ("list".to_owned(), Param::List(vec![text(POISON), text("2"), Scalar::Int(i64::MIN)])),
        ("none".to_owned(), Param::List(Vec::new())),
        ("n".to_owned(), Param::One(Scalar::Int(5))),
        ("f".to_owned(), Param::One(Scalar::Float(-0.0))),
        ("yes".to_owned(), Param::One(Scalar::Bool(true))),
    ])
}

fn cursor(at: Timestamp) -> BTreeMap<String, BindValue> {
    BTreeMap::from([
        ("id".to_owned(), BindValue::Int(i64::MAX)),
        ("code".to_owned(), BindValue::Text(format!("{MARK}{POISON}"))),
        ("rv".to_owned(), BindValue::Bytes(vec![0, 7, 255])),
        ("price".to_owned(), BindValue::Decimal("1.50".to_owned())),
        ("empty".to_owned(), BindValue::Null),
        ("at".to_owned(), BindValue::Instant { instant: at, civil: TimeZone::UTC.to_datetime(at) }),
    ])
}
