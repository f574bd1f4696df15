//! The book that mdBook makes of `docs/`: every page is in its table of contents, every link leads somewhere, and what
//! lies outside of `docs/` is taken along.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use engine::commands::docs;

use super::{documents, root};

/// The table of contents.
fn summary() -> PathBuf {
    root().join("docs/SUMMARY.md")
}

/// The targets of the links in a document, outside of its code.
fn links(path: &Path) -> Vec<String> {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let code = regex::Regex::new("(?ms)^```.*?^```$|`[^`\n]*`").expect("a pattern");
    let text = std::fs::read_to_string(path).expect("a document");
    // A link may have code as its text, so what is left of that must still look like one.
    let prose = code.replace_all(&text, "code").into_owned();
    link.captures_iter(&prose).map(|found| found[1].to_owned()).filter(|target| !target.contains("://")).collect()
}

/// The anchors of a document's headings; of those that say the same, all but the first have a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if fenced || !line.starts_with('#') {
            continue;
        }
        let title = line.trim_start_matches('#').trim();
        let kept = title.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
        let anchor: String =
            kept.flat_map(char::to_lowercase).map(|char| if char == ' ' { '-' } else { char }).collect();
        let again = (1..).map(|count| format!("{anchor}-{count}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

/// A path without `..`, as far as its text goes.
fn tidied(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            tidied.pop();
        } else {
            tidied.push(part);
        }
    }
    tidied
}

/// All pages: those written by hand, those generated, and the table of contents.
fn pages() -> Vec<PathBuf> {
    let reference = docs::pages().map(|(name, _)| root().join("docs/reference").join(name));
    documents().into_iter().chain(reference).chain([summary()]).collect()
}

#[test]
fn anchors_are_those_of_the_readers() {
    let text = "# One `two`, three\n## Same\n```sh\n# no heading\n```\n## Same\n";
    assert_eq!(anchors(text), ["one-two-three", "same", "same-1"].map(str::to_owned).into());
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for path in pages() {
        for target in links(&path) {
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            let leads = match std::fs::read_to_string(&file) {
                Ok(text) => anchor.is_empty() || anchors(&text).contains(anchor),
                Err(_) => file.is_dir() && anchor.is_empty(),
            };
            if !leads {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(count > 150, "only {count} links were found");
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let mut listed: Vec<PathBuf> =
        links(&summary()).iter().map(|target| tidied(&root().join("docs").join(target))).collect();
    let book = tidied(&root().join("docs"));
    let all = pages().into_iter().map(|path| tidied(&path)).filter(|path| path.starts_with(&book));
    let mut expected: Vec<PathBuf> = all.filter(|path| !path.ends_with("SUMMARY.md")).collect();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected, "docs/SUMMARY.md and the pages below docs/ differ");
}

/// `docs/build` copies these beside the pages, so that links to them work in the book as well.
#[test]
fn links_out_of_the_book_lead_to_what_it_takes_along() {
    let script = std::fs::read_to_string(root().join("docs/build")).expect("the script");
    let taken = script.lines().find_map(|line| line.strip_prefix("ALONG=(")).and_then(|rest| rest.strip_suffix(')'));
    let taken: BTreeSet<&str> = taken.expect("a list").split(' ').collect();
    let (base, book) = (tidied(&root()), tidied(&root().join("docs")));
    let mut left = Vec::new();
    let mut count = 0;
    for path in pages().into_iter().filter(|path| !path.ends_with("README.md")) {
        for target in links(&path) {
            let file = tidied(&path.parent().expect("a folder").join(target.split('#').next().unwrap_or_default()));
            if file.starts_with(&book) {
                continue;
            }
            count += 1;
            if !taken.iter().any(|folder| file.starts_with(base.join(folder))) {
                left.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(left.is_empty(), "{left:#?}");
    assert!(count > 50, "only {count} links lead out");
}
