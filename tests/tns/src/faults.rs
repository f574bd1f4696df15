//! What can go wrong on demand.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where in a conversation something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// The connection is there, nothing was read.
    Accept,
    /// The client has said which service it wants.
    Connect,
    /// The client has said who it is.
    Authentication,
    /// A call after the login was read, nothing is answered.
    Answer,
    /// The first row of a fetch is on its way.
    MidFetch,
    /// The client says that it goes.
    Logoff,
}

/// What goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing more is said until the fault is cleared.
    Stall,
    /// The connection is closed.
    Cut,
    /// Bytes that mean nothing are sent, then the connection is closed.
    Garbage,
}

/// The faults that are switched on. They stay on until they are cleared.
#[derive(Debug, Default)]
pub struct Faults(Mutex<HashMap<Point, Fault>>);

impl Faults {
    /// From now on, this goes wrong there.
    pub fn set(&self, point: Point, fault: Fault) {
        self.lock().insert(point, fault);
    }

    /// Nothing goes wrong any more; what stalls goes on.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// What goes wrong there.
    #[must_use]
    pub fn at(&self, point: Point) -> Option<Fault> {
        self.lock().get(&point).copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Point, Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
