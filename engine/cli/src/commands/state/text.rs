//! What is remembered, on a terminal.

use std::fmt::Write as _;

use engine_core::cursor::CursorValue;
use jiff::Timestamp;

use super::{Remembered, Whole};
use crate::show::{self, harmless};

/// The values of a cursor, as people write them.
pub(super) fn cursor(values: &[CursorValue]) -> String {
    let text = |value: &CursorValue| match value {
        CursorValue::Int(number) => number.to_string(),
        CursorValue::Decimal(text) | CursorValue::Text(text) => text.clone(),
        CursorValue::Float(number) => number.to_string(),
        CursorValue::Bytes(bytes) => bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")),
        CursorValue::Date(date) => date.to_string(),
        CursorValue::Civil(time) => time.to_string(),
        CursorValue::Instant(time) => time.to_string(),
    };
    values.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or("-".to_owned(), |time| format!("{time:.0}"))
}

fn read_until(remembered: &Remembered) -> String {
    remembered.cursor.clone().unwrap_or_else(|| time(remembered.filled_until))
}

/// The word for a brake, as it is stored.
fn brake(remembered: &Remembered) -> String {
    let word = serde_json::to_value(remembered.brake).unwrap_or_default();
    word.as_str().unwrap_or("-").to_owned()
}

/// One line a pipeline.
pub(super) fn list(all: &[Remembered]) -> String {
    let rows = all.iter().map(|one| {
        let counts = [one.rows, one.counts.records, one.counts.live, one.counts.outbox, one.counts.quarantine];
        let counts = counts.map(|count| count.to_string());
        [std::slice::from_ref(&one.pipeline), counts.as_slice(), &[read_until(one), time(one.last_run), brake(one)]]
            .concat()
    });
    let header = ["pipeline", "rows", "records", "live", "outbox", "quarantine", "read until", "last run", "brake"];
    show::table(&header, rows.collect())
}

/// Everything of one pipeline, a line each.
pub(super) fn whole(whole: &Whole) -> String {
    let Whole { remembered, state, delivery } = whole;
    let counts = &remembered.counts;
    let mut out = format!("{}\n", remembered.pipeline);
    let mut line = |name: &str, value: String| _ = writeln!(out, "  {name:<14}{}", harmless(&value.replace('\n', " ")));
    line(
        "ledger",
        format!("{} source rows, {} records, {} of them live", remembered.rows, counts.records, counts.live),
    );
    line("outbox", format!("{} records, {} bytes", counts.outbox, counts.outbox_bytes));
    line("quarantine", counts.quarantine.to_string());
    line("read until", read_until(remembered));
    line(
        "last run",
        match &state.last_run {
            Some(run) => format!("{:.0}: {}", run.started, show::summary(run)),
            None => "-".to_owned(),
        },
    );
    line("last success", time(state.last_success));
    if state.failures > 0 {
        line("failures", format!("{} in a row", state.failures));
    }
    if let Some(brake) = &state.brake {
        line("brake", format!("since {:.0}: {}", brake.since, brake.message));
    }
    if state.approved.is_some() {
        line("approved", time(state.approved));
    }
    for (name, value) in &state.identity {
        line("source", format!("{name}: {value}"));
    }
    if let Some(fingerprint) = &state.fingerprint {
        line("spec", format!("identity {}, meaning {}", fingerprint.identity, fingerprint.meaning));
    }
    line("acknowledged", time(delivery.last_acknowledged));
    if let Some(problem) = &delivery.problem {
        line("delivery", format!("since {}: {problem}", time(delivery.since)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_shown_as_it_would_be_written() {
        let values = [
            CursorValue::Int(-7),
            CursorValue::Decimal("1.50".to_owned()),
            CursorValue::Text("a".to_owned()),
            CursorValue::Bytes(vec![0, 0x0f, 0xff]),
            CursorValue::Civil(jiff::civil::date(2025, 3, 30).at(2, 30, 0, 0)),
        ];
        assert_eq!(cursor(&values), "-7, 1.50, a, 0x000fff, 2025-03-30T02:30:00");
    }
}
