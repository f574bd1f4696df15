use super::*;
use crate::sql::Dialect;

fn outline(sql: &str, dialect: Dialect) -> Outline {
    let (template, findings) = SqlTemplate::parse(sql, dialect);
    Outline::of(&template.unwrap_or_else(|| panic!("{sql}: {findings:?}")))
}

#[test]
fn a_bound_knows_its_operator_and_column() {
    /// The comparisons as text: bound, operator and column, the latter two also as they stand in the template.
    fn check(condition: &str, expected: &[&str]) {
        let sql = format!("SELECT a FROM t WHERE {condition}");
        let found: Vec<String> = outline(&sql, Dialect::SqlServer)
            .comparisons()
            .into_iter()
            .map(|found| {
                let operator = found.operator.map(|(operator, at)| format!("{operator:?} {}", &sql[at]));
                let column = found.column.map(|(name, at)| format!("{name} {}", &sql[at]));
                format!("{:?} {} {}", found.bound, operator.unwrap_or_default(), column.unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expected, "{condition}");
    }
    check("ts >= {{ window.start }}", &["Start GreaterOrEqual >= ts ts"]);
    check("(t.[Ts]<{{ window.end | date }})", &["End Less < ts t.[Ts]"]);
    check("x = 1 AND {{ window.start }} <= t.ts AND y", &["Start GreaterOrEqual <= ts t.ts"]);
    check("{{ window.end }} > \"ts\"", &["End Less > ts \"ts\""]);
    check(
        "ts BETWEEN {{ window.start }} AND {{ window.end }}",
        &["Start Between BETWEEN ts ts", "End Between BETWEEN ts ts"],
    );
    check("ts > /* why */ {{ window.start }}", &["Start Greater > ts ts"]);
    check("{% if params.a %}ts{% endif %} <= {{ window.end }}", &["End LessOrEqual <= ts ts"]);
    check("CAST(ts AS date) >= {{ window.start }}", &["Start GreaterOrEqual >= "]);
    check("ts + 1 >= {{ window.start }}", &["Start GreaterOrEqual >= "]);
    check("a + ts >= {{ window.start }}", &["Start GreaterOrEqual >= "]);
    check("{{ window.start }} <= ts + 1", &["Start GreaterOrEqual <= "]);
    check("ts >= {{ window.start }} - 1", &["Start  "]);
    check("ts >= CONVERT(datetime2(0), {{ window.start }})", &["Start GreaterOrEqual >= ts ts"]);
    check("(CAST({{ window.end }} AS DATE) > t.ts)", &["End Less > ts t.ts"]);
    check("ts >= CONVERT(date, {{ window.start }}) - 1", &["Start  "]);
    check("ts >= CAST(a - {{ window.start }} AS int)", &["Start  "]);
    check("ts >= DATEADD(day, -1, {{ window.start }})", &["Start  "]);
    check("ts = {{ window.start }}", &["Start  "]);
    check("ts >= {{ params.a }} AND ts < {{ run.now }} -- {# ts < #}", &[]);
}

#[test]
fn a_column_has_every_name_that_the_query_gives_it() {
    fn check(sql: &str, name: &str, expected: Option<&[&str]>) {
        let names = outline(sql, Dialect::Postgres).columns().names_of(name);
        let names: Option<Vec<&str>> = names.as_ref().map(|names| names.iter().map(String::as_str).collect());
        assert_eq!(names.as_deref(), expected, "{sql}");
    }
    check("SELECT a, b FROM t", "A", Some(&["a"]));
    check("SELECT t.a AS b, c d FROM t", "b", Some(&["a", "b"]));
    check("SELECT t.a AS b, c d FROM t", "d", Some(&["c", "d"]));
    check("SELECT \"B\" x FROM (SELECT t.a b FROM t) s", "x", Some(&["a", "b", "x"]));
    check("SELECT a + 1 AS b FROM t", "b", None);
    check("SELECT date(a) b FROM t", "b", None);
    check("SELECT CASE WHEN a THEN 1 END b, c FROM t", "b", None);
    check("SELECT CASE WHEN a THEN 1 END b, c FROM t", "c", Some(&["c"]));
    check("SELECT b = a FROM t", "b", None);
}

#[test]
fn a_star_is_found_where_it_stands_for_the_columns_of_a_table() {
    fn check(sql: &str, expected: usize) {
        let stars = outline(sql, Dialect::Sqlite).stars();
        assert!(stars.iter().all(|at| &sql[at.clone()] == "*"), "{sql}");
        assert_eq!(stars.len(), expected, "{sql}");
    }
    check("SELECT * FROM t", 1);
    check("select distinct * from t", 1);
    check("SELECT TOP 5 * FROM t", 1);
    check("SELECT a.*, b.c FROM t a JOIN u b ON 1 = 1", 1);
    check("SELECT a, * FROM t", 1);
    check("SELECT x.* FROM (SELECT * FROM t) x", 1);
    check("SELECT count(*), a * b, 'SELECT *' FROM t -- SELECT *", 0);
    check("SELECT a FROM t WHERE EXISTS (SELECT * FROM u)", 0);
    check("SELECT * FROM (SELECT a FROM t) x WHERE a = 1", 0);
    check("SELECT x.*, y.a FROM (SELECT a FROM t) AS x JOIN y ON 1 = 1", 0);
    check("WITH x AS (SELECT a FROM t) SELECT * FROM x", 0);
}

proptest::proptest! {
    #[test]
    fn any_words_are_read_and_places_lie_in_the_template(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "SELECT", "*", ".", ",", "(", ")", "a", "\"ß\"", "AS", "FROM", "WHERE", "AND", "BETWEEN", "EXISTS", "<",
            "=", ">", "1", "{{ window.start }}", "{{ window.end | date }}", "{% if params.a %}", "{% endif %}", "\n",
        ]), 0..30),
    ) {
        let sql = words.join(" ");
        if let (Some(template), _) = SqlTemplate::parse(&sql, Dialect::Postgres) {
            let outline = Outline::of(&template);
            let found = outline.comparisons().into_iter().flat_map(|found| {
                [Some(found.place), found.operator.map(|(_, at)| at), found.column.map(|(_, at)| at)]
            });
            for place in found.flatten().chain(outline.stars()) {
                proptest::prop_assert!(!sql[place].is_empty());
            }
            proptest::prop_assert!(outline.columns().names_of("a").is_none_or(|names| names.contains("a")));
        }
    }
}

#[test]
fn a_place_never_ends_within_a_character() {
    let limit = "LIMIT {{  {'ö': 1}['ö'] }}";
    let sql = format!("SELECT a FROM t {limit}");
    let found = outline(&sql, Dialect::SqlServer).foreign_syntax();
    let places: Vec<Option<&str>> = found.into_iter().map(|habit| sql.get(habit.place)).collect();
    assert_eq!(places, [Some(limit)], "the mark of a value has another length than the value");
    // A quote that is never closed holds the blanks that stand for the ends of blocks.
    for count in 0..12 {
        let loops = "{%for x in['éé']%}{%endfor%}".repeat(count);
        let sql = format!("SELECT a FROM t WHERE {{{{ window.start }}}} <= \"a{loops}");
        let compared = outline(&sql, Dialect::Postgres).comparisons();
        let (_, place) = compared[0].column.clone().expect("a column");
        assert!(sql.get(place.clone()).is_some_and(|text| text.starts_with("\"a")), "{place:?} of {sql}");
    }
}
