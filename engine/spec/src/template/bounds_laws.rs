//! The law of bounds: a naive time that stands for an instant of the window lies between its bounds.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::bounds::{self, Role};
use super::{local_end, local_start};

/// 2010-01-01 to 2030-01-01, in seconds.
const YEARS: std::ops::Range<i64> = 1_262_304_000..1_893_456_000;
const ZONES: [&str; 3] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the zone is bundled")
}

/// The instants that a naive time may stand for: both of a repeated one, one ahead of a missing one.
fn readings(naive: DateTime, zone: &TimeZone) -> Vec<Timestamp> {
    let offsets = match zone.to_ambiguous_timestamp(naive).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![offset],
        AmbiguousOffset::Fold { before, after } => vec![before, after],
        AmbiguousOffset::Gap { before, .. } => vec![before],
    };
    offsets.into_iter().map(|offset| offset.to_timestamp(naive).expect("in range")).collect()
}

/// Checks the law for naive times around both bounds. The offsets are seconds.
fn holds(zone: &TimeZone, start: Timestamp, length: i64, naive_offset: i64) {
    let end = start.checked_add(SignedDuration::from_secs(length)).expect("in range");
    let (low, high) = (local_start(start, zone), local_end(end, zone));
    for edge in [start, end] {
        let naive = zone.to_datetime(edge).checked_add(SignedDuration::from_secs(naive_offset)).expect("in range");
        for reading in readings(naive, zone) {
            if start <= reading && reading < end {
                assert!(low <= naive && naive < high, "{naive} is {reading} in {start}..{end}, bounds {low}..{high}");
                let day = naive.date();
                assert!(bounds::date(low, Role::Start).expect("in range") <= day);
                assert!(day < bounds::date(high, Role::End).expect("in range"));
                for pattern in ["%Y%m%d%H%M%S", "%Y-%m-%d %H:%M", "%Y%m%d%H", "%Y%m%d", "%Y%m", "%Y"] {
                    let shown = bounds::format(naive, Role::Exact, pattern).expect("a known pattern");
                    assert!(bounds::format(low, Role::Start, pattern).expect("a known pattern") <= shown);
                    assert!(shown < bounds::format(high, Role::End, pattern).expect("a known pattern"), "{pattern}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn anywhere(zone_at in 0..3usize, start in YEARS, length in 0..200_000i64, offset in -8_000..8_000i64) {
        holds(&zone(ZONES[zone_at]), Timestamp::from_second(start).expect("in range"), length, offset);
    }

    #[test]
    fn near_a_change_of_the_clock(
        zone_at in 0..3usize,
        from in YEARS,
        before in -9_000..9_000i64,
        length in 0..12_000i64,
        offset in -9_000..9_000i64,
    ) {
        let zone = zone(ZONES[zone_at]);
        let from = Timestamp::from_second(from).expect("in range");
        let change = zone.following(from).next().expect("these zones change").timestamp();
        let start = change.checked_add(SignedDuration::from_secs(before)).expect("in range");
        holds(&zone, start, length, offset);
    }
}

#[test]
fn at_every_change_of_twenty_years() {
    for name in ZONES {
        let zone = zone(name);
        let from = Timestamp::from_second(YEARS.start).expect("in range");
        let to = Timestamp::from_second(YEARS.end).expect("in range");
        let changes: Vec<Timestamp> =
            zone.following(from).map(|change| change.timestamp()).take_while(|change| *change < to).collect();
        assert!(changes.len() >= 39, "{name} has {}", changes.len());
        for change in changes {
            for before in [-5400, -3600, -1800, -1, 0, 1, 600, 1800, 3599, 3600, 5400] {
                let start = change.checked_add(SignedDuration::from_secs(before)).expect("in range");
                for length in [1, 1800, 3600, 7200] {
                    for offset in [-7200, -3600, -1800, -600, -1, 0, 1, 600, 1800, 3600] {
                        holds(&zone, start, length, offset);
                    }
                }
            }
        }
    }
}
