//! An HTTP API as a source: through the connector, and through the built program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine_connect::registry;
use engine_core::mapping::row_json;
use engine_core::plan::{Plan, PlanInput};
use engine_core::ports::{Ask, Cancel, Fetched, References, SourceError, SourceErrorKind};
use engine_core::value::{BATCH_ROWS_MAX, RowBatch};
use engine_spec::scalar::Reference;
use engine_spec::{NoCompanions, load};
use engine_tests::api::{Api, Asked, Pages, Told, page_of};
use engine_tests::binary::{Workspace, root};
use engine_tests::certificates::{pem, server};
use engine_tests::forge::{Forge, GOOD, Leaf, VALID};
use engine_tests::plant::{self, BOOKINGS, NOW, Plant};
use engine_tests::platform::Platform;
use engine_tests::servers;
use secrecy::SecretString;
use serde_json::{Value, json};

/// What stands behind every reference.
const CANARY: &str = "hunter2-canary";

struct Canary;

impl References for Canary {
    fn resolve(&self, _: &Reference) -> Result<SecretString, String> {
        Ok(SecretString::from(CANARY))
    }
}

/// The columns and the rows that a source gives, a row as JSON, and the text of all of them.
type Rows = (Vec<String>, Vec<Value>, String);

/// Reads a source of the API; `source` is the rest of its settings.
fn read(api: &Api, source: &Value) -> Result<Rows, SourceError> {
    read_from(&api.url(), source)
}

fn read_from(url: &str, source: &Value) -> Result<Rows, SourceError> {
    let mut whole = json!({ "type": "http", "url": url, "timezone": "UTC", "records": "$.data[*]" });
    whole.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    whole.as_object_mut().unwrap().retain(|_, setting| !setting.is_null());
    let spec = json!({
        "version": 1, "id": "api", "source": whole, "table": "order", "key": ["id"], "sync": { "mode": "full" },
        "fields": { "order_code": "order", "product_code": "^.product", "machine_code": "machine.code",
                    "start": "from", "end": "to" },
        "destination": { "type": "stdout" },
    });
    let loaded = load("api.yaml", spec.to_string().as_bytes(), &NoCompanions);
    assert!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    let input = PlanInput {
        spec: loaded.spec.as_ref().unwrap(),
        value: &loaded.file.value,
        sql: None,
        machines: None,
        folder: std::path::Path::new("."),
        default_destination: None,
        offline: false,
    };
    let plan = Plan::new(&input, &Canary).unwrap();
    let mut source = (registry::find("http").unwrap().open)(&plan.source, &Cancel::default())?;
    source.ask(&Ask { now: NOW.parse().unwrap(), ..Ask::default() })?;
    let (mut batch, mut rows) = (RowBatch::new(), Vec::new());
    while source.next(&mut batch)? == Fetched::Rows {
        rows.extend(batch.rows().map(row_json));
    }
    let values = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    Ok((batch.columns().iter().map(|column| column.name.clone()).collect(), values, rows.join("\n")))
}

#[track_caller]
fn refused(outcome: Result<Rows, SourceError>, kind: SourceErrorKind, words: &[&str]) {
    let error = outcome.expect_err("the source refuses");
    let said = format!("{error} {}", error.hint.clone().unwrap_or_default());
    assert_eq!(error.kind, kind, "{said}");
    for word in words.iter().chain(&["127.0.0.1:"]) {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains(CANARY), "{said}");
}

fn list(count: usize) -> Vec<Value> {
    (0..count).map(|id| json!({ "id": id, "order": format!("A{id}") })).collect()
}

fn ids(rows: &Rows) -> Vec<u64> {
    rows.1.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

fn settings(pages: Pages) -> Value {
    let pagination = match pages {
        Pages::Cursor => json!({ "cursor": { "path": "$.next", "param": "cursor" } }),
        Pages::Page => json!({ "page": { "param": "page" } }),
        Pages::Offset => json!({ "offset": { "param": "offset", "limit_param": "limit", "limit": 3 } }),
        Pages::Header => json!({ "link": {} }),
        Pages::OData => json!({ "link": { "path": "$['@odata.nextLink']" } }),
    };
    json!({ "pagination": pagination })
}

#[test]
fn every_kind_of_pages_gives_every_record_once() {
    for pages in [Pages::Cursor, Pages::Page, Pages::Offset, Pages::Header, Pages::OData] {
        for count in [0, 1, 2, 3, 4, 7, 9] {
            let api = Api::start(move |asked, _| page_of(asked, &list(count), pages, 3));
            let rows = read(&api, &settings(pages)).unwrap_or_else(|error| panic!("{pages:?} {count}: {error}"));
            assert_eq!(ids(&rows), (0..count as u64).collect::<Vec<_>>(), "{pages:?} {count}");
        }
    }
}

#[test]
fn a_page_may_hold_more_than_a_batch() {
    let count = 2 * BATCH_ROWS_MAX + 1;
    let api = Api::start(move |asked, _| page_of(asked, &list(2 * count), Pages::Cursor, count));
    assert_eq!(ids(&read(&api, &settings(Pages::Cursor)).unwrap()), (0..2 * count as u64).collect::<Vec<_>>());
}

#[test]
fn a_server_that_gives_fewer_than_asked_loses_nothing() {
    let api = Api::start(|asked, _| page_of(asked, &list(8), Pages::Offset, 2));
    assert_eq!(ids(&read(&api, &settings(Pages::Offset)).unwrap()), (0..8).collect::<Vec<_>>());
}

#[test]
fn a_list_that_shifts_while_it_is_read_loses_nothing_in_silence() {
    // A record is put in before what was read: every place moves up by one.
    let api = Api::start(|asked, number| {
        let mut all = list(8);
        if number > 0 {
            all.insert(0, json!({ "id": 99, "order": "new" }));
        }
        page_of(asked, &all, Pages::Offset, 3)
    });
    assert_eq!(ids(&read(&api, &settings(Pages::Offset)).unwrap()), (0..8).collect::<Vec<_>>());
    // One that was read goes: the next page begins one too far.
    let api = Api::start(|asked, number| {
        let all = list(8);
        page_of(asked, if number > 0 { &all[1..] } else { &all }, Pages::Offset, 3)
    });
    let outcome = read(&api, &settings(Pages::Offset));
    refused(outcome, SourceErrorKind::Data, &["the list changed while it was read", "next run"]);
}

#[test]
fn pages_that_go_in_circles_end() {
    for pages in [Pages::Cursor, Pages::Page, Pages::Offset] {
        // The server does not know the parameter.
        let api = Api::start(move |asked, _| {
            let asked = Asked { query: Default::default(), ..asked.clone() };
            page_of(&asked, &list(9), pages, 3)
        });
        refused(read(&api, &settings(pages)), SourceErrorKind::Data, &["go in circles", "pagination"]);
        assert!(api.asked().len() <= 3, "{pages:?}");
    }
    let same = |_: &Asked, _: usize| Told::json(&json!({ "data": [], "next": "7" }));
    assert_eq!(read(&Api::start(same), &settings(Pages::Cursor)).unwrap().1, [json!(null); 0]);
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let api = Api::start(|asked, number| match number {
        0 => Told::status(429).with("Retry-After", "1"),
        2 => Told::status(503),
        _ => page_of(asked, &list(5), Pages::Cursor, 3),
    });
    let before = std::time::Instant::now();
    assert_eq!(ids(&read(&api, &settings(Pages::Cursor)).unwrap()), [0, 1, 2, 3, 4]);
    assert!(before.elapsed() >= std::time::Duration::from_secs(1), "Retry-After is obeyed");
    let api = Api::start(|_, _| Told::status(429).with("Retry-After", "3600"));
    let outcome = read(&api, &json!({ "timeouts": { "query": "5s" } }));
    refused(outcome, SourceErrorKind::Timeout, &["429", "asks to wait 1h", "rate_limit"]);
    let api = Api::start(|_, _| Told::status(503).with("Retry-After", &u64::MAX.to_string()));
    refused(read(&api, &json!({})), SourceErrorKind::Timeout, &["503", "longer than what is left of 5m"]);
}

#[test]
fn requests_keep_the_rate_limit() {
    let api = Api::start(|asked, _| page_of(asked, &list(3), Pages::Cursor, 1));
    let mut source = settings(Pages::Cursor);
    source["rate_limit"] = json!(10);
    let before = std::time::Instant::now();
    assert_eq!(read(&api, &source).unwrap().1.len(), 3);
    assert!(before.elapsed() >= std::time::Duration::from_millis(200));
}

#[test]
fn a_token_that_expires_half_way_is_replaced_once() {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&issued);
    let api = Api::start(move |asked, number| {
        if asked.path == "/token" {
            let token = count.fetch_add(1, Ordering::SeqCst);
            return Told::json(&json!({ "access_token": format!("token-{token}"), "expires_in": 3600 }));
        }
        let valid = if number < 3 { "Bearer token-0" } else { "Bearer token-1" };
        if asked.headers.get("authorization").map(String::as_str) != Some(valid) {
            return Told::status(401);
        }
        page_of(asked, &list(9), Pages::Cursor, 3)
    });
    let auth = |api: &Api| {
        json!({ "oauth2": { "token_url": format!("{}/token", api.url()), "client_id": "engine",
                            "client_secret": { "env": "SECRET" } } })
    };
    let mut source = settings(Pages::Cursor);
    source["auth"] = auth(&api);
    assert_eq!(read(&api, &source).unwrap().1.len(), 9);
    assert_eq!(issued.load(Ordering::SeqCst), 2);
    let api = Api::start(|asked, _| match asked.path.as_str() {
        "/token" => Told::json(&json!({ "access_token": CANARY })),
        _ => Told::status(401).body(format!("no {CANARY}")),
    });
    source["auth"] = auth(&api);
    refused(read(&api, &source), SourceErrorKind::Auth, &["401", "source.auth"]);
}

/// A login at an API, and what the session goes by.
fn session(api: &Api, settings: &Value) -> Value {
    let mut session = json!({
        "login_url": format!("{}/login", api.url()),
        "body": { "user": "engine", "password": { "env": "PASSWORD" } },
    });
    session.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({ "session": session })
}

#[test]
fn a_session_that_ends_half_way_is_opened_anew_once() {
    let with_token = json!({ "token": "$.session.key", "header": "X-Session" });
    let with_bearer = json!({ "token": "$.session.key" });
    let with_cookies = json!({ "form": true });
    for (way, header, prefix) in
        [(with_token, "x-session", ""), (with_bearer, "authorization", "Bearer "), (with_cookies, "cookie", "sid=")]
    {
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        let logins =
            [json!({ "user": "engine", "password": CANARY }).to_string(), format!("user=engine&password={CANARY}")];
        let api = Api::start(move |asked, number| {
            if asked.path == "/login" {
                assert_eq!(asked.method, "POST");
                if !logins.contains(&asked.body) {
                    return Told::status(403);
                }
                let key = count.fetch_add(1, Ordering::SeqCst);
                return Told::json(&json!({ "session": { "key": format!("key-{key}") } }))
                    .with("Set-Cookie", &format!("sid=key-{key}; Path=/; HttpOnly"))
                    .with("Set-Cookie", "lang=de");
            }
            let valid = format!("{prefix}key-{}", usize::from(number >= 3));
            match asked.headers.get(header) {
                Some(shown) if shown.split("; ").next() == Some(&*valid) => page_of(asked, &list(9), Pages::Cursor, 3),
                _ => Told::status(401),
            }
        });
        let mut source = settings(Pages::Cursor);
        source["auth"] = session(&api, &way);
        assert_eq!(read(&api, &source).unwrap().1.len(), 9, "{way}");
        assert_eq!(opened.load(Ordering::SeqCst), 2, "{way}");
        let sent_to = |path: &str| api.asked().iter().filter(|asked| asked.path == path).count();
        assert_eq!(sent_to("/login"), 2, "{way}");
    }
}

#[test]
fn a_login_that_opens_no_session_is_told() {
    for (told, way, words) in [
        (Told::status(401).body(format!("no {CANARY}")), json!({ "token": "$.key" }), "check auth.session"),
        (Told::json(&json!({ "key": null })), json!({ "token": "$.key" }), "has no text at `$.key`"),
        (Told::json(&json!({})).body("<html>"), json!({ "token": "$.key" }), "not with JSON"),
        (Told::json(&json!({})), json!({}), "set no cookie"),
    ] {
        let api = Api::start(move |_, _| told.clone());
        refused(read(&api, &json!({ "auth": session(&api, &way) })), SourceErrorKind::Auth, &[words, "logging in at"]);
        assert_eq!(api.asked().len(), 1, "nothing is asked without a session");
    }
    // One that is never recognised is not opened for ever.
    let api = Api::start(|asked, _| match asked.path.as_str() {
        "/login" => Told::json(&json!({ "key": CANARY })),
        _ => Told::status(401),
    });
    let auth = session(&api, &json!({ "token": "$.key" }));
    refused(read(&api, &json!({ "auth": auth })), SourceErrorKind::Auth, &["401", "source.auth"]);
    assert_eq!(api.asked().len(), 4);
}

#[test]
fn certificates_are_checked_and_shown() {
    let told = |name: &str, asks_for_client: bool, tls: &Value| {
        let api = Api::start_tls(server(name, asks_for_client), |asked, _| page_of(asked, &list(2), Pages::Page, 3));
        let mut source = settings(Pages::Page);
        source["auth"] = json!({ "bearer": { "env": "TOKEN" } });
        source["tls"] = tls.clone();
        let outcome = read(&api, &source);
        assert_eq!(api.asked().is_empty(), outcome.is_err(), "the login is sent to whom it is meant for");
        outcome
    };
    let ca = pem("ca.pem");
    for (name, tls) in [
        ("localhost", json!({ "ca_file": ca })),
        ("elsewhere", json!({ "ca_file": ca, "mode": "verify-ca" })),
        ("elsewhere", json!({ "mode": "require" })),
    ] {
        assert_eq!(ids(&told(name, false, &tls).unwrap()), [0, 1], "{name} {tls}");
    }
    for (name, tls, way_out) in [
        ("localhost", json!({}), "tls.ca_file"),
        ("elsewhere", json!({ "ca_file": ca }), "source.url"),
        ("localhost", json!({ "ca_file": pem("device.pem") }), "tls.ca_file"),
    ] {
        let error = told(name, false, &tls).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Tls, "{name} {tls}: {error}");
        assert!(error.hint.is_some_and(|hint| hint.contains(way_out)) && !error.message.contains(CANARY), "{name}");
    }
    let with_client = json!({ "ca_file": ca, "cert_file": pem("device.pem"), "key_file": pem("device.key") });
    assert_eq!(ids(&told("localhost", true, &with_client).unwrap()), [0, 1]);
    told("localhost", true, &json!({ "ca_file": ca })).unwrap_err();
}

#[test]
fn a_wrong_certificate_of_an_api_is_told_by_its_cause() {
    let forge = Forge::new();
    for (leaf, cause, way_out) in [
        (Leaf { valid: (VALID.0, "20260101000000Z"), ..GOOD }, "expired on 2026-01-01", "Renew"),
        (Leaf { valid: ("20980101000000Z", VALID.1), ..GOOD }, "only on 2098-01-01", "clock"),
        (Leaf { extensions: "subjectAltName = DNS:x.example", ..GOOD }, "x.example", "source.url"),
        (
            Leaf { extensions: "subjectAltName = IP:127.0.0.1\nextendedKeyUsage = clientAuth", ..GOOD },
            "is not for servers",
            "serverAuth",
        ),
    ] {
        forge.issue(&leaf);
        let api = Api::start_tls(forge.server("leaf"), |asked, _| page_of(asked, &list(2), Pages::Page, 3));
        let source = json!({ "auth": { "bearer": { "env": "TOKEN" } }, "tls": { "ca_file": forge.authority() } });
        let outcome = read_from(&api.url().replace("localhost", "127.0.0.1"), &source);
        refused(outcome, SourceErrorKind::Tls, &[cause, way_out]);
        assert!(api.asked().is_empty(), "the login is sent to whom it is meant for");
    }
}

#[test]
fn every_login_is_sent_and_never_shown() {
    let secret = json!({ "env": "SECRET" });
    for (auth, header) in [
        (json!({ "bearer": secret }), "authorization"),
        (json!({ "header": { "name": "X-Key", "value": secret } }), "x-key"),
        (json!({ "basic": { "username": "u", "password": secret } }), "authorization"),
    ] {
        // A careless server echoes what it was sent.
        let api = Api::start(move |asked, _| Told::status(403).body(format!("{:?}", asked.headers.get(header))));
        refused(read(&api, &json!({ "auth": auth })), SourceErrorKind::Permission, &["403", "Some("]);
        assert!(api.asked()[0].headers.contains_key(header));
    }
}

#[test]
fn a_body_that_breaks_off_is_asked_for_again_and_then_given_up() {
    let api = Api::start(|asked, number| {
        let told = page_of(asked, &list(5), Pages::Cursor, 3);
        if number == 1 { told.cut() } else { told }
    });
    assert_eq!(ids(&read(&api, &settings(Pages::Cursor)).unwrap()), [0, 1, 2, 3, 4]);
    let api = Api::start(|asked, _| page_of(asked, &list(5), Pages::Cursor, 3).cut());
    refused(read(&api, &settings(Pages::Cursor)), SourceErrorKind::Network, &["broke off"]);
    let api = Api::start(|_, _| Told::json(&Value::Null).body("{\"data\": [{\"id\": 1}"));
    refused(read(&api, &json!({})), SourceErrorKind::Data, &["no whole JSON"]);
}

#[test]
fn an_answer_of_another_kind_is_named() {
    let told = |kind: &str, body: &str| {
        let told = Told::json(&Value::Null).with("Content-Type", kind).body(body);
        Api::start(move |_, _| told.clone())
    };
    for (kind, body, said) in [
        ("text/html; charset=utf-8", "<html><title>Sign in</title>", "web page with the title \"Sign in\""),
        ("application/json", "<html>", "no whole JSON"),
        ("text/plain", "<!doctype html>", "web page"),
        ("image/png", "PNG", "image/png, not JSON"),
        (
            "application/json",
            "{\"error\": \"no licence\"}",
            "has no `$.data`; it is an object with the members `error`",
        ),
        ("application/json", "{\"data\": [1]}", "leads to a number"),
    ] {
        refused(read(&told(kind, body), &json!({})), SourceErrorKind::Data, &[said]);
    }
    for (kind, body, said) in [
        ("text/html", "<html><title>Sign in</title>", "web page with the title \"Sign in\""),
        ("application/json", "{\"error\": \"no licence\"}", "not CSV: {\"error\": \"no licence\"}"),
        ("text/csv", "id;\"order", "the line with the column names"),
        ("text/csv", "Sorry, no licence", "no column that the spec reads; it names: Sorry, no licence"),
        ("text/csv", "id,order\n1,A1", "source.csv.delimiter"),
    ] {
        let source = json!({ "csv": { "delimiter": ";" }, "records": null });
        refused(read(&told(kind, body), &source), SourceErrorKind::Data, &[said]);
    }
    let lines = told("application/x-ndjson", "{\"id\": 1}\n\n{\"id\": 2}\r\n");
    assert_eq!(ids(&read(&lines, &json!({ "records": "$[*]" })).unwrap()), [1, 2]);
}

#[test]
fn csv_is_read_as_it_is_written() {
    // As the answer says: commas, and an encoding. Excel's hint, a comma too many and an empty line are passed over.
    let api = Api::start(|_, _| {
        let body = b"sep=,\nid,order,note\n1,A1,M\xfcller\n2,A2,,\n,,\n3,\"A,3\",\"\"\n".to_vec();
        Told::status(200).with("Content-Type", "text/csv; charset=\"windows-1252\"").body(body)
    });
    let rows = read(&api, &json!({ "records": null })).unwrap();
    assert_eq!(rows.0, ["id", "order", "note", "_line"]);
    assert_eq!(
        rows.1,
        [
            json!({ "id": "1", "order": "A1", "note": "Müller", "_line": 3 }),
            json!({ "id": "2", "order": "A2", "note": null, "_line": 4 }),
            json!({ "id": "3", "order": "A,3", "note": null, "_line": 6 }),
        ]
    );
    // As the spec says, page by page; a later page may have its columns in another order.
    let api = Api::start(|asked, _| {
        let body = match asked.number("page", 1) {
            1 => "\u{feff}id;order;quantity\n1;A1;-1,5\n2;A2;2\n",
            2 => "Quantity;id;order;more\n3,25;3;A3;x\n",
            _ => "id;order;quantity\n",
        };
        Told::status(200).with("Content-Type", "text/plain").body(body)
    });
    let mut source = settings(Pages::Page);
    source["csv"] = json!({ "delimiter": ";", "decimal": "," });
    source["records"] = Value::Null;
    let rows = read(&api, &source).unwrap();
    assert_eq!(rows.0, ["id", "order", "quantity", "_line"]);
    assert!(rows.2.contains("-1.5") && rows.2.contains("3.25"), "{}", rows.2);
    let orders: Vec<_> = rows.1.iter().map(|row| row["order"].as_str().unwrap()).collect();
    assert_eq!(orders, ["A1", "A2", "A3"]);
    assert_eq!(api.asked().len(), 3);
    assert_eq!(api.asked()[0].headers["accept"], "text/csv");
    // A server that does not know the parameter.
    let api = Api::start(|_, _| Told::status(200).with("Content-Type", "text/csv").body("id;order\n1;A1\n"));
    refused(read(&api, &source), SourceErrorKind::Data, &["the pages go in circles"]);
    // Nothing at all is no rows.
    let api = Api::start(|_, _| Told::status(200).with("Content-Type", "text/csv").body(""));
    assert_eq!(read(&api, &json!({ "records": null })).unwrap().1.len(), 0);
}

#[test]
fn a_broken_line_of_an_api_costs_only_itself() {
    let lines = |broken: &str| {
        let line = |(id, order, machine, kind, at): &(i64, &str, &str, &str, &str)| {
            format!("{id};{order};25-1002;{machine};{kind};{at}\n")
        };
        format!("id;anr;artnr;mnr;kenn;zeit\n{}{broken}\n", BOOKINGS.iter().map(line).collect::<String>())
    };
    let body = lines("7;4714;25-1002");
    let api = Api::start(move |_, _| Told::status(200).with("Content-Type", "text/csv").body(body.clone()));
    let workspace = Workspace::new();
    let mut spec = bookings_of(&api.url(), &plant::to_file("runs.ndjson"));
    let source = spec["source"].as_object_mut().unwrap();
    source.remove("records");
    source.remove("pagination");
    source.insert("csv".to_owned(), json!({ "delimiter": ";" }));
    spec["max_rejected"] = json!("50%");
    workspace.spec("acme.yaml", &spec);
    let run = workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
    assert!(run.stderr.contains("1 rejected (1 line_unreadable)"), "{}", run.stderr);
    assert_eq!(workspace.read("runs.ndjson").lines().count(), 3);
    let preview = workspace.engine(&["preview", "--now", NOW, "acme.yaml"]).expect(0);
    let said = "/bookings line 8: 3 fields where the header has 6";
    assert!(preview.stdout.contains(said), "{}", preview.stdout);
}

#[test]
fn compressed_answers_are_read_within_a_limit() {
    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }
    let plain = json!({ "data": list(3) }).to_string();
    for (encoding, body) in [("gzip", gzip(plain.as_bytes())), ("zstd", zstd::encode_all(plain.as_bytes(), 3).unwrap())]
    {
        let told = Told::json(&Value::Null).with("Content-Encoding", encoding).body(body.clone());
        let api = Api::start(move |_, _| told.clone());
        assert_eq!(ids(&read(&api, &json!({})).unwrap()), [0, 1, 2], "{encoding}");
        let told = Told::json(&Value::Null).with("Content-Encoding", encoding).body(&body[..body.len() / 2]);
        refused(read(&Api::start(move |_, _| told.clone()), &json!({})), SourceErrorKind::Data, &["decompressed"]);
    }
    let bomb = gzip(&vec![b' '; 33 << 20]);
    let told = Told::json(&Value::Null).with("Content-Encoding", "gzip").body(bomb);
    refused(read(&Api::start(move |_, _| told.clone()), &json!({})), SourceErrorKind::Data, &["longer than 32 MiB"]);
}

#[test]
fn a_login_never_reaches_another_host() {
    let other = Arc::new(Api::start(|_, _| Told::json(&json!({ "data": [] }))));
    let elsewhere = other.url();
    let link = elsewhere.clone();
    let api = Api::start(move |_, _| Told::json(&json!({ "data": [{ "id": 1 }], "@odata.nextLink": link })));
    let mut source = settings(Pages::OData);
    source["auth"] = json!({ "bearer": { "env": "TOKEN" } });
    refused(read(&api, &source), SourceErrorKind::Data, &["the next page is on http://127.0.0.1:", "another host"]);
    let api = Api::start(move |_, _| Told::status(302).with("Location", &elsewhere));
    refused(read(&api, &source), SourceErrorKind::Config, &["redirect to http://127.0.0.1:", "source.url"]);
    assert_eq!(other.asked().len(), 0);
    // On the same host a redirect is followed.
    let api = Api::start(|asked, _| match asked.path.as_str() {
        "/v2" => page_of(asked, &list(2), Pages::OData, 3),
        _ => Told::status(307).with("Location", "/v2"),
    });
    assert_eq!(ids(&read(&api, &source).unwrap()), [0, 1]);
}

#[test]
fn records_become_rows_with_the_objects_around_them() {
    let body = r#"{"plant": "1000", "orders": [
        {"product": "P1", "bookings": [{"id": 1, "machine": {"code": "M1"}, "qty": 12345678901234567890.10}]},
        {"product": "P2", "bookings": []},
        {"product": "P3", "bookings": [{"id": 2, "to": null, "tags": [1, 2], "qty": 1e3},
                                       {"id": 3, "late": true, "machine": {"code": "ü"}}]}]}"#;
    let api = Api::start(move |_, _| Told::json(&Value::Null).body(body));
    let (columns, rows, text) = read(&api, &json!({ "records": "$.orders[*].bookings[*]" })).unwrap();
    let expected = ["id", "machine.code", "qty", "to", "tags", "late", "^.product", "from", "order"];
    assert_eq!(columns, expected);
    // A number that no floating-point number can be keeps its digits.
    assert!(text.contains(r#""qty":12345678901234567890.1,"#) && text.contains(r#""qty":1000,"#), "{text}");
    assert_eq!(rows[0]["^.product"], "P1");
    assert_eq!(
        (&rows[1]["^.product"], &rows[1]["machine.code"], &rows[1]["to"]),
        (&json!("P3"), &json!(null), &json!(null))
    );
    assert_eq!((&rows[2]["machine.code"], &rows[2]["late"]), (&json!("ü"), &json!(true)));
    // Without records there are still the columns that the spec names.
    let api = Api::start(|_, _| Told::json(&json!({ "data": [] })));
    let (columns, rows, _) = read(&api, &json!({})).unwrap();
    assert_eq!(columns, ["^.product", "from", "id", "machine.code", "order", "to"]);
    assert!(rows.is_empty());
}

// ------------------------------------------------------------------------------------- worked specs

/// A run of a folder of `specs/` against an API, and the runs at the platform: order, machine, start and end.
fn run_worked(folder: &str, variables: &[(&str, &str)], now: &str) -> Vec<String> {
    let (mut workspace, platform) = (Workspace::new(), Platform::start());
    for entry in std::fs::read_dir(root().join("specs").join(folder)).unwrap().flatten() {
        workspace
            .write(&format!("specs/{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path()).unwrap());
    }
    workspace.env("ENLYZE_URL", platform.url().trim_end_matches("/deliveries")).env("ENLYZE_TOKEN", "token-canary");
    for (name, value) in variables {
        workspace.env(name, value);
    }
    workspace.engine(&["run", "--once", "specs", "--now", now]).expect(0);
    platform.assert_contract();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let words = |record: &Value| {
        let place = format!("{} on {}", text(record, "production_order"), text(record, "machine_code"));
        format!("{place} {}..{} {}", text(record, "start"), text(record, "end"), record["quantity_yield"])
    };
    let mut runs: Vec<String> = platform.state().values().map(words).collect();
    runs.sort();
    runs
}

#[test]
fn the_worked_mes_is_read_with_its_orders_around_the_bookings() {
    let api = Api::start(|asked, _| {
        assert_eq!(asked.path, "/plants/1000/orders");
        assert_eq!(asked.headers["x-api-key"], CANARY);
        assert_eq!(asked.query["from"], "2025-03-17T12:00:00Z");
        let order = |no: &str, bookings: Value| json!({ "order_no": no, "product": { "code": "25-1002", "name": "Gehäuse" }, "bookings": bookings });
        let booking = |id: i64, kind: &str, at: &str| json!({ "id": id, "terminal": { "machine": "M1" }, "kind": kind, "at": at, "good": id });
        Told::json(&match asked.query.get("cursor").map(String::as_str) {
            None => json!({
                "orders": [
                    order("4711", json!([booking(1, "begin", "2025-03-31T06:00:00+02:00")])),
                    order("4710", json!([])),
                ],
                "paging": { "next": "b2Zmc2V0PTI=" },
            }),
            Some("b2Zmc2V0PTI=") => json!({
                "orders": [order("4711", json!([booking(2, "finish", "2025-03-31T09:30:00+02:00")]))],
                "paging": { "next": null },
            }),
            other => panic!("cursor {other:?}"),
        })
    });
    let variables = [("MES_API_URL", api.url()), ("MES_API_KEY", CANARY.to_owned())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let runs = run_worked("mes-api", &variables, "2025-03-31T12:00:00Z");
    assert_eq!(runs, ["4711 on M1 2025-03-31T04:00:00Z..2025-03-31T07:30:00Z 3"]);
}

#[test]
fn the_worked_business_central_is_read_over_odata() {
    let api = Api::start(|asked, _| {
        if asked.path == "/token" {
            assert!(asked.body.contains("scope=https%3A%2F%2Fapi.businesscentral.dynamics.com%2F.default"));
            return Told::json(&json!({ "access_token": "token-bc", "expires_in": 3599 }));
        }
        assert_eq!(asked.headers["authorization"], "Bearer token-bc");
        assert_eq!(asked.headers["prefer"], "odata.maxpagesize=1000");
        assert_eq!(asked.path, "/ODataV4/Company('CRONUS%20DE')/CapacityLedgerEntries");
        let entry = |no: i64, date: &str, from: &str, to: &str| {
            json!({
                "Entry_No": no, "Posting_Date": date, "Type": "Machine Center", "No": "CNC-1", "Order_No": "101005",
                "Item_No": "1000", "Starting_Time": from, "Ending_Time": to, "Output_Quantity": 12.5, "Scrap_Quantity": 0,
            })
        };
        if asked.query.contains_key("$skiptoken") {
            return Told::json(&json!({ "value": [entry(3, "2025-03-31", "06:00:00", "08:00:00")] }));
        }
        assert_eq!(
            asked.query["$filter"],
            "Order_Type eq 'Production' and Posting_Date ge 2025-03-01 and Posting_Date lt 2025-04-01"
        );
        let next = format!("http://{}{}?$skiptoken=2", asked.headers["host"], asked.path);
        Told::json(&json!({
            "@odata.context": "x", "@odata.nextLink": next,
            "value": [entry(1, "2025-03-29", "22:00:00", "06:00:00"), entry(2, "2025-03-30", "00:00:00", "00:00:00")],
        }))
    });
    let variables = [
        ("BC_URL", format!("{}/ODataV4", api.url())),
        ("BC_TOKEN_URL", format!("{}/token", api.url())),
        ("BC_CLIENT_ID", "engine".to_owned()),
        ("BC_CLIENT_SECRET", CANARY.to_owned()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(
        run_worked("business-central", &variables, "2025-03-31T12:00:00Z"),
        [
            "101005 on CNC-1 2025-03-29T21:00:00Z..2025-03-30T04:00:00Z 12.5",
            "101005 on CNC-1 2025-03-31T04:00:00Z..2025-03-31T06:00:00Z 12.5",
        ]
    );
    assert_eq!(api.asked().len(), 3);
}

// --------------------------------------------------------------------------------------- the program

/// A spec that folds the same bookings as [`plant::bookings`], of an API.
fn bookings_of(url: &str, destination: &Value) -> Value {
    let mut spec = plant::bookings("acme", destination);
    spec["source"] = json!({
        "type": "http", "url": url, "timezone": "Europe/Berlin", "records": "$.data[*]",
        "request": { "path": "/plants/{{ params.plant }}/bookings",
                     "query": { "from": "{{ window.start }}", "to": "{{ window.end }}" } },
        "pagination": { "cursor": { "path": "$.next", "param": "cursor" } },
    });
    spec["query"] = json!({ "params": { "plant": "Aachen/1" } });
    spec
}

fn records() -> Vec<Value> {
    let record = |(id, order, machine, kind, at): &(i64, &str, &str, &str, &str)| json!({ "id": id, "anr": order, "artnr": "25-1002", "mnr": machine, "kenn": kind, "zeit": at });
    BOOKINGS.iter().map(record).collect()
}

#[test]
fn the_same_bookings_of_databases_of_files_and_of_an_api_are_the_same_runs() {
    let deliver = |spec: &dyn Fn(&mut Workspace, &Value) -> Value| {
        let mut workspace = Workspace::new();
        let spec = spec(&mut workspace, &plant::to_file("runs.ndjson"));
        workspace.spec("acme.yaml", &spec);
        workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
        workspace.read("runs.ndjson")
    };
    let database = deliver(&|workspace, destination| {
        let plant = Plant::new(&workspace.path("mes.db"));
        for (id, order, machine, kind, at) in BOOKINGS {
            plant.execute(&format!(
                "INSERT INTO buchung VALUES ({id}, '{order}', '25-1002', '{machine}', '{kind}', '{at}')"
            ));
        }
        plant::bookings("acme", destination)
    });
    let of_files = deliver(&|workspace, destination| {
        let line = |(id, order, machine, kind, at): &(i64, &str, &str, &str, &str)| {
            format!("{id};{order};25-1002;{machine};{kind};{at}\n")
        };
        let lines: String = BOOKINGS.iter().map(line).collect();
        let path = workspace.write("exports/bookings.csv", format!("id;anr;artnr;mnr;kenn;zeit\n{lines}"));
        // Long enough ago to have stopped growing.
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
        let mut spec = plant::bookings("acme", destination);
        spec["source"] = json!({ "type": "csv", "path": "exports", "delimiter": ";", "timezone": "Europe/Berlin" });
        spec.as_object_mut().unwrap().remove("query");
        spec
    });
    assert_eq!(of_files, database);
    let servers =
        [("postgres", Some(servers::postgres())), ("mariadb", Some(servers::mariadb())), ("mysql", servers::mysql())];
    for (kind, server) in servers.iter().filter_map(|(kind, server)| Some((*kind, server.as_ref()?))) {
        let moment = if kind == "postgres" { "timestamp" } else { "datetime" };
        server.execute(&format!(
            "DROP TABLE IF EXISTS buchung; CREATE TABLE buchung (id int PRIMARY KEY, anr text, artnr varchar(20), mnr char(6), kenn char(1), zeit {moment})"
        ));
        for (id, order, machine, kind, at) in BOOKINGS {
            server.execute(&format!(
                "INSERT INTO buchung VALUES ({id}, '{order}', '25-1002', '{machine}', '{kind}', '{at}')"
            ));
        }
        let of_server = deliver(&|workspace, destination| {
            workspace.env("DB_PASSWORD", &server.password);
            let mut spec = plant::bookings("acme", destination);
            spec["source"] = json!({
                "type": kind, "host": server.host, "port": server.port, "database": server.database,
                "username": server.username, "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
            });
            spec
        });
        assert_eq!(of_server, database, "{kind}");
    }
    let api = Api::start(|asked, _| page_of(asked, &records(), Pages::Cursor, 4));
    let url = api.url();
    let of_api = deliver(&|_, destination| bookings_of(&url, destination));
    assert_eq!(of_api, database);
    assert_eq!(of_api.lines().count(), 3);
    let csv = Api::start(|_, _| {
        let line = |(id, order, machine, kind, at): &(i64, &str, &str, &str, &str)| {
            format!("{id},{order},25-1002,{machine},{kind},{at}\n")
        };
        let lines: String = BOOKINGS.iter().map(line).collect();
        Told::status(200).with("Content-Type", "text/csv").body(format!("id,anr,artnr,mnr,kenn,zeit\n{lines}"))
    });
    let url = csv.url();
    let of_csv_api = deliver(&|_, destination| {
        let mut spec = bookings_of(&url, destination);
        let source = spec["source"].as_object_mut().unwrap();
        source.remove("records");
        source.remove("pagination");
        spec
    });
    assert_eq!(of_csv_api, database);
    let asked = api.asked();
    assert_eq!(asked[0].path, "/plants/Aachen%2F1/bookings");
    // The same bounds as those of a query.
    assert_eq!(
        [&asked[0].query["from"], &asked[0].query["to"], &asked[1].query["cursor"]],
        ["2025-03-16T13:00:00", "2025-03-30T14:00:00", "4"]
    );
}

/// An API that gives a day at most, both ends included: what lies on an end comes twice.
#[test]
fn a_window_is_asked_for_in_slices() {
    let api = Api::start(|asked, _| {
        let (from, to) = (&asked.query["from"], &asked.query["to"]);
        let (day, next) = (from[..10].to_owned(), to[..10].to_owned());
        if day[..8] == next[..8] && next[8..].parse::<u8>().unwrap() > day[8..].parse::<u8>().unwrap() + 1 {
            return Told::status(422);
        }
        let inside = |record: &&Value| {
            let at = record["zeit"].as_str().unwrap().replace(' ', "T");
            *from <= at && at <= *to
        };
        let records = records();
        let found: Vec<Value> = records.iter().filter(inside).cloned().collect();
        page_of(asked, &found, Pages::Cursor, 2)
    });
    let workspace = Workspace::new();
    let mut spec = bookings_of(&api.url(), &plant::to_file("runs.ndjson"));
    spec["source"]["request"]["slice"] = json!("1d");
    workspace.spec("acme.yaml", &spec);
    let run = || workspace.engine(&["run", "--once", "--now", "2025-03-30T10:00:00Z", "acme.yaml"]).expect(0);
    run();
    let delivered = workspace.read("runs.ndjson");
    assert_eq!(delivered.lines().count(), 3, "{delivered}");
    let days = api.asked().iter().filter(|asked| !asked.query.contains_key("cursor")).count();
    assert_eq!(days, 14);
    run();
    assert_eq!(workspace.read("runs.ndjson"), delivered);
}

#[test]
fn an_api_that_fails_half_way_delivers_nothing_wrong_and_the_next_run_completes() {
    let mood = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&mood);
    let api = Api::start(move |asked, _| {
        let told = page_of(asked, &records(), Pages::Cursor, 4);
        let is_second = asked.query.contains_key("cursor");
        match now.load(Ordering::SeqCst) {
            1 if is_second => told.cut(),
            2 if is_second => Told::status(500),
            3 if is_second => told.with("Content-Type", "text/html").body("<html>"),
            _ => told,
        }
    });
    let (workspace, platform) = (Workspace::new(), Platform::start());
    workspace.spec("acme.yaml", &bookings_of(&api.url(), &plant::to_url(&platform.url())));
    let run = || workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]);
    for (broken, code) in [(1, 3), (2, 3), (3, 1)] {
        mood.store(broken, Ordering::SeqCst);
        run().expect(code).says("/plants/Aachen%2F1/bookings");
        assert_eq!(platform.state().len(), 0, "{broken}");
    }
    mood.store(0, Ordering::SeqCst);
    run().expect(0);
    let whole = platform.state();
    assert_eq!(whole.len(), 3);
    // What was delivered is not taken for deleted either.
    for (broken, code) in [(1, 3), (3, 1)] {
        mood.store(broken, Ordering::SeqCst);
        run().expect(code);
        assert_eq!(platform.state(), whole, "{broken}");
    }
    platform.assert_contract();
}

#[test]
fn a_cursor_goes_on_where_the_last_run_ended() {
    let api = Api::start(|asked, _| {
        let since = asked.query.get("since").cloned().unwrap_or_default();
        let is_new = |record: &&Value| record["zeit"].as_str().is_some_and(|at| at > since.as_str());
        Told::json(&json!({ "data": records().iter().filter(is_new).collect::<Vec<_>>() }))
    });
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let mut spec = bookings_of(&api.url(), &plant::to_url(&platform.url()));
    spec["source"]["request"]["query"] = json!({ "since": "{{ cursor.zeit }}" });
    spec["source"].as_object_mut().unwrap().remove("pagination");
    spec["sync"] = json!({ "mode": "cursor", "cursor": ["zeit"] });
    workspace.spec("acme.yaml", &spec);
    for _ in 0..2 {
        workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
        assert_eq!(platform.state().len(), 3);
    }
    let asked: Vec<_> = api.asked().iter().map(|asked| asked.query.get("since").cloned()).collect();
    // The first run asks for all, the second for what lies after the cursor, and ten minutes of overlap.
    assert_eq!(asked, [None, Some("2025-03-30 08:50:00".to_owned())]);
}

#[test]
fn render_shows_the_request() {
    let workspace = Workspace::new();
    let mut spec = bookings_of("https://mes.acme.example/api", &plant::to_file("runs.ndjson"));
    spec["source"]["request"]["headers"] = json!({ "X-Key": { "env": "KEY" }, "X-Site": "aachen" });
    workspace.spec("acme.yaml", &spec);
    workspace
        .engine(&["render", "--now", NOW, "acme.yaml"])
        .expect(0)
        .says("GET https://mes.acme.example/api/plants/Aachen%2F1/bookings?from=2025-03-16T13%3A00%3A00&to=2025-03-30T14%3A00%3A00\n")
        .says("X-Site: aachen")
        .says("-- 2: 2025-03-16T13:00:00 (local date-time, window.start)");
}
