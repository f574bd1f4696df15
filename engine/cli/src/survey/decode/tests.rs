//! Rows as SQL Server and Oracle give them, and what is known afterwards. No product was asked: the rows are those that
//! its documentation says, in the form that the connector gives.

use std::fmt::Write as _;

use serde_json::json;

use super::*;

/// Rows, given as JSON arrays.
fn rows(rows: &[Value]) -> Vec<Vec<Value>> {
    rows.iter().map(|row| row.as_array().expect("a row").clone()).collect()
}

/// Tables of answers: that about tables, then those about columns, indexes and foreign keys.
fn known(bare: &str, answers: [&[Value]; 4]) -> Vec<TableFacts> {
    let [named, of_tables @ ..] = answers;
    let mut found = tables(&rows(named), None, Some(bare)).0;
    for (question, answer) in Question::ALL.into_iter().zip(of_tables) {
        facts(&mut found, question, &rows(answer), Some(bare));
    }
    found
}

/// What is known of tables, in lines.
fn shown(tables: &[TableFacts]) -> String {
    let mut out = String::new();
    let name = |name: &Name| match &name.schema {
        Some(schema) => format!("{schema}.{}", name.table),
        None => name.table.clone(),
    };
    let remark = |comment: &Option<String>| comment.as_ref().map(|text| format!(" -- {text}")).unwrap_or_default();
    for table in tables {
        let _ = writeln!(out, "{:?} {} {:?}{}", table.kind, name(&table.name), table.rows, remark(&table.comment));
        for column in &table.columns {
            let null = if column.nullable { " null" } else { "" };
            let _ = writeln!(out, "  {}: {}{null}{}", column.name, column.source_type, remark(&column.comment));
        }
        if !table.primary_key.is_empty() {
            let _ = writeln!(out, "  key {}", table.primary_key.join(", "));
        }
        for index in &table.indexes {
            let unique = if index.unique { "unique " } else { "" };
            let _ = writeln!(out, "  {unique}index {} ({})", index.name, index.columns.join(", "));
        }
        for key in &table.foreign_keys {
            let (from, to) = (key.columns.join(", "), key.to_columns.join(", "));
            let _ = writeln!(out, "  ({from}) -> {} ({to})", name(&key.to));
        }
    }
    out
}

#[test]
fn rows_of_sql_server_are_understood() {
    let found = known(
        "dbo",
        [
            &[
                json!(["BDE Archiv", "Buchung", "table", null, 0, 1]),
                json!(["dbo", "BDE_Buchung", "table", "Buchungen der Terminals", 1_204_331, 1]),
                json!(["dbo", "Gehalt", "table", null, 12, 0]),
                json!(["dbo", "Maschine", "table", null, 14, 1]),
                // A view has no partitions, so no rows; one that is broken has no permission that could be told.
                json!(["dbo", "v_Auftrag", "view", null, null, 1]),
                json!(["dbo", "v_kaputt", "view", null, null, null]),
            ],
            &[
                json!(["BDE Archiv", "Buchung", "Id", "bigint", false, null]),
                json!(["dbo", "BDE_Buchung", "Id", "bigint", false, null]),
                json!(["dbo", "BDE_Buchung", "AuftragNr", "nvarchar(20)", false, "führende Nullen"]),
                json!(["dbo", "BDE_Buchung", "MaschineId", "int", true, null]),
                json!(["dbo", "BDE_Buchung", "Kennung", "char(1)", false, null]),
                json!(["dbo", "BDE_Buchung", "Zeit", "datetime2", false, null]),
                json!(["dbo", "BDE_Buchung", "Menge", "decimal(12,3)", true, ""]),
                json!(["dbo", "BDE_Buchung", "Bemerkung", "nvarchar(max)", true, null]),
                json!(["dbo", "BDE_Buchung", "Version", "timestamp", false, null]),
                json!(["dbo", "Maschine", "Id", "int", false, null]),
                json!(["dbo", "Maschine", "Platz Nr.", "nchar(8)", false, null]),
                json!(["dbo", "v_Auftrag", "Beginn", "datetimeoffset", true, null]),
                json!(["sys", "trace", "x", "int", true, null]),
            ],
            &[
                json!(["dbo", "BDE_Buchung", "PK_BDE_Buchung", true, true, "Id"]),
                // The order of the index, and not that of the table.
                json!(["dbo", "BDE_Buchung", "IX_Zeit", false, false, "Zeit"]),
                json!(["dbo", "BDE_Buchung", "IX_Zeit", false, false, "MaschineId"]),
                json!(["dbo", "Maschine", "PK_Maschine", true, true, "Id"]),
                json!(["dbo", "Maschine", "UQ_Platz", true, false, "Platz Nr."]),
            ],
            &[json!(["dbo", "BDE_Buchung", "FK_Maschine", "MaschineId", "dbo", "Maschine", "Id"])],
        ],
    );
    assert_eq!(
        shown(&found),
        "\
Table BDE Archiv.Buchung Estimate(0)
  Id: bigint
Table BDE_Buchung Estimate(1204331) -- Buchungen der Terminals
  Id: bigint
  AuftragNr: nvarchar(20) -- führende Nullen
  MaschineId: int null
  Kennung: char(1)
  Zeit: datetime2
  Menge: decimal(12,3) null
  Bemerkung: nvarchar(max) null
  Version: timestamp
  key Id
  unique index PK_BDE_Buchung (Id)
  index IX_Zeit (Zeit, MaschineId)
  (MaschineId) -> Maschine (Id)
Table Maschine Estimate(14)
  Id: int
  Platz Nr.: nchar(8)
  key Id
  unique index PK_Maschine (Id)
  unique index UQ_Platz (Platz Nr.)
View v_Auftrag Unknown
  Beginn: datetimeoffset null
"
    );
}

#[test]
fn rows_of_oracle_are_understood() {
    let found = known(
        "MES_READER",
        [
            &[
                json!(["MES", "AFKO", "table", null, 40_112, 1]),
                // Nobody gathered statistics. Numbers without a scale come as numbers, or as text with a driver of old.
                json!(["MES", "AFRU", "table", "Rückmeldungen", null, "1"]),
                json!(["MES", "V_RUECKMELDUNG", "view", "  ", null, 1]),
                json!(["MES_READER", "Merkzettel", "table", null, "3", 1]),
            ],
            &[
                json!(["MES", "AFKO", "MANDT", "VARCHAR2(3)", 0, null]),
                json!(["MES", "AFKO", "AUFNR", "VARCHAR2(12)", 0, "Auftragsnummer"]),
                json!(["MES", "AFKO", "GAMNG", "NUMBER(13,3)", 1, null]),
                json!(["MES", "AFRU", "MANDT", "VARCHAR2(3)", 0, null]),
                json!(["MES", "AFRU", "RUECK", "NUMBER(10)", 0, null]),
                json!(["MES", "AFRU", "AUFNR", "VARCHAR2(12)", 0, null]),
                json!(["MES", "AFRU", "STOKZ", "CHAR(1)", 1, null]),
                json!(["MES", "AFRU", "BUCHDAT", "DATE", 0, null]),
                json!(["MES", "AFRU", "GEAENDERT", "TIMESTAMP(6) WITH LOCAL TIME ZONE", 1, null]),
                json!(["MES", "AFRU", "MENGE", "NUMBER", 1, null]),
                json!(["MES", "AFRU", "FOTO", "BLOB", 1, null]),
                json!(["MES", "V_RUECKMELDUNG", "BUCHDAT", "TIMESTAMP(6)", 1, null]),
                json!(["MES_READER", "Merkzettel", "Text", "NVARCHAR2(40)", 1, null]),
            ],
            &[
                json!(["MES", "AFKO", "AFKO~0", 1, 1, "MANDT"]),
                json!(["MES", "AFKO", "AFKO~0", 1, 1, "AUFNR"]),
                json!(["MES", "AFRU", "AFRU~0", 1, 1, "MANDT"]),
                json!(["MES", "AFRU", "AFRU~0", 1, 1, "RUECK"]),
                json!(["MES", "AFRU", "AFRU~Z1", 0, 0, "BUCHDAT"]),
            ],
            &[
                json!(["MES", "AFRU", "FK_AUFTRAG", "MANDT", "MES", "AFKO", "MANDT"]),
                json!(["MES", "AFRU", "FK_AUFTRAG", "AUFNR", "MES", "AFKO", "AUFNR"]),
            ],
        ],
    );
    assert_eq!(
        shown(&found),
        "\
Table MES.AFKO Estimate(40112)
  MANDT: VARCHAR2(3)
  AUFNR: VARCHAR2(12) -- Auftragsnummer
  GAMNG: NUMBER(13,3) null
  key MANDT, AUFNR
  unique index AFKO~0 (MANDT, AUFNR)
Table MES.AFRU Unknown -- Rückmeldungen
  MANDT: VARCHAR2(3)
  RUECK: NUMBER(10)
  AUFNR: VARCHAR2(12)
  STOKZ: CHAR(1) null
  BUCHDAT: DATE
  GEAENDERT: TIMESTAMP(6) WITH LOCAL TIME ZONE null
  MENGE: NUMBER null
  FOTO: BLOB null
  key MANDT, RUECK
  unique index AFRU~0 (MANDT, RUECK)
  index AFRU~Z1 (BUCHDAT)
  (MANDT, AUFNR) -> MES.AFKO (MANDT, AUFNR)
View MES.V_RUECKMELDUNG Unknown
  BUCHDAT: TIMESTAMP(6) null
Table Merkzettel Estimate(3)
  Text: NVARCHAR2(40) null
"
    );
}

#[test]
fn what_may_not_be_read_is_counted_and_a_pattern_finds_no_other_schema() {
    let answer = rows(&[
        json!(["M_1", "a", "table", null, null, 1]),
        json!(["MX1", "b", "table", null, null, 1]),
        json!(["M_1", "c", "table", null, null, 0]),
        json!(["M_1", null, "table", null, null, 1]),
        json!(["M_1"]),
    ]);
    let (found, unreadable) = tables(&answer, Some("M_1"), None);
    assert_eq!((found.len(), unreadable), (1, 1));
    assert_eq!(found[0].name, Name { schema: Some("M_1".to_owned()), table: "a".to_owned() });
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
