//! The packets of TNS.

use crate::broken::Broken;
use crate::put::Put;
use crate::settings::{NativeEncryption, Profile};
use crate::take::{NoMore, Take};
use crate::wire::Length;

/// Bytes of the header of every packet.
pub const HEADER_BYTES: usize = 8;
/// The same with the flags of data.
pub const DATA_HEADER_BYTES: usize = 10;
/// The smallest packet size that may be agreed on.
pub const SDU_BYTES_MIN: usize = 512;

/// A client asks for a service.
pub const CONNECT: u8 = 1;
/// The listener agrees.
pub const ACCEPT: u8 = 2;
/// The listener does not agree.
pub const REFUSE: u8 = 4;
/// Data.
pub const DATA: u8 = 6;
/// The listener wants to be asked again.
pub const RESEND: u8 = 11;
/// Break and reset.
pub const MARKER: u8 = 12;

/// The first packet of a conversation that ends.
pub const FLAG_END: u16 = 0x0040;
/// The last packet of an answer, with servers that say so.
pub const FLAG_END_OF_ANSWER: u16 = 0x2000;

/// Marker: the call was broken off.
pub const MARK_BREAK: u8 = 1;
/// Marker: both sides begin anew.
pub const MARK_RESET: u8 = 2;

/// ACCEPT: login in one message is possible.
const FAST_LOGIN: u32 = 0x1000_0000;
/// ACCEPT: answers end with a mark.
const MARKED_ENDS: u32 = 0x0200_0000;
/// Services of the native kind are off for this connection, as thin clients ask for.
const NO_NATIVE_SERVICES: u8 = 0xC5;
/// Services of the native kind are asked for in vain to be off.
const NATIVE_SERVICES_REQUIRED: u8 = 0x51;

/// A packet as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub kind: u8,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl Packet {
    /// What a packet of data carries.
    pub fn data(&self) -> Result<&[u8], Broken> {
        self.body.get(2..).ok_or(Broken::Malformed("a packet of data without flags"))
    }

    /// The flags of a packet of data.
    pub fn flags(&self) -> u16 {
        self.body.get(..2).map_or(0, |flags| u16::from_be_bytes([flags[0], flags[1]]))
    }

    /// What a marker says.
    pub fn mark(&self) -> Option<u8> {
        if self.kind == MARKER { self.body.get(2).copied() } else { None }
    }
}

/// Length of the packet that begins here, once enough of it is there.
pub fn length(form: Length, bytes: &[u8]) -> Option<usize> {
    let head: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    Some(match form {
        // Two bytes that are zero in TNS and not where a client begins with TLS.
        Length::Short if head[2..] != [0, 0] => 0,
        Length::Short => usize::from(u16::from_be_bytes([head[0], head[1]])),
        Length::Long => u32::from_be_bytes(head) as usize,
    })
}

/// A packet as it goes out.
pub fn encode(form: Length, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = HEADER_BYTES + body.len();
    let mut out = Vec::with_capacity(length);
    match form {
        Length::Short => {
            out.u16(length as u16);
            out.u16(0);
        }
        Length::Long => out.u32(length as u32),
    }
    out.raw(&[kind, 0, 0, 0]);
    out.raw(body);
    out
}

/// What a client says first.
#[derive(Debug, PartialEq, Eq)]
pub struct Connect {
    /// The version of the protocol that it would like.
    pub version: u16,
    /// The packet size that it would like.
    pub sdu: usize,
    /// Bytes of what it wants to connect to.
    pub data_bytes: usize,
    /// What it wants to connect to, where that is in the packet; else it follows in one of its own.
    pub data: Option<Vec<u8>>,
}

impl Connect {
    /// Reads the body of a CONNECT packet.
    pub fn decode(body: &[u8]) -> Result<Self, Broken> {
        let mut none = NoMore;
        let mut take = Take::new(body.to_vec(), &mut none);
        let version = take.u16()?;
        take.raw(4)?;
        let sdu = usize::from(take.u16()?);
        take.raw(8)?;
        let data_bytes = usize::from(take.u16()?);
        let start = usize::from(take.u16()?);
        let data = start.checked_sub(HEADER_BYTES).and_then(|start| body.get(start..start + data_bytes));
        Ok(Self { version, sdu, data_bytes, data: data.filter(|data| !data.is_empty()).map(<[u8]>::to_vec) })
    }
}

/// The body of an ACCEPT packet.
pub fn accept(profile: Profile, version: u16, sdu: usize, encryption: NativeEncryption) -> Vec<u8> {
    let native = match encryption {
        NativeEncryption::Accepted => NO_NATIVE_SERVICES,
        NativeEncryption::Required => NATIVE_SERVICES_REQUIRED,
    };
    let mut out = Vec::new();
    out.u16(version);
    out.u16(1);
    out.u16(sdu as u16);
    out.u16(sdu as u16);
    out.u16(1);
    out.u16(0);
    out.u16(45);
    out.raw(&[native, native]);
    out.raw(&[0; 8]);
    out.u32(sdu as u32);
    out.u32(sdu as u32);
    out.u8(0);
    out.u32(if profile == Profile::Oracle23ai { FAST_LOGIN | MARKED_ENDS } else { 0 });
    out
}

/// The body of a REFUSE packet with an error of the listener.
pub fn refuse(error: u32) -> Vec<u8> {
    let text =
        format!("(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR={error})(ERROR_STACK=(ERROR=(CODE={error})(EMFI=4))))");
    let mut out = vec![1, 0];
    out.u16(text.len() as u16);
    out.raw(text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_an_accept_lie_where_clients_look_for_them() {
        let body = accept(Profile::Oracle23ai, 319, 8192, NativeEncryption::Accepted);
        assert_eq!(body[..2], [1, 63]);
        assert_eq!(body[14], 0xC5);
        assert_eq!(body[24..28], [0, 0, 32, 0]);
        assert_eq!(body[33..37], [0x12, 0, 0, 0]);
        assert_eq!(body.len() + HEADER_BYTES, 45);
    }

    #[test]
    fn the_data_of_a_connect_may_follow_in_another_packet() {
        let mut body = vec![0; 66];
        body[..2].copy_from_slice(&319u16.to_be_bytes());
        body[6..8].copy_from_slice(&8192u16.to_be_bytes());
        body[16..18].copy_from_slice(&3u16.to_be_bytes());
        body[18..20].copy_from_slice(&74u16.to_be_bytes());
        let alone = Connect::decode(&body).unwrap();
        assert_eq!((alone.version, alone.sdu, alone.data_bytes, alone.data), (319, 8192, 3, None));
        body.extend_from_slice(b"(A)");
        assert_eq!(Connect::decode(&body).unwrap().data, Some(b"(A)".to_vec()));
    }

    #[test]
    fn a_cut_connect_is_an_error() {
        assert!(Connect::decode(&[1, 2, 3]).is_err());
    }
}
