use serde_json::json;

use super::*;
use crate::codes;

fn parse(text: &str) -> (SpecFile, Vec<Diagnostic>) {
    SpecFile::parse(Arc::new(Text::new("test.yaml", text)))
}

/// What lies at the first finding of each code.
fn check(text: &str, expected: &[(&str, &str)]) {
    let (file, findings) = parse(text);
    let actual: Vec<(&str, &str)> =
        findings.iter().map(|finding| (finding.code, &file.text.text[finding.span.clone()])).collect();
    assert_eq!(actual, expected, "{text}");
}

#[test]
fn every_place_is_found_by_its_pointer() {
    let (file, findings) = parse(concat!(
        "é: { b: [1, \"z\"] }\n",
        "map:\n  inner:\n    deep: x  # comment\n\n",
        "list:\n  - a\n  - b: 1\n    c: 2\n",
        "anchored: &here 5\nalias: *here\n",
        "flow: [] # none ]\nnested: { a: [1] } # one }\n",
    ));
    assert_eq!(findings, []);
    for (pointer, key, value) in [
        ("/é", "é", "{ b: [1, \"z\"] }"),
        ("/é/b/1", "", "\"z\""),
        ("/map", "map", "inner:\n    deep: x"),
        ("/map/inner/deep", "deep", "x"),
        ("/list/1", "", "b: 1\n    c: 2"),
        ("/list/1/c", "c", "2"),
        ("/anchored", "anchored", "5"),
        ("/alias", "alias", "5"),
        ("/flow", "flow", "[]"),
        ("/nested", "nested", "{ a: [1] }"),
        ("/nested/a", "a", "[1]"),
    ] {
        let (found, place) = file.place(pointer);
        let place = place.expect(pointer);
        assert_eq!(found, pointer);
        assert_eq!(&file.text.text[place.value.clone()], value, "{pointer}");
        assert_eq!(place.key.clone().map_or("", |key| &file.text.text[key]), key, "{pointer}");
    }
    assert_eq!(&file.text.text[file.key_span("/map/inner/missing")], "inner");
}

#[test]
fn merges_add_what_is_not_given() {
    let (file, findings) =
        parse("a: &a { x: 1, w: 2 }\nb: &b { w: 3, z: 4 }\nc: { <<: [*a, *b], x: 9 }\nd:\n  <<: *b\n");
    assert_eq!(findings, []);
    assert_eq!(file.value["c"], json!({"x": 9, "w": 2, "z": 4}));
    assert_eq!(file.value["d"], json!({"w": 3, "z": 4}));
    let (file, findings) = parse("a: { \"<<\": START, '<<': END }\n");
    assert_eq!(findings.len(), 1, "in quotes it is a key, and one that is given twice");
    assert_eq!(file.value["a"], json!({"<<": "START"}));
}

#[test]
fn findings_carry_their_places_and_the_reading_goes_on() {
    check(
        "a: yes\nb: 00123\na: 1\nc: !!str x\n1: ok\n1.5: x\nd: { <<: 1 }\n",
        &[
            (codes::AMBIGUOUS_SCALAR, "yes"),
            (codes::AMBIGUOUS_SCALAR, "00123"),
            (codes::DUPLICATE_KEY, "a"),
            (codes::TAG, "!!str x"),
            (codes::AMBIGUOUS_SCALAR, "1.5"),
            (codes::BAD_MERGE, "<<"),
        ],
    );
    check("a: 1\n---\nb: 2\n", &[(codes::SEVERAL_DOCUMENTS, "---")]);
    check("# nothing\n", &[(codes::EMPTY_FILE, "")]);
    check("a: &a [*a]\n", &[(codes::YAML_SYNTAX, "*a")]);
    check("[a]: 1\nb: no\n", &[(codes::BAD_KEY, "["), (codes::AMBIGUOUS_SCALAR, "no")]);
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let (_, findings) = parse(&"[".repeat(DEPTH_MAX + 2));
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [codes::TOO_DEEP]);
    let (_, findings) = parse(&"[".repeat(100_000));
    assert_eq!(findings.len(), 1, "whoever notices first, the parser or the reader");
    let bomb = codes::find(codes::TOO_MANY_VALUES).expect("a code").example;
    let (_, findings) = parse(bomb);
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [codes::TOO_MANY_VALUES]);
}

#[test]
fn an_offset_in_a_scalar_is_a_place_in_the_file() {
    let text = concat!(
        "sql: |\n  SELECT ä,\n\n    {{ x }}\n  FROM t\n",
        "blank: |\n\n\n  late {{ y }}\n",
        "indented: |2\n    two {{ z }}\n",
        "plain: a {{ p }}\n",
        "quoted: \"b {{ q }}\"\n",
        "flow: [ 'b {{ f }}' ]\n",
        "escaped: \"\\tc {{ r }}\"\n",
        "folded: >\n  d\n  {{ s }}\n",
    );
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        let (file, findings) = parse(&text);
        assert_eq!(findings, []);
        for (key, part) in [
            ("sql", "{{ x }}"),
            ("sql", "FROM"),
            ("sql", "ä"),
            ("blank", "{{ y }}"),
            ("indented", "{{ z }}"),
            ("plain", "{{ p }}"),
            ("quoted", "{{ q }}"),
            ("flow/0", "{{ f }}"),
        ] {
            let pointer = format!("/{key}");
            let decoded = file.value.pointer(&pointer).and_then(Value::as_str).expect("text");
            let at = decoded.find(part).expect("the part");
            let span = file.span_in_scalar(&pointer, &(at..at + part.len()));
            assert_eq!(&file.text.text[span], part, "{key}");
        }
        for key in ["escaped", "folded"] {
            assert_eq!(file.span_in_scalar(&format!("/{key}"), &(2..3)), file.value_span(&format!("/{key}")));
        }
    }
}
