//! Rewrites what is derived from the types into the form that editors and people get one precise error from.

use serde_json::{Map, Value, json};

/// The schema with an example for every property. Only people read them: a spec is validated without.
pub(super) fn with_examples(schema: &Value) -> Value {
    let mut dressed = schema.clone();
    give_examples(&mut dressed, schema);
    dressed
}

/// Applies every rewriting that says what is valid.
pub(super) fn rewrite(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(rewrite);
            drop_null(object);
            join_variants(object);
            state_default(object);
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}

/// An optional key may be left out; it is never null.
fn drop_null(object: &mut Map<String, Value>) {
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(branches)) = object.get("anyOf")
        && let [some, null] = branches.as_slice()
        && null == &json!({"type": "null"})
    {
        let some = some.clone();
        object.remove("anyOf");
        match some {
            Value::Object(some) if some.contains_key("$ref") => {
                object.insert("allOf".to_owned(), json!([some]));
            }
            Value::Object(some) => {
                for (key, value) in some {
                    object.entry(key).or_insert(value);
                }
            }
            _ => {}
        }
    }
}

/// `oneOf` over the variants of an enum, in the form that its variants have.
fn join_variants(object: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = object.get("oneOf") else { return };
    let variants = variants.clone();
    if variants.iter().all(|variant| variant.pointer("/properties/type/const").is_some()) {
        tagged(object, variants);
    } else if variants.iter().all(|variant| variant["type"] == "string") {
        names(object, &variants);
    } else if variants.iter().all(|variant| variant["required"].as_array().is_some_and(|keys| keys.len() == 1))
        && variants.iter().all(|variant| variant["properties"].is_object())
    {
        one_key(object, variants);
    }
}

/// An object whose `type` says which further keys it has.
fn tagged(object: &mut Map<String, Value>, variants: Vec<Value>) {
    let mut names = Vec::new();
    let mut meanings = Vec::new();
    let mut branches = Vec::new();
    for mut variant in variants {
        let name = variant["properties"]["type"]["const"].clone();
        variant["properties"]["type"] = json!({"const": name, "description": "The kind.", "examples": [name]});
        meanings.push(variant["description"].clone());
        branches.push(json!({
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": variant
        }));
        names.push(name);
    }
    object.remove("oneOf");
    object.insert("type".to_owned(), json!("object"));
    object.insert("required".to_owned(), json!(["type"]));
    let kind = json!({"description": "The kind.", "enum": names, "enumDescriptions": meanings, "examples": [names[0]]});
    object.insert("properties".to_owned(), json!({"type": kind}));
    object.insert("allOf".to_owned(), Value::Array(branches));
}

/// A choice of names.
fn names(object: &mut Map<String, Value>, variants: &[Value]) {
    let mut names = Vec::new();
    let mut meanings = Vec::new();
    for variant in variants {
        let values = match (&variant["const"], &variant["enum"]) {
            (Value::Null, Value::Array(values)) => values.clone(),
            (name, _) => vec![name.clone()],
        };
        for value in values {
            meanings.push(variant.get("description").cloned().unwrap_or(json!("")));
            names.push(value);
        }
    }
    object.remove("oneOf");
    object.insert("type".to_owned(), json!("string"));
    object.insert("enum".to_owned(), json!(names));
    object.insert("enumDescriptions".to_owned(), json!(meanings));
}

/// An object with exactly one of several keys.
fn one_key(object: &mut Map<String, Value>, variants: Vec<Value>) {
    let mut properties = Map::new();
    for mut variant in variants {
        let name = variant["required"][0].as_str().unwrap_or_default().to_owned();
        let inner = variant["properties"][&name].take();
        let mut property = Map::new();
        for key in ["description", "examples"] {
            if let Some(value) = variant.get(key) {
                property.insert(key.to_owned(), value.clone());
            }
        }
        property.insert("allOf".to_owned(), json!([inner]));
        properties.insert(name, Value::Object(property));
    }
    object.remove("oneOf");
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Value::Object(properties));
    object.insert("additionalProperties".to_owned(), json!(false));
    object.insert("minProperties".to_owned(), json!(1));
    object.insert("maxProperties".to_owned(), json!(1));
}

/// The default is written once, in the description: ``Default `5m` `` or `Default 500`.
fn state_default(object: &mut Map<String, Value>) {
    let Some(description) = object.get("description").and_then(Value::as_str) else { return };
    let default = if let Some((_, stated)) = description.split_once("Default `") {
        json!(stated.split('`').next().unwrap_or_default())
    } else if let Some((_, stated)) = description.split_once("Default ") {
        let digits = stated.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
        let Ok(number) = digits.parse::<u64>() else { return };
        json!(number)
    } else {
        return;
    };
    object.insert("default".to_owned(), default);
}

/// Gives every property an example, made from the examples of what it refers to.
fn give_examples(schema: &mut Value, root: &Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                for property in properties.values_mut().filter_map(Value::as_object_mut) {
                    if !property.contains_key("examples")
                        && property.contains_key("description")
                        && let Some(example) = example_of(&Value::Object(property.clone()), root)
                    {
                        property.insert("examples".to_owned(), json!([example]));
                    }
                }
            }
            object.values_mut().for_each(|child| give_examples(child, root));
        }
        Value::Array(items) => items.iter_mut().for_each(|child| give_examples(child, root)),
        _ => {}
    }
}

fn example_of(schema: &Value, root: &Value) -> Option<Value> {
    if let Some(example) = schema.pointer("/examples/0").or_else(|| schema.pointer("/enum/0")) {
        return Some(example.clone());
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return example_of(root.pointer(reference.trim_start_matches('#'))?, root);
    }
    if let Some(first) = schema.pointer("/allOf/0") {
        return example_of(first.get("then").unwrap_or(first), root);
    }
    if schema["type"] == "array" {
        return Some(json!([example_of(&schema["items"], root)?]));
    }
    let properties = schema["properties"].as_object()?;
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let chosen = properties
        .iter()
        .enumerate()
        .filter(|(place, (name, _))| if required.is_empty() { *place == 0 } else { required.contains(&name.as_str()) });
    chosen
        .map(|(_, (name, property))| {
            Some((name.clone(), property.get("const").cloned().or(example_of(property, root))?))
        })
        .collect::<Option<Map<_, _>>>()
        .map(Value::Object)
}
