//! Packets, and the messages that are made of them.

use std::io::{self, ErrorKind, Read, Write};

use crate::transport::{Look, Transport};

/// Bytes of the head of a packet.
const HEAD_BYTES: usize = 8;
/// Bytes of a message of the client. The real server takes packets without end; no test needs more.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Size of packets before the client has said which it wants.
pub(crate) const PACKET_BYTES: u16 = 4096;
/// Sizes of packets that a client may ask for.
pub(crate) const PACKET_BYTES_RANGE: std::ops::RangeInclusive<u16> = 512..=32767;

/// Kinds of packets.
pub(crate) mod kind {
    pub(crate) const BATCH: u8 = 0x01;
    pub(crate) const RPC: u8 = 0x03;
    pub(crate) const ANSWER: u8 = 0x04;
    pub(crate) const ATTENTION: u8 = 0x06;
    pub(crate) const TRANSACTION: u8 = 0x0e;
    pub(crate) const LOGIN: u8 = 0x10;
    pub(crate) const PRE_LOGIN: u8 = 0x12;
}

/// Bits of the status of a packet.
mod status {
    pub(super) const LAST: u8 = 0x01;
    pub(super) const IGNORE: u8 = 0x02;
    pub(super) const RESET: u8 = 0x08;
    pub(super) const RESET_BUT_TRANSACTION: u8 = 0x10;
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    /// The session is to be as new before this is served.
    pub(crate) resets: bool,
    /// The client took the message back while it sent it.
    pub(crate) is_taken_back: bool,
    pub(crate) body: Vec<u8>,
}

/// What came from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Message),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    kind: u8,
    status: u8,
    /// Bytes that follow.
    length: usize,
}

impl Head {
    fn read(bytes: [u8; HEAD_BYTES]) -> io::Result<Self> {
        let [kind, status, high, low, ..] = bytes;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let length = length.checked_sub(HEAD_BYTES).ok_or(ErrorKind::InvalidData)?;
        Ok(Self { kind, status, length })
    }

    /// The head of a packet of the server.
    fn of_server(kind: u8, status: u8, length: usize, session: u16, id: u8) -> [u8; HEAD_BYTES] {
        let [high, low] = ((length + HEAD_BYTES) as u16).to_be_bytes();
        let [session_high, session_low] = session.to_be_bytes();
        [kind, status, high, low, session_high, session_low, id, 0]
    }
}

/// A connection that speaks in messages.
pub(crate) struct Channel {
    pub(crate) transport: Transport,
    /// Size of packets that the server sends, with their head.
    pub(crate) packet_bytes: u16,
    /// Number of the session, which is in the head of every packet.
    pub(crate) session: u16,
    /// What is not sent yet.
    waiting: Vec<u8>,
    id: u8,
    /// Packets that were sent.
    pub(crate) sent: u64,
    /// Head of a packet that came while an answer was given.
    early: Option<Head>,
}

impl Channel {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, packet_bytes: PACKET_BYTES, session: 0, waiting: Vec::new(), id: 0, sent: 0, early: None }
    }

    /// The head of the next packet, or `None` where the client has closed.
    fn head(&mut self) -> io::Result<Option<Head>> {
        if let Some(head) = self.early.take() {
            return Ok(Some(head));
        }
        let mut bytes = [0; HEAD_BYTES];
        match self.transport.read_exact(&mut bytes[..1]) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        self.transport.read_exact(&mut bytes[1..])?;
        Head::read(bytes).map(Some)
    }

    /// Reads one packet, whatever its kind.
    pub(crate) fn packet(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let mut body = vec![0; head.length];
        self.transport.read_exact(&mut body)?;
        Ok(Some((head.kind, body)))
    }

    /// Reads all packets of a message.
    pub(crate) fn message(&mut self) -> io::Result<Incoming> {
        let Some(first) = self.head()? else { return Ok(Incoming::Closed) };
        let resets = first.status & (status::RESET | status::RESET_BUT_TRANSACTION) != 0;
        let mut body = Vec::new();
        let mut head = first;
        loop {
            let begin = body.len();
            if head.kind != first.kind || begin + head.length > MESSAGE_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            body.resize(begin + head.length, 0);
            self.transport.read_exact(&mut body[begin..])?;
            if head.status & status::LAST != 0 || first.kind == kind::ATTENTION {
                let is_taken_back = head.status & status::IGNORE != 0;
                return Ok(Incoming::Message(Message { kind: first.kind, resets, is_taken_back, body }));
            }
            head = self.head()?.ok_or(ErrorKind::UnexpectedEof)?;
        }
    }

    /// Whether the client has given up what is being answered: by an attention, which is then read, or by leaving.
    pub(crate) fn is_given_up(&mut self) -> io::Result<bool> {
        if self.early.is_some() || self.transport.look()? == Look::Nothing {
            return Ok(false);
        }
        let Some(head) = self.head()? else { return Err(ErrorKind::UnexpectedEof.into()) };
        if head.kind != kind::ATTENTION {
            self.early = Some(head);
            return Ok(false);
        }
        self.transport.read_exact(&mut vec![0; head.length])?;
        Ok(true)
    }

    /// Whether the head of a message is known already.
    pub(crate) fn is_begun(&self) -> bool {
        self.early.is_some()
    }

    /// Adds to the answer. Packets that are full are sent.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        let room = self.room();
        let mut begin = 0;
        while self.waiting.len() - begin > room {
            self.send(kind::ANSWER, 0, begin, begin + room)?;
            begin += room;
        }
        self.waiting.drain(..begin);
        Ok(())
    }

    fn room(&self) -> usize {
        usize::from(self.packet_bytes) - HEAD_BYTES
    }

    /// Sends what is there of an answer that goes on.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.send(kind::ANSWER, 0, 0, self.waiting.len())?;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Ends the answer.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.send(kind::ANSWER, status::LAST, 0, self.waiting.len())?;
        self.waiting.clear();
        self.id = 0;
        Ok(())
    }

    fn send(&mut self, kind: u8, status: u8, begin: usize, end: usize) -> io::Result<()> {
        self.id = self.id.wrapping_add(1);
        self.sent += 1;
        let mut packet = Head::of_server(kind, status, end - begin, self.session, self.id).to_vec();
        packet.extend_from_slice(&self.waiting[begin..end]);
        self.transport.write_all(&packet)
    }

    /// Sends bytes of a TLS handshake in packets.
    pub(crate) fn send_handshake(&mut self, bytes: &[u8]) -> io::Result<()> {
        let pieces = bytes.chunks(usize::from(PACKET_BYTES) - HEAD_BYTES);
        let count = pieces.len();
        for (at, piece) in pieces.enumerate() {
            let status = if at + 1 == count { status::LAST } else { 0 };
            let mut packet = Head::of_server(kind::PRE_LOGIN, status, piece.len(), 0, at as u8).to_vec();
            packet.extend_from_slice(piece);
            self.transport.wire.write_all(&packet)?;
        }
        Ok(())
    }

    /// Sends the head of a packet that says it is shorter than itself.
    pub(crate) fn send_wrong_length(&mut self) -> io::Result<()> {
        self.push()?;
        self.transport.write_all(&[kind::ANSWER, 0, 0, 3, 0, 0, 1, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_counts_itself() {
        let head = Head::read([0x01, 0x01, 0x00, 0x10, 0, 0, 1, 0]).unwrap();
        assert_eq!(head, Head { kind: kind::BATCH, status: status::LAST, length: 8 });
        assert!(Head::read([0x01, 0x01, 0x00, 0x07, 0, 0, 1, 0]).is_err());
        assert_eq!(Head::of_server(4, 1, 8, 0x0133, 7), [4, 1, 0, 16, 1, 0x33, 7, 0]);
    }
}
