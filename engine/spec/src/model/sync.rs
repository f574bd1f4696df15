//! How changes are found, bookings paired and rows checked.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Percent, Period};
use crate::decode::present;

/// How much is read again on every run, and how changes are found.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// How changes are found. Default `window`.
    #[schemars(example = &"window")]
    #[serde(default)]
    pub mode: SyncMode,
    /// `window`: how far back every run reads. Default `14d`.
    #[schemars(example = &"14d")]
    #[serde(default, deserialize_with = "present")]
    pub lookback: Option<Period>,
    /// `window`: how far beyond now every run reads. Default `0s`.
    #[schemars(example = &"1h")]
    #[serde(default, deserialize_with = "present")]
    pub lookahead: Option<Period>,
    /// `window`: the source column that the query's window is on. Default: `start` or `timestamp`.
    #[schemars(example = &"erfasst_am")]
    #[serde(default, deserialize_with = "present")]
    pub column: Option<String>,
    /// Whether a record whose row is gone is deleted. Default `propagate`.
    #[schemars(example = &"propagate")]
    #[serde(default, deserialize_with = "present")]
    pub deletes: Option<Deletes>,
    /// Share of the window's records beyond which nothing is deleted without `engine approve`. Default `10%`.
    #[schemars(example = &"10%")]
    #[serde(default, deserialize_with = "present")]
    pub delete_limit: Option<Percent>,
    /// Where the first fill begins. Default: at the window's start.
    #[schemars(example = &"2024-01-01")]
    #[serde(default, deserialize_with = "present")]
    pub start: Option<String>,
    /// Length of one slice of the first fill. Default `1d`.
    #[schemars(example = &"1d")]
    #[serde(default, deserialize_with = "present")]
    pub slice: Option<Period>,
    /// `cursor`: the columns that order the rows, the change column first.
    #[schemars(example = serde_json::json!(["changed_at", "id"]))]
    #[serde(default)]
    pub cursor: Vec<String>,
    /// `cursor`: how far behind the last cursor every run reads again, for late commits. Default `10m`.
    #[schemars(example = &"10m")]
    #[serde(default, deserialize_with = "present")]
    pub overlap: Option<Period>,
}

/// How changes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// Every run reads a window again and compares.
    #[default]
    Window,
    /// Every run reads what lies after the last cursor.
    Cursor,
    /// Every run reads everything and compares.
    Full,
}

/// Whether a record whose row is gone is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// Yes.
    Propagate,
    /// No.
    Ignore,
}

/// How bookings become runs.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pairing {
    /// A START of another order while one runs. Default `end_previous`.
    #[schemars(example = &"end_previous")]
    #[serde(default, deserialize_with = "present")]
    pub on_start_while_running: Option<OnStartWhileRunning>,
    /// A second START of the order that runs. Default `ignore`.
    #[schemars(example = &"ignore")]
    #[serde(default, deserialize_with = "present")]
    pub duplicate_start: Option<IgnoreOrReject>,
    /// An END without a START. Default `reject`.
    #[schemars(example = &"reject")]
    #[serde(default, deserialize_with = "present")]
    pub orphan_end: Option<IgnoreOrReject>,
    /// Columns that order bookings of the same timestamp. Default: none; END comes before START.
    #[schemars(example = serde_json::json!(["satznr"]))]
    #[serde(default)]
    pub tie_break: Vec<String>,
}

/// A START of another order while one runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStartWhileRunning {
    /// The running order ends there.
    EndPrevious,
    /// Both run.
    AllowParallel,
    /// The new START goes to quarantine.
    Reject,
}

/// What happens to a booking that says nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IgnoreOrReject {
    /// It is counted and dropped.
    Ignore,
    /// It goes to quarantine.
    Reject,
}

/// Joins neighbouring runs of the same order, product and machine.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// Longest pause between two runs that become one; `0s` joins those that touch or overlap.
    #[schemars(example = &"5m")]
    pub gap: Period,
}

/// What happens to rows and runs that look wrong.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// An end before its start. Default `reject`.
    #[schemars(example = &"reject")]
    #[serde(default, deserialize_with = "present")]
    pub end_before_start: Option<Action>,
    /// A run without length. Default `reject`: the platform refuses it.
    #[schemars(example = &"report")]
    #[serde(default, deserialize_with = "present")]
    pub zero_length: Option<Action>,
    /// A time in the future: an action, or the tolerance beyond which it is rejected. Default `5m`.
    #[schemars(example = &"5m")]
    #[serde(default, deserialize_with = "present")]
    pub future: Option<FutureCheck>,
    /// Two runs on one machine at the same time. Default `report`.
    #[schemars(example = &"report")]
    #[serde(default, deserialize_with = "present")]
    pub overlap: Option<Action>,
    /// A machine code that `machines` lacks. Default `reject`; it heals when the code is mapped.
    #[schemars(example = &"reject")]
    #[serde(default, deserialize_with = "present")]
    pub unknown_machine: Option<Action>,
    /// Two different rows with one key in one result. Default `reject`.
    #[schemars(example = &"reject")]
    #[serde(default, deserialize_with = "present")]
    pub duplicate_key: Option<Action>,
}

/// What happens to what a check finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes to quarantine.
    Reject,
    /// It is counted and reported, and goes on.
    Report,
    /// It goes on.
    Allow,
}

/// `checks.future`: an action, or the tolerance beyond which a time is rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FutureCheck {
    /// With the default tolerance of five minutes.
    Action(Action),
    /// Reject beyond this tolerance.
    Tolerance(Period),
}
