//! For programs: one JSON document.

use serde_json::{Value, json};

use super::{Counts, FileFindings, count, located};

/// All findings as `{ "files", "errors", "warnings", "findings": [ … ] }`; lines and columns count from 1.
pub fn render(files: &[FileFindings]) -> String {
    let findings: Vec<Value> = located(files)
        .map(|at| {
            let fix = at.finding.fix.as_ref().map(|fix| {
                let (start, end) = (at.text.line_column(fix.span.start), at.text.line_column(fix.span.end));
                json!({
                    "line": start.line, "column": start.column, "end_line": end.line, "end_column": end.column,
                    "replacement": fix.replacement
                })
            });
            json!({
                "file": at.text.name,
                "line": at.start.line,
                "column": at.start.column,
                "end_line": at.end.line,
                "end_column": at.end.column,
                "severity": at.finding.severity.as_str(),
                "code": at.finding.code,
                "message": at.finding.message,
                "path": at.finding.path(),
                "help": at.finding.help,
                "fix": fix,
            })
        })
        .collect();
    let Counts { files, errors, warnings } = count(files);
    format!("{:#}\n", json!({"files": files, "errors": errors, "warnings": warnings, "findings": findings}))
}
