//! Transactions: the requests for them, and the notes that clients get of them.

use crate::reader::{Malformed, Reader};
use crate::rpc::skip_headers;
use crate::token::{bytes_change, change};

/// What happens to the transaction of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Begin,
    Commit,
    Rollback,
}

/// Kinds of requests.
mod kind {
    pub(super) const BEGIN: u16 = 5;
    pub(super) const COMMIT: u16 = 7;
    pub(super) const ROLLBACK: u16 = 8;
    pub(super) const SAVE: u16 = 9;
}
/// The next transaction begins at once.
const FLAG_BEGIN: u8 = 0x01;
const ISOLATIONS: [&str; 6] = ["", "read uncommitted", "read committed", "repeatable read", "serializable", "snapshot"];

/// The statement that a request stands for.
pub(crate) fn statement(message: &[u8]) -> Result<String, Malformed> {
    let what = "a transaction request";
    let mut reader = Reader::new(message);
    skip_headers(&mut reader)?;
    let kind = reader.u16(what)?;
    let verb = match kind {
        kind::BEGIN => return begin(&mut reader),
        kind::COMMIT => "commit transaction",
        kind::ROLLBACK => "rollback transaction",
        kind::SAVE => return save(&mut reader),
        other => return Err(Malformed::wrong(format!("transaction request {other} is not served"))),
    };
    let name = reader.u8(what)?;
    reader.bytes(usize::from(name), what)?;
    let begins = reader.u8(what)? & FLAG_BEGIN != 0;
    Ok(if begins { format!("{verb}; {}", begin(&mut reader)?) } else { verb.to_owned() })
}

fn save(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let bytes = reader.u8("a transaction request")?;
    let name = reader.utf16(usize::from(bytes / 2), "the name of a savepoint")?;
    Ok(format!("save transaction {name}"))
}

fn begin(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let what = "a transaction request";
    let isolation = ISOLATIONS.get(usize::from(reader.u8(what)?)).copied().unwrap_or_default();
    let name = reader.u8(what)?;
    reader.bytes(usize::from(name), what)?;
    if isolation.is_empty() {
        return Ok("begin transaction".to_owned());
    }
    Ok(format!("set transaction isolation level {isolation}; begin transaction"))
}

/// What a batch does to the transaction of its session, going by the words that its statements begin with.
pub(crate) fn events(sql: &str) -> Vec<Event> {
    sql.split([';', '\n'])
        .filter_map(|statement| {
            let lower = statement.trim().to_ascii_lowercase();
            let mut words = lower.split_whitespace();
            match (words.next()?, words.next()) {
                ("begin", Some(word)) if word.starts_with("tran") => Some(Event::Begin),
                ("commit", _) => Some(Event::Commit),
                ("rollback", _) => Some(Event::Rollback),
                _ => None,
            }
        })
        .collect()
}

/// The transaction of a session, as its client knows it.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    current: Option<u64>,
    begun: u64,
}

impl Transaction {
    /// The notes of what a batch did.
    pub(crate) fn follow(&mut self, events: &[Event]) -> Vec<u8> {
        let mut tokens = Vec::new();
        for event in events {
            match (event, self.current.take()) {
                (Event::Begin, None) => {
                    self.begun += 1;
                    self.current = Some(self.begun);
                    tokens.extend(bytes_change(change::BEGIN, &self.begun.to_le_bytes(), &[]));
                }
                // Within a transaction, another changes nothing that clients see.
                (Event::Begin, current) => self.current = current,
                (Event::Commit, Some(old)) => tokens.extend(bytes_change(change::COMMIT, &[], &old.to_le_bytes())),
                (Event::Rollback, Some(old)) => tokens.extend(bytes_change(change::ROLLBACK, &[], &old.to_le_bytes())),
                (Event::Commit | Event::Rollback, None) => {}
            }
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_statements() {
        for (body, expected) in [
            (&[5, 0, 2, 0][..], "set transaction isolation level read committed; begin transaction"),
            (&[5, 0, 0, 2, b'a', 0], "begin transaction"),
            (&[7, 0, 0, 0], "commit transaction"),
            (&[9, 0, 2, b'a', 0], "save transaction a"),
            (&[8, 0, 0, 1, 0, 0], "rollback transaction; begin transaction"),
        ] {
            let message = [&[4, 0, 0, 0][..], body].concat();
            assert_eq!(statement(&message).as_deref(), Ok(expected));
        }
        for body in [&[][..], &[5, 0], &[1, 0], &[7, 0, 9]] {
            assert!(statement(&[&[4, 0, 0, 0][..], body].concat()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_client_is_told_when_a_transaction_begins_and_ends() {
        let mut transaction = Transaction::default();
        let begun = transaction.follow(&events("SET XACT_ABORT ON; BEGIN TRAN"));
        assert_eq!(begun, [0xe3, 11, 0, 8, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(transaction.follow(&events("begin transaction")), [0; 0]);
        assert_eq!(transaction.follow(&events("commit")), [0xe3, 11, 0, 9, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(transaction.follow(&events("rollback transaction\nselect 1")), [0; 0]);
        assert_eq!(events("begin select 1 end"), []);
    }
}
