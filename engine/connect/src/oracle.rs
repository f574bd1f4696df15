//! `type: oracle`: Oracle Database, through one of two drivers.
//!
//! The thin driver speaks the protocol by itself and reaches 19c and later, often 12.1. The other loads Oracle's Instant
//! Client and reaches what that reaches: old servers, old verifiers, native network encryption. Both are blocking,
//! so a thread of its own owns a session ([`crate::worker`]).
//!
//! A question is one transaction: `SET TRANSACTION READ ONLY`, the statement, `COMMIT`. The session is in UTC, so a
//! `TIMESTAMP WITH TIME ZONE` is an instant and what is bound as an instant is compared as one; a `DATE` and a
//! `TIMESTAMP` stay readings of a clock. Language, territory, sort and formats are set, so that no setting of the account,
//! the server or the device can change a result.

mod bind;
mod descriptor;
mod explain;
mod moment;
mod oci;
mod probe;
mod thin;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use engine_core::ports::{
    Ask, Cancel, Connector, OracleOptions, ServerConfig, Source, SourceConfig, SourceError, SourceErrorKind,
    SourceIdentity,
};
use engine_core::probe::Probe;
use engine_core::value::{BATCH_ROWS_MAX, Columns, RowBatch};
use engine_spec::model::OracleDriver;
use engine_spec::sql::{Dialect, highest_placeholder};
use engine_spec::template::Bind;

use crate::failure::{Problem, Target};
use crate::pump::Feed;
use crate::remote::{self, Driver, Remote, SERVER_GRACE};
use crate::worker::Worker;
use descriptor::Descriptor;

/// Rows of one round trip.
const FETCH_ROWS: u32 = 500;
/// Attempts to connect to one place that may hang at the same time. The drivers cannot be told to give up.
const HANGING_MAX: usize = 4;

/// What every session begins with. The territory comes first, since it resets the formats.
const SETUP: &str = "ALTER SESSION SET NLS_TERRITORY = 'AMERICA' NLS_LANGUAGE = 'AMERICAN' NLS_SORT = 'BINARY' \
     NLS_COMP = 'BINARY' NLS_NUMERIC_CHARACTERS = '.,' NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' \
     NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9' NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM' \
     TIME_ZONE = '+00:00'";
const READ_ONLY: &str = "SET TRANSACTION READ ONLY";
const WHO: &str = "SELECT SYS_CONTEXT('USERENV', 'DB_NAME') AS name, \
     SYS_CONTEXT('USERENV', 'NETWORK_PROTOCOL') AS protocol FROM dual";
/// Servers before 12.1 know no containers.
const CONTAINER: &str = "SELECT SYS_CONTEXT('USERENV', 'CON_NAME') AS name FROM dual";
const VERSION: &str = "SELECT banner FROM v$version WHERE ROWNUM = 1";

/// The connector.
pub(crate) const CONNECTOR: Connector = Connector { name: "oracle", open, types: thin::TYPES };

fn open(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::Oracle(config, options) = config else { return Err(Target::mismatch("oracle")) };
    let target = descriptor::target(config, options);
    let driver = Oracle::new(config, options).map_err(|problem| target.connecting(problem))?;
    Ok(Box::new(Remote::open(driver, target, config.timeouts, cancel)?))
}

/// A connection of either driver, on its thread. Every call is bounded by a time-out of the driver's own.
trait Connection {
    /// A statement that returns nothing.
    fn execute(&mut self, sql: &str) -> Result<(), Problem>;
    /// The first rows of a small answer as text.
    fn ask_all(&mut self, sql: &str, rows_max: usize) -> Result<Vec<Vec<Option<String>>>, Problem>;
    /// The first row of a small answer as text; nothing where there is none.
    fn ask(&mut self, sql: &str) -> Result<Vec<Option<String>>, Problem> {
        Ok(self.ask_all(sql, 1)?.pop().unwrap_or_default())
    }
    /// Begins to read an answer.
    fn open(&mut self, sql: &str, binds: &[Bind]) -> Result<Columns, Problem>;
    /// Appends rows until the batch is full or has so many; `false` at the end of the answer.
    fn fill(&mut self, columns: &Columns, batch: &mut RowBatch, rows_max: usize) -> Result<bool, Problem>;
    /// Bounds the calls that follow.
    fn set_limit(&mut self, limit: Duration) -> Result<(), Problem>;
    /// A way to break off a call from another thread, where the driver has one.
    fn interrupter(&self) -> Option<Box<dyn Fn() + Send + Sync>>;
}

struct Oracle {
    descriptor: Descriptor,
    driver: OracleDriver,
    connect_limit: Duration,
    query_limit: Duration,
}

/// A session: the thread that owns it, and a way to break its calls off.
struct Session {
    worker: Worker<Box<dyn Connection>>,
    interrupter: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Session {
    /// Does something with the connection, within a limit.
    async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        job: impl FnOnce(&mut dyn Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let lost = || Problem::new(SourceErrorKind::Network, "the session is lost").hint("The next run tries again.");
        self.worker
            .run(move |state| {
                let connection = state.as_mut().ok_or_else(lost)?;
                connection.set_limit(limit)?;
                job(&mut **connection)
            })
            .await
    }
}

impl Oracle {
    fn new(config: &ServerConfig, options: &OracleOptions) -> Result<Self, Problem> {
        let driver = match options.driver {
            OracleDriver::Auto if oci::client().is_ok() => OracleDriver::Oci,
            OracleDriver::Auto => OracleDriver::Thin,
            named => named,
        };
        if driver == OracleDriver::Oci {
            oci::client().map_err(|message| explain::no_client(&message))?;
        }
        Ok(Self {
            descriptor: Descriptor::new(config, options, driver)?,
            driver,
            connect_limit: config.timeouts.connect,
            query_limit: config.timeouts.query,
        })
    }
}

impl Driver for Oracle {
    type Session = Session;

    async fn connect(&self) -> Result<(Session, SourceIdentity), Problem> {
        let attempt = Attempt::begin(&self.descriptor.text)?;
        let worker = Worker::start("engine-oracle")?;
        let (descriptor, driver, limit) = (self.descriptor.clone(), self.driver, self.connect_limit);
        let connecting = worker
            .run(move |state| {
                // Held by the thread until the driver returns, whoever still waits for it.
                let _attempt = attempt;
                let connection: Box<dyn Connection> = match driver {
                    OracleDriver::Oci => Box::new(oci::connect(&descriptor, limit)?),
                    _ => Box::new(thin::connect(&descriptor, limit)?),
                };
                let interrupter = connection.interrupter();
                *state = Some(connection);
                Ok(interrupter)
            })
            .await;
        let interrupter = connecting.map_err(explain::panicked)?;
        let session = Session { worker, interrupter };
        let tls = self.descriptor.tls;
        let identity = session.run(limit, move |connection| identify(connection, tls)).await?;
        Ok((session, identity))
    }

    async fn begin(&self, session: &mut Session) -> Result<(), Problem> {
        session.run(self.connect_limit, |connection| connection.execute(READ_ONLY)).await
    }

    async fn read(&self, session: &mut Session, ask: &Ask, feed: &mut Feed<Session>) -> Result<(), Problem> {
        let statement = remote::statement(ask)?.clone();
        Problem::check_count(highest_placeholder(&statement.sql, Dialect::Oracle), statement.binds.len())?;
        // The driver's limit is the second guard, a little behind the engine's.
        let deadline = Instant::now() + self.query_limit + SERVER_GRACE;
        let left = move || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let opening = session.run(left(), move |connection| connection.open(&statement.sql, &statement.binds));
        let columns = opening.await?;
        feed.begin(columns.clone());
        let rows_max = ask.batch_rows_max.unwrap_or(BATCH_ROWS_MAX);
        loop {
            let (mut batch, columns) = (feed.take(), columns.clone());
            let filling = session.run(left(), move |connection| {
                let more = connection.fill(&columns, &mut batch, rows_max)?;
                Ok((batch, more))
            });
            let (batch, more) = filling.await?;
            feed.put(batch);
            if !more {
                return Ok(());
            }
            feed.hand_over().await.map_err(|_| Problem::cancelled())?;
        }
    }

    async fn probe(&self, session: &mut Session, _ask: &Ask) -> Result<Probe, Problem> {
        session.run(self.connect_limit, |connection| Ok(probe::probe(connection))).await
    }

    async fn commit(&self, session: &mut Session) -> Result<(), Problem> {
        session.run(self.connect_limit, |connection| connection.execute("COMMIT")).await
    }

    async fn close(&self, session: Session) {
        drop(session);
    }

    async fn kill(&self, session: Session) {
        if let Some(interrupt) = &session.interrupter {
            interrupt();
        }
        drop(session);
    }
}

/// A type in the server's words, without what a driver adds or hides.
fn source_type(shown: &str) -> String {
    let shown = shown.to_lowercase();
    if shown.starts_with("interval day") {
        "interval day to second".to_owned()
    } else if shown.starts_with("interval year") {
        "interval year to month".to_owned()
    } else if shown.starts_with("number(") && shown.ends_with(",-127)") {
        // So the server describes a FLOAT: any scale.
        "float".to_owned()
    } else {
        shown
    }
}

/// Sets the session up and asks the server who it is.
fn identify(connection: &mut dyn Connection, tls: bool) -> Result<SourceIdentity, Problem> {
    connection.execute(SETUP)?;
    let mut answer = connection.ask(WHO)?.into_iter();
    let mut facts = BTreeMap::new();
    facts.extend(answer.next().flatten().map(|name| ("database".to_owned(), name)));
    let protocol = answer.next().flatten();
    if let Ok(container) = connection.ask(CONTAINER) {
        facts.extend(container.into_iter().next().flatten().map(|name| ("container".to_owned(), name)));
    }
    // Not every account may ask, and the version is for people.
    let version = connection.ask(VERSION).ok().and_then(|row| row.into_iter().next().flatten());
    let is_encrypted = tls || protocol.as_deref() == Some("tcps");
    let encryption = if is_encrypted { "TLS, authority and host name checked" } else { "none" };
    Ok(SourceIdentity {
        version: version.unwrap_or_else(|| "Oracle Database".to_owned()),
        facts,
        encryption: encryption.to_owned(),
    })
}

/// An attempt to connect, counted by its place as long as the driver is in it.
struct Attempt(String);

impl Attempt {
    fn all() -> &'static Mutex<HashMap<String, usize>> {
        static ATTEMPTS: OnceLock<Mutex<HashMap<String, usize>>> = OnceLock::new();
        ATTEMPTS.get_or_init(Mutex::default)
    }

    fn begin(place: &str) -> Result<Self, Problem> {
        let mut attempts = Self::all().lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(place.to_owned()).or_default();
        if *count >= HANGING_MAX {
            let message = format!("{count} earlier attempts still wait for an answer");
            return Err(Problem::new(SourceErrorKind::Timeout, message).hint(
                "Something takes connections there and never answers. Check host, port, listener and firewall.",
            ));
        }
        *count += 1;
        Ok(Self(place.to_owned()))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut attempts = Self::all().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = attempts.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                attempts.remove(&self.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_in_the_servers_words() {
        for (shown, expected) in [
            ("NUMBER(10)", "number(10)"),
            ("NUMBER(126,-127)", "float"),
            ("INTERVAL DAY(2) TO SECOND(6)", "interval day to second"),
            ("TIMESTAMP(6) WITH TIME ZONE", "timestamp(6) with time zone"),
        ] {
            assert_eq!(source_type(shown), expected);
        }
    }

    #[test]
    fn attempts_that_hang_are_bounded_by_their_place() {
        let held: Vec<_> = (0..HANGING_MAX).map(|_| Attempt::begin("bounded").unwrap()).collect();
        let problem = Attempt::begin("bounded").map(|_| ()).unwrap_err();
        assert_eq!(problem.kind, SourceErrorKind::Timeout);
        assert!(Attempt::begin("another place").is_ok());
        drop(held);
        assert!(Attempt::begin("bounded").is_ok());
    }
}
