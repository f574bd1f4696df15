//! Where engine meets the world: one file or folder for each kind of source, and the list of them.
//!
//! The only crate that names a driver. Drivers are asynchronous or blocking as they please; the ports are
//! synchronous, and `pump` is the seam: a reader of its own fills batches, the run takes them.

mod csv;
pub mod discreet;
mod failure;
mod http;
mod mysql;
mod oracle;
mod postgres;
mod probes;
mod pump;
mod redact;
pub mod registry;
mod remote;
mod runtime;
mod slots;
mod sqlite;
mod sqlserver;
mod sqlx_error;
mod tls_error;
pub mod to;
mod web;
mod worker;
