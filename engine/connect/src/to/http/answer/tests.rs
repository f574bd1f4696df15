use std::collections::BTreeMap;
use std::time::Duration;

use engine_core::state::OutboxRecord;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::SecretString;

use super::*;
use crate::web::QUOTE_CHARS_MAX;

/// The id of a record that the tests call by a letter.
fn id(name: &str) -> Uuid {
    Uuid::from_bytes([name.as_bytes()[0]; 16])
}

fn parcel(ids: &[&str]) -> Parcel {
    let record = |(seq, name): (usize, &&str)| OutboxRecord { seq: seq as i64, id: id(name), body: "{}".into() };
    Parcel {
        idempotency_key: "k".to_owned(),
        pipeline: "p".to_owned(),
        labels: BTreeMap::new(),
        fence: None,
        records: ids.iter().enumerate().map(record).collect(),
    }
}

fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: ReplyBody::Whole(body.as_bytes().to_vec()),
    }
}

fn meaning(reply: &Reply) -> Answer {
    reply.meaning(&parcel(&["a", "b", "a"]), "host:443", &Redactor::default())
}

/// Kind, rejected places, and message of an answer.
fn told(answer: Answer) -> (&'static str, Vec<usize>, String) {
    match answer {
        Answer::Accepted { rejected } => {
            let said = rejected.iter().map(|one| format!("{}={}", one.code, one.message)).collect::<Vec<_>>();
            ("accepted", rejected.iter().map(|one| one.index).collect(), said.join(" "))
        }
        Answer::Invalid { message } => ("invalid", vec![], message),
        Answer::TooLarge => ("too large", vec![], String::new()),
        Answer::Refused { message } => ("refused", vec![], message),
        Answer::Later { message, .. } => ("later", vec![], message),
        Answer::Unknown { message } => ("unknown", vec![], message),
    }
}

#[test]
fn every_status_has_a_meaning() {
    for (status, kind, said) in [
        (200, "accepted", ""),
        (201, "accepted", ""),
        (202, "accepted", ""),
        (204, "accepted", ""),
        (409, "accepted", ""),
        (400, "invalid", "host:443 answered 400 Bad Request: why"),
        (422, "invalid", "422"),
        (413, "too large", ""),
        (401, "refused", "check the login"),
        (403, "refused", "check the login"),
        (404, "refused", "check destination.url"),
        (405, "refused", "destination.method"),
        (407, "refused", "proxy"),
        (411, "refused", "411"),
        (302, "refused", "redirect to other.example"),
        (408, "later", "408"),
        (425, "later", "425"),
        (429, "later", "429"),
        (500, "later", "500"),
        (503, "later", "503 Service Unavailable: why"),
    ] {
        let headers = [("location", "https://other.example/x?token=1")];
        let (told, _, message) = told(meaning(&reply(status, &headers, r#"{"message":"why"}"#)));
        assert_eq!(told, kind, "{status}");
        assert!(message.contains(said) && !message.contains("token="), "{status}: {message}");
    }
}

/// It may have named records that it rejects: they would be lost.
#[test]
fn an_answer_that_calls_itself_json_and_is_none_accepts_nothing() {
    let json = [("content-type", "application/json; charset=utf-8")];
    let deep = format!(r#"{{"results":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    for (headers, body, kind) in [
        (&json[..], "{\"results\":[", "refused"),
        (&json, &deep, "refused"),
        (&json, "OK", "refused"),
        (&json, "", "accepted"),
        (&json, "[1]", "accepted"),
        (&[], "OK", "accepted"),
        (&[("content-type", "text/plain")], "{\"results\":[", "accepted"),
    ] {
        assert_eq!(told(meaning(&reply(200, headers, body))).0, kind, "{headers:?} {body:.40}");
    }
}

#[test]
fn results_name_records_by_id_or_by_place() {
    let rejected = r#""status":"rejected","code":"c","message":"m""#;
    for (body, kind, places) in [
        (r#"{"results":[]}"#.to_owned(), "accepted", vec![]),
        ("OK".to_owned(), "accepted", vec![]),
        ("[1]".to_owned(), "accepted", vec![]),
        (format!(r#"{{"results":[{{"run_id":"b",{rejected}}}]}}"#), "accepted", vec![1]),
        (format!(r#"{{"results":[{{"row_id":"b",{rejected}}}]}}"#), "accepted", vec![1]),
        (
            format!(r#"{{"results":[{{"run_id":"a","status":"accepted"}},{{"run_id":"a",{rejected}}}]}}"#),
            "accepted",
            vec![2],
        ),
        (format!(r#"{{"results":[{{"status":"accepted"}},{{{rejected}}},{{{rejected}}}]}}"#), "accepted", vec![1, 2]),
        (
            format!(
                r#"{{"results":[{{"run_id":"a","status":"accepted"}},{{{rejected}}},{{"run_id":"b",{rejected}}}]}}"#
            ),
            "accepted",
            vec![1],
        ),
        (format!(r#"{{"results":[{{{rejected}}}]}}"#), "refused", vec![]),
        (format!(r#"{{"results":[{{"run_id":"x",{rejected}}}]}}"#), "refused", vec![]),
        (r#"{"results":[{"run_id":"x","status":"accepted"}]}"#.to_owned(), "accepted", vec![]),
        (r#"{"results":[{"run_id":"a","status":"perhaps"}]}"#.to_owned(), "refused", vec![]),
        (r#"{"results":7}"#.to_owned(), "refused", vec![]),
        ("<html>Login</html>".to_owned(), "refused", vec![]),
    ] {
        // In the words of a platform that writes its ids in capitals, too.
        for write in [Uuid::to_string, |id: &Uuid| format!("{id:X}")] {
            let body = ["a", "b", "x"].iter().fold(body.clone(), |body, name| {
                body.replace(&format!("_id\":\"{name}\""), &format!("_id\":\"{}\"", write(&id(name))))
            });
            let (told, found, message) = told(meaning(&reply(200, &[], &body)));
            assert_eq!((told, &found), (kind, &places), "{body}");
            assert!(kind != "refused" || message.contains("nothing counts as delivered"), "{message}");
        }
    }
}

#[test]
fn an_acceptance_that_was_not_read_to_its_end_is_none() {
    for (body, kind) in [(ReplyBody::Cut("eof".to_owned()), "unknown"), (ReplyBody::TooLong, "refused")] {
        let reply = Reply { body, ..reply(200, &[], "") };
        assert_eq!(told(meaning(&reply)).0, kind);
    }
    let reply = Reply { body: ReplyBody::Cut("eof".to_owned()), ..reply(503, &[], "") };
    assert_eq!(told(meaning(&reply)).0, "later");
}

#[test]
fn waiting_is_asked_for_in_seconds_or_by_date() {
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    for (retry_after, now, expected) in [
        ("120", None, Some(120)),
        (" 0 ", None, Some(0)),
        (date, Some("Wed, 21 Oct 2015 07:27:30 GMT"), Some(30)),
        (date, Some("Wed, 21 Oct 2015 07:29:00 GMT"), Some(0)),
        (date, None, Some(0)),
        ("soon", None, None),
        ("-1", None, None),
    ] {
        let mut headers = vec![("retry-after", retry_after)];
        headers.extend(now.map(|now| ("date", now)));
        let Answer::Later { retry_after: asked, .. } = meaning(&reply(429, &headers, "")) else { panic!() };
        assert_eq!(asked, expected.map(Duration::from_secs), "{retry_after}");
    }
}

#[test]
fn a_secret_that_holds_another_one_goes_as_a_whole() {
    let mut redact = Redactor::default();
    for secret in ["abc", "abcdef", "abc"] {
        redact.add(&SecretString::from(secret));
    }
    assert_eq!(redact.clean("abcdef, abc"), "***, ***");
}

#[test]
fn quotes_are_one_line_short_and_without_secrets() {
    let mut redact = Redactor::default();
    redact.add(&SecretString::from("hunter2"));
    redact.add(&SecretString::from(""));
    let body = format!("bad\r\n\x1b[31m hunter2 {}", "y".repeat(2 * QUOTE_CHARS_MAX));
    let (_, _, message) = told(reply(403, &[], &body).meaning(&parcel(&[]), "h:1", &redact));
    assert!(message.starts_with("h:1 answered 403 Forbidden: bad [31m *** yyy"), "{message}");
    assert!(message.ends_with("its rights") && message.chars().count() < QUOTE_CHARS_MAX + 120, "{message}");
}
