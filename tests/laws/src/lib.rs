//! What holds for whatever comes in: one function for each way into the engine, which takes bytes and panics where a
//! law is broken.
//!
//! The targets in `fuzz/` hunt with them, and `tests/replay.rs` replays what is kept: the corpus, and every input that
//! once broke a law.

pub mod answers;
pub mod bundle;
pub mod csv;
pub mod mapping;
mod serve;
pub mod spec;
mod take;
pub mod template;
pub mod times;

pub use take::Take;

/// Takes bytes, and panics where a law is broken.
pub type Law = fn(&[u8]);

/// Every law by the name of its fuzz target.
pub const LAWS: [(&str, Law); 8] = [
    ("spec", spec::holds),
    ("template", template::holds),
    ("mapping", mapping::holds),
    ("times", times::holds),
    ("csv", csv::holds),
    ("answers", answers::holds),
    ("receipts", answers::receipts::holds),
    ("bundle", bundle::holds),
];
