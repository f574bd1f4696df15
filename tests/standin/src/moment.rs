//! Dates and times: read from text, rounded to the grid of a type, written in the one form of the seam.

use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::types::{Class, Type};

const NANOSECONDS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * NANOSECONDS;

/// Order of day, month and year in `03/04/2025`, as `SET DATEFORMAT` says it.
pub(crate) const DATE_ORDER: &str = "mdy";

/// A reading of a clock, with an offset where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub at: DateTime,
    /// Seconds east of Greenwich.
    pub offset: Option<i32>,
    /// Whether the text had a date.
    pub dated: bool,
}

impl Moment {
    pub(crate) fn new(at: DateTime) -> Moment {
        Moment { at, offset: None, dated: true }
    }

    pub(crate) fn of_timestamp(instant: Timestamp, offset: Offset) -> Moment {
        Moment { at: offset.to_datetime(instant), offset: Some(offset.seconds()), dated: true }
    }

    /// The instant, with an offset for those who have none.
    pub(crate) fn instant(&self, standard: Offset) -> Option<Timestamp> {
        let offset = match self.offset {
            Some(seconds) => Offset::from_seconds(seconds).ok()?,
            None => standard,
        };
        offset.to_timestamp(self.at).ok()
    }

    /// In UTC, in the form that sorts as text.
    pub(crate) fn utc(&self) -> Option<String> {
        Some(civil(Offset::UTC.to_datetime(self.instant(Offset::UTC)?)))
    }
}

/// A zone as sessions name it: `+02:00`, `UTC`, `Europe/Berlin`.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    match offset(name) {
        Some(seconds) => Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?)),
        None => TimeZone::get(name).ok(),
    }
}

/// The offset of a zone at a reading of its clock; the earlier of two.
pub(crate) fn offset_at(zone: &TimeZone, at: DateTime) -> Offset {
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    }
}

/// `+02:00`, `-0530`, `Z`.
pub(crate) fn offset(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':').or_else(|| digits.split_at_checked(digits.len().min(2)))?;
    let minutes = if minutes.is_empty() { 0 } else { minutes.parse::<i32>().ok()? };
    Some(sign * (hours.parse::<i32>().ok()? * 3600 + minutes * 60))
}

/// Reads what servers accept as text. `order` is that of `SET DATEFORMAT`.
pub(crate) fn read(text: &str, order: &str) -> Option<Moment> {
    let text = text.trim();
    let mut parts = text.split_ascii_whitespace().collect::<Vec<_>>();
    let mut joined = Vec::new();
    if let Some((day, time)) =
        parts.first().and_then(|first| first.split_once(['T', 't'])).filter(|(day, _)| day.len() > 3)
    {
        joined.extend([day, time]);
        joined.extend(parts.drain(1..));
        parts = joined;
    }
    let mut moment = Moment { at: date(1900, 1, 1).at(0, 0, 0, 0), offset: None, dated: false };
    for part in &parts {
        if moment.at.time() != Time::midnight() || part.contains(':') || part.ends_with(['Z', 'z']) {
            read_time(part, &mut moment)?;
        } else if moment.dated {
            named_zone(part, &mut moment)?;
        } else {
            moment.at = read_date(part, order)?.to_datetime(moment.at.time());
            moment.dated = true;
        }
    }
    if parts.is_empty() { None } else { Some(moment) }
}

/// `01:30`, `01:30:00.1234567`, with an offset behind it; or an offset or a part of the day alone.
fn read_time(part: &str, moment: &mut Moment) -> Option<()> {
    if part.eq_ignore_ascii_case("am") || part.eq_ignore_ascii_case("pm") {
        let hour = moment.at.hour() % 12 + if part.eq_ignore_ascii_case("pm") { 12 } else { 0 };
        moment.at = moment.at.with().hour(hour).build().ok()?;
        return Some(());
    }
    if let Some(seconds) = offset(part) {
        moment.offset = Some(seconds);
        return Some(());
    }
    if part.starts_with(char::is_alphabetic) {
        return named_zone(part, moment);
    }
    let end = part.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(part.len());
    let (clock, rest) = part.split_at(end);
    let mut fields = clock.splitn(3, ':');
    let hour = fields.next()?.parse::<i8>().ok()?;
    let minute = fields.next()?.parse::<i8>().ok()?;
    let (second, fraction) = match fields.next() {
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once(['.', ':']).unwrap_or((seconds, ""));
            (whole.parse::<i8>().ok()?, fraction)
        }
        None => (0, ""),
    };
    if fraction.len() > 9 {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse::<i32>().ok()?;
    moment.at = moment.at.date().to_datetime(Time::new(hour, minute, second, nanoseconds).ok()?);
    if rest.is_empty() { Some(()) } else { read_time(rest, moment) }
}

fn named_zone(name: &str, moment: &mut Moment) -> Option<()> {
    if let Some(seconds) = offset(name) {
        moment.offset = Some(seconds);
        return Some(());
    }
    let zone = TimeZone::get(name).ok()?;
    moment.offset = Some(offset_at(&zone, moment.at).seconds());
    Some(())
}

fn read_date(part: &str, order: &str) -> Option<Date> {
    let digits = part.bytes().all(|b| b.is_ascii_digit());
    if digits && part.len() == 8 {
        return Date::new(part[..4].parse().ok()?, part[4..6].parse().ok()?, part[6..].parse().ok()?).ok();
    }
    let fields = part.split(['-', '/', '.']).collect::<Vec<_>>();
    let [a, b, c] = fields.as_slice() else { return None };
    if !fields.iter().all(|field| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let (year, month, day) = match (a.len(), order) {
        (4, "ydm") => (a, c, b),
        (4, _) => (a, b, c),
        (_, "dmy") => (c, b, a),
        _ => (c, a, b),
    };
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// `2025-03-30 01:30:00.1234567`, the fraction as long as need be.
pub(crate) fn civil(at: DateTime) -> String {
    format!("{} {}", at.date(), clock(at.time()))
}

/// `01:30:00.1234567`
pub(crate) fn clock(time: Time) -> String {
    let whole = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    let fraction = format!("{:09}", time.subsec_nanosecond());
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
}

/// `+02:00`
pub(crate) fn written_offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The moment on the grid of a type, in the form of the seam. `None` where the type cannot hold it.
pub(crate) fn on_grid(moment: &Moment, to: &Type, session: &TimeZone) -> Option<String> {
    let at = rounded(moment.at, to)?;
    match to.class() {
        Class::Date => Some(at.date().to_string()),
        Class::Time => Some(clock(at.time())),
        Class::DateTime => Some(civil(at)),
        Class::Offset => {
            let offset = match (moment.offset, to.name.as_str()) {
                (Some(seconds), _) => seconds,
                (None, "datetimeoffset") => 0,
                (None, _) => offset_at(session, at).seconds(),
            };
            Some(format!("{} {}", civil(at), written_offset(offset)))
        }
        // Kept in UTC; shown in the zone of the session that reads it.
        Class::Local => {
            let offset = match moment.offset {
                Some(seconds) => Offset::from_seconds(seconds).ok()?,
                None => offset_at(session, at),
            };
            Some(civil(Offset::UTC.to_datetime(offset.to_timestamp(at).ok()?)))
        }
        _ => None,
    }
}

fn rounded(at: DateTime, to: &Type) -> Option<DateTime> {
    let step = match to.name.as_str() {
        "date" => return Some(at),
        "datetime" => return on_thirds(at),
        "smalldatetime" => 60 * NANOSECONDS,
        "DATE" => return at.with().subsec_nanosecond(0).build().ok(),
        _ => 10_i64.pow(9 - to.fraction_digits().min(9) as u32),
    };
    let within = nanoseconds(at.time());
    let mut to_grid = (within + step / 2) / step * step;
    if to.class() == Class::Time && to_grid >= DAY_NS {
        to_grid = 0;
    }
    at_nanoseconds(at.date(), to_grid)
}

/// The grid of `datetime`: 300 steps a second, shown as .000, .003 and .007.
fn on_thirds(at: DateTime) -> Option<DateTime> {
    let within = nanoseconds(at.time());
    let ticks = (within * 3 + 5_000_000) / 10_000_000;
    let (seconds, ticks) = (ticks / 300, ticks % 300);
    let milliseconds = (ticks * 10 + 1) / 3;
    at_nanoseconds(at.date(), seconds * NANOSECONDS + milliseconds * 1_000_000)
}

fn nanoseconds(time: Time) -> i64 {
    (i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())) * NANOSECONDS
        + i64::from(time.subsec_nanosecond())
}

fn at_nanoseconds(day: Date, nanoseconds: i64) -> Option<DateTime> {
    let day = day.checked_add((nanoseconds / DAY_NS).days()).ok()?;
    day.to_datetime(Time::midnight()).checked_add(SignedDuration::from_nanos(nanoseconds % DAY_NS)).ok()
}

/// What a `datetime` is when it becomes a finer type: thirds of a hundredth are written out.
pub(crate) fn from_thirds(mut moment: Moment) -> Moment {
    let nanosecond = moment.at.subsec_nanosecond();
    let more = match nanosecond / 1_000_000 % 10 {
        3 => 333_300,
        7 => -333_300,
        _ => 0,
    };
    let exact = nanosecond + more;
    if let Ok(at) = moment.at.with().subsec_nanosecond(exact).build() {
        moment.at = at;
    }
    moment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Product;

    #[test]
    fn times_lie_on_the_grid_of_their_type() {
        let cases = [
            ("datetime", "2025-03-30 01:30:00.002", "2025-03-30 01:30:00.003"),
            ("datetime", "2025-03-30 01:30:00.005", "2025-03-30 01:30:00.007"),
            ("datetime", "2025-03-30T23:59:59.999", "2025-03-31 00:00:00"),
            ("datetime", "20250330", "2025-03-30 00:00:00"),
            ("smalldatetime", "2025-03-30 01:30:30", "2025-03-30 01:31:00"),
            ("datetime2(3)", "2025-03-30 01:30:00.1235", "2025-03-30 01:30:00.124"),
            ("datetime2", "2025-03-30 01:30:00.1234567", "2025-03-30 01:30:00.1234567"),
            ("time(0)", "23:59:59.6", "00:00:00"),
            ("date", "2025-03-30 23:59", "2025-03-30"),
            ("datetimeoffset", "2025-03-30 01:30:00 +02:00", "2025-03-30 01:30:00 +02:00"),
            ("datetimeoffset", "2025-03-30T01:30:00Z", "2025-03-30 01:30:00 +00:00"),
        ];
        for (to, text, expected) in cases {
            let to = Type::parse(Product::SqlServer, to).unwrap();
            let moment = read(text, DATE_ORDER).unwrap();
            assert_eq!(on_grid(&moment, &to, &TimeZone::UTC).as_deref(), Some(expected), "{text} as {to}");
        }
    }

    #[test]
    fn a_zone_by_name_gives_its_offset() {
        let moment = read("2025-03-30 12:00:00 Europe/Berlin", DATE_ORDER).unwrap();
        assert_eq!(moment.offset, Some(7200));
        assert_eq!(moment.utc().as_deref(), Some("2025-03-30 10:00:00"));
        assert_eq!(read("30.03.2025", "dmy").unwrap().at.date(), date(2025, 3, 30));
        assert!(read("2025-02-30", DATE_ORDER).is_none());
    }
}
