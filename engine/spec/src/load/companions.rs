//! The files beside a spec: the SQL template and the machine list.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Machines, Spec, SpecTest, TestRows};
use crate::text::Text;
use crate::yaml::SpecFile;

/// What lies beside a spec: an SQL file, a machine list. The caller does the reading.
pub trait Companions {
    /// The bytes of a file, its path relative to the spec. An error says what was tried and what came back.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// Whether a file is there to be read, its path relative to the spec; an error says why not.
    fn find(&self, path: &str) -> Result<(), String> {
        self.read(path).map(drop)
    }
}

/// No files beside the spec: every read fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCompanions;

impl Companions for NoCompanions {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("{path}: no files can be read here"))
    }
}

/// The files beside a spec, as far as it names any and they could be read.
#[derive(Debug, Clone, Default)]
pub struct LoadedCompanions {
    /// The text of the SQL template, from `query.sql` or `query.file`.
    pub sql: Option<String>,
    /// The file of the SQL template, where it is `query.file`.
    pub sql_file: Option<Arc<Text>>,
    /// Machine codes and ids, inline or from the file; none where the spec has no `machines`.
    pub machines: Option<BTreeMap<String, String>>,
}

pub(super) fn read(
    spec: &Spec,
    file: &SpecFile,
    companions: &dyn Companions,
    findings: &mut Vec<Diagnostic>,
) -> LoadedCompanions {
    let mut loaded = LoadedCompanions::default();
    if let Some(query) = &spec.query {
        match (&query.sql, &query.file) {
            (Some(sql), _) => loaded.sql = Some(sql.clone()),
            (None, Some(path)) => {
                if let Some(text) = read_text(path, "/query/file", file, companions, findings) {
                    loaded.sql = Some(text.text.clone());
                    loaded.sql_file = Some(text);
                }
            }
            (None, None) => {}
        }
    }
    match &spec.machines {
        Some(Machines::Inline(machines)) => loaded.machines = Some(machines.clone()),
        Some(Machines::File(path)) => {
            if let Some(text) = read_text(path, "/machines/file", file, companions, findings) {
                loaded.machines = Some(read_machines(&text, findings));
            }
        }
        None => {}
    }
    loaded
}

/// Findings of recordings that are not there. What is in them is read when a test needs it.
pub(super) fn recordings(tests: &[SpecTest], file: &SpecFile, companions: &dyn Companions) -> Vec<Diagnostic> {
    let recorded = tests.iter().enumerate().filter_map(|(index, test)| match &test.rows {
        TestRows::Recorded(path) => Some((index, path)),
        TestRows::Written(_) => None,
    });
    let missing = recorded.filter_map(|(index, path)| companions.find(path).err().map(|reason| (index, reason)));
    missing
        .map(|(index, reason)| {
            let pointer = format!("/tests/{index}/rows/file");
            Diagnostic::new(codes::FILE_UNREADABLE, file.value_span(&pointer), reason)
                .at(pointer)
                .help("record it with `engine preview SPEC --record NAME`; paths are relative to the file of the test")
        })
        .collect()
}

fn read_text(
    path: &str,
    pointer: &str,
    file: &SpecFile,
    companions: &dyn Companions,
    findings: &mut Vec<Diagnostic>,
) -> Option<Arc<Text>> {
    let unreadable = |reason: String| {
        Diagnostic::new(codes::FILE_UNREADABLE, file.value_span(pointer), reason)
            .at(pointer)
            .help("paths are relative to the spec")
    };
    match companions.read(path) {
        Err(reason) => {
            findings.push(unreadable(reason));
            None
        }
        Ok(bytes) => {
            let (text, finding) = Text::decode(path, &bytes);
            match finding {
                Some(finding) => {
                    findings.push(unreadable(format!("{path}: {}", finding.message)));
                    None
                }
                None => Some(text),
            }
        }
    }
}

/// A header line, then code and id. The separator is what the header has: a comma, a semicolon or a tab.
fn read_machines(text: &Arc<Text>, findings: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
    let separator = text.line(1).chars().find(|letter| matches!(letter, ',' | ';' | '\t')).unwrap_or(',');
    let mut machines = BTreeMap::new();
    let lines = text.text.lines().count();
    let mut wrong = |line: usize, message: String| {
        let start = text.line_start(line);
        let mut finding = Diagnostic::new(codes::MACHINES_CSV, start..start + text.line(line).len(), message)
            .at("/machines/file")
            .help("a header line, then two columns: `code,id`");
        finding.companion = Some(Arc::clone(text));
        findings.push(finding);
    };
    if lines == 0 {
        wrong(1, "the machine list is empty".to_owned());
    } else if text.line(1).split(separator).count() != 2 {
        wrong(1, "the header does not name two columns".to_owned());
    }
    for line in 2..=lines {
        let content = text.line(line);
        if content.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = content.split(separator).map(|cell| cell.trim().trim_matches('"')).collect();
        match cells.as_slice() {
            [code, id] if !code.is_empty() && !id.is_empty() => {
                if machines.insert((*code).to_owned(), (*id).to_owned()).is_some() {
                    wrong(line, format!("the code `{code}` is given twice"));
                }
            }
            [_, _] => wrong(line, "the code or the id is empty".to_owned()),
            cells => wrong(line, format!("the line has {} columns, not two", cells.len())),
        }
    }
    machines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(csv: &str, machines: &[(&str, &str)], wrong_lines: &[usize]) {
        let text = Arc::new(Text::new("m.csv", csv));
        let mut findings = Vec::new();
        let read = read_machines(&text, &mut findings);
        let read: Vec<(&str, &str)> = read.iter().map(|(code, id)| (code.as_str(), id.as_str())).collect();
        assert_eq!(read, machines, "{csv}");
        let lines: Vec<usize> = findings.iter().map(|finding| text.line_column(finding.span.start).line).collect();
        assert_eq!(lines, wrong_lines, "{csv}");
    }

    #[test]
    fn a_machine_list_has_two_columns_and_no_code_twice() {
        check("code,id\nM1,a\nM2,b\n", &[("M1", "a"), ("M2", "b")], &[]);
        check("code;id\r\n\"M1\"; a\r\n\r\n", &[("M1", "a")], &[]);
        check("code\tid\nM1\ta\nM1\tb\nM2\n,c\n", &[("M1", "b")], &[3, 4, 5]);
        check("", &[], &[1]);
        check("code\nM1\n", &[], &[1, 2]);
    }
}
