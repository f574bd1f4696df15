use engine_spec::model::Source as SourceBlockOf;
use engine_spec::sql::Dialect;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::super::scripted;
use super::*;

fn empty() -> Survey {
    Survey {
        source_type: "oracle".to_owned(),
        version: String::new(),
        session_timezone: None,
        timezone: None,
        now: Timestamp::UNIX_EPOCH,
        tables: Vec::new(),
        notes: Vec::new(),
        statements: 0,
    }
}

fn block(dialect: Dialect) -> SourceBlock {
    let value = json!({ "type": dialect.source_type(), "host": "h", "database": "d", "username": "u" });
    SourceBlock {
        source: SourceBlockOf::deserialize(value).expect("a source"),
        yaml: String::new(),
        source_type: dialect.source_type(),
        dialect,
        folder: std::path::PathBuf::new(),
    }
}

/// Rows in the shape of Oracle's catalogue: names in capitals, numbers for truths.
fn oracle() -> Session {
    let table = |name: &str, rows: Value| vec![json!("MES"), json!(name), json!("table"), json!(null), rows, json!(1)];
    let column = |table: &str, name: &str, kind: &str| {
        vec![json!("MES"), json!(table), json!(name), json!(kind), json!(0), json!(null)]
    };
    let key = |name: &str, from: &str, to: &str| {
        vec![json!("MES"), json!("BDE_BUCHUNG"), json!(name), json!(from), json!("MES"), json!("FA"), json!(to)]
    };
    let index = |name: &str, unique: u8, primary: u8, column: &str| {
        vec![json!("MES"), json!("BDE_BUCHUNG"), json!(name), json!(unique), json!(primary), json!(column)]
    };
    let answers = vec![
        ("SESSIONTIMEZONE", vec![vec![json!("+02:00"), json!("ETL")]]),
        (
            "ALL_TAB_COMMENTS",
            vec![table("BDE_BUCHUNG", json!(12)), table("DENIED_BUCHUNG", json!(null)), {
                let mut closed = table("GEHEIM", json!(1));
                closed[5] = json!(0);
                closed
            }],
        ),
        (
            "ALL_TAB_COLUMNS",
            vec![
                column("BDE_BUCHUNG", "ID", "NUMBER(10)"),
                column("BDE_BUCHUNG", "AUFTRAG", "VARCHAR2(12)"),
                column("BDE_BUCHUNG", "MASCHINE", "VARCHAR2(8)"),
                column("BDE_BUCHUNG", "BUCHDAT", "DATE"),
                column("DENIED_BUCHUNG", "AUFTRAG", "VARCHAR2(12)"),
                column("DENIED_BUCHUNG", "BUCHDAT", "DATE"),
            ],
        ),
        ("ALL_INDEXES", vec![index("PK", 1, 1, "ID"), index("I", 0, 0, "MASCHINE"), index("I", 0, 0, "BUCHDAT")]),
        ("ALL_CONSTRAINTS", vec![key("F1", "A", "X"), key("F1", "B", "Y"), key("F2", "C", "X")]),
        ("COUNT(*)", vec![vec![json!(3)]]),
    ];
    scripted::session(Dialect::Oracle, answers).0
}

#[test]
fn a_catalogue_is_put_together_and_what_fails_is_a_note() {
    let (mut session, questions, mut survey) = (oracle(), catalogue(Dialect::Oracle), empty());
    let wanted = Wanted::default();
    assert_eq!(session_facts(&mut session, &questions), (Some("+02:00".to_owned()), Some("ETL".to_owned())));
    tables(&mut session, &questions, &wanted, Some("ETL"), &mut survey).expect("tables");
    facts(&mut session, &questions, Some("ETL"), &mut survey).expect("facts");
    rows(&mut session, &questions, &block(Dialect::Oracle), &wanted, &Cancel::default(), &mut survey).expect("rows");
    let names: Vec<String> = survey.tables.iter().map(|table| shown(&table.name)).collect();
    assert_eq!(names, ["MES.BDE_BUCHUNG", "MES.DENIED_BUCHUNG"]);
    let table = &survey.tables[0];
    assert_eq!((table.rows, &table.primary_key[..]), (RowCount::Exact(3), &["ID".to_owned()][..]));
    assert_eq!(table.indexes[1].columns, ["MASCHINE", "BUCHDAT"]);
    let keys: Vec<(&[String], &[String])> =
        table.foreign_keys.iter().map(|key| (&key.columns[..], &key.to_columns[..])).collect();
    assert_eq!(format!("{keys:?}"), r#"[(["A", "B"], ["X", "Y"]), (["C"], ["X"])]"#);
    assert_eq!(survey.notes.len(), 2, "{:?}", survey.notes);
    assert_eq!(survey.notes[0], "1 table may not be read by this account");
    assert!(survey.notes[1].starts_with("MES.DENIED_BUCHUNG could not be read: "), "{}", survey.notes[1]);
    assert!(session.statements() >= 6);
}

#[test]
fn a_table_is_meant_in_any_case_and_with_its_schema() {
    let name = Name { schema: Some("dbo".to_owned()), table: "Buchung".to_owned() };
    for (wanted, expected) in [("buchung", true), ("DBO.BUCHUNG", true), ("x.buchung", false), ("buch", false)] {
        assert_eq!(is_meant(&name, wanted), expected, "{wanted}");
    }
}

/// Everything that is asked of a PostgreSQL with these answers, and how often.
fn surveyed(wanted: &Wanted, answers: Vec<(&'static str, Vec<Vec<Value>>)>) -> (Survey, Vec<String>) {
    let (mut session, sent) = scripted::session(Dialect::Postgres, answers);
    let (questions, mut survey) = (catalogue(Dialect::Postgres), empty());
    "postgres".clone_into(&mut survey.source_type);
    tables(&mut session, &questions, wanted, None, &mut survey).expect("tables");
    facts(&mut session, &questions, None, &mut survey).expect("facts");
    rows(&mut session, &questions, &block(Dialect::Postgres), wanted, &Cancel::default(), &mut survey).expect("rows");
    let sent = sent.lock().expect("one thread").clone();
    (survey, sent)
}

/// Words of the questions to the catalogue of PostgreSQL.
const TABLES: &str = "obj_description";
const COLUMNS: &str = "FROM pg_catalog.pg_attribute";

/// An answer about tables of which nobody knows how many rows they have.
fn named(names: impl Iterator<Item = String>) -> Vec<Vec<Value>> {
    names.map(|name| vec![Value::Null, json!(name), json!("table"), Value::Null, Value::Null, json!(true)]).collect()
}

/// An answer about columns: each of these tables has all of these.
fn columned(names: impl Iterator<Item = String>, columns: &[(String, &str)]) -> Vec<Vec<Value>> {
    let of = |name: String| {
        columns.iter().map(move |(column, kind)| {
            vec![Value::Null, json!(name), json!(column), json!(kind), json!(true), Value::Null]
        })
    };
    names.flat_map(of).collect()
}

/// Columns of bookings.
fn bookings() -> Vec<(String, &'static str)> {
    [("auftrag", "text"), ("maschine", "text"), ("kennung", "text"), ("zeitpunkt", "timestamp without time zone")]
        .map(|(name, kind)| (name.to_owned(), kind))
        .to_vec()
}

#[test]
fn more_tables_than_are_read_are_said() {
    let names = || (0..NAMES_MAX).map(|at| format!("t{at}")).chain(["bde_buchung".to_owned()]);
    let (survey, _) = surveyed(&Wanted::default(), vec![(TABLES, named(names())), (COLUMNS, Vec::new())]);
    assert_eq!(survey.notes[0], "there are more than 50000 tables: name a schema");
    let (survey, _) = surveyed(
        &Wanted::default(),
        vec![
            (TABLES, named(names().skip(NAMES_MAX - TABLES_MAX))),
            (COLUMNS, columned(["bde_buchung".to_owned()].into_iter(), &bookings())),
        ],
    );
    assert_eq!(survey.notes[0], "1 more table left out, whose names say less: name a schema to see others");
    // What its name speaks for stays.
    assert!(survey.tables.iter().any(|table| table.name.table == "bde_buchung"), "{:?}", survey.notes);
    assert_eq!(survey.notes[1], "1999 tables left out, of which no column is shown");
}

#[test]
fn tables_are_asked_about_by_the_hundred_and_an_answer_that_is_cut_is_said() {
    let names = || (0..=TABLES_ASKED_MAX).map(|at| format!("t{at:03}"));
    let few = [("a".to_owned(), "int")];
    let (survey, sent) =
        surveyed(&Wanted::default(), vec![(TABLES, named(names())), (COLUMNS, columned(names(), &few))]);
    assert_eq!(sent.iter().filter(|sql| sql.contains(COLUMNS)).count(), 2);
    assert_eq!(survey.tables.len(), TABLES_ASKED_MAX + 1);
    let many: Vec<(String, &str)> = (0..=FACTS_MAX / TABLES_ASKED_MAX).map(|at| (format!("c{at}"), "int")).collect();
    let names = || names().take(TABLES_ASKED_MAX);
    let none = Wanted { tables: vec!["none".to_owned()], ..Wanted::default() };
    let (survey, _) = surveyed(&none, vec![(TABLES, named(names())), (COLUMNS, columned(names(), &many))]);
    assert_eq!(
        survey.notes[0],
        "columns: an answer was cut after 100000 rows, at table t099: it and those after it may lack some"
    );
}

#[test]
fn tables_of_one_name_in_several_schemas_are_asked_about_once() {
    let all = || {
        ["jahr_2024", "jahr_2025"].into_iter().flat_map(|schema| (0..60).map(move |at| (schema, format!("t{at:02}"))))
    };
    let tables = all()
        .map(|(schema, name)| vec![json!(schema), json!(name), json!("table"), Value::Null, json!(1), json!(true)]);
    let columns = all()
        .map(|(schema, name)| vec![json!(schema), json!(name), json!("a"), json!("int"), json!(true), Value::Null]);
    let keys = all().map(|(schema, name)| {
        vec![json!(schema), json!(name), json!("f"), json!("a"), json!(schema), json!("t00"), json!("a")]
    });
    let answers = vec![
        (TABLES, tables.collect()),
        (COLUMNS, columns.collect()),
        ("FROM pg_catalog.pg_constraint", keys.collect()),
    ];
    let (survey, sent) = surveyed(&Wanted::default(), answers);
    assert_eq!(sent.iter().filter(|sql| sql.contains(COLUMNS)).count(), 1);
    assert_eq!((survey.tables.len(), survey.notes.len()), (120, 0));
    assert!(survey.tables.iter().all(|table| table.columns.len() == 1 && table.foreign_keys.len() == 1));
}

#[test]
fn tables_of_which_no_row_is_looked_at_are_said() {
    let names = || (0..=SAMPLED_TABLES_MAX).map(|at| format!("bde_buchung_{at}"));
    let answers = || vec![(TABLES, named(names())), (COLUMNS, columned(names(), &bookings()))];
    let (survey, _) = surveyed(&Wanted::default(), answers());
    let sampled = survey.tables.iter().filter(|table| table.sample.is_some()).count();
    assert_eq!(sampled, SAMPLED_TABLES_MAX);
    assert_eq!(
        survey.notes,
        ["no row of 1 more table was looked at that could hold orders or bookings: `--table NAME` shows one"]
    );
    // Tables that somebody named are all looked at.
    let all = Wanted { tables: names().collect(), ..Wanted::default() };
    let (survey, _) = surveyed(&all, answers());
    assert_eq!((survey.notes.len(), survey.tables.iter().filter(|table| table.sample.is_some()).count()), (0, 9));
}

#[test]
fn tables_that_are_not_counted_and_failures_are_said() {
    let names = || (0..=COUNTED_TABLES_MAX).map(|at| format!("t{at:03}"));
    let few = [("a".to_owned(), "int")];
    let of = |names: &dyn Fn() -> Box<dyn Iterator<Item = String>>| {
        let answers = vec![
            (TABLES, named(names())),
            (COLUMNS, columned(names(), &few)),
            ("SELECT COUNT(*)", vec![vec![json!(7)]]),
        ];
        surveyed(&Wanted::default(), answers).0
    };
    let survey = of(&|| Box::new((0..=COUNTED_TABLES_MAX).map(|at| format!("t{at:03}"))));
    assert_eq!(names().count(), survey.tables.len());
    assert_eq!(survey.tables.iter().filter(|table| table.rows == RowCount::Exact(7)).count(), COUNTED_TABLES_MAX);
    assert_eq!(survey.notes, ["the rows of 1 table were not counted"]);
    let survey = of(&|| Box::new((0..FAILURES_TOLD_MAX + 2).map(|at| format!("DENIED{at}"))));
    assert_eq!(survey.notes.len(), FAILURES_TOLD_MAX + 1);
    assert_eq!(survey.notes[0], "DENIED0 could not be read: ORA-01031");
    assert_eq!(survey.notes[FAILURES_TOLD_MAX], "2 more tables could not be read");
}

#[test]
fn rows_and_columns_that_are_not_looked_at_are_said() {
    let name = || ["bde_buchung".to_owned()].into_iter();
    let mut columns = bookings();
    columns.push(("foto".to_owned(), "bytea"));
    columns.extend((0..sample::SAMPLED_COLUMNS_MAX - 3).map(|at| (format!("c{at}"), "int")));
    let rows = |count: usize| vec![vec![json!("x")]; count];
    let of = |rows: Vec<Vec<Value>>, count: u64| {
        let answers = vec![
            (TABLES, named(name())),
            (COLUMNS, columned(name(), &columns)),
            ("SELECT COUNT(*)", vec![vec![json!(count)]]),
            ("SELECT \"auftrag\"", rows),
        ];
        surveyed(&Wanted::default(), answers).0
    };
    let survey = of(rows(sample::SAMPLED_ROWS_MAX + 1), sample::COUNTED_ROWS_MAX + 1);
    let table = &survey.tables[0];
    let seen = table.sample.as_ref().expect("a sample");
    assert_eq!(table.rows, RowCount::MoreThan(sample::COUNTED_ROWS_MAX));
    assert_eq!((seen.looked_at, seen.has_more, seen.rows.len()), (1_000, true, sample::KEPT_ROWS));
    assert_eq!(seen.left_out, ["foto", "c196"]);
    assert!(!seen.columns.contains_key("foto") && seen.columns.contains_key("c195"));
    assert_eq!(survey.notes, ["bde_buchung has 202 columns: the values of the last 1 were not looked at"]);
    let survey = of(rows(sample::SAMPLED_ROWS_MAX), sample::COUNTED_ROWS_MAX);
    let table = &survey.tables[0];
    assert_eq!(table.rows, RowCount::Exact(sample::COUNTED_ROWS_MAX));
    assert_eq!(table.sample.as_ref().map(|seen| (seen.looked_at, seen.has_more)), Some((1_000, false)));
}
