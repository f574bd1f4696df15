//! Results for CI servers: JUnit XML, one suite a spec.

use std::fmt::Write as _;
use std::time::Duration;

use super::TestResult;
use super::show::{Tints, describe};

/// The whole document.
pub fn render(results: &[TestResult]) -> String {
    let mut suites: Vec<(&str, Vec<&TestResult>)> = Vec::new();
    for result in results {
        match suites.iter_mut().find(|(spec, _)| *spec == result.spec) {
            Some((_, tests)) => tests.push(result),
            None => suites.push((&result.spec, vec![result])),
        }
    }
    let all: Vec<&TestResult> = results.iter().collect();
    let mut out =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"engine test\" {}>\n", totals(&all));
    for (spec, tests) in suites {
        let _ = writeln!(out, "  <testsuite name=\"{}\" {}>", escaped(spec), totals(&tests));
        for test in tests {
            case(test, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn totals(tests: &[&TestResult]) -> String {
    let failed = tests.iter().filter(|test| !test.passed).count();
    let time: Duration = tests.iter().map(|test| test.time).sum();
    format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{:.3}\"", tests.len(), time.as_secs_f64())
}

fn case(test: &TestResult, out: &mut String) {
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\"",
        escaped(&test.name),
        escaped(&test.pipeline),
        test.time.as_secs_f64()
    );
    if test.passed {
        out.push_str("/>\n");
        return;
    }
    let words: Vec<String> = test.details.iter().map(|difference| describe(difference, Tints::NONE)).collect();
    let first = words.first().and_then(|words| words.lines().next()).unwrap_or_default();
    let _ = write!(
        out,
        ">\n      <failure message=\"{}\" type=\"difference\">{}:{}\n{}</failure>\n    </testcase>\n",
        escaped(first),
        escaped(&test.file),
        test.line,
        escaped(&words.join("\n"))
    );
}

/// A text as XML has it. What XML 1.0 cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
