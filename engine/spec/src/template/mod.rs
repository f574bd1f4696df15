//! Templated SQL to bound SQL: every value of a template reaches the statement as a bound parameter. And templated
//! requests, [`RequestTemplate`], in which every value is encoded for the place where it stands.
//!
//! [`SqlTemplate::parse`] checks a template without rendering it, [`SqlTemplate::render`] renders it, and
//! [`check_sql`] does both with a sample window and checks that the result only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::model::Param;

mod analyse;
mod bounds;
#[cfg(test)]
mod bounds_laws;
mod check;
mod codes;
mod outline;
mod place;
mod render;
mod request;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub use bounds::{local_end, local_start};
pub use check::{check_request, check_sql};
pub use codes::{CODES, ExampleKind, FindingCode};
pub(crate) use outline::{Bound, Columns, Comparison, END_NAME, Operator, Outline, START_NAME};
pub use render::SqlTemplate;
pub use request::{RenderedRequest, RequestFinding, RequestTemplate};
#[cfg(test)]
pub(crate) use values::FILTERS;

/// Bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a rendered statement.
pub const STATEMENT_BYTES_MAX: usize = 1024 * 1024;
/// Values that one list of a template expands to; the least that a supported server takes in `IN` (Oracle).
pub const LIST_VALUES_MAX: usize = 1_000;
/// Placeholders of a statement; the least that a supported server takes (SQL Server).
pub const BINDS_MAX: usize = 2_100;
/// Steps that rendering a template may take.
pub const RENDER_FUEL: u64 = 1_000_000;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth a look.
    Warning,
    /// Nothing is sent before it is put right.
    Error,
}

/// Something wrong with a template or expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFinding {
    /// Stable code: `template_…`, `expr_…` or `sql_…`.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Bytes of the template.
    pub range: Range<usize>,
    /// What to do.
    pub help: Option<String>,
    /// The name that was meant, where one is certain.
    pub meant: Option<Box<Meant>>,
}

/// A name that there is not, and the known one that was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The name as the template has it.
    pub wrong: String,
    /// The one that there is.
    pub right: String,
}

/// Names that a template uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uses {
    /// `window.start`
    pub window_start: bool,
    /// `window.end`
    pub window_end: bool,
    /// Columns of `cursor`.
    pub cursor: BTreeSet<String>,
    /// Names of `params`.
    pub params: BTreeSet<String>,
}

/// What a template is rendered with.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The values of `params`.
    pub params: &'a BTreeMap<String, Param>,
    /// Start and end of the window, half-open; `None` where the mode has none.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The cursor's columns. One that has no value yet is missing here, and `cursor.x is defined` tells a template.
    /// One that is null is bound as null: the answer has no rows, but tells the kinds of its columns.
    pub cursor: &'a BTreeMap<String, BindValue>,
    /// The instant of the run.
    pub now: Timestamp,
    /// The zone of the source's naive date-times.
    pub zone: &'a TimeZone,
}

/// A template that could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
    /// Bytes of the template.
    pub range: Range<usize>,
}

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
