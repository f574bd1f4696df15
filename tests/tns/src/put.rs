//! How TTC writes numbers and bytes.

/// A length up to this is one byte; longer values come in chunks.
pub const SHORT_BYTES_MAX: usize = 252;
/// Says that chunks follow.
pub const CHUNKED: u8 = 254;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 32_767;

/// Writes in the forms of TTC.
pub trait Put {
    /// One byte.
    fn u8(&mut self, value: u8);
    /// Two bytes, the high one first.
    fn u16(&mut self, value: u16);
    /// Two bytes, the low one first.
    fn u16_low_first(&mut self, value: u16);
    /// Four bytes, the high one first.
    fn u32(&mut self, value: u32);
    /// A number as the count of its bytes and these, without leading zeros.
    fn number(&mut self, value: u64);
    /// The same with a sign, in the high bit of the count.
    fn signed(&mut self, value: i64);
    /// Bytes as they are.
    fn raw(&mut self, bytes: &[u8]);
    /// Bytes with their count before them, in chunks where they are many.
    fn bytes(&mut self, bytes: &[u8]);
    /// A count as number, and the bytes with their count unless there are none.
    fn counted(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn u8(&mut self, value: u8) {
        self.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn u16_low_first(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn number(&mut self, value: u64) {
        let all = value.to_be_bytes();
        let zeros = value.leading_zeros() as usize / 8;
        self.push((all.len() - zeros) as u8);
        self.extend_from_slice(&all[zeros..]);
    }

    fn signed(&mut self, value: i64) {
        let start = self.len();
        self.number(value.unsigned_abs());
        if value < 0 {
            self[start] |= 0x80;
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() <= SHORT_BYTES_MAX {
            self.push(bytes.len() as u8);
            self.extend_from_slice(bytes);
            return;
        }
        self.push(CHUNKED);
        for chunk in bytes.chunks(CHUNK_BYTES) {
            self.number(chunk.len() as u64);
            self.extend_from_slice(chunk);
        }
        self.push(0);
    }

    fn counted(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        if !bytes.is_empty() {
            self.bytes(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_leading_zeros() {
        for (value, expected) in [
            (0, &[0][..]),
            (1, &[1, 1]),
            (255, &[1, 255]),
            (256, &[2, 1, 0]),
            (0x0001_0000, &[3, 1, 0, 0]),
            (u64::MAX, &[8, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            let mut out = Vec::new();
            out.number(value);
            assert_eq!(out, expected, "{value}");
        }
    }

    #[test]
    fn a_negative_number_has_the_high_bit_in_its_count() {
        let mut out = Vec::new();
        out.signed(-127);
        assert_eq!(out, [0x81, 127]);
    }

    #[test]
    fn many_bytes_come_in_chunks() {
        let mut out = Vec::new();
        out.bytes(&[7; 253]);
        assert_eq!(out[..3], [CHUNKED, 1, 253]);
        assert_eq!(out.len(), 3 + 253 + 1);
        assert_eq!(out.last(), Some(&0));
    }
}
