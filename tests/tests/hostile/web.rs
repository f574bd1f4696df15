//! APIs that mean harm: that never end, swell, lie about their length, or lead in circles.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use engine_tests::binary::Workspace;
use engine_tests::plant::NOW;
use engine_tests::raw::{Raw, say};
use serde_json::{Value, json};

use crate::rows::spec;
use crate::{Expected, all_as_expected, differs};

/// What a question may take before it is given up.
const QUERY: &str = "5s";
/// Memory of a page as large as may be and of what is made of it, in MiB.
const MEMORY_MIB: u64 = 640;
/// Bytes that are more than any page may have.
const TOO_MANY: usize = 64 << 20;

type Answering = fn(&mut TcpStream, &str) -> std::io::Result<()>;

const JSON: &str = "Content-Type: application/json";

fn whole(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    say(stream, &format!("{JSON}\r\nContent-Length: {}", body.len()), body)
}

/// A body that says how it is packed.
fn packed(stream: &mut TcpStream, encoding: &str, body: &[u8]) -> std::io::Result<()> {
    say(stream, &format!("{JSON}\r\nContent-Encoding: {encoding}\r\nContent-Length: {}", body.len()), body)
}

fn endless_body(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, JSON, b"[")?;
    let zeros = vec![b' '; 1 << 20];
    loop {
        stream.write_all(&zeros)?;
    }
}

fn endless_headers(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
    for number in 0.. {
        stream.write_all(format!("X-{number}: {}\r\n", "x".repeat(1_000)).as_bytes())?;
    }
    Ok(())
}

fn endless_header(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
    let letters = vec![b'x'; 1 << 16];
    loop {
        stream.write_all(&letters)?;
    }
}

fn drip(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, JSON, b"[")?;
    loop {
        stream.write_all(b" ")?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn silence(_: &mut TcpStream, _: &str) -> std::io::Result<()> {
    std::thread::sleep(Duration::from_secs(30));
    Ok(())
}

fn gzip_bomb(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&blanks)?;
    }
    packed(stream, "gzip", &encoder.finish()?)
}

fn zstd_bomb(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..1_024 {
        encoder.write_all(&blanks)?;
    }
    packed(stream, "zstd", &encoder.finish()?)
}

/// A frame that asks its reader for a window of 128 GiB.
fn zstd_window(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    packed(stream, "zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xd8, 0x01, 0x00, 0x00])
}

fn a_second_packing(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    packed(stream, "gzip, gzip", b"[]")
}

fn too_long(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, &format!("{JSON}\r\nContent-Length: {TOO_MANY}"), b"[")?;
    stream.write_all(&vec![b' '; TOO_MANY - 1])
}

/// A length that no memory has.
fn length_beyond_all(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, &format!("{JSON}\r\nContent-Length: {}", u64::MAX - 1), b"[]")
}

fn length_that_is_none(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, &format!("{JSON}\r\nContent-Length: -5"), b"[]")
}

/// More is announced than comes.
fn cut(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    say(stream, &format!("{JSON}\r\nContent-Length: 100"), b"[{\"id\":1}]")
}

/// Pages without end, each new and each with another behind it.
fn pages(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    let page = PAGES.fetch_add(1, Ordering::Relaxed);
    // The time is over before the number of pages is, however fast the machine.
    std::thread::sleep(Duration::from_millis(20));
    whole(stream, format!("{{\"data\":[{{\"id\":{page}}}],\"next\":\"{page}\"}}").as_bytes())
}

fn redirects(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /rows?again=1\r\nContent-Length: 0\r\n\r\n")
}

fn retry_for_ever(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 429 Busy\r\nConnection: close\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n",
    )
}

fn retry_next_year(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: Thu, 30 Dec 9999 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n")
}

fn deep(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    whole(stream, format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes())
}

/// As deep as may be, and as long.
fn deep_and_long(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    let inside = format!("\"{}\"", "x".repeat(30 << 20));
    whole(stream, format!("{{\"data\":[{}{inside}{}]}}", "[".repeat(95), "]".repeat(95)).as_bytes())
}

/// Sixteen million values on one page.
fn many_values(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    whole(stream, format!("{{\"data\":[{}1]}}", "1,".repeat(15 << 20)).as_bytes())
}

fn many_objects(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    whole(stream, format!("{{\"data\":[{}{{}}]}}", "{},".repeat(10 << 20)).as_bytes())
}

fn not_http(stream: &mut TcpStream, _: &str) -> std::io::Result<()> {
    stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")
}

/// What it is, how it answers, the exit code, and what is said.
const APIS: &[(&str, Answering, i32, &str)] = &[
    ("a body without end", endless_body, 1, "longer than 32 MiB"),
    ("headers without end", endless_headers, 3, "asking the API at"),
    ("a header without end", endless_header, 3, "asking the API at"),
    // Either no time is left of it, or the result was not complete within it.
    ("a byte now and then", drip, 3, " 5s"),
    ("no word at all", silence, 3, " 5s"),
    ("64 MiB in a few hundred kilobytes of gzip", gzip_bomb, 1, "longer than 32 MiB"),
    ("a gigabyte in a few kilobytes of zstd", zstd_bomb, 1, "longer than 32 MiB"),
    ("a window of 128 GiB", zstd_window, 1, "cannot be decompressed"),
    ("packed twice", a_second_packing, 1, "is encoded as"),
    ("twice as long as may be", too_long, 1, "longer than 32 MiB"),
    ("a length beyond all memory", length_beyond_all, 3, "asking the API at"),
    ("a length below nothing", length_that_is_none, 3, "asking the API at"),
    ("less than announced", cut, 3, "broke off"),
    ("pages without end", pages, 3, "asking the API at"),
    ("redirects without end", redirects, 2, "go in circles"),
    ("a pause without end", retry_for_ever, 3, "asking the API at"),
    ("a pause to the end of time", retry_next_year, 3, "longer than what is left"),
    ("100,000 lists within each other", deep, 1, "no whole JSON"),
    ("a page as deep as may be and as long", deep_and_long, 1, "not to an object"),
    ("sixteen million numbers", many_values, 1, "more than"),
    ("ten million objects", many_objects, 1, "more than"),
    ("another protocol", not_http, 3, "asking the API at"),
];

fn source(url: &str) -> Value {
    json!({ "type": "http", "url": url, "request": { "path": "/rows" }, "records": "$.data[*]", "timezone": "UTC",
            "pagination": { "cursor": { "path": "$.next", "param": "cursor" } }, "timeouts": { "query": QUERY } })
}

#[test]
fn an_api_that_means_harm_ends_its_run_with_words() {
    let wrong: Vec<String> = APIS
        .iter()
        .filter_map(|(name, answer, code, says)| {
            let workspace = Workspace::new();
            let api = Raw::start(answer);
            workspace.spec("spec.yaml", &spec(&source(&api.url())));
            let running = workspace.start(&["run", "--once", "--now", NOW, "spec.yaml"]);
            differs(name, running, Expected { code: *code, says, memory_mib: MEMORY_MIB })
        })
        .collect();
    all_as_expected("Plain words", "an_api_that_means_harm_ends_its_run_with_words", APIS.len(), &wrong);
}
