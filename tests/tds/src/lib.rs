//! A server that speaks the wire protocol of SQL Server (MS-TDS 7.2 to 8.0), for tests.
//!
//! It leaves everything about SQL to an [`engine_standin::Backend`], and does what servers do in bad hours when it is
//! told to. It listens on the loopback only.

mod answer;
mod browser;
mod call;
mod code_page;
mod collation;
mod declaration;
mod describe;
mod errors;
mod faults;
#[cfg(test)]
mod hostile_tests;
mod login;
mod order;
mod packet;
mod pre_login;
mod prepared;
mod reader;
mod row;
mod rpc;
mod serve;
mod server;
mod settings;
mod tls;
mod token;
mod transaction;
mod transport;
mod trip;
mod types;
mod values;
mod welcome;
mod writer;

pub use browser::{BROWSER_PORT, Browser};
pub use faults::{Fault, Faults, Place};
pub use login::Login;
pub use server::Server;
pub use settings::{Acknowledgement, Encryption, NullRows, Settings, Version, certificate_of_localhost};
