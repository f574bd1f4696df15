//! The run from end to end on the crate's public interface: a table, a clock, a store and a platform in memory.

mod backfill;
mod brake;
mod converge;
mod delivery;
mod faults;
mod flaky;
mod keys;
mod kit;
mod parts;
mod plant;
mod rows;
mod sync;
mod watched;
