use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::*;
use crate::model::Param;
use crate::scalar::Scalar;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn template(request: Value) -> RequestTemplate {
    let request: Request = serde_json::from_value(request).expect("a request");
    let (template, findings) = RequestTemplate::parse(&request);
    template.unwrap_or_else(|| panic!("{findings:?}"))
}

/// Renders at a fixed time in Berlin, with parameters that try to break out of their places.
fn rendered(request: Value, cursor: &[(&str, BindValue)]) -> Result<RenderedRequest, String> {
    let text = |text: &str| Scalar::Text(text.to_owned());
    let params = BTreeMap::from([
        ("plant".to_owned(), Param::One(text("1000"))),
        ("evil".to_owned(), Param::One(text("a/../b?c=d&e='f'\"#ü "))),
        ("dots".to_owned(), Param::One(text(".."))),
        ("empty".to_owned(), Param::One(text(""))),
        ("lines".to_owned(), Param::One(text("a\r\nX-Evil: 1"))),
        ("limit".to_owned(), Param::One(Scalar::Int(5))),
        ("strict".to_owned(), Param::One(Scalar::Bool(true))),
        ("plants".to_owned(), Param::List(vec![text("1000"), text("20 00")])),
    ]);
    let cursor = cursor.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let zone = TimeZone::get("Europe/Berlin").expect("the zone is bundled");
    let scope = Scope {
        params: &params,
        window: Some((at("2025-03-29T11:00:00Z"), at("2025-03-30T11:00:00.5Z"))),
        cursor: &cursor,
        now: at("2025-03-30T11:00:00.5Z"),
        zone: &zone,
    };
    template(request).render(&scope).map_err(|error| error.to_string())
}

#[test]
fn instants_are_written_as_the_filter_says_and_bounds_move_outward() {
    for (expression, expected) in [
        ("window.start", "2025-03-29T12:00:00"),
        ("window.end", "2025-03-30T13:00:00.5"),
        ("window.start | instant", "2025-03-29T11:00:00Z"),
        ("window.end | instant", "2025-03-30T11:00:00.5Z"),
        ("window.start | utc", "2025-03-29T11:00:00"),
        ("window.start | date", "2025-03-29"),
        ("window.end | date", "2025-03-31"),
        ("window.end | epoch", "1743332401"),
        ("window.end | format('%Y%m%d%H')", "2025033014"),
        ("window.end | utc | format('%H:%M')", "11:01"),
        ("run.now | instant", "2025-03-30T11:00:00.5Z"),
    ] {
        let request = json!({"query": {"at": format!("{{{{ {expression} }}}}")}});
        assert_eq!(rendered(request, &[]).unwrap().query, [("at".to_owned(), expected.to_owned())], "{expression}");
    }
}

#[test]
fn a_value_stays_within_its_place() {
    let request = rendered(
        json!({
            "path": "/plants/{{ params.evil }}/bookings",
            "query": { "q": "x={{ params.evil }}", "$filter": "name eq '{{ params.evil }}'" },
            "headers": { "X-Plant": "p {{ params.plant }}" },
            "body": { "a{{ b": "no template", "name": "n: {{ params.evil }}" },
        }),
        &[],
    );
    // A name of a member is no template, and neither is half of one.
    assert!(request.is_ok_and(|request| {
        assert_eq!(request.path, "/plants/a%2F..%2Fb%3Fc%3Dd%26e%3D%27f%27%22%23%C3%BC%20/bookings");
        assert_eq!(
            request.query_string(),
            "$filter=name%20eq%20%27a%2F..%2Fb%3Fc%3Dd%26e%3D%27%27f%27%27%22%23%C3%BC%20%27\
             &q=x%3Da%2F..%2Fb%3Fc%3Dd%26e%3D%27f%27%22%23%C3%BC%20"
        );
        assert_eq!(request.headers, [("X-Plant".to_owned(), "p 1000".to_owned())]);
        let body: Value = serde_json::from_str(&request.body.unwrap_or_default()).expect("the body is JSON");
        assert_eq!(body, json!({"a{{ b": "no template", "name": "n: a/../b?c=d&e='f'\"#ü "}));
        true
    }));
}

#[test]
fn a_body_value_that_is_one_expression_keeps_its_type() {
    let body = json!({
        "limit": "{{ params.limit }}", "text": "{{ params.limit }} rows", "strict": "{{ params.strict }}",
        "plants": "{{ params.plants }}", "at": "{{ window.start | instant }}", "seconds": "{{ window.start | epoch }}",
        "price": "{{ cursor.price }}", "plain": [1.5, null, true],
    });
    let price = BindValue::Decimal("12345678901234567890.12".to_owned());
    let body = rendered(json!({"method": "POST", "body": body}), &[("price", price)]).unwrap().body.unwrap();
    assert!(body.contains("\"price\":12345678901234567890.12"), "{body}");
    let mut body: Value = serde_json::from_str(&body).unwrap();
    body.as_object_mut().unwrap().remove("price");
    assert_eq!(
        body,
        json!({
            "limit": 5, "text": "5 rows", "strict": true, "plants": ["1000", "20 00"], "at": "2025-03-29T11:00:00Z",
            "seconds": 1_743_246_000, "plain": [1.5, null, true],
        })
    );
}

#[test]
fn a_list_repeats_its_parameter() {
    let request = json!({"query": {"plant": "{{ params.plants }}", "all": "{{ params.plants | join(',') }}"}});
    assert_eq!(rendered(request, &[]).unwrap().query_string(), "all=1000%2C20%2000&plant=1000&plant=20%2000");
}

#[test]
fn what_waits_for_a_cursor_is_left_out_before_the_first_run() {
    let request = json!({
        "query": { "since": "{{ cursor.changed | instant }}", "plant": "{{ params.plant }}", "id": "{{ cursor.id }}",
                   "from": "{{ cursor.id | default('0') }}" },
        "body": { "a": 1, "since": "{{ cursor.id }}", "list": ["{{ cursor.id }}", 2] },
    });
    let before = rendered(request.clone(), &[("id", BindValue::Null)]).unwrap();
    assert_eq!(before.body.as_deref(), Some(r#"{"a":1,"list":[2]}"#));
    let first = rendered(request.clone(), &[]).unwrap();
    assert_eq!(first.query_string(), "from=0&plant=1000");
    let at = at("2025-03-29T11:00:00Z");
    let changed = BindValue::Instant { instant: at, civil: TimeZone::UTC.to_datetime(at) };
    let later = rendered(request, &[("id", BindValue::Int(7)), ("changed", changed)]).unwrap();
    assert_eq!(later.query_string(), "from=7&id=7&plant=1000&since=2025-03-29T11%3A00%3A00Z");
    assert_eq!(later.body.as_deref(), Some(r#"{"a":1,"since":7,"list":[7,2]}"#));
}

#[test]
fn what_cannot_be_written_is_named_with_its_place() {
    for (request, place, why) in [
        (json!({"path": "/a/{{ params.dots }}/b"}), "request.path", "`.` or `..`"),
        (json!({"path": "/a/{{ params.empty }}/b"}), "request.path", "is empty"),
        (json!({"path": "/a/{{ cursor.id }}"}), "request.path", "no value"),
        (json!({"headers": {"X-A": "{{ params.lines }}"}}), "request.headers.X-A", "line break"),
        (json!({"query": {"a": "x{{ params.plants }}"}}), "request.query.a", "is a list"),
        (json!({"query": {"a": "x{{ cursor.id }}"}}), "request.query.a", "no value"),
        (json!({"query": {"a": "{{ params.plant | ident }}"}}), "request.query.a", "ident"),
        (json!({"body": [{"a": "x {{ params.plants }}"}]}), "request.body.0.a", "is a list"),
    ] {
        let error = rendered(request.clone(), &[]).unwrap_err();
        assert!(error.starts_with(place) && error.contains(why), "{request}: {error}");
    }
}

#[test]
fn branches_choose_texts_and_names_are_collected() {
    let filter = "{% if cursor.changed is defined %}changed gt {{ cursor.changed }}{% else %}true{% endif %}";
    let request = json!({"query": {"filter": filter, "n": "{{ 'a' if params.strict else 'b' }}"}});
    assert_eq!(rendered(request.clone(), &[]).unwrap().query_string(), "filter=true&n=a");
    let uses = template(request).uses();
    assert_eq!(uses.cursor.into_iter().collect::<Vec<_>>(), ["changed"]);
    assert!(!uses.window_start && uses.params.contains("strict"));
}
