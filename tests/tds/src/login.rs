//! What a client says when it logs in (LOGIN7).

use crate::reader::{Malformed, Reader, utf16};

/// TDS 7.2, the oldest that is understood.
const TDS_7_2: u32 = 0x7209_0002;
/// TDS 7.3, of SQL Server 2008.
pub(crate) const TDS_7_3: u32 = 0x730b_0003;
/// TDS 7.4, of SQL Server 2012 and later.
pub(crate) const TDS_7_4: u32 = 0x7400_0004;
/// TDS 8.0, where TLS comes before everything else.
pub(crate) const TDS_8_0: u32 = 0x0800_0000;
/// Features that a client may ask for at once.
const FEATURES_MAX: usize = 32;
/// Places of the pairs of offset and length.
mod place {
    pub(super) const HOST: usize = 36;
    pub(super) const USER: usize = 40;
    pub(super) const PASSWORD: usize = 44;
    pub(super) const APPLICATION: usize = 48;
    pub(super) const SERVER: usize = 52;
    pub(super) const EXTENSION: usize = 56;
    pub(super) const LIBRARY: usize = 60;
    pub(super) const LANGUAGE: usize = 64;
    pub(super) const DATABASE: usize = 68;
}
/// Flags, and the bytes in which they are.
const WINDOWS_LOGIN: (usize, u8) = (25, 0x80);
const READ_ONLY: (usize, u8) = (26, 0x20);
const HAS_EXTENSION: (usize, u8) = (27, 0x10);
/// Bytes of the part with a fixed length.
const FIXED_BYTES: usize = 94;
/// Ends the list of features.
const FEATURES_END: u8 = 0xff;

/// What a client said when it logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Name of the login.
    pub user: String,
    /// The database it asked for; empty for the one of the login.
    pub database: String,
    /// Name of the program.
    pub application: String,
    /// Name of the client's machine.
    pub host: String,
    /// Name of the server as the client has it.
    pub server: String,
    /// Name of the client's library.
    pub library: String,
    /// Language it asked for.
    pub language: String,
    /// Whether it said `ApplicationIntent=ReadOnly`.
    pub read_only: bool,
    /// Version of the protocol: `0x74000004` for 7.4.
    pub tds: u32,
    /// Size of packets in bytes it asked for; 0 for that of the server.
    pub packet_bytes: u32,
    /// Whether the login came through TLS.
    pub encrypted: bool,
}

/// A login with what only the server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login7 {
    pub(crate) login: Login,
    pub(crate) password: String,
    pub(crate) by_windows: bool,
    /// Numbers of the features it asks for.
    pub(crate) features: Vec<u8>,
}

impl Login7 {
    pub(crate) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let fixed: &[u8; FIXED_BYTES] = message.first_chunk().ok_or(Malformed::Short("the login"))?;
        let mut reader = Reader::new(&fixed[4..]);
        let tds = reader.u32("the version")?;
        let packet_bytes = reader.u32("the packet size")?;
        if tds < TDS_7_2 && tds != TDS_8_0 {
            return Err(Malformed::wrong(format!("version {tds:#010x} of the protocol is too old")));
        }
        let is_set = |(at, bit): (usize, u8)| fixed[at] & bit != 0;
        let text = |at: usize| variable(message, fixed, at).map(utf16);
        let login = Login {
            user: text(place::USER)?,
            database: text(place::DATABASE)?,
            application: text(place::APPLICATION)?,
            host: text(place::HOST)?,
            server: text(place::SERVER)?,
            library: text(place::LIBRARY)?,
            language: text(place::LANGUAGE)?,
            read_only: is_set(READ_ONLY),
            tds,
            packet_bytes,
            encrypted: false,
        };
        let password: Vec<u8> = variable(message, fixed, place::PASSWORD)?.iter().copied().map(reveal).collect();
        let features = if is_set(HAS_EXTENSION) { features(message, fixed)? } else { Vec::new() };
        Ok(Self { login, password: utf16(&password), by_windows: is_set(WINDOWS_LOGIN), features })
    }
}

/// Passwords are obscured: nibbles swapped, then bits flipped.
fn reveal(byte: u8) -> u8 {
    (byte ^ 0xa5).rotate_left(4)
}

fn pair(fixed: &[u8; FIXED_BYTES], at: usize) -> (usize, usize) {
    let number = |at: usize| usize::from(u16::from_le_bytes([fixed[at], fixed[at + 1]]));
    (number(at), number(at + 2))
}

/// UTF-16 of which the fixed part knows where it is.
fn variable<'a>(message: &'a [u8], fixed: &[u8; FIXED_BYTES], at: usize) -> Result<&'a [u8], Malformed> {
    let (begin, units) = pair(fixed, at);
    if units == 0 {
        return Ok(&[]);
    }
    message.get(begin..begin + units * 2).ok_or(Malformed::Short("a text of the login"))
}

fn features(message: &[u8], fixed: &[u8; FIXED_BYTES]) -> Result<Vec<u8>, Malformed> {
    let short = Malformed::Short("the features of the login");
    let (begin, _) = pair(fixed, place::EXTENSION);
    let at = Reader::new(message.get(begin..).ok_or(short.clone())?).u32("the place of the features")?;
    let mut reader = Reader::new(message.get(at as usize..).ok_or(short)?);
    let mut found = Vec::new();
    loop {
        let feature = reader.u8("the features of the login")?;
        if feature == FEATURES_END {
            return Ok(found);
        }
        if found.len() == FEATURES_MAX {
            return Err(Malformed::wrong("too many features"));
        }
        let length = reader.u32("a feature of the login")?;
        reader.bytes(length as usize, "a feature of the login")?;
        found.push(feature);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn obscure(byte: u8) -> u8 {
        byte.rotate_left(4) ^ 0xa5
    }

    /// A login as a client sends it.
    pub(crate) fn encoded(user: &str, password: &str, database: &str) -> Vec<u8> {
        let mut message = vec![0; FIXED_BYTES];
        message[4..8].copy_from_slice(&TDS_7_4.to_le_bytes());
        message[READ_ONLY.0] = READ_ONLY.1;
        message[HAS_EXTENSION.0] = HAS_EXTENSION.1;
        let mut text = |at: usize, text: &str, change: fn(u8) -> u8| {
            let begin = message.len() as u16;
            message.extend(text.encode_utf16().flat_map(u16::to_le_bytes).map(change));
            message[at..at + 2].copy_from_slice(&begin.to_le_bytes());
            message[at + 2..at + 4].copy_from_slice(&(text.encode_utf16().count() as u16).to_le_bytes());
        };
        text(place::USER, user, |byte| byte);
        text(place::PASSWORD, password, obscure);
        text(place::DATABASE, database, |byte| byte);
        let begin = message.len();
        message[place::EXTENSION..place::EXTENSION + 2].copy_from_slice(&(begin as u16).to_le_bytes());
        message.extend_from_slice(&(begin as u32 + 4).to_le_bytes());
        message.extend_from_slice(&[0x0a, 1, 0, 0, 0, 1, FEATURES_END]);
        message
    }

    #[test]
    fn a_login_is_read() {
        let read = Login7::decode(&encoded("etl", "pässword", "MES")).unwrap();
        assert_eq!((read.login.user.as_str(), read.password.as_str()), ("etl", "pässword"));
        assert_eq!((read.login.database.as_str(), read.login.read_only), ("MES", true));
        assert_eq!((read.login.tds, read.features), (TDS_7_4, vec![0x0a]));
    }

    #[test]
    fn a_password_is_revealed_as_in_the_specification() {
        // `a` is 0x61: swapped 0x16, flipped 0xb3; the zero byte becomes 0xa5.
        assert_eq!([reveal(0xb3), reveal(0xa5)], [b'a', 0]);
    }

    #[test]
    fn what_points_beyond_the_end_is_refused() {
        let whole = encoded("etl", "secret", "MES");
        for length in 0..whole.len() {
            assert!(Login7::decode(&whole[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_login_makes_it_panic(at in 0_usize..150, byte: u8, tail: Vec<u8>) {
            let mut message = encoded("etl", "secret", "MES");
            if let Some(place) = message.get_mut(at) {
                *place = byte;
            }
            let _ = Login7::decode(&message);
            message.truncate(at);
            message.extend(tail);
            let _ = Login7::decode(&message);
        }
    }
}
