//! References: where they are, and what is said of them.

use serde::Deserialize;
use serde_json::Value;

use super::Checker;
use crate::codes;
use crate::diagnostic::child;
use crate::scalar::Reference;
use crate::yaml::SpecFile;

/// A reference and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceAt {
    /// JSON pointer.
    pub pointer: String,
    /// What it refers to.
    pub reference: Reference,
}

/// Every reference of a spec or device config, in the order of the file.
pub fn references(file: &SpecFile) -> Vec<ReferenceAt> {
    let mut found = Vec::new();
    for root in ["source", "destination", "state", "telemetry", "http"] {
        if let Some(value) = file.value.get(root) {
            collect(value, format!("/{root}"), &mut found);
        }
    }
    found
}

fn collect(value: &Value, pointer: String, found: &mut Vec<ReferenceAt>) {
    // What a request sends may look like a reference, but is not one.
    if matches!(pointer.as_str(), "/source/request/body" | "/source/request/query") {
        return;
    }
    let Value::Object(object) = value else { return };
    if let Ok(reference) = Reference::deserialize(value) {
        found.push(ReferenceAt { pointer, reference });
        return;
    }
    for (key, inner) in object {
        collect(inner, child(&pointer, key), found);
    }
}

fn is_secret(pointer: &str) -> bool {
    let mut parts = pointer.rsplit('/');
    let last = parts.next().unwrap_or_default();
    let parent = parts.next().unwrap_or_default();
    matches!(last, "password" | "token" | "client_secret" | "bearer")
        || (parent == "header" && last == "value")
        || parent == "headers"
}

/// A secret with a default is a secret in the spec.
pub(crate) fn check(checker: &mut Checker<'_>) {
    for ReferenceAt { pointer, reference } in references(checker.file) {
        if let Reference::Env { name, default: Some(_) } = reference
            && is_secret(&pointer)
        {
            let message = format!("the default of `{name}` writes a secret into the spec");
            checker.value(codes::SECRET_DEFAULT, &format!("{pointer}/default"), message).help =
                Some("remove `default`: a device without the variable should not start".to_owned());
        }
    }
}
