//! Serves what a client that is logged in asks for.

use std::io::{self, ErrorKind};

use engine_standin::{Outcome, Parameter, ServerError, Session};

use crate::answer::{Answer, Rest};
use crate::call;
use crate::errors;
use crate::faults::Place;
use crate::login::Login;
use crate::packet::{Channel, Incoming, Message, kind};
use crate::prepared::Prepared;
use crate::reader::{Reader, utf16};
use crate::rpc::{self, Call};
use crate::server::Shared;
use crate::token::{Done, bytes_change, change, command, done, done_token};
use crate::transaction::{self, Transaction};
use crate::transport::Look;
use crate::trip::trip;

/// A client that is logged in.
pub(crate) struct Client<'a> {
    pub(crate) channel: Channel,
    pub(crate) shared: &'a Shared,
    pub(crate) session: Box<dyn Session>,
    pub(crate) login: Login,
    pub(crate) prepared: Prepared,
    pub(crate) transaction: Transaction,
}

/// Serves until the client leaves or the connection is over.
pub(crate) fn serve(client: &mut Client<'_>) -> io::Result<()> {
    while client.wait()? {
        match client.channel.message()? {
            Incoming::Closed => return Ok(()),
            Incoming::Message(message) => client.message(&message)?,
        }
    }
    Ok(())
}

impl Client<'_> {
    /// Waits for the next message. `false` where there will be none.
    fn wait(&mut self) -> io::Result<bool> {
        while !self.channel.is_begun() {
            match self.channel.transport.wait()? {
                Look::Bytes => break,
                Look::Closed => return Ok(false),
                Look::Nothing => {
                    if self.session.is_killed() || self.channel.transport.wire.is_stopping() {
                        self.channel.transport.wire.cut();
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    fn message(&mut self, message: &Message) -> io::Result<()> {
        if message.kind == kind::ATTENTION {
            // What was to be given up is done already.
            return self.say_done(done::ATTENTION);
        }
        if message.is_taken_back {
            return self.say_done(done::ERROR);
        }
        if message.resets {
            self.reset()?;
        }
        match message.kind {
            kind::BATCH => {
                let mut reader = Reader::new(&message.body);
                rpc::skip_headers(&mut reader).map_err(io::Error::other)?;
                let sql = utf16(reader.rest());
                self.run(&sql, &[], &[], Done::Statement, Rest::Nothing)
            }
            kind::RPC => {
                let calls = rpc::calls(&message.body).map_err(io::Error::other)?;
                self.calls(calls)
            }
            kind::TRANSACTION => {
                let sql = transaction::statement(&message.body).map_err(io::Error::other)?;
                self.run(&sql, &[], &[], Done::Statement, Rest::Nothing)
            }
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    fn say_done(&mut self, status: u16) -> io::Result<()> {
        self.channel.write(&done_token(Done::Statement, status, command::NONE, 0))?;
        self.channel.end()
    }

    /// Makes the session as new, as a pool of connections asks for.
    fn reset(&mut self) -> io::Result<()> {
        let (user, database) = (&self.login.user, &self.login.database);
        let session = self.shared.backend.session(user, database);
        self.session = session.map_err(|error| io::Error::other(error.message))?;
        self.session.client(&self.login.application, &self.login.host);
        self.prepared = Prepared::default();
        self.transaction = Transaction::default();
        self.channel.write(&bytes_change(change::RESET, &[], &[]))
    }

    fn calls(&mut self, calls: Vec<Call>) -> io::Result<()> {
        if calls.is_empty() {
            return self.fail(&errors::not_served("a message without a call"), Rest::Nothing);
        }
        let last = calls.len() - 1;
        for (at, call) in calls.into_iter().enumerate() {
            let rest = if at == last { Rest::Nothing } else { Rest::More };
            call::serve(self, &call, rest)?;
        }
        Ok(())
    }

    /// Runs a statement and gives its answer. `values` are returned by a procedure.
    pub(crate) fn run(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        values: &[u8],
        kind: Done,
        rest: Rest,
    ) -> io::Result<()> {
        let settings = &self.shared.settings;
        trip(&mut self.channel, &settings.faults, Place::Answer)?;
        let mut answer = Answer::new(&mut self.channel, settings, kind, sql);
        let outcome = self.session.run(sql, parameters, &mut answer);
        let mut tokens = match outcome {
            Ok(Outcome::Complete) => self.transaction.follow(&transaction::events(sql)),
            _ => Vec::new(),
        };
        tokens.extend_from_slice(values);
        answer.finish(outcome, &tokens, rest)
    }

    /// Answers a call with an error.
    pub(crate) fn fail(&mut self, error: &ServerError, rest: Rest) -> io::Result<()> {
        let settings = &self.shared.settings;
        Answer::new(&mut self.channel, settings, Done::Within, "").finish(Err(error.clone()), &[], rest)
    }
}
