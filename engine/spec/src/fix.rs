//! Puts right what is certain, by changing bytes of the text: comments and layout stay.
//!
//! What would be written is validated first: a change that makes an error where there was none is left out.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Severity};
use crate::diff::unified;
use crate::load::{Companions, is_device_config, load_device_with, load_with, peek};
use crate::renamed::{RENAMED, RenamedKey};
use crate::render::{FileFindings, without_secrets};
use crate::text::Text;

/// Times that a text is put right and looked at again: what was hidden by a mistake may be one as well.
pub const ROUNDS_MAX: usize = 8;
/// Times that a changed text is validated; of a file with more mistakes that defy their cure, some stay.
pub const LOOKS_MAX: usize = 100;
/// What a file may begin with that is no part of its text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What putting right made of a spec, or a device config, and of the SQL beside it.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    /// The files that change.
    pub files: Vec<FixedFile>,
    /// The findings that go, those in the first text first.
    pub findings: Vec<Diagnostic>,
}

/// A file that changes.
#[derive(Debug, Clone)]
pub struct FixedFile {
    /// The path as the spec names it; none for the spec itself.
    pub beside: Option<String>,
    /// The whole new content.
    pub content: String,
    /// The change, with secrets struck out.
    pub diff: String,
}

/// Puts a file right.
pub fn fix(name: &str, bytes: &[u8], companions: &dyn Companions) -> Fixed {
    fix_with(name, bytes, companions, RENAMED)
}

/// Puts a file right that may have these keys under their old names.
pub(crate) fn fix_with(name: &str, bytes: &[u8], companions: &dyn Companions, renamed: &[RenamedKey]) -> Fixed {
    let Ok(content) = std::str::from_utf8(bytes) else { return Fixed::default() };
    let (mark, text) = match content.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => (BYTE_ORDER_MARK, text),
        None => ("", content),
    };
    let is_device = is_device_config(&peek(name, bytes));
    let desk = Desk { name, companions, renamed, is_device, looks: Cell::new(0) };
    let (first, last, findings) = desk.put_right(text);
    Fixed { files: changed(name, mark, &first, &last), findings }
}

/// The texts as they are at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Draft {
    spec: String,
    /// Files beside the spec, as far as they were read, by the path that the spec has for them.
    beside: BTreeMap<String, String>,
}

/// A draft, and what is wrong with it.
#[derive(Debug, Clone)]
struct State {
    draft: Draft,
    findings: Vec<Diagnostic>,
}

/// One change of a draft.
#[derive(Debug, Clone)]
struct Edit {
    beside: Option<String>,
    span: Range<usize>,
    replacement: String,
    /// The finding that it removes.
    finding: Diagnostic,
}

struct Desk<'a> {
    name: &'a str,
    companions: &'a dyn Companions,
    renamed: &'a [RenamedKey],
    is_device: bool,
    looks: Cell<usize>,
}

/// The files beside a spec: those of the draft, and else those that are there.
struct Overlay<'a> {
    outer: &'a dyn Companions,
    beside: RefCell<BTreeMap<String, String>>,
}

impl Companions for Overlay<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if let Some(text) = self.beside.borrow().get(path) {
            return Ok(text.clone().into_bytes());
        }
        let bytes = self.outer.read(path)?;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            self.beside.borrow_mut().insert(path.to_owned(), text.to_owned());
        }
        Ok(bytes)
    }
}

impl Desk<'_> {
    /// The state of a text, the one that it is brought to, and the findings that go.
    fn put_right(&self, text: &str) -> (State, State, Vec<Diagnostic>) {
        let first = self.look(Draft { spec: text.to_owned(), beside: BTreeMap::new() });
        let (mut state, mut fixed) = (first.clone(), Vec::new());
        for _ in 0..ROUNDS_MAX {
            let edits = state.edits();
            let before = state.draft.clone();
            state = self.try_all(state, &edits, &mut fixed);
            if state.draft == before {
                break;
            }
        }
        (first, state, fixed)
    }

    fn look(&self, draft: Draft) -> State {
        self.looks.set(self.looks.get() + 1);
        let overlay = Overlay { outer: self.companions, beside: RefCell::new(draft.beside) };
        let findings = if self.is_device {
            load_device_with(self.name, draft.spec.as_bytes(), self.renamed).diagnostics
        } else {
            load_with(self.name, draft.spec.as_bytes(), &overlay, self.renamed).diagnostics
        };
        State { draft: Draft { spec: draft.spec, beside: overlay.beside.into_inner() }, findings }
    }

    /// What a mistake hid may be a mistake as well, with a certain cure of its own.
    fn settle(&self, before: &State, mut after: State, gone: &mut Vec<Diagnostic>) -> State {
        for _ in 0..ROUNDS_MAX {
            let new = new_errors(&before.findings, &after.findings);
            let edits: Vec<Edit> =
                after.edits().into_iter().filter(|edit| new.contains(&said(&edit.finding))).collect();
            if edits.is_empty() {
                break;
            }
            gone.extend(edits.iter().map(|edit| edit.finding.clone()));
            after = self.look(after.draft.with(&edits));
        }
        after
    }

    /// The state with as many of the edits as make no new error. Their places are those of the state's texts.
    fn try_all(&self, state: State, edits: &[Edit], fixed: &mut Vec<Diagnostic>) -> State {
        if edits.is_empty() || self.looks.get() >= LOOKS_MAX {
            return state;
        }
        let mut gone: Vec<Diagnostic> = edits.iter().map(|edit| edit.finding.clone()).collect();
        let next = self.settle(&state, self.look(state.draft.with(edits)), &mut gone);
        if next.draft != state.draft && new_errors(&state.findings, &next.findings).is_empty() {
            fixed.extend(gone);
            return next;
        }
        if edits.len() == 1 {
            return state;
        }
        // The later half first: the places of the earlier one stay.
        let (earlier, later) = edits.split_at(edits.len() / 2);
        let state = self.try_all(state, later, fixed);
        self.try_all(state, earlier, fixed)
    }
}

impl State {
    /// What can be put right, in the order of its places, and nothing twice.
    fn edits(&self) -> Vec<Edit> {
        let mut edits: Vec<Edit> = self
            .findings
            .iter()
            .filter_map(|finding| {
                let fix = finding.fix.as_ref()?;
                Some(Edit {
                    beside: finding.companion.as_ref().map(|text| text.name.clone()),
                    span: fix.span.clone(),
                    replacement: fix.replacement.clone(),
                    finding: finding.clone(),
                })
            })
            .collect();
        edits.sort_by(|left, right| (&left.beside, left.span.start).cmp(&(&right.beside, right.span.start)));
        let mut apart: Vec<Edit> = Vec::new();
        for edit in edits {
            let is_apart =
                apart.last().is_none_or(|last| last.beside != edit.beside || last.span.end <= edit.span.start);
            if is_apart {
                apart.push(edit);
            }
        }
        apart
    }
}

impl Draft {
    fn with(&self, edits: &[Edit]) -> Self {
        let mut draft = self.clone();
        for edit in edits.iter().rev() {
            let text = match &edit.beside {
                Some(path) => draft.beside.get_mut(path),
                None => Some(&mut draft.spec),
            };
            // The text of a file beside the spec is without its byte order mark, and so are the places in it.
            let Some(text) = text else { continue };
            let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            let span = edit.span.start + mark..edit.span.end + mark;
            if text.get(span.clone()).is_some() {
                text.replace_range(span, &edit.replacement);
            }
        }
        draft
    }
}

/// What a finding says. Its place moves with the text.
type Said = (&'static str, String);

fn said(finding: &Diagnostic) -> Said {
    (finding.code, finding.message.clone())
}

/// The errors that were not there before, or not as often.
fn new_errors(before: &[Diagnostic], after: &[Diagnostic]) -> BTreeSet<Said> {
    let count = |findings: &[Diagnostic]| {
        let mut counts: BTreeMap<Said, usize> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
            *counts.entry(said(finding)).or_default() += 1;
        }
        counts
    };
    let before = count(before);
    let is_new = |(said, number): (Said, usize)| before.get(&said).is_none_or(|known| number > *known).then_some(said);
    count(after).into_iter().filter_map(is_new).collect()
}

fn changed(name: &str, mark: &str, first: &State, last: &State) -> Vec<FixedFile> {
    let mut files = Vec::new();
    if first.draft.spec != last.draft.spec {
        let shown = |state: &State| {
            let findings = state.findings.iter().filter(|finding| finding.companion.is_none()).cloned().collect();
            without_secrets(&FileFindings { text: Arc::new(Text::new(name, &state.draft.spec)), findings })
        };
        let diff = unified(name, &shown(first), &shown(last));
        files.push(FixedFile { beside: None, content: format!("{mark}{}", last.draft.spec), diff });
    }
    for (path, after) in &last.draft.beside {
        let before = first.draft.beside.get(path);
        if let Some(before) = before.filter(|before| *before != after) {
            let diff = unified(path, before, after);
            files.push(FixedFile { beside: Some(path.clone()), content: after.clone(), diff });
        }
    }
    files
}

#[cfg(test)]
mod tests;
