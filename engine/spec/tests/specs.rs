//! The specs in `tests/specs`: valid ones have no findings; invalid ones have exactly those of their first line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine_spec::schema::Document;
use engine_spec::yaml::SpecFile;
use engine_spec::{Companions, Loaded, codes, load};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

struct Beside(PathBuf);

impl Companions for Beside {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(path)).map_err(|error| format!("{path}: {error}"))
    }
}

/// The specs of a folder by name, and how each loads.
fn specs(folder: &str) -> BTreeMap<String, (String, Loaded)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/specs").join(folder);
    let mut specs = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let loaded = load(&name, text.as_bytes(), &Beside(folder.clone()));
            specs.insert(name, (text, loaded));
        }
    }
    assert!(!specs.is_empty());
    specs
}

#[test]
fn valid_specs_have_no_findings() {
    for (name, (_, loaded)) in specs("valid") {
        assert_eq!(loaded.diagnostics, [], "{name}");
        assert!(loaded.spec.is_some(), "{name}");
    }
}

/// What is there for editors changes no verdict, but for fields of the other table type: those a rule refuses.
#[test]
fn editors_and_the_loader_agree_on_what_is_valid() {
    let strict = engine_spec::schema::compile(Document::Pipeline.bare());
    let (_, text) = &engine_spec::schema::files()[0];
    let dressed = engine_spec::schema::compile(&serde_json::from_str(text).expect("JSON"));
    let mut refused = 0;
    for (name, (_, loaded)) in specs("valid").into_iter().chain(specs("invalid")) {
        let of_other_table = |finding: &engine_spec::Diagnostic| {
            finding.code == codes::WRONG_TABLE && finding.pointer.starts_with("/fields/")
        };
        let by_rule = loaded.diagnostics.iter().any(of_other_table);
        let value = &loaded.file.value;
        assert_eq!(dressed.is_valid(value), strict.is_valid(value) && !by_rule, "{name}");
        refused += usize::from(!dressed.is_valid(value));
    }
    assert!(refused > 10, "only {refused} specs were refused");
}

#[test]
fn invalid_specs_have_the_findings_of_their_first_line() {
    let mut wrong = Vec::new();
    for (name, (text, loaded)) in specs("invalid") {
        let first = text.lines().next().unwrap_or_default();
        let mut expected: Vec<&str> =
            first.strip_prefix("# expect: ").expect("a first line `# expect: codes`").split(' ').collect();
        let mut actual: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
        expected.sort_unstable();
        actual.sort_unstable();
        if actual != expected {
            wrong.push(format!("{name}: {:#?}", loaded.diagnostics));
        }
        for finding in &loaded.diagnostics {
            assert!(codes::find(finding.code).is_some(), "{}", finding.code);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ten_faults_show_with_their_places() {
    let (_, loaded) = &specs("invalid")["ten_faults.yaml"];
    let places: Vec<(usize, String)> = loaded
        .diagnostics
        .iter()
        .map(|finding| (loaded.file.text.line_column(finding.span.start).line, finding.path()))
        .collect();
    let expected = [
        (4, "shedule"),
        (5, "labels.country"),
        (11, "source.password"),
        (12, "source.timezone"),
        (13, "source.timeouts.connect"),
        (18, "query.sql"),
        (22, "fields.order_code.transform[0].extract"),
        (25, "fields.event.map.A"),
        (26, "sync.overlap"),
        (29, "destination.url"),
    ];
    assert_eq!(places, expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn another_reader_of_yaml_sees_the_same_values() {
    for (name, (text, loaded)) in specs("valid") {
        let mut other: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        other.apply_merge().expect("merges");
        assert_eq!(serde_json::to_value(other).expect("text keys"), loaded.file.value, "{name}");
    }
}

/// Pointers of every value of a document, those of free-form blocks excepted.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    if at == "/tests" || at == "/source/request/body" {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                pointers(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                pointers(inner, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
    if !at.is_empty() {
        found.push(at);
    }
}

fn mutate(value: &mut Value, pointer: &str, kind: usize) {
    let replacements = [
        json!(null),
        json!("text"),
        json!(7),
        json!(-1),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
        json!({"env": "A"}),
        json!(["trim"]),
        json!("5m"),
    ];
    if kind < replacements.len() {
        if let Some(place) = value.pointer_mut(pointer) {
            *place = replacements[kind].clone();
        }
        return;
    }
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    if let Some(Value::Object(object)) = value.pointer_mut(parent)
        && let Some(removed) = object.shift_remove(key)
    {
        match kind - replacements.len() {
            0 => {}
            1 => drop(object.insert(format!("{key}_x"), removed)),
            _ => drop((object.insert(key.to_owned(), removed.clone()), object.insert("column".to_owned(), removed))),
        }
    }
}

/// What the schema refuses and the types take: the attributes that a table needs are optional in the types, and serde
/// reads a struct from a list as well as from a map.
fn only_types_are_lenient(schema: &jsonschema::Validator, value: &Value) -> bool {
    use jsonschema::error::ValidationErrorKind::{Required, Type};
    schema.iter_errors(value).all(|error| match error.kind() {
        Required { .. } => error.instance_path().as_str() == "/fields",
        Type { .. } => error.instance().is_array(),
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_schema_accepts_exactly_what_the_types_decode(which in 0usize..100, place in any::<prop::sample::Index>(), kind in 0usize..14) {
        thread_local! {
            static SPECS: Vec<SpecFile> = specs("valid").into_values().map(|(_, loaded)| loaded.file).collect();
            static SCHEMA: jsonschema::Validator = engine_spec::schema::compile(Document::Pipeline.bare());
        }
        let mut value = SPECS.with(|specs| specs[which % specs.len()].value.clone());
        let mut found = Vec::new();
        pointers(&value, String::new(), &mut found);
        let pointer = place.get(&found).clone();
        mutate(&mut value, &pointer, kind);
        let decoded = engine_spec::model::Spec::deserialize(&value);
        SCHEMA.with(|schema| {
            match decoded {
                Ok(_) => prop_assert!(
                    schema.is_valid(&value) || only_types_are_lenient(schema, &value),
                    "decoded, but refused: {} {}: {:?}", pointer, kind, schema.iter_errors(&value).map(|error| error.to_string()).collect::<Vec<_>>()
                ),
                Err(error) => prop_assert!(!schema.is_valid(&value), "accepted, but: {} {}: {}", pointer, kind, error),
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_text_makes_the_loader_panic(
        which in 0usize..100,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, "[ -~\\n\té€{}\\[\\]:#&*<|>'\"%-]{0,3}"), 1..6),
    ) {
        thread_local! {
            static TEXTS: Vec<String> = specs("valid").into_values().map(|(text, _)| text).collect();
        }
        let mut text: Vec<char> = TEXTS.with(|texts| texts[which % texts.len()].chars().collect());
        for (place, removed, inserted) in &edits {
            let at = place.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        let loaded = load("mutated.yaml", text.as_bytes(), &engine_spec::NoCompanions);
        let usable = loaded.spec.is_some() || loaded.has_errors();
        let file = engine_spec::render::FileFindings { text: loaded.file.text, findings: loaded.diagnostics };
        let shown = engine_spec::render::text::render(std::slice::from_ref(&file), false);
        prop_assert!(usable, "neither a spec nor an error: {shown}");
        engine_spec::render::sarif::render(&[file]);
    }
}
