//! What a source says of itself, line by line.

use engine_core::ports::SourceIdentity;
use engine_core::probe::{ClockReading, Known, Probe, QueryPlan, ReadOnly, Right, difference};
use engine_core::report::counted;

/// Rights that are shown; more are counted.
const RIGHTS_SHOWN_MAX: usize = 20;

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// What it is about.
    pub(super) name: &'static str,
    /// What was said, or why nothing was.
    pub(super) said: Result<String, String>,
}

impl Fact {
    pub(super) fn known(name: &'static str, said: impl Into<String>) -> Self {
        Self { name, said: Ok(said.into()) }
    }

    /// A fact in words; `None` where the source has no such thing.
    fn of<T>(name: &'static str, known: &Known<T>, words: impl FnOnce(&T) -> String) -> Option<Self> {
        match known {
            Known::Is(value) => Some(Self::known(name, words(value))),
            Known::Unknown(why) => Some(Self { name, said: Err(why.clone()) }),
            Known::Inapplicable => None,
        }
    }
}

/// What is known as soon as there is a session.
pub(super) fn connection_facts(identity: &SourceIdentity) -> Vec<Fact> {
    let mut facts = vec![Fact::known("server", &*identity.version), Fact::known("encryption", &*identity.encryption)];
    facts.extend(identity.facts.iter().map(|(name, value)| Fact::known("identity", format!("{name} {value}"))));
    facts
}

/// What the server told when it was asked.
pub(super) fn probe_facts(probe: &Probe) -> Vec<Fact> {
    let mut facts = Vec::new();
    facts.extend(Fact::of("account", &probe.account, Clone::clone));
    facts.extend(Fact::of("session", &probe.read_only, session));
    facts.extend(Fact::of("time zone", &probe.session_timezone, Clone::clone));
    facts.extend(Fact::of("characters", &probe.charset, Clone::clone));
    facts.extend(Fact::of("clock", &probe.clock, |reading: &ClockReading| difference(reading.ahead())));
    facts.extend(rights(&probe.rights));
    facts.extend(Fact::of("plan", &probe.plan, plan));
    facts.extend(probe.facts.iter().map(|fact| Fact::known(fact.name, &*fact.value)));
    facts
}

fn session(read_only: &ReadOnly) -> String {
    format!("{} ({})", if read_only.holds { "read-only" } else { "may write" }, read_only.said)
}

fn rights(rights: &Known<Vec<Right>>) -> Vec<Fact> {
    let Known::Is(list) = rights else { return Fact::of("rights", rights, |_| String::new()).into_iter().collect() };
    let words = |right: &Right| {
        let on = if right.on.is_empty() { String::new() } else { format!(" on {}", right.on) };
        Fact::known("rights", format!("{}{on}", right.privileges.join(", ")))
    };
    let mut facts: Vec<Fact> = list.iter().take(RIGHTS_SHOWN_MAX).map(words).collect();
    match list.len() {
        0 => facts.push(Fact::known("rights", "none")),
        count if count > RIGHTS_SHOWN_MAX => {
            facts.push(Fact::known("rights", format!("and {} more", count - RIGHTS_SHOWN_MAX)));
        }
        _ => {}
    }
    facts
}

/// How a server would answer a question, in one line.
pub(in crate::commands) fn plan(plan: &QueryPlan) -> String {
    let mut parts = Vec::new();
    parts.extend(plan.cost.map(|cost| format!("cost {cost:.2}")));
    parts.extend(plan.rows.map(|rows| format!("about {}", counted(rows.round(), "row"))));
    parts.extend(plan.reads.iter().map(|read| match (&read.index, read.table_rows) {
        (Some(index), _) => format!("{} by {index}", read.table),
        (None, Some(rows)) => format!("all of {} (about {})", read.table, counted(rows, "row")),
        (None, None) => format!("all of {}", read.table),
    }));
    if parts.is_empty() { "no table is read".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use engine_core::probe::TableRead;

    use super::*;

    fn lines(probe: &Probe) -> Vec<String> {
        let said = |fact: Fact| match fact.said {
            Ok(said) => format!("{}: {said}", fact.name),
            Err(why) => format!("{} unknown: {why}", fact.name),
        };
        probe_facts(probe).into_iter().map(said).collect()
    }

    #[test]
    fn what_a_source_does_not_have_is_not_mentioned_and_what_is_not_known_is() {
        assert_eq!(lines(&Probe::inapplicable()), [""; 0]);
        let unknown = lines(&Probe::unknown("denied"));
        assert_eq!(unknown.len(), 7);
        assert!(unknown.iter().all(|line| line.ends_with(" unknown: denied")), "{unknown:?}");
    }

    #[test]
    fn rights_are_listed_up_to_a_number() {
        let right = |on: usize| Right {
            privileges: vec!["SELECT".to_owned(), "INSERT".to_owned()],
            on: format!("t{on}"),
            revoke: String::new(),
        };
        for (count, expected) in [(0, "rights: none"), (1, "rights: SELECT, INSERT on t0"), (25, "rights: and 5 more")]
        {
            let rights = Known::Is((0..count).map(right).collect());
            let lines = lines(&Probe { rights, ..Probe::inapplicable() });
            assert_eq!(lines.last().map(String::as_str), Some(expected));
        }
    }

    #[test]
    fn a_plan_is_one_line() {
        let read = |index: Option<&str>, table_rows| TableRead {
            table: "t".to_owned(),
            index: index.map(str::to_owned),
            table_rows,
        };
        for (reads, expected) in [
            (vec![], "cost 1.50; about 3 rows"),
            (vec![read(Some("i"), None)], "cost 1.50; about 3 rows; t by i"),
            (vec![read(None, Some(9)), read(None, None)], "cost 1.50; about 3 rows; all of t (about 9 rows); all of t"),
        ] {
            assert_eq!(plan(&QueryPlan { cost: Some(1.5), rows: Some(3.0), reads }), expected);
        }
        assert_eq!(plan(&QueryPlan::default()), "no table is read");
    }
}
