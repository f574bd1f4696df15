//! The tokens of an answer that hold no values of columns.

use crate::writer::Put;

/// Numbers of the tokens.
pub(crate) mod number {
    pub(crate) const RETURN_STATUS: u8 = 0x79;
    pub(crate) const COLUMNS: u8 = 0x81;
    pub(crate) const ORDER: u8 = 0xa9;
    pub(crate) const ERROR: u8 = 0xaa;
    pub(crate) const INFO: u8 = 0xab;
    pub(crate) const RETURN_VALUE: u8 = 0xac;
    pub(crate) const LOGIN: u8 = 0xad;
    pub(crate) const FEATURES: u8 = 0xae;
    pub(crate) const ROW: u8 = 0xd1;
    pub(crate) const NULL_BITMAP_ROW: u8 = 0xd2;
    pub(crate) const CHANGE: u8 = 0xe3;
    /// No token has this number.
    pub(crate) const GARBAGE: u8 = 0x07;
}

/// Which token says that something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// A statement of a batch.
    Statement = 0xfd,
    /// A procedure.
    Procedure = 0xfe,
    /// A statement within a procedure.
    Within = 0xff,
}

/// Bits of the status of what is done.
pub(crate) mod done {
    pub(crate) const MORE: u16 = 0x01;
    pub(crate) const ERROR: u16 = 0x02;
    pub(crate) const COUNT: u16 = 0x10;
    pub(crate) const ATTENTION: u16 = 0x20;
}

/// The kind of statement that is said to be done.
pub(crate) mod command {
    pub(crate) const NONE: u16 = 0;
    pub(crate) const SELECT: u16 = 0xc1;
    pub(crate) const INSERT: u16 = 0xc3;
}

/// What of the connection changed.
pub(crate) mod change {
    pub(crate) const DATABASE: u8 = 1;
    pub(crate) const LANGUAGE: u8 = 2;
    pub(crate) const PACKET_SIZE: u8 = 4;
    pub(crate) const COLLATION: u8 = 7;
    pub(crate) const BEGIN: u8 = 8;
    pub(crate) const COMMIT: u8 = 9;
    pub(crate) const ROLLBACK: u8 = 10;
    pub(crate) const RESET: u8 = 18;
}

/// The feature of text in UTF-8, which is acknowledged.
const FEATURE_UTF8: u8 = 0x0a;
/// Ends a list of features.
const FEATURES_END: u8 = 0xff;
/// The dialect of SQL, in a login that was accepted.
const TRANSACT_SQL: u8 = 1;

/// An error or a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice<'a> {
    pub(crate) number: u32,
    pub(crate) state: u8,
    pub(crate) class: u8,
    pub(crate) text: &'a str,
    pub(crate) server: &'a str,
    pub(crate) procedure: &'a str,
    pub(crate) line: u32,
}

/// A token whose length comes before its body.
pub(crate) fn with_length(number: u8, body: &[u8]) -> Vec<u8> {
    let mut token = vec![number];
    token.put_u16(body.len() as u16);
    token.put_bytes(body);
    token
}

impl Notice<'_> {
    pub(crate) fn token(&self, number: u8) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_u32(self.number);
        body.put_u8(self.state);
        body.put_u8(self.class);
        body.put_long_text(self.text);
        body.put_short_text(self.server);
        body.put_short_text(self.procedure);
        body.put_u32(self.line);
        with_length(number, &body)
    }
}

pub(crate) fn done_token(kind: Done, status: u16, command: u16, count: u64) -> Vec<u8> {
    let mut token = vec![kind as u8];
    token.put_u16(status);
    token.put_u16(command);
    token.put_u64(count);
    token
}

pub(crate) fn return_status(status: i32) -> Vec<u8> {
    let mut token = vec![number::RETURN_STATUS];
    token.put_bytes(&status.to_le_bytes());
    token
}

/// A change of something that is text.
pub(crate) fn text_change(kind: u8, new: &str, old: &str) -> Vec<u8> {
    let mut body = vec![kind];
    body.put_short_text(new);
    body.put_short_text(old);
    with_length(number::CHANGE, &body)
}

/// A change of something that is a few bytes.
pub(crate) fn bytes_change(kind: u8, new: &[u8], old: &[u8]) -> Vec<u8> {
    let mut body = vec![kind];
    for bytes in [new, old] {
        body.put_u8(bytes.len() as u8);
        body.put_bytes(bytes);
    }
    with_length(number::CHANGE, &body)
}

/// The columns by which a result is sorted, from 1.
pub(crate) fn order(columns: &[u16]) -> Vec<u8> {
    let body: Vec<u8> = columns.iter().flat_map(|column| column.to_le_bytes()).collect();
    with_length(number::ORDER, &body)
}

/// A login that was accepted.
pub(crate) fn login(tds: u32, version: crate::Version) -> Vec<u8> {
    let mut body = vec![TRANSACT_SQL];
    body.put_bytes(&tds.to_be_bytes());
    body.put_short_text("Microsoft SQL Server");
    body.put_bytes(&[version.major, version.minor]);
    body.put_bytes(&version.build.to_be_bytes());
    with_length(number::LOGIN, &body)
}

/// The features that are served of those asked for; `None` where there are none.
pub(crate) fn features(asked: &[u8]) -> Option<Vec<u8>> {
    asked.contains(&FEATURE_UTF8).then(|| vec![number::FEATURES, FEATURE_UTF8, 1, 0, 0, 0, 1, FEATURES_END])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_bytes_of_the_specification() {
        // From the login response in section 4.3 and the batch response in 4.7, shortened.
        assert_eq!(
            done_token(Done::Statement, done::COUNT, command::SELECT, 1),
            [0xfd, 0x10, 0x00, 0xc1, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            text_change(change::PACKET_SIZE, "4096", "4096"),
            [
                0xe3, 0x13, 0x00, 0x04, 0x04, 0x34, 0, 0x30, 0, 0x39, 0, 0x36, 0, 0x04, 0x34, 0, 0x30, 0, 0x39, 0,
                0x36, 0
            ]
        );
        assert_eq!(
            bytes_change(change::COLLATION, &[0x09, 0x04, 0xd0, 0, 0x34], &[]),
            [0xe3, 0x08, 0x00, 0x07, 0x05, 0x09, 0x04, 0xd0, 0, 0x34, 0]
        );
        assert_eq!(return_status(0), [0x79, 0, 0, 0, 0]);
        assert_eq!(order(&[1, 3]), [0xa9, 4, 0, 1, 0, 3, 0]);
        let notice = Notice { number: 5701, state: 2, class: 0, text: "a", server: "b", procedure: "", line: 1 };
        assert_eq!(
            notice.token(number::INFO),
            [0xab, 0x12, 0x00, 0x45, 0x16, 0, 0, 2, 0, 1, 0, 0x61, 0, 1, 0x62, 0, 0, 1, 0, 0, 0]
        );
    }

    #[test]
    fn an_accepted_login_names_protocol_and_release() {
        let token = login(0x7400_0004, crate::Version::V2022);
        assert_eq!(token[..8], [0xad, 50, 0, 1, 0x74, 0, 0, 4]);
        assert_eq!(token[token.len() - 4..], [16, 0, 0x10, 0x27]);
        assert_eq!((features(&[1, 2]), features(&[0x0a]).map(|token| token.len())), (None, Some(8)));
    }

    #[test]
    fn a_long_message_still_fits_in_its_token() {
        let text = "x".repeat(100_000);
        let notice = Notice { number: 1, state: 1, class: 16, text: &text, server: "", procedure: "", line: 1 };
        let token = notice.token(number::ERROR);
        assert_eq!(token.len() - 3, usize::from(u16::from_le_bytes([token[1], token[2]])));
    }
}
