//! What stands in for the SQL of a server that no registry has: a small database in the dialect of SQL Server or of
//! Oracle, on SQLite. The crates that speak the servers' protocols put it on the wire.
//!
//! It knows the statements that tests and engine send, and says of every other that it does not.

mod batch;
mod catalogue;
mod code_page;
mod compile;
mod convert;
mod database;
mod ddl;
mod errors;
mod execute;
mod formats;
mod functions;
mod intervals;
mod moment;
mod number;
mod procedures;
mod rights;
mod script;
mod session;
mod statements;
mod types;
mod variant;
mod views;

use std::ops::ControlFlow;

pub use database::{Answer, Database, Seen};

/// The server that is stood in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Microsoft SQL Server.
    SqlServer,
    /// Oracle Database.
    Oracle,
}

/// A value before it is put on the wire in the form of its type.
///
/// What has no kind here travels as text in one form: decimals as digits (`-12.50`), `2025-03-30` for a date,
/// `01:30:00.1234567` for a time, `2025-03-30 01:30:00.1234567` for a date-time (fraction as long as need be, none
/// where it is zero), the same and ` +02:00` for one with an offset (a `TIMESTAMP WITH LOCAL TIME ZONE` has none: it is shown in the zone of
/// the session), `-1 02:03:04.5` for an interval of days, `2-03` for one of years,
/// `(decimal(10,2)) 12.50` for a `sql_variant`, which has its own type in front unless it is bytes, UUIDs in lower case with dashes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A whole number or a bit.
    Int(i64),
    /// A binary float.
    Float(f64),
    /// Text, and everything else as said above.
    Text(String),
    /// Bytes; also text of a code page that is to go out as it is, valid or not.
    Bytes(Vec<u8>),
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name as the client sees it.
    pub name: String,
    /// Its type in the server's own words, lower case for SQL Server (`datetime2(7)`, `varchar(20)`,
    /// `nvarchar(max)`), upper case for Oracle (`NUMBER(10,2)`, `TIMESTAMP(6) WITH TIME ZONE`). A collation may follow
    /// a type of text: `varchar(20) collate sql_latin1_general_cp850_ci_as`.
    pub declared: String,
    /// Whether it may be null.
    pub nullable: bool,
}

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name as the statement has it, without `@` or `:` (`P1`, `1`).
    pub name: String,
    /// The type that the client declared, in the words of [`Column::declared`].
    pub declared: String,
    /// Its value.
    pub value: Value,
}

/// An error of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// Number of SQL Server's error, or of Oracle's without `ORA-`.
    pub number: u32,
    /// The message, without the number.
    pub message: String,
    /// Line of the statement from 1 (SQL Server), or place in it in bytes from 0 (Oracle).
    pub place: u32,
}

/// Takes an answer, piece by piece.
pub trait Sink {
    /// A result begins.
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()>;
    /// A row of it.
    fn row(&mut self, row: &[Value]) -> ControlFlow<()>;
    /// The statement is done; `affected` rows were returned or changed.
    fn done(&mut self, affected: u64) -> ControlFlow<()>;
    /// Called many times a second while nothing else is to be said; `Break` where the client has given the statement
    /// up. The session then answers with `Outcome::Cancelled`.
    fn idle(&mut self) -> ControlFlow<()>;
}

/// Takes answers that nobody reads, such as those to the statements that prepare a database.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Sink for Nobody {
    fn columns(&mut self, _: &[Column]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn row(&mut self, _: &[Value]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn done(&mut self, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn idle(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// How a statement ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// To its end.
    Complete,
    /// The client gave it up.
    Cancelled,
    /// Another session ended this one; its connection is to be cut.
    Killed,
}

/// What answers behind a protocol.
pub trait Backend: Send + Sync {
    /// The password of a login; `None` where there is no such login.
    fn password(&self, login: &str) -> Option<String>;
    /// A new session for a login whose password was checked. Fails where the database is unknown.
    fn session(&self, login: &str, database: &str) -> Result<Box<dyn Session>, ServerError>;
}

/// A session of a client.
pub trait Session: Send {
    /// Its number, unique among the living.
    fn number(&self) -> u32;
    /// What the client calls itself, and the machine that it runs on.
    fn client(&mut self, _program: &str, _host: &str) {}
    /// Says that the connection is encrypted; sessions begin without.
    fn encrypted(&mut self) {}
    /// Runs one batch of statements and gives their answers to the sink, in order.
    fn run(&mut self, sql: &str, parameters: &[Parameter], sink: &mut dyn Sink) -> Result<Outcome, ServerError>;
    /// Whether another session ended this one while it rested.
    fn is_killed(&self) -> bool;
}
