//! The quarantine on a terminal.

use std::fmt::Write as _;

use super::{Quarantine, Refusal, Retry};
use crate::show::{self, harmless, harmless_lines};

/// Characters of a reason that a line of the list shows; `show` has it whole.
const REASON_CHARS_MAX: usize = 100;

/// The list: reasons with their counts, then the rows.
pub(super) fn list(all: &[Quarantine]) -> String {
    let mut out = String::new();
    for Quarantine { pipeline, total, reasons, rows } in all {
        if *total == 0 {
            let _ = writeln!(out, "{pipeline}: nothing is in quarantine");
            continue;
        }
        let reasons = reasons.iter().map(|reason| {
            let times = [reason.first_seen, reason.last_seen].map(|time| format!("{time:.0}"));
            let counted = [reason.rows.to_string(), reason.stage.as_str().to_owned()];
            [counted.as_slice(), &[reason.code.clone(), reason.rule.clone()], &times].concat()
        });
        let header = ["count", "stage", "code", "rule", "first seen", "last seen"];
        let _ = writeln!(out, "{pipeline}: {total} in quarantine\n{}", show::table(&header, reasons.collect()));
        let shown = rows.iter().map(|row| {
            let times = [row.first_seen, row.last_seen].map(|time| format!("{time:.0}"));
            let what = [row.stage.as_str().to_owned(), row.key.clone(), row.code.clone(), row.rule.clone()];
            [what.as_slice(), &times, &[show::clip(&row.reason, REASON_CHARS_MAX)]].concat()
        });
        let header = ["stage", "key", "code", "rule", "first seen", "last seen", "reason"];
        let _ = writeln!(out, "rows ({} of {total})\n{}", rows.len(), show::table(&header, shown.collect()));
    }
    out
}

/// One row or record, with every reason.
pub(super) fn refusals(refusals: &[Refusal]) -> String {
    let mut out = String::new();
    for refusal in refusals {
        let _ = writeln!(out, "{}: {}", harmless(&refusal.code), harmless(&refusal.reason));
        let mut line = |name: &str, value: &str| _ = writeln!(out, "  {name:<11}{}", harmless(value));
        line("stage", refusal.stage.as_str());
        line("key", &refusal.key);
        match &refusal.place {
            Some(place) => line("rule", &format!("{} ({place})", refusal.rule)),
            None => line("rule", &refusal.rule),
        }
        line("first seen", &format!("{:.0}", refusal.first_seen));
        line("last seen", &format!("{:.0}", refusal.last_seen));
        if let (Some(attempts), Some(retry_at)) = (refusal.attempts, refusal.retry_at) {
            line("sent", &format!("{attempts} times; again at {retry_at:.0}"));
        }
        if let Some(row) = &refusal.row {
            let json = serde_json::to_string_pretty(row).unwrap_or_default();
            let _ = writeln!(out, "  {}\n", harmless_lines(&json).replace('\n', "\n  "));
        }
    }
    out
}

/// What became of each pipeline.
pub(super) fn retried(all: &[Retry]) -> String {
    let mut out = String::new();
    for Retry { pipeline, queued, left } in all {
        if *queued == 0 && *left == 0 {
            let _ = writeln!(out, "{pipeline}: nothing is in quarantine");
            continue;
        }
        if *queued > 0 {
            let records = if *queued == 1 { "record is" } else { "records are" };
            let _ = writeln!(out, "{pipeline}: {queued} refused {records} sent again with the next delivery");
        }
        if *left > 0 {
            let rows = if *left == 1 { "row is" } else { "rows are" };
            let _ = writeln!(out, "{pipeline}: {left} rejected {rows} tried again by every run, without a command");
        }
    }
    out
}
