//! Comments that silence a warning where it stands: `# engine: allow(code): reason` in a spec, and
//! `-- engine: allow(code): reason` in its SQL.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::{LoadedCompanions, has_errors};
use crate::codes;
use crate::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::text::Text;
use crate::yaml::SpecFile;

/// Where SQL may stand in a spec.
const SQL_POINTER: &str = "/query/sql";
/// What an `allow` looks like, for advice.
const FORM: &str = "write `engine: allow(code): reason`";

/// The findings that no comment allows, and what is wrong with the comments.
pub(super) fn apply(file: &SpecFile, companions: &LoadedCompanions, mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut allows = in_spec(file);
    if let Some(sql) = &companions.sql_file {
        allows.extend(in_sql_file(sql));
    }
    if allows.is_empty() {
        return findings;
    }
    // Of a spec with errors, not every lint can be known.
    let is_complete = !has_errors(&findings);
    findings.retain(|finding| {
        let allowed = allows.iter_mut().filter(|allow| allow.covers(file, finding));
        let mut codes = allowed.flat_map(|allow| &mut allow.codes).filter(|code| code.name == finding.code).peekable();
        let is_silenced = finding.severity != Severity::Error && codes.peek().is_some();
        if is_silenced {
            codes.for_each(|code| code.is_used = true);
        }
        !is_silenced
    });
    for allow in &allows {
        allow.check(is_complete, &mut findings);
    }
    findings
}

/// An `allow` comment.
struct Allow {
    /// The file beside the spec that it stands in.
    companion: Option<Arc<Text>>,
    /// The whole comment.
    span: Range<usize>,
    /// The lines whose findings it silences, counted from 1.
    lines: RangeInclusive<usize>,
    /// What it silences; empty where the comment cannot be read.
    codes: Vec<Code>,
}

struct Code {
    name: String,
    span: Range<usize>,
    is_used: bool,
}

impl Allow {
    fn covers(&self, file: &SpecFile, finding: &Diagnostic) -> bool {
        let is_here = match (&self.companion, &finding.companion) {
            (None, None) => true,
            (Some(here), Some(there)) => Arc::ptr_eq(here, there),
            _ => false,
        };
        let text = self.companion.as_deref().unwrap_or(&file.text);
        is_here && self.lines.contains(&text.line_column(finding.span.start).line)
    }

    fn check(&self, is_complete: bool, findings: &mut Vec<Diagnostic>) {
        let mut warn = |code: &'static str, span: &Range<usize>, message: String, help: String| {
            let mut finding = Diagnostic::new(code, span.clone(), message).help(help);
            finding.companion = self.companion.clone();
            findings.push(finding);
        };
        if self.codes.is_empty() {
            let message = "an `allow` names a code and says why; this one allows nothing";
            warn(codes::BAD_ALLOW, &self.span, message.to_owned(), FORM.to_owned());
        }
        for code in self.codes.iter().filter(|code| !code.is_used) {
            let name = &code.name;
            match codes::find(name).map(|info| info.severity) {
                None => {
                    let known: Vec<&str> = codes::all().map(|info| info.code).collect();
                    let help = did_you_mean(name, known).map_or_else(
                        || "the code of a finding stands in brackets behind its severity".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    warn(codes::ALLOW_UNKNOWN_CODE, &code.span, format!("there is no code `{name}`"), help);
                }
                Some(Severity::Error) => {
                    let message = format!("`{name}` is an error, and errors cannot be allowed");
                    warn(codes::ALLOW_UNUSED, &code.span, message, "remove it, and put the error right".to_owned());
                }
                Some(Severity::Warning | Severity::Note) if is_complete => {
                    let message = format!("there is no `{name}` here to allow");
                    let help = "remove it, or put it on the line of the finding or on the one above";
                    warn(codes::ALLOW_UNUSED, &code.span, message, help.to_owned());
                }
                Some(Severity::Warning | Severity::Note) => {}
            }
        }
    }
}

fn in_spec(file: &SpecFile) -> Vec<Allow> {
    find(&file.text, |sign, offset| match file.text_at(offset) {
        Some(pointer) => pointer == SQL_POINTER && sign == "--",
        None => sign == "#",
    })
}

fn in_sql_file(text: &Arc<Text>) -> Vec<Allow> {
    let mut allows = find(text, |sign, _| sign == "--");
    for allow in &mut allows {
        allow.companion = Some(Arc::clone(text));
    }
    allows
}

/// The comments of a text. `is_comment` says whether a sign at an offset begins one.
fn find(text: &Text, is_comment: impl Fn(&str, usize) -> bool) -> Vec<Allow> {
    let mut allows = Vec::new();
    for number in 1..=text.text.lines().count() {
        let line = text.line(number);
        let Some((sign, at, rest)) = split(line) else { continue };
        let start = text.line_start(number);
        if is_comment(sign, start + at) {
            let codes = read(rest, start + line.len() - rest.len());
            let is_alone = line[..at].trim().is_empty();
            let last = if is_alone { next_line(text, number) } else { number };
            allows.push(Allow { companion: None, span: start + at..start + line.len(), lines: number..=last, codes });
        }
    }
    allows
}

/// The sign of the comment of a line, its offset, and what follows `engine: allow`.
fn split(line: &str) -> Option<(&str, usize, &str)> {
    line.match_indices("engine:").find_map(|(at, word)| {
        let rest = line[at + word.len()..].trim_start().strip_prefix("allow")?;
        let before = line[..at].trim_end();
        let sign = ["--", "#"].into_iter().find(|sign| before.ends_with(sign))?;
        let at = before.len() - sign.len();
        let is_apart = line[..at].chars().next_back().is_none_or(char::is_whitespace);
        (is_apart && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')).then_some((sign, at, rest))
    })
}

/// The codes of `(code, code): reason`, the text at an offset; none where the form or the reason is missing.
fn read(text: &str, offset: usize) -> Vec<Code> {
    let inner = text.trim_start().strip_prefix('(').and_then(|inner| inner.split_once(')'));
    let Some((list, reason)) = inner else { return Vec::new() };
    if reason.trim_start().strip_prefix(':').is_none_or(|reason| reason.trim().is_empty()) {
        return Vec::new();
    }
    let list_start = offset + text.len() - reason.len() - 1 - list.len();
    let mut at = list_start;
    let mut codes = Vec::new();
    for item in list.split(',') {
        let name = item.trim();
        let start = at + item.len() - item.trim_start().len();
        codes.push(Code { name: name.to_owned(), span: start..start + name.len(), is_used: false });
        at += item.len() + 1;
    }
    codes
}

/// The line that a comment on a line of its own speaks of: the next one that is not a comment.
fn next_line(text: &Text, number: usize) -> usize {
    let is_comment = |number: usize| {
        let line = text.line(number).trim_start();
        line.starts_with('#') || line.starts_with("--")
    };
    (number + 1..).find(|number| !is_comment(*number)).expect("beyond the last line there is no comment")
}

#[cfg(test)]
mod tests {
    use crate::{Companions, Loaded, load};

    const FIELDS: &str =
        "fields: { order_code: a, product_code: b, machine_code: c, event: k, timestamp: ts }\nsync: { mode: full }\n";

    struct Sql<'a>(&'a str);

    impl Companions for Sql<'_> {
        fn read(&self, _: &str) -> Result<Vec<u8>, String> {
            Ok(self.0.as_bytes().to_vec())
        }
    }

    /// The findings of a spec with these keys, and of an SQL file beside it: line and code.
    fn check(rest: &str, sql_file: &str, expected: &[&str]) {
        let head = "version: 1\nid: a\ntable: booking\nsource: { type: sqlite, path: a.db, timezone: UTC }\n";
        for rest in [rest.to_owned(), rest.replace('\n', "\r\n")] {
            let text = format!("{rest}{head}{FIELDS}");
            let Loaded { diagnostics, file, .. } = load("a.yaml", text.as_bytes(), &Sql(sql_file));
            let found: Vec<String> = diagnostics
                .iter()
                .map(|finding| {
                    let text = finding.companion.as_deref().unwrap_or(&file.text);
                    let line = text.line_column(finding.span.start).line;
                    format!("{line} {} {}", finding.code, &text.text[finding.span.clone()])
                })
                .collect();
            assert_eq!(found, expected, "{rest}{sql_file}");
            assert!(diagnostics.iter().all(|finding| finding.help.is_some()), "{diagnostics:#?}");
        }
    }

    #[test]
    fn a_warning_is_silenced_where_it_stands() {
        let star = ["4 select_star *"];
        let sql = |first: &str, second: &str| {
            format!("key: [id]\nquery:\n  sql: |{first}\n    SELECT *{second}\n    FROM t\n")
        };
        check(&sql("", ""), "", &star);
        check(&sql("", " -- engine: allow(select_star): a view of ours"), "", &[]);
        check(&sql("\n    -- engine: allow(select_star): a view of ours", ""), "", &[]);
        check(
            &sql("\n    --engine:allow( x, select_star ) : a view\n    -- of ours", ""),
            "",
            &["4 allow_unknown_code x"],
        );
        check(
            &sql("", "\n    -- engine: allow(select_star): too late"),
            "",
            &["4 select_star *", "5 allow_unused select_star"],
        );
        check("key: [id]\nquery: { sql: SELECT * FROM t } # engine: allow(select_star): ours\n", "", &[]);
        check("key: [id]\n# engine: allow(select_star): ours\nquery: { sql: SELECT * FROM t }\n", "", &[]);
        check("key: [id]\nquery: { file: q.sql }\n", "-- engine: allow(select_star): ours\nSELECT *\nFROM t", &[]);
        check(
            "key: [id]\nquery: { file: q.sql } # engine: allow(select_star): ours\n",
            "SELECT * FROM t",
            &["2 allow_unused select_star", "1 select_star *"],
        );
    }

    #[test]
    fn an_allow_says_what_and_why() {
        let bad = |comment: &str, expected: &str| {
            check(&format!("key: [id] {comment}\nquery: {{ sql: SELECT a FROM t }}\n"), "", &[expected]);
        };
        for comment in [
            "# engine: allow(select_star)",
            "# engine: allow(select_star): ",
            "# engine: allow select_star: ours",
            "# engine: allow",
            "# engine: allow(select_star: ours",
        ] {
            bad(comment, &format!("1 bad_allow {comment}"));
        }
        bad("# engine: allow(selct_star): ours", "1 allow_unknown_code selct_star");
        bad("# engine: allow(select_star): ours", "1 allow_unused select_star");
        bad("# engine: allow(allow_unused): ours", "1 allow_unused allow_unused");
        bad("# engine: allow(unknown_key): ours", "1 allow_unused unknown_key");
    }

    #[test]
    fn errors_stay_and_hide_what_is_unused() {
        check(
            "key: [id]\nquery: { sql: DELETE FROM t } # engine: allow(sql_not_a_read): ours\n",
            "",
            &["2 sql_not_a_read DELETE", "2 allow_unused sql_not_a_read"],
        );
        check(
            "key: [id]\nquery: { sql: DELETE FROM t } # engine: allow(select_star): ours\n",
            "",
            &["2 sql_not_a_read DELETE"],
        );
    }

    #[test]
    fn what_is_no_comment_allows_nothing() {
        for value in
            ["\"# engine: allow(select_star): x\"", "|\n    # engine: allow(select_star): x", "a#engine:allow(x)"]
        {
            check(&format!("key: [id]\nlabels:\n  a: {value}\nquery: {{ sql: SELECT a FROM t }}\n"), "", &[]);
        }
        check("key: [id]\nquery:\n  sql: |\n    SELECT a {# engine: allow(x): y #}\n    FROM t\n", "", &[]);
        check("key: [id] # engine: allowed(x): y\nquery: { sql: SELECT a FROM t }\n", "", &[]);
    }
}
