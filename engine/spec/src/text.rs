//! The text of a file: decoded, without its byte order mark, with a table of its lines.

use std::ops::Range;
use std::sync::Arc;

use crate::codes;
use crate::diagnostic::Diagnostic;

/// Largest spec or companion file, in bytes. A longer one is not a spec; it is refused before it is parsed.
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// A file's text and the places of its lines. Offsets count bytes of the text without its byte order mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Name for people: the path as the caller wrote it.
    pub name: String,
    /// The text.
    pub text: String,
    line_starts: Vec<usize>,
}

/// A line and a column, both counted from 1; a column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: usize,
    /// Character of the line, from 1.
    pub column: usize,
}

impl Text {
    /// A text that is known to be UTF-8.
    pub fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
            .collect();
        Self { name: name.to_owned(), text, line_starts }
    }

    /// Decodes a file. A file that is too long or not UTF-8 gives a finding, and as much text as can be shown.
    pub fn decode(name: &str, bytes: &[u8]) -> (Arc<Self>, Option<Diagnostic>) {
        if bytes.len() > FILE_BYTES_MAX {
            let finding = Diagnostic::new(
                codes::FILE_TOO_BIG,
                0..0,
                format!("the file has {} bytes; the limit is {FILE_BYTES_MAX}", bytes.len()),
            );
            return (Arc::new(Self::new(name, "")), Some(finding));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => (Arc::new(Self::new(name, text)), None),
            Err(error) => {
                let valid = error.valid_up_to();
                let readable = String::from_utf8_lossy(&bytes[..valid]);
                let bom = if readable.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
                let finding = Diagnostic::new(
                    codes::NOT_UTF8,
                    valid - bom..valid - bom,
                    format!("byte {} of the file, 0x{:02X}, is not UTF-8", valid + 1, bytes[valid]),
                )
                .help("save the file as UTF-8");
                (Arc::new(Self::new(name, &readable)), Some(finding))
            }
        }
    }

    /// The place of a byte offset; one beyond the end is the end.
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let offset = self.floor(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        LineColumn { line, column: self.text[start..offset].chars().count() + 1 }
    }

    /// Offset of the first byte of a line counted from 1; of a line beyond the last, the end of the text.
    pub fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// A line counted from 1, without its end.
    pub fn line(&self, line: usize) -> &str {
        let text = &self.text[self.line_start(line)..self.line_start(line + 1)];
        text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
    }

    /// A range that lies inside the text and on character borders.
    pub fn clamp(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.floor(range.start);
        let mut end = range.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let (text, finding) = Text::decode("a.yaml", "\u{feff}aé: 1\r\nb: 2\n".as_bytes());
        assert_eq!(finding, None);
        for (offset, line, column) in [(0, 1, 1), (3, 1, 3), (2, 1, 2), (8, 2, 1), (13, 3, 1), (99, 3, 1)] {
            assert_eq!(text.line_column(offset), LineColumn { line, column }, "offset {offset}");
        }
        assert_eq!(text.line(1), "aé: 1");
        assert_eq!(text.line(2), "b: 2");
        assert_eq!(text.clamp(&(2..2)), 1..3);
    }

    #[test]
    fn what_is_not_utf8_or_too_long_is_a_finding() {
        let (text, finding) = Text::decode("a.yaml", b"id: M\xfcller");
        let finding = finding.expect("a finding");
        assert_eq!((finding.code, finding.span, text.text.as_str()), (codes::NOT_UTF8, 5..5, "id: M"));
        let (_, finding) = Text::decode("a.yaml", &vec![b' '; FILE_BYTES_MAX + 1]);
        assert_eq!(finding.expect("a finding").code, codes::FILE_TOO_BIG);
    }
}
