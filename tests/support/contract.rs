//! `schemas/delivery.openapi.yaml` as checks.

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

/// The delivery contract.
pub struct Contract {
    document: Value,
    delivery: Validator,
    results: Validator,
}

impl Contract {
    /// Reads the document in `schemas/`; panics if it is not sound, for it is part of the repository.
    pub fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/delivery.openapi.yaml");
        let text = std::fs::read_to_string(&path).expect("the contract is in the repository");
        let document: Value = serde_yaml::from_str(&text).expect("the contract is YAML");
        let (delivery, results) = (validator(&document, "Delivery"), validator(&document, "Results"));
        Self { document, delivery, results }
    }

    /// The whole document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What is wrong with the body of a request.
    pub fn check_delivery(&self, body: &Value) -> Vec<String> {
        findings(&self.delivery, body)
    }

    /// What is wrong with the body of an answer that accepts.
    pub fn check_results(&self, body: &Value) -> Vec<String> {
        findings(&self.results, body)
    }

    /// What is wrong with a value of one of the named schemas.
    pub fn check(&self, schema: &str, value: &Value) -> Vec<String> {
        findings(&validator(&self.document, schema), value)
    }
}

fn validator(document: &Value, schema: &str) -> Validator {
    let reference = format!("#/components/schemas/{schema}");
    let schema = json!({ "$ref": reference, "components": document["components"] });
    jsonschema::options().should_validate_formats(true).build(&schema).expect("the contract's schemas are sound")
}

fn findings(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}
