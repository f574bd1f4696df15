//! What the core asks of the outside world: a source, a destination, a state store, a clock, references.
//!
//! Every port is synchronous. A run owns a thread, and the edges hide their runtime behind these calls; that is
//! what lets a simulator stand in for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine_spec::model::{ApplicationIntent, Compression, Isolation, Method, OracleDriver, Pagination, Param, TlsMode};
use engine_spec::scalar::Reference;
use engine_spec::template::{BindValue, RequestTemplate, Statement};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::probe::Probe;
use crate::state::OutboxRecord;
use crate::value::{RowBatch, TypeRule};

/// Asks a run, and everything it waits for, to stop soon.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
    /// Waits, and returns early when asked to stop.
    fn sleep(&self, duration: Duration, cancel: &Cancel);
}

/// Resolves references of a spec.
pub trait References: Send + Sync {
    /// The value behind a reference; an error says what is missing, never a value.
    fn resolve(&self, reference: &Reference) -> Result<SecretString, String>;
}

// ---------------------------------------------------------------------------------------------- source

/// Settings of a source, all references resolved.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    /// PostgreSQL.
    Postgres(ServerConfig),
    /// MySQL.
    MySql(ServerConfig),
    /// MariaDB.
    MariaDb(ServerConfig),
    /// SQL Server.
    SqlServer(ServerConfig, SqlServerOptions),
    /// Oracle.
    Oracle(ServerConfig, OracleOptions),
    /// A SQLite file.
    Sqlite(SqliteConfig),
    /// A folder of CSV files.
    Csv(CsvConfig),
    /// An HTTP API.
    Http(Box<HttpSourceConfig>),
}

/// A database server, all references resolved.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Host name or address.
    pub host: String,
    /// TCP port; `None` where an instance name decides.
    pub port: Option<u16>,
    /// Name of the database, or service name.
    pub database: String,
    /// Login name.
    pub username: String,
    /// Password.
    pub password: Option<SecretString>,
    /// Encryption.
    pub tls: TlsConfig,
    /// Waiting times.
    pub timeouts: TimeoutConfig,
}

impl ServerConfig {
    /// Host and port, for messages.
    pub fn place(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// Further settings of SQL Server.
#[derive(Debug, Clone)]
pub struct SqlServerOptions {
    /// Named instance.
    pub instance: Option<String>,
    /// Windows domain.
    pub domain: Option<String>,
    /// What the session announces.
    pub application_intent: ApplicationIntent,
    /// Isolation level.
    pub isolation: Isolation,
}

/// Further settings of Oracle.
#[derive(Debug, Clone)]
pub struct OracleOptions {
    /// System identifier instead of a service name.
    pub sid: Option<String>,
    /// Alias instead of host and service name.
    pub tns: Option<String>,
    /// Folder with `tnsnames.ora` and wallet.
    pub config_dir: Option<PathBuf>,
    /// Which driver.
    pub driver: OracleDriver,
}

/// A SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The file, absolute or relative to the working directory.
    pub path: PathBuf,
    /// Waiting times; `connect` bounds the wait for a lock.
    pub timeouts: TimeoutConfig,
}

/// A folder of CSV files, defaults applied.
#[derive(Debug, Clone)]
pub struct CsvConfig {
    /// The folder, absolute or relative to the working directory.
    pub path: PathBuf,
    /// Which files of the folder, by name; `*` and `?` stand for any characters and any one.
    pub glob: String,
    /// How long a file must have stayed as it is before it is read.
    pub settle: Duration,
    /// How the files are written.
    pub format: CsvFormat,
}

/// How CSV is written.
#[derive(Debug, Clone)]
pub struct CsvFormat {
    /// Separates the fields of a line; ASCII.
    pub delimiter: u8,
    /// Encloses a field that holds delimiters, quotes or line breaks; ASCII.
    pub quote: u8,
    /// Label of the encoding, as the WHATWG encoding standard knows it; `None` where nothing was said.
    pub encoding: Option<String>,
    /// Names of the columns; none where the first line has them.
    pub columns: Vec<String>,
    /// What stands for the decimal point, where it is not the point; ASCII.
    pub decimal: Option<u8>,
}

/// An HTTP API, all references resolved.
#[derive(Debug, Clone)]
pub struct HttpSourceConfig {
    /// Base address; the path of the request is appended.
    pub url: String,
    /// How to log in.
    pub auth: Option<AuthConfig>,
    /// What is asked.
    pub request: RequestTemplate,
    /// Headers that are secret, beside those of the request.
    pub secret_headers: Vec<(String, SecretString)>,
    /// Values of `params`.
    pub params: BTreeMap<String, Param>,
    /// Zone of naive date-times, in the request too.
    pub zone: TimeZone,
    /// JSONPath of the records; `None` for the items of a list.
    pub records: Option<String>,
    /// How CSV is written; `None` where answers are JSON, or say themselves that they are CSV.
    pub csv: Option<CsvFormat>,
    /// Longest window of one request; `None` for the whole.
    pub slice: Option<Duration>,
    /// How an answer continues; `None` for one page.
    pub pagination: Option<Pagination>,
    /// Requests per second at most.
    pub rate_limit: Option<f64>,
    /// Columns that the spec names: they are there, null, even where no record has such a member.
    pub columns: BTreeSet<String>,
    /// Encryption.
    pub tls: TlsConfig,
    /// Waiting times; `query` bounds all pages of one question.
    pub timeouts: TimeoutConfig,
}

/// Encryption of a connection; paths are absolute or relative to the working directory.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// How strict.
    pub mode: TlsMode,
    /// Authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Client certificate, PEM.
    pub cert_file: Option<PathBuf>,
    /// Key of the client certificate, PEM.
    pub key_file: Option<PathBuf>,
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy)]
pub struct TimeoutConfig {
    /// For a connection, login included.
    pub connect: Duration,
    /// For a query, from sending it to its last row.
    pub query: Duration,
}

/// One question to a source: its bound SQL, or what a source that makes its own requests needs for them.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The bound SQL of a database source.
    pub statement: Option<Statement>,
    /// Start and end of the window, half-open; `None` where the mode has none.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The values of the cursor columns; none before the first run.
    pub cursor: BTreeMap<String, BindValue>,
    /// The instant of the run.
    pub now: Timestamp,
    /// Rows that a batch holds at most, where less than a whole batch is wanted: a sample.
    pub batch_rows_max: Option<usize>,
}

/// What a source said of a `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// The batch holds rows, and there may be more.
    Rows,
    /// The batch is empty, and the result is at its end. Its columns are set all the same, but for a source that
    /// learns them from its data and found none.
    End,
}

/// Where rows come from: one read-only session.
pub trait Source: Send {
    /// Asks; what was asked before is given up.
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError>;
    /// Refills the batch with the next rows of the answer.
    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError>;
    /// What the server says of itself.
    fn identity(&self) -> &SourceIdentity;
    /// Asks the server about the session, the account and the question, without asking the question. What it does not
    /// tell, or the account may not see, is unknown in the answer, and no error. What was asked before is given up.
    fn probe(&mut self, _ask: &Ask) -> Result<Probe, SourceError> {
        Ok(Probe::default())
    }
    /// What of the answer was left for a later run, for people: `2 files still grow`. Where something was, a row that
    /// did not come back is not gone.
    fn left_for_later(&self) -> Option<String> {
        None
    }
}

/// What a server says of itself: kept, and compared on every run, so that a repointed name is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceIdentity {
    /// Product and version, for people; may change.
    pub version: String,
    /// Facts that stay the same as long as it is the same database, by name. Compared fact by fact; one that is
    /// missing on either side is not compared.
    pub facts: BTreeMap<String, String>,
    /// How the connection is encrypted, for people.
    pub encryption: String,
}

/// What kind of thing went wrong at a source. Whether to try again is a function of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// A setting is wrong.
    Config,
    /// The login was refused.
    Auth,
    /// The account may not do that.
    Permission,
    /// The server cannot be reached, or the connection broke.
    Network,
    /// Encryption could not be agreed on, or a certificate did not hold.
    Tls,
    /// The server took too long.
    Timeout,
    /// The server refused the statement.
    Query,
    /// The result could not be read.
    Data,
    /// Somebody asked to stop.
    Cancelled,
    /// The driver panicked.
    Panic,
}

impl SourceErrorKind {
    /// Whether the environment is wrong rather than the spec: exit code 3.
    pub fn is_environment(self) -> bool {
        matches!(self, Self::Auth | Self::Network | Self::Tls | Self::Timeout | Self::Permission)
    }
}

/// A failure of a source, in plain words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{tried}: {message}")]
pub struct SourceError {
    /// Its kind.
    pub kind: SourceErrorKind,
    /// What was tried, and where: `connecting to postgres at 10.20.0.5:5432 as etl`.
    pub tried: String,
    /// What came back.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// Opens a read-only session.
pub type OpenSource = fn(&SourceConfig, &Cancel) -> Result<Box<dyn Source>, SourceError>;

/// A kind of source. A connector cannot exist without its opener and its contract of types.
pub struct Connector {
    /// The name in `source.type`.
    pub name: &'static str,
    /// Opens a read-only session.
    pub open: OpenSource,
    /// What its types become: the contract that documentation shows.
    pub types: &'static [TypeRule],
}

// ----------------------------------------------------------------------------------------- destination

/// Settings of a destination, all references resolved.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one a pipeline, and most are the large one")]
pub enum DestinationConfig {
    /// An HTTP endpoint, the ENLYZE platform included.
    Http(HttpConfig),
    /// A file of JSON lines.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// An HTTP endpoint, all references resolved.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The whole endpoint.
    pub url: String,
    /// Method.
    pub method: Method,
    /// Headers in the clear.
    pub headers: Vec<(String, String)>,
    /// Headers that are secret.
    pub secret_headers: Vec<(String, SecretString)>,
    /// How to log in.
    pub auth: Option<AuthConfig>,
    /// Encryption.
    pub tls: TlsConfig,
    /// Compression of the body.
    pub compression: Compression,
    /// Waiting times; `query` bounds one request.
    pub timeouts: TimeoutConfig,
}

/// How to log in, all references resolved.
#[derive(Debug, Clone)]
pub enum AuthConfig {
    /// `Authorization: Bearer …`
    Bearer(SecretString),
    /// HTTP Basic.
    Basic(String, SecretString),
    /// A header of its own.
    Header(String, SecretString),
    /// OAuth 2.0 client credentials.
    OAuth2 {
        /// Address that gives out tokens.
        token_url: String,
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: SecretString,
        /// Scope to ask for.
        scope: Option<String>,
    },
    /// A session that a first request opens.
    Session(SessionConfig),
}

/// A session that a first request opens, all references resolved.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Address that takes the login.
    pub login_url: String,
    /// What is sent in the clear, by name.
    pub clear: Vec<(String, String)>,
    /// What is sent and secret, by name.
    pub secret: Vec<(String, SecretString)>,
    /// As a form and not as JSON.
    pub form: bool,
    /// JSONPath of the token in the answer; `None` for cookies.
    pub token: Option<String>,
    /// Header that carries the token; `None` for `Authorization: Bearer …`.
    pub header: Option<String>,
}

/// Records on their way: one request, one append.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Stays the same for every attempt with the same records, and never comes again for others.
    pub idempotency_key: String,
    /// The pipeline's id.
    pub pipeline: String,
    /// The pipeline's labels.
    pub labels: BTreeMap<String, String>,
    /// The number of the lease under which it is sent, where several engines share the work: one with a smaller number
    /// comes from an engine that has lost the pipeline to another.
    pub fence: Option<i64>,
    /// The records, oldest first.
    pub records: Vec<OutboxRecord>,
}

/// What became of a parcel.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is safe at the destination, but for the records named here.
    Accepted {
        /// Records that the destination refused.
        rejected: Vec<RejectedRecord>,
    },
    /// The destination refused the parcel as a whole because of what is in it (400, 422).
    Invalid {
        /// What it said.
        message: String,
    },
    /// The parcel is too large (413).
    TooLarge,
    /// The login does not hold (401, 403).
    Refused {
        /// What it said.
        message: String,
    },
    /// Not now (408, 425, 429, 5xx, no connection): nothing of it counts as arrived.
    Later {
        /// What it said.
        message: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// It may have arrived: the same parcel is sent again under the same key.
    Unknown {
        /// What happened.
        message: String,
    },
}

/// A record that a destination refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Place in the parcel.
    pub index: usize,
    /// The destination's code.
    pub code: String,
    /// The destination's words.
    pub message: String,
}

/// Where records go.
pub trait Destination: Send {
    /// Sends one parcel, once.
    fn send(&mut self, parcel: &Parcel, cancel: &Cancel) -> Answer;
    /// Name and place, for messages: `https://app.enlyze.com`.
    fn place(&self) -> &str;
    /// The status of the last parcel's answer, where the destination speaks HTTP and answered.
    fn status(&self) -> Option<u16> {
        None
    }
    /// The next parcels belong to this trace, a `traceparent` of W3C Trace Context; or to none.
    fn follow(&mut self, _traceparent: Option<String>) {}
}

impl fmt::Debug for dyn Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({})", self.place())
    }
}
