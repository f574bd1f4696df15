//! Text in the code pages of SQL Server's collations.

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253,
    WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};

/// The upper halves of the two code pages of DOS.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
    áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒ\
    áíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
    └┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀\
    ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

/// A code page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodePage {
    /// One byte a character, of which the lower half is ASCII.
    Dos(&'static str),
    Other(&'static Encoding),
}

impl CodePage {
    pub(crate) const UTF8: Self = Self::Other(UTF_8);

    /// The code page of that number.
    pub(crate) fn numbered(number: u16) -> Option<Self> {
        Some(match number {
            437 => Self::Dos(CP437),
            850 => Self::Dos(CP850),
            874 => Self::Other(WINDOWS_874),
            932 => Self::Other(SHIFT_JIS),
            936 => Self::Other(GBK),
            949 => Self::Other(EUC_KR),
            950 => Self::Other(BIG5),
            1250 => Self::Other(WINDOWS_1250),
            1251 => Self::Other(WINDOWS_1251),
            1252 => Self::Other(WINDOWS_1252),
            1253 => Self::Other(WINDOWS_1253),
            1254 => Self::Other(WINDOWS_1254),
            1255 => Self::Other(WINDOWS_1255),
            1256 => Self::Other(WINDOWS_1256),
            1257 => Self::Other(WINDOWS_1257),
            1258 => Self::Other(WINDOWS_1258),
            65001 => Self::UTF8,
            _ => return None,
        })
    }

    /// Text as bytes. A character that the code page has not is a question mark, as with the real server.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        for character in text.chars() {
            if character.is_ascii() {
                bytes.push(character as u8);
                continue;
            }
            match self {
                Self::Dos(upper) => match upper.chars().position(|known| known == character) {
                    Some(at) => bytes.push(at as u8 | 0x80),
                    None => bytes.push(b'?'),
                },
                Self::Other(encoding) => {
                    let mut one = [0; 4];
                    let (encoded, _, is_unknown) = encoding.encode(character.encode_utf8(&mut one));
                    if is_unknown { bytes.push(b'?') } else { bytes.extend_from_slice(&encoded) }
                }
            }
        }
        bytes
    }

    /// Bytes as text, or `None` where they are none.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Dos(upper) => bytes
                .iter()
                .map(|byte| match byte.checked_sub(0x80) {
                    None => Some(char::from(*byte)),
                    Some(at) => upper.chars().nth(usize::from(at)),
                })
                .collect(),
            Self::Other(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(bytes).map(|text| text.into_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_the_bytes_of_its_code_page() {
        for (number, text, bytes) in [
            (1252, "Fräse €", &b"Fr\xe4se \x80"[..]),
            (850, "Fräse ×", b"Fr\x84se \x9e"),
            (437, "Fräse ½", b"Fr\x84se \xab"),
            (932, "旋盤1", b"\x90\xf9\x94\xd51"),
            (1250, "Łódź", b"\xa3\xf3d\x9f"),
            (65001, "Fräse", b"Fr\xc3\xa4se"),
        ] {
            let page = CodePage::numbered(number).unwrap();
            assert_eq!(page.encode(text), bytes, "{number}");
            assert_eq!(page.decode(bytes).as_deref(), Some(text), "{number}");
        }
    }

    #[test]
    fn what_a_code_page_has_not_is_a_question_mark() {
        for number in [437, 850, 932, 1252] {
            assert_eq!(CodePage::numbered(number).unwrap().encode("a😀b"), b"a?b", "{number}");
        }
        assert_eq!(CodePage::numbered(1), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_told_apart() {
        for (number, bytes) in [(932, &[0x81_u8][..]), (65001, &[0xff])] {
            assert_eq!(CodePage::numbered(number).unwrap().decode(bytes), None, "{number}");
        }
    }

    #[test]
    fn a_code_page_of_dos_has_all_its_bytes() {
        let every: Vec<u8> = (0..=255).collect();
        for number in [437, 850] {
            let page = CodePage::numbered(number).unwrap();
            assert_eq!(page.encode(&page.decode(&every).unwrap()), every, "{number}");
        }
    }
}
