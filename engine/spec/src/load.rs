//! Bytes to a typed spec, with everything that is wrong with it.

mod allow;
mod companions;
mod prune;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::check;
use crate::codes;
use crate::device::Device;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Spec, TestFile};
use crate::renamed::{self, RENAMED, RenamedKey};
use crate::schema::{self, Document};
use crate::text::Text;
use crate::yaml::SpecFile;

pub use companions::{Companions, LoadedCompanions, NoCompanions};

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

/// A device config as loaded.
#[derive(Debug, Clone)]
pub struct LoadedDevice {
    /// The typed config, where its shape is right.
    pub device: Option<Device>,
    /// Text, value and places.
    pub file: SpecFile,
    /// All findings, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

/// The tests beside a spec, as loaded.
#[derive(Debug, Clone)]
pub struct LoadedTests {
    /// The typed tests, where their shape is right.
    pub tests: Option<TestFile>,
    /// Text, value and places.
    pub file: SpecFile,
    /// All findings, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

impl LoadedTests {
    /// Whether a finding forbids the tests to be executed.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

impl Loaded {
    /// Whether a finding forbids the spec to run.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

impl LoadedDevice {
    /// Whether a finding forbids the engine to start.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Loads and checks a spec. `name` is the path for messages.
pub fn load(name: &str, bytes: &[u8], companions: &dyn Companions) -> Loaded {
    load_with(name, bytes, companions, RENAMED)
}

/// Loads and checks a spec that may have these keys under their old names.
pub(crate) fn load_with(name: &str, bytes: &[u8], companions: &dyn Companions, renamed: &[RenamedKey]) -> Loaded {
    let shape = read_shape::<Spec>(name, bytes, Document::Pipeline, renamed);
    let mut diagnostics = shape.findings;
    let mut loaded = LoadedCompanions::default();
    if let Some(spec) = &shape.readable {
        let mut found = Vec::new();
        loaded = companions::read(spec, &shape.file, companions, &mut found);
        found.extend(companions::recordings(&spec.tests, &shape.file, companions));
        found.extend(check::check(&shape.file, spec, &loaded));
        found.retain(|finding| !prune::is_consequence(finding, &shape.offenders));
        diagnostics.extend(found);
    }
    diagnostics = allow::apply(&shape.file, &loaded, diagnostics);
    sort(&mut diagnostics);
    let spec = if shape.is_whole { shape.readable } else { None };
    Loaded { spec, file: shape.file, companions: loaded, diagnostics }
}

/// Loads and checks a device config. `name` is the path for messages.
pub fn load_device(name: &str, bytes: &[u8]) -> LoadedDevice {
    load_device_with(name, bytes, RENAMED)
}

/// Loads and checks a device config that may have these keys under their old names.
pub(crate) fn load_device_with(name: &str, bytes: &[u8], renamed: &[RenamedKey]) -> LoadedDevice {
    let shape = read_shape::<Device>(name, bytes, Document::Device, renamed);
    let mut diagnostics = shape.findings;
    if let Some(device) = &shape.readable {
        let found = check::check_device(&shape.file, device);
        diagnostics.extend(found.into_iter().filter(|finding| !prune::is_consequence(finding, &shape.offenders)));
    }
    diagnostics = allow::apply(&shape.file, &LoadedCompanions::default(), diagnostics);
    sort(&mut diagnostics);
    let device = if shape.is_whole { shape.readable } else { None };
    LoadedDevice { device, file: shape.file, diagnostics }
}

/// Loads and checks the tests beside a spec. `name` is the path for messages; `companions` has the recordings.
pub fn load_tests(name: &str, bytes: &[u8], companions: &dyn Companions) -> LoadedTests {
    let shape = read_shape::<TestFile>(name, bytes, Document::Tests, RENAMED);
    let mut diagnostics = shape.findings;
    if let Some(file) = &shape.readable {
        let mut found = check::check_tests(&shape.file, &file.tests);
        found.extend(companions::recordings(&file.tests, &shape.file, companions));
        diagnostics.extend(found.into_iter().filter(|finding| !prune::is_consequence(finding, &shape.offenders)));
    }
    diagnostics = allow::apply(&shape.file, &LoadedCompanions::default(), diagnostics);
    sort(&mut diagnostics);
    let tests = if shape.is_whole { shape.readable } else { None };
    LoadedTests { tests, file: shape.file, diagnostics }
}

/// The finding of tests whose spec is not there.
pub fn tests_without_spec(file: &SpecFile, spec: &str) -> Diagnostic {
    let message = format!("there is no spec `{spec}` beside these tests");
    Diagnostic::new(codes::TESTS_WITHOUT_SPEC, file.key_span("/tests"), message)
        .at("/tests")
        .help("the tests of `bookings.yaml` are in `bookings.tests.yaml`, in the same folder")
}

/// Whether the root of a file is that of a device config.
pub fn is_device_config(file: &SpecFile) -> bool {
    const ONLY_THERE: [&str; 7] = ["specs", "state", "limits", "http", "log", "telemetry", "fleet"];
    const NEVER_THERE: [&str; 4] = ["id", "source", "table", "fields"];
    file.value.as_object().is_some_and(|root| {
        ONLY_THERE.iter().any(|key| root.contains_key(*key)) && !NEVER_THERE.iter().any(|key| root.contains_key(*key))
    })
}

/// What the text and the schema say of a file.
struct Shape<T> {
    file: SpecFile,
    findings: Vec<Diagnostic>,
    /// The typed value; of a file with findings, what is left without the offenders.
    readable: Option<T>,
    offenders: Vec<schema::Offender>,
    /// Whether `readable` is all of the file.
    is_whole: bool,
}

fn read_shape<T: DeserializeOwned>(name: &str, bytes: &[u8], document: Document, renamed: &[RenamedKey]) -> Shape<T> {
    let (text, unreadable) = Text::decode(name, bytes);
    if let Some(finding) = unreadable {
        return nothing(SpecFile::unreadable(text), vec![finding]);
    }
    let (mut file, mut findings) = SpecFile::parse(text);
    if file.value.is_null() {
        if findings.is_empty() {
            findings.push(Diagnostic::new(codes::EMPTY_FILE, 0..0, "the file is empty"));
        }
        return nothing(file, findings);
    }
    findings.extend(renamed::read(&mut file, document, renamed));
    let outcome = schema::validate(&file, &file.value, document);
    // A secret in the file is said before anything that would show it; otherwise what is wrong with the text of a
    // value says more than what the schema makes of it.
    let secret = |pointer: &str| {
        outcome.findings.iter().any(|finding| finding.code == codes::LITERAL_SECRET && finding.pointer == pointer)
    };
    findings.retain(|finding| !secret(&finding.pointer));
    let textual: Vec<String> = findings.iter().map(|finding| finding.pointer.clone()).collect();
    findings.extend(outcome.findings.into_iter().filter(|finding| !textual.contains(&finding.pointer)));
    if outcome.offenders.is_empty() {
        let (readable, is_whole) = match T::deserialize(&file.value) {
            Ok(value) => (Some(value), true),
            Err(_) if has_errors(&findings) => (None, false),
            Err(error) => {
                findings.push(Diagnostic::new(codes::BAD_SHAPE, file.key_span(""), error.to_string()));
                (None, false)
            }
        };
        return Shape { file, findings, readable, offenders: Vec::new(), is_whole };
    }
    let (value, offenders) = prune::prune(&file, outcome.offenders, document);
    Shape { readable: T::deserialize(value).ok(), file, findings, offenders, is_whole: false }
}

fn nothing<T>(file: SpecFile, findings: Vec<Diagnostic>) -> Shape<T> {
    Shape { file, findings, readable: None, offenders: Vec::new(), is_whole: false }
}

fn sort(findings: &mut [Diagnostic]) {
    findings.sort_by(|left, right| {
        let place = |finding: &Diagnostic| (finding.companion.is_some(), finding.span.start, finding.span.end);
        place(left).cmp(&place(right)).then(left.code.cmp(right.code))
    });
}

/// A file as text and value, before it is known what it is. Findings come with [`load`] or [`load_device`].
pub fn peek(name: &str, bytes: &[u8]) -> SpecFile {
    let (text, _) = Text::decode(name, bytes);
    SpecFile::parse(Arc::clone(&text)).0
}

pub(crate) fn parent_of(pointer: &str) -> &str {
    pointer.rfind('/').map_or("", |slash| &pointer[..slash])
}

/// Removes a value; the order of what is left does not matter to the types.
pub(crate) fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    let key = key.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(object)) => object.swap_remove(&key).is_some(),
        _ => false,
    }
}
