//! Time zones: from a reading of the local clock to an instant.

use std::fmt;
use std::sync::Arc;

use engine_spec::model::{OnFold, OnGap};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::civil::{civil_from_days, days_from_civil};
use super::instant::Rfc3339;
use super::{Civil, DAY_SECS, Instant, TimeError, TimeErrorCode};

/// First local second of the table: 1970-01-01.
const TABLE_START_SECS: i64 = 0;
/// First local second beyond the table: 2100-01-01.
const TABLE_END_SECS: i64 = days_from_civil(2100, 1, 1) * DAY_SECS;
/// Length of a bucket as a power of two: 2^23 s, about 97 days, so that one holds a change or two.
const BUCKET_SECS_LOG2: u32 = 23;
/// Spans a table holds at most, ten changes a year; a zone with more is asked of jiff each time.
const SPANS_MAX: usize = 130 * 10 * 2;

/// A time zone that resolves readings of its clock in a few nanoseconds. Cheap to clone, and shared between threads.
///
/// The changes of the years 1970 to 2099 are laid out once as spans of the local clock; other years ask jiff.
#[derive(Clone)]
pub struct Zone {
    time_zone: TimeZone,
    table: Arc<Table>,
}

/// What a clock change did to a local time, so that the run can count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shift {
    /// The local time was skipped, and was moved forward by the length of the gap.
    Gap,
    /// The local time came twice, and one of the two was taken.
    Fold,
}

/// A reading of the local clock as an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The instant.
    pub instant: Instant,
    /// Whether a policy had to decide.
    pub shifted: Option<Shift>,
}

/// The offsets from UTC, in seconds, that a reading of the local clock may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offsets {
    Unique { offset: i32 },
    Gap { before: i32, after: i32 },
    Fold { before: i32, after: i32 },
}

/// A stretch of the local clock with the same offsets; it ends where the next one starts.
#[derive(Debug, Clone, Copy)]
struct Span {
    start_secs: i64,
    offsets: Offsets,
}

/// The spans from [`TABLE_START_SECS`] to [`TABLE_END_SECS`], and for each bucket the span in force at its start.
#[derive(Debug, Default)]
struct Table {
    spans: Vec<Span>,
    buckets: Vec<u16>,
}

impl Zone {
    /// Lays out the zone's changes, some 260 for a zone with summer time: build it once per pipeline, then clone it.
    pub fn new(time_zone: TimeZone) -> Self {
        let table = Table::build(&time_zone).unwrap_or_default();
        Self { time_zone, table: Arc::new(table) }
    }

    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self::new(TimeZone::UTC)
    }

    /// The zone in jiff's terms.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// Name for messages: `Europe/Berlin`.
    pub fn name(&self) -> &str {
        self.time_zone.iana_name().unwrap_or("the stated zone")
    }

    /// The instant at which the zone's clock shows this reading.
    ///
    /// A skipped reading is moved forward by the length of the gap, a repeated one is the earlier or the later of
    /// the two, and both are reported; or either is an error, as the policies say. An instant outside the years 0001
    /// to 9999 is an error.
    pub fn resolve(&self, civil: Civil, on_gap: OnGap, on_fold: OnFold) -> Result<Resolved, TimeError> {
        if !civil.is_in_range() {
            return Err(out_of_range(civil, self));
        }
        let (offset, shifted) = match self.offsets(civil.secs) {
            Offsets::Unique { offset } => (offset, None),
            Offsets::Gap { before, .. } if on_gap == OnGap::Forward => (before, Some(Shift::Gap)),
            Offsets::Gap { .. } => {
                return Err(TimeError::new(
                    TimeErrorCode::Gap,
                    format!(
                        "`{}` does not exist in {}: the clock was put forward over it, and `on_gap` is `reject`",
                        Rfc3339::of_civil(civil).as_str(),
                        self.name()
                    ),
                ));
            }
            Offsets::Fold { before, after } => match on_fold {
                OnFold::Earlier => (before, Some(Shift::Fold)),
                OnFold::Later => (after, Some(Shift::Fold)),
                OnFold::Reject => {
                    return Err(TimeError::new(
                        TimeErrorCode::Fold,
                        format!(
                            "`{}` comes twice in {}: the clock was put back over it, and `on_fold` is `reject`",
                            Rfc3339::of_civil(civil).as_str(),
                            self.name()
                        ),
                    ));
                }
            },
        };
        let instant =
            Instant::new(civil.secs - i64::from(offset), civil.nanos).ok_or_else(|| out_of_range(civil, self))?;
        Ok(Resolved { instant, shifted })
    }

    /// What the zone's clock shows at an instant.
    pub fn civil(&self, instant: Instant) -> Civil {
        // jiff ends a day before the year 9999 does; no zone changes its clock on that day.
        let timestamp = instant.to_timestamp().unwrap_or(Timestamp::MAX);
        let offset = self.time_zone.to_offset(timestamp).seconds();
        Civil { secs: instant.secs() + i64::from(offset), nanos: instant.nanos() }
    }

    fn offsets(&self, local_secs: i64) -> Offsets {
        self.table.offsets(local_secs).unwrap_or_else(|| ask_jiff(&self.time_zone, local_secs))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

impl Table {
    /// `None` where the spans would not be in order: two changes so close that their hours overlap.
    fn build(time_zone: &TimeZone) -> Option<Self> {
        // A margin of two days on each side covers every offset.
        let from = Timestamp::from_second(TABLE_START_SECS - 2 * DAY_SECS).ok()?;
        let until = Timestamp::from_second(TABLE_END_SECS + 2 * DAY_SECS).ok()?;
        let mut before = time_zone.to_offset(from).seconds();
        let mut spans = vec![Span { start_secs: i64::MIN, offsets: Offsets::Unique { offset: before } }];
        for change in time_zone.following(from).take_while(|change| change.timestamp() < until) {
            let after = change.offset().seconds();
            if after == before {
                continue;
            }
            let at = change.timestamp().as_second();
            let (opens, closes) = (at + i64::from(before.min(after)), at + i64::from(before.max(after)));
            let offsets = if after > before { Offsets::Gap { before, after } } else { Offsets::Fold { before, after } };
            spans.push(Span { start_secs: opens, offsets });
            spans.push(Span { start_secs: closes, offsets: Offsets::Unique { offset: after } });
            before = after;
            if spans.len() > SPANS_MAX {
                return None;
            }
        }
        if !spans.is_sorted_by(|left, right| left.start_secs < right.start_secs) {
            return None;
        }
        let bucket_count = ((TABLE_END_SECS - TABLE_START_SECS) >> BUCKET_SECS_LOG2) + 1;
        let buckets = (0..bucket_count)
            .map(|bucket| {
                let start = TABLE_START_SECS + (bucket << BUCKET_SECS_LOG2);
                (spans.partition_point(|span| span.start_secs <= start) - 1) as u16
            })
            .collect();
        Some(Self { spans, buckets })
    }

    fn offsets(&self, local_secs: i64) -> Option<Offsets> {
        if !(TABLE_START_SECS..TABLE_END_SECS).contains(&local_secs) {
            return None;
        }
        let bucket = ((local_secs - TABLE_START_SECS) >> BUCKET_SECS_LOG2) as usize;
        let first = usize::from(*self.buckets.get(bucket)?);
        let mut span = self.spans[first];
        for next in &self.spans[first + 1..] {
            if next.start_secs > local_secs {
                break;
            }
            span = *next;
        }
        Some(span.offsets)
    }
}

/// The offsets of a reading within the years 0001 to 9999.
fn ask_jiff(time_zone: &TimeZone, local_secs: i64) -> Offsets {
    let (year, month, day) = civil_from_days(local_secs.div_euclid(DAY_SECS));
    let secs = local_secs.rem_euclid(DAY_SECS);
    let reading = DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        (secs / 3600) as i8,
        (secs / 60 % 60) as i8,
        (secs % 60) as i8,
        0,
    )
    .expect("the range was checked, and jiff knows every date of these years");
    match time_zone.to_ambiguous_timestamp(reading).offset() {
        AmbiguousOffset::Unambiguous { offset } => Offsets::Unique { offset: offset.seconds() },
        AmbiguousOffset::Gap { before, after } => Offsets::Gap { before: before.seconds(), after: after.seconds() },
        AmbiguousOffset::Fold { before, after } => Offsets::Fold { before: before.seconds(), after: after.seconds() },
    }
}

fn out_of_range(civil: Civil, zone: &Zone) -> TimeError {
    let place = if civil.is_in_range() {
        format!("`{}` in {}", Rfc3339::of_civil(civil).as_str(), zone.name())
    } else {
        format!("day {} counted from 1970-01-01", civil.days())
    };
    TimeError::new(
        TimeErrorCode::OutOfRange,
        format!("{place} is outside the years 0001 to 9999 in UTC; if it stands for \"no time\", name it in `null_if`"),
    )
}

#[cfg(test)]
mod tests {
    use jiff::tz::Disambiguation;
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::new(TimeZone::get(name).expect("a bundled zone"))
    }

    fn civil(text: &str) -> Civil {
        let reading: DateTime = text.parse().expect("a date-time");
        civil_of(reading)
    }

    fn civil_of(reading: DateTime) -> Civil {
        let days = days_from_civil(reading.year().into(), reading.month() as u32, reading.day() as u32);
        let secs = i64::from(reading.hour()) * 3600 + i64::from(reading.minute()) * 60 + i64::from(reading.second());
        Civil { secs: days * DAY_SECS + secs, nanos: reading.subsec_nanosecond() as u32 }
    }

    fn show(resolved: Result<Resolved, TimeError>) -> String {
        match resolved {
            Ok(Resolved { instant, shifted: None }) => instant.to_string(),
            Ok(Resolved { instant, shifted: Some(shift) }) => format!("{instant} {shift:?}"),
            Err(error) => error.code.to_string(),
        }
    }

    #[track_caller]
    fn check(name: &str, reading: &str, on_gap: OnGap, on_fold: OnFold, expected: &str) {
        assert_eq!(show(zone(name).resolve(civil(reading), on_gap, on_fold)), expected, "{name} {reading}");
    }

    #[test]
    fn a_clock_change_follows_the_policy() {
        use OnFold::{Earlier, Later};
        use OnGap::Forward;
        let berlin = "Europe/Berlin";
        check(berlin, "2025-03-30T01:59:59", Forward, Earlier, "2025-03-30T00:59:59Z");
        check(berlin, "2025-03-30T02:00:00", Forward, Earlier, "2025-03-30T01:00:00Z Gap");
        check(berlin, "2025-03-30T02:30:00.25", Forward, Earlier, "2025-03-30T01:30:00.25Z Gap");
        check(berlin, "2025-03-30T03:00:00", Forward, Earlier, "2025-03-30T01:00:00Z");
        check(berlin, "2025-03-30T02:30:00", OnGap::Reject, Earlier, "time_gap");
        check(berlin, "2025-10-26T01:59:59", Forward, Earlier, "2025-10-25T23:59:59Z");
        check(berlin, "2025-10-26T02:30:00", Forward, Earlier, "2025-10-26T00:30:00Z Fold");
        check(berlin, "2025-10-26T02:30:00", Forward, Later, "2025-10-26T01:30:00Z Fold");
        check(berlin, "2025-10-26T02:30:00", Forward, OnFold::Reject, "time_fold");
        check(berlin, "2025-10-26T03:00:00", Forward, Earlier, "2025-10-26T02:00:00Z");
        check("Australia/Lord_Howe", "2025-10-05T02:10:00", Forward, Earlier, "2025-10-04T15:40:00Z Gap");
        check("Australia/Lord_Howe", "2025-04-06T01:45:00", Forward, Later, "2025-04-05T15:15:00Z Fold");
        check("Pacific/Apia", "2011-12-30T12:00:00", Forward, Earlier, "2011-12-30T22:00:00Z Gap");
        check("UTC", "2025-03-30T02:30:00", OnGap::Reject, OnFold::Reject, "2025-03-30T02:30:00Z");
    }

    #[test]
    fn years_outside_the_table_are_resolved_too() {
        // Double summer time began at two o'clock of summer time.
        check("Europe/Berlin", "1945-05-24T02:30:00", OnGap::Forward, OnFold::Earlier, "1945-05-24T00:30:00Z Gap");
        check("Europe/Berlin", "2150-07-01T12:00:00", OnGap::Forward, OnFold::Earlier, "2150-07-01T10:00:00Z");
        check("Europe/Berlin", "9999-12-31T23:59:59", OnGap::Forward, OnFold::Earlier, "9999-12-31T22:59:59Z");
    }

    #[test]
    fn an_instant_outside_the_years_0001_to_9999_is_refused() {
        check("Europe/Berlin", "0001-01-01T00:00:00", OnGap::Forward, OnFold::Earlier, "time_out_of_range");
        check("America/New_York", "9999-12-31T23:59:59", OnGap::Forward, OnFold::Earlier, "time_out_of_range");
        let error = zone("UTC").resolve(Civil { secs: i64::MAX, nanos: 0 }, OnGap::Forward, OnFold::Earlier);
        assert_eq!(show(error), "time_out_of_range");
    }

    fn jiff_says(time_zone: &TimeZone, reading: DateTime, on_fold: OnFold) -> String {
        let how = if on_fold == OnFold::Later { Disambiguation::Later } else { Disambiguation::Compatible };
        let ambiguous = time_zone.to_ambiguous_timestamp(reading);
        let shift = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => "",
            AmbiguousOffset::Gap { .. } => " Gap",
            AmbiguousOffset::Fold { .. } => " Fold",
        };
        format!("{}{shift}", ambiguous.disambiguate(how).expect("in range"))
    }

    #[test]
    fn every_minute_around_twenty_years_of_changes_is_what_jiff_says() {
        for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
            let zone = zone(name);
            let from: Timestamp = "2015-01-01T00:00:00Z".parse().expect("an instant");
            let until: Timestamp = "2035-01-01T00:00:00Z".parse().expect("an instant");
            let changes: Vec<_> = zone
                .time_zone()
                .following(from)
                .take_while(|change| change.timestamp() < until)
                .map(|change| change.timestamp())
                .collect();
            assert_eq!(changes.len(), 40, "{name}");
            for change in changes {
                let centre = zone.time_zone().to_datetime(change);
                for minute in -130..=130 {
                    let reading = centre + jiff::Span::new().minutes(minute);
                    for on_fold in [OnFold::Earlier, OnFold::Later] {
                        let ours = show(zone.resolve(civil_of(reading), OnGap::Forward, on_fold));
                        assert_eq!(ours, jiff_says(zone.time_zone(), reading, on_fold), "{name} {reading}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_second_of_the_table_is_what_jiff_says(
            name in prop_oneof![
                Just("Europe/Berlin"), Just("Africa/Casablanca"), Just("Asia/Kathmandu"), Just("Pacific/Apia"),
                Just("America/Sao_Paulo"), Just("Europe/Dublin"), Just("Antarctica/Troll"),
            ],
            secs in TABLE_START_SECS - 10 * DAY_SECS..TABLE_END_SECS + 10 * DAY_SECS,
        ) {
            let zone = zone(name);
            prop_assert!(!zone.table.spans.is_empty());
            prop_assert_eq!(zone.offsets(secs), ask_jiff(zone.time_zone(), secs));
        }

        #[test]
        fn the_clock_at_a_resolved_instant_shows_the_reading(
            secs in TABLE_START_SECS..TABLE_END_SECS,
            nanos in 0u32..1_000_000_000,
        ) {
            let (zone, reading) = (zone("Europe/Berlin"), Civil { secs, nanos });
            let resolved = zone.resolve(reading, OnGap::Forward, OnFold::Later).expect("in range");
            let shown = zone.civil(resolved.instant);
            if resolved.shifted == Some(Shift::Gap) {
                prop_assert_eq!(shown, Civil { secs: secs + 3600, nanos });
            } else {
                prop_assert_eq!(shown, reading);
            }
        }
    }
}
