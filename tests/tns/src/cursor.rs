//! Statements that a client has open, and the rows that they still have.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use engine_standin::{Column, Outcome, Value};

use crate::bind::BindType;
use crate::bind_names;
use crate::broken::Broken;
use crate::encode::Cell;
use crate::message::{Described, Failure};
use crate::packet::MARK_BREAK;
use crate::types::{Charset, Kind, Type};
use crate::wire::Wire;
use crate::worker::{Event, Running, weight};

/// Most cursors that a client may have open.
const OPEN_MAX: usize = 1_000;
/// How often the connection is looked at while a statement computes.
const LOOK_MS: u64 = 20;
/// What is kept of a result whose session runs another statement, before it is given up.
const PARKED_BYTES_MAX: usize = 64 << 20;
/// How long such a result may take.
const PARK_MS: u64 = 5_000;
/// Name of a type that is not known here is answered with this length of text.
const UNKNOWN_TYPE: &str = "VARCHAR2(4000)";

/// A column of a result.
#[derive(Debug, Clone)]
pub struct Out {
    name: String,
    nullable: bool,
    /// Its type.
    pub of: Type,
    /// The type that the client wants to have instead.
    pub wanted: Option<Kind>,
}

impl Out {
    fn new(column: Column) -> Self {
        let of = Type::parse(&column.declared).or_else(|| Type::parse(UNKNOWN_TYPE));
        let of = of.unwrap_or(Type {
            kind: Kind::Varchar,
            charset: Charset::Database,
            bytes: 1,
            characters: 1,
            precision: 0,
            scale: 0,
        });
        Self { name: column.name, nullable: column.nullable, of, wanted: None }
    }

    /// What goes over.
    pub fn kind(&self) -> Kind {
        self.wanted.unwrap_or(self.of.kind)
    }

    /// Whether the client knows from the description that all values are null.
    pub fn is_always_null(&self) -> bool {
        self.of.bytes == 0 && !matches!(self.of.kind, Kind::Long | Kind::LongRaw)
    }

    /// As it is described.
    pub fn described(&self) -> Described<'_> {
        Described { name: &self.name, of: self.of, nullable: self.nullable }
    }
}

/// A result that is being fetched.
#[derive(Default)]
pub struct Stream {
    running: Option<Running>,
    rows: VecDeque<Vec<Value>>,
    failure: Option<Failure>,
}

/// What comes next of a result.
pub enum Next {
    /// A row.
    Row(Vec<Value>),
    /// No more.
    End,
    /// No more, because of this.
    Failed(Failure),
    /// No more, because the session was ended by another.
    Killed,
}

impl Stream {
    /// Of a statement that runs.
    pub fn new(running: Running) -> Self {
        Self { running: Some(running), ..Self::default() }
    }

    /// The next row. Looks at the connection while it waits.
    pub fn next(&mut self, wire: &mut Wire) -> Result<Next, Broken> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Next::Row(row));
            }
            if let Some(failure) = self.failure.take() {
                return Ok(Next::Failed(failure));
            }
            let Some(running) = &self.running else { return Ok(Next::End) };
            match wait(running, wire)? {
                Event::Rows(rows) => self.rows.extend(rows),
                Event::Columns(_) | Event::Done(_) => {}
                Event::End(end) => {
                    self.running = None;
                    match end {
                        Ok(Outcome::Complete) => {}
                        Ok(Outcome::Killed) => return Ok(Next::Killed),
                        Ok(Outcome::Cancelled) => self.failure = Some(cancelled()),
                        Err(error) => self.failure = Some(error.into()),
                    }
                }
            }
        }
    }

    /// Takes what is left into memory, so that the session can run another statement.
    fn park(&mut self) {
        let until = Instant::now() + Duration::from_millis(PARK_MS);
        let mut bytes: usize = self.rows.iter().flatten().map(weight).sum();
        while let Some(running) = &self.running {
            let left = until.saturating_duration_since(Instant::now());
            match running.events.recv_timeout(left) {
                Ok(Event::Rows(rows)) if bytes <= PARKED_BYTES_MAX => {
                    bytes += rows.iter().flatten().map(weight).sum::<usize>();
                    self.rows.extend(rows);
                }
                Ok(Event::Columns(_) | Event::Done(_)) => {}
                Ok(Event::End(end)) => {
                    self.running = None;
                    self.failure = end.err().map(Failure::from);
                }
                Ok(Event::Rows(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.running = None;
                    self.rows.clear();
                    self.failure =
                        Some(Failure::new(1555, "snapshot too old: rollback segment number  with name \"\" too small"));
                }
            }
        }
    }
}

/// The error of a call that was interrupted.
pub fn cancelled() -> Failure {
    Failure::new(1013, "user requested cancel of current operation")
}

/// Waits for what happens next, and looks at the connection meanwhile.
pub fn wait(running: &Running, wire: &mut Wire) -> Result<Event, Broken> {
    loop {
        match running.events.recv_timeout(Duration::from_millis(LOOK_MS)) {
            Ok(event) => {
                if matches!(event, Event::Rows(_)) {
                    look(wire)?;
                }
                return Ok(event);
            }
            Err(RecvTimeoutError::Timeout) => look(wire)?,
            Err(RecvTimeoutError::Disconnected) => return Err(Broken::Closed),
        }
    }
}

fn look(wire: &mut Wire) -> Result<(), Broken> {
    match wire.poll()? {
        None => Ok(()),
        Some(packet) if packet.kind == crate::packet::MARKER => {
            Err(Broken::Interrupted(packet.mark().unwrap_or(MARK_BREAK)))
        }
        Some(_) => Err(Broken::Malformed("a call before the last one was answered")),
    }
}

/// A statement that a client has open.
#[derive(Default)]
pub struct Cursor {
    /// The statement.
    pub sql: String,
    /// Types of its binds, as they were sent last.
    pub types: Vec<BindType>,
    /// Its columns, once they are known.
    pub columns: Vec<Out>,
    /// Its rows, between an execution and their end.
    pub stream: Option<Stream>,
    /// The last row that was sent, for a client that is told only what differs.
    pub last: Vec<Cell>,
    /// Rows that were fetched.
    pub fetched: u64,
}

impl Cursor {
    /// Takes the columns of a new execution, keeping what the client wants of them. Says whether they are others than
    /// before.
    pub fn describe(&mut self, columns: Vec<Column>) -> bool {
        let mut new: Vec<Out> = columns.into_iter().map(Out::new).collect();
        let are_same = new.len() == self.columns.len() && new.iter().zip(&self.columns).all(|(a, b)| a.of == b.of);
        if are_same {
            for (new, old) in new.iter_mut().zip(&self.columns) {
                new.wanted = old.wanted;
            }
        }
        self.columns = new;
        !are_same
    }

    /// Whether the client must say what it wants before it is given rows.
    pub fn must_be_defined(&self) -> bool {
        self.columns.iter().any(|column| column.of.kind.is_lob() && column.wanted.is_none())
    }
}

/// The statements that a client has open.
#[derive(Default)]
pub struct Cursors {
    open: HashMap<u16, Cursor>,
    last: u16,
}

impl Cursors {
    /// Opens one. `None` where there are too many.
    pub fn open(&mut self, sql: String) -> Option<u16> {
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.open.contains_key(&self.last) {
                self.open.insert(self.last, Cursor { sql, ..Cursor::default() });
                return Some(self.last);
            }
        }
    }

    /// One that is open.
    pub fn get(&mut self, number: u32) -> Option<&mut Cursor> {
        self.open.get_mut(&u16::try_from(number).ok()?)
    }

    /// Closes one. What runs for it stops.
    pub fn close(&mut self, number: u32) {
        if let Ok(number) = u16::try_from(number) {
            self.open.remove(&number);
        }
    }

    /// The types of its binds.
    pub fn bind_types(&self, number: u32) -> &[BindType] {
        let number = u16::try_from(number).unwrap_or(0);
        self.open.get(&number).map_or(&[], |cursor| &cursor.types)
    }

    /// Whether its statement is PL/SQL.
    pub fn is_block(&self, number: u32) -> bool {
        let number = u16::try_from(number).unwrap_or(0);
        self.open.get(&number).is_some_and(|cursor| bind_names::is_block(&cursor.sql))
    }

    /// Takes what is left of all results into memory.
    pub fn park(&mut self) {
        for cursor in self.open.values_mut() {
            if let Some(stream) = &mut cursor.stream {
                stream.park();
            }
        }
    }
}
