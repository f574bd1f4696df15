use super::*;
use crate::template::SqlTemplate;

fn outline(sql: &str, dialect: Dialect) -> Outline {
    let (template, findings) = SqlTemplate::parse(sql, dialect);
    Outline::of(&template.unwrap_or_else(|| panic!("{sql}: {findings:?}")))
}

/// The places of what a dialect does not have, as they are written.
fn check(dialect: Dialect, sql: &str, expected: &[&str]) {
    let found: Vec<&str> = outline(sql, dialect).foreign_syntax().into_iter().map(|habit| &sql[habit.place]).collect();
    assert_eq!(found, expected, "{dialect:?} {sql}");
}

#[test]
fn syntax_of_another_server_is_found() {
    use Dialect::{MariaDb, MySql, Oracle, Postgres, SqlServer, Sqlite};
    for dialect in Dialect::ALL {
        let of_limit: &[&str] = if matches!(dialect, SqlServer | Oracle) { &["LIMIT 5"] } else { &[] };
        check(dialect, "SELECT a FROM t LIMIT 5", of_limit);
        check(dialect, "SELECT a.limit, limit FROM t a", &[]);
        let of_top: &[&str] = if dialect == SqlServer { &[] } else { &["TOP"] };
        check(dialect, "SELECT TOP 5 a FROM t", of_top);
        check(dialect, "SELECT DISTINCT TOP (5) a FROM t", of_top);
        check(dialect, "SELECT top, a FROM t", &[]);
        check(dialect, "SELECT a -- LIMIT 5, TOP 5, `a`, [a]\nFROM t WHERE a = 'LIMIT 5 `a` [a]'", &[]);
    }
    for (dialect, has_backticks, has_brackets) in [
        (Postgres, false, false),
        (MySql, true, false),
        (MariaDb, true, false),
        (SqlServer, false, true),
        (Oracle, false, false),
        (Sqlite, true, true),
    ] {
        check(dialect, "SELECT `a`, t.`b` FROM t", if has_backticks { &[] } else { &["`", "`"] });
        check(dialect, "SELECT [a], t.[b] FROM t", if has_brackets { &[] } else { &["[", "["] });
    }
    check(Postgres, "SELECT a[1], (b)[2], ARRAY[c], a[d] FROM t", &[]);
}

#[test]
fn oracle_takes_no_as_before_the_alias_of_a_table() {
    check(Dialect::Oracle, "SELECT x.a AS b FROM s.t AS x JOIN (SELECT 1 a FROM dual) AS y ON 1 = 1", &["AS", "AS"]);
    check(Dialect::Oracle, "WITH x AS (SELECT EXTRACT(YEAR FROM a) AS b FROM t) SELECT CAST(b AS DATE) FROM x y", &[]);
    check(Dialect::Postgres, "SELECT x.a FROM t AS x", &[]);
    let sql = "SELECT x.a FROM t AS\n x";
    let superfluous = outline(sql, Dialect::Oracle).foreign_syntax().remove(0).superfluous;
    assert_eq!(superfluous.map(|place| &sql[place]), Some("AS\n "));
}

#[test]
fn functions_of_another_server_are_found() {
    for foreign in FUNCTIONS {
        for dialect in Dialect::ALL {
            let call = outline(&format!("SELECT {}(a), b.{0}(a) FROM t", foreign.name), dialect);
            let expected = usize::from(!foreign.known_to.contains(&dialect));
            assert_eq!(call.foreign_functions().len(), expected, "{} {dialect:?}", foreign.name);
        }
    }
    assert_eq!(outline("SELECT now, a AS nvl FROM t", Dialect::SqlServer).foreign_functions(), []);
}

#[test]
fn only_the_order_of_the_whole_result_is_for_nothing() {
    fn check(sql: &str, expected: Option<&str>) {
        let found = outline(sql, Dialect::Postgres).order_by();
        assert_eq!(found.map(|place| &sql[place]), expected, "{sql}");
    }
    check("SELECT a FROM t ORDER BY a", Some("ORDER BY"));
    check("SELECT a FROM t order by a LIMIT 5", None);
    check("SELECT a FROM t ORDER BY a FETCH FIRST 5 ROWS ONLY", None);
    check("SELECT row_number() OVER (ORDER BY a) FROM t", None);
    check("SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 5) x", None);
    check("SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 5) x ORDER BY a", Some("ORDER BY"));
}

#[test]
fn hints_that_read_what_may_be_undone_are_found() {
    fn check(sql: &str, dialect: Dialect, expected: &[&str]) {
        let found: Vec<String> = outline(sql, dialect).dirty_hints().into_iter().map(|(hint, _)| hint).collect();
        assert_eq!(found, expected, "{sql}");
    }
    let sql = "SELECT nolock FROM t WITH (NOLOCK) JOIN u (readpast, ReadUncommitted) ON t.a = u.a";
    check(sql, Dialect::SqlServer, &["NOLOCK", "READPAST", "READUNCOMMITTED"]);
    check("SELECT a FROM t x WHERE a IN (nolock)", Dialect::Postgres, &[]);
}

#[test]
fn the_end_of_the_window_keeps_its_time_of_day() {
    fn check(dialect: Dialect, bound: &str, expected: Option<&str>) {
        let sql = format!("SELECT a FROM t WHERE ts < {bound}");
        let found = outline(&sql, dialect).comparisons().remove(0);
        assert_eq!(found.cut.map(|place| &sql[place]), expected, "{bound}");
    }
    for cutting in
        ["CAST({{ window.end }} AS DATE)", "CONVERT(date, {{ window.end }})", "TRUNC({{ window.end | utc }})"]
    {
        check(Dialect::SqlServer, cutting, Some(cutting));
    }
    check(Dialect::Postgres, "date_trunc('day', {{ window.end }})", Some("date_trunc('day', {{ window.end }})"));
    check(Dialect::Postgres, "{{ window.end }}::date", Some("{{ window.end }}::date"));
    check(Dialect::Oracle, "TRUNC({{ window.end }})", Some("TRUNC({{ window.end }})"));
    check(Dialect::Oracle, "CAST({{ window.end }} AS DATE)", None);
    for whole in [
        "CAST({{ window.end | date }} AS DATE)",
        "CAST({{ window.end | format('%Y%m%d') }} AS DATE)",
        "CAST({{ window.end }} AS DATE) + 1",
        "{{ window.end }}::date + 1",
        "CAST({{ window.start }} AS DATE)",
        "CAST({{ window.end }} AS TIMESTAMP)",
        "{{ window.end }}",
    ] {
        check(Dialect::Postgres, whole, None);
    }
}

#[test]
fn what_is_calculated_from_a_column_is_known() {
    fn check(condition: &str, expected: Option<(&str, &str, &str)>) {
        let sql = format!("SELECT a FROM t WHERE {condition}");
        let found = outline(&sql, Dialect::Postgres).comparisons().remove(0).calculated;
        let found =
            found.as_ref().map(|found| (found.function.as_str(), found.names.join(" "), &sql[found.place.clone()]));
        let found = found.as_ref().map(|(function, names, text)| (*function, names.as_str(), *text));
        assert_eq!(found, expected, "{condition}");
    }
    check("date(t.ts) >= {{ window.start }}", Some(("DATE", "t ts", "date(t.ts)")));
    check("ts::date < {{ window.end }}", Some(("::DATE", "ts", "ts::date")));
    check("x = 1 AND trunc(ts) BETWEEN {{ window.start }} AND {{ window.end }}", Some(("TRUNC", "ts", "trunc(ts)")));
    check("ts >= {{ window.start }}", None);
    check("(a OR b) AND ts >= {{ window.start }}", None);
    check("ts + (a) >= {{ window.start }}", None);
}
