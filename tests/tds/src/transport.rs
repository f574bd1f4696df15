//! Bytes to and from a client: over TCP, or over TLS on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::ServerConnection;

use crate::faults::Faults;

/// How long a wait lasts before it is looked whether the server stops.
pub(crate) const LOOK_MS: u64 = 20;
/// Pause between two pieces of a slow answer.
const SLOW_STEP_MS: u64 = 20;

/// What a look at the connection found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Nothing,
    Bytes,
    Closed,
}

/// The connection below TLS. All that is sent passes here, and so do the faults that count bytes.
pub(crate) struct Wire {
    pub(crate) socket: TcpStream,
    stopping: Arc<AtomicBool>,
    faults: Faults,
    sent: u64,
}

impl Wire {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn cut(&self) {
        // A connection that is closed already is as good as cut.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Whether bytes wait below TLS.
    fn look(&self) -> io::Result<Look> {
        self.socket.set_nonblocking(true)?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Ok(Look::Closed),
            Ok(_) => Ok(Look::Bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Look::Nothing),
            Err(_) => Ok(Look::Closed),
        }
    }

    /// Waits until a stall is over: `Err` where the connection is over first.
    pub(crate) fn stall(&self, is_over: impl Fn() -> bool) -> io::Result<()> {
        while !is_over() {
            if self.is_stopping() || self.look()? == Look::Closed {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            thread::sleep(Duration::from_millis(LOOK_MS));
        }
        Ok(())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (cut_after, per_second) = self.faults.limits();
        let mut piece = bytes.len() as u64;
        if let Some(per_second) = per_second {
            piece = piece.min((per_second * SLOW_STEP_MS / 1000).max(1));
            thread::sleep(Duration::from_millis(piece * 1000 / per_second));
        }
        if let Some(cut_after) = cut_after {
            piece = piece.min(cut_after.saturating_sub(self.sent));
            if piece == 0 {
                self.cut();
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
        let written = self.socket.write(&bytes[..piece as usize])?;
        self.sent += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A connection of a client.
pub(crate) struct Transport {
    pub(crate) wire: Wire,
    tls: Option<Box<ServerConnection>>,
}

impl Transport {
    pub(crate) fn new(socket: TcpStream, stopping: Arc<AtomicBool>, faults: Faults) -> Self {
        Self { wire: Wire { socket, stopping, faults, sent: 0 }, tls: None }
    }

    /// From now on, everything goes through TLS.
    pub(crate) fn encrypt(&mut self, tls: ServerConnection) {
        self.tls = Some(Box::new(tls));
    }

    /// From now on, nothing goes through TLS.
    pub(crate) fn decrypt(&mut self) {
        self.tls = None;
    }

    /// The first byte, which stays where it is; `None` where the connection ends before it.
    pub(crate) fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        Ok((self.wire.socket.peek(&mut first)? == 1).then_some(first[0]))
    }

    /// Finishes a handshake that is not carried in packets.
    pub(crate) fn complete_handshake(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.complete_io(&mut Both(&mut self.wire)).map(drop),
            None => Ok(()),
        }
    }

    /// Whether the client has sent something that is not read yet. Returns at once.
    pub(crate) fn look(&mut self) -> io::Result<Look> {
        let Some(tls) = &mut self.tls else { return self.wire.look() };
        loop {
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            if state.plaintext_bytes_to_read() > 0 {
                return Ok(Look::Bytes);
            }
            if state.peer_has_closed() {
                return Ok(Look::Closed);
            }
            match self.wire.look()? {
                // Part of a record may wait, so the socket must not block here.
                Look::Bytes => {
                    self.wire.socket.set_nonblocking(true)?;
                    let read = tls.read_tls(&mut self.wire.socket);
                    self.wire.socket.set_nonblocking(false)?;
                    match read {
                        Ok(0) => return Ok(Look::Closed),
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Look::Nothing),
                        Err(error) => return Err(error),
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// Waits for a moment until the client sends something.
    pub(crate) fn wait(&mut self) -> io::Result<Look> {
        let look = self.look()?;
        if look != Look::Nothing {
            return Ok(look);
        }
        self.wire.socket.set_read_timeout(Some(Duration::from_millis(LOOK_MS)))?;
        let peeked = self.wire.socket.peek(&mut [0]);
        self.wire.socket.set_read_timeout(None)?;
        match peeked {
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(error),
            _ => self.look(),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut Both(&mut self.wire)).read(into),
            None => self.wire.socket.read(into),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.wire.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.wire)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }
}

/// Reads the socket and writes with the faults.
struct Both<'a>(&'a mut Wire);

impl Read for Both<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.socket.read(into)
    }
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
