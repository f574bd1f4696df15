//! Pre-login: release, encryption and instance, before anybody logs in.

use crate::reader::{Malformed, Reader};
use crate::settings::{Encryption, Settings};

/// Options of the message.
mod option {
    pub(super) const VERSION: u8 = 0x00;
    pub(super) const ENCRYPTION: u8 = 0x01;
    pub(super) const INSTANCE: u8 = 0x02;
    pub(super) const THREAD: u8 = 0x03;
    pub(super) const MARS: u8 = 0x04;
    pub(super) const END: u8 = 0xff;
}

/// Values of the option for encryption.
mod level {
    pub(super) const OFF: u8 = 0x00;
    pub(super) const ON: u8 = 0x01;
    pub(super) const NOT_SUPPORTED: u8 = 0x02;
    pub(super) const REQUIRED: u8 = 0x03;
}

/// Bytes of an entry in the list of options.
const ENTRY_BYTES: usize = 5;

/// What the client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreLogin {
    encryption: u8,
    instance: String,
}

/// What was agreed on for the time after pre-login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreed {
    Clear,
    LoginOnly,
    All,
    /// Neither can do what the other wants; the client is to hang up.
    Nothing,
}

impl PreLogin {
    pub(crate) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut entries = Reader::new(message);
        let mut found = Self { encryption: level::NOT_SUPPORTED, instance: String::new() };
        loop {
            let kind = entries.u8("the list of pre-login options")?;
            if kind == option::END {
                return Ok(found);
            }
            let [offset_high, offset_low, length_high, length_low] = entries.array("a pre-login option")?;
            let begin = usize::from(u16::from_be_bytes([offset_high, offset_low]));
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let value = message.get(begin..begin + length).ok_or(Malformed::Short("a pre-login option"))?;
            match kind {
                option::ENCRYPTION => found.encryption = *value.first().ok_or(Malformed::Short("encryption"))?,
                option::INSTANCE => {
                    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                    found.instance = String::from_utf8_lossy(name).into_owned();
                }
                // Thread, federated login and the rest are for traces, or for what is not served here.
                _ => {}
            }
        }
    }

    fn is_of_instance(&self, instance: &str) -> bool {
        self.instance.is_empty() || self.instance.eq_ignore_ascii_case(instance)
    }

    /// The level of encryption that is answered, and what follows from it.
    fn agree(&self, encryption: Encryption) -> (u8, Agreed) {
        match (encryption, self.encryption) {
            (Encryption::NotSupported, level::ON) => (level::NOT_SUPPORTED, Agreed::Nothing),
            (Encryption::NotSupported, _) | (Encryption::Off, level::NOT_SUPPORTED) => {
                (level::NOT_SUPPORTED, Agreed::Clear)
            }
            (Encryption::Off, level::OFF) => (level::OFF, Agreed::LoginOnly),
            (Encryption::Off | Encryption::On, level::ON) => (level::ON, Agreed::All),
            // A client may say that it insists, in spite of the specification.
            (Encryption::Off, _) => (level::ON, Agreed::All),
            (Encryption::On | Encryption::Required, level::NOT_SUPPORTED) => (level::REQUIRED, Agreed::Nothing),
            (Encryption::On | Encryption::Required, _) => (level::REQUIRED, Agreed::All),
            // All is encrypted already.
            (Encryption::Strict, _) => (level::NOT_SUPPORTED, Agreed::Clear),
        }
    }

    /// The answer, and what follows from it.
    pub(crate) fn answer(&self, settings: &Settings, encryption: Encryption) -> (Vec<u8>, Agreed) {
        let (level, agreed) = self.agree(encryption);
        let version = settings.version;
        let [build_high, build_low] = version.build.to_be_bytes();
        let other_instance = u8::from(!self.is_of_instance(&settings.instance));
        let options: [(u8, &[u8]); 5] = [
            (option::VERSION, &[version.major, version.minor, build_high, build_low, 0, 0]),
            (option::ENCRYPTION, &[level]),
            (option::INSTANCE, &[other_instance]),
            (option::THREAD, &[]),
            (option::MARS, &[0]),
        ];
        let mut offset = options.len() * ENTRY_BYTES + 1;
        let mut answer = Vec::new();
        for (kind, value) in options {
            answer.push(kind);
            answer.extend_from_slice(&(offset as u16).to_be_bytes());
            answer.extend_from_slice(&(value.len() as u16).to_be_bytes());
            offset += value.len();
        }
        answer.push(option::END);
        for (_, value) in options {
            answer.extend_from_slice(value);
        }
        (answer, agreed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Body of the pre-login message in section 4.1 of the specification.
    const EXAMPLE: [u8; 39] = [
        0x00, 0x00, 0x1a, 0x00, 0x06, 0x01, 0x00, 0x20, 0x00, 0x01, 0x02, 0x00, 0x21, 0x00, 0x01, 0x03, 0x00, 0x22,
        0x00, 0x04, 0x04, 0x00, 0x26, 0x00, 0x01, 0xff, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0xb8, 0x0d,
        0x00, 0x00, 0x01,
    ];

    #[test]
    fn the_example_of_the_specification_is_read() {
        let read = PreLogin::decode(&EXAMPLE).unwrap();
        assert_eq!(read, PreLogin { encryption: level::ON, instance: String::new() });
    }

    #[test]
    fn the_answer_has_the_form_of_the_specification() {
        let settings = Settings::default();
        let (answer, agreed) = PreLogin::decode(&EXAMPLE).unwrap().answer(&settings, Encryption::Off);
        assert_eq!(agreed, Agreed::All);
        assert_eq!(
            answer[..26],
            [
                0x00, 0x00, 0x1a, 0x00, 0x06, 0x01, 0x00, 0x20, 0x00, 0x01, 0x02, 0x00, 0x21, 0x00, 0x01, 0x03, 0x00,
                0x22, 0x00, 0x00, 0x04, 0x00, 0x22, 0x00, 0x01, 0xff,
            ]
        );
        assert_eq!(answer[26..], [16, 0, 0x10, 0x27, 0, 0, level::ON, 0, 0]);
    }

    #[test]
    fn both_sides_agree_as_in_the_table_of_the_specification() {
        use Encryption::{NotSupported, Off, On, Required, Strict};
        for (server, client, expected) in [
            (Off, level::OFF, (level::OFF, Agreed::LoginOnly)),
            (Off, level::ON, (level::ON, Agreed::All)),
            (Off, level::NOT_SUPPORTED, (level::NOT_SUPPORTED, Agreed::Clear)),
            (On, level::OFF, (level::REQUIRED, Agreed::All)),
            (On, level::ON, (level::ON, Agreed::All)),
            (On, level::NOT_SUPPORTED, (level::REQUIRED, Agreed::Nothing)),
            (Required, level::ON, (level::REQUIRED, Agreed::All)),
            (NotSupported, level::OFF, (level::NOT_SUPPORTED, Agreed::Clear)),
            (NotSupported, level::ON, (level::NOT_SUPPORTED, Agreed::Nothing)),
            (Strict, level::OFF, (level::NOT_SUPPORTED, Agreed::Clear)),
        ] {
            let said = PreLogin { encryption: client, instance: String::new() };
            assert_eq!(said.agree(server), expected, "{server:?} and {client}");
        }
    }

    #[test]
    fn another_instance_is_told_apart() {
        for (asked, expected) in [("", 0), ("MSSQLServer", 0), ("MES", 1)] {
            let said = PreLogin { encryption: level::OFF, instance: asked.to_owned() };
            let (answer, _) = said.answer(&Settings::default(), Encryption::Off);
            assert_eq!(answer[33], expected, "{asked}");
        }
    }

    #[test]
    fn an_option_beyond_the_end_is_refused() {
        for message in [&[][..], &[0x01], &[0x01, 0, 6, 0, 1, 0xff], &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert!(PreLogin::decode(message).is_err(), "{message:?}");
        }
    }
}
