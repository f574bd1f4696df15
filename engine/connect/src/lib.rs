//! The edges: sources and destinations.

pub mod to;
