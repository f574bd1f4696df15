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

#[test]
fn oracle_compares_dates_with_dates() {
    let at = |template: &str, expected: &str| {
        let sql = format!("SELECT a FROM t WHERE b >= {expected}");
        check(&format!("SELECT a FROM t WHERE b >= {{{{ {template} }}}}"), Dialect::Oracle, &sql);
    };
    at("window.start", "CAST(:1 AS DATE)");
    at("window.start | date", "CAST(:1 AS DATE)");
    at("window.start | utc", "CAST(:1 AS DATE)");
    at("window.start | instant", ":1");
    at("window.start | epoch", ":1");
}

#[test]
fn a_value_never_becomes_text() {
    let binds = check("SELECT a FROM t WHERE b = {{ params.evil }}", Dialect::MySql, "SELECT a FROM t WHERE b = ?");
    assert_eq!(binds[0].value, BindValue::Text("' OR 1=1; --".to_owned()));
    let binds = check(
        "SELECT a FROM t WHERE b LIKE {{ params.plant ~ '%' }}",
        Dialect::Postgres,
        "SELECT a FROM t WHERE b LIKE $1",
    );
    assert_eq!(binds[0].value, BindValue::Text("1000%".to_owned()));
}

#[test]
fn white_space_stays() {
    for template in ["SELECT 1", "\n SELECT\t1\r\n", "SELECT 1 \n\n", "SELECT 1 -- end"] {
        check(template, Dialect::Postgres, template);
    }
    check("SELECT a\n{%- if params.strict %}\n, b\n{%- endif %}\nFROM t", Dialect::Postgres, "SELECT a\n, b\nFROM t");
    check("SELECT 1{# no #} , 2", Dialect::Postgres, "SELECT 1 , 2");
    check("SELECT a FROM t WHERE b = {{- params.limit -}}  ", Dialect::Oracle, "SELECT a FROM t WHERE b =:1");
    check("SELECT 1 {% raw %}'{{ x }}'{% endraw %}", Dialect::Postgres, "SELECT 1 '{{ x }}'");
}

#[test]
fn a_list_is_as_many_placeholders() {
    let check = |template: &str, sql: &str| {
        let sql = format!("SELECT a FROM t WHERE {sql}");
        check(&format!("SELECT a FROM t WHERE {template}"), Dialect::Postgres, &sql).len()
    };
    assert_eq!(check("b IN {{ params.plants }}", "b IN ($1, $2)"), 2);
    assert_eq!(check("b IN ({{ params.plants }})", "b IN ($1, $2)"), 2);
    assert_eq!(check("b IN ( {{ params.plants }} /* x */ )", "b IN ( $1, $2 /* x */ )"), 2);
    assert_eq!(check("b IN ('x', {{ params.plants }}, 'y')", "b IN ('x', $1, $2, 'y')"), 2);
    assert_eq!(check("b in {{ params.one }}", "b in ($1)"), 1);
    assert_eq!(check("b IN {{ params.plant }}", "b IN ($1)"), 1);
    assert_eq!(check("(b IN {{ params.plants }})", "(b IN ($1, $2))"), 2);
    assert_eq!(check("b NOT IN {{ params.plants }} AND c = {{ params.limit }}", "b NOT IN ($1, $2) AND c = $3"), 3);
    assert_eq!(
        check(
            "{% for p in params.plants %}b = {{ p }}{% if not loop.last %} OR {% endif %}{% endfor %}",
            "b = $1 OR b = $2"
        ),
        2
    );
}

#[test]
fn names_are_quoted() {
    check("SELECT a FROM {{ params.table | ident }} t", Dialect::SqlServer, "SELECT a FROM [dbo].[bde_buchung] t");
    check("SELECT a FROM x.{{ params.plant | ident }}", Dialect::MySql, "SELECT a FROM x.`1000`");
    check("SELECT a FROM {{ params.evil | ident }}", Dialect::Postgres, "SELECT a FROM \"' OR 1=1; --\"");
}

#[test]
fn scalars_keep_their_kind() {
    assert_eq!(bound("params.limit"), BindValue::Int(5));
    assert_eq!(bound("params.share"), BindValue::Float(0.5));
    assert_eq!(bound("params.strict"), BindValue::Bool(true));
    assert_eq!(bound("params['plant']"), BindValue::Text("1000".to_owned()));
    assert_eq!(bound("params.limit + 1"), BindValue::Int(6));
    assert_eq!(bound("params.plant | int"), BindValue::Int(1000));
    assert_eq!(bound("none"), BindValue::Null);
    assert_eq!(bound("cursor.id"), BindValue::Int(7));
    assert_eq!(bound("cursor.rv"), BindValue::Bytes(vec![0, 1]));
    assert_eq!(bound("cursor.price"), BindValue::Decimal("1.50".to_owned()));
    assert_eq!(bound("params.plant if params.strict else params.table"), BindValue::Text("1000".to_owned()));
}

#[test]
fn instants_are_bound_as_their_filter_says() {
    let start = at(SUMMER.0);
    let end = at(SUMMER.1);
    let noon = datetime(2025, 6, 1, 12, 0, 0, 0);
    let half_past = datetime(2025, 6, 1, 13, 30, 0, 250_000_000);
    let text = |text: &str| BindValue::Text(text.to_owned());
    let table = [
        ("window.start", BindValue::Civil { civil: noon, instant: start }),
        ("window.end", BindValue::Civil { civil: half_past, instant: end }),
        ("window.start | utc", BindValue::Civil { civil: datetime(2025, 6, 1, 10, 0, 0, 0), instant: start }),
        ("window.end | instant", BindValue::Instant { instant: end, civil: half_past }),
        ("window.start | date", BindValue::Date(date(2025, 6, 1))),
        ("window.end | date", BindValue::Date(date(2025, 6, 2))),
        ("window.end | utc | date", BindValue::Date(date(2025, 6, 2))),
        ("window.start | epoch", BindValue::Int(1_748_772_000)),
        ("window.end | epoch", BindValue::Int(1_748_777_401)),
        ("window.end | utc | epoch", BindValue::Int(1_748_777_401)),
        ("window.start | format('%Y%m%d')", text("20250601")),
        ("window.end | format('%Y%m%d')", text("20250602")),
        ("window.start | format('%Y-%m-%d %H:%M')", text("2025-06-01 12:00")),
        ("window.end | format('%H%M')", text("1331")),
        ("window.end | format('%H:%M:%S')", text("13:30:01")),
        ("window.end | format('%H:%M:%S%.3f')", text("13:30:00.250")),
        ("window.end | format('%d.%m.%Y %H')", text("01.06.2025 14")),
        ("window.end | format('%Y%m')", text("202507")),
        ("window.end | format('%Y')", text("2026")),
        ("window.end | utc | format('%H%M')", text("1131")),
        ("run.now | date", BindValue::Date(date(2025, 6, 2))),
        ("run.now | epoch", BindValue::Int(1_748_858_400)),
        ("run.now | format('%H:%M:%S')", text("12:00:00")),
        (
            "run.now",
            BindValue::Civil {
                civil: datetime(2025, 6, 2, 12, 0, 0, 500_000_000),
                instant: at("2025-06-02T10:00:00.5Z"),
            },
        ),
        ("cursor.changed", BindValue::Civil { civil: noon, instant: start }),
        ("cursor.changed | utc", BindValue::Civil { civil: datetime(2025, 6, 1, 10, 0, 0, 0), instant: start }),
    ];
    for (expression, expected) in table {
        assert_eq!(bound(expression), expected, "{expression}");
    }
}

#[test]
fn bounds_move_outward_around_a_change_of_the_clock() {
    // Berlin 2025: 02:00 to 03:00 is missing on March 30 and comes twice on October 26.
    let table = [
        ("2025-03-30T00:59:00Z", (3, 30, 1, 59), (3, 30, 1, 59)),
        ("2025-03-30T01:00:00Z", (3, 30, 2, 0), (3, 30, 3, 0)),
        ("2025-03-30T01:10:00Z", (3, 30, 2, 10), (3, 30, 3, 10)),
        ("2025-03-30T02:00:00Z", (3, 30, 4, 0), (3, 30, 4, 0)),
        ("2025-10-25T23:59:00Z", (10, 26, 1, 59), (10, 26, 1, 59)),
        ("2025-10-26T00:30:00Z", (10, 26, 2, 0), (10, 26, 3, 0)),
        ("2025-10-26T01:30:00Z", (10, 26, 2, 0), (10, 26, 3, 0)),
        ("2025-10-26T02:00:00Z", (10, 26, 3, 0), (10, 26, 3, 0)),
    ];
    for (instant, start, end) in table {
        let civil = |(month, day, hour, minute)| datetime(2025, month, day, hour, minute, 0, 0);
        assert_eq!(local_start(at(instant), &berlin()), civil(start), "start {instant}");
        assert_eq!(local_end(at(instant), &berlin()), civil(end), "end {instant}");
    }
    // The end of the repeated hour carries over into what is cut from it.
    let window = ("2025-10-26T00:30:00Z", "2025-10-26T00:30:00Z");
    assert_eq!(bound_in("window.start | format('%H%M')", window), BindValue::Text("0200".to_owned()));
    assert_eq!(bound_in("window.end | format('%H%M')", window), BindValue::Text("0300".to_owned()));
    // Midnight belongs to the day that it begins.
    let window = ("2025-06-01T22:00:00Z", "2025-06-01T22:00:00Z");
    assert_eq!(bound_in("window.start | date", window), BindValue::Date(date(2025, 6, 2)));
    assert_eq!(bound_in("window.end | date", window), BindValue::Date(date(2025, 6, 3)));
    // Before 1970, seconds still go down for a start and up for an end.
    let window = ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:58.5Z");
    assert_eq!(bound_in("window.start | epoch", window), BindValue::Int(-2));
    assert_eq!(bound_in("window.end | epoch", window), BindValue::Int(-1));
}

#[test]
fn a_null_cursor_is_bound_as_null() {
    let statement = render_in("SELECT {{ cursor.empty }}", Dialect::Postgres, SUMMER).expect("renders");
    assert_eq!(statement.binds[0].value, BindValue::Null);
}

#[test]
fn what_cannot_be_rendered_says_why() {
    let check = |template: &str, code: &str, place: &str| {
        let error = render_in(template, Dialect::Postgres, SUMMER).expect_err(template);
        assert_eq!((error.code, &template[error.range.clone()]), (code, place), "{template}: {error}");
    };
    check("SELECT {{ params.none }}", "template_value", "params.none");
    check("SELECT {{ params.many }}", "template_value", "params.many");
    check("SELECT {{ params.missing }}", "template_no_value", "params.missing");
    check("SELECT {{ cursor.missing }}", "template_no_value", "cursor.missing");
    check("SELECT {{ params.plant | date }}", "template_value", "params.plant | date");
    check("SELECT {{ params.plants | ident }}", "template_value", "params.plants | ident");
    check("SELECT {{ window.start | instant | date }}", "template_value", "window.start | instant | date");
    check("SELECT {{ window.start | utc | instant }}", "template_value", "window.start | utc | instant");
    check("SELECT {{ [params.plants] }}", "template_value", "[params.plants]");
    check(
        "{% if params.strict %}SELECT '{{ params.plant }}'{% endif %}",
        "template_placeholder_quoted",
        "params.plant",
    );
}

/// Checks a template with the parameters of these tests and the cursor columns `id` and `changed`.
fn findings(template: &str, dialect: Dialect) -> Vec<TemplateFinding> {
    let columns = BTreeSet::from(["id".to_owned(), "changed".to_owned()]);
    let mut params = params();
    params.remove("none");
    params.remove("many");
    check_sql(template, dialect, &params, &columns, &berlin())
}

fn refuse(template: &str, expected: &[(&str, &str)]) {
    let found = findings(template, Dialect::Postgres);
    let places: Vec<(&str, &str)> = found.iter().map(|f| (f.code, &template[f.range.clone()])).collect();
    assert_eq!(places, expected, "{template}: {found:?}");
}

#[test]
fn a_good_template_has_no_findings() {
    for template in [
        "SELECT a FROM t WHERE b >= {{ window.start }} AND b < {{ window.end | date }}",
        "SELECT a FROM t WHERE b IN ({{ params.plants }}) {% if params.strict %} AND c = {{ params.limit }}{% endif %}",
        "SELECT a FROM t{% if cursor.id is defined %} WHERE id > {{ cursor.id }}{% endif %}",
        "{% set p = params.plant | upper %}SELECT a FROM t WHERE b = {{ p }}",
        "SELECT a FROM t WHERE b = {{ params.plant }} -- don't",
        "SELECT {% if params.limit == 5 %}a{% elif params.limit > 7 %}b{% else %}c{% endif %} FROM t",
        "SELECT a, 'it''s {% raw %}{{ }}{% endraw %}' FROM t WHERE b > {{ cursor.changed | epoch }}",
    ] {
        for dialect in Dialect::ALL {
            assert_eq!(findings(template, dialect), [], "{dialect:?} {template}");
        }
    }
}

#[test]
fn names_are_checked_in_every_branch() {
    refuse("SELECT {{ windw.start }}", &[("template_unknown_name", "windw")]);
    refuse("SELECT {{ window.strat }}", &[("template_unknown_name", "window.strat")]);
    refuse("SELECT {{ window }}", &[("template_unknown_name", "window")]);
    refuse("SELECT {{ params.plnt }}", &[("template_unknown_param", "params.plnt")]);
    refuse("SELECT {{ params[params.plant] }}", &[("template_unknown_name", "params[params.plant]")]);
    refuse("SELECT {{ cursor.idd }}", &[("template_unknown_cursor", "cursor.idd")]);
    refuse(
        "SELECT 1 {% if false %}{{ x | frob }}{% endif %}",
        &[("template_unknown_name", "x"), ("template_unknown_filter", "x | frob")],
    );
    refuse("SELECT {{ params.plant | safe }}", &[("template_unknown_filter", "params.plant | safe")]);
    refuse("SELECT 1{% if params.plant is frob %}{% endif %}", &[("template_unknown_test", "params.plant is frob")]);
    refuse("SELECT {{ now() }}", &[("template_unknown_function", "now()")]);
    refuse("SELECT {{ params.plant.upper() }}", &[("template_unknown_function", "params.plant.upper()")]);
    let found = findings("SELECT {{ windw.start }}", Dialect::Postgres);
    assert_eq!(found[0].help.as_deref(), Some("did you mean `window`?"));
    let found = findings("SELECT {{ params.plnt }}", Dialect::Postgres);
    assert_eq!(found[0].help.as_deref(), Some("did you mean `plant`?"));
}

#[test]
fn what_would_not_be_bound_is_refused() {
    refuse("SELECT '{{ params.plant }}'", &[("template_placeholder_quoted", "params.plant")]);
    refuse("SELECT 'x{{ params.plant }}%'", &[("template_placeholder_quoted", "params.plant")]);
    refuse("SELECT \"{{ params.plant }}\" FROM t", &[("template_placeholder_quoted", "params.plant")]);
    refuse("SELECT 1 -- {{ window.end }}", &[("template_placeholder_quoted", "window.end")]);
    refuse("SELECT 1 /* {{ window.end }} */", &[("template_placeholder_quoted", "window.end")]);
    refuse(
        "SELECT 1 {% if false %}'{{ params.plant }}'{% endif %}",
        &[("template_placeholder_quoted", "params.plant")],
    );
    refuse("SELECT {{ ' OR ' }}", &[("template_literal", "' OR '")]);
    refuse("SELECT {{ 'a' if params.strict else 'b' }}", &[("template_literal", "'a'"), ("template_literal", "'b'")]);
    refuse(
        "SELECT {{ params.plant if params.strict }}",
        &[("template_if_without_else", "params.plant if params.strict")],
    );
    refuse("SELECT a FROM tab_{{ params.plant }}", &[("template_placeholder_glued", "params.plant")]);
    refuse(
        "SELECT {{ params.plant }}{{ params.limit }}",
        &[("template_placeholder_glued", "params.plant"), ("template_placeholder_glued", "params.limit")],
    );
    refuse("SELECT {{- params.plant }}", &[("template_placeholder_glued", "params.plant")]);
    refuse("SELECT a FROM t WHERE b = $1", &[("template_placeholder", "$")]);
    refuse("SELECT {{ window.start | format('%q') }}", &[("template_pattern", "'%q'")]);
    refuse("SELECT {{ window.start | format('%s') }}", &[("template_pattern", "'%s'")]);
    for (dialect, template) in [
        (Dialect::MySql, "SELECT ?"),
        (Dialect::Sqlite, "SELECT :a"),
        (Dialect::Sqlite, "SELECT @a"),
        (Dialect::Oracle, "SELECT :1 FROM dual"),
        (Dialect::SqlServer, "SELECT @P1"),
    ] {
        assert_eq!(findings(template, dialect)[0].code, "template_placeholder", "{template}");
    }
    assert_eq!(
        findings("SELECT '{{ params.plant }}\\'' FROM t", Dialect::MySql)[0].code,
        "template_placeholder_quoted"
    );
}

#[test]
fn statements_that_hide_text_are_refused() {
    refuse("{% include 'x' %}SELECT 1", &[("template_not_allowed", "include")]);
    refuse("{% extends 'x' %}SELECT 1", &[("template_not_allowed", "extends")]);
    refuse("{% import 'x' as y %}SELECT 1", &[("template_not_allowed", "import")]);
    refuse("{% macro x() %}{% endmacro %}SELECT 1", &[("template_not_allowed", "macro")]);
    for template in [
        "{% set x %}a{% endset %}SELECT {{ x }}",
        "{% filter upper %}SELECT 1{% endfilter %}",
        "{% autoescape true %}SELECT 1{% endautoescape %}",
        "{% set params = 1 %}SELECT 1",
    ] {
        assert_eq!(findings(template, Dialect::Postgres)[0].code, "template_not_allowed", "{template}");
    }
    for template in ["SELECT {{ params.plant", "SELECT {% if params.plant %}", "SELECT {{ }}", "SELECT {% frob %}"] {
        assert_eq!(findings(template, Dialect::Postgres)[0].code, "template_syntax", "{template}");
    }
    assert_eq!(findings("SELECT '\u{FDD0}'", Dialect::Postgres)[0].code, "template_character");
}

#[test]
fn what_changes_the_source_is_found_at_its_place_in_the_template() {
    refuse("SELECT {{ params.plant }}, pg_sleep(1)", &[("sql_side_effect", "pg_sleep")]);
    refuse(
        "SELECT 1 {% if params.limit > 9 %}; DELETE FROM t{% endif %}",
        &[("sql_many_statements", "DELETE"), ("sql_not_a_read", "DELETE")],
    );
    refuse("{% if params.strict %}SELECT 1{% else %}DROP TABLE t{% endif %}", &[("sql_not_a_read", "DROP")]);
    refuse("DELETE FROM {{ params.table | ident }}", &[("sql_not_a_read", "DELETE")]);
    refuse("SELECT {{ params.plants }} INTO b", &[("sql_select_into", "INTO")]);
    refuse("SELECT a FROM {{ params.table | ident }}, größe FOR UPDATE", &[("sql_lock", "FOR UPDATE")]);
}

#[test]
fn a_quote_that_goes_on_behind_a_block_is_found_whole() {
    for template in [
        "SELECT a FROM t WHERE b = 'x{% set c = params.plant %}ß",
        "SELECT a FROM t WHERE b = 'x{% if params.strict %}ß{% endif %} {# why #}öäü",
    ] {
        let quote = &template[template.find('\'').expect("a quote")..];
        refuse(template, &[("sql_unterminated", quote)]);
    }
}

#[test]
fn a_template_tells_what_it_uses() {
    let template =
        "SELECT {{ params.a }} {% if params.b %}{{ window.start }}{% else %}{{ cursor.c | epoch }}{% endif %}";
    let (parsed, findings) = SqlTemplate::parse(template, Dialect::Postgres);
    assert_eq!(findings, []);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let expected = Uses { window_start: true, window_end: false, cursor: names(&["c"]), params: names(&["a", "b"]) };
    assert_eq!(parsed.map(|parsed| parsed.uses()), Some(expected));
}

#[test]
fn rendering_has_an_end() {
    let loops = "{% for a in params.plants %}".repeat(18);
    let ends = "{% endfor %}".repeat(18);
    let error = render_in(&format!("SELECT 1{loops} {ends}"), Dialect::Postgres, SUMMER).expect_err("too many steps");
    assert_eq!(error.code, "template_too_long");
    for template in [
        " ".repeat(TEMPLATE_BYTES_MAX + 1),
        format!("SELECT {{{{ {} }}}}", vec!["params.limit"; 2_000].join(" + ")),
        format!("{{% if params.strict %}}{}{{% endif %}}", "{% elif params.strict %}".repeat(2_000)),
    ] {
        let (parsed, findings) = SqlTemplate::parse(&template, Dialect::Postgres);
        assert!(parsed.is_none());
        assert_eq!(findings[0].code, "template_too_large");
    }
    let many = format!("SELECT 1 {}", "OR b IN {{ params.plants }} ".repeat(BINDS_MAX / 2 + 1));
    let error = render_in(&many, Dialect::Postgres, SUMMER).expect_err("too many values");
    assert_eq!(error.code, "template_too_many_values");
    let text = "x".repeat(STATEMENT_BYTES_MAX / 6);
    let wide = format!("SELECT '{}{text}{}'", &loops[..loops.len() / 6], &ends[..ends.len() / 6]);
    let error = render_in(&wide, Dialect::Postgres, SUMMER).expect_err("too much text");
    assert_eq!(error.code, "template_too_long");
    let long = format!("SELECT a FROM t WHERE {}", vec!["a = 1"; 40_000].join(" AND "));
    assert_eq!(findings(&long[..TEMPLATE_BYTES_MAX], Dialect::Postgres)[0].code, "sql_unparsed");
}

proptest::proptest! {
    #[test]
    fn no_template_makes_it_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "SELECT", "a", "'", "\"", "--", "/*", "*/", "\n", "{{ params.evil }}", "{{", "}}", "{{ params.plants }}", "IN",
            "(", ")", "{% if params.strict %}", "{% else %}", "{% endif %}", "{{ window.start | date }}", "{%", "%}", "$$", "[",
            "]", "`", "\\", "q'[", "{{ params.table | ident }}", "ß", ";", "FROM", ",", "{#", "#}", "{% raw %}", "1e", "?", "E'",
        ]), 0..14), dialect in proptest::sample::select(Dialect::ALL.to_vec())) {
        let template = pieces.join(" ");
        for finding in findings(&template, dialect) {
            proptest::prop_assert!(template.get(finding.range.clone()).is_some(), "{finding:?}");
        }
        if SqlTemplate::parse(&template, dialect).0.is_some()
            && let Ok(statement) = render_in(&template, dialect, SUMMER)
        {
            proptest::prop_assert!(!statement.sql.contains("OR 1=1"), "{}", statement.sql);
            proptest::prop_assert!(!statement.sql.chars().any(crate::sql::is_private_mark), "{}", statement.sql);
        }
    }
}
