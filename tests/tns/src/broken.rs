//! Why a conversation does not go on as it should.

use std::io;

/// Why a conversation does not go on as it should.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The client is gone, or the server stops.
    #[error("the connection is closed")]
    Closed,
    /// The client has interrupted its call, with this marker.
    #[error("the client interrupts")]
    Interrupted(u8),
    /// What came is not TNS or TTC.
    #[error("{0}")]
    Malformed(&'static str),
    /// The network failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The TLS handshake failed.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}
