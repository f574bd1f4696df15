//! Packets on a connection, with or without TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::broken::Broken;
use crate::packet::{self, DATA, Packet};
use crate::take::More;

/// Most bytes of a packet that is accepted, whatever was agreed on.
const PACKET_BYTES_MAX: usize = 2 << 20;
/// Bytes that are read from the network at once.
const READ_BYTES: usize = 16 << 10;
/// How long a client may take to read what was sent before its connection is given up.
const WRITE_MS: u64 = 120_000;

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// How the first bytes of a packet give its length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// In two bytes, until the connection is accepted and with old clients.
    Short,
    /// In four bytes.
    Long,
}

/// A connection of a client.
pub struct Wire {
    stream: Stream,
    received: Vec<u8>,
    length: Length,
    sdu: usize,
}

impl Wire {
    /// Takes a connection over. With `tls`, the handshake happens when the first bytes are read.
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<Self, Broken> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(Duration::from_millis(WRITE_MS)))?;
        let stream = match tls {
            None => Stream::Plain(socket),
            Some(config) => Stream::Tls(Box::new(StreamOwned::new(ServerConnection::new(config)?, socket))),
        };
        Ok(Self { stream, received: Vec::new(), length: Length::Short, sdu: packet::SDU_BYTES_MIN })
    }

    /// From now on packets have this form and size.
    pub fn agree(&mut self, length: Length, sdu: usize) {
        self.length = length;
        self.sdu = sdu;
    }

    /// Most bytes that a packet of data carries.
    pub fn room(&self) -> usize {
        self.sdu - packet::DATA_HEADER_BYTES
    }

    /// Waits for a packet.
    pub fn receive(&mut self) -> Result<Packet, Broken> {
        loop {
            if let Some(packet) = self.next_received()? {
                return Ok(packet);
            }
            if self.fill()? == 0 {
                return Err(Broken::Closed);
            }
        }
    }

    /// A packet that is there, without waiting for one.
    pub fn poll(&mut self) -> Result<Option<Packet>, Broken> {
        self.stream.socket().set_nonblocking(true)?;
        let filled = self.fill();
        self.stream.socket().set_nonblocking(false)?;
        match filled {
            Ok(0) => return Err(Broken::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        self.next_received()
    }

    /// Sends a packet that is not data.
    pub fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), Broken> {
        let bytes = packet::encode(self.length, kind, body);
        Ok(self.stream.write(&bytes)?)
    }

    /// Sends data in one packet.
    pub fn send_data(&mut self, flags: u16, data: &[u8]) -> Result<(), Broken> {
        let mut body = Vec::with_capacity(data.len() + 2);
        body.extend_from_slice(&flags.to_be_bytes());
        body.extend_from_slice(data);
        self.send(DATA, &body)
    }

    /// Sends bytes that are no packet.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        Ok(self.stream.write(bytes)?)
    }

    /// Closes the connection in both directions.
    pub fn close(&mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            // The client may be gone already, and nothing depends on its hearing this.
            let _ = stream.conn.write_tls(&mut stream.sock);
        }
        let _ = self.stream.socket().shutdown(Shutdown::Both);
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; READ_BYTES];
        let count = match self.stream.read(&mut buffer) {
            // Clients hang up without saying so in TLS.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            other => other?,
        };
        self.received.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn next_received(&mut self) -> Result<Option<Packet>, Broken> {
        let Some(length) = packet::length(self.length, &self.received) else { return Ok(None) };
        if !(packet::HEADER_BYTES..=PACKET_BYTES_MAX).contains(&length) {
            return Err(Broken::Malformed("a packet of impossible length"));
        }
        if self.received.len() < length {
            return Ok(None);
        }
        let bytes: Vec<u8> = self.received.drain(..length).collect();
        Ok(Some(Packet { kind: bytes[4], body: bytes[packet::HEADER_BYTES..].to_vec() }))
    }
}

impl More for Wire {
    fn more(&mut self, into: &mut Vec<u8>) -> Result<(), Broken> {
        let packet = self.receive()?;
        match packet.kind {
            DATA => {
                into.extend_from_slice(packet.data()?);
                Ok(())
            }
            packet::MARKER => Err(Broken::Interrupted(packet.mark().unwrap_or(packet::MARK_BREAK))),
            _ => Err(Broken::Malformed("a packet that is not data in the middle of a call")),
        }
    }
}
