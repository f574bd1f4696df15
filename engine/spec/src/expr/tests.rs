use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::Object;

use super::*;
use crate::template::Severity;

/// A row as the engine hands it in: columns are found whatever their case.
#[derive(Debug)]
struct Row(BTreeMap<String, Value>);

impl Object for Row {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?.to_lowercase();
        self.0.get(&key).cloned()
    }
}

fn row() -> Value {
    let columns: [(&str, Value); 14] = [
        ("anr", "0047110010".into()),
        ("mnr", " m1\u{a0} ".into()),
        ("kenn", "X".into()),
        ("code", "7".into()),
        ("menge", Value::from(5)),
        ("zahl", Value::from(4711.0)),
        ("preis", Value::from(1.5)),
        ("storno", Value::from(true)),
        ("bit", Value::from(0)),
        ("leer", Value::from(())),
        ("empty", "".into()),
        ("groß", "ä".into()),
        ("kopf.werk", "1000".into()),
        ("liste", Value::from(vec![1, 2])),
    ];
    Value::from_object(Row(columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn parse(text: &str) -> RowExpr {
    let (expr, findings) = RowExpr::parse(text);
    expr.unwrap_or_else(|| panic!("{text}: {findings:?}"))
}

fn gives(text: &str, expected: Option<&str>) {
    assert_eq!(parse(text).eval_text(&row()), Ok(expected.map(str::to_owned)), "{text}");
}

fn holds(text: &str, expected: bool) {
    assert_eq!(parse(text).eval_bool(&row()), Ok(expected), "{text}");
}

#[test]
fn a_pipe_needs_no_interpreter() {
    let check = |text: &str, column: &str, ops: &[Transform]| match parse(text) {
        RowExpr::Pipe { column: found, ops: found_ops } => {
            assert_eq!((found.as_str(), found_ops.as_slice()), (column, ops), "{text}");
        }
        other => panic!("{text}: {other:?}"),
    };
    check("anr", "anr", &[]);
    check("kopf.werk", "kopf.werk", &[]);
    check("{{ anr | trim }}", "anr", &[Transform::Trim]);
    check("mnr | trim | upper", "mnr", &[Transform::Trim, Transform::Upper]);
    check("(mnr|lower)", "mnr", &[Transform::Lower]);
    check("anr | strip_leading('0')", "anr", &[Transform::StripLeading("0".to_owned())]);
    check("anr | pad_left(12, '0')", "anr", &[Transform::PadLeft { width: 12, with: '0' }]);
    check("anr | extract('^0*(.*)$')", "anr", &[Transform::Extract("^0*(.*)$".to_owned())]);
    check("anr | replace('.', '$')", "anr", &[Transform::Replace { pattern: "\\.".to_owned(), with: "$$".to_owned() }]);
}

#[test]
fn comparisons_need_no_interpreter() {
    for text in [
        "kenn == 'X'",
        "'X' == kenn",
        "kenn != 'X'",
        "menge > 5 and menge <= -1.5",
        "kenn in ['A', 'B'] or kenn not in ('C', 1)",
        "kenn is none",
        "kenn is not none",
        "kenn == none",
        "not storno",
        "storno == true and not (a.b | trim == 'X')",
    ] {
        assert!(matches!(parse(text), RowExpr::Condition(_)), "{text}: {:?}", parse(text));
    }
    for text in
        ["menge + 1 > 5", "kenn == code", "kenn is defined", "'X' in kenn", "anr[0:2] == '00'", "{{ kenn }}{{ kenn }}"]
    {
        assert!(matches!(parse(text), RowExpr::Script(_)), "{text}: {:?}", parse(text));
    }
}

#[test]
fn texts() {
    gives("anr", Some("0047110010"));
    gives("ANR", Some("0047110010"));
    gives("mnr | trim | upper", Some("M1"));
    gives("anr | strip_leading('0')", Some("47110010"));
    gives("'000' | strip_leading('0')", Some("0"));
    gives("'' | strip_leading('0')", Some(""));
    gives("code | pad_left(3, '0')", Some("007"));
    gives("anr | pad_left(3, '0')", Some("0047110010"));
    gives("anr | extract('^0*(4711)')", Some("4711"));
    gives("anr | extract('(X)')", None);
    gives("anr | replace('00', '$1')", Some("$14711$110"));
    gives("menge", Some("5"));
    gives("zahl", Some("4711"));
    gives("preis", Some("1.5"));
    gives("storno", Some("true"));
    gives("leer", None);
    gives("leer | trim | upper", None);
    gives("leer | replace('a', 'b')", None);
    gives("empty", Some(""));
    gives("kopf.werk", Some("1000"));
    gives("menge | trim", Some("5"));
}

#[test]
fn scripts() {
    gives("menge * 2", Some("10"));
    gives("anr[:4] ~ '-' ~ menge", Some("0047-5"));
    gives("(anr | split('11')) | first", Some("0047"));
    gives("(anr | split('11'))[-1] | int", Some("10"));
    gives("leer | default('x')", Some("x"));
    gives("'a' if kenn == 'X' else none", Some("a"));
    gives("none", None);
    gives("(kopf.werk | int) + 1", Some("1001"));
    gives("preis | round", Some("2"));
    gives("-menge | abs", Some("5"));
    gives("(anr | length) + (liste | length)", Some("12"));
    gives("liste | join('-')", Some("1-2"));
    gives("liste | last", Some("2"));
    gives("{{ mnr | trim }}-{{ zahl }}{{ leer }}", Some("m1-4711"));
    gives("{% if kenn == 'X' %}{{ anr }}{% else %}-{% endif %}", Some("0047110010"));
    gives("{{ kopf.werk }}\n", Some("1000"));
    gives("{{ leer }}", None);
    gives("{{ leer }}-", Some("-"));
    gives(" {{- menge * 2 -}} ", Some("10"));
    gives("{% for x in liste %}{{ x }}{{ loop.index }}{% endfor %}", Some("1122"));
}

#[test]
fn conditions() {
    holds("kenn == 'X'", true);
    holds("kenn == 'x'", false);
    holds("kenn != 'X'", false);
    holds("menge == 5", true);
    holds("menge == '5'", true);
    holds("code == 7", true);
    holds("code == 7.0", true);
    holds("code == '7'", true);
    holds("zahl == 4711", true);
    holds("zahl == '4711'", true);
    holds("preis > 1", true);
    holds("1 < preis", true);
    holds("1 > preis", false);
    holds("preis >= 1.5 and preis <= 1.5", true);
    holds("kenn in ['A', 'X']", true);
    holds("menge in [1, 5]", true);
    holds("kenn in [1, 5]", false);
    holds("kenn not in ['A', 'B']", true);
    holds("leer is none", true);
    holds("empty is none", false);
    holds("leer == none", true);
    holds("leer != 'X'", true);
    holds("leer == 'X'", false);
    holds("leer > 5", false);
    holds("leer in ['X']", false);
    holds("leer", false);
    holds("storno", true);
    holds("storno == true", true);
    holds("not storno", false);
    holds("bit", false);
    holds("bit == false", true);
    holds("kenn == 'A' or (storno and menge > 4)", true);
    holds("mnr | trim | upper == 'M1'", true);
    holds("menge + 1 > 5", true);
    holds("'47' in anr", true);
    holds("kenn is defined and anr is startingwith('00')", true);
    holds("fehlt is defined", false);
    holds("{{ storno }}", true);
}

#[test]
fn what_is_no_condition_says_so() {
    let check = |text: &str, code: &str| {
        let error = parse(text).eval_bool(&row()).expect_err(text);
        assert_eq!(error.code, code, "{text}: {error}");
    };
    check("kenn", "expr_not_condition");
    check("empty", "expr_not_condition");
    check("menge", "expr_not_condition");
    check("kenn ~ 'a'", "expr_not_condition");
    check("menge + 7", "expr_not_condition");
    check("kenn > 5", "expr_not_number");
    check("kenn == 5", "expr_not_number");
    check("fehlt == 'X'", "expr_no_column");
    check("fehlt", "expr_no_column");
    check("fehlt + 1 > 2", "expr_no_column");
    check("liste == 'X'", "expr_not_text");
}

#[test]
fn what_is_no_text_says_so() {
    let check = |text: &str, code: &str| {
        let Err(error) = parse(text).eval_text(&row()) else { panic!("{text} gives a text") };
        assert_eq!(error.code, code, "{text}: {error}");
    };
    check("liste", "expr_not_text");
    check("(anr | split('1'))", "expr_not_text");
    check("fehlt | upper", "expr_no_column");
    check("{{ fehlt }}", "expr_no_column");
    check("(anr | split('-'))[7]", "expr_no_value");
    check("{{ liste }}", "expr_not_text");
    check("{{ liste }}-", "expr_value");
    check("menge / 'x'", "expr_value");
    check("'x' * 2000000", "expr_too_long");
    check("'x' * 2000000000000", "expr_value");
}

#[test]
fn columns_are_known_before_a_row_is() {
    let check = |text: &str, expected: &[&str]| {
        let columns: Vec<String> = parse(text).columns().into_iter().collect();
        assert_eq!(columns, expected, "{text}");
    };
    check("anr", &["anr"]);
    check("a.b | trim", &["a.b"]);
    check("a == 'X' and (b in ['Y'] or c is none)", &["a", "b", "c"]);
    check("a + b if c else d.e", &["a", "b", "c", "d.e"]);
    check("{{ a }}{% if b %}{{ c | trim }}{% endif %}", &["a", "b", "c"]);
    check("{% set x = a %}{{ x }}{{ b }}", &["a", "b"]);
    check("'constant'", &[]);
}

#[test]
fn mistakes_are_found_with_their_place() {
    let check = |text: &str, expected: &[(&str, &str)]| {
        let (expr, findings) = RowExpr::parse(text);
        let places: Vec<(&str, &str)> = findings.iter().map(|f| (f.code, &text[f.range.clone()])).collect();
        assert_eq!(places, expected, "{text}: {findings:?}");
        assert!(expr.is_none() && findings.iter().all(|finding| finding.severity == Severity::Error));
    };
    check("anr | tirm", &[("expr_unknown_filter", "anr | tirm")]);
    check("anr | safe", &[("expr_unknown_filter", "anr | safe")]);
    check("a if b is frob else c", &[("expr_unknown_test", "b is frob")]);
    check("{% if false %}{{ a | frob }}{% endif %}", &[("expr_unknown_filter", "a | frob")]);
    check("upper(anr)", &[("expr_unknown_function", "upper(anr)")]);
    check(
        "anr.strip() | frob",
        &[("expr_unknown_function", "anr.strip()"), ("expr_unknown_filter", "anr.strip() | frob")],
    );
    check("a if b", &[("expr_if_without_else", "a if b")]);
    check("anr | extract('(')", &[("expr_argument", "anr | extract('(')")]);
    check("anr | extract('a')", &[("expr_argument", "anr | extract('a')")]);
    check("anr | pad_left(3, 'ab')", &[("expr_argument", "anr | pad_left(3, 'ab')")]);
    check("anr | pad_left(3)", &[("expr_argument", "anr | pad_left(3)")]);
    check("{% set x %}a{% endset %}{{ x }}", &[("expr_not_allowed", "set x %}a{% endset")]);
    for text in ["", "  ", "a ==", "a | ", "{{ a", "a b", "{% include 'x' %}"] {
        assert_eq!(RowExpr::parse(text).1[0].code, "expr_syntax", "{text}");
    }
    let (_, findings) = RowExpr::parse("anr | tirm");
    assert_eq!(findings[0].help.as_deref(), Some("did you mean `trim`?"));
}

#[test]
fn an_evaluation_has_an_end() {
    let loops = "{% for a in liste %}".repeat(18);
    let ends = "{% endfor %}".repeat(18);
    let error = parse(&format!("{loops}x{ends}")).eval_text(&row()).expect_err("too many steps");
    assert_eq!(error.code, "expr_too_long");
    for text in
        ["a".repeat(EXPR_BYTES_MAX + 1), vec!["a"; 2_000].join(" or "), "(".repeat(2_000), vec!["not"; 2_000].join(" ")]
    {
        assert_eq!(RowExpr::parse(&text).1[0].code, "expr_too_long");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "a", "b.c", " ", "|", "trim", "(", ")", "[", "]", "'x'", "1", "-", "==", "in", "is", "none", "not", "and", "if",
            "else", "{{", "}}", "{%", "%}", "set", "for", "endfor", "endif", "extract", ",", ":", "~", "ß", "\n", ".", "{#",
        ]), 0..14)) {
        let text = pieces.join(" ");
        if let (Some(expr), _) = RowExpr::parse(&text) {
            let row = Value::from_pairs([("a", Value::from("7"))]);
            let _ = (expr.columns(), expr.eval_text(&row), expr.eval_bool(&row));
        }
    }

    #[test]
    fn a_pipe_gives_what_the_interpreter_gives(text in "[ 0aBß.]{0,6}") {
        let row = Value::from_pairs([("c", Value::from(text.as_str()))]);
        for steps in ["trim", "upper", "lower", "strip_leading('0a')", "pad_left(4, '0')", "replace('a', '$1')", "extract('a(.)')"] {
            let native = parse(&format!("c | {steps}"));
            let script = parse(&format!("c | string | {steps}"));
            assert!(matches!((&native, &script), (RowExpr::Pipe { .. }, RowExpr::Script(_))));
            assert_eq!(native.eval_text(&row), script.eval_text(&row), "{steps}");
        }
    }
}
