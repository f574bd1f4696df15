//! What stays open from slice to slice: a session of the source, and the destination.
//!
//! A history of a year is hundreds of slices, and a login for each is dear to both sides. Both are opened anew where a
//! reference gives another value than it gave for the slice before: a secret was rotated.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};

use engine_core::plan::Plan;
use engine_core::ports::{Ask, Cancel, Fetched, Source, SourceError, SourceIdentity};
use engine_core::probe::Probe;
use engine_core::report::RunReport;
use engine_core::value::RowBatch;

use crate::exit::CommandError;
use crate::pipeline::{self, Outlet};
use crate::references::Mark;

/// What is open. Nothing is until somebody asks for it.
#[derive(Default)]
pub struct Open {
    /// What the references gave when it was opened.
    mark: Cell<Option<Mark>>,
    session: Shelf,
    outlet: RefCell<Option<Outlet>>,
    /// What became of the slice before: the next one is about as large.
    before: RefCell<Option<RunReport>>,
}

impl Open {
    /// The report of the slice before, if there was one.
    pub(super) fn before(&self) -> Option<RunReport> {
        self.before.borrow().clone()
    }

    /// Keeps the report of a slice for the next one.
    pub(super) fn remember(&self, report: RunReport) {
        self.before.replace(Some(report));
    }

    /// Closes what was opened when the references gave something else.
    pub(super) fn only_with(&self, mark: Mark) {
        if self.mark.replace(Some(mark)) != Some(mark) {
            self.session.take();
            self.outlet.take();
        }
    }

    /// A session of the plan's source: the one of the slice before, or a new one.
    pub(super) fn source(&self, plan: &Plan, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
        let session = self.session.take().map_or_else(|| pipeline::open_source(plan, cancel), Ok)?;
        Ok(Box::new(Lent { session: Some(session), has_failed: false, shelf: self.session.clone() }))
    }

    /// Uses the plan's destination. What it has learned of parcels is kept for the next slice.
    pub(super) fn with_outlet<T>(
        &self,
        plan: &Plan,
        use_it: impl FnOnce(&mut Outlet) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let mut outlet = self.outlet.borrow_mut();
        match &mut *outlet {
            Some(outlet) => use_it(outlet),
            none => use_it(none.insert(Outlet::open(plan)?)),
        }
    }
}

/// Where a session waits for the next slice.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<Box<dyn Source>>>>);

impl Shelf {
    fn take(&self) -> Option<Box<dyn Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, session: Box<dyn Source>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }
}

/// A session that goes back to its shelf when a run is done with it, unless it has failed.
struct Lent {
    /// There until it goes back.
    session: Option<Box<dyn Source>>,
    has_failed: bool,
    shelf: Shelf,
}

impl Lent {
    fn session(&self) -> &dyn Source {
        self.session.as_deref().expect("it goes back when this is dropped")
    }

    fn tried<T>(&mut self, with: impl FnOnce(&mut dyn Source) -> Result<T, SourceError>) -> Result<T, SourceError> {
        let tried = with(self.session.as_deref_mut().expect("it goes back when this is dropped"));
        self.has_failed |= tried.is_err();
        tried
    }
}

impl Source for Lent {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        self.tried(|session| session.ask(ask))
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        self.tried(|session| session.next(batch))
    }

    fn identity(&self) -> &SourceIdentity {
        self.session().identity()
    }

    fn probe(&mut self, ask: &Ask) -> Result<Probe, SourceError> {
        self.tried(|session| session.probe(ask))
    }

    fn left_for_later(&self) -> Option<String> {
        self.session().left_for_later()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // What a driver has left half done is not asked again.
        if !self.has_failed && !std::thread::panicking() {
            self.session.take().into_iter().for_each(|session| self.shelf.put(session));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use engine_core::ports::SourceErrorKind;

    use super::*;

    static NOBODY: LazyLock<SourceIdentity> = LazyLock::new(SourceIdentity::default);

    /// A session that answers once, fails at the second question and panics at the third.
    struct Moody(u32);

    impl Source for Moody {
        fn ask(&mut self, _: &Ask) -> Result<(), SourceError> {
            self.0 += 1;
            let (tried, message) = ("asking".to_owned(), "not today".to_owned());
            match self.0 {
                1 => Ok(()),
                2 => Err(SourceError { kind: SourceErrorKind::Network, tried, message, hint: None }),
                _ => panic!("{message}"),
            }
        }

        fn next(&mut self, _: &mut RowBatch) -> Result<Fetched, SourceError> {
            Ok(Fetched::End)
        }

        fn identity(&self) -> &SourceIdentity {
            &NOBODY
        }
    }

    fn lend(shelf: &Shelf, asked: u32) -> Lent {
        Lent { session: Some(Box::new(Moody(asked))), has_failed: false, shelf: shelf.clone() }
    }

    fn question() -> Ask {
        let now = jiff::Timestamp::UNIX_EPOCH;
        Ask { statement: None, window: None, cursor: std::collections::BTreeMap::new(), now, batch_rows_max: None }
    }

    #[test]
    fn a_session_comes_back_unless_it_failed() {
        let shelf = Shelf::default();
        let mut well = lend(&shelf, 0);
        well.ask(&question()).expect("it answers");
        drop(well);
        assert!(shelf.take().is_some(), "the next slice has it");
        let mut fails = lend(&shelf, 1);
        fails.ask(&question()).expect_err("it fails");
        fails.next(&mut RowBatch::new()).expect("it says so only once");
        drop(fails);
        assert!(shelf.take().is_none(), "who failed once is opened anew");
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lend(&shelf, 2).ask(&question())));
        assert!(panics.is_err() && shelf.take().is_none(), "nobody knows what it is in the middle of");
    }
}
