//! From the cells of a row to an instant, as a time field of the spec says.

use engine_spec::model::{OnFold, OnGap, TimeField, TimePart, TimeSource};
use engine_spec::scalar::Scalar;

use super::cell::{PartReader, Role, Said, cell_text, iso_said, options_error, outside_day};
use super::{Civil, Instant, Quoted, SECOND_NANOS, Shift, TimeError, TimeErrorCode, Zone};
use crate::value::Cell;

/// Longest duration that a time column may hold beside a date: 839 hours, just above what MySQL's TIME holds.
const TIME_NANOS_MAX: i64 = 839 * 3600 * SECOND_NANOS;

/// A time field of a spec, compiled: reads the cells of a row to an instant.
///
/// A cell that is a date, a date-time or an instant is taken as it is; `format` says how text and numbers are written,
/// and text without a format is ISO 8601. A date alone is its midnight. Empty text, and zero in `yyyymmdd`, are no
/// value. A date without a time of day is refused, but with `after: start`, whose date is the row's posting date, it is
/// no value. Immutable and shared between threads.
#[derive(Debug, Clone)]
pub struct TimeReader {
    zone: Zone,
    on_gap: OnGap,
    on_fold: OnFold,
    not_before_start: bool,
    default: Option<Instant>,
    parts: Parts,
}

#[derive(Debug, Clone)]
enum Parts {
    Whole(PartReader),
    DateAndTime(PartReader, PartReader),
}

/// The cells that a time is read from, in the shape of the field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeCells<'a> {
    /// Date and time in one cell.
    Whole(Cell<'a>),
    /// A date and a time of day.
    Parts {
        /// The date.
        date: Cell<'a>,
        /// The time of day.
        time: Cell<'a>,
    },
}

/// A time that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeValue {
    /// The instant.
    pub instant: Instant,
    /// Whether a clock change made a policy decide; the run counts these.
    pub shifted: Option<Shift>,
    /// Whether `after: start` moved it to the next day.
    pub next_day: bool,
}

impl TimeReader {
    /// Compiles a field. `zone` is the zone of naive values: the field's `timezone`, or else the source's.
    ///
    /// An error has the code [`TimeErrorCode::Options`] and says which option cannot work.
    pub fn new(field: &TimeField, zone: Zone) -> Result<Self, TimeError> {
        let options = &field.options;
        let parts = match &field.from {
            TimeSource::Whole(_) => Parts::Whole(PartReader::new(
                Role::Whole,
                &options.transform,
                options.format.as_ref(),
                &options.null_if,
                &[],
            )?),
            TimeSource::Parts { date, time } => {
                if !options.transform.is_empty() || options.format.is_some() {
                    return Err(options_error("`transform` and `format` belong inside `date` and `time` here"));
                }
                let part = |role, part: &TimePart, more: &[Scalar]| {
                    PartReader::new(role, &part.transform, part.format.as_ref(), &part.null_if, more)
                };
                Parts::DateAndTime(part(Role::Date, date, &options.null_if)?, part(Role::Time, time, &[])?)
            }
        };
        let mut reader = Self {
            zone,
            on_gap: options.on_gap.unwrap_or(OnGap::Forward),
            on_fold: options.on_fold.unwrap_or(OnFold::Earlier),
            not_before_start: options.after.is_some(),
            default: None,
            parts,
        };
        reader.default = options.default.as_ref().map(|default| reader.read_default(default)).transpose()?;
        Ok(reader)
    }

    /// The time that the cells say; `None` where they hold no value and there is no default.
    ///
    /// `start` is the start of the same row, for `after: start`: a time that would lie before it is read again, first
    /// in the second pass of a repeated hour, then on the next day; one that lies before it even so stays as written.
    /// `scratch` holds text that must be written, and is kept from row to row.
    pub fn read(
        &self,
        cells: TimeCells<'_>,
        start: Option<Instant>,
        scratch: &mut String,
    ) -> Result<Option<TimeValue>, TimeError> {
        let reading = match (&self.parts, cells) {
            (Parts::Whole(part), TimeCells::Whole(cell)) => self.whole(part, part.read(cell, scratch)?)?,
            (Parts::DateAndTime(date_part, time_part), TimeCells::Parts { date, time }) => {
                let days = self.date(date_part, date_part.read(date, scratch)?)?;
                let nanos_of_day = self.time_of_day(time_part, time_part.read(time, scratch)?)?;
                match (days, nanos_of_day) {
                    (None, _) => None,
                    // The date is that of the row, by `after: start`; it says nothing of an end that is still to come.
                    (Some(_), None) if self.not_before_start => None,
                    (Some(days), Some(nanos)) => Some(Reading::Civil(Civil::from_parts(days, nanos))),
                    (Some(days), None) => return Err(self.incomplete(days)),
                }
            }
            _ => return Err(options_error("the cells do not have the shape of the field: one cell, or date and time")),
        };
        let Some(reading) = reading else {
            return Ok(self.default.map(|instant| TimeValue { instant, shifted: None, next_day: false }));
        };
        let value = match reading {
            Reading::Instant(instant) => TimeValue { instant, shifted: None, next_day: false },
            Reading::Civil(civil) => self.resolve(civil, self.on_fold, false)?,
        };
        match start {
            Some(start) if self.not_before_start && value.instant < start => {
                self.after(start, reading, value).map(Some)
            }
            _ => Ok(Some(value)),
        }
    }

    fn resolve(&self, civil: Civil, on_fold: OnFold, next_day: bool) -> Result<TimeValue, TimeError> {
        let resolved = self.zone.resolve(civil, self.on_gap, on_fold)?;
        Ok(TimeValue { instant: resolved.instant, shifted: resolved.shifted, next_day })
    }

    fn after(&self, start: Instant, reading: Reading, value: TimeValue) -> Result<TimeValue, TimeError> {
        // A run that starts and ends within a repeated hour ends in its second pass, not a day later.
        if let (Reading::Civil(civil), Some(Shift::Fold)) = (reading, value.shifted) {
            let later = self.resolve(civil, OnFold::Later, false)?;
            if later.instant >= start {
                return Ok(later);
            }
        }
        let civil = match reading {
            Reading::Civil(civil) => civil,
            Reading::Instant(instant) => self.zone.civil(instant),
        };
        let next = self.resolve(civil.next_day(), self.on_fold, true)?;
        Ok(if next.instant >= start { next } else { value })
    }

    fn whole(&self, part: &PartReader, said: Said) -> Result<Option<Reading>, TimeError> {
        Ok(Some(match said {
            Said::Nothing => return Ok(None),
            Said::Instant(instant) => Reading::Instant(instant),
            Said::Civil(civil) => Reading::Civil(civil),
            Said::Date(days) => Reading::Civil(Civil::midnight(days)),
            Said::Time(nanos) => return Err(part.wrong_kind(nanos, "a time of day without a date")),
        }))
    }

    fn date(&self, part: &PartReader, said: Said) -> Result<Option<i64>, TimeError> {
        Ok(Some(match said {
            Said::Nothing => return Ok(None),
            Said::Instant(instant) => self.zone.civil(instant).days(),
            Said::Civil(civil) => civil.days(),
            Said::Date(days) => days,
            Said::Time(nanos) => return Err(part.wrong_kind(nanos, "a time of day")),
        }))
    }

    fn time_of_day(&self, part: &PartReader, said: Said) -> Result<Option<i64>, TimeError> {
        Ok(Some(match said {
            Said::Nothing => return Ok(None),
            Said::Instant(instant) => self.zone.civil(instant).nanos_of_day(),
            Said::Civil(civil) => civil.nanos_of_day(),
            Said::Time(nanos) if (0..=TIME_NANOS_MAX).contains(&nanos) => nanos,
            Said::Time(nanos) => return Err(outside_day(&cell_text(Cell::Time(nanos)))),
            Said::Date(days) => {
                return Err(TimeError::new(
                    TimeErrorCode::WrongKind,
                    format!(
                        "{} {} is a date without a time of day: name the column that holds the time",
                        part.role.subject(),
                        Quoted(&cell_text(Cell::Date(days as i32)))
                    ),
                ));
            }
        }))
    }

    fn incomplete(&self, days: i64) -> TimeError {
        TimeError::new(
            TimeErrorCode::Incomplete,
            format!(
                "the date is {} and the time of day has no value: midnight would be a guess; if the row has no time, \
                 make the date empty too, or name it in `null_if`",
                Quoted(&cell_text(Cell::Date(days as i32)))
            ),
        )
    }

    fn read_default(&self, default: &Scalar) -> Result<Instant, TimeError> {
        let text = default.to_string();
        let refuse = |reason: &str| options_error(format!("`default` {} is no date-time: {reason}", Quoted(&text)));
        let said = match (&self.parts, iso_said(&text)) {
            (_, Some(said)) => said,
            (Parts::Whole(part), None) => part.read_text(&text),
            (Parts::DateAndTime(..), None) => Ok(Said::Nothing),
        };
        let civil = match said.map_err(|error| refuse(&error.message))? {
            Said::Instant(instant) => return Ok(instant),
            Said::Civil(civil) => civil,
            Said::Date(days) => Civil::midnight(days),
            Said::Time(_) | Said::Nothing => return Err(refuse("write it as `2025-03-29T22:00:00`")),
        };
        let resolved = self.zone.resolve(civil, self.on_gap, self.on_fold);
        resolved.map(|resolved| resolved.instant).map_err(|error| refuse(&error.message))
    }
}

/// A time before its zone is applied.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Instant(Instant),
    Civil(Civil),
}

#[cfg(test)]
mod tests;
