use super::*;

/// Calls a function with the pointer and schema of every property.
fn each_property(schema: &Value, pointer: &str, visit: &mut dyn FnMut(&str, &Value)) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                let here = format!("{pointer}/{key}");
                if key == "properties" {
                    for (name, property) in value.as_object().into_iter().flatten() {
                        // Conditions repeat a property only to look at it.
                        if property.get("const").is_none() && property.get("required").is_none() {
                            visit(&format!("{here}/{name}"), property);
                        }
                    }
                }
                if key != "examples" && key != "default" {
                    each_property(value, &here, visit);
                }
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                each_property(value, &format!("{pointer}/{index}"), visit);
            }
        }
        _ => {}
    }
}

#[test]
fn every_property_has_a_description_and_an_example_that_fits() {
    for schema in [Document::Pipeline, Document::Device, Document::Tests].map(with_examples) {
        let mut missing = Vec::new();
        each_property(&schema, "", &mut |pointer, property| {
            if property["description"].as_str().is_none_or(str::is_empty) {
                missing.push(format!("{pointer}: no description"));
            }
            let examples = property["examples"].as_array().cloned().unwrap_or_default();
            if examples.is_empty() {
                missing.push(format!("{pointer}: no example"));
            }
            let mut rooted = property.clone();
            if let Some(rooted) = rooted.as_object_mut() {
                rooted.insert("definitions".to_owned(), schema["definitions"].clone());
            }
            let default = property.get("default").filter(|default| default.is_string() || default.is_number());
            for example in examples.iter().chain(default) {
                if !jsonschema::is_valid(&rooted, example) {
                    missing.push(format!("{pointer}: {example} does not fit"));
                }
            }
        });
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

#[test]
fn the_files_equal_what_the_types_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let bare = bare_files().map(|(name, content)| (format!("bare/{name}"), content));
    for (name, content) in files().into_iter().chain(bare) {
        let file = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(
            file == content,
            "schemas/{name} is out of date; rewrite it: \
             cargo run -p engine --no-default-features --bin validate-spec -- --write-schemas schemas"
        );
    }
}

#[test]
fn every_text_to_insert_has_a_place() {
    let by_hand: serde_json::Map<String, Value> = serde_json::from_str(editor::SNIPPETS).expect("JSON");
    assert!(!by_hand.is_empty());
    let lost: Vec<&String> = by_hand.keys().filter(|pointer| PIPELINE.pointer(pointer).is_none()).collect();
    assert!(lost.is_empty(), "{lost:?} are not in the schema");
}

#[test]
fn an_editor_shows_what_every_key_means() {
    for schema in [&*PIPELINE, &*DEVICE] {
        let dressed = editor::dress(schema);
        each_property(&dressed, "", &mut |pointer, property| {
            // A field of the other table type is refused, and there is nothing to say.
            let says = |key: &str| property[key].as_str().is_some_and(|text| !text.is_empty());
            let is_block_of_rules =
                pointer.ends_with("/then/properties/fields") || pointer.ends_with("/else/properties/fields");
            assert!(
                *property == Value::Bool(false)
                    || is_block_of_rules
                    || says("description") && says("markdownDescription"),
                "{pointer}: {property}"
            );
        });
    }
}
