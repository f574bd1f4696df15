//! Platforms that answer a delivery with harm: nothing counts as delivered, and the engine lives.

use std::io::Write;
use std::net::TcpStream;

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::raw::{Raw, say};
use serde_json::json;

use crate::{Expected, all_as_expected, differs};

/// Memory of a run that delivers a few records, in MiB.
const MEMORY_MIB: u64 = 192;

type Answering = fn(&mut TcpStream, &str) -> std::io::Result<()>;

fn endless(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, "Content-Type: application/json", b"{")?;
    let blanks = vec![b' '; 1 << 20];
    loop {
        stream.write_all(&blanks)?;
    }
}

fn endless_headers(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
    loop {
        stream.write_all(b"X-Harm: harm\r\n")?;
    }
}

fn results(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    say(stream, &format!("Content-Type: application/json\r\nContent-Length: {}", body.len()), body.as_bytes())
}

fn deep(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    results(stream, &format!("{{\"results\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)))
}

fn strangers(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    results(stream, r#"{"results":[{"run_id":"stranger","status":"rejected"}]}"#)
}

fn many(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    let one = r#"{"status":"rejected"},"#;
    results(stream, &format!("{{\"results\":[{}{{}}]}}", one.repeat(40_000)))
}

fn half(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, "Content-Type: application/json\r\nContent-Length: 1000", b"{\"results\":[")
}

fn page(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, "Content-Type: text/html\r\nContent-Length: 13", b"<html></html>")
}

fn pause(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 429 Busy\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n")
}

fn moved(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 308 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
}

const PLATFORMS: &[(&str, Answering, &str)] = &[
    ("an answer without end", endless, "longer than 1048576 bytes"),
    ("headers without end", endless_headers, "they may have arrived"),
    ("results 100,000 deep", deep, "cannot be read"),
    ("a stranger rejected", strangers, "which was not sent"),
    ("40,000 results", many, "results"),
    ("half an answer", half, "broke off"),
    ("a web page", page, "web page"),
    ("a pause without end", pause, "429"),
    ("moved in a circle", moved, "redirect"),
];

#[test]
fn a_platform_that_means_harm_accepts_nothing() {
    let wrong: Vec<String> = PLATFORMS
        .iter()
        .filter_map(|(name, answer, says)| {
            let workspace = Workspace::new();
            let plant = Plant::new(&workspace.path("mes.db"));
            plant.orders(1..6);
            let platform = Raw::start(answer);
            let mut spec = plant::orders("hostile", &plant::to_url(&platform.url()));
            spec["destination"]["timeouts"] = json!({ "query": "5s" });
            workspace.spec("spec.yaml", &spec);
            let running = workspace.start(&["run", "--once", "--now", NOW, "spec.yaml"]);
            let wrong = differs(name, running, Expected { code: 3, says, memory_mib: MEMORY_MIB });
            let status = workspace.engine(&["status", "-o", "json"]);
            let waiting = status.json()[0]["outbox"].to_string();
            assert!(waiting.contains('5'), "{name}: 5 records wait, and the status says {waiting}");
            wrong
        })
        .collect();
    all_as_expected("Plain words", "a_platform_that_means_harm_accepts_nothing", PLATFORMS.len(), &wrong);
}
