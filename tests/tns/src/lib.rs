//! A server that speaks Oracle's TNS and TTC, for tests: Oracle's own thin drivers and those of others log in, run
//! statements and fetch rows. What a statement means is asked of a [`Backend`](engine_standin::Backend).
//!
//! It is wire-compatible; it is not Oracle Database.

mod answer;
mod auth;
mod bind;
mod bind_names;
mod broken;
mod call;
mod conversation;
mod crypto;
mod cursor;
mod descriptor;
mod encode;
mod execute;
mod faults;
mod lob;
mod login;
mod message;
mod moment;
mod negotiate;
mod number;
mod packet;
mod put;
mod rowid;
mod rows;
mod server;
mod settings;
mod take;
mod types;
mod wire;
mod worker;

pub use faults::{Fault, Faults, Point};
pub use server::{Login, Server, Verdict};
pub use settings::{Certificate, NativeEncryption, Profile, Settings, Verifier};
