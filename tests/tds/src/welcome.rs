//! Everything up to the moment when a client is logged in.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use engine_standin::{ServerError, Session};
use rustls::ServerConnection;

use crate::answer::error_token;
use crate::collation::Collation;
use crate::errors;
use crate::faults::Place;
use crate::login::{Login, Login7, TDS_7_3, TDS_7_4, TDS_8_0};
use crate::packet::{Channel, Incoming, Message, PACKET_BYTES, PACKET_BYTES_RANGE, kind};
use crate::pre_login::{Agreed, PreLogin};
use crate::server::Shared;
use crate::settings::{Encryption, Settings, Version};
use crate::tls::handshake_in_packets;
use crate::token::{self, Done, Notice, change, command, done, done_token, number, text_change};
use crate::trip::trip;

/// What TLS begins with, and no packet.
const TLS_HANDSHAKE: u8 = 0x16;
/// The first release that takes TLS before everything else, and the first that speaks TDS 7.4.
const MAJOR_OF_STRICT: u8 = 16;
const MAJOR_OF_TDS_7_4: u8 = 11;
const LANGUAGE: &str = "us_english";
const MASTER: &str = "master";

/// Serves pre-login and login. `None` where the client left or was refused.
pub(crate) fn welcome(channel: &mut Channel, shared: &Shared) -> io::Result<Option<(Box<dyn Session>, Login)>> {
    let settings = &shared.settings;
    trip(channel, &settings.faults, Place::Accept)?;
    let Some(first) = channel.transport.first_byte()? else { return Ok(None) };
    let encryption = match (first == TLS_HANDSHAKE, settings.encryption) {
        (true, Encryption::NotSupported) | (false, Encryption::Strict) => return Ok(None),
        (true, Encryption::Strict) => Encryption::Strict,
        (true, _) if settings.version.major >= MAJOR_OF_STRICT => Encryption::Strict,
        (true, _) => return Ok(None),
        (false, encryption) => encryption,
    };
    if encryption == Encryption::Strict {
        let tls = shared.tls.as_ref().ok_or(ErrorKind::Unsupported)?;
        trip(channel, &settings.faults, Place::Tls)?;
        let connection = ServerConnection::new(Arc::clone(&tls.strict)).map_err(io::Error::other)?;
        channel.transport.encrypt(connection);
        channel.transport.complete_handshake()?;
    }
    let Some(message) = expect(channel, kind::PRE_LOGIN)? else { return Ok(None) };
    let said = PreLogin::decode(&message.body).map_err(io::Error::other)?;
    trip(channel, &settings.faults, Place::PreLogin)?;
    let (answer, agreed) = said.answer(settings, encryption);
    channel.write(&answer)?;
    channel.end()?;
    if matches!(agreed, Agreed::LoginOnly | Agreed::All) {
        let tls = shared.tls.as_ref().ok_or(ErrorKind::Unsupported)?;
        trip(channel, &settings.faults, Place::Tls)?;
        handshake_in_packets(channel, &tls.in_packets)?;
    }
    if agreed == Agreed::Nothing {
        return Ok(None);
    }
    let Some(message) = expect(channel, kind::LOGIN)? else { return Ok(None) };
    let mut asked = Login7::decode(&message.body).map_err(io::Error::other)?;
    asked.login.encrypted = encryption == Encryption::Strict || agreed != Agreed::Clear;
    if agreed == Agreed::LoginOnly {
        channel.transport.decrypt();
    }
    shared.note(asked.login.clone());
    trip(channel, &settings.faults, Place::Login)?;
    match check(shared, &asked) {
        Ok(session) => {
            accept(channel, settings, &asked, session.number())?;
            Ok(Some((session, asked.login)))
        }
        Err(errors) => {
            for error in errors {
                channel.write(&error_token(&error, settings))?;
            }
            channel.write(&done_token(Done::Statement, done::ERROR, command::NONE, 0))?;
            channel.end()?;
            channel.transport.flush()?;
            Ok(None)
        }
    }
}

fn expect(channel: &mut Channel, kind: u8) -> io::Result<Option<Message>> {
    match channel.message()? {
        Incoming::Closed => Ok(None),
        Incoming::Message(message) if message.kind == kind => Ok(Some(message)),
        Incoming::Message(_) => Err(ErrorKind::InvalidData.into()),
    }
}

fn check(shared: &Shared, asked: &Login7) -> Result<Box<dyn Session>, Vec<ServerError>> {
    let login = &asked.login;
    if let Some(error) = shared.settings.faults.refusal() {
        return Err(vec![error]);
    }
    if asked.by_windows {
        return Err(vec![errors::no_windows_login()]);
    }
    if shared.backend.password(&login.user).as_ref() != Some(&asked.password) {
        return Err(vec![errors::login_failed(&login.user)]);
    }
    // The real server tells both: what is wrong with the database, and that the login failed by that.
    let session = shared.backend.session(&login.user, database(login));
    let mut session = session.map_err(|error| vec![error, errors::login_failed(&login.user)])?;
    session.client(&login.application, &login.host);
    if login.encrypted {
        session.encrypted();
    }
    Ok(session)
}

fn database(login: &Login) -> &str {
    if login.database.is_empty() { MASTER } else { &login.database }
}

/// The version of the protocol that is spoken.
fn spoken(asked: u32, version: Version) -> u32 {
    if asked == TDS_8_0 {
        return TDS_8_0;
    }
    asked.min(if version.major >= MAJOR_OF_TDS_7_4 { TDS_7_4 } else { TDS_7_3 })
}

fn accept(channel: &mut Channel, settings: &Settings, asked: &Login7, session: u32) -> io::Result<()> {
    let login = &asked.login;
    let note = |number, state, text: &str| {
        Notice { number, state, class: 0, text, server: &settings.name, procedure: "", line: 1 }.token(number::INFO)
    };
    let database = database(login);
    let wanted = u16::try_from(login.packet_bytes).unwrap_or(*PACKET_BYTES_RANGE.end());
    let wanted = if wanted == 0 { PACKET_BYTES } else { wanted };
    let packet_bytes =
        settings.packet_size.unwrap_or(wanted).clamp(*PACKET_BYTES_RANGE.start(), *PACKET_BYTES_RANGE.end());
    let collation = Collation::named(&settings.collation).unwrap_or_default();
    channel.session = session as u16;
    channel.write(&text_change(change::DATABASE, database, MASTER))?;
    channel.write(&note(5701, 2, &format!("Changed database context to '{database}'.")))?;
    channel.write(&token::bytes_change(change::COLLATION, &collation.bytes(), &[]))?;
    channel.write(&text_change(change::LANGUAGE, LANGUAGE, ""))?;
    channel.write(&note(5703, 1, &format!("Changed language setting to {LANGUAGE}.")))?;
    channel.write(&token::login(spoken(login.tds, settings.version), settings.version))?;
    channel.write(&text_change(change::PACKET_SIZE, &packet_bytes.to_string(), &PACKET_BYTES.to_string()))?;
    if let Some(features) = token::features(&asked.features) {
        channel.write(&features)?;
    }
    channel.write(&done_token(Done::Statement, 0, command::NONE, 0))?;
    channel.end()?;
    channel.packet_bytes = packet_bytes;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_speaks_an_old_version() {
        for (asked, version, expected) in [
            (TDS_7_4, Version::V2022, TDS_7_4),
            (TDS_7_4, Version::V2008_R2, TDS_7_3),
            (TDS_7_3, Version::V2022, TDS_7_3),
            (TDS_8_0, Version::V2022, TDS_8_0),
        ] {
            assert_eq!(spoken(asked, version), expected, "{asked:#x} {version:?}");
        }
    }
}
