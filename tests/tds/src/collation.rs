//! Collations: their names, their five bytes on the wire, and the code pages of their text.

use crate::code_page::CodePage;

/// Bits of the comparison, which stand above the language.
mod flag {
    pub(super) const IGNORE_CASE: u32 = 0x01;
    pub(super) const IGNORE_ACCENT: u32 = 0x02;
    pub(super) const IGNORE_KANA: u32 = 0x04;
    pub(super) const IGNORE_WIDTH: u32 = 0x08;
    pub(super) const BINARY: u32 = 0x10;
    pub(super) const BINARY2: u32 = 0x20;
    pub(super) const UTF8: u32 = 0x40;
}
/// Where the flags and the version begin in the first four bytes.
const FLAGS_SHIFT: u32 = 20;
const VERSION_SHIFT: u32 = 28;
const LANGUAGE_MASK: u32 = 0x000f_ffff;
const LATIN: u32 = 0x0409;

/// The collations with a sort order of their own: beginning, sort orders of `bin`, `cs_as`, `ci_as` and `ci_ai`.
const SORTED: &[(&str, [u8; 4])] = &[
    ("sql_latin1_general_cp437_", [30, 31, 32, 34]),
    ("sql_latin1_general_cp850_", [40, 41, 42, 44]),
    ("sql_latin1_general_cp1_", [50, 51, 52, 54]),
    ("sql_latin1_general_cp1250_", [80, 81, 82, 82]),
    ("sql_latin1_general_cp1251_", [104, 105, 106, 106]),
    ("sql_latin1_general_cp1253_", [112, 113, 114, 124]),
];
/// Code pages of the sort orders, by the last of each.
const SORTED_PAGES: &[(u8, u16)] =
    &[(35, 437), (49, 850), (54, 1252), (61, 850), (79, 1252), (98, 1250), (108, 1251), (124, 1253), (130, 1254)];
/// The collations of Windows: beginning, language, code page.
const WINDOWS: &[(&str, u32, u16)] = &[
    ("latin1_general", LATIN, 1252),
    ("german_phonebook", 0x0001_0407, 1252),
    ("french", 0x040c, 1252),
    ("finnish_swedish", 0x040b, 1252),
    ("danish_norwegian", 0x0406, 1252),
    ("modern_spanish", 0x0c0a, 1252),
    ("polish", 0x0415, 1250),
    ("czech", 0x0405, 1250),
    ("slovak", 0x041b, 1250),
    ("hungarian", 0x040e, 1250),
    ("romanian", 0x0418, 1250),
    ("cyrillic_general", 0x0419, 1251),
    ("greek", 0x0408, 1253),
    ("turkish", 0x041f, 1254),
    ("japanese", 0x0411, 932),
    ("chinese_prc", 0x0804, 936),
    ("korean_wansung", 0x0412, 949),
    ("chinese_taiwan_stroke", 0x0404, 950),
];

/// A collation as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collation {
    bits: u32,
    sort: u8,
}

impl Default for Collation {
    /// `SQL_Latin1_General_CP1_CI_AS`, which most servers have.
    fn default() -> Self {
        let flags = flag::IGNORE_CASE | flag::IGNORE_KANA | flag::IGNORE_WIDTH;
        Self { bits: LATIN | flags << FLAGS_SHIFT, sort: 52 }
    }
}

impl Collation {
    /// The collation of that name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let flags = flags(&name);
        for (beginning, [binary, exact, folded, bare]) in SORTED {
            if let Some(rest) = name.strip_prefix(beginning) {
                let sort = match rest {
                    "bin" | "bin2" => *binary,
                    "cs_as" => *exact,
                    "ci_as" => *folded,
                    "ci_ai" => *bare,
                    _ => return None,
                };
                return Some(Self { bits: LATIN | flags << FLAGS_SHIFT, sort });
            }
        }
        let (beginning, language, _) =
            WINDOWS.iter().filter(|(beginning, ..)| name.starts_with(beginning)).max_by_key(|(name, ..)| name.len())?;
        let rest = &name[beginning.len()..];
        let version = match () {
            () if rest.contains("_140_") => 3,
            () if rest.contains("_100_") => 2,
            () if rest.contains("_90_") => 1,
            () => 0,
        };
        Some(Self { bits: language | flags << FLAGS_SHIFT | version << VERSION_SHIFT, sort: 0 })
    }

    pub(crate) fn from_bytes(bytes: [u8; 5]) -> Self {
        let [a, b, c, d, sort] = bytes;
        Self { bits: u32::from_le_bytes([a, b, c, d]), sort }
    }

    pub(crate) fn bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.bits.to_le_bytes();
        [a, b, c, d, self.sort]
    }

    /// The code page of its text. That of an unknown one is 1252, as text of no known language is Latin mostly.
    pub(crate) fn code_page(self) -> CodePage {
        if (self.bits >> FLAGS_SHIFT) & flag::UTF8 != 0 {
            return CodePage::UTF8;
        }
        let number = if self.sort == 0 {
            let language = self.bits & LANGUAGE_MASK;
            WINDOWS.iter().find(|(_, known, _)| *known == language).map(|(.., page)| *page)
        } else {
            SORTED_PAGES.iter().find(|(last, _)| self.sort <= *last).map(|(_, page)| *page)
        };
        number.and_then(CodePage::numbered).unwrap_or(CodePage::Other(encoding_rs::WINDOWS_1252))
    }
}

fn flags(name: &str) -> u32 {
    let has = |part: &str| name.split('_').any(|found| found == part);
    let utf8 = if has("utf8") { flag::UTF8 } else { 0 };
    if has("bin2") {
        return flag::BINARY2 | utf8;
    }
    if has("bin") {
        return flag::BINARY | utf8;
    }
    [("ci", flag::IGNORE_CASE), ("ai", flag::IGNORE_ACCENT)]
        .into_iter()
        .filter(|(part, _)| has(part))
        .chain([("ks", flag::IGNORE_KANA), ("ws", flag::IGNORE_WIDTH)].into_iter().filter(|(part, _)| !has(part)))
        .fold(utf8, |flags, (_, flag)| flags | flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_bytes_of_the_specification() {
        for (name, bytes, page) in [
            ("SQL_Latin1_General_CP1_CI_AS", [0x09, 0x04, 0xd0, 0x00, 0x34], 1252),
            ("sql_latin1_general_cp850_ci_as", [0x09, 0x04, 0xd0, 0x00, 0x2a], 850),
            ("sql_latin1_general_cp437_bin", [0x09, 0x04, 0x00, 0x01, 0x1e], 437),
            ("Latin1_General_CI_AS", [0x09, 0x04, 0xd0, 0x00, 0x00], 1252),
            ("Latin1_General_100_CI_AS_SC_UTF8", [0x09, 0x04, 0xd0, 0x24, 0x00], 65001),
            ("Latin1_General_BIN2", [0x09, 0x04, 0x00, 0x02, 0x00], 1252),
            ("Japanese_CI_AS", [0x11, 0x04, 0xd0, 0x00, 0x00], 932),
            ("Polish_CS_AS_KS_WS", [0x15, 0x04, 0x00, 0x00, 0x00], 1250),
        ] {
            let collation = Collation::named(name).unwrap();
            assert_eq!(collation.bytes(), bytes, "{name}");
            assert_eq!(Some(collation.code_page()), CodePage::numbered(page), "{name}");
            assert_eq!(Collation::from_bytes(bytes), collation, "{name}");
        }
        assert_eq!(Collation::named("sql_latin1_general_cp1_ci_as"), Some(Collation::default()));
    }

    #[test]
    fn an_unknown_name_is_none() {
        for name in ["", "Klingon_CI_AS", "sql_latin1_general_cp1_xx"] {
            assert_eq!(Collation::named(name), None, "{name}");
        }
    }
}
