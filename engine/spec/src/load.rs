//! Bytes to a typed spec, with everything that is wrong with it.

use std::sync::Arc;

use serde_json::Value;

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Spec;
use crate::text::Text;
use crate::yaml::SpecFile;

/// What lies beside a spec: an SQL file, a machine list. The caller does the reading.
pub trait Companions {
    /// The bytes of a file, its path relative to the spec. An error says what was tried and what came back.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// No files beside the spec: every read fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCompanions;

impl Companions for NoCompanions {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("`{path}` cannot be read here"))
    }
}

/// A spec as loaded: what could be read of it, and all findings.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed spec, where its shape is right. Whether it may run is said by [`Loaded::has_errors`].
    pub spec: Option<Spec>,
    /// Text, value and places.
    pub file: SpecFile,
    /// The files beside it.
    pub companions: LoadedCompanions,
    /// All findings, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

/// The files beside a spec, as far as it names any and they could be read.
#[derive(Debug, Clone, Default)]
pub struct LoadedCompanions {
    /// The text of the SQL template, from `query.sql` or `query.file`.
    pub sql: Option<String>,
    /// The file of the SQL template, where it is `query.file`.
    pub sql_file: Option<Arc<Text>>,
    /// Machine codes and ids, inline or from the file.
    pub machines: Option<std::collections::BTreeMap<String, String>>,
}

impl Loaded {
    /// Whether a finding forbids the spec to run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Loads and checks a spec. `name` is the path for messages.
pub fn load(name: &str, bytes: &[u8], companions: &dyn Companions) -> Loaded {
    let (text, unreadable) = Text::decode(name, bytes);
    if let Some(finding) = unreadable {
        return Loaded {
            spec: None,
            file: SpecFile::unreadable(text),
            companions: LoadedCompanions::default(),
            diagnostics: vec![finding],
        };
    }
    let (file, mut diagnostics) = SpecFile::parse(text);
    let mut spec = None;
    if !file.value.is_null() || diagnostics.is_empty() {
        spec = decode::<Spec>(&file, &mut diagnostics);
    }
    let loaded = spec.as_ref().map(|spec| read_companions(spec, companions)).unwrap_or_default();
    diagnostics.sort_by_key(|finding| (finding.companion.is_some(), finding.span.start, finding.span.end));
    Loaded { spec, file, companions: loaded, diagnostics }
}

fn decode<T: serde::de::DeserializeOwned>(file: &SpecFile, findings: &mut Vec<Diagnostic>) -> Option<T> {
    match T::deserialize(&file.value) {
        Ok(spec) => Some(spec),
        Err(error) => {
            if !findings.iter().any(|finding| finding.severity == Severity::Error) {
                findings.push(Diagnostic::new(codes::BAD_SHAPE, file.value_span(""), error.to_string()));
            }
            None
        }
    }
}

fn read_companions(spec: &Spec, companions: &dyn Companions) -> LoadedCompanions {
    let mut loaded = LoadedCompanions::default();
    if let Some(query) = &spec.query {
        loaded.sql.clone_from(&query.sql);
        if let (None, Some(path)) = (&query.sql, &query.file)
            && let Ok(bytes) = companions.read(path)
        {
            let (text, _) = Text::decode(path, &bytes);
            loaded.sql = Some(text.text.clone());
            loaded.sql_file = Some(text);
        }
    }
    if let Some(crate::model::Machines::Inline(machines)) = &spec.machines {
        loaded.machines = Some(machines.clone());
    }
    loaded
}

/// The value of a file whose root may be a device config.
pub(crate) fn is_device_config(value: &Value) -> bool {
    const ONLY_THERE: [&str; 5] = ["specs", "state", "limits", "http", "log"];
    const NEVER_THERE: [&str; 4] = ["id", "source", "table", "fields"];
    value.as_object().is_some_and(|root| {
        ONLY_THERE.iter().any(|key| root.contains_key(*key)) && !NEVER_THERE.iter().any(|key| root.contains_key(*key))
    })
}
