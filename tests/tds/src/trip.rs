//! Does what is to go wrong, at the places where it can.

use std::io::{self, ErrorKind, Write};

use crate::faults::{Fault, Faults, Place};
use crate::packet::Channel;
use crate::tls::old_hello;
use crate::token::{number, with_length};

/// Bytes by which a token is said to be longer than it is.
const TOKEN_EXCESS_BYTES: u8 = 0x40;

/// Does what is planned for this place. `Err` where the connection is over by that.
pub(crate) fn trip(channel: &mut Channel, faults: &Faults, place: Place) -> io::Result<()> {
    let Some((fault, count)) = faults.reached(place) else { return Ok(()) };
    match fault {
        Fault::Stall => {
            channel.push()?;
            return channel.transport.wire.stall(|| faults.is_cleared_since(count));
        }
        Fault::Cut => {
            channel.push()?;
            channel.transport.wire.cut();
            return Err(ErrorKind::ConnectionAborted.into());
        }
        Fault::GarbageToken => {
            channel.write(&[number::GARBAGE; 16])?;
            channel.end()?;
        }
        Fault::WrongTokenLength => {
            let mut token = with_length(number::ERROR, &[0; 16]);
            token[1] = token[1].wrapping_add(TOKEN_EXCESS_BYTES);
            channel.write(&token)?;
            channel.end()?;
        }
        Fault::WrongPacketLength => channel.send_wrong_length()?,
        Fault::OldTls => {
            channel.packet()?;
            channel.send_handshake(&old_hello())?;
            channel.transport.wire.flush()?;
        }
    }
    // After nonsense it is for the client to leave.
    channel.transport.wire.stall(|| false)
}
