//! Rules over several specs.

use std::collections::HashMap;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::load::Loaded;

/// Findings over all specs of a device: the index of a spec, and the finding. All state hangs on the id, so two
/// pipelines of one id would overwrite each other.
pub fn check_set(loaded: &[Loaded]) -> Vec<(usize, Diagnostic)> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut findings = Vec::new();
    for (index, loaded_spec) in loaded.iter().enumerate() {
        let Some(id) = loaded_spec.file.value.get("id").and_then(serde_json::Value::as_str) else { continue };
        match first.get(id) {
            None => {
                first.insert(id, index);
            }
            Some(other) => {
                let message = format!("the id `{id}` is also that of {}", loaded[*other].file.text.name);
                let span = loaded_spec.file.value_span("/id");
                let finding = Diagnostic::new(codes::DUPLICATE_ID, span, message)
                    .at("/id")
                    .help("give every pipeline an id of its own: all state hangs on it");
                findings.push((index, finding));
            }
        }
    }
    findings
}
