//! Spec to plan: references resolved, defaults applied, everything that a run needs and nothing that may still change.
//!
//! A [`Plan`] in hand means that the spec was checked. Nothing later validates again.

mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use engine_spec::device::Otlp;
use engine_spec::expr::RowExpr;
use engine_spec::model::{
    Action, Auth, Batch, Compression, Deletes, Deliver, Destination, FieldSource, Fields, FutureCheck, HeaderValue,
    IgnoreOrReject, Method, OnStartWhileRunning, Param, Setting, Source, Spec, SyncMode, TableType, TimeSource, Tls,
    TlsMode,
};
use engine_spec::sql::Dialect;
use engine_spec::template::SqlTemplate;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use xxhash_rust::xxh3::xxh3_64;

use self::resolve::Resolver;
use crate::pairing::Rules;
use crate::ports::{DestinationConfig, HttpConfig, References, SourceConfig, TimeoutConfig, TlsConfig};
use crate::state::Fingerprint;

/// `source.timeouts.connect` where it is left out.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// `source.timeouts.query` where it is left out.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(300);
/// One request to a destination, where its `timeouts.query` is left out.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// `sync.lookback` where it is left out.
pub const LOOKBACK: Duration = Duration::from_secs(14 * 86_400);
/// `sync.slice` where it is left out.
pub const SLICE: Duration = Duration::from_secs(86_400);
/// `sync.overlap` where it is left out.
pub const OVERLAP: Duration = Duration::from_secs(600);
/// `sync.delete_limit` where it is left out, in percent.
pub const DELETE_LIMIT_PERCENT: f64 = 10.0;
/// Deletes that never pull the brake, however large their share.
pub const DELETES_FREE: u64 = 10;
/// Tolerance of `checks.future` where it is left out.
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(300);
/// `batch.max_records` where it is left out.
pub const BATCH_RECORDS: usize = 500;
/// `batch.max_bytes` where it is left out.
pub const BATCH_BYTES: usize = 1 << 20;
/// `source.settle` of a CSV folder, where it is left out.
pub const SETTLE: Duration = Duration::from_secs(10);
/// Bytes of changed rows that wait in memory; beyond that they are committed early, and their records held back.
pub const STAGE_BYTES: usize = 8 << 20;
/// One request to a collector of traces: what OpenTelemetry's own exporters wait.
pub const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(10);
/// Path of the endpoint that takes traces, below the address of a collector.
pub const OTLP_TRACES_PATH: &str = "/v1/traces";
/// Path of the delivery endpoint below the address of the platform.
pub const ENLYZE_DELIVERY_PATH: &str = "/api/v2/production-runs";

/// What stands for a text that is not resolved offline.
const OFFLINE: &str = "offline";

/// Everything that a run needs.
#[derive(Debug)]
pub struct Plan {
    /// The pipeline's id.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What one row of the result is.
    pub table: TableType,
    /// The source.
    pub source: SourceConfig,
    /// `source.type`, for the registry.
    pub source_type: &'static str,
    /// Zone of the source's naive date-times.
    pub zone: TimeZone,
    /// The query.
    pub query: Option<SqlTemplate>,
    /// Values of `params`.
    pub params: BTreeMap<String, Param>,
    /// The key columns; empty for the canonical identity.
    pub key: Vec<String>,
    /// The fields, as written.
    pub fields: Fields,
    /// Machine codes and ids.
    pub machines: Option<BTreeMap<String, String>>,
    /// `skip_when`
    pub skip_when: Option<String>,
    /// `cancelled_when`
    pub cancelled_when: Option<String>,
    /// How changes are found.
    pub sync: SyncPlan,
    /// How bookings become runs.
    pub pairing: Rules,
    /// Columns that order bookings of one timestamp.
    pub tie_break: Vec<String>,
    /// Longest pause that is closed, in nanoseconds.
    pub merge_gap: Option<i128>,
    /// What happens to what looks wrong.
    pub checks: CheckPlan,
    /// Share of rejected rows beyond which a run stops, in percent.
    pub max_rejected: Option<f64>,
    /// What is delivered.
    pub deliver: Deliver,
    /// The destination.
    pub destination: Option<DestinationConfig>,
    /// Records of a delivery at most.
    pub batch_records: usize,
    /// Bytes of a delivery at most.
    pub batch_bytes: usize,
    /// Bytes of changed rows that wait in memory before they are committed early.
    pub stage_bytes_max: usize,
    /// The file of its spec holds something else now, which cannot be used: the plan is that of before.
    pub spec_kept: bool,
    /// Hashes of what the records depend on.
    pub fingerprint: Fingerprint,
}

impl Plan {
    /// Whether rows are folded into runs, rather than being records themselves.
    pub fn is_folded(&self) -> bool {
        self.deliver == Deliver::Runs
            && (self.table == TableType::Booking || self.merge_gap.is_some() || self.checks.overlap == Action::Reject)
    }

    /// Whether rows are runs that are looked through for overlaps when the ledger has them.
    pub fn watches_overlaps(&self) -> bool {
        let is_run = self.table == TableType::Order && self.deliver == Deliver::Runs && !self.is_folded();
        is_run && self.checks.overlap == Action::Report
    }

    /// Whether the source gives everything that it has, whatever the window: then the window says only where a missing
    /// row is gone.
    pub fn reads_everything(&self) -> bool {
        matches!(self.source, SourceConfig::Csv(_))
    }

    /// Whether a record whose row is gone is deleted.
    pub fn deletes_what_is_gone(&self) -> bool {
        self.sync.mode != SyncMode::Cursor && self.sync.deletes == Deletes::Propagate
    }

    /// The columns that the spec names, those of its expressions included.
    pub fn named_columns(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> =
            self.key.iter().chain(&self.tie_break).chain(&self.sync.cursor).cloned().collect();
        names.extend(self.sync.column.clone());
        let columns_of = |text: &str| RowExpr::parse(text).0.map(|expr| expr.columns()).unwrap_or_default();
        names.extend([&self.skip_when, &self.cancelled_when].into_iter().flatten().flat_map(|text| columns_of(text)));
        let mut field = |from: &FieldSource| match from {
            FieldSource::Column(name) => _ = names.insert(name.clone()),
            FieldSource::Template(text) => names.extend(columns_of(text)),
            FieldSource::Value(_) => {}
        };
        let fields = &self.fields;
        let texts = [
            &fields.order_code,
            &fields.product_code,
            &fields.machine_code,
            &fields.event,
            &fields.product_name,
            &fields.quantity_total,
            &fields.quantity_scrap,
            &fields.quantity_yield,
            &fields.quantity_unit,
        ];
        texts.into_iter().flatten().chain(fields.attributes.values()).for_each(|text| field(&text.from));
        for time in [&fields.start, &fields.end, &fields.timestamp].into_iter().flatten() {
            match &time.from {
                TimeSource::Whole(from) => field(from),
                TimeSource::Parts { date, time } => {
                    field(&date.from);
                    field(&time.from);
                }
            }
        }
        names
    }

    /// Whether the rows are bookings that become runs.
    pub fn is_paired(&self) -> bool {
        self.deliver == Deliver::Runs && self.table == TableType::Booking
    }
}

/// How changes are found, defaults applied.
#[derive(Debug, Clone)]
pub struct SyncPlan {
    /// The mode.
    pub mode: SyncMode,
    /// How far back every run reads.
    pub lookback: Duration,
    /// How far beyond now every run reads.
    pub lookahead: Duration,
    /// The source column that the window is on.
    pub column: Option<String>,
    /// Whether deletes go on.
    pub deletes: Deletes,
    /// The brake, in percent.
    pub delete_limit: f64,
    /// Where the first fill begins.
    pub start: Option<Timestamp>,
    /// Length of a slice of the first fill.
    pub slice: Duration,
    /// The cursor columns.
    pub cursor: Vec<String>,
    /// How far behind the cursor every run reads again.
    pub overlap: Duration,
    /// A window of its own instead of the one around now: a slice of a backfill.
    pub window: Option<(Timestamp, Timestamp)>,
}

/// What happens to what looks wrong, defaults applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckPlan {
    /// An end before its start.
    pub end_before_start: Action,
    /// A run without length.
    pub zero_length: Action,
    /// A time in the future.
    pub future: Action,
    /// How far in the future.
    pub future_tolerance: Duration,
    /// Two runs on one machine at the same time.
    pub overlap: Action,
    /// A machine code that the map lacks.
    pub unknown_machine: Action,
    /// Two different rows with one key.
    pub duplicate_key: Action,
}

/// What a plan is made of.
pub struct PlanInput<'a> {
    /// The checked spec.
    pub spec: &'a Spec,
    /// The spec as a value, for its fingerprint.
    pub value: &'a serde_json::Value,
    /// Text of the query, wherever it was written.
    pub sql: Option<&'a str>,
    /// The machine map, wherever it was written.
    pub machines: Option<&'a BTreeMap<String, String>>,
    /// Folder of the spec, for relative paths.
    pub folder: &'a Path,
    /// The device's destination.
    pub default_destination: Option<&'a Destination>,
    /// Nothing will be connected to: a reference that cannot be resolved is left open.
    pub offline: bool,
}

/// Something that a plan cannot be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct PlanError {
    /// Place in the spec: `source.password`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// Whether the environment is wrong rather than the spec.
    pub environment: bool,
}

impl Plan {
    /// Makes a plan, or says everything that is in the way.
    pub fn new(input: &PlanInput<'_>, references: &dyn References) -> Result<Self, Vec<PlanError>> {
        let mut resolver = Resolver { references, folder: input.folder, offline: input.offline, errors: Vec::new() };
        let spec = input.spec;
        let source = resolver.source(&spec.source);
        let zone = resolver.zone(source_zone(&spec.source));
        let destination = spec.destination.as_ref().or(input.default_destination);
        let (deliver, batch) = destination.map_or((Deliver::Runs, Batch::default()), form);
        let destination = destination.and_then(|destination| resolver.destination(destination));
        let (source_type, dialect) = source_type(&spec.source);
        let query = match (input.sql, dialect) {
            (Some(sql), Some(dialect)) => match SqlTemplate::parse(sql, dialect) {
                (Some(template), _) => Some(template),
                (None, findings) => {
                    let message = findings.first().map_or("is not a template", |finding| finding.message.as_str());
                    resolver.wrong("query", message);
                    None
                }
            },
            _ => None,
        };
        let sync = resolver.sync(spec, &zone);
        let Some(source) = source else { return Err(resolver.errors) };
        if !resolver.errors.is_empty() {
            return Err(resolver.errors);
        }
        let pairing = spec.pairing.clone().unwrap_or_default();
        let (future, future_tolerance) = match spec.checks.future {
            None => (Action::Reject, FUTURE_TOLERANCE),
            Some(FutureCheck::Action(action)) => (action, FUTURE_TOLERANCE),
            Some(FutureCheck::Tolerance(tolerance)) => (Action::Reject, tolerance.0),
        };
        let mut plan = Self {
            id: spec.id.to_string(),
            labels: spec.labels.clone(),
            table: spec.table,
            source,
            source_type,
            zone,
            query,
            params: spec.query.as_ref().map(|query| query.params.clone()).unwrap_or_default(),
            key: spec.key.clone(),
            fields: spec.fields.clone(),
            machines: input.machines.cloned(),
            skip_when: spec.skip_when.clone(),
            cancelled_when: spec.cancelled_when.clone(),
            sync,
            pairing: Rules {
                on_start_while_running: pairing.on_start_while_running.unwrap_or(OnStartWhileRunning::EndPrevious),
                duplicate_start: pairing.duplicate_start.unwrap_or(IgnoreOrReject::Ignore),
                orphan_end: pairing.orphan_end.unwrap_or(IgnoreOrReject::Reject),
            },
            tie_break: pairing.tie_break,
            merge_gap: spec.merge.as_ref().map(|merge| merge.gap.0.as_nanos() as i128),
            checks: CheckPlan {
                end_before_start: spec.checks.end_before_start.unwrap_or(Action::Reject),
                zero_length: spec.checks.zero_length.unwrap_or(Action::Reject),
                future,
                future_tolerance,
                overlap: spec.checks.overlap.unwrap_or(Action::Report),
                unknown_machine: spec.checks.unknown_machine.unwrap_or(Action::Reject),
                duplicate_key: spec.checks.duplicate_key.unwrap_or(Action::Reject),
            },
            max_rejected: spec.max_rejected.map(|share| share.0),
            deliver,
            destination,
            batch_records: batch.max_records.map_or(BATCH_RECORDS, |records| records.max(1) as usize),
            batch_bytes: batch.max_bytes.map_or(BATCH_BYTES, |bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX)),
            stage_bytes_max: STAGE_BYTES,
            spec_kept: false,
            fingerprint: fingerprint(input, deliver),
        };
        let columns = plan.named_columns();
        if let SourceConfig::Http(api) = &mut plan.source {
            api.params.clone_from(&plan.params);
            api.zone = plan.zone.clone();
            api.columns = columns;
        }
        Ok(plan)
    }
}

/// The settings of a source alone, its references resolved, and the zone of its naive date-times.
pub fn source_config(
    source: &Source,
    folder: &Path,
    references: &dyn References,
) -> Result<(SourceConfig, TimeZone), Vec<PlanError>> {
    let mut resolver = Resolver { references, folder, offline: false, errors: Vec::new() };
    let config = resolver.source(source);
    let zone = resolver.zone(source_zone(source));
    match config {
        Some(config) if resolver.errors.is_empty() => Ok((config, zone)),
        _ => Err(resolver.errors),
    }
}

/// The collector of a device config, its references resolved. `folder` is that of the device config.
pub fn collector_config(
    otlp: &Otlp,
    folder: &Path,
    references: &dyn References,
    offline: bool,
) -> Result<HttpConfig, Vec<PlanError>> {
    let mut resolver = Resolver { references, folder, offline, errors: Vec::new() };
    match resolver.collector(otlp) {
        Some(config) if resolver.errors.is_empty() => Ok(config),
        _ => Err(resolver.errors),
    }
}

/// An HTTP endpoint of the device config that is neither a source nor a destination, as written.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// The address.
    pub url: &'a Setting<String>,
    /// Headers.
    pub headers: &'a BTreeMap<String, HeaderValue>,
    /// How to log in.
    pub auth: Option<&'a Auth>,
    /// Encryption.
    pub tls: Option<&'a Tls>,
}

/// The settings of an endpoint, its references resolved. `at` is its part of the device config, for messages; paths are
/// relative to `folder`.
pub fn endpoint_config(
    at: &str,
    endpoint: &Endpoint<'_>,
    folder: &Path,
    references: &dyn References,
) -> Result<HttpConfig, Vec<PlanError>> {
    let mut resolver = Resolver { references, folder, offline: false, errors: Vec::new() };
    let config = resolver.endpoint(at, endpoint);
    match config {
        Some(config) if resolver.errors.is_empty() => Ok(config),
        _ => Err(resolver.errors),
    }
}

/// A collector of traces without a login, whose whole endpoint this is.
pub fn collector_at(url: String) -> HttpConfig {
    HttpConfig {
        url,
        method: Method::Post,
        headers: Vec::new(),
        secret_headers: Vec::new(),
        auth: None,
        tls: TlsConfig { mode: TlsMode::VerifyFull, ca_file: None, cert_file: None, key_file: None },
        compression: Compression::Gzip,
        timeouts: TimeoutConfig { connect: CONNECT_TIMEOUT, query: COLLECTOR_TIMEOUT },
    }
}

/// `source.type` and its dialect.
pub fn source_type(source: &Source) -> (&'static str, Option<Dialect>) {
    match source {
        Source::SqlServer(_) => ("sqlserver", Some(Dialect::SqlServer)),
        Source::MySql(_) => ("mysql", Some(Dialect::MySql)),
        Source::MariaDb(_) => ("mariadb", Some(Dialect::MariaDb)),
        Source::Oracle(_) => ("oracle", Some(Dialect::Oracle)),
        Source::Postgres(_) => ("postgres", Some(Dialect::Postgres)),
        Source::Sqlite(_) => ("sqlite", Some(Dialect::Sqlite)),
        Source::Http(_) => ("http", None),
        Source::Csv(_) => ("csv", None),
    }
}

/// `source.timezone`, whatever the source.
pub fn source_zone(source: &Source) -> Option<&Setting<String>> {
    match source {
        Source::SqlServer(source) => source.timezone.as_ref(),
        Source::MySql(source) | Source::MariaDb(source) | Source::Postgres(source) => source.timezone.as_ref(),
        Source::Oracle(source) => source.timezone.as_ref(),
        Source::Sqlite(source) => source.timezone.as_ref(),
        Source::Http(source) => source.timezone.as_ref(),
        Source::Csv(source) => source.timezone.as_ref(),
    }
}

fn form(destination: &Destination) -> (Deliver, Batch) {
    match destination {
        Destination::Enlyze(to) => (to.deliver, to.batch.clone()),
        Destination::Http(to) => (to.deliver, to.batch.clone()),
        Destination::File(to) => (to.deliver, to.batch.clone()),
        Destination::Stdout(to) => (to.deliver, to.batch.clone()),
    }
}

/// Hashes of the parts of the spec that the records depend on. The query's text, the login and the schedule are not
/// among them: state belongs to the id.
fn fingerprint(input: &PlanInput<'_>, deliver: Deliver) -> Fingerprint {
    let part = |pointer: &str| input.value.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let hash = |parts: &[String]| format!("{:016x}", xxh3_64(parts.join("\n").as_bytes()));
    Fingerprint {
        identity: hash(&[part("/table"), part("/key"), format!("{deliver:?}")]),
        meaning: hash(&[
            part("/fields"),
            input.machines.map(|machines| format!("{machines:?}")).unwrap_or_default(),
            part("/pairing"),
            part("/merge"),
            part("/checks"),
            part("/skip_when"),
            part("/cancelled_when"),
            part("/source/timezone"),
        ]),
    }
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `sync.start`: an instant, a local date-time or a local date.
pub fn parse_start(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let civil = match text.parse::<jiff::civil::DateTime>() {
        Ok(civil) => civil,
        Err(_) => text.parse::<Date>().ok()?.at(0, 0, 0, 0),
    };
    zone.to_ambiguous_timestamp(civil).earlier().ok()
}
