//! Reads the fields of a message, and never beyond its end.

/// Why a message of the client could not be read. It ends the connection, as it does with the real server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends within a field.
    #[error("the message ends within {0}")]
    Short(&'static str),
    /// A field holds what it must not hold.
    #[error("{0}")]
    Wrong(String),
}

impl Malformed {
    /// A field holds what it must not hold.
    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }
}

/// The rest of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, which stays where it is.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn bytes(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// UTF-16 of so many units. What is no UTF-16 becomes the replacement character.
    pub(crate) fn utf16(&mut self, units: usize, what: &'static str) -> Result<String, Malformed> {
        Ok(utf16(self.bytes(units.saturating_mul(2), what)?))
    }

    /// Text with its length in one byte.
    pub(crate) fn short_text(&mut self, what: &'static str) -> Result<String, Malformed> {
        let units = self.u8(what)?;
        self.utf16(usize::from(units), what)
    }

    /// Text with its length in two bytes.
    pub(crate) fn long_text(&mut self, what: &'static str) -> Result<String, Malformed> {
        let units = self.u16(what)?;
        self.utf16(usize::from(units), what)
    }
}

/// Little-endian UTF-16 as text. A half unit at the end is dropped.
pub(crate) fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16("a number"), Ok(0x0201));
        assert_eq!(reader.u16("a number"), Err(Malformed::Short("a number")));
        assert_eq!(reader.u8("a byte"), Ok(3));
        assert!(reader.is_empty());
        assert_eq!(reader.utf16(usize::MAX, "a text"), Err(Malformed::Short("a text")));
    }

    #[test]
    fn text_is_utf16_with_its_length_before_it() {
        assert_eq!(Reader::new(&[2, b'a', 0, 0xfc, 0]).short_text("t"), Ok("aü".to_owned()));
        assert_eq!(Reader::new(&[1, 0, 0x3d, 0xd8]).long_text("t"), Ok("\u{fffd}".to_owned()));
    }
}
