//! Text that becomes `varchar` loses what its code page has not: the server takes the letter that looks most alike, or
//! a question mark.

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253};

use crate::types::Type;

/// The upper halves of the code pages of DOS.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
    └┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

/// Characters of Windows-1252 that have other numbers in Unicode.
const ELSEWHERE: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";
/// Characters that it has not, each with the one that stands for it.
const ALIKE: [(&str, char); 14] = [
    ("ĀĂĄ", 'A'),
    ("āăąα", 'a'),
    ("ĆČ", 'C'),
    ("ćč", 'c'),
    ("ĎĐ", 'D'),
    ("ďđ", 'd'),
    ("ĘĚ", 'E'),
    ("ęě", 'e'),
    ("Ł", 'L'),
    ("ł", 'l'),
    ("ΩŐ", 'O'),
    ("ő", 'o'),
    ("∞", '8'),
    ("−", '-'),
];

/// The text as a type of one byte a character keeps it. Types with a collation of their own keep it as it is: their
/// code page is known where the bytes are made.
pub(crate) fn kept(text: String, to: &Type) -> String {
    let plain = matches!(to.name.as_str(), "char" | "varchar" | "text");
    if !plain || to.collation.is_some() || text.chars().all(is_kept) {
        return text;
    }
    text.chars().map(|letter| if is_kept(letter) { letter } else { alike(letter) }).collect()
}

fn is_kept(letter: char) -> bool {
    matches!(letter, '\0'..='\u{7f}' | '\u{a0}'..='\u{ff}') || ELSEWHERE.contains(letter)
}

fn alike(letter: char) -> char {
    ALIKE.iter().find(|(letters, _)| letters.contains(letter)).map_or('?', |(_, alike)| *alike)
}

/// Bytes as text, by the code page of a collation. What is no character there becomes U+FFFD.
pub(crate) fn read(bytes: &[u8], collation: Option<&str>) -> String {
    let name = collation.unwrap_or_default().to_ascii_lowercase();
    let dos = |upper: &str| {
        let letter = |byte: &u8| {
            if byte.is_ascii() {
                *byte as char
            } else {
                upper.chars().nth(usize::from(*byte) - 128).unwrap_or('\u{fffd}')
            }
        };
        bytes.iter().map(letter).collect()
    };
    match () {
        () if name.contains("cp437") => dos(CP437),
        () if name.contains("cp850") => dos(CP850),
        () => encoding(&name).decode_without_bom_handling(bytes).0.into_owned(),
    }
}

fn encoding(collation: &str) -> &'static Encoding {
    const BEGINNINGS: [(&str, &Encoding); 12] = [
        ("greek", WINDOWS_1253),
        ("sql_latin1_general_cp1253", WINDOWS_1253),
        ("cyrillic", WINDOWS_1251),
        ("ukrainian", WINDOWS_1251),
        ("sql_latin1_general_cp1251", WINDOWS_1251),
        ("polish", WINDOWS_1250),
        ("czech", WINDOWS_1250),
        ("slovak", WINDOWS_1250),
        ("hungarian", WINDOWS_1250),
        ("romanian", WINDOWS_1250),
        ("sql_latin1_general_cp1250", WINDOWS_1250),
        ("japanese", SHIFT_JIS),
    ];
    if collation.ends_with("_utf8") {
        return UTF_8;
    }
    BEGINNINGS
        .iter()
        .find(|(beginning, _)| collation.starts_with(beginning))
        .map_or(WINDOWS_1252, |(_, encoding)| encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_by_their_collation() {
        let cases: [(&[u8], &str, &str); 5] = [
            (b"M\x81", "SQL_Latin1_General_CP850_CI_AS", "Mü"),
            (b"M\xff", "Latin1_General_100_CI_AS_SC_UTF8", "M\u{fffd}"),
            (b"\xd9", "Greek_CI_AS", "Ω"),
            (b"\xa3", "Polish_CI_AS", "Ł"),
            (b"\xfc", "", "ü"),
        ];
        for (bytes, collation, expected) in cases {
            assert_eq!(read(bytes, Some(collation)), expected, "{collation}");
        }
    }
}
