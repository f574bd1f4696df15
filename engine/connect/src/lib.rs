//! Where engine meets the world: one file or folder for each kind of source, and the list of them.
//!
//! The only crate that names a driver. Drivers are asynchronous or blocking as they please; the ports are
//! synchronous, and `pump` is the seam: a reader of its own fills batches, the run takes them.

pub mod collector;
mod csv;
pub mod discreet;
#[cfg_attr(not(feature = "databases"), expect(dead_code, reason = "databases use it"))]
mod failure;
pub mod fetch;
mod http;
#[cfg(feature = "databases")]
mod mysql;
#[cfg(feature = "databases")]
mod oracle;
#[cfg(feature = "databases")]
mod postgres;
#[cfg(feature = "databases")]
mod probes;
#[cfg_attr(not(feature = "databases"), expect(dead_code, reason = "databases use it"))]
mod pump;
mod redact;
pub mod registry;
#[cfg_attr(not(feature = "databases"), expect(dead_code, reason = "databases use it"))]
mod remote;
mod runtime;
#[cfg_attr(not(feature = "databases"), expect(dead_code, reason = "databases use it"))]
mod slots;
#[cfg(feature = "databases")]
mod sqlite;
#[cfg(feature = "databases")]
mod sqlserver;
#[cfg(feature = "databases")]
mod sqlx_error;
#[cfg_attr(not(feature = "databases"), expect(dead_code, reason = "databases use it"))]
mod tls_error;
pub mod to;
mod web;
#[cfg(feature = "databases")]
mod worker;
