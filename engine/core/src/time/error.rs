//! Why a time could not be read.

use std::fmt::{self, Write as _};

/// Characters of an offending value that a message quotes.
pub(crate) const QUOTED_CHARS_MAX: usize = 64;

/// A time that could not be read. Costs the row, not the run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TimeError {
    /// What kind of mistake it is.
    pub code: TimeErrorCode,
    /// The value, what was expected of it, and what to do.
    pub message: String,
}

impl TimeError {
    pub(super) fn new(code: TimeErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The kinds of [`TimeError`]. Stable: quarantine groups by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeErrorCode {
    /// The source could not decode the value.
    Undecodable,
    /// The value is not written in the format that the field states.
    Unparsable,
    /// A number, and the field states no format.
    FormatMissing,
    /// A value of a kind that is no time, or not the asked-for part of one.
    WrongKind,
    /// A date without a time of day.
    Incomplete,
    /// A negative time of day, or one beyond what the kind allows.
    OutsideDay,
    /// A local time that a clock change skips, and the field rejects such times.
    Gap,
    /// A local time that a clock change repeats, and the field rejects such times.
    Fold,
    /// Outside the years 0001 to 9999.
    OutOfRange,
    /// Options of the field that cannot work. Only while a reader is built.
    Options,
}

impl TimeErrorCode {
    /// The code as reports and quarantine show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "time_undecodable",
            Self::Unparsable => "time_unparsable",
            Self::FormatMissing => "time_format_missing",
            Self::WrongKind => "time_wrong_kind",
            Self::Incomplete => "time_incomplete",
            Self::OutsideDay => "time_outside_day",
            Self::Gap => "time_gap",
            Self::Fold => "time_fold",
            Self::OutOfRange => "time_out_of_range",
            Self::Options => "time_options",
        }
    }
}

impl fmt::Display for TimeErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value in backticks, clipped to [`QUOTED_CHARS_MAX`], with control characters spelled out.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(QUOTED_CHARS_MAX) {
            if char.is_control() { write!(f, "{}", char.escape_default())? } else { f.write_char(char)? }
        }
        if chars.next().is_some() {
            f.write_char('…')?;
        }
        f.write_char('`')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_clipped_and_stays_on_its_line() {
        assert_eq!(Quoted("a\nb\u{7f}").to_string(), r"`a\nb\u{7f}`");
        assert_eq!(Quoted(&"ß".repeat(64)).to_string(), format!("`{}`", "ß".repeat(64)));
        assert_eq!(Quoted(&"ß".repeat(65)).to_string(), format!("`{}…`", "ß".repeat(64)));
    }
}
