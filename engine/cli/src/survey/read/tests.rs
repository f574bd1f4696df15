use engine_core::ports::{Ask, Fetched, Source, SourceErrorKind, SourceIdentity};
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use engine_spec::model::Source as SourceBlockOf;
use engine_spec::sql::Dialect;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::json;

use super::*;

/// A server that answers by the first words that a statement contains.
struct Scripted {
    answers: Vec<(&'static str, Vec<Vec<Value>>)>,
    current: Vec<Vec<Value>>,
    identity: SourceIdentity,
}

impl Source for Scripted {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        let sql = &ask.statement.as_ref().expect("a statement").sql;
        let denied = |message: &str| SourceError {
            kind: SourceErrorKind::Permission,
            tried: "asking".to_owned(),
            message: message.to_owned(),
            hint: None,
        };
        if sql.contains("DENIED") {
            return Err(denied("ORA-01031"));
        }
        let answer = self.answers.iter().find(|(words, _)| sql.contains(words));
        self.current = answer.map(|(_, rows)| rows.clone()).unwrap_or_default();
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let width = self.current.first().map_or(1, Vec::len);
        let column = |at: usize| Column { name: format!("c{at}"), kind: Kind::Any, source_type: String::new() };
        let columns: Columns = (0..width).map(column).collect();
        batch.reset(&columns);
        for value in std::mem::take(&mut self.current).iter().flatten() {
            match value {
                Value::String(text) => batch.push_text(text),
                Value::Number(number) => batch.push_decimal(&number.to_string()),
                Value::Bool(truth) => batch.push(Slot::Bool(*truth)),
                _ => batch.push(Slot::Null),
            }
        }
        Ok(if batch.is_empty() { Fetched::End } else { Fetched::Rows })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }
}

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
    let source = Scripted { answers, current: Vec::new(), identity: SourceIdentity::default() };
    Session::new(Box::new(source), Dialect::Oracle, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_catalogue_is_put_together_and_what_fails_is_a_note() {
    let (mut session, questions, mut survey) = (oracle(), catalogue(Dialect::Oracle), empty());
    let wanted = Wanted::default();
    assert_eq!(session_facts(&mut session, &questions), (Some("+02:00".to_owned()), Some("ETL".to_owned())));
    tables(&mut session, &questions, &wanted, Some("ETL"), &mut survey).expect("tables");
    facts(&mut session, &questions, Some("ETL"), &mut survey).expect("facts");
    let value = json!({ "type": "oracle", "host": "h", "database": "d", "username": "u" });
    let block = SourceBlock {
        source: SourceBlockOf::deserialize(value).expect("a source"),
        yaml: String::new(),
        source_type: "oracle",
        dialect: Dialect::Oracle,
        folder: std::path::PathBuf::new(),
    };
    rows(&mut session, &questions, &block, &wanted, &Cancel::default(), &mut survey).expect("rows");
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
fn a_truth_is_understood_in_every_form() {
    for (value, expected) in [
        (json!(true), true),
        (json!(1), true),
        (json!("1"), true),
        (json!(0), false),
        (json!("0"), false),
        (json!(null), false),
        (json!(false), false),
    ] {
        assert_eq!(truth(std::slice::from_ref(&value), 0), expected, "{value}");
    }
}

#[test]
fn a_table_is_meant_in_any_case_and_with_its_schema() {
    let name = Name { schema: Some("dbo".to_owned()), table: "Buchung".to_owned() };
    for (wanted, expected) in [("buchung", true), ("DBO.BUCHUNG", true), ("x.buchung", false), ("buch", false)] {
        assert_eq!(is_meant(&name, wanted), expected, "{wanted}");
    }
}
