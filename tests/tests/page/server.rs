//! Who is answered, and how much at most.

use std::time::{Duration, Instant};

use engine_tests::binary::{Workspace, await_that};
use engine_tests::plant::{self, Plant};

use crate::client::{connect, get, send};
use crate::{Site, every_second};

/// Connections that are served at the same time.
const CONNECTIONS: usize = 16;

fn site() -> Site {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("run_finished", "acme");
    site
}

#[test]
fn health_is_told_to_programs() {
    let site = site();
    let alive = site.get("/healthz").is(200);
    assert_eq!(alive.headers["content-type"], "application/json");
    alive.says("\"alive\":true");
    await_that("it is ready", || site.get("/readyz").status == 200);
    site.get("/readyz").says("{\"ready\":true}");
}

#[test]
fn every_answer_keeps_browsers_from_what_is_not_meant() {
    let site = site();
    for path in ["/", "/pipelines/acme", "/metrics", "/healthz", "/style.css", "/refresh.js", "/none"] {
        let answer = site.get(path);
        assert_eq!(answer.status, if path == "/none" { 404 } else { 200 }, "{path}");
        let policy = &answer.headers["content-security-policy"];
        for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
        // What the policy forbids is not in the page.
        assert!(!answer.body.contains("<style") && !answer.body.contains(" style="), "{path}");
    }
}

#[test]
fn only_reading_is_answered() {
    let site = site();
    let host = &site.address;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{method} / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n{{}}");
        let answer = send(host, request.as_bytes()).expect("an answer").is(405);
        assert_eq!(answer.headers["allow"], "GET, HEAD");
    }
    let head = send(host, format!("HEAD / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).expect("an answer").is(200);
    assert_eq!(head.body, "");
    assert!(head.headers["content-length"].parse::<usize>().expect("a number") > 1_000);
}

#[test]
fn a_name_that_others_can_make_lead_here_is_refused() {
    let site = site();
    for host in ["evil.example", "localhost.evil.example", "192.168.0.1", ""] {
        let answer = send(&site.address, format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes());
        let answer = answer.expect("an answer").is(421);
        assert!(!answer.body.contains("acme"), "{host}: {answer:?}");
    }
    for request in ["GET / HTTP/1.0\r\n\r\n", "GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        send(&site.address, request.as_bytes()).expect("an answer").is(421);
    }
    send(&site.address, b"GET / HTTP/1.1\r\nhost: localhost:9187\r\n\r\n").expect("an answer").is(200);
}

#[test]
fn requests_that_are_too_large_are_refused() {
    let site = site();
    let request = |headers: &str| format!("GET / HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: 1\r\n")).collect::<String>();
    let long = |bytes: usize| format!("x: {}\r\n", "a".repeat(bytes));
    let status = |headers: &str| send(&site.address, request(headers).as_bytes()).map(|answer| answer.status);
    assert_eq!(status(&many(60)), Some(200));
    assert_eq!(status(&many(70)), Some(431));
    assert_eq!(status(&long(8 << 10)), Some(200));
    assert_ne!(status(&long(64 << 10)), Some(200));
    assert_ne!(send(&site.address, b"\x16\x03\x01\x00\xa5 no HTTP\r\n\r\n").map(|answer| answer.status), Some(200));
    assert_eq!(status(""), Some(200));
}

#[test]
fn connections_that_say_nothing_hold_up_others_for_a_moment_only() {
    let site = site();
    let silent: Vec<_> = (0..CONNECTIONS).map(|_| connect(&site.address)).collect();
    // All places are taken; they are given up when no request has come for five seconds.
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    site.get("/healthz").is(200);
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(silent);
}

#[test]
fn an_address_that_is_not_to_be_had_stops_nothing() {
    let (workspace, taken) = (Workspace::new(), std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    let address = taken.local_addr().expect("an address");
    workspace.write("engine.yaml", format!("version: 1\nspecs: [a.yaml]\nhttp: {{ listen: '{address}' }}\n"));
    workspace.spec("a.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let mut running = workspace.start(&["run"]);
    let failed = running.event("http_failed", "");
    assert!(failed["message"].as_str().is_some_and(|message| message.contains(&address.to_string())), "{failed}");
    running.event("delivered", "acme");
    running.signal("TERM");
    running.finish().expect(0);
}

#[test]
fn what_others_could_reach_is_not_served_without_tls_and_a_token() {
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db"));
    workspace.spec("a.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let (tls, token) = (", tls: { cert_file: engine.pem, key_file: engine.key }", ", token: { file: page-token }");
    for (listen, beside, lacks) in [
        ("0.0.0.0:9187", String::new(), "lacks TLS and a token"),
        ("[::]:9187", tls.to_owned(), "lacks a token"),
        ("192.168.1.7:9187", token.to_owned(), "lacks TLS"),
    ] {
        let config = format!("version: 1\nspecs: [a.yaml]\nhttp: {{ listen: '{listen}'{beside} }}\n");
        workspace.write("engine.yaml", &config);
        let outcome = workspace.engine(&["run"]).expect(2);
        outcome.says("can be reached from other machines").says(lacks).says("ssh -L 9187:127.0.0.1:9187");
    }
    let literal = "http: { listen: '127.0.0.1:0', token: a-literal-of-a-token }";
    workspace.write("engine.yaml", format!("version: 1\nspecs: [a.yaml]\n{literal}\n"));
    let outcome = workspace.engine(&["run"]).expect(2);
    assert!(!outcome.stderr.contains("a-literal-of-a-token"), "{outcome}");
}

/// The state is whole when the service ends, however many look at it.
#[test]
fn it_stops_while_somebody_is_connected() {
    let mut site = site();
    let _silent = connect(&site.address);
    let address = site.address.clone();
    get(&address, "/metrics").is(200);
    let running = site.running.take().expect("it was started");
    running.signal("TERM");
    let outcome = running.finish_within(Duration::from_secs(10)).expect(0);
    assert_eq!(outcome.events("stopped").len(), 1, "{outcome}");
    assert!(!site.workspace.path(".engine/state.db-wal").exists(), "the state was not closed");
}
