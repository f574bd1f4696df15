//! One request, and everything that can come back.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use engine_core::ports::{Answer, Cancel, Destination};
use engine_spec::model::{Compression, Method};
use engine_tests::platform::{Fault, Platform};

use crate::{ACCEPTED, BRIEF, CANARY, PATIENT, config, id, open, parcel, send, told};

#[test]
fn every_answer_over_the_wire() {
    let platform = Platform::start();
    let mut destination = open(&config(&platform.url()));
    let html = vec![("Content-Type", "text/html".to_owned())];
    for (fault, kind) in [
        (Fault::Serve, "accepted"),
        (Fault::status(200), "accepted"),
        (Fault::status(201), "accepted"),
        (Fault::status(202), "accepted"),
        (Fault::status(204), "accepted"),
        (Fault::Conflict, "accepted"),
        (Fault::Drip, "accepted"),
        (Fault::status(400), "invalid"),
        (Fault::status(422), "invalid"),
        (Fault::status(413), "too large"),
        (Fault::status(401), "refused"),
        (Fault::status(403), "refused"),
        (Fault::status(404), "refused"),
        (Fault::Answer(200, html, "<html>".to_owned()), "refused"),
        (Fault::Answer(200, vec![], format!("\"{}\"", "x".repeat(2 << 20))), "refused"),
        (Fault::status(408), "later"),
        (Fault::status(425), "later"),
        (Fault::status(503), "later"),
        (Fault::CutBeforeBody, "unknown"),
        (Fault::CutMidBody, "unknown"),
        (Fault::CutAfterApply, "unknown"),
        (Fault::CutMidAnswer, "unknown"),
    ] {
        platform.script(vec![fault.clone()]);
        let answer = send(&mut destination, &parcel(0..50));
        let (found, message) = told(&answer);
        assert_eq!(found, kind, "{fault:?}: {message}");
        let names_the_place = message.contains(&platform.url()["http://".len()..].replace("/deliveries", ""));
        assert!(names_the_place || matches!(kind, "accepted" | "too large"), "{message}");
    }
    platform.assert_contract();
}

#[test]
fn a_wait_that_is_asked_for_comes_back() {
    let platform = Platform::start();
    platform.script(vec![Fault::too_many(7)]);
    let answer = send(&mut open(&config(&platform.url())), &parcel(0..1));
    assert!(
        matches!(&answer, Answer::Later { retry_after: Some(wait), .. } if *wait == Duration::from_secs(7)),
        "{answer:?}"
    );
}

#[test]
fn silence_is_unknown_and_the_replay_is_applied_once() {
    let platform = Platform::start();
    let mut config = config(&platform.url());
    config.timeouts.query = BRIEF;
    for (fault, records) in [(Fault::Stall, 0), (Fault::StallAfterApply, 3)] {
        platform.script(vec![fault]);
        let answer = send(&mut open(&config), &parcel(0..3));
        let (kind, message) = told(&answer);
        assert_eq!(kind, "unknown");
        assert!(message.contains("no answer within 0.3 s") && message.contains("may have arrived"), "{message}");
        assert_eq!(platform.records(), records);
    }
    config.timeouts.query = PATIENT;
    assert_eq!(send(&mut open(&config), &parcel(0..3)), ACCEPTED);
    assert_eq!((platform.records(), platform.replays(), platform.doubles()), (3, 1, 0));
    platform.assert_contract();
}

#[test]
fn nobody_there_is_later() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let answer = send(&mut open(&config(&format!("http://{address}/x?key={CANARY}"))), &parcel(0..1));
    let (kind, message) = told(&answer);
    assert_eq!(kind, "later");
    assert!(message.contains(&format!("connecting to {address}")) && message.contains("refused"), "{message}");
    assert!(!message.contains(CANARY), "{message}");
}

#[test]
fn a_wish_to_stop_ends_the_waiting() {
    let platform = Platform::start();
    platform.script(vec![Fault::Stall]);
    let cancel = Cancel::default();
    let mut destination = open(&config(&platform.url()));
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            while platform.requests().is_empty() {
                thread::yield_now();
            }
            cancel.cancel();
        });
        destination.send(&parcel(0..1), &cancel)
    });
    assert_eq!(told(&answer).0, "unknown");
    assert_eq!(told(&destination.send(&parcel(0..1), &cancel)).0, "later");
    assert_eq!(platform.requests().len(), 1);
}

#[test]
fn bodies_arrive_the_same_in_every_compression() {
    let platform = Platform::start();
    let mut sizes = Vec::new();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut config = config(&platform.url());
        config.compression = compression;
        config.method = Method::Put;
        config.headers = vec![("X-Site".to_owned(), "aachen".to_owned())];
        assert_eq!(send(&mut open(&config), &parcel(0..100)), ACCEPTED);
        let request = platform.requests().pop().expect("a delivery");
        assert_eq!((request.method.as_str(), request.headers["x-site"].as_str()), ("PUT", "aachen"));
        assert!(request.headers["user-agent"].starts_with("engine/"));
        assert_eq!(request.ids(), (0..100).map(id).collect::<Vec<_>>());
        sizes.push(request.wire_bytes);
    }
    assert!(sizes[1] * 4 < sizes[0] && sizes[2] * 4 < sizes[0], "{sizes:?}");
    assert_eq!(platform.replays(), 2);
    platform.assert_contract();
}
