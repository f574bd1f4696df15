//! A conversation with a client, from its first packet to its last.

use std::sync::Arc;

use crate::answer::{Answer, End};
use crate::auth::AuthCall;
use crate::broken::Broken;
use crate::call::{self, Aside, Call, Reading};
use crate::crypto::Challenge;
use crate::cursor::{self, Cursors};
use crate::faults::Point;
use crate::lob::{LobCall, Lobs};
use crate::message::{self, Ended, Failure, Transaction};
use crate::packet::{DATA, FLAG_END, MARK_BREAK, MARK_RESET, MARKER};
use crate::server::Shared;
use crate::settings::Profile;
use crate::take::Take;
use crate::wire::Wire;
use crate::worker::Worker;

/// A login that has begun.
pub struct Pending {
    /// The user, as the backend knows it.
    pub user: String,
    /// What was asked of the client; `None` where there is no such user.
    pub challenge: Option<Challenge>,
    /// What the client told of itself.
    pub call: AuthCall,
}

/// A conversation with a client.
pub struct Conversation {
    /// The connection.
    pub wire: Wire,
    /// What it shares with the others of the server.
    pub shared: Arc<Shared>,
    /// The service that the client asked for.
    pub service: String,
    /// The field version that was agreed on.
    pub fields: u8,
    /// How the client knows that an answer ends.
    pub end: End,
    /// A login that has begun.
    pub pending: Option<Pending>,
    /// The session, once the client is logged in.
    pub worker: Option<Worker>,
    /// Statements that are open.
    pub cursors: Cursors,
    /// LOBs that the client may read.
    pub lobs: Lobs,
    /// Whether a transaction is open.
    pub transaction: Transaction,
}

impl Conversation {
    /// A conversation that begins.
    pub fn new(wire: Wire, shared: Arc<Shared>) -> Self {
        let profile = shared.settings.profile;
        Self {
            wire,
            service: String::new(),
            fields: profile.fields(),
            end: if profile == Profile::Oracle23ai { End::Marked } else { End::Silent },
            pending: None,
            worker: None,
            cursors: Cursors::default(),
            lobs: Lobs::default(),
            transaction: Transaction::None,
            shared,
        }
    }

    /// Talks until one side ends it.
    pub fn run(&mut self) -> Result<(), Broken> {
        self.connect()?;
        loop {
            let outcome = match self.receive() {
                Ok(None) => return Ok(()),
                Ok(Some((asides, call))) => self.answer(asides, call),
                Err(broken) => Err(broken),
            };
            match outcome {
                Err(Broken::Interrupted(mark)) => self.recover(mark)?,
                other => other?,
            }
        }
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.wire.close();
    }

    /// The next call; `None` where the client goes.
    fn receive(&mut self) -> Result<Option<(Vec<Aside>, Call)>, Broken> {
        let packet = self.wire.receive()?;
        match packet.kind {
            DATA if packet.flags() & FLAG_END != 0 => return Ok(None),
            DATA => {}
            MARKER => return Err(Broken::Interrupted(packet.mark().unwrap_or(MARK_BREAK))),
            _ => return Err(Broken::Malformed("a packet that is not data")),
        }
        let reading = Reading {
            fields: self.fields,
            string_bytes_max: self.shared.settings.profile.string_bytes_max(),
            cursors: &self.cursors,
        };
        let mut take = Take::new(packet.data()?.to_vec(), &mut self.wire);
        call::take_call(&mut take, &reading).map(Some)
    }

    fn answer(&mut self, asides: Vec<Aside>, call: Call) -> Result<(), Broken> {
        let Some(call) = self.answer_login(call)? else { return Ok(()) };
        if self.worker.is_none() {
            return Err(Broken::Malformed("a call before the login"));
        }
        for aside in asides {
            self.heed(aside)?;
        }
        self.fault(if call == Call::Logoff { Point::Logoff } else { Point::Answer })?;
        match call {
            Call::Execute(execute) => self.execute(*execute),
            Call::Fetch(cursor, rows) => self.fetch(cursor, rows),
            Call::Lob(lob) => self.lob(&lob),
            Call::Commit => self.finish_transaction("COMMIT"),
            Call::Rollback => self.finish_transaction("ROLLBACK"),
            Call::Ping | Call::Logoff => {
                let mut answer = Answer::new(&mut self.wire);
                message::put_status(&mut answer.out, self.transaction);
                answer.finish(self.end)
            }
            Call::Unknown(_) => {
                self.answer_failure(Failure::new(3115, "unsupported network datatype or representation"))
            }
            Call::Protocol | Call::Types(_) | Call::FastLogin(..) | Call::PhaseOne(_) | Call::PhaseTwo(_) => Ok(()),
        }
    }

    fn heed(&mut self, aside: Aside) -> Result<(), Broken> {
        match aside {
            Aside::Close(cursors) => cursors.into_iter().for_each(|cursor| self.cursors.close(cursor)),
            Aside::Free(call) => self.lobs.free(&call),
            Aside::Schema(schema) => {
                // Whether the schema exists is seen by the statements that need it.
                drop(self.run_to_end(&format!("ALTER SESSION SET CURRENT_SCHEMA = {schema}"), Vec::new())?);
            }
        }
        Ok(())
    }

    fn lob(&mut self, call: &LobCall) -> Result<(), Broken> {
        let mut out = Vec::new();
        if self.lobs.run(call, &mut out).is_none() {
            return self.answer_failure(Failure::new(22922, "nonexistent LOB value"));
        }
        let mut answer = Answer::new(&mut self.wire);
        answer.out = out;
        message::put_end(&mut answer.out, &Ended::well(self.transaction), self.fields);
        answer.finish(self.end)
    }

    fn finish_transaction(&mut self, sql: &str) -> Result<(), Broken> {
        match self.run_to_end(sql, Vec::new())? {
            Ok(_) => {
                self.transaction = Transaction::None;
                let mut answer = Answer::new(&mut self.wire);
                message::put_status(&mut answer.out, self.transaction);
                answer.finish(self.end)
            }
            Err(failure) => self.answer_failure(failure),
        }
    }

    /// Answers a call that failed and used no cursor.
    pub fn answer_failure(&mut self, failure: Failure) -> Result<(), Broken> {
        self.answer_end(&Ended { failure: Some(failure), ..Ended::well(self.transaction) })
    }

    /// Answers with how a call ended, and no more.
    pub fn answer_end(&mut self, ended: &Ended) -> Result<(), Broken> {
        let mut answer = Answer::new(&mut self.wire);
        message::put_end(&mut answer.out, ended, self.fields);
        answer.finish(self.end)
    }

    /// Both sides begin anew after the client has interrupted its call.
    fn recover(&mut self, mut mark: u8) -> Result<(), Broken> {
        let marker = |mark| [1, 0, mark];
        if mark != MARK_RESET {
            self.wire.send(MARKER, &marker(MARK_BREAK))?;
        }
        while mark != MARK_RESET {
            // The rest of a call that was broken off is of no use.
            if let Some(next) = self.wire.receive()?.mark() {
                mark = next;
            }
        }
        self.wire.send(MARKER, &marker(MARK_RESET))?;
        self.answer_failure(cursor::cancelled())
    }
}
