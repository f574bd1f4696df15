//! The run from end to end on the crate's public interface: a table, a clock, a store and a platform in memory.

mod converge;
mod kit;
mod rows;
mod sync;
