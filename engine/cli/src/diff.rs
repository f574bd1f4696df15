//! What changed in a text, line for line.

use std::fmt::Write as _;

/// Lines of context around a change.
const CONTEXT: usize = 2;
/// Pairs of lines that are compared at most; beyond, all that lies between the first and the last change is shown.
const PAIRS_MAX: usize = 4_000_000;

/// One line of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// The changes with some lines around them, in the form of `diff -u`; empty where nothing changed.
pub fn unified(name: &str, before: &str, after: &str) -> String {
    let lines = compare(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
    let changed: Vec<usize> = (0..lines.len()).filter(|place| !matches!(lines[*place], Line::Same(_))).collect();
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for place in changed {
        let (from, to) = (place.saturating_sub(CONTEXT), (place + CONTEXT + 1).min(lines.len()));
        match hunks.last_mut() {
            Some((_, end)) if from <= *end => *end = to,
            _ => hunks.push((from, to)),
        }
    }
    if hunks.is_empty() {
        return String::new();
    }
    let mut out = format!("--- {name}\n+++ {name}\n");
    for (from, to) in hunks {
        let old = |lines: &[Line<'_>]| lines.iter().filter(|line| !matches!(line, Line::New(_))).count();
        let new = |lines: &[Line<'_>]| lines.iter().filter(|line| !matches!(line, Line::Gone(_))).count();
        let (before, within) = (&lines[..from], &lines[from..to]);
        let (old_from, new_from) = (old(before) + 1, new(before) + 1);
        let _ = writeln!(out, "@@ -{old_from},{} +{new_from},{} @@", old(within), new(within));
        for line in within {
            let _ = match line {
                Line::Same(text) => writeln!(out, " {text}"),
                Line::Gone(text) => writeln!(out, "-{text}"),
                Line::New(text) => writeln!(out, "+{text}"),
            };
        }
    }
    out
}

fn compare<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    let head = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let (left, right) = (&before[head..], &after[head..]);
    let tail = left.iter().rev().zip(right.iter().rev()).take_while(|(one, other)| one == other).count();
    let (left, right) = (&left[..left.len() - tail], &right[..right.len() - tail]);
    let mut lines: Vec<Line<'a>> = before[..head].iter().map(|line| Line::Same(line)).collect();
    if left.len().saturating_mul(right.len()) > PAIRS_MAX {
        lines.extend(left.iter().map(|line| Line::Gone(line)));
        lines.extend(right.iter().map(|line| Line::New(line)));
    } else {
        between(left, right, &mut lines);
    }
    lines.extend(before[before.len() - tail..].iter().map(|line| Line::Same(line)));
    lines
}

/// By the longest common subsequence.
fn between<'a>(left: &[&'a str], right: &[&'a str], lines: &mut Vec<Line<'a>>) {
    let width = right.len() + 1;
    let mut longest = vec![0u32; (left.len() + 1) * width];
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            longest[row * width + column] = if left[row] == right[column] {
                longest[(row + 1) * width + column + 1] + 1
            } else {
                longest[(row + 1) * width + column].max(longest[row * width + column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    while row < left.len() || column < right.len() {
        if row < left.len() && column < right.len() && left[row] == right[column] {
            lines.push(Line::Same(left[row]));
            (row, column) = (row + 1, column + 1);
        } else if row < left.len()
            && (column == right.len() || longest[(row + 1) * width + column] >= longest[row * width + column + 1])
        {
            lines.push(Line::Gone(left[row]));
            row += 1;
        } else {
            lines.push(Line::New(right[column]));
            column += 1;
        }
    }
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
        check("abcdefghij", "abcdefghijk", "@@ -9,2 +9,3 @@| i| j|+k");
        check("abcdefghij", "bcdefghi", "@@ -1,3 +1,2 @@|-a| b| c|@@ -8,3 +7,2 @@| h| i|-j");
        check("", "a", "@@ -1,0 +1,1 @@|+a");
    }

    #[test]
    fn a_large_change_is_shown_whole() {
        let lines = |from: usize| (from..from + 2_100).map(|line| format!("{line}\n")).collect::<String>();
        let shown = unified("f", &lines(0), &lines(10_000));
        assert_eq!(shown.lines().filter(|line| line.starts_with('+')).count(), 2_101);
        const { assert!(2_100 * 2_100 > PAIRS_MAX) };
    }
}
