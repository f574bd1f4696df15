//! The pipeline spec as written: one type per block, in the order of the reference.
//!
//! The doc comments here *are* the reference: the JSON schema, the editor hovers and the reference page
//! are generated from them. A value of type [`Spec`] has the right shape, nothing more; whether it means
//! something is decided by [`crate::check`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

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
    /// The templated SQL. Required for database sources.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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

// ---------------------------------------------------------------------------------------------- source

/// Where the rows come from: a database, an HTTP API or CSV files.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source {
    /// Microsoft SQL Server.
    #[serde(rename = "sqlserver")]
    SqlServer(SqlServerSource),
    /// MySQL.
    #[serde(rename = "mysql")]
    MySql(ServerSource),
    /// MariaDB.
    #[serde(rename = "mariadb")]
    MariaDb(ServerSource),
    /// Oracle Database.
    Oracle(OracleSource),
    /// PostgreSQL.
    Postgres(ServerSource),
    /// A SQLite file, opened read-only.
    Sqlite(SqliteSource),
    /// An HTTP API.
    Http(HttpSource),
    /// A folder of CSV files.
    Csv(CsvSource),
}

/// A MySQL, MariaDB or PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSource {
    /// Host name or address.
    #[schemars(example = &"10.20.0.5")]
    pub host: Setting<String>,
    /// TCP port. Default: 5432 for PostgreSQL, 3306 for MySQL and MariaDB.
    #[schemars(example = &5432)]
    #[serde(default, deserialize_with = "present")]
    pub port: Option<Setting<u16>>,
    /// Name of the database.
    #[schemars(example = &"mes")]
    pub database: Setting<String>,
    /// Login name of a read-only account.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_USER"}))]
    pub username: Setting<String>,
    /// Password of the account. A reference only. Left out: no password is sent.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// Encryption. Default: `verify-full`, and `prefer` on loopback.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// A Microsoft SQL Server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlServerSource {
    /// Host name or address.
    #[schemars(example = &"10.20.0.5")]
    pub host: Setting<String>,
    /// TCP port. Default: 1433, or what the browser service says of `instance`.
    #[schemars(example = &1433)]
    #[serde(default, deserialize_with = "present")]
    pub port: Option<Setting<u16>>,
    /// Named instance. An explicit `port` wins.
    #[schemars(example = &"HYDRA")]
    #[serde(default, deserialize_with = "present")]
    pub instance: Option<Setting<String>>,
    /// Name of the database.
    #[schemars(example = &"HYDRA")]
    pub database: Setting<String>,
    /// Windows domain; makes the login a Windows login.
    #[schemars(example = &"ACME")]
    #[serde(default, deserialize_with = "present")]
    pub domain: Option<Setting<String>>,
    /// Login name of a read-only account.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_USER"}))]
    pub username: Setting<String>,
    /// Password of the account. A reference only.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// What the session announces to an availability group. Default `ReadOnly`.
    #[schemars(example = &"ReadOnly")]
    #[serde(default, deserialize_with = "present")]
    pub application_intent: Option<Setting<ApplicationIntent>>,
    /// Isolation level of the reading session. Default `read committed`.
    #[schemars(example = &"snapshot")]
    #[serde(default, deserialize_with = "present")]
    pub isolation: Option<Setting<Isolation>>,
    /// Encryption. Default: `verify-full`, and `prefer` on loopback.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// What a SQL Server session announces to an availability group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ApplicationIntent {
    /// May be routed to a readable secondary.
    ReadOnly,
    /// Stays on the primary.
    ReadWrite,
}

/// Isolation level of a SQL Server session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Waits for writers; the server's default.
    #[serde(rename = "read committed")]
    ReadCommitted,
    /// Reads a consistent state without waiting; the database must allow it.
    #[serde(rename = "snapshot")]
    Snapshot,
    /// Never waits, and may read what is later undone.
    #[serde(rename = "read uncommitted")]
    ReadUncommitted,
}

/// An Oracle Database: exactly one of `database` (service name), `sid` or `tns`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleSource {
    /// Host name or address. Not with `tns`.
    #[schemars(example = &"10.20.0.5")]
    #[serde(default, deserialize_with = "present")]
    pub host: Option<Setting<String>>,
    /// TCP port. Default 1521.
    #[schemars(example = &1521)]
    #[serde(default, deserialize_with = "present")]
    pub port: Option<Setting<u16>>,
    /// Service name.
    #[schemars(example = &"ORCLPDB1")]
    #[serde(default, deserialize_with = "present")]
    pub database: Option<Setting<String>>,
    /// System identifier, where there is no service name.
    #[schemars(example = &"ORCL")]
    #[serde(default, deserialize_with = "present")]
    pub sid: Option<Setting<String>>,
    /// Alias from `tnsnames.ora` in `config_dir`.
    #[schemars(example = &"MESPROD")]
    #[serde(default, deserialize_with = "present")]
    pub tns: Option<Setting<String>>,
    /// Folder with `tnsnames.ora` and the wallet.
    #[schemars(example = &"/etc/engine/oracle")]
    #[serde(default, deserialize_with = "present")]
    pub config_dir: Option<Setting<String>>,
    /// Login name of a read-only account.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_USER"}))]
    pub username: Setting<String>,
    /// Password of the account. A reference only.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// Which driver speaks to the server. Default `auto`: OCI where Instant Client is installed, else thin.
    #[schemars(example = &"thin")]
    #[serde(default, deserialize_with = "present")]
    pub driver: Option<Setting<OracleDriver>>,
    /// Encryption. Default: `verify-full`, and `prefer` on loopback.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Which Oracle driver speaks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OracleDriver {
    /// OCI where Instant Client is installed, else thin.
    Auto,
    /// Oracle's own driver without Instant Client; Database 19c and later.
    Thin,
    /// Instant Client; reaches old servers, old verifiers and native network encryption.
    Oci,
}

/// A SQLite file, opened read-only.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteSource {
    /// The database file, relative to the spec.
    #[schemars(example = &"mes.db")]
    pub path: Setting<String>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for a lock and for the query.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// An HTTP API.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {
    /// Base address; `request.path` is appended.
    #[schemars(example = &"https://mes.acme.example/api/v1")]
    pub url: Setting<String>,
    /// How to log in. Default: not at all.
    #[serde(default, deserialize_with = "present")]
    pub auth: Option<Auth>,
    /// What is asked.
    #[serde(default)]
    pub request: Request,
    /// Where the records are in the answer, as a JSONPath (RFC 9535). Default `$[*]`.
    #[schemars(example = &"$.data[*]")]
    #[serde(default, deserialize_with = "present")]
    pub records: Option<String>,
    /// How the answer continues. Default: one page.
    #[serde(default, deserialize_with = "present")]
    pub pagination: Option<Pagination>,
    /// Requests per second at most. Default: no limit.
    #[schemars(example = &5)]
    #[serde(default, deserialize_with = "present")]
    pub rate_limit: Option<f64>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of naive date-times in the records. Default `UTC`.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// What is asked of an HTTP API; every text is a template over `window`, `cursor`, `params` and `run`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Method. Default `GET`.
    #[schemars(example = &"GET")]
    #[serde(default, deserialize_with = "present")]
    pub method: Option<Method>,
    /// Path below the base address.
    #[schemars(example = &"/bookings")]
    #[serde(default, deserialize_with = "present")]
    pub path: Option<String>,
    /// Query parameters.
    #[schemars(example = serde_json::json!({"from": "{{ window.start | instant }}"}))]
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers.
    #[schemars(example = serde_json::json!({"Accept": "application/json"}))]
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// JSON body; its texts are templates.
    #[schemars(example = serde_json::json!({"from": "{{ window.start | instant }}"}))]
    #[serde(default, deserialize_with = "present")]
    pub body: Option<serde_json::Value>,
}

/// HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
}

/// How an HTTP answer continues: exactly one of its keys.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pagination {
    /// A cursor in the answer is sent with the next request.
    #[schemars(example = serde_json::json!({"path": "$.next_cursor", "param": "cursor"}))]
    Cursor(CursorPages),
    /// Numbered pages.
    #[schemars(example = serde_json::json!({"param": "page"}))]
    Page(NumberedPages),
    /// Offset and limit.
    #[schemars(example = serde_json::json!({"param": "offset", "limit": 100}))]
    Offset(OffsetPages),
    /// The answer links to the next page.
    #[schemars(example = serde_json::json!({}))]
    Link(LinkPages),
}

/// A cursor in the answer is sent with the next request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CursorPages {
    /// JSONPath of the cursor in the answer; absent or null ends the reading.
    #[schemars(example = &"$.metadata.next_cursor")]
    pub path: String,
    /// Query parameter that carries it.
    #[schemars(example = &"cursor")]
    pub param: String,
}

/// Numbered pages; an empty page ends the reading.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberedPages {
    /// Query parameter of the page number.
    #[schemars(example = &"page")]
    pub param: String,
    /// Number of the first page. Default 1.
    #[schemars(example = &1)]
    #[serde(default, deserialize_with = "present")]
    pub first: Option<u64>,
    /// Query parameter of the page size.
    #[schemars(example = &"per_page")]
    #[serde(default, deserialize_with = "present")]
    pub size_param: Option<String>,
    /// Records a page.
    #[schemars(example = &100)]
    #[serde(default, deserialize_with = "present")]
    pub size: Option<u64>,
}

/// Offset and limit; an answer shorter than the limit ends the reading.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffsetPages {
    /// Query parameter of the offset.
    #[schemars(example = &"offset")]
    pub param: String,
    /// Query parameter of the limit.
    #[schemars(example = &"limit")]
    #[serde(default, deserialize_with = "present")]
    pub limit_param: Option<String>,
    /// Records a page.
    #[schemars(example = &100)]
    pub limit: u64,
}

/// The answer links to the next page.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkPages {
    /// JSONPath of the next page's address. Default: the `Link` header with `rel="next"` (RFC 8288).
    #[schemars(example = &"$['@odata.nextLink']")]
    #[serde(default, deserialize_with = "present")]
    pub path: Option<String>,
}

/// A folder of CSV files.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvSource {
    /// The folder, relative to the spec.
    #[schemars(example = &"/srv/exports")]
    pub path: Setting<String>,
    /// Which files of the folder. Default `*.csv`.
    #[schemars(example = &"bookings-*.csv")]
    #[serde(default, deserialize_with = "present")]
    pub glob: Option<String>,
    /// Character that separates fields. Default `,`.
    #[schemars(example = &";")]
    #[serde(default, deserialize_with = "present")]
    pub delimiter: Option<char>,
    /// Character that quotes a field. Default `"`.
    #[schemars(example = &"\"")]
    #[serde(default, deserialize_with = "present")]
    pub quote: Option<char>,
    /// Encoding of the files. Default `utf-8`.
    #[schemars(example = &"windows-1252")]
    #[serde(default, deserialize_with = "present")]
    pub encoding: Option<String>,
    /// Whether the first line names the columns. Default: yes where `columns` is left out.
    #[schemars(example = &true)]
    #[serde(default, deserialize_with = "present")]
    pub header: Option<bool>,
    /// Names of the columns, for files without a header.
    #[schemars(example = serde_json::json!(["order", "machine", "start", "end"]))]
    #[serde(default)]
    pub columns: Vec<String>,
    /// Character of the decimal point. Default `.`.
    #[schemars(example = &",")]
    #[serde(default, deserialize_with = "present")]
    pub decimal: Option<char>,
    /// How long a file must stay unchanged before it is read. Default `10s`.
    #[schemars(example = &"30s")]
    #[serde(default, deserialize_with = "present")]
    pub settle: Option<Period>,
    /// IANA zone of naive date-times in the files. Default `UTC`.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
}

/// How long to wait for a server.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection, login included. Default `10s`.
    #[schemars(example = &"10s")]
    #[serde(default, deserialize_with = "present")]
    pub connect: Option<Setting<Period>>,
    /// For a query, from sending it to its last row. Default `5m`.
    #[schemars(example = &"5m")]
    #[serde(default, deserialize_with = "present")]
    pub query: Option<Setting<Period>>,
}

/// Encryption of a connection.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// How strict. Default `verify-full` wherever a password crosses a network.
    #[schemars(example = &"verify-full")]
    #[serde(default, deserialize_with = "present")]
    pub mode: Option<Setting<TlsMode>>,
    /// Certificates of the authorities to trust, PEM, relative to the spec. Default: those of the system.
    #[schemars(example = &"acme-ca.pem")]
    #[serde(default, deserialize_with = "present")]
    pub ca_file: Option<Setting<String>>,
    /// Client certificate, PEM, relative to the spec.
    #[schemars(example = &"client.pem")]
    #[serde(default, deserialize_with = "present")]
    pub cert_file: Option<Setting<String>>,
    /// Private key of the client certificate, PEM, relative to the spec.
    #[schemars(example = &"client.key")]
    #[serde(default, deserialize_with = "present")]
    pub key_file: Option<Setting<String>>,
}

/// How strict the encryption of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption where the server offers it; no certificate is checked.
    Prefer,
    /// Encryption; no certificate is checked.
    Require,
    /// Encryption; the certificate's authority is checked.
    VerifyCa,
    /// Encryption; the certificate's authority and the host name are checked.
    VerifyFull,
}

// ----------------------------------------------------------------------------------------------- query

/// The templated SQL: `sql`, or `file`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Values that the template can use as `params.*`.
    #[schemars(example = serde_json::json!({"plant": "1000"}))]
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The template.
    #[schemars(example = &"SELECT id, anr FROM buchung WHERE ts >= {{ window.start }} AND ts < {{ window.end }}")]
    #[serde(default, deserialize_with = "present")]
    pub sql: Option<String>,
    /// File with the template, relative to the spec.
    #[schemars(example = &"bookings.sql")]
    #[serde(default, deserialize_with = "present")]
    pub file: Option<String>,
}

/// A value of `params`: a scalar, or a list of scalars.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// One value, bound as one parameter.
    One(Scalar),
    /// Several values, bound as as many parameters.
    List(Vec<Scalar>),
}

// ---------------------------------------------------------------------------------------------- fields

/// Canonical attributes and the source columns they come from.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Code of the production order. Required.
    #[schemars(example = &"anr")]
    #[serde(default, deserialize_with = "present")]
    pub order_code: Option<TextField>,
    /// Code of the product. Required.
    #[schemars(example = &"artnr")]
    #[serde(default, deserialize_with = "present")]
    pub product_code: Option<TextField>,
    /// Code of the machine. Required.
    #[schemars(example = &"mnr")]
    #[serde(default, deserialize_with = "present")]
    pub machine_code: Option<TextField>,
    /// Start of the order. Required in order tables.
    #[schemars(example = &"start_ts")]
    #[serde(default, deserialize_with = "present")]
    pub start: Option<TimeField>,
    /// End of the order; null while it runs. Required in order tables.
    #[schemars(example = &"end_ts")]
    #[serde(default, deserialize_with = "present")]
    pub end: Option<TimeField>,
    /// Time of the booking. Required in booking tables.
    #[schemars(example = &"booked_at")]
    #[serde(default, deserialize_with = "present")]
    pub timestamp: Option<TimeField>,
    /// Kind of the booking, `START` or `END` after `map`. Required in booking tables.
    #[schemars(example = serde_json::json!({"column": "kenn", "map": {"A": "START", "E": "END"}}))]
    #[serde(default, deserialize_with = "present")]
    pub event: Option<TextField>,
    /// Name of the product.
    #[schemars(example = &"artbez")]
    #[serde(default, deserialize_with = "present")]
    pub product_name: Option<TextField>,
    /// Quantity, scrap included.
    #[schemars(example = &"menge")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_total: Option<TextField>,
    /// Scrap.
    #[schemars(example = &"ausschuss")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_scrap: Option<TextField>,
    /// Good quantity.
    #[schemars(example = &"gutmenge")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_yield: Option<TextField>,
    /// Unit of the quantities.
    #[schemars(example = &"einheit")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_unit: Option<TextField>,
    /// Further names and their columns, passed through.
    #[schemars(example = serde_json::json!({"shift": "schicht"}))]
    #[serde(default)]
    pub attributes: BTreeMap<String, TextField>,
}

/// A text or number attribute: the name of a column, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct TextField {
    /// Where the value comes from.
    pub from: FieldSource,
    /// The options that were given beside it.
    pub options: FieldOptions,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldSource {
    /// A column of the result.
    Column(String),
    /// An expression over the row.
    Template(String),
    /// A constant.
    Value(Scalar),
}

/// Options of a text or number attribute, applied in this order: `null_if`, `transform`, `null_if`, `map`, `default`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldOptions {
    /// Steps that change the text, in order.
    pub transform: Vec<Transform>,
    /// Codes of the source and their canonical values.
    pub map: Option<BTreeMap<String, String>>,
    /// What happens to a code that `map` lacks. Default `reject`.
    pub unmapped: Option<Unmapped>,
    /// Texts that stand for "no value".
    pub null_if: Vec<Scalar>,
    /// Value where the column has none.
    pub default: Option<Scalar>,
}

/// What happens to a code that `map` lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmapped {
    /// The row goes to quarantine.
    Reject,
    /// The code itself is used.
    Keep,
    /// The row is dropped.
    Skip,
}

/// One step that changes a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// `trim`: removes white space, no-break spaces included, at both ends.
    Trim,
    /// `upper`: upper case.
    Upper,
    /// `lower`: lower case.
    Lower,
    /// `{ strip_leading: "0" }`: removes these characters at the start, but never the last character.
    StripLeading(String),
    /// `{ pad_left: { width, with } }`: fills up on the left.
    PadLeft {
        /// Width in characters.
        width: usize,
        /// The character to fill with.
        with: char,
    },
    /// `{ replace: { pattern, with } }`: replaces every match of a regular expression.
    Replace {
        /// The regular expression.
        pattern: String,
        /// The replacement; `$1` is the first group.
        with: String,
    },
    /// `{ split: { by, index } }`: takes one part, counted from 0; from the end when negative.
    Split {
        /// The separator.
        by: String,
        /// Which part.
        index: i64,
    },
    /// `{ extract: regex }`: takes what the one group matched; no match is no value.
    Extract(String),
}

/// A time attribute: the name of a column, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeField {
    /// Where the value comes from.
    pub from: TimeSource,
    /// The options that were given beside it.
    pub options: TimeOptions,
}

/// Where a time comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeSource {
    /// One column, expression or constant that holds date and time.
    Whole(FieldSource),
    /// A date and a time in columns of their own.
    Parts {
        /// The date.
        date: TimePart,
        /// The time of day.
        time: TimePart,
    },
}

/// The date or the time of day of a time attribute: the name of a column, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct TimePart {
    /// Where the value comes from.
    pub from: FieldSource,
    /// Steps that change the text, in order, before it is parsed.
    pub transform: Vec<Transform>,
    /// How the value is written. Default: what the column's type says, and ISO 8601 for text.
    pub format: Option<TimeFormat>,
    /// Texts that stand for "no value".
    pub null_if: Vec<Scalar>,
}

/// Options of a time attribute.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimeOptions {
    /// Steps that change the text, in order, before it is parsed. Only without `date` and `time`.
    pub transform: Vec<Transform>,
    /// How the value is written. Default: what the column's type says, and ISO 8601 for text.
    pub format: Option<TimeFormat>,
    /// IANA zone of a naive value. Default: the zone of the source.
    pub timezone: Option<String>,
    /// A local time that a clock change skips. Default `forward`.
    pub on_gap: Option<OnGap>,
    /// A local time that a clock change repeats. Default `earlier`.
    pub on_fold: Option<OnFold>,
    /// On `end`: a time that would lie before the start belongs to the next day.
    pub after: Option<After>,
    /// Texts that stand for "no value".
    pub null_if: Vec<Scalar>,
    /// Value where the column has none.
    pub default: Option<Scalar>,
}

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// `iso8601`: ISO 8601 or RFC 3339, with `T` or a blank, with or without an offset.
    Iso8601,
    /// `epoch_s`: seconds since 1970-01-01 UTC.
    EpochS,
    /// `epoch_ms`: milliseconds since 1970-01-01 UTC.
    EpochMs,
    /// `yyyymmdd`: a date in eight digits, text or number.
    Yyyymmdd,
    /// `hhmmss`: a time of day in up to six digits, text or number; `240000` is the next day's start.
    Hhmmss,
    /// `seconds_of_day`: seconds since midnight.
    SecondsOfDay,
    /// A strftime pattern.
    Pattern(String),
}

/// A local time that a clock change skips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// Moved forward by the length of the gap.
    Forward,
    /// The row goes to quarantine.
    Reject,
}

/// A local time that a clock change repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFold {
    /// The first of the two.
    Earlier,
    /// The second of the two.
    Later,
    /// The row goes to quarantine.
    Reject,
}

/// The attribute that a time must not lie before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// `start`.
    Start,
}

/// Machine codes and the platform's machine ids.
#[derive(Debug, Clone, PartialEq)]
pub enum Machines {
    /// In the spec.
    Inline(BTreeMap<String, String>),
    /// A CSV file with two columns, code and id, and a header line; relative to the spec.
    File(String),
}

// ------------------------------------------------------------------------------------------------ sync

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

// ----------------------------------------------------------------------------------------- destination

/// Where the runs go.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Destination {
    /// The ENLYZE platform.
    Enlyze(EnlyzeDestination),
    /// Any HTTP endpoint that satisfies the delivery contract.
    Http(HttpDestination),
    /// A file of JSON lines.
    File(FileDestination),
    /// JSON lines on standard output; a table on a terminal.
    Stdout(StdoutDestination),
}

/// The ENLYZE platform: a `token`, or `username` and `password`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnlyzeDestination {
    /// Base address of the platform.
    #[schemars(example = &"https://app.enlyze.com")]
    pub url: Setting<String>,
    /// API token. A reference only.
    #[schemars(example = serde_json::json!({"env": "ENLYZE_TOKEN"}))]
    #[serde(default, deserialize_with = "present")]
    pub token: Option<Secret>,
    /// User name, where there is no token.
    #[schemars(example = &"edge-aachen")]
    #[serde(default, deserialize_with = "present")]
    pub username: Option<Setting<String>>,
    /// Password. A reference only.
    #[schemars(example = serde_json::json!({"env": "ENLYZE_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
    /// Compression of a delivery. Default `none`.
    #[schemars(example = &"zstd")]
    #[serde(default)]
    pub compression: Compression,
    /// How long to wait for the platform.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Any HTTP endpoint that satisfies the delivery contract.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDestination {
    /// The whole endpoint.
    #[schemars(example = &"https://platform.example/api/production-runs")]
    pub url: Setting<String>,
    /// Method. Default `POST`.
    #[schemars(example = &"POST")]
    #[serde(default, deserialize_with = "present")]
    pub method: Option<Method>,
    /// Headers; a secret one takes a reference.
    #[schemars(example = serde_json::json!({"X-Site": "aachen"}))]
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// How to log in. Default: not at all.
    #[serde(default, deserialize_with = "present")]
    pub auth: Option<Auth>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
    /// Compression of a delivery. Default `none`.
    #[schemars(example = &"zstd")]
    #[serde(default)]
    pub compression: Compression,
    /// How long to wait for the endpoint.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// A file of JSON lines.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDestination {
    /// The file, relative to the working directory.
    #[schemars(example = &"runs.ndjson")]
    pub path: Setting<String>,
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
}

/// JSON lines on standard output; a table on a terminal.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdoutDestination {
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
}

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deliver {
    /// Production runs.
    #[default]
    Runs,
    /// The canonical order or booking rows.
    Rows,
}

/// Size of a delivery; what is reached first ends it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Records at most. Default 500.
    #[schemars(example = &500)]
    #[serde(default, deserialize_with = "present")]
    pub max_records: Option<u32>,
    /// Bytes at most, before compression. Default `1MiB`.
    #[schemars(example = &"1MiB")]
    #[serde(default, deserialize_with = "present")]
    pub max_bytes: Option<ByteSize>,
}

/// Compression of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
    /// As it is.
    #[default]
    None,
}

/// How to log in: exactly one of its keys.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer …`. A reference only.
    #[schemars(example = serde_json::json!({"env": "API_TOKEN"}))]
    Bearer(Secret),
    /// HTTP Basic.
    #[schemars(example = serde_json::json!({"username": "edge", "password": {"env": "API_PASSWORD"}}))]
    Basic(BasicAuth),
    /// A header of its own.
    #[schemars(example = serde_json::json!({"name": "X-Api-Key", "value": {"env": "API_KEY"}}))]
    Header(HeaderAuth),
    /// OAuth 2.0 client credentials.
    #[schemars(example = serde_json::json!({"token_url": "https://login.acme.example/oauth2/token", "client_id": "engine", "client_secret": {"env": "CLIENT_SECRET"}}))]
    Oauth2(OAuth2),
}

/// HTTP Basic.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// User name.
    #[schemars(example = &"edge")]
    pub username: Setting<String>,
    /// Password. A reference only.
    #[schemars(example = serde_json::json!({"env": "API_PASSWORD"}))]
    pub password: Secret,
}

/// A header that carries a secret.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAuth {
    /// Name of the header.
    #[schemars(example = &"X-Api-Key")]
    pub name: String,
    /// Its value. A reference only.
    #[schemars(example = serde_json::json!({"env": "API_KEY"}))]
    pub value: Secret,
}

/// OAuth 2.0 client credentials.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Address that gives out tokens.
    #[schemars(example = &"https://login.acme.example/oauth2/token")]
    pub token_url: Setting<String>,
    /// Client id.
    #[schemars(example = &"engine")]
    pub client_id: Setting<String>,
    /// Client secret. A reference only.
    #[schemars(example = serde_json::json!({"env": "CLIENT_SECRET"}))]
    pub client_secret: Secret,
    /// Scope to ask for.
    #[schemars(example = &"runs.write")]
    #[serde(default, deserialize_with = "present")]
    pub scope: Option<Setting<String>>,
}

/// Value of a header: a text, or a reference, which makes it secret.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// As written.
    Text(String),
    /// Secret.
    Secret(Secret),
}

// ----------------------------------------------------------------------------------------------- tests

/// An example that `engine test` executes offline.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecTest {
    /// What the example shows.
    #[schemars(example = &"an interruption makes two runs")]
    pub name: String,
    /// The clock during the test. Default: a minute after the latest time in the rows, so that a test never ages.
    #[schemars(example = &"2025-03-30T12:00:00Z")]
    #[serde(default, deserialize_with = "present")]
    pub now: Option<String>,
    /// Rows as the source would give them: column names and values.
    #[schemars(example = serde_json::json!([{"anr": "4711", "mnr": "M1", "kenn": "A"}]))]
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, serde_json::Value>>,
    /// What must come out.
    pub expect: Expect,
}

/// What must come out of a test. What is left out is not compared; a member that is left out of an item is not either.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The runs, all of them, in any order.
    #[schemars(example = serde_json::json!([{"order_code": "4711", "machine_code": "M1", "start": "2025-03-29T21:00:00Z"}]))]
    #[serde(default, deserialize_with = "present")]
    pub runs: Option<Vec<BTreeMap<String, serde_json::Value>>>,
    /// The canonical rows, all of them, in any order.
    #[schemars(example = serde_json::json!([{"order_code": "4711", "event": "START"}]))]
    #[serde(default, deserialize_with = "present")]
    pub rows: Option<Vec<BTreeMap<String, serde_json::Value>>>,
    /// The rejected rows, all of them: members of the row, `code` and a part of the `reason`.
    #[schemars(example = serde_json::json!([{"satznr": 3, "code": "unmapped"}]))]
    #[serde(default, deserialize_with = "present")]
    pub rejected: Option<Vec<BTreeMap<String, serde_json::Value>>>,
    /// The SQL that would be sent; white space and comments are not compared.
    #[schemars(example = &"SELECT id FROM buchung WHERE ts >= ? AND ts < ?")]
    #[serde(default, deserialize_with = "present")]
    pub sql: Option<String>,
    /// The bound parameters, in order.
    #[schemars(example = serde_json::json!(["1000", "2025-03-16", "2025-03-31"]))]
    #[serde(default, deserialize_with = "present")]
    pub params: Option<Vec<serde_json::Value>>,
}
