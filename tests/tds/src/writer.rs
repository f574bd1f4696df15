//! Writes the fields of a token.

/// Appends little-endian fields to a token.
pub(crate) trait Put {
    fn put_bytes(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put_bytes(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put_bytes(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Little-endian UTF-16 without a length.
    fn put_utf16(&mut self, text: &str) {
        for unit in text.encode_utf16() {
            self.put_u16(unit);
        }
    }

    /// Text with its length in one byte, cut where it is too long for that.
    fn put_short_text(&mut self, text: &str) {
        let text = cut(text, usize::from(u8::MAX));
        self.put_u8(units(text) as u8);
        self.put_utf16(text);
    }

    /// Text with its length in two bytes, cut where it is too long for a token.
    fn put_long_text(&mut self, text: &str) {
        let text = cut(text, LONG_TEXT_UNITS_MAX);
        self.put_u16(units(text) as u16);
        self.put_utf16(text);
    }
}

/// Units of a long text in a token, whose own length in bytes has to fit in two bytes.
const LONG_TEXT_UNITS_MAX: usize = 16_000;

impl Put for Vec<u8> {
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Units of UTF-16 that a text takes.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The longest beginning of a text that has so many units of UTF-16.
fn cut(text: &str, units_max: usize) -> &str {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += character.len_utf16();
        if taken > units_max {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aü𝄞b", 3), "aü");
        assert_eq!(cut("aü𝄞b", 4), "aü𝄞");
        assert_eq!(cut("aü", 9), "aü");
        let mut long = Vec::new();
        long.put_short_text(&"x".repeat(300));
        assert_eq!((long.len(), long[0]), (511, 255));
    }
}
