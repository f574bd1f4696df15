//! What the tests of the whole need: real servers.

pub mod servers;
