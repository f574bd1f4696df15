//! What was found, for people and for programs.

use std::fmt::Write as _;

use engine_core::report::counted;
use serde_json::{Value, json};

use super::{Finding, Level};
use crate::exit::Kind;
use crate::show::harmless;

/// Width of the words for how something is.
const WORD_WIDTH: usize = 7;
/// Width of what it is about.
const ABOUT_WIDTH: usize = 11;

/// The whole, for people.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let (word, about) = (word(finding.level), finding.about);
        for (index, line) in finding.said.lines().enumerate() {
            let (word, about) = if index == 0 { (word, about) } else { ("", "") };
            let _ = writeln!(out, "{word:WORD_WIDTH$}  {about:ABOUT_WIDTH$}  {}", harmless(line));
        }
        if let Some(action) = &finding.action {
            let _ = writeln!(out, "{:WORD_WIDTH$}  {:ABOUT_WIDTH$}  do: {}", "", "", harmless(action));
        }
    }
    let count = |wanted: &str| findings.iter().filter(|finding| word(finding.level) == wanted).count();
    let warnings = counted(u64::try_from(count("warning")).unwrap_or(u64::MAX), "warning");
    let _ = writeln!(out, "\n{} ok, {warnings}, {} failed", count("ok"), count("failed"));
    out
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Failed(_) => "failed",
    }
}

/// The whole, for programs.
pub(super) fn json(findings: &[Finding]) -> Value {
    let all = findings.iter().map(|finding| {
        let kind = match finding.level {
            Level::Failed(Kind::Usage) => Some("spec"),
            Level::Failed(Kind::Run | Kind::Environment) => Some("environment"),
            Level::Ok | Level::Warning => None,
        };
        json!({
            "about": finding.about, "result": word(finding.level), "kind": kind, "found": finding.said,
            "action": finding.action,
        })
    });
    json!({
        "ok": !findings.iter().any(|finding| matches!(finding.level, Level::Failed(_))),
        "version": env!("CARGO_PKG_VERSION"),
        "findings": all.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::CommandError;

    #[test]
    fn every_line_has_its_place_and_is_obeyed_in_nothing() {
        let error = CommandError::new(Kind::Environment, "first\nse\u{1b}[2Jcond").hint("do it");
        let text = text(&[Finding::ok("version", "1"), Finding::failed("source", error)]);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let expected = ["ok       version      1", "failed   source       first", "                      do: do it"];
        for line in expected {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        assert!(text.ends_with("\n1 ok, 0 warnings, 1 failed\n"), "{text}");
    }
}
