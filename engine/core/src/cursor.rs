//! Values of cursor columns: how far a pipeline in mode `cursor` has read.

use std::cmp::Ordering;
use std::time::Duration;

use engine_spec::template::BindValue;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::value::{Cell, Kind};

/// The value of one cursor column. Kept typed, so that no precision and no zone is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CursorValue {
    /// A whole number.
    Int(i64),
    /// An exact number, as digits.
    Decimal(String),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes, of a `rowversion`.
    Bytes(Vec<u8>),
    /// A date.
    Date(Date),
    /// A date-time without a zone.
    Civil(DateTime),
    /// An instant.
    Instant(Timestamp),
}

impl CursorValue {
    /// The value of a cell; an error says why it cannot be a cursor.
    pub fn of(cell: Cell<'_>) -> Result<Self, String> {
        Ok(match cell {
            Cell::Int(number) => Self::Int(number),
            Cell::Decimal(digits) => Self::Decimal(digits.to_owned()),
            Cell::Float(number) => Self::Float(number),
            Cell::Text(text) => Self::Text(text.to_owned()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_owned()),
            Cell::Date(days) => Self::Date(civil(i64::from(days) * 86_400, 0)?.date()),
            Cell::Civil { secs, nanos } => Self::Civil(civil(secs, nanos)?),
            Cell::Instant { secs, nanos } => Self::Instant(
                Timestamp::new(secs, i32::try_from(nanos).unwrap_or_default()).map_err(|error| error.to_string())?,
            ),
            Cell::Null => return Err("is null".to_owned()),
            Cell::Bool(_) | Cell::Time(_) | Cell::Json(_) => return Err("has a type that cannot order rows".to_owned()),
            Cell::Bad(reason) => return Err(format!("cannot be read: {reason}")),
        })
    }

    /// The smallest value of a kind: where a first run begins.
    pub fn smallest(kind: Kind) -> Self {
        match kind {
            Kind::Text | Kind::Json => Self::Text(String::new()),
            Kind::Bytes => Self::Bytes(vec![0; 8]),
            Kind::Date => Self::Date(Date::constant(1753, 1, 1)),
            Kind::Civil => Self::Civil(Date::constant(1753, 1, 1).at(0, 0, 0, 0)),
            Kind::Instant => Self::Instant(Timestamp::UNIX_EPOCH),
            Kind::Bool | Kind::Int | Kind::Float | Kind::Decimal | Kind::Time | Kind::Any => {
                Self::Int(i64::from(i32::MIN))
            }
        }
    }

    /// The order in which rows are read; values of different kinds do not compare.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(other)),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Bytes(one), Self::Bytes(other)) => Some(one.cmp(other)),
            (Self::Date(one), Self::Date(other)) => Some(one.cmp(other)),
            (Self::Civil(one), Self::Civil(other)) => Some(one.cmp(other)),
            (Self::Instant(one), Self::Instant(other)) => Some(one.cmp(other)),
            (one, other) => one.as_number()?.partial_cmp(&other.as_number()?),
        }
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Decimal(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Moved back by the overlap, for times, also those that are kept as text; other values stay as they are.
    pub fn back_by(&self, overlap: Duration) -> Self {
        let overlap = SignedDuration::try_from(overlap).unwrap_or(SignedDuration::MAX);
        match self {
            Self::Civil(time) => Self::Civil(time.saturating_sub(overlap)),
            Self::Instant(time) => Self::Instant(time.saturating_sub(overlap).unwrap_or(Timestamp::MIN)),
            Self::Date(date) => {
                Self::Date(date.to_datetime(jiff::civil::Time::midnight()).saturating_sub(overlap).date())
            }
            Self::Text(text) => {
                let moved = TextTime::read(text).map(|time| time.write(time.civil.saturating_sub(overlap)));
                Self::Text(moved.unwrap_or_else(|| text.clone()))
            }
            other => other.clone(),
        }
    }

    /// No later than now: a row from the future must not freeze the reading.
    pub fn at_most(self, now: Timestamp, zone: &TimeZone) -> Self {
        match self {
            Self::Civil(time) => Self::Civil(time.min(zone.to_datetime(now))),
            Self::Instant(time) => Self::Instant(time.min(now)),
            Self::Date(date) => Self::Date(date.min(zone.to_datetime(now).date())),
            Self::Text(text) => {
                let bounded = TextTime::read(&text).map(|time| {
                    let zone = if time.rest.is_empty() { zone } else { &TimeZone::UTC };
                    time.write(time.civil.min(zone.to_datetime(now)))
                });
                Self::Text(bounded.unwrap_or(text))
            }
            other => other,
        }
    }

    /// The value as it is bound.
    pub fn to_bind(&self, zone: &TimeZone) -> BindValue {
        match self {
            Self::Int(number) => BindValue::Int(*number),
            Self::Decimal(digits) => BindValue::Decimal(digits.clone()),
            Self::Float(number) => BindValue::Float(*number),
            Self::Text(text) => BindValue::Text(text.clone()),
            Self::Bytes(bytes) => BindValue::Bytes(bytes.clone()),
            Self::Date(date) => BindValue::Date(*date),
            Self::Civil(civil) => BindValue::Civil {
                civil: *civil,
                instant: zone.to_ambiguous_timestamp(*civil).earlier().unwrap_or(Timestamp::MIN),
            },
            Self::Instant(instant) => BindValue::Instant { instant: *instant, civil: zone.to_datetime(*instant) },
        }
    }
}

/// A time that a source keeps as text, as SQLite does: `2025-03-29 06:00:00.000`, `2025-03-29T06:00Z`, `2025-03-29`.
struct TextTime<'a> {
    civil: DateTime,
    /// Between date and time; none in a date.
    separator: Option<char>,
    /// Characters of the time, up to the zone.
    time_chars: usize,
    /// The zone, as it stands.
    rest: &'a str,
}

/// Characters of `2025-03-29`.
const DATE_CHARS: usize = 10;
/// Characters of `06:00:00.123456789`.
const TIME_CHARS_MAX: usize = 18;

impl<'a> TextTime<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let date: Date = text.get(..DATE_CHARS)?.parse().ok()?;
        let behind = &text[DATE_CHARS..];
        let Some(separator) = behind.chars().next() else {
            return Some(Self { civil: date.into(), separator: None, time_chars: 0, rest: "" });
        };
        let clock = behind.strip_prefix([' ', 'T'])?;
        let time_chars = clock.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(clock.len());
        let (time, rest) = clock.split_at(time_chars);
        if time_chars > TIME_CHARS_MAX {
            return None;
        }
        let civil = date.to_datetime(time.parse::<jiff::civil::Time>().ok()?);
        Some(Self { civil, separator: Some(separator), time_chars, rest })
    }

    /// Another time in the same form; what is finer than the form is cut off.
    fn write(&self, civil: DateTime) -> String {
        let Some(separator) = self.separator else { return civil.date().to_string() };
        let time = format!("{:.9}", civil.time());
        format!("{}{separator}{}{}", civil.date(), &time[..self.time_chars], self.rest)
    }
}

/// The order of two cursors, column by column.
pub fn compare(one: &[CursorValue], other: &[CursorValue]) -> Option<Ordering> {
    for (one, other) in one.iter().zip(other) {
        match one.compare(other)? {
            Ordering::Equal => {}
            decided => return Some(decided),
        }
    }
    Some(Ordering::Equal)
}

fn civil(secs: i64, nanos: u32) -> Result<DateTime, String> {
    Timestamp::new(secs, i32::try_from(nanos).unwrap_or_default())
        .map(|instant| TimeZone::UTC.to_datetime(instant))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_compare_column_by_column() {
        let cursor = |time: i64, id: i64| {
            vec![CursorValue::Instant(Timestamp::from_second(time).expect("in range")), CursorValue::Int(id)]
        };
        assert_eq!(compare(&cursor(1, 9), &cursor(2, 1)), Some(Ordering::Less));
        assert_eq!(compare(&cursor(2, 9), &cursor(2, 1)), Some(Ordering::Greater));
        assert_eq!(compare(&cursor(2, 1), &cursor(2, 1)), Some(Ordering::Equal));
        assert_eq!(compare(&[CursorValue::Int(1)], &[CursorValue::Text("1".into())]), None);
        assert_eq!(
            compare(&[CursorValue::Decimal("10".into())], &[CursorValue::Int(9)]),
            Some(Ordering::Greater),
            "a column may change its type from decimal to integer"
        );
    }

    #[test]
    fn the_overlap_moves_times_only() {
        let hour = Duration::from_secs(3600);
        assert_eq!(CursorValue::Int(7).back_by(hour), CursorValue::Int(7));
        let noon = Date::constant(2025, 3, 1).at(12, 0, 0, 0);
        assert_eq!(
            CursorValue::Civil(noon).back_by(hour),
            CursorValue::Civil(Date::constant(2025, 3, 1).at(11, 0, 0, 0))
        );
    }

    #[test]
    fn times_that_are_kept_as_text_keep_their_form() {
        let hour = Duration::from_secs(3600);
        let now: Timestamp = "2025-03-29T12:00:00Z".parse().expect("an instant");
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        for (text, back, at_most) in [
            ("2025-03-29 00:30:00", "2025-03-28 23:30:00", "2025-03-29 00:30:00"),
            ("2025-03-29T14:30", "2025-03-29T13:30", "2025-03-29T13:00"),
            ("2099-01-01 06:00:00.123", "2099-01-01 05:00:00.123", "2025-03-29 13:00:00.000"),
            ("2099-01-01T06:00:00Z", "2099-01-01T05:00:00Z", "2025-03-29T12:00:00Z"),
            ("2025-04-01", "2025-03-31", "2025-03-29"),
            ("20250329", "20250329", "20250329"),
            ("2025-03-29 later", "2025-03-29 later", "2025-03-29 later"),
            ("A-100", "A-100", "A-100"),
            ("", "", ""),
        ] {
            let value = CursorValue::Text(text.to_owned());
            assert_eq!(value.back_by(hour), CursorValue::Text(back.to_owned()), "{text} moved back");
            assert_eq!(value.at_most(now, &berlin), CursorValue::Text(at_most.to_owned()), "{text} at most now");
        }
    }

    #[test]
    fn a_cursor_survives_the_state_store() {
        for value in [
            CursorValue::Civil(Date::constant(2025, 3, 1).at(12, 0, 0, 123_456_700)),
            CursorValue::Bytes(vec![0, 0, 0, 0, 0, 0, 7, 208]),
            CursorValue::Decimal("12345678901234567890.5".into()),
        ] {
            let json = serde_json::to_string(&value).expect("serialises");
            assert_eq!(serde_json::from_str::<CursorValue>(&json).expect("comes back"), value);
        }
    }
}
