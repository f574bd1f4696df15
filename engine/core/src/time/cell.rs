//! One cell of a time field: its emptiness, its `transform` and its `format`.

use std::borrow::Cow;

use engine_spec::model::{TimeFormat, Transform};
use engine_spec::scalar::Scalar;

use super::error::Quoted;
use super::iso::{self, IsoValue};
use super::pattern::{Pattern, PatternValue};
use super::{Civil, Instant, TimeError, TimeErrorCode, number};
use crate::text::{ValueError, ValueErrorCode, kind_of, text_of, trim};
use crate::transform::Transforms;
use crate::value::Cell;

/// Decimal places from a nanosecond to a second.
const SECOND_PLACES: usize = 9;
/// Decimal places from a nanosecond to a millisecond.
const MILLI_PLACES: usize = 6;

/// What one cell says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Said {
    Nothing,
    Instant(Instant),
    Civil(Civil),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since midnight.
    Time(i64),
}

/// What a cell is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Whole,
    Date,
    Time,
}

impl Role {
    pub(super) fn subject(self) -> &'static str {
        match self {
            Self::Whole => "the value",
            Self::Date => "the date",
            Self::Time => "the time of day",
        }
    }

    fn formats(self) -> &'static str {
        match self {
            Self::Whole | Self::Date => {
                "`epoch_s`, `epoch_ms`, `yyyymmdd` or a strftime pattern such as `%Y%m%d%H%M%S`"
            }
            Self::Time => "`hhmmss`, `seconds_of_day` or a strftime pattern such as `%H%M`",
        }
    }
}

/// Reads one cell.
#[derive(Debug, Clone)]
pub(super) struct PartReader {
    pub(super) role: Role,
    transforms: Transforms,
    format: Format,
    null_if: NullIf,
}

impl PartReader {
    pub(super) fn new(
        role: Role,
        transform: &[Transform],
        format: Option<&TimeFormat>,
        null_if: &[Scalar],
        more_null_if: &[Scalar],
    ) -> Result<Self, TimeError> {
        let transforms = Transforms::compile(transform).map_err(|error| options_error(error.to_string()))?;
        let format = Format::new(role, format)?;
        let null_if = NullIf::new(null_if.iter().chain(more_null_if));
        Ok(Self { role, transforms, format, null_if })
    }

    /// What the cell says, or that it says nothing. Typed dates and times need no `transform` and no `format`.
    pub(super) fn read(&self, cell: Cell<'_>, scratch: &mut String) -> Result<Said, TimeError> {
        if self.null_if.contains_cell(cell, scratch)? {
            return Ok(Said::Nothing);
        }
        let said = self.read_cell(cell, scratch)?;
        Ok(if self.null_if.contains(said) { Said::Nothing } else { said })
    }

    fn read_cell(&self, cell: Cell<'_>, scratch: &mut String) -> Result<Said, TimeError> {
        match cell {
            Cell::Null => Ok(Said::Nothing),
            Cell::Civil { secs, nanos } => Ok(Said::Civil(Civil { secs, nanos })),
            Cell::Date(days) => Ok(Said::Date(days.into())),
            Cell::Time(nanos) => Ok(Said::Time(nanos)),
            Cell::Instant { secs, nanos } => Instant::new(secs, nanos)
                .map(Said::Instant)
                .ok_or_else(|| out_of_range(&format!("{secs} s since 1970"))),
            Cell::Text(text) if self.transforms.is_empty() => self.read_text(text),
            _ => {
                let text = cell_text_in(cell, scratch)?.unwrap_or_default();
                if self.transforms.is_empty() {
                    return self.read_untyped(cell, text);
                }
                match self.transforms.apply(text) {
                    Some(text) if !self.null_if.contains_text(&text) => self.read_text(&text),
                    _ => Ok(Said::Nothing),
                }
            }
        }
    }

    /// Reads a number by its canonical text, and refuses the kinds that are no time.
    fn read_untyped(&self, cell: Cell<'_>, text: &str) -> Result<Said, TimeError> {
        let (subject, value) = (self.role.subject(), Quoted(text));
        match cell {
            Cell::Int(_) | Cell::Float(_) | Cell::Decimal(_) if self.format.reads_numbers() => self.read_text(text),
            Cell::Int(_) | Cell::Float(_) | Cell::Decimal(_) => Err(TimeError::new(
                TimeErrorCode::FormatMissing,
                format!(
                    "{subject} {value} is a number, and the spec does not say how it is written: set `format` to {}",
                    self.role.formats()
                ),
            )),
            _ => Err(TimeError::new(
                TimeErrorCode::WrongKind,
                format!("{subject} {value} is {}, not a time: name another column", kind_of(cell)),
            )),
        }
    }

    /// Reads a text as the format says, without `transform` and `null_if`.
    pub(super) fn read_text(&self, text: &str) -> Result<Said, TimeError> {
        self.format.read_text(self.role, text)
    }

    /// The error of a time of day where it cannot stand.
    pub(super) fn wrong_kind(&self, nanos_of_day: i64, what: &str) -> TimeError {
        TimeError::new(
            TimeErrorCode::WrongKind,
            format!(
                "{} {} is {what}: name the date's column in `date` and the time's in `time`",
                self.role.subject(),
                Quoted(&cell_text(Cell::Time(nanos_of_day)))
            ),
        )
    }
}

/// How text and numbers are written.
#[derive(Debug, Clone)]
enum Format {
    /// Nothing is stated: ISO 8601, and no numbers.
    Iso8601,
    EpochS,
    EpochMs,
    Yyyymmdd,
    Hhmmss,
    SecondsOfDay,
    Pattern(Pattern),
}

impl Format {
    fn new(role: Role, format: Option<&TimeFormat>) -> Result<Self, TimeError> {
        let refuse = |name: &str, says: &str| {
            let subject = role.subject();
            Err(options_error(format!("`{name}` says {says}, and cannot be the format of {subject}")))
        };
        Ok(match format {
            None | Some(TimeFormat::Iso8601) => Self::Iso8601,
            Some(TimeFormat::EpochS) => Self::EpochS,
            Some(TimeFormat::EpochMs) => Self::EpochMs,
            Some(TimeFormat::Yyyymmdd) if role == Role::Time => return refuse("yyyymmdd", "a date"),
            Some(TimeFormat::Yyyymmdd) => Self::Yyyymmdd,
            Some(TimeFormat::Hhmmss) if role != Role::Time => return refuse("hhmmss", "a time of day"),
            Some(TimeFormat::Hhmmss) => Self::Hhmmss,
            Some(TimeFormat::SecondsOfDay) if role != Role::Time => return refuse("seconds_of_day", "a time of day"),
            Some(TimeFormat::SecondsOfDay) => Self::SecondsOfDay,
            Some(TimeFormat::Pattern(source)) => {
                let pattern = Pattern::compile(source).map_err(options_error)?;
                match role {
                    Role::Whole | Role::Date if !pattern.has_date() => return refuse(source, "no date"),
                    Role::Time if !pattern.has_time() => return refuse(source, "no time of day"),
                    _ => Self::Pattern(pattern),
                }
            }
        })
    }

    fn reads_numbers(&self) -> bool {
        !matches!(self, Self::Iso8601)
    }

    /// What is expected of the text, for messages.
    fn expected(&self, role: Role) -> Cow<'static, str> {
        match (self, role) {
            (Self::Iso8601, Role::Time) => {
                "ISO 8601, `22:00` or `22:00:00`; else name a pattern such as `%H%M` in `format`"
            }
            (Self::Iso8601, _) => {
                "ISO 8601, `2025-03-29` or `2025-03-29T22:00:00`; else name a pattern such as `%d.%m.%Y` in `format`"
            }
            (Self::EpochS, _) => "epoch_s, seconds since 1970 such as `1743282000`",
            (Self::EpochMs, _) => "epoch_ms, milliseconds since 1970 such as `1743282000000`",
            (Self::Yyyymmdd, _) => "yyyymmdd, a date in eight digits such as `20250329`",
            (Self::Hhmmss, _) => {
                "hhmmss, a time of day such as `220000`; hours and minutes alone are the pattern `%H%M`"
            }
            (Self::SecondsOfDay, _) => "seconds_of_day, a number from 0 to 86400",
            (Self::Pattern(pattern), _) => return format!("the pattern `{}`", pattern.source()).into(),
        }
        .into()
    }

    fn read_text(&self, role: Role, text: &str) -> Result<Said, TimeError> {
        let text = trim(text);
        if text.is_empty() {
            return Ok(Said::Nothing);
        }
        let epoch = |places| {
            let nanos = number::scaled_nanos(text, places)?;
            Some(Instant::from_total_nanos(nanos).map(Said::Instant).ok_or_else(|| out_of_range(text)))
        };
        let said = match self {
            Self::Iso8601 => iso_said(text),
            Self::EpochS => epoch(SECOND_PLACES),
            Self::EpochMs => epoch(MILLI_PLACES),
            Self::Yyyymmdd if number::is_zero_date(text) => return Ok(Said::Nothing),
            Self::Yyyymmdd => number::yyyymmdd(text).map(|days| Ok(Said::Date(days))),
            Self::Hhmmss => number::hhmmss(text).map(|nanos| Ok(Said::Time(nanos))),
            Self::SecondsOfDay => {
                number::seconds_of_day(text).map(|nanos| nanos.map(Said::Time).map_err(|_| outside_day(text)))
            }
            Self::Pattern(pattern) => {
                return match pattern.parse(text) {
                    Ok(PatternValue::Date(days)) => Ok(Said::Date(days)),
                    Ok(PatternValue::Civil(civil)) => Ok(Said::Civil(civil)),
                    Ok(PatternValue::Time(nanos)) => Ok(Said::Time(nanos)),
                    Ok(PatternValue::Instant { secs, nanos }) => said_instant(text, secs, nanos),
                    Err(reason) => Err(self.unparsable(role, text, &format!(" ({reason})"))),
                };
            }
        };
        said.unwrap_or_else(|| Err(self.unparsable(role, text, "")))
    }

    fn unparsable(&self, role: Role, text: &str, reason: &str) -> TimeError {
        TimeError::new(
            TimeErrorCode::Unparsable,
            format!("{} {} does not fit{reason}: expected {}", role.subject(), Quoted(text), self.expected(role)),
        )
    }
}

/// `null_if`, compared with the text of a cell and with the date or date-time that it says: `1900-01-01` is also the
/// midnight of a date-time, and the number 19000101 in `yyyymmdd`.
#[derive(Debug, Clone, Default)]
struct NullIf {
    texts: Vec<String>,
    civils: Vec<Civil>,
    instants: Vec<Instant>,
}

impl NullIf {
    fn new<'a>(scalars: impl Iterator<Item = &'a Scalar>) -> Self {
        let mut null_if = Self::default();
        for scalar in scalars {
            let text = trim(&scalar.to_string()).to_owned();
            match iso_said(&text) {
                Some(Ok(Said::Date(days))) => null_if.civils.push(Civil::midnight(days)),
                Some(Ok(Said::Civil(civil))) => null_if.civils.push(civil),
                Some(Ok(Said::Instant(instant))) => null_if.instants.push(instant),
                _ => {}
            }
            null_if.texts.push(text);
        }
        null_if
    }

    /// Whether the text of a cell is a filler. Typed dates are compared by what they say.
    fn contains_cell(&self, cell: Cell<'_>, scratch: &mut String) -> Result<bool, TimeError> {
        if self.texts.is_empty() || matches!(cell, Cell::Date(_) | Cell::Civil { .. } | Cell::Instant { .. }) {
            return Ok(false);
        }
        Ok(cell_text_in(cell, scratch)?.is_some_and(|text| self.contains_text(text)))
    }

    fn contains(&self, said: Said) -> bool {
        match said {
            Said::Date(days) => self.civils.contains(&Civil::midnight(days)),
            Said::Civil(civil) => self.civils.contains(&civil),
            Said::Instant(instant) => self.instants.contains(&instant),
            Said::Time(_) | Said::Nothing => false,
        }
    }

    fn contains_text(&self, text: &str) -> bool {
        let text = trim(text);
        self.texts.iter().any(|filler| filler == text)
    }
}

pub(super) fn iso_said(text: &str) -> Option<Result<Said, TimeError>> {
    Some(Ok(match iso::parse(text)? {
        IsoValue::Date(days) => Said::Date(days),
        IsoValue::Civil(civil) => Said::Civil(civil),
        IsoValue::Time(nanos) => Said::Time(nanos),
        IsoValue::Instant { secs, nanos } => return Some(said_instant(text, secs, nanos)),
    }))
}

fn said_instant(text: &str, secs: i64, nanos: u32) -> Result<Said, TimeError> {
    Instant::new(secs, nanos).map(Said::Instant).ok_or_else(|| out_of_range(text))
}

fn cell_text_in<'a>(cell: Cell<'a>, scratch: &'a mut String) -> Result<Option<&'a str>, TimeError> {
    text_of(cell, scratch).map_err(|ValueError { code, message }| {
        let code = match code {
            ValueErrorCode::Undecodable => TimeErrorCode::Undecodable,
            ValueErrorCode::OutOfRange => TimeErrorCode::OutOfRange,
            ValueErrorCode::NotFinite | ValueErrorCode::NotANumber => TimeErrorCode::Unparsable,
        };
        TimeError { code, message }
    })
}

/// The text of a cell for a message.
pub(super) fn cell_text(cell: Cell<'_>) -> String {
    let mut scratch = String::new();
    text_of(cell, &mut scratch).ok().flatten().unwrap_or("?").to_owned()
}

pub(super) fn options_error(message: impl Into<String>) -> TimeError {
    TimeError::new(TimeErrorCode::Options, message)
}

pub(super) fn outside_day(text: &str) -> TimeError {
    TimeError::new(
        TimeErrorCode::OutsideDay,
        format!(
            "the time of day {} is negative or beyond the day: it holds a duration, or another unit than stated",
            Quoted(text)
        ),
    )
}

fn out_of_range(text: &str) -> TimeError {
    TimeError::new(
        TimeErrorCode::OutOfRange,
        format!(
            "{} is outside the years 0001 to 9999: seconds and milliseconds may be mixed up in `format`, or the value \
             stands for \"no time\" and belongs in `null_if`",
            Quoted(text)
        ),
    )
}
