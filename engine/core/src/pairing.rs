//! Bookings to runs: a fold over the bookings of one machine, in an order that does not depend on their arrival.
//!
//! The fold can begin in the middle. Everything it needs of the past is which runs were open and whether a START
//! was ever read, so a late booking costs the bookings after it and not the history of the machine.

use std::borrow::Cow;
use std::cmp::Ordering;

use engine_spec::model::{IgnoreOrReject, OnStartWhileRunning};

use crate::canonical::{CanonicalRow, Details, RowKey};
use crate::time::Instant;

/// What a booking says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// The order stops running. Sorts before a START of the same moment.
    End,
    /// The order starts running.
    Start,
}

impl Event {
    /// The canonical word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::End => "END",
        }
    }
}

/// A value of a tie-break column: numbers sort as numbers, before text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tie {
    /// No value.
    None,
    /// A whole number.
    Number(i64),
    /// Anything else, as its canonical text.
    Text(String),
}

/// One canonical booking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Booking<'a> {
    /// Identity of the source row.
    pub key: RowKey,
    /// When it happened.
    pub at: Instant,
    /// What it says.
    pub event: Event,
    /// Values of the tie-break columns.
    pub tie: &'a [Tie],
    /// Order, product, quantities and the like.
    pub details: &'a Details,
}

impl<'a> Booking<'a> {
    /// What a row says; `None` where it is no booking.
    pub fn of(key: RowKey, row: &'a CanonicalRow) -> Option<Self> {
        Some(Self { key, at: row.start, event: row.event?, tie: &row.tie, details: &row.details })
    }

    /// The order in which bookings of one machine are folded: timestamp, tie-break columns, END before START, key.
    pub fn order(&self, other: &Self) -> Ordering {
        self.at
            .cmp(&other.at)
            .then_with(|| self.tie.cmp(other.tie))
            .then_with(|| self.event.cmp(&other.event))
            .then_with(|| self.key.cmp(&other.key))
    }
}

/// An interval on one machine: a derived run, or a row of an order table.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval<'a> {
    /// Key of the row that opens it. The run's identity.
    pub key: RowKey,
    /// Its start.
    pub start: Instant,
    /// Its end; `None` while it runs.
    pub end: Option<Instant>,
    /// Order, product, quantities and the like: mostly those of the row that opens it.
    pub details: Cow<'a, Details>,
}

impl Interval<'_> {
    /// By start, and by key where that is the same.
    pub fn order(&self, other: &Self) -> Ordering {
        self.start.cmp(&other.start).then_with(|| self.key.cmp(&other.key))
    }

    /// Adds the quantities of another of its rows, and takes from it what is missing.
    pub fn complete_from(&mut self, details: &Details) {
        if self.details.is_completed_by(details) {
            self.details.to_mut().complete_from(details);
        }
    }

    /// Whether a moment lies within, both bounds included: the test for "could still change at that moment".
    pub fn reaches(&self, moment: Instant) -> bool {
        self.end.is_none_or(|end| end >= moment)
    }
}

/// The rules of a fold, all defaults applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A START of another order while one runs.
    pub on_start_while_running: OnStartWhileRunning,
    /// A second START of what runs.
    pub duplicate_start: IgnoreOrReject,
    /// An END without a START.
    pub orphan_end: IgnoreOrReject,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            on_start_while_running: OnStartWhileRunning::EndPrevious,
            duplicate_start: IgnoreOrReject::Ignore,
            orphan_end: IgnoreOrReject::Reject,
        }
    }
}

/// What was before the first booking of a fold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Before<'a> {
    /// Runs that began earlier and had not ended. Their ends are decided anew.
    pub open: Vec<Interval<'a>>,
    /// Whether any START of this machine was read earlier.
    pub any_start: bool,
}

/// Why a booking made no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// A START while another order runs.
    StartWhileRunning,
    /// A second START of what runs.
    DuplicateStart,
    /// An END without a START.
    OrphanEnd,
}

impl Refusal {
    /// Stable code, as in quarantine.
    pub fn code(self) -> &'static str {
        match self {
            Self::StartWhileRunning => "start_while_running",
            Self::DuplicateStart => "duplicate_start",
            Self::OrphanEnd => "orphan_end",
        }
    }

    /// The rule's place in the spec.
    pub fn rule(self) -> &'static str {
        match self {
            Self::StartWhileRunning => "pairing.on_start_while_running",
            Self::DuplicateStart => "pairing.duplicate_start",
            Self::OrphanEnd => "pairing.orphan_end",
        }
    }
}

/// Result of a fold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Folded<'a> {
    /// The runs, by start: those that were open before, and those that began here.
    pub runs: Vec<Interval<'a>>,
    /// Bookings for quarantine: the place in the input, and why.
    pub refused: Vec<(usize, Refusal)>,
    /// Bookings that said nothing new and were dropped as the rules say.
    pub ignored: u64,
    /// ENDs before the first START that was ever read: their START lies before all that is known.
    pub before_history: u64,
}

/// Folds the bookings of one machine, sorted by [`Booking::order`], into runs.
///
/// A START opens a run, an END closes the run of its order. Two runs of one order are two STARTs of it, whatever lies
/// between. Quantities of the bookings of a run are added up; its other details are those of the START, completed
/// from the END.
pub fn fold<'a>(bookings: &[Booking<'a>], before: Before<'a>, rules: Rules) -> Folded<'a> {
    // Mostly, a run has two bookings.
    let runs = Vec::with_capacity(before.open.len() + bookings.len() / 2 + 1);
    let mut folded = Folded { runs, ..Folded::default() };
    let mut open = before.open;
    let mut any_start = before.any_start || !open.is_empty();
    for (place, booking) in bookings.iter().enumerate() {
        match booking.event {
            Event::Start => {
                any_start = true;
                if open.iter().any(|run| run.details.same_product(booking.details)) {
                    match rules.duplicate_start {
                        IgnoreOrReject::Ignore => folded.ignored += 1,
                        IgnoreOrReject::Reject => folded.refused.push((place, Refusal::DuplicateStart)),
                    }
                    continue;
                }
                if !open.is_empty() {
                    match rules.on_start_while_running {
                        OnStartWhileRunning::EndPrevious => {
                            folded.runs.extend(open.drain(..).map(|run| Interval { end: Some(booking.at), ..run }));
                        }
                        OnStartWhileRunning::AllowParallel => {}
                        OnStartWhileRunning::Reject => {
                            folded.refused.push((place, Refusal::StartWhileRunning));
                            continue;
                        }
                    }
                }
                open.push(Interval {
                    key: booking.key,
                    start: booking.at,
                    end: None,
                    details: Cow::Borrowed(booking.details),
                });
            }
            Event::End => {
                let same_order = |run: &Interval<'_>| run.details.order_code == booking.details.order_code;
                let closing = open
                    .iter()
                    .position(|run| run.details.same_product(booking.details))
                    .or_else(|| open.iter().position(same_order));
                if let Some(closing) = closing {
                    let mut run = open.remove(closing);
                    run.end = Some(booking.at);
                    run.complete_from(booking.details);
                    folded.runs.push(run);
                } else if !any_start {
                    folded.before_history += 1;
                } else {
                    match rules.orphan_end {
                        IgnoreOrReject::Ignore => folded.ignored += 1,
                        IgnoreOrReject::Reject => folded.refused.push((place, Refusal::OrphanEnd)),
                    }
                }
            }
        }
    }
    folded.runs.append(&mut open);
    folded.runs.sort_by(Interval::order);
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A row that says a booking.
    #[derive(Debug, Clone)]
    struct Row {
        key: RowKey,
        at: Instant,
        event: Event,
        details: Details,
    }

    fn row(key: u128, at: i64, event: Event, order: &str) -> Row {
        Row {
            key: RowKey(key),
            at: Instant::from_micros(at * 1_000_000),
            event,
            details: Details { order_code: order.into(), product_code: "P".into(), ..Details::default() },
        }
    }

    /// The bookings of rows, in the order of folding.
    fn bookings(rows: &[Row]) -> Vec<Booking<'_>> {
        fn booking(row: &Row) -> Booking<'_> {
            Booking { key: row.key, at: row.at, event: row.event, tie: &[], details: &row.details }
        }
        let mut bookings: Vec<Booking<'_>> = rows.iter().map(booking).collect();
        bookings.sort_by(Booking::order);
        bookings
    }

    /// `S10A` is a START of order A at second 10, `E12A` its END.
    fn parse(text: &str) -> Vec<Row> {
        let words = text.split_whitespace().enumerate();
        words
            .map(|(place, word)| {
                let event = if word.starts_with('S') { Event::Start } else { Event::End };
                let digits: String = word[1..].chars().take_while(char::is_ascii_digit).collect();
                row(place as u128, digits.parse().expect("a second"), event, &word[1 + digits.len()..])
            })
            .collect()
    }

    fn show(folded: &Folded<'_>) -> String {
        let mut words: Vec<String> = folded
            .runs
            .iter()
            .map(|run| {
                let end = run.end.map_or(String::new(), |end| end.secs().to_string());
                format!("{}:{}-{end}", run.details.order_code, run.start.secs())
            })
            .collect();
        words.extend(folded.refused.iter().map(|(place, why)| format!("!{}@{place}", why.code())));
        if folded.ignored > 0 {
            words.push(format!("ignored={}", folded.ignored));
        }
        if folded.before_history > 0 {
            words.push(format!("before={}", folded.before_history));
        }
        words.join(" ")
    }

    fn check(rules: Rules, text: &str, expected: &str) {
        assert_eq!(show(&fold(&bookings(&parse(text)), Before::default(), rules)), expected, "for {text}");
    }

    #[test]
    fn bookings_become_runs() {
        let check = |text, expected| check(Rules::default(), text, expected);
        check("S10A E20A", "A:10-20");
        check("S10A", "A:10-");
        check("S10A E20A S30A E40A", "A:10-20 A:30-40");
        check("S10A S20B E30B", "A:10-20 B:20-30");
        check("S10A S15A E20A", "A:10-20 ignored=1");
        check("S10A E20A E30A", "A:10-20 !orphan_end@2");
        check("E5A S10B", "B:10- before=1");
        check("S10A E20B", "A:10- !orphan_end@1");
        check("S10A E20A S20B", "A:10-20 B:20-");
        check("S20B E20A S10A", "A:10-20 B:20-");
        check("", "");
    }

    #[test]
    fn rules_are_obeyed() {
        let parallel = Rules { on_start_while_running: OnStartWhileRunning::AllowParallel, ..Rules::default() };
        check(parallel, "S10A S20B E30A E40B", "A:10-30 B:20-40");
        let reject = Rules { on_start_while_running: OnStartWhileRunning::Reject, ..Rules::default() };
        check(reject, "S10A S20B E30A", "A:10-30 !start_while_running@1");
        let strict = Rules { duplicate_start: IgnoreOrReject::Reject, ..Rules::default() };
        check(strict, "S10A S20A", "A:10- !duplicate_start@1");
        let lenient = Rules { orphan_end: IgnoreOrReject::Ignore, ..Rules::default() };
        check(lenient, "S10A E20A E30A", "A:10-20 ignored=1");
    }

    #[test]
    fn quantities_of_a_run_are_those_of_its_bookings() {
        let mut rows = parse("S10A E20A");
        rows[0].details.quantity_yield = Some("1.5".into());
        rows[1].details.quantity_yield = Some("10".into());
        rows[1].details.product_name = Some("Tube".into());
        let folded = fold(&bookings(&rows), Before::default(), Rules::default());
        assert_eq!(folded.runs[0].details.quantity_yield.as_deref(), Some("11.5"));
        assert_eq!(folded.runs[0].details.product_name.as_deref(), Some("Tube"));
    }

    fn rules() -> impl Strategy<Value = Rules> {
        let policy = prop_oneof![
            Just(OnStartWhileRunning::EndPrevious),
            Just(OnStartWhileRunning::AllowParallel),
            Just(OnStartWhileRunning::Reject)
        ];
        let either = || prop_oneof![Just(IgnoreOrReject::Ignore), Just(IgnoreOrReject::Reject)];
        (policy, either(), either()).prop_map(|(on_start_while_running, duplicate_start, orphan_end)| Rules {
            on_start_while_running,
            duplicate_start,
            orphan_end,
        })
    }

    fn history() -> impl Strategy<Value = Vec<Row>> {
        prop::collection::vec((0i64..30, any::<bool>(), 0usize..3), 0..40).prop_map(|rows| {
            rows.into_iter()
                .enumerate()
                .map(|(key, (at, start, order))| {
                    row(key as u128, at, if start { Event::Start } else { Event::End }, ["A", "B", "C"][order])
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn order_of_arrival_does_not_matter(rows in history(), rules in rules(), seed in any::<u64>()) {
            let mut shuffled = rows.clone();
            let mut state = seed | 1;
            for place in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                shuffled.swap(place, (state >> 33) as usize % (place + 1));
            }
            let (rows, shuffled) = (bookings(&rows), bookings(&shuffled));
            prop_assert_eq!(fold(&rows, Before::default(), rules), fold(&shuffled, Before::default(), rules));
        }

        /// A fold that begins in the middle gives what a fold of everything gives.
        #[test]
        fn a_fold_can_begin_anywhere(rows in history(), rules in rules(), from in 0i64..30) {
            let bookings = bookings(&rows);
            let whole = fold(&bookings, Before::default(), rules);
            let from = Instant::from_micros(from * 1_000_000);
            let split = bookings.partition_point(|booking| booking.at < from);
            let (settled, open): (Vec<Interval<'_>>, Vec<Interval<'_>>) =
                whole.runs.iter().filter(|run| run.start < from).cloned().partition(|run| !run.reaches(from));
            let any_start = bookings[..split].iter().any(|booking| booking.event == Event::Start);
            let open = open.into_iter().map(|run| Interval { end: None, ..run }).collect();
            let tail = fold(&bookings[split..], Before { open, any_start }, rules);
            let mut runs = settled;
            runs.extend(tail.runs);
            runs.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| a.key.cmp(&b.key)));
            prop_assert_eq!(runs, whole.runs);
        }
    }
}
