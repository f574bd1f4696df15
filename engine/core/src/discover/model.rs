//! The values: facts of a catalogue and of samples, and what was concluded from them.

use std::collections::BTreeMap;

use engine_spec::model::TableType;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// What a database shows an account of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// `source.type`.
    pub source_type: String,
    /// Product and version, for people.
    pub version: String,
    /// Zone of the session, in the server's words, where it says it.
    pub session_timezone: Option<String>,
    /// `source.timezone`, where the source block says it: the clock on the wall of the factory.
    pub timezone: Option<String>,
    /// The instant of the survey: what lies after it was planned.
    pub now: Timestamp,
    /// The tables and views that the account may read.
    pub tables: Vec<TableFacts>,
    /// What was left out, and why, for people: `12 tables may not be read`, `300 more tables`.
    pub notes: Vec<String>,
    /// Statements that were sent.
    pub statements: u32,
}

/// A table or view, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Name {
    /// Its schema or owner; `None` where the database has no such thing, or it is the one that a bare name means.
    pub schema: Option<String>,
    /// Its own name, as the catalogue writes it.
    pub table: String,
}

/// What the catalogue says of one table or view, and what was sampled of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableFacts {
    /// Its name.
    pub name: Name,
    /// Table or view.
    pub kind: TableKind,
    /// The comment on it.
    pub comment: Option<String>,
    /// How many rows it has.
    pub rows: RowCount,
    /// Its columns, in their order.
    pub columns: Vec<ColumnFacts>,
    /// Columns of the primary key; none where there is none.
    pub primary_key: Vec<String>,
    /// The indexes, those of keys among them.
    pub indexes: Vec<Index>,
    /// The foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// What was sampled; `None` where the table did not look worth it.
    pub sample: Option<TableSample>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// Holds rows.
    Table,
    /// Shows rows of others; has no key and no index of its own.
    View,
}

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowCount {
    /// Counted.
    Exact(u64),
    /// What the server's own statistics say.
    Estimate(u64),
    /// Counted up to here, and there are more.
    MoreThan(u64),
    /// Nobody knows.
    Unknown,
}

/// A column, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnFacts {
    /// Its name, as the catalogue writes it.
    pub name: String,
    /// Its type, in the server's words: `char(8)`, `timestamp with time zone`.
    pub source_type: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// The comment on it.
    pub comment: Option<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<String>,
    /// Whether it admits each value once.
    pub unique: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForeignKey {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table that they refer to.
    pub to: Name,
    /// The columns that are referred to.
    pub to_columns: Vec<String>,
}

/// The latest rows of a table, and what their values look like.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TableSample {
    /// Rows over which values were counted; fewer of them are kept.
    pub looked_at: u64,
    /// Whether the table has more rows than were looked at.
    pub has_more: bool,
    /// Rows, the latest first where the table could be ordered by a time; values in the order of the columns, in the
    /// form that a test of a spec would give them.
    pub rows: Vec<Vec<Value>>,
    /// By column, what the values look like.
    pub columns: BTreeMap<String, ColumnSample>,
    /// Columns whose values were not looked at: they may be large, or there are too many columns.
    pub left_out: Vec<String>,
    /// Columns whose values are masked, because they look like persons.
    pub masked: Vec<String>,
}

/// What the values of a column look like, over the rows that were looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ColumnSample {
    /// Rows that were looked at.
    pub looked_at: u64,
    /// Of these, those without a value.
    pub nulls: u64,
    /// Different values, where they are few enough to count.
    pub distinct: Option<u64>,
    /// The most frequent values with how often they occur, the most frequent first; none where values are many.
    pub frequent: Vec<(Value, u64)>,
    /// The smallest value.
    pub min: Option<Value>,
    /// The largest value.
    pub max: Option<Value>,
}

/// A table that may hold orders or bookings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Which table.
    pub name: Name,
    /// As what it would be read.
    pub table: TableType,
    /// How well it fits, 0 to 100.
    pub score: u32,
    /// Why, in plain words, the weightiest first: `two times that can be start and end: von, bis`.
    pub reasons: Vec<String>,
    /// What its columns seem to mean; at most one guess a role.
    pub roles: BTreeMap<Role, RoleGuess>,
    /// Its times, those without a role among them.
    pub times: Vec<TimeColumn>,
    /// What tells that a row changed.
    pub change: Option<ChangeColumn>,
    /// The codes of the event column, the most frequent first; none for orders.
    pub events: Vec<EventCode>,
    /// Columns that identify a row for ever; none where none were found.
    pub key: Vec<String>,
}

/// What a column may mean: the attributes of a spec, and what else a spec needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `order_code`
    OrderCode,
    /// `product_code`
    ProductCode,
    /// `machine_code`
    MachineCode,
    /// `start`
    Start,
    /// `end`
    End,
    /// `timestamp`
    Timestamp,
    /// `event`
    Event,
    /// `product_name`
    ProductName,
    /// `quantity_total`
    QuantityTotal,
    /// `quantity_scrap`
    QuantityScrap,
    /// `quantity_yield`
    QuantityYield,
    /// `quantity_unit`
    QuantityUnit,
    /// The state of an order: planned, running, done, cancelled.
    Status,
    /// Marks a row as cancelled or corrected.
    Cancelled,
}

/// How sure a guess is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// One sign, or several that disagree: to be looked at.
    Guess,
    /// Name or values say it.
    Likely,
    /// Name and values say it.
    Sure,
}

/// A column that seems to have a role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoleGuess {
    /// The column; of the other table, where it is joined.
    pub column: String,
    /// Of a time: the column that has the time of day to this date.
    pub time_of_day: Option<String>,
    /// Where the column stands in another table, how to get there.
    pub joined: Option<Joined>,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why, in plain words.
    pub why: String,
    /// Other columns that could have the role.
    pub alternatives: Vec<String>,
}

/// A table that a foreign key leads to, and that has the text which people use: `machine_id` leads to `machine.code`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Joined {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The other table.
    pub to: Name,
    /// Its columns that are referred to.
    pub to_columns: Vec<String>,
}

/// A column that holds times. A date with several times of day (one date, a start and an end) is listed with each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeColumn {
    /// The column.
    pub column: String,
    /// How it writes a time.
    pub form: TimeForm,
    /// The column that has the time of day to this date.
    pub time_of_day: Option<(String, TimeForm)>,
    /// Which clock it shows.
    pub basis: Basis,
    /// Its latest times lie in the future: they were planned.
    pub planned: bool,
    /// Whether an index begins with it.
    pub indexed: bool,
    /// Filler dates that stand for no date: `1900-01-01`.
    pub fillers: Vec<String>,
    /// Values of the time of day that stand for no time: `1753-01-01T00:00:00`.
    pub time_of_day_fillers: Vec<String>,
    /// Why basis and plan are believed, in plain words.
    pub why: String,
}

impl TimeColumn {
    /// Whether it is the time that a guess means. A guess that names no time of day means the first of the column.
    pub fn is_meant(&self, guess: &RoleGuess) -> bool {
        let of_day = self.time_of_day.as_ref().map(|(column, _)| column);
        self.column == guess.column && (guess.time_of_day.is_none() || guess.time_of_day.as_ref() == of_day)
    }

    /// Its column or its two columns, for people: `posting_date + starting_time`.
    pub fn label(&self) -> String {
        match &self.time_of_day {
            Some((column, _)) => format!("{} + {column}", self.column),
            None => self.column.clone(),
        }
    }
}

/// How a column writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    /// A date-time type without a zone.
    Civil,
    /// A type that names an instant.
    Instant,
    /// A date type.
    Date,
    /// A time-of-day type.
    Time,
    /// Text or number `20250330`.
    Yyyymmdd,
    /// Text `30.03.2025`.
    DottedDate,
    /// Text or number `134500`.
    Hhmmss,
    /// A number of seconds since midnight.
    SecondsOfDay,
    /// Text in the form of ISO 8601.
    Iso8601,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
}

/// Which clock a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The clock on the wall of the factory.
    Local,
    /// UTC.
    Utc,
    /// The value says it itself.
    Zoned,
    /// Nothing tells.
    Unknown,
}

/// What tells that a row changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangeColumn {
    /// The column.
    pub column: String,
    /// Whether an index begins with it.
    pub indexed: bool,
    /// Why it is believed to follow every change, or not: `set by the server on every update`, `by its name`.
    pub why: String,
}

/// A code of the event column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventCode {
    /// The code, as the source gives it.
    pub code: String,
    /// How often it occurs among the rows that were looked at.
    pub count: u64,
    /// What it seems to mean: `START` or `END`; `None` where that must be asked.
    pub meaning: Option<String>,
    /// Why, in plain words.
    pub why: String,
}
