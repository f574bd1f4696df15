//! Bytes to records: delimiters, quotes, line breaks, and what to do when they do not fit together.
//!
//! Records are found in bytes, before anything is decoded, so that a byte that is no text costs a cell and not the
//! file. A record that is broken costs its first line: reading goes on with the next line of the file, however many
//! lines the record seemed to hold.

use std::io::{ErrorKind, Read};

/// Bytes of one record at most; what seems longer is a quote that was never closed, or no CSV.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes that are read in one go.
const READ_BYTES: usize = 64 << 10;

/// What separates and encloses fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
}

/// What stands at a place of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Line on which it begins, from 1.
    pub(crate) line: u64,
    /// Lines that it takes.
    pub(crate) lines: u64,
    /// Why it is no record.
    pub(crate) broken: Option<Broken>,
}

/// Why something is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A quote is opened, and the file ends, or goes on for too long, before it is closed.
    OpenQuote,
    /// More bytes than a record may have.
    TooLong,
}

impl Broken {
    /// In plain words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::OpenQuote => "a quote is opened and not closed".to_owned(),
            Self::TooLong => format!("the line is longer than {RECORD_BYTES_MAX} bytes"),
        }
    }
}

/// Where in a field the search for the end of the record is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two that stand for one.
    Closed,
}

/// The records of a stream, one at a time; memory is bounded by [`RECORD_BYTES_MAX`].
pub(crate) struct Records<R> {
    input: R,
    dialect: Dialect,
    buffer: Vec<u8>,
    /// First byte of the buffer that is not read.
    start: usize,
    at_end: bool,
    /// Line of `start`.
    line: u64,
    /// Where the second line of the record begins, and its number.
    second_line: (usize, u64),
    text: Vec<u8>,
    /// Ends of the fields in `text`.
    ends: Vec<usize>,
}

impl<R: Read> Records<R> {
    pub(crate) fn new(input: R, dialect: Dialect) -> Self {
        Self {
            input,
            dialect,
            buffer: Vec::new(),
            start: 0,
            at_end: false,
            line: 1,
            second_line: (0, 1),
            text: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The next record, its fields in [`Self::fields`]; `None` at the end. Empty lines are passed over.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<Found>> {
        loop {
            let line = self.line;
            let (length, terminator, state) = self.find_end()?;
            if length == 0 && terminator == 0 && self.at_end {
                return Ok(None);
            }
            let too_long = length > RECORD_BYTES_MAX;
            if state == At::Quoted || too_long {
                let is_one_line = !self.skip_line()?;
                let broken =
                    if state == At::Quoted && !(too_long && is_one_line) { Broken::OpenQuote } else { Broken::TooLong };
                return Ok(Some(Found { line, lines: 1, broken: Some(broken) }));
            }
            let end = self.start + length;
            let content = &self.buffer[self.start..end];
            let content = content.strip_suffix(b"\r").unwrap_or(content);
            let breaks = content.iter().filter(|byte| **byte == b'\n').count() as u64;
            let first_break = content.iter().position(|byte| *byte == b'\n');
            self.second_line = match first_break {
                Some(place) => (self.start + place + 1, line + 1),
                None => (end + terminator, line + 1),
            };
            let is_empty = content.is_empty();
            if !is_empty {
                split(content, self.dialect, &mut self.text, &mut self.ends);
            }
            self.start = end + terminator;
            self.line = line + breaks + 1;
            if !is_empty {
                return Ok(Some(Found { line, lines: breaks + 1, broken: None }));
            }
        }
    }

    /// The fields of the record, without their quotes.
    pub(crate) fn fields(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|place| self.field(place))
    }

    /// A field of the record.
    pub(crate) fn field(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.text[start..self.ends[place]]
    }

    /// Number of fields of the record.
    pub(crate) fn width(&self) -> usize {
        self.ends.len()
    }

    /// Gives back all lines of the record but its first: they are read anew.
    pub(crate) fn give_back_lines(&mut self) {
        (self.start, self.line) = self.second_line;
    }

    /// Length of the record at `start`, of its line break, and the state at its end. A length beyond
    /// [`RECORD_BYTES_MAX`] says that the end was not found.
    fn find_end(&mut self) -> std::io::Result<(usize, usize, At)> {
        let Dialect { delimiter, quote } = self.dialect;
        let (mut place, mut at) = (0, At::FieldStart);
        loop {
            for &byte in &self.buffer[self.start + place..] {
                if byte == b'\n' && at != At::Quoted {
                    return Ok((place, 1, at));
                }
                at = match at {
                    At::FieldStart | At::Closed if byte == quote => At::Quoted,
                    At::Quoted if byte == quote => At::Closed,
                    At::Quoted => At::Quoted,
                    _ if byte == delimiter => At::FieldStart,
                    _ => At::Plain,
                };
                place += 1;
                if place > RECORD_BYTES_MAX {
                    return Ok((place, 0, at));
                }
            }
            if !self.fill()? {
                return Ok((place, 0, at));
            }
        }
    }

    /// Passes over one line of the file, whatever it holds; false where the buffer did not hold its end.
    fn skip_line(&mut self) -> std::io::Result<bool> {
        let mut held = true;
        self.line += 1;
        loop {
            if let Some(place) = self.buffer[self.start..].iter().position(|byte| *byte == b'\n') {
                self.start += place + 1;
                return Ok(held);
            }
            held = false;
            self.start = self.buffer.len();
            if !self.fill()? {
                return Ok(held);
            }
        }
    }

    /// Reads more; false at the end of the stream.
    fn fill(&mut self) -> std::io::Result<bool> {
        if self.at_end {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + READ_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[held..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        self.at_end = matches!(read, Ok(0));
        Ok(read? > 0)
    }
}

/// Splits a record into fields without quotes.
fn split(record: &[u8], dialect: Dialect, text: &mut Vec<u8>, ends: &mut Vec<usize>) {
    text.clear();
    ends.clear();
    let mut rest = record;
    loop {
        if let Some(quoted) = rest.strip_prefix(&[dialect.quote]) {
            rest = quoted;
            loop {
                let close = rest.iter().position(|byte| *byte == dialect.quote).unwrap_or(rest.len());
                text.extend_from_slice(&rest[..close]);
                rest = rest.get(close + 1..).unwrap_or_default();
                // Two quotes stand for one.
                let Some(after) = rest.strip_prefix(&[dialect.quote]) else { break };
                text.push(dialect.quote);
                rest = after;
            }
        }
        let end = rest.iter().position(|byte| *byte == dialect.delimiter);
        text.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
        ends.push(text.len());
        let Some(end) = end else { return };
        rest = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every record meets every edge of the buffer.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut into[..1])
        }
    }

    fn read(input: impl Read) -> Vec<String> {
        let mut records = Records::new(input, Dialect { delimiter: b';', quote: b'"' });
        let mut seen = Vec::new();
        while let Some(found) = records.next().unwrap() {
            let fields: Vec<String> =
                records.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            seen.push(match found.broken {
                None => format!("{}: {}", found.line, fields.join("|")),
                Some(broken) => format!("{}: {broken:?}", found.line),
            });
        }
        seen
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(text.as_bytes()), expected, "at once");
        assert_eq!(read(Slow(text.as_bytes())), expected, "byte by byte");
    }

    #[test]
    fn fields_and_lines() {
        check("", &[]);
        check("\n\r\n\n", &[]);
        check("a;b\n1;2\n", &["1: a|b", "2: 1|2"]);
        check("a;b\r\n1;2", &["1: a|b", "2: 1|2"]);
        check("a;b\n\n\n1;2\n", &["1: a|b", "4: 1|2"]);
        check(";\n;;", &["1: |", "2: ||"]);
        check("a\rb;c\r\n", &["1: a\rb|c"]);
    }

    #[test]
    fn quotes() {
        check("\"a;b\";c\n", &["1: a;b|c"]);
        check("\"say \"\"hi\"\"\";x\n", &["1: say \"hi\"|x"]);
        check("\"\";\"\"\"\"\n", &["1: |\""]);
        check("\"two\nlines\";x\r\nnext\n", &["1: two\nlines|x", "3: next"]);
        check("\"two\r\nlines\";x\n", &["1: two\r\nlines|x"]);
        // A quote within a field that does not begin with one is a character like any other.
        check("5\" pipe;x\n", &["1: 5\" pipe|x"]);
        check("\"a\"b;c\n", &["1: ab|c"]);
        check("\"a\"b\"c;d\n", &["1: ab\"c|d"]);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_line() {
        check("a;b\n\"1;2\n3;4\n5;6\n", &["1: a|b", "2: OpenQuote", "3: 3|4", "4: 5|6"]);
        check("a;b\n3;\"4", &["1: a|b", "2: OpenQuote"]);
        check("\"\n\"\n", &["1: \n"]);
    }

    #[test]
    fn a_record_gives_back_the_lines_that_are_not_its_own() {
        let mut records = Records::new(&b"\"1;2\n3;4\n5;\"6\n7;8"[..], Dialect { delimiter: b';', quote: b'"' });
        let found = records.next().unwrap().unwrap();
        assert_eq!((found.line, found.lines, records.width()), (1, 3, 1));
        records.give_back_lines();
        let mut seen = Vec::new();
        while let Some(found) = records.next().unwrap() {
            seen.push((found.line, records.width(), found.broken));
        }
        assert_eq!(seen, [(2, 2, None), (3, 2, Some(Broken::OpenQuote)), (4, 2, None)]);
    }

    #[test]
    fn memory_is_bounded_by_the_longest_record() {
        let long = "x".repeat(3 * RECORD_BYTES_MAX);
        let text = format!("a;b\n{long}\n1;2\n\"open\n3;{long}\n4;5\n");
        let mut records = Records::new(text.as_bytes(), Dialect { delimiter: b';', quote: b'"' });
        let mut seen = Vec::new();
        while let Some(found) = records.next().unwrap() {
            seen.push((found.line, found.broken));
            assert!(records.buffer.capacity() <= 4 * RECORD_BYTES_MAX, "{}", records.buffer.capacity());
        }
        let expected = [None, Some(Broken::TooLong), None, Some(Broken::OpenQuote), Some(Broken::TooLong), None];
        assert_eq!(seen, expected.into_iter().zip(1..).map(|(broken, line)| (line, broken)).collect::<Vec<_>>());
    }

    proptest::proptest! {
        /// Whatever stands in a file, reading comes to its end, goes forward line by line, and finds every line that
        /// has no quote as it is.
        #[test]
        fn nothing_stops_the_reader(text in "[ab;\"\r\n]{0,60}") {
            let mut records = Records::new(Slow(text.as_bytes()), Dialect { delimiter: b';', quote: b'"' });
            let mut seen = std::collections::BTreeMap::new();
            while let Some(found) = records.next().unwrap() {
                let before = seen.last_key_value().map_or(0, |(line, _)| *line);
                proptest::prop_assert!(found.line > before, "line {} after {before}", found.line);
                let fields: Vec<String> =
                    records.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
                seen.insert(found.line, fields.join(";"));
                if found.lines > 1 {
                    records.give_back_lines();
                }
            }
            for (number, line) in (1..).zip(text.split('\n')) {
                let line = line.strip_suffix('\r').unwrap_or(line);
                if !line.is_empty() && !line.contains('"') {
                    proptest::prop_assert_eq!(seen.get(&number).map(String::as_str), Some(line), "line {}", number);
                }
            }
        }

        /// What is written by the rules comes back, wherever the buffer ends.
        #[test]
        fn what_is_written_is_read(rows in proptest::collection::vec(
            proptest::collection::vec("[a-z\";\r\n ]{0,6}", 2..5), 0..6,
        )) {
            let line = |row: &Vec<String>| {
                row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect::<Vec<_>>().join(";")
            };
            let text: String = rows.iter().map(|row| line(row) + "\r\n").collect();
            let mut records = Records::new(Slow(text.as_bytes()), Dialect { delimiter: b';', quote: b'"' });
            let mut seen = Vec::new();
            while let Some(found) = records.next().unwrap() {
                proptest::prop_assert_eq!(found.broken, None);
                let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
                seen.push(records.fields().map(text).collect::<Vec<_>>());
            }
            proptest::prop_assert_eq!(seen, rows);
        }
    }
}
