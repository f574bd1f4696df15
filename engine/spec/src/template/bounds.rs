//! Bounds of a window on the clocks of a source. A bound moves outward where the two clocks do not agree, never
//! inward: reading a row twice is free, missing one is not.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp, ToSpan, Unit};

/// Longest jump of a local clock: a day, where a country changed its side of the date line.
const GAP_MAX: SignedDuration = SignedDuration::from_hours(25);

/// Where an instant stands in a half-open window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The first instant of the window; moves down.
    Start,
    /// The first instant behind the window; moves up.
    End,
    /// No bound: stays where it is.
    Exact,
}

/// The first naive local time that may stand for an instant at or after `start`.
///
/// In a repeated hour it is the beginning of that hour. Naive times inside a gap are read as if the clock had not
/// jumped, so the hour after a gap is reached by two naive times: there it is the earlier of the two.
pub fn local_start(start: Timestamp, zone: &TimeZone) -> DateTime {
    let civil = zone.to_datetime(start);
    if let Some((begin, _)) = fold_around(civil, zone) {
        return begin;
    }
    // Changes before an instant are asked for, and the one at `start` counts.
    let later = start.checked_add(SignedDuration::from_nanos(1)).unwrap_or(start);
    let gap = zone
        .preceding(later)
        .take_while(|change| start.duration_since(change.timestamp()) < GAP_MAX)
        .map(|change| (change.timestamp(), jump_at(change.timestamp(), zone)))
        .find(|(change, jump)| start.duration_since(*change) < *jump);
    gap.and_then(|(_, jump)| civil.checked_sub(jump).ok()).unwrap_or(civil)
}

/// The first naive local time that can only stand for an instant at or after `end`: its reading on the local clock,
/// or the end of the repeated hour that it lies in.
pub fn local_end(end: Timestamp, zone: &TimeZone) -> DateTime {
    let civil = zone.to_datetime(end);
    fold_around(civil, zone).map_or(civil, |(_, end)| end)
}

/// How far the local clock jumps ahead at a change; negative where it goes back.
fn jump_at(change: Timestamp, zone: &TimeZone) -> SignedDuration {
    let Ok(before) = change.checked_sub(SignedDuration::from_nanos(1)) else { return SignedDuration::ZERO };
    let seconds = zone.to_offset(change).seconds() - zone.to_offset(before).seconds();
    SignedDuration::from_secs(seconds.into())
}

/// The repeated stretch of the local clock that a naive time lies in, if any.
fn fold_around(civil: DateTime, zone: &TimeZone) -> Option<(DateTime, DateTime)> {
    let AmbiguousOffset::Fold { before, after } = zone.to_ambiguous_timestamp(civil).offset() else { return None };
    // The second pass begins at the change, with the clock at the beginning of the repeated stretch.
    let second_pass = after.to_timestamp(civil).ok()?;
    let later = second_pass.checked_add(SignedDuration::from_nanos(1)).ok()?;
    let change = zone.preceding(later).next()?.timestamp();
    Some((after.to_datetime(change), before.to_datetime(change)))
}

/// The date of a bound: the day of a start, the day after that of an end.
pub(crate) fn date(civil: DateTime, role: Role) -> Option<Date> {
    match role {
        Role::Start | Role::Exact => Some(civil.date()),
        Role::End => civil.date().checked_add(1.day()).ok(),
    }
}

/// Whole seconds since 1970-01-01T00:00:00Z.
pub(crate) fn epoch(instant: Timestamp, role: Role) -> i64 {
    let floor = instant.as_nanosecond().div_euclid(1_000_000_000);
    let ceil = -(-instant.as_nanosecond()).div_euclid(1_000_000_000);
    let seconds = if role == Role::End { ceil } else { floor };
    i64::try_from(seconds).expect("an instant is within the years -9999 to 9999")
}

/// The finest unit that a pattern of `format` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grain {
    Nanosecond,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// Finds the finest unit of a strftime pattern. The error says what is wrong with the pattern.
pub(crate) fn grain(pattern: &str) -> Result<Grain, String> {
    let mut finest: Option<Grain> = None;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        let mut digits = String::new();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '_' | '^' | '#' | '.' | ':') || c.is_ascii_digit()) {
            if flag.is_ascii_digit() {
                digits.push(flag);
            }
        }
        let directive = chars.next().ok_or_else(|| format!("the pattern `{pattern}` ends in `%`"))?;
        let grain = match directive {
            '%' | 'n' | 't' => continue,
            'Y' | 'y' | 'C' | 'G' | 'g' => Grain::Year,
            'm' | 'b' | 'B' | 'h' => Grain::Month,
            'V' | 'U' | 'W' => Grain::Week,
            'd' | 'e' | 'j' | 'F' | 'D' | 'x' | 'a' | 'A' | 'u' | 'w' => Grain::Day,
            'H' | 'k' | 'I' | 'l' | 'p' | 'P' => Grain::Hour,
            'M' | 'R' => Grain::Minute,
            'S' | 'T' | 'X' | 'r' | 'c' => Grain::Second,
            'f' | 'N' => match digits.parse::<u8>() {
                Ok(0..=2) => return Err(format!("`%{digits}{directive}` is not supported: use 3, 6 or 9 digits")),
                Ok(3..=5) => Grain::Millisecond,
                Ok(6..=8) => Grain::Microsecond,
                _ => Grain::Nanosecond,
            },
            's' => return Err("`%s` is not supported in `format`: use `| epoch`".to_owned()),
            'z' | 'Z' | 'Q' => {
                return Err(format!(
                    "`%{directive}` is not supported in `format`, which writes a local time: bind the instant with `| instant`"
                ));
            }
            other => return Err(format!("`%{other}` is not a directive of strftime")),
        };
        finest = Some(finest.map_or(grain, |finest| finest.min(grain)));
    }
    finest.ok_or_else(|| format!("the pattern `{pattern}` shows no part of a time"))
}

/// A bound as text: cut down by the pattern for a start, moved up to the next unit that it shows for an end.
///
/// An end moves to the next unit wherever it lies in a day or a longer unit, and to the next full unit below that.
pub(crate) fn format(civil: DateTime, role: Role, pattern: &str) -> Result<String, String> {
    let grain = grain(pattern)?;
    let shown = match role {
        Role::Start | Role::Exact => civil,
        Role::End => up(civil, grain).ok_or("the end of the window is beyond the year 9999")?,
    };
    strtime::format(pattern, shown).map_err(|error| format!("the pattern `{pattern}` cannot be written: {error}"))
}

fn up(civil: DateTime, grain: Grain) -> Option<DateTime> {
    let midnight = civil.date().at(0, 0, 0, 0);
    let next = |from: DateTime, span: Span| from.checked_add(span).ok();
    let ceil = |unit: Unit| {
        let cut = civil.round(jiff::civil::DateTimeRound::new().smallest(unit).mode(jiff::RoundMode::Ceil));
        cut.ok()
    };
    match grain {
        Grain::Nanosecond => Some(civil),
        Grain::Microsecond => ceil(Unit::Microsecond),
        Grain::Millisecond => ceil(Unit::Millisecond),
        Grain::Second => ceil(Unit::Second),
        Grain::Minute => ceil(Unit::Minute),
        Grain::Hour => ceil(Unit::Hour),
        Grain::Day => next(midnight, 1.day()),
        Grain::Week => next(midnight, 1.week()),
        Grain::Month => next(midnight.first_of_month(), 1.month()),
        Grain::Year => next(midnight.first_of_year(), 1.year()),
    }
}
