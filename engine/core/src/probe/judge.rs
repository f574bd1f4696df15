//! What is remarkable about what a source says of itself.

use jiff::SignedDuration;

use super::{ClockReading, Known, Probe, QueryPlan, ReadOnly, Right};
use crate::ports::Ask;

/// How far two clocks may differ before it is worth a word.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);
/// Rows from which a table is too large to be read whole on every run.
pub const FULL_SCAN_ROWS_MIN: u64 = 10_000;

/// What only reads, or does nothing at all. Whatever is not listed here may do more.
const READING: &[&str] = &[
    "SELECT",
    "READ",
    "USAGE",
    "CONNECT",
    "CONNECT SQL",
    "CONNECT ANY DATABASE",
    "CREATE SESSION",
    "PUBLIC",
    "EXECUTE",
    "TEMP",
    "TEMPORARY",
    "PROCESS",
    "SHOWPLAN",
    "FLASHBACK",
    "REPLICATION CLIENT",
    "BINLOG MONITOR",
    "DB_DATAREADER",
    "DB_DENYDATAWRITER",
    "PG_READ_ALL_DATA",
    "PG_READ_ALL_SETTINGS",
    "PG_READ_ALL_STATS",
    "PG_MONITOR",
    "SELECT_CATALOG_ROLE",
];
/// How the names of further rights to read begin.
const READING_PREFIXES: &[&str] = &["VIEW ", "SHOW ", "SELECT ANY ", "SELECT ALL ", "READ ANY ", "SELECT (", "READ ("];

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something to know.
    Note,
    /// Something to change.
    Warning,
}

/// Something that is worth a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub severity: Severity,
    /// What it is, in one word that programs can compare: `rights`.
    pub about: &'static str,
    /// What was found.
    pub message: String,
    /// What to do.
    pub action: Option<String>,
}

impl Remark {
    fn warning(about: &'static str, message: String, action: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, about, message, action: Some(action.into()) }
    }
}

/// What is remarkable about a source and a question, the most serious first.
pub fn judge(probe: &Probe, ask: &Ask) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if let Known::Is(rights) = &probe.rights {
        remarks.extend(rights.iter().filter_map(right));
    }
    remarks.extend(probe.read_only.known().and_then(session));
    remarks.extend(probe.clock.known().and_then(clock));
    // A question for everything is answered with everything.
    let is_bounded = ask.window.is_some() || !ask.cursor.is_empty();
    remarks.extend(probe.plan.known().filter(|_| is_bounded).into_iter().flat_map(scans));
    remarks.sort_by_key(|remark| std::cmp::Reverse(remark.severity));
    remarks
}

/// Whether a privilege, in any server's words, can only read.
fn only_reads(privilege: &str) -> bool {
    let privilege = privilege.trim().to_uppercase();
    READING.contains(&&*privilege) || READING_PREFIXES.iter().any(|prefix| privilege.starts_with(prefix))
}

fn right(right: &Right) -> Option<Remark> {
    let more: Vec<&str> = right.privileges.iter().map(String::as_str).filter(|word| !only_reads(word)).collect();
    if more.is_empty() {
        return None;
    }
    let words = more.join(", ");
    let on = if right.on.is_empty() { String::new() } else { format!(" on {}", right.on) };
    let revoke = right.revoke.replace("{}", &words);
    Some(Remark::warning("rights", format!("the account may do more than read: {words}{on}"), revoke))
}

fn session(read_only: &ReadOnly) -> Option<Remark> {
    if read_only.holds {
        return None;
    }
    let message = format!("the session is not read-only by the server's own word: {}", read_only.said);
    Some(Remark::warning("session", message, "Give engine an account that can only read."))
}

fn clock(reading: &ClockReading) -> Option<Remark> {
    let ahead = reading.ahead();
    if ahead.abs() <= CLOCK_TOLERANCE + reading.uncertainty() {
        return None;
    }
    let message = format!("the server's clock is {}", difference(ahead));
    let action = "Set both by the same time servers (NTP). Until then `sync.lookahead` can cover a server that is \
        ahead, and `checks.future` refuses what lies too far ahead.";
    Some(Remark::warning("clock", message, action))
}

/// A difference of clocks in words: `3.5 s ahead of this machine's`.
pub fn difference(ahead: SignedDuration) -> String {
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    let millis = ahead.abs().as_millis();
    match millis {
        0 => "the same as this machine's".to_owned(),
        1..1_000 => format!("{millis} ms {side} this machine's"),
        _ => format!("{}.{} s {side} this machine's", millis / 1_000, millis % 1_000 / 100),
    }
}

/// A table that is read whole may be read so for want of an index, or because the window is most of it: only people know.
fn scans(plan: &QueryPlan) -> impl Iterator<Item = Remark> + '_ {
    let whole = plan.reads.iter().filter(|read| read.index.is_none());
    whole.filter(|read| read.table_rows.is_none_or(|rows| rows >= FULL_SCAN_ROWS_MIN)).map(|read| {
        let size = read.table_rows.map_or("whose size is not known".to_owned(), |rows| format!("about {rows} rows"));
        Remark {
            severity: Severity::Note,
            about: "plan",
            message: format!("the plan reads all of {}, {size}: no index serves the bounds of the query", read.table),
            action: Some(
                "Where the window is a small part of the table, index the column that bounds the query, and compare \
                 it without a function around it."
                    .to_owned(),
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::probe::TableRead;

    fn windowed() -> Ask {
        Ask { window: Some((Timestamp::UNIX_EPOCH, Timestamp::MAX)), ..Ask::default() }
    }

    #[test]
    fn what_is_not_known_to_read_only_may_do_more() {
        for (privilege, expected) in [
            ("SELECT", true),
            ("select", true),
            ("SELECT (id, note)", true),
            ("USAGE", true),
            ("SHOW VIEW", true),
            ("VIEW DEFINITION", true),
            ("db_datareader", true),
            ("CREATE SESSION", true),
            ("READ ANY TABLE", true),
            ("INSERT", false),
            ("INSERT (id)", false),
            ("ALL PRIVILEGES", false),
            ("LOCK TABLES", false),
            ("SUPERUSER", false),
            ("OWNER", false),
            ("db_owner", false),
            ("CREATE", false),
            ("SELECTION OF A LATER VERSION", false),
            ("", false),
        ] {
            assert_eq!(only_reads(privilege), expected, "{privilege}");
        }
    }

    #[test]
    fn a_right_to_write_comes_with_the_statement_that_takes_it_away() {
        let right = |privileges: &[&str], on: &str, revoke: &str| Right {
            privileges: privileges.iter().map(|word| (*word).to_owned()).collect(),
            on: on.to_owned(),
            revoke: revoke.to_owned(),
        };
        let probe = Probe {
            rights: Known::Is(vec![
                right(&["SELECT"], "public.booking", "REVOKE {} ON public.booking FROM etl"),
                right(&["SELECT", "INSERT", "DELETE"], "public.orders", "REVOKE {} ON public.orders FROM etl"),
                right(&["SUPERUSER"], "", "ALTER ROLE etl NOSUPERUSER"),
            ]),
            ..Probe::default()
        };
        let said: Vec<(String, String)> = judge(&probe, &windowed())
            .into_iter()
            .map(|remark| (remark.message, remark.action.unwrap_or_default()))
            .collect();
        let expected = [
            (
                "the account may do more than read: INSERT, DELETE on public.orders",
                "REVOKE INSERT, DELETE ON public.orders FROM etl",
            ),
            ("the account may do more than read: SUPERUSER", "ALTER ROLE etl NOSUPERUSER"),
        ];
        assert_eq!(said, expected.map(|(message, action)| (message.to_owned(), action.to_owned())));
    }

    #[test]
    fn nothing_known_is_nothing_remarkable() {
        assert_eq!(judge(&Probe::default(), &windowed()), []);
        assert_eq!(judge(&Probe::unknown("denied"), &windowed()), []);
        assert_eq!(judge(&Probe::inapplicable(), &windowed()), []);
    }

    #[test]
    fn a_session_that_could_write_is_told() {
        for holds in [true, false] {
            let read_only = Known::Is(ReadOnly { holds, said: "query_only = 0".to_owned() });
            let remarks = judge(&Probe { read_only, ..Probe::default() }, &windowed());
            assert_eq!(remarks.len(), usize::from(!holds));
            assert!(remarks.iter().all(|remark| remark.message.contains("query_only = 0")));
        }
    }

    #[test]
    fn clocks_may_differ_by_the_tolerance_and_the_time_that_asking_took() {
        let at = |millis: i64| Timestamp::from_millisecond(1_743_300_000_000 + millis).unwrap();
        for (server, answered, expected) in [
            (0, 0, None),
            (2_000, 0, None),
            (2_100, 0, Some("2.1 s ahead of this machine's")),
            (-61_050, 0, Some("61.0 s behind this machine's")),
            // Half of the ten seconds that the answer took.
            (11_900, 10_000, None),
            (12_100, 10_000, Some("7.1 s ahead")),
        ] {
            let clock = Known::Is(ClockReading { server: at(server), asked: at(0), answered: at(answered) });
            let remarks = judge(&Probe { clock, ..Probe::default() }, &windowed());
            match expected {
                None => assert_eq!(remarks, [], "{server}"),
                Some(part) => assert!(remarks[0].message.contains(part), "{}", remarks[0].message),
            }
        }
    }

    #[test]
    fn differences_are_said_in_the_unit_that_fits() {
        for (millis, expected) in
            [(0, "the same"), (-3, "3 ms behind this"), (999, "999 ms ahead of this"), (1_500, "1.5 s ahead of this")]
        {
            assert!(difference(SignedDuration::from_millis(millis)).starts_with(expected), "{millis}");
        }
    }

    #[test]
    fn a_large_table_that_is_read_whole_is_told_where_the_question_has_bounds() {
        let read = |index: Option<&str>, table_rows| TableRead {
            table: "booking".to_owned(),
            index: index.map(str::to_owned),
            table_rows,
        };
        let cases = [
            (read(None, Some(FULL_SCAN_ROWS_MIN)), Some("all of booking, about 10000 rows")),
            (read(None, Some(FULL_SCAN_ROWS_MIN - 1)), None),
            (read(None, None), Some("size is not known")),
            (read(Some("booking_at"), Some(FULL_SCAN_ROWS_MIN)), None),
        ];
        for (read, expected) in cases {
            let plan = Known::Is(QueryPlan { reads: vec![read.clone()], ..QueryPlan::default() });
            let probe = Probe { plan, ..Probe::default() };
            let remarks = judge(&probe, &windowed());
            assert_eq!(remarks.len(), usize::from(expected.is_some()), "{read:?}");
            assert!(expected.is_none_or(|part| remarks[0].message.contains(part)), "{remarks:?}");
            assert_eq!(judge(&probe, &Ask::default()), [], "everything is asked for");
        }
    }
}
