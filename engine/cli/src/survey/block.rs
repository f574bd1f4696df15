//! The `source:` block of a file that need not be a whole spec.

use std::path::{Path, PathBuf};

use engine_core::plan;
use engine_spec::diagnostic::Severity;
use engine_spec::load::{Loaded, load, peek};
use engine_spec::model::Source;
use engine_spec::render::FileFindings;
use engine_spec::sql::Dialect;
use serde::Deserialize as _;

use crate::exit::{CommandError, Kind};
use crate::project;
use crate::validate::Beside;

/// What a whole spec has beside its source: keys that the file lacks are added after its end, so that the checks of a
/// whole spec look at its source, and every place in it stays the same.
const REST: &[(&str, &str)] = &[
    ("version", "version: 1\n"),
    ("id", "id: discovered\n"),
    ("table", "table: order\n"),
    (
        "query",
        "query: { sql: \"SELECT id, a, b, c, s, e FROM t WHERE s >= {{ window.start }} AND s < {{ window.end }}\" }\n",
    ),
    ("key", "key: [id]\n"),
    ("fields", "fields: { start: s, end: e, order_code: a, product_code: b, machine_code: c }\n"),
];

/// Where a database is, and how to log in.
#[derive(Debug, Clone)]
pub struct SourceBlock {
    /// The block as a spec has it.
    pub source: Source,
    /// Its text, from `source:` to its end, for copying.
    pub yaml: String,
    /// `source.type`.
    pub source_type: &'static str,
    /// The SQL that it speaks.
    pub dialect: Dialect,
    /// Folder of the file, for relative paths.
    pub folder: PathBuf,
}

/// Reads the source of a spec, or of a file that holds nothing else. Mistakes in it are told on stderr; what else is
/// wrong with the file does not matter.
pub fn source_of(path: &Path) -> Result<SourceBlock, CommandError> {
    let name = path.display().to_string();
    let bytes = project::read(path)?;
    let loaded = load_source(&name, &bytes, path);
    // Before any finding: what is missing for a run does not matter where there is nothing to survey.
    let said = loaded.file.value.pointer("/source/type").and_then(serde_json::Value::as_str);
    if let Some(said) = said.filter(|said| ["csv", "http"].contains(said)) {
        return Err(no_catalogue(&name, said));
    }
    let of_source = |pointer: &str| pointer == "/source" || pointer.starts_with("/source/");
    let is_readable = loaded.file.value.is_object();
    let findings: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|finding| finding.severity == Severity::Error && (!is_readable || of_source(&finding.pointer)))
        .cloned()
        .collect();
    if !findings.is_empty() {
        project::tell([FileFindings { text: loaded.file.text, findings }]);
        return Err(CommandError::said(Kind::Usage));
    }
    let Some(value) = loaded.file.value.get("source") else {
        return Err(CommandError::new(Kind::Usage, format!("{name} has no `source:` block")).hint(
            "write one, as in a spec: `source: { type: postgres, host: 10.20.0.5, database: mes, username: reader, \
             password: { env: MES_PASSWORD } }`",
        ));
    };
    let source = Source::deserialize(value)
        .map_err(|error| CommandError::new(Kind::Usage, format!("{name}: source: {error}")))?;
    let (source_type, dialect) = plan::source_type(&source);
    let Some(dialect) = dialect else { return Err(no_catalogue(&name, source_type)) };
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(SourceBlock { yaml: text_of(&loaded), source, source_type, dialect, folder })
}

fn load_source(name: &str, bytes: &[u8], path: &Path) -> Loaded {
    let beside = Beside(path.parent().unwrap_or(Path::new("")));
    let root = peek(name, bytes).value;
    let Some(root) = root.as_object() else { return load(name, bytes, &beside) };
    let mut whole = bytes.to_vec();
    whole.push(b'\n');
    let missing = REST.iter().filter(|(key, _)| !root.contains_key(*key));
    missing.for_each(|(_, line)| whole.extend_from_slice(line.as_bytes()));
    let completed = load(name, &whole, &beside);
    // A root in braces cannot be gone on with.
    if completed.file.value.is_object() { completed } else { load(name, bytes, &beside) }
}

fn text_of(loaded: &Loaded) -> String {
    let place = loaded.file.place("/source").1;
    let start = place.and_then(|place| Some(place.key.as_ref()?.start));
    let end = place.map_or(0, |place| place.value.end);
    loaded.file.text.text.get(start.unwrap_or(end)..end).unwrap_or_default().trim_end().to_owned()
}

fn no_catalogue(name: &str, source_type: &str) -> CommandError {
    let (what, hint) = match source_type {
        "csv" => (
            "a folder of files has no catalogue of tables",
            "the columns are the header of the files: begin with a spec, and `engine check SPEC` shows the first rows",
        ),
        _ => (
            "an API has no catalogue of tables",
            "its documentation names the members: begin with a spec, and `engine check SPEC` shows the first records",
        ),
    };
    CommandError::new(Kind::Usage, format!("{name}: a source of type `{source_type}` cannot be surveyed: {what}"))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Result<SourceBlock, CommandError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.yaml");
        std::fs::write(&path, text).expect("the folder is writable");
        source_of(&path)
    }

    #[test]
    fn a_source_is_read_whatever_else_is_in_the_file() {
        let source = "source:\n  type: sqlite\n  path: mes.db   # beside\n  timezone: Europe/Berlin";
        for text in [
            source.to_owned(),
            format!("{source}\n"),
            format!("version: 1\nid: BAD ID\n{source}\nfields: {{ nonsense: 7 }}\n"),
        ] {
            let block = block(&text).expect("a source");
            assert_eq!((block.source_type, block.dialect), ("sqlite", Dialect::Sqlite), "{text}");
            assert_eq!(block.yaml, source, "{text}");
        }
        let inline = "source: { type: sqlite, path: mes.db }";
        assert_eq!(block(&format!("{{ {inline} }}")).expect("a source").yaml, inline);
        assert_eq!(block(inline).expect("a source").yaml, inline);
    }

    #[test]
    fn what_cannot_be_surveyed_says_why() {
        for (text, expected) in [
            ("version: 1\n", "has no `source:` block"),
            ("source: { type: csv, path: drop }\n", "a folder of files has no catalogue"),
            ("source: { type: http, url: \"https://x.example\", request: {} }\n", "an API has no catalogue"),
            // Said with its place.
            ("source: { type: sqlite, paht: mes.db }\n", ""),
            ("source: { type: postgres, host: h, database: d, username: u, password: open }\n", ""),
            ("source: [\n", ""),
        ] {
            let error = block(text).expect_err(text);
            assert_eq!(error.kind, Kind::Usage, "{text}");
            assert!(
                error.message.contains(expected) && error.message.is_empty() == expected.is_empty(),
                "{text}: {error}"
            );
        }
    }
}
