//! `type: sqlite`: a file, opened read-only.
//!
//! The file is never created and never written: the handle is opened read-only, `query_only` is on, and an
//! authorizer lets nothing through but reading. A database in WAL mode is read while others write. SQLite has no
//! column types, only types of values: each value becomes what it is stored as; the declared type is shown to people
//! and says which text is padded.

mod probe;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine_core::ports::{
    Ask, Cancel, Connector, Fetched, Source, SourceConfig, SourceError, SourceErrorKind, SourceIdentity, SqliteConfig,
};
use engine_core::probe::Probe;
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot, TypeRule};
use engine_spec::template::{Bind, BindValue, Statement};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::failure::{Problem, Target, line_and_column};
use crate::pump::{Feed, Flow, pump};
use crate::slots::{push_float, push_utf8_padded};

/// Virtual machine instructions between two looks at the clock and at the wish to stop; some tens of microseconds.
const PROGRESS_OPS: i32 = 4_000;
/// How long a session that was read to its end may take to come back.
const RECLAIM_PATIENCE: Duration = Duration::from_secs(1);

const READ_ONLY: &str = "A source is only read: the query must be one SELECT without side effects.";

/// The connector.
pub(crate) const CONNECTOR: Connector = Connector { name: "sqlite", open, types: TYPES };

fn open(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::Sqlite(config) = config else { return Err(Target::mismatch("sqlite")) };
    let target = Target::file("sqlite", &config.path);
    let (session, identity) = connect(config).map_err(|problem| target.connecting(problem))?;
    let config = config.clone();
    Ok(Box::new(Sqlite { config, target, cancel: cancel.clone(), identity, state: State::Idle(session) }))
}

struct Sqlite {
    config: SqliteConfig,
    target: Target,
    cancel: Cancel,
    identity: SourceIdentity,
    state: State,
}

enum State {
    Closed,
    Idle(Connection),
    Reading(Flow<Connection>),
}

impl Sqlite {
    /// The session at hand, or a new one.
    fn session(&mut self) -> Result<Connection, SourceError> {
        let idle = match std::mem::replace(&mut self.state, State::Closed) {
            State::Idle(session) => Some(session),
            State::Reading(flow) => flow.reclaim(&self.cancel, RECLAIM_PATIENCE),
            State::Closed => None,
        };
        if let Some(session) = idle {
            return Ok(session);
        }
        let (session, identity) = connect(&self.config).map_err(|problem| self.target.connecting(problem))?;
        self.identity = identity;
        Ok(session)
    }
}

impl Source for Sqlite {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        let Some(statement) = ask.statement.clone() else {
            let problem = Problem::new(SourceErrorKind::Config, "there is no statement to send");
            return Err(self.target.querying(problem));
        };
        let session = self.session()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (mut feed, flow) = pump(move || stopped.store(true, Ordering::Relaxed));
        feed.limit_rows(ask.batch_rows_max);
        let limit = self.config.timeouts.query;
        let reader = move || read_and_give_back(session, &statement, feed, &stop, limit);
        std::thread::Builder::new().name("engine-sqlite".to_owned()).spawn(reader).map_err(|error| {
            self.target.querying(Problem::new(SourceErrorKind::Config, format!("no thread to read with: {error}")))
        })?;
        self.state = State::Reading(flow);
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let State::Reading(flow) = &mut self.state else {
            return Err(self.target.querying(Problem::new(SourceErrorKind::Config, "nothing was asked")));
        };
        let fetched = flow.next(batch, &self.cancel);
        fetched.map_err(|problem| {
            self.state = State::Closed;
            self.target.querying(problem)
        })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }

    fn probe(&mut self, ask: &Ask) -> Result<Probe, SourceError> {
        let session = self.session()?;
        let deadline = Instant::now() + self.config.timeouts.connect;
        let limited = session.progress_handler(PROGRESS_OPS, Some(move || Instant::now() >= deadline));
        limited.map_err(|error| self.target.querying(explain(&error)))?;
        let probe = probe::probe(&session, ask);
        self.state = State::Idle(session);
        Ok(probe)
    }
}

fn connect(config: &SqliteConfig) -> Result<(Connection, SourceIdentity), Problem> {
    let path = config.path.canonicalize().map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => SourceErrorKind::Permission,
            _ => SourceErrorKind::Network,
        };
        Problem::new(kind, error.to_string())
            .hint("Check `source.path`; a relative path starts at the folder of the spec. The file is never created.")
    })?;
    let session = open_read_only(&path, config.timeouts.connect).map_err(|error| explain(&error))?;
    let identity = identify(&session, &path).map_err(|error| explain(&error))?;
    session.authorizer(Some(allow_reading)).map_err(|error| explain(&error))?;
    Ok((session, identity))
}

fn open_read_only(path: &Path, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let session =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    session.busy_timeout(lock_wait)?;
    session.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")?;
    Ok(session)
}

fn identify(session: &Connection, path: &Path) -> rusqlite::Result<SourceIdentity> {
    let number = |sql: &str| session.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mut facts = std::collections::BTreeMap::new();
    facts.insert("path".to_owned(), path.display().to_string());
    facts.insert("application_id".to_owned(), number("PRAGMA application_id")?.to_string());
    // The only statement here that reads the file's content: it tells a database from any other file.
    number("SELECT count(*) FROM sqlite_schema")?;
    Ok(SourceIdentity {
        version: format!("SQLite {}", rusqlite::version()),
        facts,
        encryption: "none: a local file".to_owned(),
    })
}

/// What a statement may do: read. Beside the read-only handle this refuses what touches no database page, such as
/// `ATTACH` and a pragma that sets.
fn allow_reading(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
            Authorization::Deny
        }
        AuthAction::Function { .. } => Authorization::Allow,
        AuthAction::Pragma { pragma_name: "encoding" | "query_only", pragma_value: None } => Authorization::Allow,
        AuthAction::Pragma { pragma_name, .. } if is_catalog(pragma_name) => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

/// The pragmas that only describe, which tools read as `pragma_table_info('t')`.
fn is_catalog(pragma: &str) -> bool {
    ["table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"]
        .iter()
        .any(|name| pragma.eq_ignore_ascii_case(name))
}

fn read_and_give_back(
    session: Connection,
    statement: &Statement,
    mut feed: Feed<Connection>,
    stop: &Arc<AtomicBool>,
    limit: Duration,
) {
    let deadline = Instant::now() + limit;
    let watched = Arc::clone(stop);
    let interrupt = move || watched.load(Ordering::Relaxed) || Instant::now() >= deadline;
    let read = || -> Result<(), Problem> {
        session.progress_handler(PROGRESS_OPS, Some(interrupt)).map_err(|error| explain(&error))?;
        read(&session, statement, &mut feed, deadline, limit)
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(Ok(())) => {
            feed.end();
            // Nobody waits for it: dropping the session closes the file.
            let _ = feed.give_back(session);
        }
        Ok(Err(problem)) => feed.fail(problem),
        Err(panic) => feed.fail(Problem::panicked(&*panic)),
    }
}

fn read(
    session: &Connection,
    statement: &Statement,
    feed: &mut Feed<Connection>,
    deadline: Instant,
    limit: Duration,
) -> Result<(), Problem> {
    let explain = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) if Instant::now() >= deadline => Problem::query_timeout(limit),
        _ => explain(&error),
    };
    let mut prepared = session.prepare(&statement.sql).map_err(explain)?;
    Problem::check_count(prepared.parameter_count(), statement.binds.len())?;
    for (index, bind) in statement.binds.iter().enumerate() {
        let value = to_sqlite(bind, index + 1)?;
        prepared.raw_bind_parameter(index + 1, value).map_err(explain)?;
    }
    let columns = describe(&prepared);
    if columns.is_empty() {
        return Err(Problem::no_columns());
    }
    let padded: Vec<bool> = columns.iter().map(|column| is_padded(&column.source_type)).collect();
    feed.begin(columns);
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next().map_err(explain)? {
        if feed.is_full() {
            if Instant::now() >= deadline {
                return Err(Problem::query_timeout(limit));
            }
            if feed.hand_over_blocking().is_err() {
                return Err(Problem::cancelled());
            }
        }
        let (columns, batch) = feed.row();
        for (place, column) in columns.iter().enumerate() {
            match row.get_ref(place).map_err(explain)? {
                ValueRef::Null => batch.push(Slot::Null),
                ValueRef::Integer(number) => batch.push(Slot::Int(number)),
                ValueRef::Real(number) => push_float(batch, column, number),
                ValueRef::Text(bytes) if padded[place] => push_utf8_padded(batch, bytes),
                ValueRef::Text(bytes) => batch.push_utf8(bytes),
                ValueRef::Blob(bytes) => batch.push_bytes(bytes),
            }
        }
    }
    Ok(())
}

fn describe(prepared: &rusqlite::Statement<'_>) -> Columns {
    let column = |column: &rusqlite::Column<'_>| {
        let declared = column.decl_type().unwrap_or_default();
        Column { name: column.name().to_owned(), kind: affinity(declared), source_type: declared.to_owned() }
    };
    prepared.columns().iter().map(column).collect()
}

/// The kind that SQLite's own affinity rules make likely; a value may be anything all the same.
fn affinity(declared: &str) -> Kind {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if has(&["INT"]) {
        Kind::Int
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Kind::Text
    } else if has(&["BLOB"]) {
        Kind::Bytes
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Kind::Float
    } else {
        Kind::Any
    }
}

/// The contract of types. The declared type is what a column is likely to hold; a value is what it is stored as.
const TYPES: &[TypeRule] = &[
    TypeRule {
        types: &["INT", "INTEGER", "TINYINT", "SMALLINT", "MEDIUMINT", "BIGINT", "UNSIGNED BIG INT", "INT2", "INT8"],
        kind: Kind::Int,
        note: "64 bits. A truth value is stored as 0 or 1.",
    },
    TypeRule { types: &["REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT"], kind: Kind::Float, note: "" },
    TypeRule {
        types: &["CHAR", "CHARACTER", "NCHAR", "NATIVE CHARACTER"],
        kind: Kind::Text,
        note: "Without trailing blanks.",
    },
    TypeRule {
        types: &["TEXT", "VARCHAR", "VARYING CHARACTER", "NVARCHAR", "CLOB"],
        kind: Kind::Text,
        note: "UTF-8. Text that is not valid rejects its row.",
    },
    TypeRule { types: &["BLOB"], kind: Kind::Bytes, note: "" },
    TypeRule {
        types: &["NUMERIC", "DECIMAL", "BOOLEAN", "DATE", "DATETIME", "TIMESTAMP", ""],
        kind: Kind::Any,
        note: "As stored: whole number, number, text or bytes. SQLite has no type for decimals, dates or times; `format` \
            says how they are written.",
    },
];

/// Whether the declared type is one of fixed width, whose text other systems fill up with blanks.
fn is_padded(declared: &str) -> bool {
    let name = declared.split('(').next().unwrap_or_default().trim();
    ["CHAR", "CHARACTER", "NCHAR", "NATIVE CHARACTER"].iter().any(|fixed| name.eq_ignore_ascii_case(fixed))
}

/// A bound value in SQLite's terms. Dates are text in ISO form, as SQLite's own date functions write them; an
/// instant is UTC and says so with a `Z`.
fn to_sqlite(bind: &Bind, place: usize) -> Result<Value, Problem> {
    Ok(match &bind.value {
        BindValue::Null => Value::Null,
        BindValue::Bool(truth) => Value::Integer((*truth).into()),
        BindValue::Int(number) => Value::Integer(*number),
        BindValue::Float(number) => Value::Real(*number),
        BindValue::Decimal(digits) => match (digits.parse(), digits.parse()) {
            (Ok(whole), _) => Value::Integer(whole),
            (Err(_), Ok(fraction)) => Value::Real(fraction),
            _ => return Err(Problem::bind(bind, place, "the digits are not a number")),
        },
        BindValue::Text(text) => Value::Text(text.clone()),
        BindValue::Bytes(bytes) => Value::Blob(bytes.clone()),
        BindValue::Date(date) => Value::Text(date.to_string()),
        BindValue::Civil { civil, .. } => Value::Text(civil.to_string().replacen('T', " ", 1)),
        BindValue::Instant { instant, .. } => Value::Text(instant.to_string().replacen('T', " ", 1)),
    })
}

fn explain(error: &rusqlite::Error) -> Problem {
    let message = match error {
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
            let before = usize::try_from(*offset).ok().and_then(|bytes| sql.get(..bytes));
            let (line, column) = line_and_column(sql, before.map_or(0, |before| before.chars().count()));
            format!("{msg}, at line {line}, column {column} of the statement")
        }
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Problem::new(SourceErrorKind::Timeout, message)
            .hint("Another program holds a lock on the file. Try again, or raise `timeouts.connect`."),
        Some(ErrorCode::CannotOpen) => Problem::new(SourceErrorKind::Permission, message).hint(
            "The account needs to read the file and to enter its folder; for a database in WAL mode also to write the folder, or its `-wal` and `-shm` files must exist.",
        ),
        Some(ErrorCode::PermissionDenied) => {
            Problem::new(SourceErrorKind::Permission, message).hint("Give the account the right to read the file.")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied) => {
            Problem::new(SourceErrorKind::Permission, message)
                .hint(READ_ONLY)
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Problem::new(SourceErrorKind::Data, message)
            .hint("The file is no SQLite database, is encrypted, or is damaged. Check `source.path`."),
        Some(ErrorCode::OperationInterrupted) => Problem::cancelled(),
        Some(ErrorCode::SystemIoFailure) => {
            Problem::new(SourceErrorKind::Network, message).hint("The disk or network drive failed. Try again.")
        }
        // The authorizer's refusal of a function carries the general code.
        _ if message.starts_with("not authorized") => Problem::new(SourceErrorKind::Permission, message).hint(READ_ONLY),
        _ => Problem::new(SourceErrorKind::Query, message)
            .hint("Run `engine render` to see the exact statement, and try it with the sqlite3 shell."),
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
