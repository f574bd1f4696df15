//! Spec to plan: references resolved, defaults applied, everything that a run needs and nothing that may still change.
//!
//! A [`Plan`] in hand means that the spec was checked. Nothing later validates again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use engine_spec::expr::RowExpr;
use engine_spec::model::{
    Action, ApplicationIntent, Auth, Batch, Deletes, Deliver, Destination, FieldSource, Fields, FutureCheck,
    HeaderValue, IgnoreOrReject, Isolation, Method, OnStartWhileRunning, OracleDriver, Param, Period, Secret,
    ServerSource, Setting, Source, Spec, SyncMode, TableType, TimeSource, Timeouts, Tls, TlsMode,
};
use engine_spec::sql::Dialect;
use engine_spec::template::SqlTemplate;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use xxhash_rust::xxh3::xxh3_64;

use crate::pairing::Rules;
use crate::ports::{
    AuthConfig, DestinationConfig, HttpConfig, OracleOptions, References, ServerConfig, SourceConfig, SqlServerOptions,
    SqliteConfig, TimeoutConfig, TlsConfig,
};
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
/// Bytes of changed rows that wait in memory; beyond that they are committed early, and their records held back.
pub const STAGE_BYTES: usize = 8 << 20;
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
    /// Hashes of what the records depend on.
    pub fingerprint: Fingerprint,
}

impl Plan {
    /// Whether rows are folded into runs, rather than being records themselves.
    pub fn is_folded(&self) -> bool {
        self.deliver == Deliver::Runs
            && (self.table == TableType::Booking || self.merge_gap.is_some() || self.checks.overlap == Action::Reject)
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
        Ok(Self {
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
            fingerprint: fingerprint(input, deliver),
        })
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

/// Resolves settings and collects what is wrong.
struct Resolver<'a> {
    references: &'a dyn References,
    folder: &'a Path,
    offline: bool,
    errors: Vec<PlanError>,
}

impl Resolver<'_> {
    fn wrong(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(PlanError { path: path.to_owned(), message: message.into(), environment: false });
    }

    fn secret(&mut self, path: &str, secret: &Secret) -> Option<SecretString> {
        match self.references.resolve(&secret.0) {
            Ok(value) => Some(value),
            Err(_) if self.offline => Some(SecretString::from(OFFLINE)),
            Err(message) => {
                self.errors.push(PlanError { path: path.to_owned(), message, environment: true });
                None
            }
        }
    }

    fn text_of<T: Clone>(
        &mut self,
        path: &str,
        setting: &Setting<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match setting {
            Setting::Literal(value) => Some(value.clone()),
            Setting::Reference(reference) => match self.references.resolve(reference) {
                // The value may be secret although its key is not: messages name the reference only.
                Ok(value) => match parse(value.expose_secret()) {
                    Ok(value) => Some(value),
                    Err(_) => {
                        let message = format!("the value of {reference} does not fit here");
                        self.errors.push(PlanError { path: path.to_owned(), message, environment: true });
                        None
                    }
                },
                Err(_) if self.offline => None,
                Err(message) => {
                    self.errors.push(PlanError { path: path.to_owned(), message, environment: true });
                    None
                }
            },
        }
    }

    fn text(&mut self, path: &str, setting: &Setting<String>) -> Option<String> {
        let text = self.text_of(path, setting, |text| Ok(text.to_owned()));
        if self.offline { text.or_else(|| Some(OFFLINE.to_owned())) } else { text }
    }

    fn optional(&mut self, path: &str, setting: Option<&Setting<String>>) -> Option<String> {
        setting.and_then(|setting| self.text(path, setting))
    }

    fn port(&mut self, setting: Option<&Setting<u16>>) -> Option<u16> {
        setting.and_then(|setting| {
            self.text_of("source.port", setting, |text| u16::from_str(text).map_err(|error| error.to_string()))
        })
    }

    fn word<T: serde::de::DeserializeOwned + Clone>(&mut self, path: &str, setting: Option<&Setting<T>>) -> Option<T> {
        setting.and_then(|setting| {
            self.text_of(path, setting, |text| {
                serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
            })
        })
    }

    fn path(&mut self, path: &str, setting: &Setting<String>) -> Option<PathBuf> {
        self.text(path, setting).map(|text| self.folder.join(text))
    }

    fn period(&mut self, path: &str, setting: Option<&Setting<Period>>, default: Duration) -> Duration {
        setting.and_then(|setting| self.text_of(path, setting, Period::from_str)).map_or(default, |period| period.0)
    }

    fn timeouts(&mut self, at: &str, timeouts: &Timeouts, query: Duration) -> TimeoutConfig {
        TimeoutConfig {
            connect: self.period(&format!("{at}.timeouts.connect"), timeouts.connect.as_ref(), CONNECT_TIMEOUT),
            query: self.period(&format!("{at}.timeouts.query"), timeouts.query.as_ref(), query),
        }
    }

    fn tls(&mut self, at: &str, tls: Option<&Tls>, host: &str) -> TlsConfig {
        let default = if is_loopback(host) { TlsMode::Prefer } else { TlsMode::VerifyFull };
        let Some(tls) = tls else {
            return TlsConfig { mode: default, ca_file: None, cert_file: None, key_file: None };
        };
        let mut file = |key: &str, setting: &Option<Setting<String>>| {
            setting.as_ref().and_then(|setting| self.path(&format!("{at}.tls.{key}"), setting))
        };
        let ca_file = file("ca_file", &tls.ca_file);
        let cert_file = file("cert_file", &tls.cert_file);
        let key_file = file("key_file", &tls.key_file);
        // A certificate authority that somebody took the trouble to name is there to be checked.
        let default = if ca_file.is_some() { TlsMode::VerifyFull } else { default };
        let mode = self.word(&format!("{at}.tls.mode"), tls.mode.as_ref()).unwrap_or(default);
        TlsConfig { mode, ca_file, cert_file, key_file }
    }

    fn zone(&mut self, setting: Option<&Setting<String>>) -> TimeZone {
        // Offline too, the zone decides what comes out: it must be known.
        let offline = std::mem::replace(&mut self.offline, false);
        let name = setting.and_then(|setting| self.text("source.timezone", setting));
        self.offline = offline;
        let Some(name) = name else { return TimeZone::UTC };
        TimeZone::get(&name).unwrap_or_else(|_| {
            self.wrong("source.timezone", format!("`{name}` is not an IANA time zone"));
            TimeZone::UTC
        })
    }

    fn server(&mut self, server: &ServerSource, port: u16) -> Option<ServerConfig> {
        let host = self.text("source.host", &server.host);
        let database = self.text("source.database", &server.database);
        let username = self.text("source.username", &server.username);
        let password = server.password.as_ref().and_then(|secret| self.secret("source.password", secret));
        let port = self.port(server.port.as_ref()).unwrap_or(port);
        let tls = self.tls("source", server.tls.as_ref(), host.as_deref().unwrap_or_default());
        let timeouts = self.timeouts("source", &server.timeouts, QUERY_TIMEOUT);
        Some(ServerConfig {
            host: host?,
            port: Some(port),
            database: database?,
            username: username?,
            password,
            tls,
            timeouts,
        })
    }

    fn source(&mut self, source: &Source) -> Option<SourceConfig> {
        match source {
            Source::Postgres(server) => self.server(server, 5432).map(SourceConfig::Postgres),
            Source::MySql(server) => self.server(server, 3306).map(SourceConfig::MySql),
            Source::MariaDb(server) => self.server(server, 3306).map(SourceConfig::MariaDb),
            Source::Sqlite(file) => {
                let path = self.path("source.path", &file.path);
                let timeouts = self.timeouts("source", &file.timeouts, QUERY_TIMEOUT);
                Some(SourceConfig::Sqlite(SqliteConfig { path: path?, timeouts }))
            }
            Source::SqlServer(server) => {
                let host = self.text("source.host", &server.host);
                let database = self.text("source.database", &server.database);
                let username = self.text("source.username", &server.username);
                let password = server.password.as_ref().and_then(|secret| self.secret("source.password", secret));
                let instance = self.optional("source.instance", server.instance.as_ref());
                let domain = self.optional("source.domain", server.domain.as_ref());
                let port = self.port(server.port.as_ref()).or(if instance.is_some() { None } else { Some(1433) });
                let tls = self.tls("source", server.tls.as_ref(), host.as_deref().unwrap_or_default());
                let timeouts = self.timeouts("source", &server.timeouts, QUERY_TIMEOUT);
                let application_intent = self
                    .word("source.application_intent", server.application_intent.as_ref())
                    .unwrap_or(ApplicationIntent::ReadOnly);
                let isolation =
                    self.word("source.isolation", server.isolation.as_ref()).unwrap_or(Isolation::ReadCommitted);
                let config = ServerConfig {
                    host: host?,
                    port,
                    database: database?,
                    username: username?,
                    password,
                    tls,
                    timeouts,
                };
                Some(SourceConfig::SqlServer(
                    config,
                    SqlServerOptions { instance, domain, application_intent, isolation },
                ))
            }
            Source::Oracle(server) => {
                let host = self.optional("source.host", server.host.as_ref());
                let database = self.optional("source.database", server.database.as_ref());
                let sid = self.optional("source.sid", server.sid.as_ref());
                let tns = self.optional("source.tns", server.tns.as_ref());
                let config_dir = server.config_dir.as_ref().and_then(|path| self.path("source.config_dir", path));
                let username = self.text("source.username", &server.username);
                let password = server.password.as_ref().and_then(|secret| self.secret("source.password", secret));
                let port = self.port(server.port.as_ref()).unwrap_or(1521);
                let tls = self.tls("source", server.tls.as_ref(), host.as_deref().unwrap_or_default());
                let timeouts = self.timeouts("source", &server.timeouts, QUERY_TIMEOUT);
                let driver = self.word("source.driver", server.driver.as_ref()).unwrap_or(OracleDriver::Auto);
                let config = ServerConfig {
                    host: host.unwrap_or_default(),
                    port: Some(port),
                    database: database.unwrap_or_default(),
                    username: username?,
                    password,
                    tls,
                    timeouts,
                };
                Some(SourceConfig::Oracle(config, OracleOptions { sid, tns, config_dir, driver }))
            }
            Source::Http(_) | Source::Csv(_) => {
                let (name, _) = source_type(source);
                if self.offline {
                    // Rows of a test are mapped whatever they would come from.
                    return Some(SourceConfig::Unavailable(name));
                }
                self.wrong("source.type", format!("this version of engine cannot read from `{name}` yet"));
                None
            }
        }
    }

    fn auth(&mut self, auth: &Auth) -> Option<AuthConfig> {
        let at = "destination.auth";
        match auth {
            Auth::Bearer(secret) => self.secret(&format!("{at}.bearer"), secret).map(AuthConfig::Bearer),
            Auth::Basic(basic) => {
                let username = self.text(&format!("{at}.basic.username"), &basic.username);
                let password = self.secret(&format!("{at}.basic.password"), &basic.password);
                Some(AuthConfig::Basic(username?, password?))
            }
            Auth::Header(header) => {
                let value = self.secret(&format!("{at}.header.value"), &header.value);
                Some(AuthConfig::Header(header.name.clone(), value?))
            }
            Auth::Oauth2(oauth) => {
                let token_url = self.text(&format!("{at}.oauth2.token_url"), &oauth.token_url);
                let client_id = self.text(&format!("{at}.oauth2.client_id"), &oauth.client_id);
                let client_secret = self.secret(&format!("{at}.oauth2.client_secret"), &oauth.client_secret);
                let scope = self.optional(&format!("{at}.oauth2.scope"), oauth.scope.as_ref());
                Some(AuthConfig::OAuth2 {
                    token_url: token_url?,
                    client_id: client_id?,
                    client_secret: client_secret?,
                    scope,
                })
            }
        }
    }

    fn destination(&mut self, destination: &Destination) -> Option<DestinationConfig> {
        let at = "destination";
        match destination {
            Destination::Stdout(_) => Some(DestinationConfig::Stdout),
            // Deliveries are the operator's files, not the spec's: relative to where engine runs.
            Destination::File(file) => {
                self.text("destination.path", &file.path).map(|path| DestinationConfig::File(PathBuf::from(path)))
            }
            Destination::Enlyze(to) => {
                let url = self.text("destination.url", &to.url);
                let auth = match (&to.token, &to.username, &to.password) {
                    (Some(token), _, _) => self.secret("destination.token", token).map(AuthConfig::Bearer),
                    (None, Some(username), Some(password)) => {
                        let username = self.text("destination.username", username);
                        let password = self.secret("destination.password", password);
                        username.zip(password).map(|(username, password)| AuthConfig::Basic(username, password))
                    }
                    _ => {
                        self.wrong(at, "needs `token`, or `username` and `password`");
                        None
                    }
                };
                let url = url?;
                let tls = self.tls(at, to.tls.as_ref(), "");
                let timeouts = self.timeouts(at, &to.timeouts, REQUEST_TIMEOUT);
                Some(DestinationConfig::Http(HttpConfig {
                    url: format!("{}{ENLYZE_DELIVERY_PATH}", url.trim_end_matches('/')),
                    method: Method::Post,
                    headers: Vec::new(),
                    secret_headers: Vec::new(),
                    auth: Some(auth?),
                    tls,
                    compression: to.compression,
                    timeouts,
                }))
            }
            Destination::Http(to) => {
                let url = self.text("destination.url", &to.url);
                let auth = to.auth.as_ref().map(|auth| self.auth(auth));
                let mut headers = Vec::new();
                let mut secret_headers = Vec::new();
                for (name, value) in &to.headers {
                    match value {
                        HeaderValue::Text(text) => headers.push((name.clone(), text.clone())),
                        HeaderValue::Secret(secret) => {
                            if let Some(value) = self.secret(&format!("{at}.headers.{name}"), secret) {
                                secret_headers.push((name.clone(), value));
                            }
                        }
                    }
                }
                let tls = self.tls(at, to.tls.as_ref(), "");
                let timeouts = self.timeouts(at, &to.timeouts, REQUEST_TIMEOUT);
                let auth = match auth {
                    Some(None) => return None,
                    Some(auth) => auth,
                    None => None,
                };
                Some(DestinationConfig::Http(HttpConfig {
                    url: url?,
                    method: to.method.unwrap_or(Method::Post),
                    headers,
                    secret_headers,
                    auth,
                    tls,
                    compression: to.compression,
                    timeouts,
                }))
            }
        }
    }

    fn sync(&mut self, spec: &Spec, zone: &TimeZone) -> SyncPlan {
        let sync = &spec.sync;
        let period = |period: Option<Period>, default: Duration| period.map_or(default, |period| period.0);
        let start = sync.start.as_ref().and_then(|text| {
            let start = parse_start(text, zone);
            if start.is_none() {
                self.wrong("sync.start", format!("`{text}` is not a date or a date-time"));
            }
            start
        });
        SyncPlan {
            mode: sync.mode,
            lookback: period(sync.lookback, LOOKBACK),
            lookahead: period(sync.lookahead, Duration::ZERO),
            column: sync.column.clone(),
            deletes: sync.deletes.unwrap_or(Deletes::Propagate),
            delete_limit: sync.delete_limit.map_or(DELETE_LIMIT_PERCENT, |share| share.0),
            start,
            slice: period(sync.slice, SLICE).max(Duration::from_secs(1)),
            cursor: sync.cursor.clone(),
            overlap: period(sync.overlap, OVERLAP),
        }
    }
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
