//! Dates and times of day in columns of their own.

use super::*;

/// The best table of a survey: as what it is read, and its start and end, or its timestamp, by their columns.
fn times_of(source_type: &str, facts: TableFacts) -> (TableType, Vec<String>) {
    let survey = survey(source_type, vec![facts]);
    let best = judge(&survey).into_iter().next().expect("a candidate");
    let roles = [Role::Start, Role::End, Role::Timestamp];
    let guesses = roles.iter().filter_map(|role| best.roles.get(role));
    let label = |guess: &RoleGuess| {
        let time = best.times.iter().find(|time| time.is_meant(guess)).expect("a time");
        let of_day = time.time_of_day.as_ref().map(|(_, form)| format!(" {form:?}")).unwrap_or_default();
        format!("{} ({:?}{of_day})", time.label(), time.form)
    };
    (best.table, guesses.map(label).collect())
}

/// What NAV posts of an operation: dates at midnight, times on 1754-01-01, and 1753-01-01 where nobody typed one in.
fn ledger(with_document: bool) -> TableFacts {
    let ledger = table(
        "CRONUS$Capacity Ledger Entry",
        90_000,
        &[
            "Entry No_|int",
            "Posting Date|datetime",
            "Document Date|datetime",
            "No_|nvarchar(20)",
            "Work Center No_|nvarchar(20)",
            "Order No_|nvarchar(20)",
            "Item No_|nvarchar(20)",
            "Setup Time|decimal(38,20)",
            "Run Time|decimal(38,20)",
            "Starting Time|datetime",
            "Ending Time|datetime",
            "Output Quantity|decimal(38,20)",
            "Scrap Quantity|decimal(38,20)",
        ],
    );
    let row = |at: u32| {
        let (start, end) = match at % 5 {
            0 => ("1753-01-01T00:00:00".to_owned(), "1753-01-01T00:00:00".to_owned()),
            _ => (format!("1754-01-01T22:{at:02}:00"), format!("1754-01-01T06:{at:02}:00")),
        };
        let day = format!("2025-06-{:02}T00:00:00", 10 + at % 20);
        vec![
            json!(at),
            json!(day),
            json!(if with_document { day.as_str() } else { "1753-01-01T00:00:00" }),
            json!("CNC-1"),
            json!(format!("WC{}", at % 3)),
            json!(format!("10100{at}")),
            json!("1000"),
            json!(3_600),
            json!(7_200),
            json!(start),
            json!(end),
            json!(40),
            json!(1),
        ]
    };
    with_rows(ledger, (0..40).map(row).collect())
}

#[test]
fn a_date_belongs_to_two_times_of_day() {
    let shift = |name: &str, columns: &[&str], rows: fn(u32) -> Vec<Value>| {
        with_rows(table(name, 40, columns), (0..20).map(rows).collect())
    };
    let typed = shift(
        "schicht_buchung",
        &["id int", "anr char(12)", "mnr char(8)", "datum date", "beginn time", "ende time"],
        |at| {
            let start = format!("{:02}:00:00", at % 3 * 8);
            vec![json!(at), json!(at), json!("M1"), json!("2025-06-30"), json!(start), json!("06:00:00")]
        },
    );
    let digits = shift(
        "bde_buchung",
        &["id int", "anr char(12)", "mnr char(8)", "budat char(8)", "zeit_von char(6)", "zeit_bis char(6)"],
        |at| {
            let start = format!("{:02}0000", at % 3 * 8);
            vec![json!(at), json!(at), json!("M1"), json!("20250630"), json!(start), json!("140000")]
        },
    );
    let seconds = shift(
        "bde_buchung",
        &["id int", "anr char(12)", "mnr char(8)", "tag int", "start_zeit int", "ende_zeit int", "dauer int"],
        |at| {
            let start = at % 3 * 8 * 3_600;
            vec![json!(at), json!(at), json!("M1"), json!(20_250_630), json!(start), json!(50_400), json!(3_600)]
        },
    );
    let sap = shift(
        "rueckmeldung",
        &["id int", "aufnr char(12)", "arbid char(8)", "isdd char(8)", "isdz char(6)", "iedd char(8)", "iedz char(6)"],
        |at| {
            let start = format!("{:02}0000", at % 3 * 8);
            let end = json!("240000");
            vec![json!(at), json!(at), json!("M1"), json!("20250630"), json!(start), json!("20250630"), end]
        },
    );
    const POSTED: [&str; 2] = ["Posting Date + Starting Time (Date Time)", "Posting Date + Ending Time (Date Time)"];
    for (source_type, facts, expected) in [
        ("postgres", typed, ["datum + beginn (Date Time)", "datum + ende (Date Time)"]),
        ("mysql", digits, ["budat + zeit_von (Yyyymmdd Hhmmss)", "budat + zeit_bis (Yyyymmdd Hhmmss)"]),
        ("oracle", seconds, ["tag + start_zeit (Yyyymmdd SecondsOfDay)", "tag + ende_zeit (Yyyymmdd SecondsOfDay)"]),
        ("oracle", sap, ["isdd + isdz (Yyyymmdd Hhmmss)", "iedd + iedz (Yyyymmdd Hhmmss)"]),
        ("sqlserver", ledger(false), POSTED),
        // The date of a paper beside it is none of the row's times.
        ("sqlserver", ledger(true), POSTED),
    ] {
        let name = facts.name.table.clone();
        assert_eq!(times_of(source_type, facts), (Order, expected.map(str::to_owned).to_vec()), "{name}");
    }
}

#[test]
fn a_time_that_nobody_typed_in_is_known() {
    let survey = survey("sqlserver", vec![ledger(true)]);
    let best = &judge(&survey)[0];
    let start = best.times.iter().find(|time| time.is_meant(&best.roles[&Role::Start])).unwrap();
    assert_eq!(start.time_of_day_fillers, ["1753-01-01T00:00:00"]);
    assert!(
        best.reasons.iter().any(|reason| reason.ends_with("Posting Date + Starting Time, Posting Date + Ending Time"))
    );
}

#[test]
fn bookings_keep_one_time_of_one_date() {
    // Text as German clocks write it.
    let bde = table(
        "bde_meldung",
        40,
        &["id int", "anr char(12)", "mnr char(8)", "kenn char(1)", "dat char(10)", "zeit char(5)"],
    );
    let row = |at: u32| {
        let code = if (at / 2).is_multiple_of(2) { "A" } else { "E" };
        let machine = format!("M{}", at % 2);
        let (day, time) = (format!("{:02}.06.2025", 30 - at), format!("{:02}:30", at % 24));
        vec![json!(at), json!(format!("47{at}")), json!(machine), json!(code), json!(day), json!(time)]
    };
    let facts = with_rows(bde, (0..20).map(row).collect());
    assert_eq!(times_of("mysql", facts.clone()), (Booking, vec!["dat + zeit (DottedDate Time)".to_owned()]));
    let survey = survey("mysql", vec![facts.clone()]);
    let time = &judge(&survey)[0].times[0];
    // The latest by the calendar, not by the letters.
    assert_eq!(latest(&facts, time), Some("2025-06-30T00:30:00".parse().unwrap()));
}

#[test]
fn a_date_of_a_program_is_no_date_of_the_row() {
    let facts = table(
        "bde_buchung",
        40,
        &["id int", "anr text", "mnr text", "budat date", "angelegt date", "von time", "bis time"],
    );
    let expected = ["budat + von (Date Time)", "budat + bis (Date Time)"];
    assert_eq!(times_of("postgres", facts), (Order, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_time_of_day_says_what_its_date_does_not() {
    let auftrag = table("auftrag", 5, &["id int", "anr varchar(12)", "mnr varchar(8)", "tag date", "beginn time"]);
    let found = survey("postgres", vec![auftrag]);
    let best = &judge(&found)[0];
    assert_eq!(best.roles[&Role::Start].column, "tag");
    assert_eq!(best.times[0].time_of_day, Some(("beginn".to_owned(), TimeForm::Time)));
}
