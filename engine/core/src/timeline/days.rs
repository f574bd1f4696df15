//! Local days as stretches of time: 23 hours where the clock is put forward, 25 where it is put back.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Its date.
    pub date: Date,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant of the next day.
    pub end: Timestamp,
}

impl Day {
    /// How long it is.
    pub fn length(&self) -> SignedDuration {
        self.end.duration_since(self.start)
    }

    /// Whether the clock is changed on it.
    pub fn is_changed(&self) -> bool {
        self.length() != SignedDuration::from_hours(24)
    }
}

/// The first instant of a date. At the ends of all time, the end.
fn first_instant(date: Date, zone: &TimeZone) -> Timestamp {
    date.to_zoned(zone.clone())
        .map_or_else(|_| if date.year() < 0 { Timestamp::MIN } else { Timestamp::MAX }, |start| start.timestamp())
}

/// The first instant of the local day so many days before that of an instant.
pub fn day_start(instant: Timestamp, zone: &TimeZone, days_before: u16) -> Timestamp {
    let date = zone.to_datetime(instant).date();
    let back = jiff::Span::new().days(i64::from(days_before));
    first_instant(date.saturating_sub(back), zone)
}

/// The local days that `[from, to)` touches.
pub fn days(from: Timestamp, to: Timestamp, zone: &TimeZone) -> Vec<Day> {
    let mut found = Vec::new();
    let mut date = zone.to_datetime(from).date();
    loop {
        let start = first_instant(date, zone);
        let Ok(next) = date.tomorrow() else { return found };
        if start >= to {
            return found;
        }
        let end = first_instant(next, zone);
        // A zone may skip a whole day.
        if start < end {
            found.push(Day { date, start, end });
        }
        date = next;
    }
}

/// The instants within `[from, to)` at which the local clock shows an hour that is a multiple of some hours. An hour that
/// the clock skips has none of its own.
pub fn ticks(from: Timestamp, to: Timestamp, zone: &TimeZone, hours: u8) -> Vec<Timestamp> {
    let hours = (0..24).step_by(usize::from(hours.clamp(1, 24)));
    let mut found = Vec::new();
    for day in days(from, to, zone) {
        let at = |hour| Some(day.date.at(hour, 0, 0, 0).to_zoned(zone.clone()).ok()?.timestamp());
        found.extend(hours.clone().filter_map(at).filter(|at| (from..to).contains(at)));
    }
    found.dedup();
    found
}
