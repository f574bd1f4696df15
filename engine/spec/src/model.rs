//! The pipeline spec as written: one type per block, in the order of the reference.
//!
//! The doc comments here *are* the reference: the JSON schema, the editor hovers and the reference page
//! are generated from them. A value of type [`Spec`] has the right shape, nothing more; whether it means
//! something is decided by [`crate::check`].

mod api;
mod destination;
mod examples;
mod fields;
mod query;
mod rooted;
mod source;
mod sync;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::api::*;
pub use self::destination::*;
pub use self::examples::*;
pub use self::fields::*;
pub use self::query::*;
pub use self::source::*;
pub use self::sync::*;
use crate::decode::present;
pub use crate::scalar::{ByteSize, Ident, Percent, Period, Reference, Scalar, Secret, Setting};

/// One pipeline: one source, one query, one table type.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Pipeline spec, version 1")]
pub struct Spec {
    /// Version of the spec format. Always `1`.
    #[schemars(example = &1)]
    pub version: Version,
    /// Name of the pipeline, unique on a device. All state hangs on it: renaming starts afresh.
    #[schemars(example = &"acme-bookings")]
    pub id: Ident,
    /// What the pipeline reads, for people.
    #[schemars(example = &"Shop-floor terminals, plant Aachen")]
    #[serde(default, deserialize_with = "present")]
    pub description: Option<String>,
    /// Names and values that go on every log line, metric and delivery.
    #[schemars(example = serde_json::json!({"customer": "acme", "site": "aachen"}))]
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When the pipeline runs as a service. Default: every 5 minutes.
    #[serde(default)]
    pub schedule: Schedule,
    /// Where the rows come from.
    pub source: Source,
    /// What one row of the result is.
    pub table: TableType,
    /// The templated SQL, required for database sources; the `params` of an HTTP source.
    #[serde(default, deserialize_with = "present")]
    pub query: Option<Query>,
    /// Columns that identify a source row for ever. Default: the canonical identity of the table type.
    #[schemars(example = serde_json::json!(["satznr"]))]
    #[serde(default)]
    pub key: Vec<String>,
    /// Canonical attributes and the source columns they come from.
    #[schemars(example = serde_json::json!({"order_code": "anr", "product_code": "artnr", "machine_code": "mnr", "start": "von", "end": "bis"}))]
    pub fields: Fields,
    /// Machine codes and the platform's machine ids, inline or from a file. Default: only the code is sent.
    #[serde(default, deserialize_with = "present")]
    pub machines: Option<Machines>,
    /// Expression over the row; a row for which it is true is dropped.
    #[schemars(example = &"werk != '1000'")]
    #[serde(default, deserialize_with = "present")]
    pub skip_when: Option<String>,
    /// Expression over the row; a row for which it is true counts as deleted.
    #[schemars(example = &"storno == 'X'")]
    #[serde(default, deserialize_with = "present")]
    pub cancelled_when: Option<String>,
    /// How much is read again on every run, and how changes are found.
    #[serde(default)]
    pub sync: Sync,
    /// How bookings become runs. Booking tables only.
    #[serde(default, deserialize_with = "present")]
    pub pairing: Option<Pairing>,
    /// Joins neighbouring runs of the same order, product and machine. Default: off.
    #[serde(default, deserialize_with = "present")]
    pub merge: Option<Merge>,
    /// What happens to rows and runs that look wrong.
    #[serde(default)]
    pub checks: Checks,
    /// Share of rejected rows beyond which a run stops and sends nothing.
    #[schemars(example = &"5%")]
    #[serde(default, deserialize_with = "present")]
    pub max_rejected: Option<Percent>,
    /// Where the runs go. Default: the destination of the device config.
    #[serde(default, deserialize_with = "present")]
    pub destination: Option<Destination>,
    /// Examples that `engine test` executes offline.
    #[serde(default)]
    pub tests: Vec<SpecTest>,
}

/// Version of the spec format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version;

/// What one row of the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableType {
    /// One row is one production order on one machine, with its start and its end.
    Order,
    /// One row is one booking event, the start or the end of a run.
    Booking,
}

/// When a pipeline runs as a service: `every`, or `cron`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Time from the start of one run to the start of the next. Default `5m` where there is no `cron`.
    #[schemars(example = &"2m")]
    #[serde(default, deserialize_with = "present")]
    pub every: Option<Period>,
    /// Cron expression with five fields.
    #[schemars(example = &"*/5 6-22 * * MON-FRI")]
    #[serde(default, deserialize_with = "present")]
    pub cron: Option<String>,
    /// IANA zone in which `cron` is read. Default `UTC`.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<String>,
    /// Upper bound of a random delay before each run, so that pipelines do not start all at once. Default `0s`.
    #[schemars(example = &"10s")]
    #[serde(default, deserialize_with = "present")]
    pub jitter: Option<Period>,
}
