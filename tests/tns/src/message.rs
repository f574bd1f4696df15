//! Messages of the server.

use crate::put::Put;
use crate::types::{Kind, Type};

/// How a call ended, with an error or without.
const END: u8 = 4;
/// What follows are rows.
const ROWS: u8 = 6;
/// What a call returns.
pub const RETURNS: u8 = 8;
/// How a call ended that has nothing to say.
const STATUS: u8 = 9;
/// Which binds a block reads and writes.
const DIRECTIONS: u8 = 11;
/// What the columns are.
const DESCRIBE: u8 = 16;

/// The call left a transaction open.
const IN_TRANSACTION: u64 = 0x0002;
/// A bind is read.
const READ: u8 = 0x20;

/// Field versions from which a field exists.
const WITH_COLUMN_ID: u8 = 8;
const WITH_STATEMENT_TYPE: u8 = 14;
const WITH_DOMAIN: u8 = 17;
const WITH_ANNOTATIONS: u8 = 20;
const WITH_VECTORS: u8 = 24;

/// Whether a transaction is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// Nothing to commit.
    None,
    /// There is something to commit.
    Open,
}

/// An error, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number, without `ORA-`.
    pub number: u32,
    /// Its message, without the number.
    pub message: String,
    /// Place in the statement in bytes from 0.
    pub place: u32,
}

impl Failure {
    /// An error that has no place.
    pub fn new(number: u32, message: &str) -> Self {
        Self { number, message: message.to_owned(), place: 0 }
    }
}

impl From<engine_standin::ServerError> for Failure {
    fn from(error: engine_standin::ServerError) -> Self {
        Self { number: error.number, message: error.message, place: error.place }
    }
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The cursor that it used, or zero.
    pub cursor: u16,
    /// Rows that it returned or changed.
    pub rows: u64,
    /// Its error.
    pub failure: Option<Failure>,
    /// Whether a transaction is open.
    pub transaction: Transaction,
}

impl Ended {
    /// Without error, cursor and rows.
    pub fn well(transaction: Transaction) -> Self {
        Self { cursor: 0, rows: 0, failure: None, transaction }
    }
}

/// Writes how a call ended.
pub fn put_end(out: &mut Vec<u8>, ended: &Ended, fields: u8) {
    let number = ended.failure.as_ref().map_or(0, |failure| failure.number);
    let place = ended.failure.as_ref().map_or(0, |failure| failure.place);
    out.u8(END);
    out.number(if ended.transaction == Transaction::Open { IN_TRANSACTION } else { 0 });
    out.number(0);
    out.number(ended.rows.min(u64::from(u32::MAX)));
    out.number(u64::from(number.min(u32::from(u16::MAX))));
    out.number(0);
    out.number(0);
    out.number(u64::from(ended.cursor));
    out.number(u64::from(place.min(i16::MAX as u32)));
    // Old type of the statement, whether it is fatal, flags, options of the cursor, parameter, warnings.
    out.raw(&[0; 6]);
    // The ROWID of the last row: four numbers and a byte.
    out.raw(&[0; 5]);
    // Error of the system, number of the statement, number of the call, padding, iterations, logical ROWID.
    out.raw(&[0; 6]);
    // Errors of a batch: numbers, places, messages.
    out.raw(&[0; 3]);
    out.number(u64::from(number));
    out.number(ended.rows);
    if fields >= WITH_STATEMENT_TYPE {
        out.raw(&[0; 2]);
    }
    if let Some(failure) = &ended.failure {
        out.bytes(format!("ORA-{:05}: {}\n", failure.number, failure.message).as_bytes());
    }
}

/// Writes that a call is done.
pub fn put_status(out: &mut Vec<u8>, transaction: Transaction) {
    out.u8(STATUS);
    out.number(if transaction == Transaction::Open { IN_TRANSACTION } else { 0 });
    out.number(0);
}

/// Writes that rows follow.
pub fn put_rows(out: &mut Vec<u8>, wanted: u32) {
    out.u8(ROWS);
    out.u8(0);
    out.number(1);
    out.number(0);
    out.number(u64::from(wanted));
    out.number(0);
    out.number(0);
    out.number(0);
}

/// Writes what an execution returns besides rows. `changed` are the rows of each execution, where the client asked.
pub fn put_returns(out: &mut Vec<u8>, changed: Option<&[u64]>) {
    out.u8(RETURNS);
    out.raw(&[0; 4]);
    if let Some(changed) = changed {
        out.number(changed.len() as u64);
        for count in changed {
            out.number(*count);
        }
    }
}

/// Writes that all binds of a block are only read.
pub fn put_directions(out: &mut Vec<u8>, binds: usize) {
    out.u8(DIRECTIONS);
    out.u8(0);
    out.number((binds % 256) as u64);
    out.number((binds / 256) as u64);
    out.number(0);
    out.number(0);
    out.number(0);
    out.number(0);
    out.raw(&vec![READ; binds]);
}

/// A column as it is described.
pub struct Described<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub of: Type,
    /// Whether it may be null.
    pub nullable: bool,
}

/// Writes what the columns are.
pub fn put_describe(out: &mut Vec<u8>, columns: &[Described<'_>], fields: u8) {
    out.u8(DESCRIBE);
    out.bytes(b"");
    out.number(columns.iter().map(|column| u64::from(column.of.bytes)).sum::<u64>().min(u64::from(u32::MAX)));
    out.number(columns.len() as u64);
    if !columns.is_empty() {
        out.u8(0);
    }
    for (index, column) in columns.iter().enumerate() {
        put_column(out, column, index + 1, fields);
    }
    // The date, flags, three sizes, the key of the query cache.
    out.raw(&[0; 6]);
}

fn put_column(out: &mut Vec<u8>, column: &Described<'_>, position: usize, fields: u8) {
    let of = &column.of;
    out.u8(of.kind.number());
    out.u8(0);
    out.u8(of.precision.cast_unsigned());
    out.u8(of.scale.cast_unsigned());
    out.number(u64::from(of.bytes));
    // Elements of an array, flags, identity of an object type, its version.
    out.raw(&[0; 4]);
    out.number(of.charset.number());
    out.u8(of.charset.form());
    out.number(if of.kind == Kind::Raw { 0 } else { u64::from(of.characters) });
    if fields >= WITH_COLUMN_ID {
        out.number(0);
    }
    out.u8(u8::from(column.nullable));
    out.u8(column.name.len().min(255) as u8);
    out.counted(column.name.as_bytes());
    // Schema and name of an object type.
    out.raw(&[0; 2]);
    out.number(position as u64);
    out.number(0);
    if fields >= WITH_DOMAIN {
        out.raw(&[0; 2]);
    }
    if fields >= WITH_ANNOTATIONS {
        out.number(0);
    }
    if fields >= WITH_VECTORS {
        out.raw(&[0; 3]);
    }
}
