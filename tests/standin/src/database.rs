//! The database that all sessions of a server share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::catalogue::Catalogue;
use crate::errors::error;
use crate::functions::Counters;
use crate::session::StandIn;
use crate::{Backend, Column, Parameter, Product, ServerError, Session, Value};

/// A small database in the dialect of a product. Clones are the same database.
#[derive(Clone)]
pub struct Database {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub product: Product,
    pub name: String,
    /// When the database was made; it says so of itself.
    pub created: jiff::Timestamp,
    pub file: PathBuf,
    pub counters: Arc<Counters>,
    state: Mutex<State>,
    _folder: Option<tempfile::TempDir>,
    failure: Option<String>,
}

#[derive(Default)]
pub(crate) struct State {
    pub catalogue: Catalogue,
    pub logins: BTreeMap<String, Login>,
    pub sessions: BTreeMap<u32, Living>,
    pub seen: Vec<Seen>,
    pub answers: Vec<Prepared>,
    pub version: Option<String>,
    /// Sessions over an encrypted connection.
    pub encrypted: BTreeSet<u32>,
    next_session: u32,
}

/// An account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub password: Option<String>,
    pub administrator: bool,
    /// `(right, SCHEMA.TABLE)`; for a right on everything without a table.
    pub rights: BTreeSet<(String, String)>,
    pub roles: BTreeSet<String>,
}

/// A session as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Living {
    pub login: String,
    pub program: String,
    pub host: String,
    pub serial: u32,
    /// What runs, if something does.
    pub command: Option<String>,
    pub sql: String,
    pub options: BTreeMap<String, String>,
    pub killed: Arc<AtomicBool>,
}

/// A statement that a session ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Number of the session.
    pub session: u32,
    /// The batch as it came.
    pub sql: String,
    /// Its bound values with their declared types.
    pub parameters: Vec<Parameter>,
}

/// What is answered in place of running a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// These rows.
    Rows(Vec<Column>, Vec<Vec<Value>>),
    /// This error.
    Fails(ServerError),
    /// These rows, then this error.
    Breaks(Vec<Column>, Vec<Vec<Value>>, ServerError),
    /// Nothing until the client gives up or the session is ended.
    Stalls,
    /// Nothing for a while; then the statement runs.
    Waits(Duration),
}

pub(crate) struct Prepared {
    pub pattern: String,
    pub answer: Answer,
    /// How often it is still to be given; always where there is no number.
    pub left: Option<usize>,
}

impl Database {
    /// An empty database without logins. `name` is that of the database, or of Oracle's service.
    pub fn new(product: Product, name: &str) -> Database {
        let folder = tempfile::tempdir();
        let failure = folder.as_ref().err().map(ToString::to_string);
        let folder = folder.ok();
        let file = folder.as_ref().map(|folder| folder.path().join("standin.sqlite")).unwrap_or_default();
        let state = State { next_session: 50, ..State::default() };
        Database {
            shared: Arc::new(Shared {
                product,
                name: name.to_owned(),
                created: jiff::Timestamp::now(),
                file,
                counters: Arc::default(),
                state: Mutex::new(state),
                _folder: folder,
                failure,
            }),
        }
    }

    /// Adds an administrator.
    pub fn login(&self, user: &str, password: &str) {
        let login = Login { password: Some(password.to_owned()), administrator: true, ..Login::default() };
        self.shared.state().logins.insert(user.to_uppercase(), login);
    }

    /// Every batch that was run, with its bound values, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Forgets what was run.
    pub fn forget(&self) {
        self.shared.state().seen.clear();
    }

    /// Answers every statement that contains `pattern` in this way.
    pub fn on(&self, pattern: &str, answer: Answer) {
        self.shared.state().answers.push(Prepared { pattern: pattern.to_owned(), answer, left: None });
    }

    /// The same, for the next such statement only.
    pub fn once(&self, pattern: &str, answer: Answer) {
        self.shared.state().answers.push(Prepared { pattern: pattern.to_owned(), answer, left: Some(1) });
    }

    /// Takes back all prepared answers.
    pub fn as_usual(&self) {
        self.shared.state().answers.clear();
    }

    /// Says this of its version: `19.24.0.0.0`.
    pub fn version(&self, version: &str) {
        self.shared.state().version = Some(version.to_owned());
    }

    /// What sessions said with `SET` or `ALTER SESSION SET`, by the names of the options in upper case.
    pub fn options(&self, session: u32) -> BTreeMap<String, String> {
        self.shared.state().sessions.get(&session).map(|living| living.options.clone()).unwrap_or_default()
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new session.
    pub(crate) fn next_session(&self) -> u32 {
        let mut state = self.state();
        state.next_session += 1;
        state.next_session
    }
}

impl Backend for Database {
    fn password(&self, login: &str) -> Option<String> {
        self.shared.state().logins.get(&login.to_uppercase()).and_then(|login| login.password.clone())
    }

    fn session(&self, login: &str, database: &str) -> Result<Box<dyn Session>, ServerError> {
        if let Some(failure) = &self.shared.failure {
            return Err(error(600, failure.clone()));
        }
        let known = database.is_empty()
            || database.eq_ignore_ascii_case(&self.shared.name)
            || self.shared.product == Product::SqlServer && database.eq_ignore_ascii_case("master");
        if !known {
            return Err(match self.shared.product {
                Product::SqlServer => error(
                    4060,
                    format!("Cannot open database \"{database}\" requested by the login. The login failed."),
                ),
                Product::Oracle => {
                    error(12514, "TNS:listener does not currently know of service requested in connect descriptor")
                }
            });
        }
        Ok(Box::new(StandIn::open(self, login)?))
    }
}
