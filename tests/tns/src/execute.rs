//! Statements and their rows.

use engine_standin::{Outcome, Parameter, Value};

use crate::answer::Answer;
use crate::bind::{self, Raw};
use crate::bind_names;
use crate::broken::Broken;
use crate::call::{Execute, option};
use crate::conversation::Conversation;
use crate::cursor::{Cursor, Out, Stream, cancelled, wait};
use crate::faults::{Fault, Point};
use crate::message::{self, Ended, Failure, Transaction};
use crate::rows::{self, Stop};
use crate::worker::{Event, Running};

const END_OF_DATA: u32 = 1_403;

/// What came of an execution.
#[derive(Default)]
struct Done {
    changed: Vec<u64>,
    failure: Option<Failure>,
    /// Whether the columns are others than those that the client knows.
    new_columns: bool,
}

/// What a statement did until it had something to say.
enum Ran {
    /// It has columns; `new` where they are others than before.
    Columns { new: bool },
    /// It is done, and changed so many rows.
    Changed(u64),
}

fn no_such_cursor() -> Failure {
    Failure::new(1001, "invalid cursor")
}

fn killed() -> Failure {
    Failure::new(28, "your session has been killed")
}

impl Conversation {
    /// Runs a statement and answers.
    pub fn execute(&mut self, mut call: Execute) -> Result<(), Broken> {
        let parses = call.options & option::PARSE != 0;
        let number = match self.cursor_of(&mut call) {
            Ok(number) => number,
            Err(failure) => return self.answer_failure(failure),
        };
        let Some(cursor) = self.cursors.get(number.into()) else { return self.answer_failure(no_such_cursor()) };
        if let Some(defines) = &call.defines {
            for (column, define) in cursor.columns.iter_mut().zip(defines) {
                column.wanted = define.kind;
            }
        }
        if let Some(types) = call.types.take() {
            cursor.types = types;
        }
        let describes = call.options & option::DESCRIBE != 0;
        let mut done = Done::default();
        if call.options & option::EXECUTE != 0 {
            done = self.run_cursor(number, &call)?;
        } else if describes {
            done.failure = self.look_at(number)?;
        }
        if done.failure.is_none() && call.options & option::COMMIT != 0 {
            done.failure = self.run_to_end("COMMIT", Vec::new())?.err();
            self.transaction = Transaction::None;
        }
        let describes = parses || describes || done.new_columns;
        self.answer_execution(number, &call, done, describes)
    }

    /// The cursor that a call is about.
    fn cursor_of(&mut self, call: &mut Execute) -> Result<u16, Failure> {
        let Some(sql) = call.sql.take() else {
            let known = self.cursors.get(call.cursor).is_some();
            return u16::try_from(call.cursor).ok().filter(|_| known).ok_or_else(no_such_cursor);
        };
        let sql = sql.trim_end_matches('\0').to_owned();
        if let Some(cursor) = self.cursors.get(call.cursor) {
            *cursor = Cursor { sql, ..Default::default() };
            return Ok(call.cursor as u16);
        }
        self.cursors.open(sql).ok_or_else(|| Failure::new(1000, "maximum open cursors exceeded"))
    }

    fn start(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Running, Broken> {
        self.cursors.park();
        let worker = self.worker.as_ref().ok_or(Broken::Malformed("a call before the login"))?;
        Ok(worker.run(sql, parameters))
    }

    /// Runs a statement whose rows nobody wants. Gives the rows that it changed.
    pub fn run_to_end(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Result<u64, Failure>, Broken> {
        let running = self.start(sql, parameters)?;
        let mut changed = 0;
        loop {
            match wait(&running, &mut self.wire)? {
                Event::Columns(_) | Event::Rows(_) => {}
                Event::Done(count) => changed += count,
                Event::End(end) => return self.ended(end).map(|ended| ended.map(|()| changed)),
            }
        }
    }

    fn ended(&mut self, end: Result<Outcome, engine_standin::ServerError>) -> Result<Result<(), Failure>, Broken> {
        match end {
            Ok(Outcome::Complete) => Ok(Ok(())),
            Ok(Outcome::Cancelled) => Ok(Err(cancelled())),
            Ok(Outcome::Killed) => {
                self.answer_failure(killed())?;
                Err(Broken::Closed)
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Runs the statement of a cursor, once for each row of binds.
    fn run_cursor(&mut self, number: u16, call: &Execute) -> Result<Done, Broken> {
        let mut done = Done::default();
        let Some(cursor) = self.cursors.get(number.into()) else { return Ok(done) };
        cursor.stream = None;
        cursor.last.clear();
        cursor.fetched = 0;
        let (sql, types) = (cursor.sql.clone(), cursor.types.clone());
        let names = bind_names::names(&sql);
        let none = [Vec::new()];
        let times = if call.rows.is_empty() { call.times.max(1) as usize } else { call.rows.len() };
        for row in call.rows.iter().chain(none.iter().cycle()).take(times) {
            let Some(parameters) = self.parameters(&names, &types, row) else {
                done.failure = Some(Failure::new(1460, "unimplemented or unreasonable conversion requested"));
                break;
            };
            match self.run_once(number, &sql, parameters)? {
                Ok(Ran::Columns { new }) => {
                    done.changed.push(0);
                    done.new_columns = new;
                }
                Ok(Ran::Changed(count)) => done.changed.push(count),
                Err(failure) => {
                    done.failure = Some(failure);
                    break;
                }
            }
        }
        if done.failure.is_none() {
            match bind_names::first_word(&sql).as_str() {
                "INSERT" | "UPDATE" | "DELETE" | "MERGE" => self.transaction = Transaction::Open,
                "COMMIT" | "ROLLBACK" | "CREATE" | "DROP" | "ALTER" | "TRUNCATE" | "GRANT" => {
                    self.transaction = Transaction::None;
                }
                _ => {}
            }
        }
        Ok(done)
    }

    fn parameters(&self, names: &[String], types: &[bind::BindType], row: &[Raw]) -> Option<Vec<Parameter>> {
        row.iter()
            .zip(types)
            .enumerate()
            .map(|(index, (raw, of))| {
                let position = (index + 1).to_string();
                bind::parameter(names.get(index).unwrap_or(&position), of, raw, &self.lobs)
            })
            .collect()
    }

    /// Runs a statement until it has columns or ends.
    fn run_once(&mut self, number: u16, sql: &str, parameters: Vec<Parameter>) -> Result<Result<Ran, Failure>, Broken> {
        let running = self.start(sql, parameters)?;
        let mut changed = 0;
        loop {
            match wait(&running, &mut self.wire)? {
                Event::Columns(columns) => {
                    let Some(cursor) = self.cursors.get(number.into()) else { return Ok(Err(no_such_cursor())) };
                    let new = cursor.describe(columns);
                    cursor.stream = Some(Stream::new(running));
                    return Ok(Ok(Ran::Columns { new }));
                }
                Event::Rows(_) => {}
                Event::Done(count) => changed += count,
                Event::End(end) => return self.ended(end).map(|ended| ended.map(|()| Ran::Changed(changed))),
            }
        }
    }

    /// Learns the columns of a statement without its rows.
    fn look_at(&mut self, number: u16) -> Result<Option<Failure>, Broken> {
        let Some(cursor) = self.cursors.get(number.into()) else { return Ok(None) };
        let sql = cursor.sql.clone();
        if !bind_names::is_query(&sql) {
            return Ok(None);
        }
        let null = |name| Parameter { name, declared: "VARCHAR2(1)".to_owned(), value: Value::Null };
        let parameters = bind_names::names(&sql).into_iter().map(null).collect();
        let outcome = self.run_once(number, &sql, parameters)?;
        if let Some(cursor) = self.cursors.get(number.into()) {
            cursor.stream = None;
        }
        Ok(outcome.err())
    }

    fn answer_execution(&mut self, number: u16, call: &Execute, done: Done, describes: bool) -> Result<(), Broken> {
        let Some(cursor) = self.cursors.get(number.into()) else { return self.answer_failure(no_such_cursor()) };
        let mut ended = Ended {
            cursor: number,
            rows: done.changed.iter().sum(),
            failure: done.failure,
            transaction: self.transaction,
        };
        if let Some(failure) = ended.failure.as_mut().filter(|failure| failure.place == 0) {
            // Where a row of many fails, its number stands in for the place.
            failure.place = if call.rows.len() > 1 { done.changed.len() as u32 } else { 0 };
        }
        let mut answer = Answer::new(&mut self.wire);
        let mut stopped = Stop::Enough;
        if ended.failure.is_none() {
            if describes && !cursor.columns.is_empty() {
                let described: Vec<_> = cursor.columns.iter().map(Out::described).collect();
                message::put_describe(&mut answer.out, &described, self.fields);
            }
            if bind_names::is_block(&cursor.sql) && !cursor.types.is_empty() && describes {
                message::put_directions(&mut answer.out, cursor.types.len());
            }
            let fetches = call.options & option::FETCH != 0 && cursor.stream.is_some() && !cursor.must_be_defined();
            if fetches {
                let shared = &self.shared;
                let begun = |answer: &mut Answer<'_>| mid_fetch(shared, answer);
                stopped = or_stop(rows::send(&mut answer, cursor, &mut self.lobs, call.fetch, begun), cursor)?;
                ended.rows = cursor.fetched;
            }
        }
        if call.options & option::EXECUTE != 0 {
            message::put_returns(&mut answer.out, call.counts.then_some(&done.changed[..]));
        }
        stop(&stopped, &mut ended);
        if !matches!(stopped, Stop::Enough) {
            cursor.stream = None;
        }
        message::put_end(&mut answer.out, &ended, self.fields);
        answer.finish(self.end)?;
        if matches!(stopped, Stop::Killed) { Err(Broken::Closed) } else { Ok(()) }
    }

    /// Sends more rows.
    pub fn fetch(&mut self, number: u32, wanted: u32) -> Result<(), Broken> {
        let Some(cursor) = self.cursors.get(number) else { return self.answer_failure(no_such_cursor()) };
        let mut ended = Ended { cursor: number as u16, ..Ended::well(self.transaction) };
        let mut answer = Answer::new(&mut self.wire);
        let mut stopped = Stop::Failed(Failure::new(1002, "fetch out of sequence"));
        if cursor.stream.is_some() {
            let shared = &self.shared;
            let begun = |answer: &mut Answer<'_>| mid_fetch(shared, answer);
            stopped = or_stop(rows::send(&mut answer, cursor, &mut self.lobs, wanted, begun), cursor)?;
        }
        if !matches!(stopped, Stop::Enough) {
            cursor.stream = None;
        }
        ended.rows = cursor.fetched;
        stop(&stopped, &mut ended);
        message::put_end(&mut answer.out, &ended, self.fields);
        answer.finish(self.end)?;
        if matches!(stopped, Stop::Killed) { Err(Broken::Closed) } else { Ok(()) }
    }
}

/// Gives up the statement of a call that breaks off.
fn or_stop(sent: Result<Stop, Broken>, cursor: &mut Cursor) -> Result<Stop, Broken> {
    if sent.is_err() {
        cursor.stream = None;
    }
    sent
}

fn stop(stopped: &Stop, ended: &mut Ended) {
    match stopped {
        Stop::Enough => {}
        Stop::End => ended.failure = Some(Failure::new(END_OF_DATA, "no data found")),
        Stop::Failed(failure) => ended.failure = Some(failure.clone()),
        Stop::Killed => ended.failure = Some(killed()),
    }
}

/// Lets go wrong what is to go wrong between rows. What was written is sent first.
fn mid_fetch(shared: &crate::server::Shared, answer: &mut Answer<'_>) -> Result<(), Broken> {
    match shared.faults.at(Point::MidFetch) {
        None => Ok(()),
        Some(fault) => {
            answer.flush()?;
            match fault {
                Fault::Stall => shared.stall(Point::MidFetch),
                Fault::Cut => Err(Broken::Closed),
                Fault::Garbage => {
                    answer.wire().send_raw(&[0xA5; 64])?;
                    Err(Broken::Closed)
                }
            }
        }
    }
}
