//! A state store that fails once, at a chosen operation.

use std::sync::atomic::{AtomicUsize, Ordering};

use engine_core::memory::MemoryStore;
use engine_core::state::StateError;

use crate::watched::{Watch, Watched};

/// Whether a commit that fails has happened all the same: the answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    Work,
    Answer,
}

/// Fails at one operation; those before and after it go through.
pub struct Once {
    left: AtomicUsize,
    lost: Lost,
}

/// A store that fails once.
pub type Flaky<'a> = Watched<'a, Once>;

impl<'a> Flaky<'a> {
    /// Fails after that many operations.
    pub fn after(store: &'a MemoryStore, operations: usize, lost: Lost) -> Self {
        Self { store, watch: Once { left: AtomicUsize::new(operations + 1), lost } }
    }

    /// Whether it has failed.
    pub fn failed(&self) -> bool {
        self.watch.left.load(Ordering::Relaxed) == 0
    }
}

impl Once {
    /// What is committed at once can fail after it has happened.
    fn fails_behind(&self, operation: &str) -> bool {
        self.lost == Lost::Answer && matches!(operation, "commit" | "settle")
    }

    fn count(&self) -> Result<(), StateError> {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 { Err(failure()) } else { Ok(()) }
    }
}

impl Watch for Once {
    fn before(&self, operation: &'static str) -> Result<(), StateError> {
        if self.fails_behind(operation) { Ok(()) } else { self.count() }
    }

    fn after(&self, operation: &'static str) -> Result<(), StateError> {
        if self.fails_behind(operation) { self.count() } else { Ok(()) }
    }
}

/// What a store says that cannot write.
pub fn failure() -> StateError {
    StateError { tried: "writing the state".to_owned(), message: "disk full".to_owned(), hint: None }
}
