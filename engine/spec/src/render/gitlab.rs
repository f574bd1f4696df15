//! For GitLab: a report of code quality, in the form of Code Climate that GitLab reads.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{FileFindings, located};
use crate::diagnostic::Severity;

/// Start value and factor of the hash FNV-1a with 64 bits: the same for ever, which the standard library's is not.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_FACTOR: u64 = 0x0100_0000_01b3;

/// All findings as a list of issues.
pub fn render(files: &[FileFindings]) -> String {
    let mut seen: HashMap<u64, u64> = HashMap::new();
    let issues: Vec<Value> = located(files)
        .map(|at| {
            let help = at.finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            // What a finding is known by, when GitLab compares two branches, must not move with its line. A second
            // finding that says the same of the same place gets a number of its own.
            let name = path(&at.text.name);
            let known_by = fingerprint(&[name, at.finding.code, &at.finding.path(), &at.finding.message]);
            let repetition = seen.entry(known_by).and_modify(|count| *count += 1).or_insert(0);
            json!({
                "description": format!("{}{help}", at.finding.message),
                "check_name": at.finding.code,
                "fingerprint": format!("{:016x}", known_by.wrapping_add(*repetition)),
                "severity": match at.finding.severity {
                    Severity::Error => "critical",
                    Severity::Warning => "minor",
                    Severity::Note => "info",
                },
                "location": {
                    "path": name,
                    "positions": {
                        "begin": {"line": at.start.line, "column": at.start.column},
                        "end": {"line": at.end.line, "column": at.end.column},
                    },
                },
            })
        })
        .collect();
    format!("{:#}\n", Value::Array(issues))
}

/// The path of a file as GitLab knows it: from the root of the repository, without `./`.
fn path(name: &str) -> &str {
    name.trim_start_matches("./")
}

fn fingerprint(parts: &[&str]) -> u64 {
    // A byte that no text has stands between the parts.
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(FNV_START, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_FACTOR))
}
