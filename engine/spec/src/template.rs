//! Templated SQL to bound SQL: every value of a template reaches the statement as a bound parameter.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

/// SQL text with placeholders, and the values bound to them, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text, with the dialect's placeholders.
    pub sql: String,
    /// One value for each placeholder, in the order of their numbers.
    pub binds: Vec<Bind>,
}

/// A value bound to a placeholder.
#[derive(Debug, Clone, PartialEq)]
pub struct Bind {
    /// What the template says: `window.start | date`, `params.plant`. For `render` and for messages.
    pub origin: String,
    /// The value.
    pub value: BindValue,
}

/// The kinds of bound values. Where the server says what type a placeholder has, the connector converts to it.
#[derive(Debug, Clone, PartialEq)]
pub enum BindValue {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// An exact number, as digits.
    Decimal(String),
    /// Text.
    Text(String),
    /// Bytes, of a `rowversion` cursor.
    Bytes(Vec<u8>),
    /// A date.
    Date(Date),
    /// A date-time without a zone, and the instant it stands for, for servers that ask for an instant.
    Civil {
        /// The reading of the clock.
        civil: DateTime,
        /// The instant.
        instant: Timestamp,
    },
    /// An instant, and its reading in the zone of the source, for servers that ask for a naive date-time.
    Instant {
        /// The instant.
        instant: Timestamp,
        /// The reading of the clock in the zone of the source.
        civil: DateTime,
    },
}
