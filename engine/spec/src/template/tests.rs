use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::{date, datetime};
use jiff::tz::TimeZone;

use super::*;
use crate::scalar::Scalar;
use crate::sql::Dialect;

fn text(text: &str) -> Param {
    Param::One(Scalar::Text(text.to_owned()))
}

fn params() -> BTreeMap<String, Param> {
    let list = |items: &[&str]| Param::List(items.iter().map(|item| Scalar::Text((*item).to_owned())).collect());
    BTreeMap::from([
        ("plant".to_owned(), text("1000")),
        ("evil".to_owned(), text("' OR 1=1; --")),
        ("table".to_owned(), text("dbo.bde_buchung")),
        ("plants".to_owned(), list(&["1000", "2000"])),
        ("one".to_owned(), list(&["1000"])),
        ("none".to_owned(), list(&[])),
        ("many".to_owned(), Param::List(vec![Scalar::Int(1); LIST_VALUES_MAX + 1])),
        ("limit".to_owned(), Param::One(Scalar::Int(5))),
        ("share".to_owned(), Param::One(Scalar::Float(0.5))),
        ("strict".to_owned(), Param::One(Scalar::Bool(true))),
    ])
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("the zone is bundled")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn render_in(template: &str, dialect: Dialect, window: (&str, &str)) -> Result<Statement, TemplateError> {
    let (parsed, findings) = SqlTemplate::parse(template, dialect);
    let parsed = parsed.unwrap_or_else(|| panic!("{template}: {findings:?}"));
    let cursor = BTreeMap::from([
        ("id".to_owned(), BindValue::Int(7)),
        ("rv".to_owned(), BindValue::Bytes(vec![0, 1])),
        ("price".to_owned(), BindValue::Decimal("1.50".to_owned())),
        ("empty".to_owned(), BindValue::Null),
        (
            "changed".to_owned(),
            BindValue::Civil { civil: datetime(2025, 6, 1, 12, 0, 0, 0), instant: at("2025-06-01T10:00:00Z") },
        ),
    ]);
    parsed.render(&Scope {
        params: &params(),
        window: Some((at(window.0), at(window.1))),
        cursor: &cursor,
        now: at("2025-06-02T10:00:00.5Z"),
        zone: &berlin(),
    })
}

/// A quiet day in summer: 12:00 to 13:30 in Berlin.
const SUMMER: (&str, &str) = ("2025-06-01T10:00:00Z", "2025-06-01T11:30:00.25Z");

fn check(template: &str, dialect: Dialect, sql: &str) -> Vec<Bind> {
    let statement = render_in(template, dialect, SUMMER).unwrap_or_else(|error| panic!("{template}: {error}"));
    assert_eq!(statement.sql, sql, "{template}");
    statement.binds
}

fn bound(template: &str) -> BindValue {
    bound_in(template, SUMMER)
}

fn bound_in(template: &str, window: (&str, &str)) -> BindValue {
    let template = format!("SELECT {{{{ {template} }}}}");
    let mut statement = render_in(&template, Dialect::Postgres, window).unwrap_or_else(|e| panic!("{template}: {e}"));
    assert_eq!(statement.sql, "SELECT $1");
    statement.binds.pop().expect("one value").value
}

#[test]
fn values_become_placeholders_of_the_dialect() {
    let template = "SELECT a FROM t WHERE b = {{ params.plant }} AND c < {{ params.limit }}\n";
    for (dialect, sql) in [
        (Dialect::Postgres, "SELECT a FROM t WHERE b = $1 AND c < $2\n"),
        (Dialect::MySql, "SELECT a FROM t WHERE b = ? AND c < ?\n"),
        (Dialect::MariaDb, "SELECT a FROM t WHERE b = ? AND c < ?\n"),
        (Dialect::SqlServer, "SELECT a FROM t WHERE b = @P1 AND c < @P2\n"),
        (Dialect::Oracle, "SELECT a FROM t WHERE b = :1 AND c < :2\n"),
        (Dialect::Sqlite, "SELECT a FROM t WHERE b = ?1 AND c < ?2\n"),
    ] {
        let binds = check(template, dialect, sql);
        assert_eq!(binds[0], Bind { origin: "params.plant".to_owned(), value: BindValue::Text("1000".to_owned()) });
        assert_eq!(binds[1], Bind { origin: "params.limit".to_owned(), value: BindValue::Int(5) });
    }
}
