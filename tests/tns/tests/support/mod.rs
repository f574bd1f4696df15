//! What the tests have in common.

#![allow(dead_code, reason = "each test program uses a part")]

pub mod canned;

use std::sync::Arc;

use canned::{Canned, Seen};
use engine_tns::{Certificate, Server, Settings};

/// Certificates that the tests of this repository share.
pub const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../support/tls");

/// A server on the canned backend, and what happens behind it.
pub fn server(settings: Settings) -> (Server, Arc<Seen>) {
    let backend = Canned::default();
    let seen = Arc::clone(&backend.seen);
    (Server::start(Arc::new(backend), settings).unwrap(), seen)
}

/// The certificate of `localhost`.
pub fn certificate() -> Certificate {
    let read = |name: &str| std::fs::read_to_string(format!("{TLS}/{name}")).unwrap();
    Certificate { chain: read("localhost.pem"), key: read("localhost.key") }
}
