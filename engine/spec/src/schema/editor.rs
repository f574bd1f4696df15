//! What only editors read of a schema: titles, Markdown, which keys are offered where, and texts to insert.
//!
//! Nothing here changes what is valid, but for one thing: a field of the other table type is marked in the editor, as
//! the rules in [`crate::check`] mark it. Language servers offer what every schema says that a value was held against;
//! a key that only some choice allows is therefore hidden where it is defined, and offered where the choice was made.

mod insert;

use serde_json::{Map, Value, json};

use self::insert::{block, labelled, tab_stops};

/// Texts to insert, by the pointer of the schema that they are for.
pub(super) const SNIPPETS: &str = include_str!("snippets.json");
/// What is said of anything that should be a reference and is none.
const A_REFERENCE: &str = "takes a reference: { env: NAME }, { file: PATH } or { credential: NAME }. \
                           A secret is never written into a spec.";
/// Keys of `fields` that an order table has and a booking table has not.
const OF_ORDERS: [&str; 2] = ["start", "end"];
/// Keys of `fields` that a booking table has and an order table has not.
const OF_BOOKINGS: [&str; 2] = ["timestamp", "event"];
/// Keys of `sync` that are of use in each mode.
const OF_MODES: [(&str, &[&str]); 3] = [
    ("window", &["lookback", "lookahead", "column", "deletes", "delete_limit", "start", "slice"]),
    ("cursor", &["cursor", "overlap", "start"]),
    ("full", &["deletes", "delete_limit"]),
];
/// Optional keys that a new block is begun with all the same.
const BEGUN_WITH: [&str; 7] = ["host", "database", "password", "token", "timezone", "request", "records"];

/// A schema with all that helps in an editor.
pub(super) fn dress(schema: &Value) -> Value {
    let mut dressed = schema.clone();
    each_schema(&mut dressed, &mut |node| describe(node, schema));
    for (name, definition) in dressed["definitions"].as_object_mut().into_iter().flatten() {
        let Value::Object(definition) = definition else { continue };
        if definition.contains_key("properties") {
            definition.insert("title".to_owned(), json!(title_of(name)));
        }
        if matches!(name.as_str(), "Source" | "Destination") {
            begin_by_type(definition, name, &schema["definitions"][name]);
        }
        leave_the_word_to_whoever_refers(definition);
    }
    add_snippets(&mut dressed, "/definitions/");
    if dressed["properties"].get("table").is_some() {
        add_snippets(&mut dressed, "");
        offer_by_table(&mut dressed);
        offer_where(&mut dressed["definitions"]["Sync"], "mode", &OF_MODES, OF_MODES[0].1);
        offer_where(&mut dressed, "table", &[("booking", &["pairing"])], &["pairing"]);
    }
    dressed
}

/// What a definition says of itself becomes a comment: an editor would show it instead of what a key says.
fn leave_the_word_to_whoever_refers(definition: &mut Map<String, Value>) {
    definition.remove("markdownDescription");
    if let Some(description) = definition.remove("description") {
        definition.insert("$comment".to_owned(), description);
    }
}

/// The title of a definition: `TextField` becomes `Text field`.
pub fn title_of(name: &str) -> String {
    match name {
        "Tls" => return "TLS".to_owned(),
        "OAuth2" => return "OAuth 2.0".to_owned(),
        "Http" => return "HTTP".to_owned(),
        "SpecTest" => return "Test".to_owned(),
        _ => {}
    }
    let mut out = String::new();
    for char in name.trim_end_matches("Keys").chars() {
        if char.is_uppercase() && !out.is_empty() {
            out.push(' ');
            out.extend(char.to_lowercase());
        } else {
            out.push(char);
        }
    }
    out
}

/// Calls a function with every schema in a schema, the inner ones first.
pub(super) fn each_schema(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Value::Object(node) = schema else { return };
    for (key, value) in node.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "definitions", Value::Object(named)) => {
                named.values_mut().for_each(|schema| each_schema(schema, visit));
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(several)) => {
                several.iter_mut().for_each(|schema| each_schema(schema, visit));
            }
            ("items" | "additionalProperties" | "if" | "then" | "else" | "not", one) => each_schema(one, visit),
            _ => {}
        }
    }
    visit(node);
}

/// Descriptions as Markdown, and examples in the form that an editor can insert.
fn describe(node: &mut Map<String, Value>, root: &Value) {
    if let Some(meanings) = node.get("enumDescriptions").cloned() {
        node.insert("markdownEnumDescriptions".to_owned(), meanings);
    }
    // An empty list or map says nothing, and would be inserted as `[]`.
    if node.get("default").is_some_and(|default| *default == json!([]) || *default == json!({})) {
        node.remove("default");
    }
    let target = resolve(node, root);
    if node.get("title").is_some_and(|title| title == "reference") {
        node.insert("errorMessage".to_owned(), json!(A_REFERENCE));
    } else if let Some(kind) = target["type"].as_str().filter(|_| target["title"] != "reference") {
        // What the key of a block inserts depends on its type.
        node.entry("type").or_insert(json!(kind));
    }
    if let Some(message) = wanted_form(node) {
        node.insert("patternErrorMessage".to_owned(), json!(message));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = node.get_mut(key) {
            speak_for(inner, root);
        }
    }
    let choices = choices(node, root);
    let is_choice = node.contains_key("const") || node.contains_key("enum");
    let has_choice = target["enum"].as_array().is_some_and(|names| names.len() > 1) || !choices.is_empty();
    let examples = match node.remove("examples") {
        Some(Value::Array(examples)) if !is_choice && !has_choice => examples,
        _ => Vec::new(),
    };
    let (flat, nested): (Vec<Value>, Vec<Value>) = examples.into_iter().partition(is_flat);
    if let Some(description) = node.get("description").and_then(Value::as_str) {
        let shown: String =
            nested.iter().take(1).map(|example| format!("\n\n```yaml\n{}```", block(example))).collect();
        node.insert("markdownDescription".to_owned(), json!(format!("{description}{shown}")));
    }
    // A list is inserted item by item.
    let (lists, maps): (Vec<Value>, Vec<Value>) = nested.into_iter().partition(Value::is_array);
    if let (Some(first), Some(Value::Object(items))) =
        (lists.iter().find_map(|list| list.get(0)), node.get_mut("items"))
        && !items.contains_key("allOf")
    {
        items.insert("defaultSnippets".to_owned(), labelled(first).into_iter().collect());
    }
    let snippets: Vec<Value> = choices.into_iter().chain(maps.iter().filter_map(labelled)).collect();
    if !flat.is_empty() {
        node.insert("examples".to_owned(), Value::Array(flat));
    }
    if !snippets.is_empty() {
        node.insert("defaultSnippets".to_owned(), Value::Array(snippets));
    }
}

/// The form of a text in words, where a pattern would be shown otherwise.
fn wanted_form(node: &Map<String, Value>) -> Option<&'static str> {
    let pattern = node.get("pattern")?.as_str()?;
    match node.get("format").and_then(Value::as_str) {
        Some("Period") => Some("not a period; for example 90s, 5m, 1h30m, 14d"),
        Some("Percent") => Some("not a share; for example 5%"),
        Some("ByteSize") => Some("not a size; for example 512KiB, 1MiB"),
        Some("Ident") => Some("lower-case letters, digits and hyphens, at most 63, beginning with a letter or digit"),
        Some("ActionOrPeriod") => Some("neither reject, report, allow nor a period such as 5m"),
        _ if pattern.contains("iso8601") => {
            Some("neither iso8601, epoch_s, epoch_ms, yyyymmdd, hhmmss, seconds_of_day nor a strftime pattern with %")
        }
        _ => None,
    }
}

/// A bare reference says what its definition says, which is silent itself.
fn speak_for(inner: &mut Value, root: &Value) {
    let Some(reference) = inner["$ref"].as_str() else { return };
    let Some(definition) = root.pointer(reference.trim_start_matches('#')) else { return };
    *inner = json!({"markdownDescription": definition["description"], "allOf": [{"$ref": reference}]});
}

/// What a schema is about: what it refers to, or itself.
fn resolve<'a>(node: &'a Map<String, Value>, root: &'a Value) -> Value {
    let reference = node.get("allOf").and_then(|all| all[0]["$ref"].as_str());
    match reference {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).cloned().unwrap_or_default(),
        None => Value::Object(node.clone()),
    }
}

/// The names that a value may have where a map may stand as well: no language server looks for them there.
fn choices(node: &Map<String, Value>, root: &Value) -> Vec<Value> {
    let branches = ["then", "else"].into_iter().filter_map(|branch| node.get(branch));
    let resolved = branches.map(|branch| match branch["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap_or(branch),
        None => branch,
    });
    resolved.flat_map(names).collect()
}

/// The names of an enum as snippets, with what they mean.
fn names(choice: &Value) -> Vec<Value> {
    let names = choice["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names
        .enumerate()
        .map(|(index, name)| {
            let meaning = choice["enumDescriptions"].get(index).cloned().unwrap_or_default();
            json!({"label": name, "description": meaning, "body": name})
        })
        .collect()
}

/// Whether a value has no map in it.
fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => items.iter().all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    }
}

/// A block whose `type` decides its keys: titles for its kinds, and for each a text that begins it.
fn begin_by_type(definition: &mut Map<String, Value>, name: &str, bare: &Value) {
    let title = title_of(name);
    let mut snippets = Vec::new();
    let Some(Value::Array(kinds)) = definition.get_mut("allOf") else { return };
    for (kind, bare) in kinds.iter_mut().zip(bare["allOf"].as_array().into_iter().flatten()) {
        let of = bare["if"]["properties"]["type"]["const"].as_str().unwrap_or_default();
        if let Some(block) = kind["then"].as_object_mut() {
            block.insert("title".to_owned(), json!(format!("{title}: {of}")));
            leave_the_word_to_whoever_refers(block);
        }
        let required: Vec<&str> =
            bare["then"]["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut body = Map::from_iter([("type".to_owned(), json!(of))]);
        let mut stop = 1;
        for (key, property) in bare["then"]["properties"].as_object().into_iter().flatten() {
            let login = name == "Destination" && key == "password";
            if key != "type" && !login && (required.contains(&key.as_str()) || BEGUN_WITH.contains(&key.as_str())) {
                body.insert(key.clone(), tab_stops(&property["examples"][0], &mut stop));
            }
        }
        snippets.push(json!({"label": of, "description": bare["then"]["description"], "body": body}));
    }
    kinds.push(json!({"if": {"required": ["type"]}, "else": {"defaultSnippets": snippets}}));
}

/// Hides keys that only some values of another key allow, and offers them where it has such a value, or has none.
fn offer_where(block: &mut Value, by: &str, cases: &[(&str, &[&str])], undecided: &[&str]) {
    let properties = block["properties"].clone();
    let offered = |keys: &[&str]| -> Value {
        json!({"properties": keys.iter().map(|key| ((*key).to_owned(), only_offered(&properties[*key]))).collect::<Map<_, _>>()})
    };
    for key in cases.iter().flat_map(|(_, keys)| keys.iter()).chain(undecided) {
        hide(&mut block["properties"][*key]);
    }
    let mut all = block["allOf"].as_array().cloned().unwrap_or_default();
    for (value, keys) in cases {
        all.push(json!({"if": {"properties": {by: {"const": value}}, "required": [by]}, "then": offered(keys)}));
    }
    all.push(json!({"if": {"required": [by]}, "else": offered(undecided)}));
    block["allOf"] = Value::Array(all);
}

/// A key that is offered elsewhere, with all that can be inserted.
fn hide(property: &mut Value) {
    if let Some(property) = property.as_object_mut() {
        property.retain(|key, _| !["examples", "default", "defaultSnippets"].contains(&key.as_str()));
        property.insert("doNotSuggest".to_owned(), json!(true));
    }
}

/// What is said of a key, without any rule.
fn only_offered(property: &Value) -> Value {
    let said = ["description", "markdownDescription", "default", "examples", "defaultSnippets"];
    let type_of_blocks = (property["type"] == "object").then(|| ("type".to_owned(), json!("object")));
    let said = said.iter().filter_map(|key| Some(((*key).to_owned(), property.get(*key)?.clone())));
    Value::Object(said.chain(type_of_blocks).collect())
}

/// The fields that only one type of table has are offered there, and marked in the other.
fn offer_by_table(schema: &mut Value) {
    let fields = schema["definitions"]["Fields"]["properties"].clone();
    let all: Vec<&str> = OF_ORDERS.into_iter().chain(OF_BOOKINGS).collect();
    for key in &all {
        hide(&mut schema["definitions"]["Fields"]["properties"][*key]);
    }
    let offered = |keys: &[&str]| -> Map<String, Value> {
        keys.iter().map(|key| ((*key).to_owned(), only_offered(&fields[*key]))).collect()
    };
    for (index, (title, own, other)) in
        [("Fields of an order table", OF_ORDERS, OF_BOOKINGS), ("Fields of a booking table", OF_BOOKINGS, OF_ORDERS)]
            .into_iter()
            .enumerate()
    {
        let block = &mut schema["allOf"][index]["then"]["properties"]["fields"];
        let mut properties = offered(&own);
        properties.extend(other.map(|key| (key.to_owned(), json!(false))));
        block["title"] = json!(title);
        block["properties"] = Value::Object(properties);
        block["doNotSuggest"] = json!(true);
    }
    if let Some(rules) = schema["allOf"].as_array_mut() {
        rules.push(json!({
            "if": {"required": ["table"]},
            "else": {"properties": {"fields": {"doNotSuggest": true, "properties": offered(&all)}}}
        }));
    }
}

/// Puts what is written by hand for places below one where it belongs, instead of what was made from examples.
fn add_snippets(schema: &mut Value, below: &str) {
    let by_hand: Map<String, Value> = serde_json::from_str(SNIPPETS).unwrap_or_default();
    for (pointer, snippets) in by_hand.into_iter().filter(|(pointer, _)| pointer.starts_with(below)) {
        if let Some(node) = schema.pointer_mut(&pointer).and_then(Value::as_object_mut) {
            node.remove("examples");
            node.insert("defaultSnippets".to_owned(), snippets);
        }
    }
}
