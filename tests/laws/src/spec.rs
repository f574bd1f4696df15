//! A spec or a device config of any bytes.

use std::path::Path;

use engine_core::plan::{Plan, PlanInput};
use engine_core::ports::References;
use engine_spec::model::Spec;
use engine_spec::render::{FileFindings, github, json, sarif, text};
use engine_spec::scalar::Reference;
use engine_spec::text::Text;
use engine_spec::{Diagnostic, NoCompanions, codes, load, load_device};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

/// Knows no secret.
pub(crate) struct NoReferences;

impl References for NoReferences {
    fn resolve(&self, _: &Reference) -> Result<SecretString, String> {
        Err("there are no secrets here".to_owned())
    }
}

/// There is a spec or an error; every finding has its code and its place, and can be shown in every form; what the
/// schema accepts is what the types decode; and of what has no error a plan can be made.
pub fn holds(input: &[u8]) {
    let loaded = load("fuzzed.yaml", input, &NoCompanions);
    assert!(loaded.spec.is_some() || loaded.has_errors(), "neither a spec nor an error");
    let shape = loaded.diagnostics.iter().find(|finding| finding.code == codes::BAD_SHAPE);
    assert!(shape.is_none(), "the schema accepts what the types do not decode: {shape:?}");
    if loaded.spec.is_some() {
        assert!(Spec::deserialize(&loaded.file.value).is_ok(), "a spec that its own value does not give");
    }
    if let (Some(spec), false) = (&loaded.spec, loaded.has_errors()) {
        let input = PlanInput {
            spec,
            value: &loaded.file.value,
            sql: loaded.companions.sql.as_deref(),
            machines: loaded.companions.machines.as_ref(),
            folder: Path::new("."),
            default_destination: None,
            offline: true,
        };
        // Offline, and without an error: what is left to be wrong is what only the surroundings know.
        if let Err(errors) = Plan::new(&input, &NoReferences) {
            assert!(!errors.is_empty(), "no plan, and no reason");
        }
    }
    shows(loaded.file.text, loaded.diagnostics);
    let device = load_device("fuzzed.yaml", input);
    assert!(device.device.is_some() || device.has_errors(), "neither a device config nor an error");
    shows(device.file.text, device.diagnostics);
}

/// Every finding is in its place, and every form of output can be read.
fn shows(text: std::sync::Arc<Text>, findings: Vec<Diagnostic>) {
    for finding in &findings {
        assert!(codes::find(finding.code).is_some(), "`{}` is in no list of codes", finding.code);
        assert!(!finding.message.is_empty(), "`{}` without a word", finding.code);
        let place: &Text = finding.companion.as_deref().unwrap_or(&text);
        let inside = finding.span.start <= finding.span.end && finding.span.end <= place.text.len();
        assert!(inside, "`{}` lies outside of the text: {:?}", finding.code, finding.span);
        let whole = place.text.is_char_boundary(finding.span.start) && place.text.is_char_boundary(finding.span.end);
        assert!(whole, "`{}` splits a character: {:?}", finding.code, finding.span);
    }
    let count = findings.len();
    let files = [FileFindings { text, findings }];
    for colours in [false, true] {
        let shown = text::render(&files, colours);
        assert!(count == 0 || !shown.is_empty(), "{count} findings, and nothing to read");
    }
    let lines = github::render(&files).lines().count();
    assert_eq!(lines, count, "a finding is one line for GitHub");
    for shown in [json::render(&files), sarif::render(&files)] {
        let _: Value = serde_json::from_str(&shown).expect("the findings are JSON");
    }
}
