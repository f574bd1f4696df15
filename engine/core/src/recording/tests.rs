use proptest::prelude::*;

use super::*;
use crate::value::Cell;

fn columns(kinds: &[Kind]) -> Columns {
    kinds
        .iter()
        .enumerate()
        .map(|(place, kind)| Column { name: format!("c{place}"), kind: *kind, source_type: format!("type {place}") })
        .collect()
}

fn recording(columns: Columns, rows: Vec<RecordedRow>) -> Recording {
    Recording { source_type: "sqlite".to_owned(), now: Timestamp::UNIX_EPOCH, columns, rows }
}

fn cell() -> impl Strategy<Value = RecordedCell> {
    let moment = (any::<i64>(), 0u32..1_000_000_000);
    let likely = (-70_000_000_000i64..260_000_000_000, 0u32..1_000_000_000);
    let moment = prop_oneof![moment, likely];
    prop_oneof![
        Just(RecordedCell::Null),
        any::<bool>().prop_map(RecordedCell::Bool),
        any::<i64>().prop_map(RecordedCell::Int),
        any::<f64>().prop_filter("one that is equal to itself", |float| !float.is_nan()).prop_map(RecordedCell::Float),
        "-?[0-9]{1,40}(\\.[0-9]{1,20})?".prop_map(RecordedCell::Decimal),
        any::<String>().prop_map(RecordedCell::Text),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(RecordedCell::Bytes),
        any::<i32>().prop_map(RecordedCell::Date),
        (-800_000i32..3_000_000).prop_map(RecordedCell::Date),
        any::<i64>().prop_map(RecordedCell::Time),
        moment.clone().prop_map(|(secs, nanos)| RecordedCell::Civil { secs, nanos }),
        moment.prop_map(|(secs, nanos)| RecordedCell::Instant { secs, nanos }),
        any::<String>().prop_map(RecordedCell::Json),
        any::<String>().prop_map(RecordedCell::Bad),
    ]
}

proptest! {
    #[test]
    fn a_recording_loses_nothing(cells in proptest::collection::vec(cell(), 1..6), part in 0u32..3) {
        let values = Values::Cells(cells.clone());
        let unreadable = Values::Unreadable("line 7".to_owned());
        let rows = vec![RecordedRow { part, values }, RecordedRow { part: part + 1, values: unreadable }];
        let recorded = recording(columns(&vec![Kind::Any; cells.len()]), rows);
        let again = Recording::parse(&recorded.to_text());
        prop_assert_eq!(again.as_ref(), Ok(&recorded), "{}", recorded.to_text());
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_recording_panic(cells in proptest::collection::vec(cell(), 1..4), place in any::<prop::sample::Index>(), put in "[\\[\\]{}\":,0-9a-zé]{0,4}") {
        let rows = vec![RecordedRow { part: 1, values: Values::Cells(cells.clone()) }];
        let mut text: Vec<char> = recording(columns(&vec![Kind::Any; cells.len()]), rows).to_text().chars().collect();
        let at = place.index(text.len());
        text.splice(at..(at + put.len()).min(text.len()), put.chars());
        let text: String = text.into_iter().collect();
        if let Ok(recording) = Recording::parse(&text) {
            let mut batch = RowBatch::new();
            prop_assert!(recording.rows.is_empty() || recording.fill(0, &mut batch).is_none());
        }
    }
}

#[test]
fn values_are_readable_where_json_and_the_calendar_have_them() {
    let check = |cell: RecordedCell, expected: &str| assert_eq!(cell.to_json().to_string(), expected);
    check(RecordedCell::Text("M1  ".to_owned()), r#""M1  ""#);
    check(RecordedCell::Decimal("1.50".to_owned()), r#"{"decimal":"1.50"}"#);
    check(RecordedCell::Civil { secs: 1_743_289_200, nanos: 500_000_000 }, r#"{"civil":"2025-03-29T23:00:00.5"}"#);
    check(RecordedCell::Instant { secs: 253_402_300_799, nanos: 0 }, r#"{"instant":"9999-12-31T23:59:59Z"}"#);
    check(RecordedCell::Instant { secs: i64::MAX, nanos: 0 }, r#"{"instant":[9223372036854775807,0]}"#);
    check(RecordedCell::Date(20_176), r#"{"date":"2025-03-29"}"#);
    check(RecordedCell::Bytes(vec![0, 255]), r#"{"bytes":"00ff"}"#);
    check(RecordedCell::Float(-0.0), r#"{"float":"-0.0"}"#);
}

#[test]
fn rows_come_back_with_their_kinds_in_batches_of_one_part() {
    let of = |part: u32, text: &str| RecordedRow { part, values: Values::Cells(vec![RecordedCell::Text(text.into())]) };
    let recorded = recording(columns(&[Kind::Text]), vec![of(0, "a"), of(0, "b"), of(2, "c")]);
    let recorded = Recording::parse(&recorded.to_text()).expect("a recording");
    let mut batch = RowBatch::new();
    assert_eq!(recorded.fill(0, &mut batch), Some(2));
    assert_eq!((batch.part(), batch.len(), batch.columns()[0].kind), (0, 2, Kind::Text));
    assert_eq!(recorded.fill(2, &mut batch), None);
    assert_eq!((batch.part(), batch.row(0).get(0)), (2, Cell::Text("c")));
}

#[test]
fn what_is_no_recording_says_where() {
    let header = recording(columns(&[Kind::Int]), Vec::new()).to_text();
    let check = |text: &str, line: usize, part: &str| {
        let error = Recording::parse(text).expect_err(text);
        assert_eq!(error.line, line, "{error}");
        assert!(error.message.contains(part), "{error}");
    };
    check("", 1, "empty");
    check("[]\n", 1, "invalid type");
    check("{\"a\":1}\n", 1, "not that of a recording");
    check("{\"recording\":9}\n", 1, "version 9");
    check(&format!("{header}[1]\n[1,2]\n"), 3, "2 values; there are 1 columns");
    check(&format!("{header}[{{\"bytes\":\"0\"}}]\n"), 2, "no value of a recording");
    check(&format!("{header}[1.5]\n"), 2, "no value of a recording");
    let many = format!("{header}{}", "[1]\n".repeat(RECORDED_ROWS_MAX + 1));
    check(&many, RECORDED_ROWS_MAX + 2, "at most");
}
