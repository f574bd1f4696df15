use crate::{NoCompanions, load};

const ORDER: &str = "table: order\nfields: { order_code: a, product_code: b, machine_code: c, start: von, end: bis }\n";
const BOOKING: &str = "table: booking\nfields: { order_code: a, product_code: b, machine_code: c, event: k, \
                       timestamp: { date: tag, time: zeit } }\n";

/// The findings of a query as code and place, of a table with these further keys.
fn check(rest: &str, sql: &str, expected: &[&str]) {
    let text = format!(
        "version: 1\nid: a\nkey: [id]\nsource: {{ type: sqlite, path: a.db, timezone: UTC }}\n{rest}\
         query:\n  sql: |\n    {sql}\n"
    );
    let loaded = load("a.yaml", text.as_bytes(), &NoCompanions);
    let found: Vec<String> =
        loaded.diagnostics.iter().map(|found| format!("{} {}", found.code, &text[found.span.clone()])).collect();
    assert_eq!(found, expected, "{sql}\n{:#?}", loaded.diagnostics);
    assert!(loaded.diagnostics.iter().all(|finding| finding.help.is_some()));
}

#[test]
fn live_rows_need_a_branch_of_their_own() {
    const WINDOW: &str = "SELECT von, bis FROM t WHERE von >= {{ window.start }} AND von < {{ window.end }}";
    let left_out = ["live_rows_left_out window.start"];
    check(ORDER, WINDOW, &left_out);
    check(ORDER, &format!("{WINDOW} -- OR bis IS NULL"), &left_out);
    check(ORDER, &format!("{WINDOW} AND a <> 'OR'"), &left_out);
    for kept in ["OR bis IS NULL", "or a = 1", "UNION ALL SELECT von, bis FROM u"] {
        check(ORDER, &format!("{WINDOW} {kept}"), &[]);
    }
    for of_others in ["AND (a = 1 OR a = 2)", "AND ifnull(bis, 1) > 0", "AND bis IS NULL"] {
        check(ORDER, &format!("{WINDOW} {of_others}"), &left_out);
    }
    // A date far away stands for "none": it compares with anything.
    let reaching = "SELECT von, bis FROM t WHERE von < {{ window.end }} AND bis > {{ window.start }}";
    check(ORDER, reaching, &left_out);
    check(&ORDER.replace("bis }", "{ column: bis, null_if: [\"9999-12-31\"] } }"), reaching, &[]);
    // What no parser knows is judged by its words.
    let unknown = format!("{WINDOW} WINDOW WINDOW a");
    check(ORDER, &unknown, &["live_rows_left_out window.start", "sql_unparsed a"]);
    check(ORDER, &unknown.replace("WINDOW W", "OR bis IS NULL WINDOW W"), &["sql_unparsed a"]);
    check(BOOKING, &WINDOW.replace("von", "tag"), &[]);
    check(&format!("{ORDER}sync: {{ mode: full }}\n"), "SELECT von, bis FROM t WHERE von < {{ run.now }}", &[]);
}

#[test]
fn bounds_are_half_open() {
    let booking = |condition: &str, expected: &[&str]| {
        check(BOOKING, &format!("SELECT tag FROM t WHERE {condition}"), expected);
    };
    booking("tag >= {{ window.start }} AND tag < {{ window.end }}", &[]);
    booking("tag > {{ window.start }} AND tag < {{ window.end }}", &["window_bound_inclusive >"]);
    booking(
        "{{ window.start }} < tag AND {{ window.end | date }} >= tag",
        &["window_bound_inclusive <", "window_bound_inclusive >="],
    );
    booking("tag BETWEEN {{ window.start }} AND {{ window.end }}", &["window_bound_inclusive BETWEEN"]);
    booking(
        "date(tag) <= {{ window.end }} AND tag >= {{ window.start }}",
        &["window_column_in_function date(tag)", "window_bound_inclusive <="],
    );
    // A conversion of the bound leaves it what it is, a calculation with it does not.
    booking(
        "tag > CAST({{ window.start }} AS DATE) AND tag <= CAST({{ window.end }} AS VARCHAR(20))",
        &["window_bound_inclusive >", "window_bound_inclusive <="],
    );
    booking(
        "TO_DATE({{ window.end | format('%Y') }}, 'YYYY') >= tag AND a = {{ window.start }}",
        &["dialect_function TO_DATE", "window_bound_inclusive >="],
    );
    booking(
        "tag >= CAST({{ window.start }} AS DATE) AND tag < CAST({{ window.end }} AS DATE)",
        &["window_end_cut CAST({{ window.end }} AS DATE)"],
    );
    booking("tag >= CAST({{ window.start }} AS DATE) AND tag <= CAST({{ window.end }} AS DATE) - 1", &[]);
    // A run that reaches into the window.
    let reaching = "SELECT von, bis FROM t WHERE von < {{ window.end }} AND (bis > {{ window.start }} OR bis IS NULL)";
    check(ORDER, reaching, &[]);
    check(ORDER, &reaching.replace("bis >", "coalesce(bis, 1) >"), &[]);
    check(ORDER, &reaching.replace("bis >", "von >"), &["window_bound_inclusive >"]);
    let one_date = ORDER.replace("von, end: bis", "{ date: bis, time: a }, end: { date: bis, time: b }");
    check(&one_date, &reaching.replace("von", "bis"), &["window_bound_inclusive >"]);
}

#[test]
fn the_window_is_on_the_column_that_says_what_is_gone() {
    let query = |select: &str, column: &str| {
        format!("SELECT {select} FROM t WHERE {column} >= {{{{ window.start }}}} AND {column} < {{{{ window.end }}}}")
    };
    let booking = |select: &str, column: &str, expected: &[&str]| {
        check(BOOKING, &query(select, column), expected);
    };
    booking("tag", "t.[TAG]", &[]);
    booking("tag, am", "am", &["window_column_differs am"]);
    booking("tag, am", "t.\"am\"", &["window_column_differs t.\"am\""]);
    booking("am AS tag", "am", &[]);
    booking("t.am tag", "am", &[]);
    booking("date(am) AS tag", "am", &[]);
    booking("tag", "date(am)", &[]);
    booking("tag", "date(tag)", &["window_column_in_function date(tag)"]);
    booking("1", "am", &[]);
    booking("t.*", "am", &["select_star *", "window_column_differs am"]);
    let column = format!("{BOOKING}sync: {{ column: am }}\n");
    check(&column, &query("tag, am", "am"), &[]);
    check(&column, &query("tag, am", "tag"), &["window_column_differs tag"]);
    check(ORDER, &(query("von, bis", "bis") + " OR bis IS NULL"), &["window_column_differs bis"]);
    check(ORDER, &(query("von, bis, am", "von") + " OR am >= {{ window.start }}"), &[]);
    let expression = BOOKING.replace("tag", "{ template: tag }");
    check(&expression, &query("tag, am", "am"), &[]);
}

#[test]
fn a_column_that_is_converted_because_it_must_be_is_not_meant() {
    let query = "SELECT tag FROM t WHERE date(tag) >= {{ window.start }} AND date(tag) < {{ window.end }}";
    check(BOOKING, query, &["window_column_in_function date(tag)"]);
    let text = BOOKING.replace("date: tag", "date: { column: tag, format: yyyymmdd }");
    check(&text, query, &[]);
}

#[test]
fn names_that_the_mode_does_not_have_are_refused() {
    let sql = "SELECT tag FROM t WHERE tag >= {{ window.start | date }} AND tag < {{ window.end }}";
    check(&format!("{BOOKING}sync: {{ mode: full }}\n"), sql, &["name_not_in_mode window.start"]);
    let cursor = format!("{BOOKING}sync: {{ mode: cursor, cursor: [tag] }}\n");
    check(&cursor, &format!("{sql} AND tag > {{{{ cursor.tag }}}}"), &["name_not_in_mode window.start"]);
    check(BOOKING, &format!("{sql} AND tag > {{{{ cursor.tag }}}}"), &["template_unknown_cursor cursor.tag"]);
}

#[test]
fn a_bound_that_is_not_half_open_is_put_right() {
    let check = |condition: &str, expected: Option<&str>| {
        let text = format!(
            "version: 1\nid: a\nkey: [id]\nsource: {{ type: sqlite, path: a.db, timezone: UTC }}\n{BOOKING}\
             query:\n  sql: |\n    SELECT tag FROM t WHERE {condition}\n"
        );
        let found = load("a.yaml", text.as_bytes(), &NoCompanions).diagnostics.remove(0);
        assert_eq!(found.code, "window_bound_inclusive", "{found:#?}");
        let fixed = found.fix.map(|fix| {
            let mut text = text.clone();
            text.replace_range(fix.span, &fix.replacement);
            text
        });
        assert_eq!(fixed, expected.map(|right| text.replace(condition, right)), "{condition}");
    };
    check(
        "tag >= {{ window.start }} AND tag <= {{ window.end }}",
        Some("tag >= {{ window.start }} AND tag < {{ window.end }}"),
    );
    check(
        "{{ window.start }} < tag AND tag < {{ window.end }}",
        Some("{{ window.start }} <= tag AND tag < {{ window.end }}"),
    );
    check(
        "{{ window.end }} >= tag AND tag >= {{ window.start }}",
        Some("{{ window.end }} > tag AND tag >= {{ window.start }}"),
    );
    check("tag BETWEEN {{ window.start }} AND {{ window.end }}", None);
    check("tag >= {{ window.start }} AND tag <= date({{ window.end }})", None);
}

#[test]
fn a_query_that_nobody_wrote_is_not_searched() {
    let sql = |repeated: usize| {
        format!(
            "SELECT tag FROM t WHERE {} tag >= {{{{ window.start }}}} AND tag < {{{{ window.end }}}} ORDER BY tag",
            "1 = 1 AND ".repeat(repeated)
        )
    };
    check(BOOKING, &sql(10), &["order_by_unneeded ORDER BY"]);
    let long = format!(
        "SELECT tag FROM t WHERE tag < {{{{ window.end }}}} AND tag >= {{{{ window.start }}}} {}",
        "(`FROM(".repeat(30_000)
    );
    let text = format!(
        "version: 1\nid: a\nkey: [id]\nsource: {{ type: oracle, host: h, database: d, username: u, password: {{ env: P }}, \
         timezone: UTC }}\n{BOOKING}query:\n  sql: |\n    {long}\n"
    );
    let found = load("a.yaml", text.as_bytes(), &NoCompanions).diagnostics;
    assert!(found.iter().all(|found| found.code != "dialect_syntax"), "{} findings", found.len());
}

#[test]
fn columns_are_named() {
    let full = format!("{BOOKING}sync: {{ mode: full }}\n");
    check(&full, "SELECT * FROM t JOIN u ON t.a = u.a", &["select_star *"]);
    check(&full, "SELECT t.a, u.b FROM t JOIN u ON t.a = u.a", &[]);
}
