//! What a source says when it is asked about the session, the account and a question: plain values, for `engine check`.
//!
//! Drivers fill a [`Probe`]; [`judge`] says what is remarkable about it. Nothing here holds a secret.

mod judge;

use jiff::{SignedDuration, Timestamp};

pub use self::judge::{FULL_SCAN_ROWS_MIN, Remark, Severity, difference, judge};

/// Rights that a driver reports at most; an account with more has far too many anyway.
pub const RIGHTS_MAX: usize = 200;

/// Something that a server was asked about itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Known<T> {
    /// What it said.
    Is(T),
    /// It was not asked, or did not say: why, for people.
    Unknown(String),
    /// A source of this kind has no such thing.
    Inapplicable,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self::Unknown("engine does not ask this kind of source".to_owned())
    }
}

impl<T> Known<T> {
    /// What was said, where something was.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unknown(_) | Self::Inapplicable => None,
        }
    }

    /// What was said, or the reason why nothing was.
    pub fn from_answer<E: ToString>(answer: Result<T, E>) -> Self {
        answer.map_or_else(|error| Self::Unknown(error.to_string()), Self::Is)
    }
}

/// What a source says of the session, the account and a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Probe {
    /// Who the server says is logged in.
    pub account: Known<String>,
    /// Time zone of the session.
    pub session_timezone: Known<String>,
    /// Character set of the database, or of the session.
    pub charset: Known<String>,
    /// Whether the session can only read, by the server's own word.
    pub read_only: Known<ReadOnly>,
    /// The server's clock beside that of this machine.
    pub clock: Known<ClockReading>,
    /// What the account may do.
    pub rights: Known<Vec<Right>>,
    /// How the server would answer the question.
    pub plan: Known<QueryPlan>,
    /// What else a source of this kind has to say.
    pub facts: Vec<Fact>,
}

impl Probe {
    /// A probe of which nothing is known, for one reason.
    pub fn unknown(why: &str) -> Self {
        let why = || why.to_owned();
        Self {
            account: Known::Unknown(why()),
            session_timezone: Known::Unknown(why()),
            charset: Known::Unknown(why()),
            read_only: Known::Unknown(why()),
            clock: Known::Unknown(why()),
            rights: Known::Unknown(why()),
            plan: Known::Unknown(why()),
            facts: Vec::new(),
        }
    }

    /// A probe of a source without sessions, accounts and plans: files, and what answers to requests.
    pub fn inapplicable() -> Self {
        Self {
            account: Known::Inapplicable,
            session_timezone: Known::Inapplicable,
            charset: Known::Inapplicable,
            read_only: Known::Inapplicable,
            clock: Known::Inapplicable,
            rights: Known::Inapplicable,
            plan: Known::Inapplicable,
            facts: Vec::new(),
        }
    }
}

/// Whether a session can only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOnly {
    /// Whether it is so.
    pub holds: bool,
    /// What the server said, in its words: `transaction_read_only = on`.
    pub said: String,
}

/// One look at the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// What it showed.
    pub server: Timestamp,
    /// This machine's clock before it was asked.
    pub asked: Timestamp,
    /// This machine's clock when the answer was there.
    pub answered: Timestamp,
}

impl ClockReading {
    /// How far the server's clock is ahead; negative where it is behind.
    pub fn ahead(&self) -> SignedDuration {
        let middle = self.asked + self.answered.duration_since(self.asked) / 2;
        self.server.duration_since(middle)
    }

    /// How far [`Self::ahead`] may be off: the way there, or the way back.
    pub fn uncertainty(&self) -> SignedDuration {
        self.answered.duration_since(self.asked).abs() / 2
    }
}

/// What an account may do to one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// What may be done, in the server's words: `SELECT`, `INSERT`, `db_owner`.
    pub privileges: Vec<String>,
    /// To what, as the server writes it: `public.booking`. Empty where the right is the account's own.
    pub on: String,
    /// The statement that takes privileges away; `{}` stands for those that are to go, separated by commas.
    pub revoke: String,
}

/// How a server would answer a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueryPlan {
    /// What it expects the answer to cost, in a unit of its own.
    pub cost: Option<f64>,
    /// How many rows it expects to return.
    pub rows: Option<f64>,
    /// The tables that are read, and how.
    pub reads: Vec<TableRead>,
}

/// How a plan reads one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRead {
    /// The table, in the plan's words.
    pub table: String,
    /// The index that finds the rows; `None` where all of the table is read.
    pub index: Option<String>,
    /// Rows of the table, where the server knows; an estimate.
    pub table_rows: Option<u64>,
}

/// Something that a source says of itself: `files`, `12 to read, 1 still growing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about, in a word or two.
    pub name: &'static str,
    /// What is said.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_question() {
        let at = |millis: i64| Timestamp::from_millisecond(millis).unwrap();
        for (server, asked, answered, ahead, uncertainty) in
            [(1_000, 900, 1_100, 0, 100), (5_000, 900, 1_100, 4_000, 100), (0, 1_000, 1_000, -1_000, 0)]
        {
            let reading = ClockReading { server: at(server), asked: at(asked), answered: at(answered) };
            assert_eq!(reading.ahead(), SignedDuration::from_millis(ahead), "{reading:?}");
            assert_eq!(reading.uncertainty(), SignedDuration::from_millis(uncertainty), "{reading:?}");
        }
    }

    #[test]
    fn an_answer_that_fails_is_unknown_and_says_why() {
        assert_eq!(Known::from_answer(Ok::<_, String>(1)), Known::Is(1));
        assert_eq!(Known::<i32>::from_answer(Err("denied")), Known::Unknown("denied".to_owned()));
        assert_eq!(Known::<i32>::Inapplicable.known(), None);
    }
}
