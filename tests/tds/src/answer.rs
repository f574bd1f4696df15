//! Turns the answer of a session into tokens while it comes.

use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use engine_standin::{Column, Outcome, ServerError, Sink, Value};

use crate::errors;
use crate::faults::{Faults, Place};
use crate::order::sorted_by;
use crate::packet::Channel;
use crate::row::{column_tokens, row_token};
use crate::settings::{Acknowledgement, Settings};
use crate::token::{Done, Notice, command, done, done_token, number, order, return_status};
use crate::trip::trip;
use crate::types::Shape;

/// After so long without news, what is there of an answer is sent.
const PUSH_AFTER_MS: u64 = 20;

/// What ended an answer before its end.
#[derive(Debug)]
enum Stop {
    /// The client gave it up with an attention.
    Attention,
    /// The connection is over.
    Lost(io::Error),
    /// A value did not fit its column.
    Unfit(String),
}

/// What follows an answer of which more requests came in the same message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing; the message ends.
    Nothing,
    /// The answer to the next request.
    More,
}

/// An answer that is being given.
pub(crate) struct Answer<'a> {
    channel: &'a mut Channel,
    settings: &'a Settings,
    faults: &'a Faults,
    kind: Done,
    sql: &'a str,
    /// Statements that change rows tell how many even where there are none.
    counts_changes: bool,
    shapes: Vec<Shape>,
    has_columns: bool,
    /// Command and count of a statement that is done, until it is known whether more follows.
    pending: Option<(u16, Option<u64>)>,
    rows: u64,
    stop: Option<Stop>,
    buffer: Vec<u8>,
    /// Packets that were sent when it was last looked whether the client gives up.
    sent: u64,
    news: Instant,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(channel: &'a mut Channel, settings: &'a Settings, kind: Done, sql: &'a str) -> Self {
        let lower = sql.to_ascii_lowercase();
        let words = ["insert", "update", "delete", "merge"];
        Self {
            channel,
            settings,
            faults: &settings.faults,
            kind,
            sql,
            counts_changes: words.iter().any(|word| lower.contains(word)),
            shapes: Vec::new(),
            has_columns: false,
            pending: None,
            rows: 0,
            stop: None,
            buffer: Vec::new(),
            sent: 0,
            news: Instant::now(),
        }
    }

    /// Notes what ended the answer, and tells the session to end it.
    fn stopped(&mut self, result: io::Result<()>) -> ControlFlow<()> {
        match result {
            Ok(()) if self.stop.is_none() => ControlFlow::Continue(()),
            Ok(()) => ControlFlow::Break(()),
            Err(error) => {
                self.stop = Some(Stop::Lost(error));
                ControlFlow::Break(())
            }
        }
    }

    fn settle(&mut self, more: u16) -> io::Result<()> {
        if let Some((command, count)) = self.pending.take() {
            let status = more | if count.is_some() { done::COUNT } else { 0 };
            self.channel.write(&done_token(self.kind, status, command, count.unwrap_or(0)))?;
        }
        Ok(())
    }

    fn give_columns(&mut self, columns: &[Column]) -> io::Result<()> {
        self.settle(done::MORE)?;
        match column_tokens(columns) {
            Ok((token, shapes)) => {
                self.shapes = shapes;
                self.has_columns = true;
                self.channel.write(&token)?;
                match sorted_by(self.sql, columns).as_slice() {
                    [] => Ok(()),
                    places => self.channel.write(&order(places)),
                }
            }
            Err(what) => {
                self.stop = Some(Stop::Unfit(what));
                Ok(())
            }
        }
    }

    fn give_row(&mut self, row: &[Value]) -> io::Result<()> {
        self.rows += 1;
        self.buffer.clear();
        if let Err(what) = row_token(&mut self.buffer, &self.shapes, row, self.settings.null_rows) {
            self.stop = Some(Stop::Unfit(what));
            return Ok(());
        }
        let place = Place::Row(self.rows);
        let (before, after) = self.buffer.split_at(self.buffer.len() / 2);
        self.channel.write(before)?;
        trip(self.channel, self.faults, place)?;
        self.channel.write(after)?;
        // Looking costs more than a row, so it is done once a packet.
        if self.channel.sent == self.sent {
            return Ok(());
        }
        self.sent = self.channel.sent;
        self.look()
    }

    /// Looks whether the client has given the answer up.
    fn look(&mut self) -> io::Result<()> {
        if self.channel.is_given_up()? {
            self.stop = Some(Stop::Attention);
        }
        Ok(())
    }

    /// Ends the answer. `tokens` stand before the last; of a procedure, they are what it returns.
    pub(crate) fn finish(mut self, outcome: Result<Outcome, ServerError>, tokens: &[u8], rest: Rest) -> io::Result<()> {
        let outcome = match self.stop.take() {
            Some(Stop::Lost(error)) => return Err(error),
            Some(Stop::Attention) => Ok(Outcome::Cancelled),
            Some(Stop::Unfit(what)) => Err(errors::unfit(&what)),
            None => outcome,
        };
        let (more, within) = match rest {
            Rest::Nothing => (0, self.kind == Done::Within),
            Rest::More => (done::MORE, self.kind == Done::Within),
        };
        match outcome {
            Ok(Outcome::Killed) => {
                self.channel.transport.wire.cut();
                return Err(ErrorKind::ConnectionAborted.into());
            }
            Ok(Outcome::Cancelled) => {
                self.settle(done::MORE)?;
                if self.settings.acknowledgement == Acknowledgement::OwnMessage {
                    let kind = if within { Done::Procedure } else { Done::Statement };
                    self.channel.write(&done_token(kind, done::ERROR, command::NONE, 0))?;
                    self.channel.end()?;
                }
                self.channel.write(&done_token(Done::Statement, done::ATTENTION, command::NONE, 0))?;
                return self.channel.end();
            }
            Ok(Outcome::Complete) if within => {
                self.settle(done::MORE)?;
                self.channel.write(&return_status(0))?;
                self.channel.write(tokens)?;
                self.channel.write(&done_token(Done::Procedure, more, command::NONE, 0))?;
            }
            Ok(Outcome::Complete) => {
                self.channel.write(tokens)?;
                if self.pending.is_none() {
                    self.pending = Some((command::NONE, None));
                }
                self.settle(more)?;
            }
            Err(error) => {
                self.settle(done::MORE)?;
                self.channel.write(&error_token(&error, self.settings))?;
                let kind = if within { Done::Procedure } else { Done::Statement };
                self.channel.write(&done_token(kind, more | done::ERROR, command::NONE, 0))?;
            }
        }
        match rest {
            Rest::Nothing => self.channel.end(),
            Rest::More => Ok(()),
        }
    }
}

/// An error as a token.
pub(crate) fn error_token(error: &ServerError, settings: &Settings) -> Vec<u8> {
    let notice = Notice {
        number: error.number,
        state: 1,
        class: errors::severity(error.number),
        text: &error.message,
        server: &settings.name,
        procedure: "",
        line: error.place.max(1),
    };
    notice.token(number::ERROR)
}

impl Sink for Answer<'_> {
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()> {
        let given = self.give_columns(columns);
        self.stopped(given)
    }

    fn row(&mut self, row: &[Value]) -> ControlFlow<()> {
        let given = self.give_row(row);
        self.stopped(given)
    }

    fn done(&mut self, affected: u64) -> ControlFlow<()> {
        let settled = self.settle(done::MORE);
        let counts = self.has_columns || self.counts_changes || affected > 0;
        let command = match (self.has_columns, counts) {
            (true, _) => command::SELECT,
            (false, true) => command::INSERT,
            (false, false) => command::NONE,
        };
        self.pending = Some((command, counts.then_some(affected)));
        self.has_columns = false;
        self.shapes.clear();
        self.stopped(settled)
    }

    fn idle(&mut self) -> ControlFlow<()> {
        let mut looked = self.look();
        if looked.is_ok() && self.news.elapsed() > Duration::from_millis(PUSH_AFTER_MS) {
            self.news = Instant::now();
            looked = self.channel.push();
        }
        if self.channel.transport.wire.is_stopping() {
            looked = Err(ErrorKind::ConnectionAborted.into());
        }
        self.stopped(looked)
    }
}
