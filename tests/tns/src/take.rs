//! How TTC is read. All lengths are bounded, and what is not there is waited for.

use crate::broken::Broken;
use crate::put::CHUNKED;

/// Most bytes of one call of a client.
pub const CALL_BYTES_MAX: usize = 64 << 20;
/// Says that there is no value.
const ABSENT: u8 = 255;

/// Where more bytes of a call come from.
pub trait More {
    /// Waits for the next packet of the call and adds what it carries.
    fn more(&mut self, into: &mut Vec<u8>) -> Result<(), Broken>;
}

/// Reads a call that may span many packets.
pub struct Take<'a> {
    bytes: Vec<u8>,
    at: usize,
    from: &'a mut dyn More,
}

impl<'a> Take<'a> {
    /// Reads what is there, then what comes.
    pub fn new(bytes: Vec<u8>, from: &'a mut dyn More) -> Self {
        Self { bytes, at: 0, from }
    }

    /// So many bytes as they are.
    pub fn raw(&mut self, count: usize) -> Result<&[u8], Broken> {
        let end = self.at.checked_add(count).filter(|end| *end <= CALL_BYTES_MAX);
        let end = end.ok_or(Broken::Malformed("a call of more than 64 MiB"))?;
        while self.bytes.len() < end {
            self.from.more(&mut self.bytes)?;
        }
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Broken> {
        Ok(self.raw(1)?[0])
    }

    /// Two bytes, the high one first.
    pub fn u16(&mut self) -> Result<u16, Broken> {
        let bytes = self.raw(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A number of up to eight bytes.
    pub fn number(&mut self) -> Result<u64, Broken> {
        let count = self.u8()?;
        if count > 8 {
            return Err(Broken::Malformed("a number of more than eight bytes"));
        }
        Ok(self.raw(usize::from(count))?.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    /// A number of up to four bytes.
    pub fn u32(&mut self) -> Result<u32, Broken> {
        u32::try_from(self.number()?).map_err(|_| Broken::Malformed("a number of more than four bytes"))
    }

    /// A count of things of which each takes at least a byte.
    pub fn count(&mut self, most: usize) -> Result<usize, Broken> {
        let count = self.u32()? as usize;
        if count > most {
            return Err(Broken::Malformed("a count that is too large"));
        }
        Ok(count)
    }

    /// Bytes with their count before them, perhaps in chunks; `None` where there is no value.
    pub fn bytes(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        match self.u8()? {
            0 | ABSENT => Ok(None),
            CHUNKED => {
                let mut all = Vec::new();
                loop {
                    let count = self.u32()? as usize;
                    if count == 0 {
                        return Ok(Some(all));
                    }
                    all.extend_from_slice(self.raw(count)?);
                }
            }
            count => Ok(Some(self.raw(usize::from(count))?.to_vec())),
        }
    }

    /// A count as number, and the bytes with their count unless there are none.
    pub fn counted(&mut self) -> Result<Vec<u8>, Broken> {
        if self.u32()? == 0 {
            return Ok(Vec::new());
        }
        Ok(self.bytes()?.unwrap_or_default())
    }

    /// The same as text.
    pub fn text(&mut self) -> Result<String, Broken> {
        Ok(String::from_utf8_lossy(&self.counted()?).into_owned())
    }
}

/// Nothing comes: for what is at hand in full.
pub struct NoMore;

impl More for NoMore {
    fn more(&mut self, _: &mut Vec<u8>) -> Result<(), Broken> {
        Err(Broken::Malformed("the message ends too early"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::put::Put;

    #[test]
    fn what_is_written_is_read() {
        let long = vec![9; 70_000];
        let mut out = Vec::new();
        out.number(70_000);
        out.counted(b"");
        out.counted(b"abc");
        out.bytes(&long);
        let mut none = NoMore;
        let mut take = Take::new(out, &mut none);
        assert_eq!(take.number().unwrap(), 70_000);
        assert_eq!(take.text().unwrap(), "");
        assert_eq!(take.text().unwrap(), "abc");
        assert_eq!(take.bytes().unwrap(), Some(long));
        assert!(take.u8().is_err());
    }

    #[test]
    fn a_length_that_is_too_large_is_refused_before_it_is_waited_for() {
        let mut none = NoMore;
        let mut take = Take::new(vec![CHUNKED, 4, 255, 255, 255, 255], &mut none);
        assert!(matches!(take.bytes(), Err(Broken::Malformed("a call of more than 64 MiB"))));
    }
}
