use engine_spec::model::{After, FieldSource, TimeFormat, TimeOptions, Transform};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::time::DAY_SECS;

const HOUR: i64 = 3600 * SECOND_NANOS;

fn berlin() -> Zone {
    Zone::new(TimeZone::get("Europe/Berlin").expect("a bundled zone"))
}

fn column(name: &str) -> FieldSource {
    FieldSource::Column(name.to_owned())
}

fn whole(format: Option<TimeFormat>) -> TimeField {
    TimeField { from: TimeSource::Whole(column("ts")), options: TimeOptions { format, ..TimeOptions::default() } }
}

fn part(name: &str, format: Option<TimeFormat>) -> TimePart {
    TimePart { from: column(name), transform: Vec::new(), format, null_if: Vec::new() }
}

fn parts(date: Option<TimeFormat>, time: Option<TimeFormat>) -> TimeField {
    TimeField {
        from: TimeSource::Parts { date: part("d", date), time: part("t", time) },
        options: TimeOptions::default(),
    }
}

fn pattern(source: &str) -> Option<TimeFormat> {
    Some(TimeFormat::Pattern(source.to_owned()))
}

fn fillers(texts: &[&str]) -> Vec<Scalar> {
    texts.iter().map(|text| Scalar::Text((*text).to_owned())).collect()
}

fn civil(text: &str) -> Cell<'static> {
    match iso_said(text) {
        Some(Ok(Said::Civil(Civil { secs, nanos }))) => Cell::Civil { secs, nanos },
        other => panic!("{text} is {other:?}"),
    }
}

fn instant(text: &str) -> Instant {
    text.parse().expect("an instant")
}

/// The outcome in a line: the instant and what was done to it, `none`, or the code of the error.
fn show(read: Result<Option<TimeValue>, TimeError>) -> String {
    match read {
        Ok(None) => "none".to_owned(),
        Ok(Some(value)) => {
            let shifted = value.shifted.map(|shift| format!(" {shift:?}")).unwrap_or_default();
            format!("{}{shifted}{}", value.instant, if value.next_day { " next day" } else { "" })
        }
        Err(error) => error.code.to_string(),
    }
}

#[track_caller]
fn read(field: &TimeField, cells: TimeCells<'_>, start: Option<&str>) -> String {
    let reader = TimeReader::new(field, berlin()).expect("a field");
    show(reader.read(cells, start.map(instant), &mut String::new()))
}

#[track_caller]
fn check(field: &TimeField, cell: Cell<'_>, expected: &str) {
    assert_eq!(read(field, TimeCells::Whole(cell), None), expected, "{cell:?}");
}

#[track_caller]
fn check_parts(field: &TimeField, date: Cell<'_>, time: Cell<'_>, expected: &str) {
    assert_eq!(read(field, TimeCells::Parts { date, time }, None), expected, "{date:?} {time:?}");
}

#[test]
fn a_reader_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<TimeReader>();
}

#[test]
fn a_typed_value_is_taken_as_it_is() {
    for field in [whole(None), whole(pattern("%d.%m.%Y"))] {
        check(&field, Cell::Null, "none");
        check(&field, civil("2025-03-29T22:00:00.5"), "2025-03-29T21:00:00.5Z");
        check(&field, civil("2025-03-30T02:30:00"), "2025-03-30T01:30:00Z Gap");
        check(&field, civil("2025-10-26T02:30:00"), "2025-10-26T00:30:00Z Fold");
        check(&field, Cell::Date(20_176), "2025-03-28T23:00:00Z");
        check(&field, Cell::Instant { secs: 1_743_282_000, nanos: 7 }, "2025-03-29T21:00:00.000000007Z");
        check(&field, Cell::Instant { secs: i64::MAX, nanos: 0 }, "time_out_of_range");
        check(&field, Cell::Civil { secs: i64::MIN, nanos: 0 }, "time_out_of_range");
        check(&field, Cell::Time(HOUR), "time_wrong_kind");
        check(&field, Cell::Bool(true), "time_wrong_kind");
        check(&field, Cell::Bytes(&[1]), "time_wrong_kind");
        check(&field, Cell::Json("{}"), "time_wrong_kind");
        check(&field, Cell::Bad("month 13"), "time_undecodable");
    }
}

#[test]
fn text_without_a_format_is_iso() {
    let field = whole(None);
    check(&field, Cell::Text(" \u{a0} "), "none");
    check(&field, Cell::Text("2025-03-29"), "2025-03-28T23:00:00Z");
    check(&field, Cell::Text(" 2025-03-29 22:00 "), "2025-03-29T21:00:00Z");
    check(&field, Cell::Text("2025-03-29T24:00:00"), "2025-03-29T23:00:00Z");
    check(&field, Cell::Text("2025-03-29T22:00:00+02:00"), "2025-03-29T20:00:00Z");
    check(&field, Cell::Text("0001-01-01T00:00:00+01:00"), "time_out_of_range");
    check(&field, Cell::Text("0001-01-01T00:00:00"), "time_out_of_range");
    check(&field, Cell::Text("22:00"), "time_wrong_kind");
    check(&field, Cell::Text("29.03.2025"), "time_unparsable");
    check(&field, Cell::Text("0000-00-00"), "time_unparsable");
}

#[test]
fn numbers_need_a_format() {
    for cell in [Cell::Int(20_250_329), Cell::Float(1.5), Cell::Decimal("45000.25")] {
        check(&whole(None), cell, "time_format_missing");
        check(&whole(Some(TimeFormat::Iso8601)), cell, "time_format_missing");
    }
    let epoch_s = whole(Some(TimeFormat::EpochS));
    check(&epoch_s, Cell::Int(1_743_282_000), "2025-03-29T21:00:00Z");
    check(&epoch_s, Cell::Int(-1), "1969-12-31T23:59:59Z");
    check(&epoch_s, Cell::Float(1_743_282_000.25), "2025-03-29T21:00:00.25Z");
    check(&epoch_s, Cell::Decimal("1743282000.000000001"), "2025-03-29T21:00:00.000000001Z");
    check(&epoch_s, Cell::Text("1743282000"), "2025-03-29T21:00:00Z");
    check(&epoch_s, Cell::Text("2025-03-29"), "time_unparsable");
    check(&epoch_s, Cell::Int(1_743_282_000_000), "time_out_of_range");
    check(&epoch_s, Cell::Float(f64::NAN), "time_unparsable");
    check(&whole(Some(TimeFormat::EpochMs)), Cell::Int(1_743_282_000_123), "2025-03-29T21:00:00.123Z");
    let yyyymmdd = whole(Some(TimeFormat::Yyyymmdd));
    check(&yyyymmdd, Cell::Int(20_250_329), "2025-03-28T23:00:00Z");
    check(&yyyymmdd, Cell::Decimal("20250329.00"), "2025-03-28T23:00:00Z");
    check(&yyyymmdd, Cell::Text("20250329"), "2025-03-28T23:00:00Z");
    check(&yyyymmdd, Cell::Int(0), "none");
    check(&yyyymmdd, Cell::Text("00000000"), "none");
    check(&yyyymmdd, Cell::Int(20_251_329), "time_unparsable");
    let digits = whole(pattern("%Y%m%d%H%M%S"));
    check(&digits, Cell::Int(20_250_329_220_001), "2025-03-29T21:00:01Z");
}

#[test]
fn patterns_are_read_in_the_zone_or_at_their_offset() {
    check(&whole(pattern("%d.%m.%Y %H:%M")), Cell::Text("29.03.2025 22:00"), "2025-03-29T21:00:00Z");
    check(&whole(pattern("%d.%m.%Y")), Cell::Text("29.03.2025"), "2025-03-28T23:00:00Z");
    check(&whole(pattern("%Y-%m-%d %H:%M:%S %z")), Cell::Text("2025-03-29 22:00:00 -0500"), "2025-03-30T03:00:00Z");
    check(&whole(pattern("%d.%m.%Y")), Cell::Text("31.02.2025"), "time_unparsable");
    check(&whole(pattern("%d.%m.%Y")), Cell::Text("  "), "none");
    check(&whole(pattern("%Y-%m-%d")), Cell::Text("0000-01-01"), "time_out_of_range");
}

#[test]
fn a_date_and_a_time_are_put_together() {
    let typed = parts(None, None);
    let (date, bc_time) = (Cell::Date(20_176), civil("1754-01-01T22:00:00"));
    check_parts(&typed, date, Cell::Time(22 * HOUR), "2025-03-29T21:00:00Z");
    check_parts(&typed, civil("2025-03-29T00:00:00"), bc_time, "2025-03-29T21:00:00Z");
    check_parts(&typed, Cell::Text("2025-03-29"), Cell::Text("22:00:00.5"), "2025-03-29T21:00:00.5Z");
    check_parts(&typed, Cell::Text("2025-03-29 00:00:00"), Cell::Text("1899-12-30 22:00:00"), "2025-03-29T21:00:00Z");
    check_parts(&typed, date, Cell::Text("24:00"), "2025-03-29T23:00:00Z");
    check_parts(&typed, date, Cell::Time(25 * HOUR), "2025-03-30T00:00:00Z");
    check_parts(&typed, date, Cell::Time(26 * HOUR + HOUR / 2), "2025-03-30T01:30:00Z Gap");
    check_parts(&typed, Cell::Date(20_177), Cell::Time(2 * HOUR), "2025-03-30T01:00:00Z Gap");
    check_parts(&typed, Cell::Instant { secs: 1_743_289_200, nanos: 0 }, Cell::Time(0), "2025-03-29T23:00:00Z");
    check_parts(&typed, date, Cell::Time(-1), "time_outside_day");
    check_parts(&typed, date, Cell::Time(i64::MAX), "time_outside_day");
    check_parts(&typed, date, Cell::Int(60_000), "time_format_missing");
    check_parts(&typed, Cell::Int(20_250_329), Cell::Time(0), "time_format_missing");
    check_parts(&typed, date, date, "time_wrong_kind");
    check_parts(&typed, Cell::Time(0), Cell::Time(0), "time_wrong_kind");
    check_parts(&typed, date, Cell::Bad("hour 25"), "time_undecodable");
}

#[test]
fn a_missing_part_is_never_guessed() {
    let field = parts(None, None);
    check_parts(&field, Cell::Null, Cell::Null, "none");
    check_parts(&field, Cell::Null, Cell::Time(HOUR), "none");
    check_parts(&field, Cell::Date(0), Cell::Null, "time_incomplete");
    check_parts(&field, Cell::Date(0), Cell::Text(" "), "time_incomplete");
}

#[test]
fn a_posting_date_without_an_end_is_a_run_that_goes_on() {
    let mut field = parts(None, None);
    field.options.after = Some(After::Start);
    check_parts(&field, Cell::Date(0), Cell::Null, "none");
    check_parts(&field, Cell::Date(0), Cell::Text(" "), "none");
    check_parts(&field, Cell::Date(0), Cell::Time(HOUR), "1970-01-01T00:00:00Z");
}

#[test]
fn numeric_dates_and_times_are_put_together() {
    let digits = parts(Some(TimeFormat::Yyyymmdd), Some(TimeFormat::Hhmmss));
    check_parts(&digits, Cell::Int(20_250_329), Cell::Int(60_000), "2025-03-29T05:00:00Z");
    check_parts(&digits, Cell::Text("20250329"), Cell::Text("060000"), "2025-03-29T05:00:00Z");
    check_parts(&digits, Cell::Decimal("20250329"), Cell::Decimal("240000.0"), "2025-03-29T23:00:00Z");
    check_parts(&digits, Cell::Text("00000000"), Cell::Text("000000"), "none");
    check_parts(&digits, Cell::Text("20250329"), Cell::Text("0600"), "time_unparsable");
    check_parts(&digits, Cell::Int(20_250_329), Cell::Int(-1), "time_unparsable");
    let seconds = parts(None, Some(TimeFormat::SecondsOfDay));
    check_parts(&seconds, Cell::Text("2025-03-29"), Cell::Int(79_200), "2025-03-29T21:00:00Z");
    check_parts(&seconds, Cell::Date(20_177), Cell::Int(7140), "2025-03-30T00:59:00Z");
    check_parts(&seconds, Cell::Date(20_177), Cell::Float(7140.5), "2025-03-30T00:59:00.5Z");
    check_parts(&seconds, Cell::Date(20_176), Cell::Int(86_400), "2025-03-29T23:00:00Z");
    check_parts(&seconds, Cell::Date(20_176), Cell::Int(86_401), "time_outside_day");
    check_parts(&seconds, Cell::Date(20_176), Cell::Int(-1), "time_outside_day");
    let patterns = parts(pattern("%d.%m.%Y"), pattern("%H%M"));
    check_parts(&patterns, Cell::Text("29.03.2025"), Cell::Text("2200"), "2025-03-29T21:00:00Z");
}

#[test]
fn fillers_are_no_value() {
    let mut field = whole(None);
    field.options.null_if = fillers(&["1900-01-01", "9999-12-31 23:59:59", "n/a", "2000-01-01T00:00:00Z"]);
    check(&field, civil("1900-01-01T00:00:00"), "none");
    check(&field, Cell::Date(-25_567), "none");
    check(&field, civil("9999-12-31T23:59:59"), "none");
    check(&field, Cell::Text(" n/a "), "none");
    for text in ["1900-01-01", "1900-01-01T00:00:00", "1900-01-01 00:00", "2000-01-01T01:00:00+01:00"] {
        check(&field, Cell::Text(text), "none");
    }
    check(&field, Cell::Text("1900-01-01T00:00:01"), "1899-12-31T23:00:01Z");
    check(&field, Cell::Instant { secs: 946_684_800, nanos: 0 }, "none");
    check(&field, civil("1900-01-02T00:00:00"), "1900-01-01T23:00:00Z");
    check(&field, Cell::Bad("month 13"), "time_undecodable");

    let mut number = whole(Some(TimeFormat::EpochS));
    number.options.null_if = vec![Scalar::Int(-1)];
    check(&number, Cell::Int(-1), "none");
    check(&number, Cell::Decimal("-1.0"), "none");
    check(&number, Cell::Text("-1"), "none");

    let mut digits = whole(Some(TimeFormat::Yyyymmdd));
    digits.options.null_if = fillers(&["9999-12-31"]);
    check(&digits, Cell::Int(99_991_231), "none");
    check(&digits, Cell::Text("99991231"), "none");

    let mut two = parts(None, None);
    two.options.null_if = fillers(&["1753-01-01"]);
    check_parts(&two, civil("1753-01-01T00:00:00"), civil("1753-01-01T00:00:00"), "none");
}

#[test]
fn a_default_stands_where_there_is_no_value() {
    let mut field = whole(Some(TimeFormat::Yyyymmdd));
    for default in ["2025-03-29", "20250329", "2025-03-29T00:00:00+01:00"] {
        field.options.default = Some(Scalar::Text(default.to_owned()));
        check(&field, Cell::Null, "2025-03-28T23:00:00Z");
        check(&field, Cell::Text("00000000"), "2025-03-28T23:00:00Z");
        check(&field, Cell::Text("20250330"), "2025-03-29T23:00:00Z");
    }
}

#[test]
fn text_is_transformed_before_it_is_read() {
    let mut field = whole(Some(TimeFormat::Yyyymmdd));
    field.options.null_if = fillers(&["99999999"]);
    field.options.transform = vec![Transform::Split { by: "/".to_owned(), index: 1 }];
    check(&field, Cell::Text("D/20250329"), "2025-03-28T23:00:00Z");
    check(&field, Cell::Text("D/99999999"), "none");
    check(&field, Cell::Text("20250329"), "none");
    let mut padded = whole(pattern("%H%M%d%m%Y"));
    padded.options.transform = vec![Transform::PadLeft { width: 12, with: '0' }];
    check(&padded, Cell::Int(60_029_032_025), "2025-03-29T05:00:00Z");
    check(&padded, Cell::Null, "none");
    check(&padded, civil("2025-03-29T22:00:00"), "2025-03-29T21:00:00Z");
    check(&padded, Cell::Json("60029032025"), "2025-03-29T05:00:00Z");
}

#[test]
fn an_end_before_its_start_belongs_to_the_next_day() {
    #[track_caller]
    fn check(cell: Cell<'_>, start: &str, expected: &str) {
        let mut field = whole(None);
        field.options.after = Some(After::Start);
        assert_eq!(read(&field, TimeCells::Whole(cell), Some(start)), expected, "{cell:?} after {start}");
        field.options.after = None;
        assert!(!read(&field, TimeCells::Whole(cell), Some(start)).contains("next day"));
    }
    check(civil("2025-03-28T06:00:00"), "2025-03-28T21:00:00Z", "2025-03-29T05:00:00Z next day");
    check(civil("2025-03-28T23:00:00"), "2025-03-28T21:00:00Z", "2025-03-28T22:00:00Z");
    check(civil("2025-03-28T22:00:00"), "2025-03-28T21:00:00Z", "2025-03-28T21:00:00Z");
    // The next day is a day of the local clock: it has 23 hours here, and its hour from two to three is missing.
    check(civil("2025-03-29T06:00:00"), "2025-03-29T21:00:00Z", "2025-03-30T04:00:00Z next day");
    check(civil("2025-03-29T02:30:00"), "2025-03-29T21:00:00Z", "2025-03-30T01:30:00Z Gap next day");
    // Two days early is no night shift: the check on the end before the start shall see it as it is.
    check(civil("2025-03-26T06:00:00"), "2025-03-28T21:00:00Z", "2025-03-26T05:00:00Z");
    // Started in the first pass of the repeated hour, ended in the second.
    check(civil("2025-10-26T02:10:00"), "2025-10-26T00:50:00Z", "2025-10-26T01:10:00Z Fold");
    check(civil("2025-10-26T02:10:00"), "2025-10-26T01:10:00Z", "2025-10-26T01:10:00Z Fold");
    check(civil("2025-10-26T02:10:00"), "2025-10-26T01:10:01Z", "2025-10-27T01:10:00Z next day");
    check(Cell::Instant { secs: 1_743_138_000, nanos: 0 }, "2025-03-28T21:00:00Z", "2025-03-29T05:00:00Z next day");
}

#[test]
fn rejecting_policies_are_obeyed() {
    let mut field = whole(None);
    field.options.on_gap = Some(OnGap::Reject);
    field.options.on_fold = Some(OnFold::Reject);
    check(&field, civil("2025-03-30T02:30:00"), "time_gap");
    check(&field, Cell::Text("2025-10-26 02:30"), "time_fold");
    check(&field, Cell::Text("2025-10-26 02:30Z"), "2025-10-26T02:30:00Z");
    field.options.on_fold = Some(OnFold::Later);
    check(&field, civil("2025-10-26T02:30:00"), "2025-10-26T01:30:00Z Fold");
}

#[test]
fn options_that_cannot_work_are_refused() {
    #[track_caller]
    fn check(field: &TimeField, word: &str) {
        let error = TimeReader::new(field, berlin()).expect_err("no reader");
        assert_eq!(error.code, TimeErrorCode::Options);
        assert!(error.message.contains(word), "{error}");
    }
    check(&whole(Some(TimeFormat::Hhmmss)), "hhmmss");
    check(&whole(Some(TimeFormat::SecondsOfDay)), "seconds_of_day");
    check(&whole(pattern("%H:%M")), "no date");
    check(&whole(pattern("%d.%m.")), "whole date");
    check(&parts(Some(TimeFormat::Hhmmss), None), "the date");
    check(&parts(None, Some(TimeFormat::Yyyymmdd)), "the time of day");
    check(&parts(None, pattern("%Y-%m-%d")), "no time of day");
    let mut field = parts(None, None);
    field.options.format = Some(TimeFormat::Iso8601);
    check(&field, "inside");
    let mut field = whole(None);
    field.options.transform = vec![Transform::Extract("x".to_owned())];
    check(&field, "step 1");
    for default in ["soon", "22:00", "", "0001-01-01"] {
        let mut field = whole(None);
        field.options.default = Some(Scalar::Text(default.to_owned()));
        check(&field, "`default`");
    }
}

#[test]
fn a_message_quotes_the_value_and_names_the_format() {
    let reader = TimeReader::new(&whole(pattern("%d.%m.%Y")), berlin()).expect("a field");
    let long = "x".repeat(200);
    let error = reader.read(TimeCells::Whole(Cell::Text(&long)), None, &mut String::new()).expect_err("no time");
    assert!(error.message.contains(&format!("`{}…`", "x".repeat(64))), "{error}");
    assert!(error.message.contains("`%d.%m.%Y`"), "{error}");

    let reader = TimeReader::new(&whole(None), berlin()).expect("a field");
    let error = reader.read(TimeCells::Whole(Cell::Int(7)), None, &mut String::new()).expect_err("no time");
    for name in ["`7`", "`epoch_s`", "`epoch_ms`", "`yyyymmdd`", "strftime"] {
        assert!(error.message.contains(name), "{error}");
    }

    let cells = TimeCells::Parts { date: Cell::Null, time: Cell::Null };
    let error = reader.read(cells, None, &mut String::new()).expect_err("another shape");
    assert_eq!(error.code, TimeErrorCode::Options);
}

proptest! {
    #[test]
    fn an_instant_is_the_same_however_it_is_written(
        secs in -2_000_000_000i64..4_000_000_000,
        nanos in 0u32..1_000_000_000,
    ) {
        let expected = Instant::new(secs, nanos).expect("in range");
        let text = expected.to_string();
        let epoch = format!("{}.{nanos:09}", secs.abs());
        let read = |format, cell| {
            let reader = TimeReader::new(&whole(format), berlin()).expect("a field");
            let value = reader.read(TimeCells::Whole(cell), None, &mut String::new()).expect("a time");
            value.expect("a value").instant
        };
        prop_assert_eq!(read(None, Cell::Instant { secs, nanos }), expected);
        prop_assert_eq!(read(None, Cell::Text(&text)), expected);
        if secs >= 0 {
            prop_assert_eq!(read(Some(TimeFormat::EpochS), Cell::Decimal(&epoch)), expected);
        }
    }

    #[test]
    fn two_columns_say_what_one_column_says(days in -20_000i32..40_000, secs in 0..DAY_SECS) {
        let civil = Civil { secs: i64::from(days) * DAY_SECS + secs, nanos: 0 };
        let one = read(&whole(None), TimeCells::Whole(Cell::Civil { secs: civil.secs, nanos: 0 }), None);
        let time = Cell::Int(secs / 3600 * 10_000 + secs / 60 % 60 * 100 + secs % 60);
        let hhmmss = parts(None, Some(TimeFormat::Hhmmss));
        let of_day = parts(None, Some(TimeFormat::SecondsOfDay));
        prop_assert_eq!(&read(&hhmmss, TimeCells::Parts { date: Cell::Date(days), time }, None), &one);
        prop_assert_eq!(&read(&of_day, TimeCells::Parts { date: Cell::Date(days), time: Cell::Int(secs) }, None), &one);
    }

    #[test]
    fn any_text_in_any_format_is_read_or_refused(text in "\\PC{0,24}|[0-9.:T +-]{0,24}") {
        let stated = [TimeFormat::EpochS, TimeFormat::EpochMs, TimeFormat::Yyyymmdd].map(Some);
        for format in stated.into_iter().chain([None, pattern("%d.%m.%Y %H:%M")]) {
            let reader = TimeReader::new(&whole(format), Zone::utc()).expect("a field");
            let _ = reader.read(TimeCells::Whole(Cell::Text(&text)), None, &mut String::new());
        }
        for format in [None, Some(TimeFormat::Hhmmss), Some(TimeFormat::SecondsOfDay)] {
            let reader = TimeReader::new(&parts(None, format), Zone::utc()).expect("a field");
            let cells = TimeCells::Parts { date: Cell::Date(0), time: Cell::Text(&text) };
            let _ = reader.read(cells, None, &mut String::new());
        }
    }
}
