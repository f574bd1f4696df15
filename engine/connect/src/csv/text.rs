//! Bytes to text: compression, byte order marks, encodings, and numbers with a comma.

use std::borrow::Cow;
use std::io::{BufReader, Chain, Cursor, Read, Take};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use flate2::read::MultiGzDecoder;

/// Bytes that a file may have when it is decompressed; a larger one is no export, or is made to do harm.
pub(crate) const DECOMPRESSED_BYTES_MAX: u64 = 16 << 30;
/// Bytes that are decoded in one go.
const DECODE_BYTES: usize = 32 << 10;
/// Bytes of the longest byte order mark.
const BOM_BYTES_MAX: u64 = 3;
/// Stands in a text for what could not be decoded.
const REPLACEMENT: char = '\u{fffd}';

/// A file, without its compression and its byte order mark, in bytes among which ASCII is ASCII.
pub(crate) struct Opened {
    pub(crate) bytes: Box<dyn Read>,
    pub(crate) cells: Cells,
}

/// How the bytes of a cell become text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells {
    /// Encoding of the file.
    encoding: &'static Encoding,
    /// The bytes were made UTF-8 on the way.
    recoded: bool,
}

/// Opens what a file holds. A byte order mark says more of the encoding than a setting does.
pub(crate) fn open(
    file: impl Read + 'static,
    compressed: bool,
    encoding: &'static Encoding,
) -> std::io::Result<Opened> {
    let plain: Box<dyn Read> = match compressed {
        true => Box::new(Bounded { rest: DECOMPRESSED_BYTES_MAX, inner: MultiGzDecoder::new(BufReader::new(file)) }),
        false => Box::new(file),
    };
    let mut plain = plain;
    let mut head = Vec::new();
    Take::read_to_end(&mut plain.by_ref().take(BOM_BYTES_MAX), &mut head)?;
    let (encoding, bom) = Encoding::for_bom(&head).unwrap_or((encoding, 0));
    let rest: Chain<Cursor<Vec<u8>>, Box<dyn Read>> = Cursor::new(head.split_off(bom)).chain(plain);
    // A byte of an ASCII character is that character in UTF-8 and in every encoding of one byte: fields can be told
    // apart before they are decoded.
    let recoded = !(encoding == UTF_8 || encoding.is_single_byte());
    let bytes: Box<dyn Read> = match recoded {
        true => Box::new(Recoded {
            inner: rest,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: Vec::new(),
            out: vec![0; DECODE_BYTES],
            ready: 0..0,
            at_end: false,
        }),
        false => Box::new(rest),
    };
    Ok(Opened { bytes, cells: Cells { encoding, recoded } })
}

impl Cells {
    /// The text of a cell, or why it is none.
    pub(crate) fn text<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, String> {
        if self.recoded {
            return match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains(REPLACEMENT) => Ok(Cow::Borrowed(text)),
                _ => Err(format!("the text is not {}", self.encoding.name())),
            };
        }
        if self.encoding == UTF_8 {
            return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
                let place = error.valid_up_to();
                format!("the text is not UTF-8: byte 0x{:02x} at {place}", bytes[place])
            });
        }
        self.encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .ok_or_else(|| format!("the text is not {}", self.encoding.name()))
    }

    /// The text of a cell, with a mark in place of what is none.
    pub(crate) fn lossy(&self, bytes: &[u8]) -> String {
        let encoding = if self.recoded { UTF_8 } else { self.encoding };
        encoding.decode_without_bom_handling(bytes).0.into_owned()
    }
}

/// Fails where more comes out than may.
struct Bounded<R> {
    rest: u64,
    inner: R,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.rest = self.rest.checked_sub(read as u64).ok_or_else(|| {
            let message = format!("it has more than {DECOMPRESSED_BYTES_MAX} bytes when it is decompressed");
            std::io::Error::new(std::io::ErrorKind::InvalidData, message)
        })?;
        Ok(read)
    }
}

/// Text of any encoding as UTF-8; what is no text becomes [`REPLACEMENT`].
struct Recoded<R> {
    inner: R,
    decoder: Decoder,
    raw: Vec<u8>,
    out: Vec<u8>,
    /// What of `out` was not yet taken.
    ready: std::ops::Range<usize>,
    at_end: bool,
}

impl<R: Read> Read for Recoded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.ready.is_empty() && !self.at_end {
            if self.raw.is_empty() {
                self.inner.by_ref().take(DECODE_BYTES as u64).read_to_end(&mut self.raw)?;
            }
            let last = self.raw.is_empty();
            let (result, read, written, _) = self.decoder.decode_to_utf8(&self.raw, &mut self.out, last);
            self.raw.drain(..read);
            self.ready = 0..written;
            self.at_end = last && result == CoderResult::InputEmpty;
        }
        let length = self.ready.len().min(into.len());
        into[..length].copy_from_slice(&self.out[self.ready.start..self.ready.start + length]);
        self.ready.start += length;
        Ok(length)
    }
}

/// Writes a number with the country's own decimal character as digits with a point: an optional sign, digits, the
/// character, digits. False where the text is anything else; whole numbers are, and so keep their leading zeros.
pub(crate) fn decimal(text: &str, point: u8, digits: &mut String) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some((whole, fraction)) = unsigned.split_once(char::from(point)) else { return false };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return false;
    }
    digits.clear();
    if text.starts_with('-') {
        digits.push('-');
    }
    digits.push_str(whole);
    digits.push('.');
    digits.push_str(fraction);
    true
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8], compressed: bool, label: &str) -> Result<String, String> {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let mut opened = open(Cursor::new(bytes.to_vec()), compressed, encoding).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        opened.bytes.read_to_end(&mut all).map_err(|error| error.to_string())?;
        opened.cells.text(&all).map(Cow::into_owned)
    }

    #[test]
    fn encodings() {
        for (label, bytes, expected) in [
            ("utf-8", &b"Sch\xc3\xa4ftlarn"[..], Ok("Schäftlarn")),
            ("utf-8", b"\xef\xbb\xbfa", Ok("a")),
            ("utf-8", b"Sch\xe4", Err("the text is not UTF-8: byte 0xe4 at 3")),
            ("utf-8", b"", Ok("")),
            ("utf-8", b"\xef\xbf\xbd", Ok("\u{fffd}")),
            ("windows-1252", b"\x80 \xe4", Ok("€ ä")),
            ("iso-8859-1", b"\xfc\xdf", Ok("üß")),
            ("iso-8859-15", b"\xa4", Ok("€")),
            ("windows-1252", b"\xef\xbb\xbf\xc3\xa4", Ok("ä")),
            ("utf-16", b"\xff\xfea\0\xe4\0", Ok("aä")),
            ("utf-16", b"\xfe\xff\0a\0\xe4", Ok("aä")),
            ("windows-1252", b"\xff\xfea\0", Ok("a")),
            ("utf-16le", b"a\0;\0", Ok("a;")),
            ("utf-16le", b"a\0\x00\xd8", Err("the text is not UTF-16LE")),
            ("windows-1253", b"\xaa", Err("the text is not windows-1253")),
            ("shift_jis", b"\x83\x5c|", Ok("ソ|")),
        ] {
            assert_eq!(read(bytes, false, label), expected.map(str::to_owned).map_err(str::to_owned), "{label}");
        }
    }

    #[test]
    fn long_texts_are_recoded_whole() {
        let text = "ä€;x\n".repeat(2 * DECODE_BYTES);
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [b"\xfe\xff".to_vec(), bytes].concat();
        assert!(read(&marked, false, "utf-16") == Ok(text));
    }

    #[test]
    fn compressed_files() {
        let pack = |text: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text).unwrap();
            packed.finish().unwrap()
        };
        let packed = pack(b"\xef\xbb\xbfa;b\n");
        assert_eq!(read(&packed, true, "utf-8").as_deref(), Ok("a;b\n"));
        // Files that were appended to one another.
        assert_eq!(read(&[pack(b"a"), pack(b"b")].concat(), true, "utf-8").as_deref(), Ok("ab"));
        assert!(read(&packed[..packed.len() - 9], true, "utf-8").is_err());
        assert!(read(b"a;b\n", true, "utf-8").is_err());
    }

    #[test]
    fn more_than_may_come_out_fails() {
        let mut bounded = Bounded { rest: 3, inner: &b"abcd"[..] };
        let mut two = [0; 2];
        assert_eq!(bounded.read(&mut two).unwrap(), 2);
        assert!(bounded.read(&mut two).unwrap_err().to_string().contains("decompressed"));
    }

    #[test]
    fn numbers_with_a_comma() {
        for (text, expected) in [
            ("1234,50", Some("1234.50")),
            ("-0,5", Some("-0.5")),
            ("+7,0", Some("7.0")),
            (" 12,5 ", Some("12.5")),
            ("00123,40", Some("00123.40")),
            ("00123", None),
            ("12", None),
            ("12,", None),
            (",5", None),
            ("1.234,50", None),
            ("1,234,5", None),
            ("12,5-", None),
            ("12.5", None),
            ("M1,2b", None),
            ("", None),
        ] {
            let mut digits = "before".to_owned();
            assert_eq!(decimal(text, b',', &mut digits).then_some(digits.as_str()), expected, "{text}");
        }
    }
}
