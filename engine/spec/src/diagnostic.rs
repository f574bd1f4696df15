//! Findings: the only way in which problems of a spec leave this crate.

use std::ops::Range;
use std::sync::Arc;

use crate::codes;
use crate::text::Text;

/// Characters of a message or of its advice; what it quotes may be as long as the file.
pub const MESSAGE_CHARS_MAX: usize = 1_000;
/// Characters of a text that is compared with names to guess which was meant; none of them is as long.
const GUESSED_CHARS_MAX: usize = 100;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The spec works, at a cost that the finding names.
    Warning,
    /// The spec cannot run.
    Error,
}

impl Severity {
    /// The word in front of a finding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl From<crate::template::Severity> for Severity {
    fn from(severity: crate::template::Severity) -> Self {
        match severity {
            crate::template::Severity::Error => Self::Error,
            crate::template::Severity::Warning => Self::Warning,
            crate::template::Severity::Note => Self::Note,
        }
    }
}

/// A second place that explains a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Byte range in the text of the finding.
    pub span: Range<usize>,
    /// What is there.
    pub message: String,
}

/// A change of the text that removes the finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// Byte range in the text of the finding.
    pub span: Range<usize>,
    /// What to put there.
    pub replacement: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, registered in [`crate::codes`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line. Never shows the value of a secret.
    pub message: String,
    /// Byte range of the place in the text.
    pub span: Range<usize>,
    /// Further places in the same text.
    pub labels: Vec<Label>,
    /// JSON pointer of the place in the spec; empty for the whole file.
    pub pointer: String,
    /// What to do.
    pub help: Option<String>,
    /// A change that does it, where one is certain.
    pub fix: Option<Fix>,
    /// The file of the place, where it is not the spec itself but lies beside it.
    pub companion: Option<Arc<Text>>,
}

impl Diagnostic {
    /// A finding with the severity that its code has by default.
    pub fn new(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: codes::find(code).map_or(Severity::Error, |info| info.severity),
            message: clip(message.into()),
            span,
            labels: Vec::new(),
            pointer: String::new(),
            help: None,
            fix: None,
            companion: None,
        }
    }

    /// The same, with a place in the spec.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }

    /// The same, with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(clip(help.into()));
        self
    }

    /// The same, with a second place.
    #[must_use]
    pub fn label(mut self, span: Range<usize>, message: impl Into<String>) -> Self {
        self.labels.push(Label { span, message: message.into() });
        self
    }

    /// The same, with a change that removes it.
    #[must_use]
    pub fn fix(mut self, span: Range<usize>, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix { span, replacement: replacement.into() });
        self
    }

    /// The place in the spec as people write it: `fields.event.map`, `tests[0].rows`.
    pub fn path(&self) -> String {
        path_of(&self.pointer)
    }
}

/// A JSON pointer as people write it: `fields.event.map`, `tests[0].rows`.
pub fn path_of(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&part);
        }
    }
    path
}

/// The text, cut where it is longer than anybody reads.
fn clip(mut text: String) -> String {
    if let Some((cut, _)) = text.char_indices().nth(MESSAGE_CHARS_MAX) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// JSON pointer of a child.
pub fn child(pointer: &str, key: &str) -> String {
    if key.contains(['~', '/']) {
        format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
    } else {
        format!("{pointer}/{key}")
    }
}

/// A name that was probably meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess<'a> {
    /// The name.
    pub name: &'a str,
    /// Whether no other candidate is as near.
    pub is_certain: bool,
}

/// The candidate that was probably meant, if one is near enough.
pub fn guess<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<Guess<'a>> {
    let written_lower = written.to_lowercase().replace('-', "_");
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = edit_distance(&written_lower, &candidate.to_lowercase().replace('-', "_"));
            let longest = written.chars().count().max(candidate.chars().count());
            (distance * 3 <= longest).then_some((distance, candidate))
        })
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    let (distance, name) = *near.first()?;
    Some(Guess { name, is_certain: near.get(1).is_none_or(|(other, _)| *other > distance) })
}

/// The name of a [`guess`].
pub fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    guess(written, candidates).map(|guess| guess.name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two texts; of a text that is no name, the most
/// that there can be.
pub(crate) fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let longest = left.len().max(right.len());
    if longest > GUESSED_CHARS_MAX {
        return longest;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(from != to);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *from == right[column - 1] && left[row - 1] == *to {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_edits() {
        for (left, right, distance) in [
            ("", "", 0),
            ("a", "", 1),
            ("abc", "acb", 1),
            ("qeury", "query", 1),
            ("kitten", "sitting", 3),
            ("é", "e", 1),
            (&"a".repeat(GUESSED_CHARS_MAX), &"a".repeat(GUESSED_CHARS_MAX - 1), 1),
            (&"a".repeat(GUESSED_CHARS_MAX + 1), &"a".repeat(GUESSED_CHARS_MAX), GUESSED_CHARS_MAX + 1),
        ] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
            assert_eq!(edit_distance(right, left), distance, "{right} {left}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let keys = ["order_code", "product_code", "machine_code", "event"];
        for (written, expected) in [
            ("oder_code", Some("order_code")),
            ("Order-Code", Some("order_code")),
            ("machin_cod", Some("machine_code")),
            ("evnet", Some("event")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(did_you_mean(written, keys), expected, "{written}");
        }
    }

    #[test]
    fn a_guess_is_certain_where_nothing_else_is_as_near() {
        for (written, candidates, expected) in [
            ("oder_code", vec!["order_code", "event"], Some(("order_code", true))),
            ("tolal", vec!["total", "tolas"], Some(("total", false))),
            ("tolal", vec!["tolas", "total"], Some(("tolas", false))),
            ("total", vec!["totals", "total"], Some(("total", true))),
            ("x", vec!["order_code"], None),
        ] {
            let found = guess(written, candidates).map(|guess| (guess.name, guess.is_certain));
            assert_eq!(found, expected, "{written}");
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = "é".repeat(MESSAGE_CHARS_MAX + 1);
        let finding = Diagnostic::new(codes::BAD_VALUE, 0..0, long.clone()).help(long);
        for text in [Some(finding.message), finding.help].into_iter().flatten() {
            assert_eq!(text.chars().count(), MESSAGE_CHARS_MAX + 1);
            assert!(text.ends_with('…'));
        }
    }

    #[test]
    fn a_pointer_reads_as_a_path() {
        for (pointer, path) in [
            ("", ""),
            ("/fields/event/map", "fields.event.map"),
            ("/tests/0/rows", "tests[0].rows"),
            ("/a~1b/~0", "a/b.~"),
        ] {
            assert_eq!(Diagnostic::new(codes::UNKNOWN_KEY, 0..0, "").at(pointer).path(), path);
        }
    }
}
