//! What both sides can do: the protocol message and the one of data types.

use crate::broken::Broken;
use crate::put::Put;
use crate::settings::Profile;
use crate::take::Take;

/// Protocol message.
pub const PROTOCOL: u8 = 1;
/// Message of data types.
pub const TYPES: u8 = 2;

/// Most data types that a client may list.
const TYPES_MAX: usize = 4_096;
/// Most bytes of a name or a list of abilities.
const TEXT_BYTES_MAX: usize = 1_024;
const ABILITIES: usize = 55;
const RUNTIME_ABILITIES: usize = 11;
/// Where the field version is among the abilities.
const FIELDS_AT: usize = 7;
/// Where the size of strings is among those of the runtime.
const STRINGS_AT: usize = 6;
const LONG_STRINGS: u8 = 0x04;
/// Where it is, among those of the runtime, whether data types come with a time zone.
const ZONE_AT: usize = 1;
const WITH_ZONE: u8 = 0x01;
/// UTC, as an interval of no hours and no minutes.
const UTC: [u8; 11] = [128, 0, 0, 0, 60, 60, 60, 128, 0, 0, 0];
const UTF8: u16 = 873;
const UTF16: u16 = 2000;

/// Reads the rest of a protocol message.
pub fn take_protocol(take: &mut Take<'_>) -> Result<(), Broken> {
    for _ in 0..2 {
        // The versions of the client, then its name; a zero ends each.
        let mut read = 0;
        while take.u8()? != 0 {
            read += 1;
            if read > TEXT_BYTES_MAX {
                return Err(Broken::Malformed("a protocol message without end"));
            }
        }
    }
    Ok(())
}

/// Writes the server's protocol message.
pub fn put_protocol(out: &mut Vec<u8>, profile: Profile) {
    out.u8(PROTOCOL);
    out.raw(&[6, 0]);
    out.raw(b"x86_64/Linux 2.4.xx\0");
    out.u16_low_first(UTF8);
    out.u8(1);
    out.u16_low_first(0);
    let mut charsets = [0; 11];
    charsets[9..].copy_from_slice(&UTF16.to_be_bytes());
    out.u16(charsets.len() as u16);
    out.raw(&charsets);
    let mut abilities = [0; ABILITIES];
    abilities[FIELDS_AT] = profile.fields();
    out.bytes(&abilities);
    let mut runtime = [0; RUNTIME_ABILITIES];
    runtime[ZONE_AT] = if profile.tells_zone() { WITH_ZONE } else { 0 };
    runtime[STRINGS_AT] = if profile.string_bytes_max() > 4_000 { LONG_STRINGS } else { 0 };
    out.bytes(&runtime);
}

/// What a client can do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its field version.
    pub fields: u8,
    /// Whether it told its time zone and wants to know that of the database.
    with_zone: bool,
    types: Vec<[u16; 3]>,
}

/// Reads the rest of a message of data types.
pub fn take_types(take: &mut Take<'_>) -> Result<Client, Broken> {
    take.raw(5)?;
    let abilities = take.bytes()?.unwrap_or_default();
    let runtime = take.bytes()?.unwrap_or_default();
    let with_zone = runtime.get(ZONE_AT).is_some_and(|zone| zone & WITH_ZONE != 0);
    if with_zone {
        take.raw(UTC.len())?;
    }
    let fields = *abilities.get(FIELDS_AT).ok_or(Broken::Malformed("a client without a field version"))?;
    let mut types = Vec::new();
    loop {
        let number = take.u16()?;
        if number == 0 {
            return Ok(Client { fields, with_zone, types });
        }
        let converted = take.u16()?;
        let mut form = 0;
        if converted != 0 {
            form = take.u16()?;
            take.u16()?;
        }
        types.push([number, converted, form]);
        if types.len() > TYPES_MAX {
            return Err(Broken::Malformed("more data types than there are"));
        }
    }
}

/// Writes the server's message of data types: it takes what the client has.
pub fn put_types(out: &mut Vec<u8>, client: &Client) {
    out.u8(TYPES);
    if client.with_zone {
        out.raw(&UTC);
    }
    for [number, converted, form] in &client.types {
        out.u16(*number);
        out.u16(*converted);
        if *converted != 0 {
            out.u16(*form);
            out.u16(0);
        }
    }
    out.u16(0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::take::NoMore;

    #[test]
    fn data_types_are_answered_as_they_came() {
        let mut message = vec![0; 5];
        message.bytes(&[0, 0, 0, 0, 0, 0, 0, 12]);
        message.bytes(&[2]);
        let list = [0, 1, 0, 1, 0, 1, 0, 0, 1, 34, 0, 0, 0, 0];
        message.raw(&list);
        let mut none = NoMore;
        let client = take_types(&mut Take::new(message, &mut none)).unwrap();
        assert_eq!(client.fields, 12);
        let mut out = Vec::new();
        put_types(&mut out, &client);
        assert_eq!(out[0], TYPES);
        assert_eq!(out[1..], list);
    }

    #[test]
    fn the_national_character_set_lies_where_clients_look_for_it() {
        let mut out = Vec::new();
        put_protocol(&mut out, Profile::Oracle19c);
        let banner_end = out.iter().skip(3).position(|byte| *byte == 0).unwrap() + 4;
        let charsets = &out[banner_end + 7..];
        let at = 6 + usize::from(charsets[5]) + usize::from(charsets[6]);
        assert_eq!(charsets[at + 3..at + 5], [0x07, 0xD0]);
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(bytes: Vec<u8>) {
            let mut none = NoMore;
            drop(take_types(&mut Take::new(bytes.clone(), &mut none)));
            let mut none = NoMore;
            drop(take_protocol(&mut Take::new(bytes, &mut none)));
        }
    }
}
