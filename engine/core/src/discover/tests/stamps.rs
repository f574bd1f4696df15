//! Clocks, told by the stamps of a program.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::*;

/// Bookings, each written seconds after it happened. `zeit` and `stamp` write an instant as a clock does: hours ahead of
/// UTC in winter and in summer.
struct Case {
    zone: Option<&'static str>,
    /// Winter, summer: hours by which the clock of `zeit` is ahead of UTC.
    time: (i64, i64),
    stamp: (i64, i64),
    /// Type of the stamp.
    stamp_type: &'static str,
    /// Seconds after which a row is written, by its number.
    lag: fn(i64) -> i64,
    expected: (Basis, Basis),
    why: &'static str,
}

fn rows(case: &Case) -> Vec<Vec<Value>> {
    let row = |at: i64| {
        let season = if at % 2 == 0 { "2025-01-15T10:00:00Z" } else { "2025-06-15T10:00:00Z" };
        let happened = season.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(37 * at);
        let written = happened + SignedDuration::from_secs((case.lag)(at));
        let clock = |instant: Timestamp, ahead: (i64, i64)| {
            let hours = if at % 2 == 0 { ahead.0 } else { ahead.1 };
            let reading: DateTime = jiff::tz::TimeZone::UTC.to_datetime(instant + SignedDuration::from_hours(hours));
            json!(reading.to_string())
        };
        let stamp = if case.stamp_type.contains("with time zone") {
            json!(written.to_string())
        } else {
            clock(written, case.stamp)
        };
        vec![json!(at), json!(format!("47{at}")), json!("M1"), json!("A"), clock(happened, case.time), stamp]
    };
    (0..20).map(row).collect()
}

#[test]
fn a_stamp_tells_which_clock_a_time_shows() {
    const BERLIN: (i64, i64) = (1, 2);
    const CHICAGO: (i64, i64) = (-6, -5);
    const UTC: (i64, i64) = (0, 0);
    const NAIVE: &str = "timestamp without time zone";
    const INSTANT: &str = "timestamp with time zone";
    let zoned = |zone, time, stamp, stamp_type, expected, why| Case {
        zone: Some(zone),
        time,
        stamp,
        stamp_type,
        lag: |at| at * 11,
        expected,
        why,
    };
    let cases = [
        zoned(
            "Europe/Berlin",
            BERLIN,
            UTC,
            NAIVE,
            (Basis::Local, Basis::Utc),
            "in 20 of 20 rows `created_at` is the same moment by UTC, which differs by 1 h or 2 h",
        ),
        zoned(
            "Europe/Berlin",
            UTC,
            BERLIN,
            NAIVE,
            (Basis::Utc, Basis::Local),
            "in 20 of 20 rows `created_at` is the same moment by the clock of the factory, which differs by 1 h or 2 h",
        ),
        zoned(
            "America/Chicago",
            CHICAGO,
            UTC,
            NAIVE,
            (Basis::Local, Basis::Utc),
            "by UTC, which differs by 5 h or 6 h",
        ),
        zoned(
            "Europe/Berlin",
            BERLIN,
            UTC,
            INSTANT,
            (Basis::Local, Basis::Zoned),
            "the instant `created_at` by the clock",
        ),
        zoned("Europe/Berlin", UTC, UTC, INSTANT, (Basis::Utc, Basis::Zoned), "the instant `created_at` by UTC"),
        zoned("Europe/Berlin", BERLIN, BERLIN, NAIVE, (Basis::Unknown, Basis::Unknown), "by the same clock"),
        // Two hours the whole year is no zone of Berlin.
        zoned("Europe/Berlin", (2, 2), UTC, NAIVE, (Basis::Unknown, Basis::Unknown), "too old to tell"),
        // Nobody said where the factory is.
        Case {
            zone: None,
            ..zoned(
                "",
                BERLIN,
                UTC,
                NAIVE,
                (Basis::Unknown, Basis::Unknown),
                "differs by 1 h or 2 h: one of the two may be UTC",
            )
        },
        // Rows that are written hours later, each after its own time, tell nothing.
        Case {
            lag: |at| at * 1_733,
            ..zoned("Europe/Berlin", BERLIN, UTC, NAIVE, (Basis::Unknown, Basis::Unknown), "too old to tell")
        },
    ];
    for case in cases {
        let stamp = format!("created_at {}", case.stamp_type);
        let columns = ["id int", "anr text", "mnr text", "kenn text", "zeit timestamp", &stamp];
        let mut survey = survey("postgres", vec![with_rows(table("bde_buchung", 20, &columns), rows(&case))]);
        survey.timezone = case.zone.map(str::to_owned);
        let best = &judge(&survey)[0];
        let time = |name: &str| best.times.iter().find(|time| time.column == name).unwrap();
        let (zeit, created) = (time("zeit"), time("created_at"));
        assert_eq!((zeit.basis, created.basis), case.expected, "{}: {}", zeit.why, created.why);
        assert!(zeit.why.contains(case.why), "{} is not in {}", case.why, zeit.why);
    }
}

#[test]
fn few_rows_tell_nothing_of_clocks() {
    let case = Case {
        zone: Some("Europe/Berlin"),
        time: (1, 2),
        stamp: (0, 0),
        stamp_type: "timestamp",
        lag: |_| 5,
        expected: (Basis::Unknown, Basis::Unknown),
        why: "",
    };
    let columns = ["id int", "anr text", "mnr text", "kenn text", "zeit timestamp", "created_at timestamp"];
    for (count, expected) in [(5, Basis::Unknown), (6, Basis::Local)] {
        let rows = rows(&case).into_iter().take(count).collect();
        let survey = survey("postgres", vec![with_rows(table("bde_buchung", 20, &columns), rows)]);
        assert_eq!(judge(&survey)[0].times[0].basis, expected, "{count} rows");
    }
}

#[test]
fn a_stamp_of_the_same_clock_takes_nothing_from_a_date_of_the_calendar() {
    let columns = ["id int", "anr text", "mnr text", "budat date", "zeit time", "created_at timestamp"];
    let row = |at: u32| {
        let (day, time) = ("2025-06-15", format!("10:{:02}:00", at * 2));
        let stamp = format!("{day}T10:{:02}:07", at * 2);
        vec![json!(at), json!(format!("47{at}")), json!("M1"), json!(day), json!(time), json!(stamp)]
    };
    let rows: Vec<Vec<Value>> = (0..20).map(row).collect();
    let survey = survey("postgres", vec![with_rows(table("bde_buchung", 20, &columns), rows)]);
    let time = &judge(&survey)[0].times[0];
    assert_eq!((time.label().as_str(), time.basis), ("budat + zeit", Basis::Local));
    assert!(time.why.ends_with("`created_at` is the same moment by the same clock"), "{}", time.why);
}
