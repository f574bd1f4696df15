//! For code scanning: SARIF 2.1.0.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{FileFindings, located};
use crate::codes;
use crate::diagnostic::Severity;

/// All findings as one SARIF run; its rules are the codes that occur.
pub fn render(files: &[FileFindings]) -> String {
    let used: BTreeSet<&str> = located(files).map(|at| at.finding.code).collect();
    let rules: Vec<Value> = codes::all()
        .filter(|info| used.contains(info.code))
        .map(|info| {
            json!({
                "id": info.code,
                "shortDescription": {"text": info.meaning},
                "fullDescription": {"text": if info.explanation.is_empty() { info.meaning } else { info.explanation }},
                "defaultConfiguration": {"level": info.severity.as_str()},
            })
        })
        .collect();
    let results: Vec<Value> = located(files)
        .map(|at| {
            let help = at.finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
            let mut result = json!({
                "ruleId": at.finding.code,
                "level": match at.finding.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                    Severity::Note => "note",
                },
                "message": {"text": format!("{}{help}", at.finding.message)},
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri(&at.text.name)},
                        "region": {
                            "startLine": at.start.line,
                            "startColumn": at.start.column,
                            "endLine": at.end.line,
                            "endColumn": at.end.column,
                        }
                    },
                    "logicalLocations": [{"fullyQualifiedName": at.finding.path()}],
                }],
            });
            if let Some(fix) = &at.finding.fix {
                let (start, end) = (at.text.line_column(fix.span.start), at.text.line_column(fix.span.end));
                result["fixes"] = json!([{
                    "artifactChanges": [{
                        "artifactLocation": {"uri": uri(&at.text.name)},
                        "replacements": [{
                            "deletedRegion": {
                                "startLine": start.line,
                                "startColumn": start.column,
                                "endLine": end.line,
                                "endColumn": end.column,
                            },
                            "insertedContent": {"text": fix.replacement},
                        }],
                    }],
                }]);
            }
            result
        })
        .collect();
    let run = json!({
        "tool": {"driver": {
            "name": "validate-spec",
            "version": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        }},
        "columnKind": "unicodeCodePoints",
        "results": results,
    });
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    format!("{document:#}\n")
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.replace('\\', "/").trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
