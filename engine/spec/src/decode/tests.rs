use serde::de::DeserializeOwned;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "tables read better without borrows")]
fn check<T: DeserializeOwned + PartialEq + std::fmt::Debug>(input: Value, expected: Result<T, &str>) {
    match (T::deserialize(input.clone()), expected) {
        (Ok(actual), Ok(expected)) => assert_eq!(actual, expected, "{input}"),
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{input}: {error}"),
        (actual, expected) => panic!("{input}: {actual:?}, expected {expected:?}"),
    }
}

fn column(name: &str) -> FieldSource {
    FieldSource::Column(name.to_owned())
}

#[test]
fn a_text_field_is_a_column_or_an_object_with_one_source() {
    let plain = TextField { from: column("anr"), options: FieldOptions::default() };
    check(json!("anr"), Ok(plain.clone()));
    check(json!({"column": "anr"}), Ok(plain));
    check(
        json!({"value": 7, "map": {"7": "x"}, "unmapped": "keep", "null_if": ["", 0], "default": true}),
        Ok(TextField {
            from: FieldSource::Value(Scalar::Int(7)),
            options: FieldOptions {
                transform: vec![],
                map: Some(BTreeMap::from([("7".to_owned(), "x".to_owned())])),
                unmapped: Some(Unmapped::Keep),
                null_if: vec![Scalar::Text(String::new()), Scalar::Int(0)],
                default: Some(Scalar::Bool(true)),
            },
        }),
    );
    check::<TextField>(json!({"column": "a", "template": "b"}), Err("exactly one of"));
    check::<TextField>(json!({"transform": ["trim"]}), Err("one of `column`"));
    check::<TextField>(json!({"column": "a", "colour": 1}), Err("unknown field `colour`"));
    check::<TextField>(json!({"column": null}), Err("null"));
    check::<TextField>(json!(7), Err("the name of a column"));
}

#[test]
fn a_time_field_is_whole_or_in_parts() {
    check(json!("ts"), Ok(TimeField { from: TimeSource::Whole(column("ts")), options: TimeOptions::default() }));
    check(
        json!({"date": "d", "time": {"column": "t", "format": "seconds_of_day"}, "timezone": "UTC", "after": "start"}),
        Ok(TimeField {
            from: TimeSource::Parts {
                date: TimePart { from: column("d"), transform: vec![], format: None, null_if: vec![] },
                time: TimePart {
                    from: column("t"),
                    transform: vec![],
                    format: Some(TimeFormat::SecondsOfDay),
                    null_if: vec![],
                },
            },
            options: TimeOptions {
                timezone: Some("UTC".to_owned()),
                after: Some(After::Start),
                ..TimeOptions::default()
            },
        }),
    );
    check::<TimeField>(json!({"date": "d"}), Err("`date` with `time`"));
    check::<TimeField>(json!({"column": "a", "date": "d", "time": "t"}), Err("exactly one"));
}

#[test]
fn a_transform_is_a_name_or_an_object_with_one_key() {
    check(json!("trim"), Ok(Transform::Trim));
    check(json!({"strip_leading": "0"}), Ok(Transform::StripLeading("0".to_owned())));
    check(json!({"pad_left": {"width": 12, "with": "0"}}), Ok(Transform::PadLeft { width: 12, with: '0' }));
    check(json!({"split": {"by": "/", "index": -1}}), Ok(Transform::Split { by: "/".to_owned(), index: -1 }));
    check(json!({"extract": "(a)"}), Ok(Transform::Extract("(a)".to_owned())));
    check(
        json!({"replace": {"pattern": "a", "with": ""}}),
        Ok(Transform::Replace { pattern: "a".to_owned(), with: String::new() }),
    );
    for wrong in [
        json!("trimm"),
        json!({}),
        json!({"split": {"by": "", "index": 0}}),
        json!({"pad_left": {"width": PAD_WIDTH_MAX + 1, "with": "0"}}),
        json!({"extract": "a", "strip_leading": "0"}),
    ] {
        check::<Transform>(wrong, Err("exactly one of"));
    }
    check::<Transform>(json!({"pad_left": {"width": 3, "with": "ab"}}), Err("character"));
}

#[test]
fn small_types_take_their_shapes() {
    check(json!(1), Ok(Version));
    check::<Version>(json!(2), Err("only version"));
    check::<Version>(json!("1"), Err("only version"));
    check(json!([1, "a"]), Ok(Param::List(vec![Scalar::Int(1), Scalar::Text("a".to_owned())])));
    check(json!("1000"), Ok(Param::One(Scalar::Text("1000".to_owned()))));
    check::<Param>(json!({"a": 1}), Err("expected text"));
    check(json!("report"), Ok(FutureCheck::Action(Action::Report)));
    check(json!("5m"), Ok(FutureCheck::Tolerance("5m".parse().expect("a period"))));
    check::<FutureCheck>(json!("never"), Err("not a period"));
    check(json!("a"), Ok(HeaderValue::Text("a".to_owned())));
    check(json!({"credential": "k"}), Ok(HeaderValue::Secret(Secret(Reference::Credential("k".to_owned())))));
    check(json!({"file": "m.csv"}), Ok(Machines::File("m.csv".to_owned())));
    check(json!({"M1": "id"}), Ok(Machines::Inline(BTreeMap::from([("M1".to_owned(), "id".to_owned())]))));
    check::<Machines>(json!({"M1": "id", "file": "m.csv"}), Err("stands alone"));
    check::<Machines>(json!({}), Err("at least one"));
    check(json!("%Y"), Ok(TimeFormat::Pattern("%Y".to_owned())));
    check(json!("epoch_ms"), Ok(TimeFormat::EpochMs));
    check::<TimeFormat>(json!("epoch"), Err("neither"));
}
