//! What goes wrong on demand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine_standin::ServerError;

/// Where something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the first byte of the client is read.
    Accept,
    /// Before the pre-login is answered.
    PreLogin,
    /// Before the TLS handshake is answered.
    Tls,
    /// Before the login is answered.
    Login,
    /// Before a statement is run.
    Answer,
    /// In the middle of this row of an answer, from 1.
    Row(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing more is said, until the fault is cleared, the client leaves or the server stops.
    Stall,
    /// The connection ends.
    Cut,
    /// A token that does not exist. In the middle of a row it takes the place of the rest.
    GarbageToken,
    /// A token that is said to be longer than it is.
    WrongTokenLength,
    /// A packet that is said to be shorter than its own header.
    WrongPacketLength,
    /// The answer of a server whose newest TLS is 1.0. It is of use at [`Place::Tls`].
    OldTls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Always,
}

#[derive(Debug, Default)]
struct Inner {
    planned: Vec<(Place, Fault, Times)>,
    cut_after_bytes: Option<u64>,
    bytes_per_second: Option<u64>,
    refusal: Option<ServerError>,
    /// Grows when faults are cleared, so that those who stall go on.
    cleared: u64,
}

/// Switches of a server; clones are the same switches. They hold for connections that exist, too.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, this goes wrong whenever that place is reached.
    pub fn always(&self, place: Place, fault: Fault) -> &Self {
        self.lock().planned.push((place, fault, Times::Always));
        self
    }

    /// This goes wrong the next time that the place is reached. Several for one place come one after another.
    pub fn once(&self, place: Place, fault: Fault) -> &Self {
        self.lock().planned.push((place, fault, Times::Once));
        self
    }

    /// Connections end after so many bytes that the server has sent on each.
    pub fn cut_after_bytes(&self, bytes: u64) -> &Self {
        self.lock().cut_after_bytes = Some(bytes);
        self
    }

    /// The server sends no more than so many bytes in a second on a connection.
    pub fn bytes_per_second(&self, bytes: u64) -> &Self {
        self.lock().bytes_per_second = Some(bytes.max(1));
        self
    }

    /// Logins fail with this error, whatever their password.
    pub fn refuse_logins(&self, error: ServerError) -> &Self {
        self.lock().refusal = Some(error);
        self
    }

    /// Nothing goes wrong any more, and what stalls goes on.
    pub fn clear(&self) -> &Self {
        let mut inner = self.lock();
        *inner = Inner { cleared: inner.cleared + 1, ..Inner::default() };
        drop(inner);
        self
    }

    /// What goes wrong at a place that is reached now, with the count of clearings at this moment.
    pub(crate) fn reached(&self, place: Place) -> Option<(Fault, u64)> {
        let mut inner = self.lock();
        let at = inner.planned.iter().position(|(planned, ..)| *planned == place)?;
        let (_, fault, times) = inner.planned[at];
        if times == Times::Once {
            inner.planned.remove(at);
        }
        Some((fault, inner.cleared))
    }

    /// Whether faults were cleared since.
    pub(crate) fn is_cleared_since(&self, count: u64) -> bool {
        self.lock().cleared != count
    }

    /// Bytes that a connection may send at all, and in a second.
    pub(crate) fn limits(&self) -> (Option<u64>, Option<u64>) {
        let inner = self.lock();
        (inner.cut_after_bytes, inner.bytes_per_second)
    }

    pub(crate) fn refusal(&self) -> Option<ServerError> {
        self.lock().refusal.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_once_happens_once_and_in_order() {
        let faults = Faults::default();
        faults.once(Place::Login, Fault::Cut).once(Place::Login, Fault::Stall).always(Place::Accept, Fault::Cut);
        let reached = |place| faults.reached(place).map(|(fault, _)| fault);
        assert_eq!(reached(Place::Answer), None);
        assert_eq!(reached(Place::Login), Some(Fault::Cut));
        assert_eq!(reached(Place::Login), Some(Fault::Stall));
        assert_eq!(reached(Place::Login), None);
        assert_eq!([reached(Place::Accept), reached(Place::Accept)], [Some(Fault::Cut); 2]);
    }

    #[test]
    fn clearing_ends_everything_and_is_noticed() {
        let faults = Faults::default();
        faults.always(Place::Login, Fault::Stall).cut_after_bytes(3).bytes_per_second(0);
        let (_, count) = faults.reached(Place::Login).unwrap();
        assert_eq!(faults.limits(), (Some(3), Some(1)));
        assert!(!faults.is_cleared_since(count));
        let same = faults.clone();
        same.clear();
        assert!(faults.is_cleared_since(count));
        assert_eq!((faults.reached(Place::Login), faults.limits()), (None, (None, None)));
    }
}
