//! What changed in a text, line for line.

use similar::TextDiff;

use crate::show::{harmless, harmless_lines};

/// Lines around a change that are shown with it.
const CONTEXT_LINES: usize = 3;

/// The changes in the form of `diff -u`, with nothing in it that a terminal would obey; empty where nothing changed.
pub fn unified(name: &str, before: &str, after: &str) -> String {
    let (name, before, after) = (harmless(name), harmless_lines(before), harmless_lines(after));
    let diff = TextDiff::from_lines(before.as_ref(), after.as_ref());
    diff.unified_diff().context_radius(CONTEXT_LINES).header(&name, &name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expected: &str) {
        let text = |letters: &str| letters.chars().map(|letter| format!("{letter}\n")).collect::<String>();
        let shown: Vec<String> = unified("f", &text(before), &text(after)).lines().skip(2).map(str::to_owned).collect();
        assert_eq!(shown.join("|"), expected, "{before} {after}");
    }

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        check("abc", "abc", "");
        check("abc", "axc", "@@ -1,3 +1,3 @@| a|-b|+x| c");
        check("abcdefghij", "abcdefghijk", "@@ -8,3 +8,4 @@| h| i| j|+k");
        check("abcdefghij", "bcdefghi", "@@ -1,4 +1,3 @@|-a| b| c| d|@@ -7,4 +6,3 @@| g| h| i|-j");
        check("", "a", "@@ -0,0 +1 @@|+a");
    }

    #[test]
    fn a_terminal_obeys_nothing_of_a_diff() {
        let shown = unified("f\n", "a\r\nb\u{1b}[2J\r\n", "a\r\nc\u{202e}\r\n");
        assert_eq!(shown, "--- f\\n\n+++ f\\n\n@@ -1,2 +1,2 @@\n a\r\n-b\\u{1b}[2J\r\n+c\\u{202e}\r\n");
    }
}
