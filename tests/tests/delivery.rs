//! The HTTP destination against a platform that fails in every way it can.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use engine_connect::to::http::HttpDestination;
use engine_core::deliver::{Circuit, ParcelLimit, Rejection, Step, parcel_key};
use engine_core::ports::{
    Answer, AuthConfig, Cancel, Destination, HttpConfig, Parcel, ParcelRecord, TimeoutConfig, TlsConfig,
};
use engine_spec::model::{Compression, Method, TlsMode};
use engine_tests::platform::{Fault, Platform};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use secrecy::SecretString;
use serde_json::{Value, json};

/// Patience where the platform answers; only a broken test waits that long.
const PATIENT: Duration = Duration::from_secs(30);
/// Patience where the platform does not answer.
const BRIEF: Duration = Duration::from_millis(300);
const CANARY: &str = "canary-7f3a";
const ACCEPTED: Answer = Answer::Accepted { rejected: Vec::new() };

fn config(url: &str) -> HttpConfig {
    HttpConfig {
        url: url.to_owned(),
        method: Method::Post,
        headers: Vec::new(),
        secret_headers: Vec::new(),
        auth: None,
        tls: TlsConfig { mode: TlsMode::VerifyFull, ca_file: None, cert_file: None, key_file: None },
        compression: Compression::None,
        timeouts: TimeoutConfig { connect: PATIENT, query: PATIENT },
    }
}

fn open(config: &HttpConfig) -> HttpDestination {
    HttpDestination::new(config).expect("the settings are sound")
}

fn id(number: i64) -> String {
    format!("5a0f3c9e-7d2b-5b1e-8f4a-{number:012}")
}

fn run(seq: i64, number: i64) -> ParcelRecord {
    let id = id(number);
    let body = json!({
        "op": "upsert", "run_id": id, "machine_code": "M1", "production_order": format!("order {seq}"),
        "product": { "code": "25-1002" }, "start": "2025-03-29T21:00:00Z", "quantity_yield": 1.5,
    });
    ParcelRecord { seq, id, body: body.to_string() }
}

fn removal(seq: i64, number: i64) -> ParcelRecord {
    let id = id(number);
    ParcelRecord { seq, body: json!({ "op": "delete", "run_id": id }).to_string(), id }
}

fn pack(records: &[ParcelRecord]) -> Parcel {
    Parcel {
        idempotency_key: parcel_key("acme-bookings", records),
        pipeline: "acme-bookings".to_owned(),
        labels: BTreeMap::from([("customer".to_owned(), "acme".to_owned())]),
        records: records.to_vec(),
    }
}

fn parcel(seqs: std::ops::Range<i64>) -> Parcel {
    pack(&seqs.map(|seq| run(seq, seq)).collect::<Vec<_>>())
}

fn send(destination: &mut impl Destination, parcel: &Parcel) -> Answer {
    destination.send(parcel, &Cancel::default())
}

fn told(answer: &Answer) -> (&'static str, &str) {
    match answer {
        Answer::Accepted { .. } => ("accepted", ""),
        Answer::Invalid { message } => ("invalid", message),
        Answer::TooLarge => ("too large", ""),
        Answer::Refused { message } => ("refused", message),
        Answer::Later { message, .. } => ("later", message),
        Answer::Unknown { message } => ("unknown", message),
    }
}

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
fn every_login_reaches_the_endpoint_and_no_message() {
    let secret = || SecretString::from(CANARY);
    let basic = "Basic ZWRnZTpjYW5hcnktN2YzYQ==";
    for (auth, name, value) in [
        (AuthConfig::Bearer(secret()), "authorization", format!("Bearer {CANARY}")),
        (AuthConfig::Basic("edge".to_owned(), secret()), "authorization", basic.to_owned()),
        (AuthConfig::Header("X-Key".to_owned(), secret()), "x-key", CANARY.to_owned()),
    ] {
        let platform = Platform::start();
        let mut config = config(&platform.url());
        config.auth = Some(auth);
        config.secret_headers = vec![("x-secret".to_owned(), SecretString::from("second-canary"))];
        platform.require_header(name, &value);
        assert_eq!(send(&mut open(&config), &parcel(0..1)), ACCEPTED);
        // The platform answers with what came.
        platform.require_header(name, "something else");
        let answer = send(&mut open(&config), &parcel(1..2));
        let (kind, message) = told(&answer);
        assert_eq!(kind, "refused");
        assert!(!message.contains(CANARY) && !message.contains("ZWRn") && message.contains("***"), "{message}");
        assert_eq!(platform.requests()[0].headers["x-secret"], "second-canary");
    }
}

fn with_oauth(platform: &Platform) -> HttpConfig {
    let mut config = config(&platform.url());
    config.auth = Some(AuthConfig::OAuth2 {
        token_url: platform.token_url(),
        client_id: "edge".to_owned(),
        client_secret: SecretString::from(CANARY),
        scope: Some("runs write".to_owned()),
    });
    config
}

#[test]
fn a_token_is_kept_and_replaced_when_it_is_withdrawn() {
    for secret_in_body in [false, true] {
        let platform = Platform::start();
        platform.require_oauth(secret_in_body, Some(3600));
        let mut destination = open(&with_oauth(&platform));
        for (seqs, issued) in [(0..2, 1), (2..4, 1)] {
            assert_eq!(send(&mut destination, &parcel(seqs)), ACCEPTED);
            assert_eq!(platform.tokens_issued(), issued);
        }
        platform.withdraw_token();
        assert_eq!(send(&mut destination, &parcel(4..6)), ACCEPTED);
        assert_eq!((platform.tokens_issued(), platform.state().len()), (2, 6));
        platform.assert_contract();
    }
}

#[test]
fn a_token_that_expires_is_replaced_without_a_refusal() {
    let platform = Platform::start();
    platform.require_oauth(false, Some(0));
    let mut destination = open(&with_oauth(&platform));
    for seq in 0..3 {
        assert_eq!(send(&mut destination, &parcel(seq..seq + 1)), ACCEPTED);
    }
    assert_eq!((platform.tokens_issued(), platform.requests().len()), (3, 3));
}

#[test]
fn a_token_that_is_never_right_is_asked_for_once_more_and_no_further() {
    let platform = Platform::start();
    platform.require_oauth(false, None).script(vec![Fault::status(401), Fault::status(401), Fault::status(401)]);
    assert_eq!(told(&send(&mut open(&with_oauth(&platform)), &parcel(0..1))).0, "refused");
    assert_eq!((platform.tokens_issued(), platform.requests().len()), (2, 2));
}

#[test]
fn no_token_means_nothing_is_sent() {
    let platform = Platform::start();
    let answer = send(&mut open(&with_oauth(&platform)), &parcel(0..1));
    let (kind, message) = told(&answer);
    assert_eq!(kind, "refused");
    assert!(message.contains("for a token: answered 404") && !message.contains(CANARY), "{message}");
    assert!(platform.requests().is_empty());
}

#[test]
fn a_login_does_not_follow_a_redirect() {
    let (platform, other) = (Platform::start(), Platform::start());
    for status in [301, 302, 307, 308] {
        platform.script(vec![Fault::Answer(status, vec![("Location", other.url())], String::new())]);
        let mut config = config(&platform.url());
        config.auth = Some(AuthConfig::Bearer(SecretString::from(CANARY)));
        let answer = send(&mut open(&config), &parcel(0..1));
        assert_eq!(told(&answer).0, "refused");
        assert!(told(&answer).1.contains("redirect"), "{answer:?}");
    }
    assert!(other.requests().is_empty());
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

// ------------------------------------------------------------------------------------------------- TLS

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("support/tls").join(name)
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(pem(name)).expect("a file").collect::<Result<_, _>>().expect("certificates")
}

fn server(name: &str, asks_for_client: bool) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the protocol");
    let builder = if asks_for_client {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates("ca.pem"));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.expect("an authority"))
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(pem(&format!("{name}.key"))).expect("a key");
    builder.with_single_cert(certificates(&format!("{name}.pem")), key).expect("a pair")
}

#[test]
fn certificates_are_checked_as_the_mode_says() {
    let ca = Some("ca.pem");
    for (name, mode, ca_file, kind) in [
        ("localhost", TlsMode::VerifyFull, ca, "accepted"),
        ("localhost", TlsMode::VerifyFull, None, "later"),
        ("localhost", TlsMode::VerifyCa, ca, "accepted"),
        ("localhost", TlsMode::Require, None, "accepted"),
        ("elsewhere", TlsMode::VerifyFull, ca, "later"),
        ("elsewhere", TlsMode::VerifyCa, ca, "accepted"),
        ("elsewhere", TlsMode::VerifyCa, Some("device.pem"), "later"),
        ("elsewhere", TlsMode::Prefer, None, "accepted"),
    ] {
        let platform = Platform::start_tls(server(name, false));
        let mut config = config(&platform.url());
        config.auth = Some(AuthConfig::Bearer(SecretString::from(CANARY)));
        config.tls.mode = mode;
        config.tls.ca_file = ca_file.map(pem);
        let answer = send(&mut open(&config), &parcel(0..1));
        let (found, message) = told(&answer);
        assert_eq!(found, kind, "{name} {mode:?} {ca_file:?}: {message}");
        assert!(kind == "accepted" || message.contains("certificate"), "{message}");
        assert_eq!(platform.requests().len(), usize::from(kind == "accepted"));
    }
}

#[test]
fn a_client_certificate_is_shown() {
    for (shown, accepted) in [(true, true), (false, false)] {
        let platform = Platform::start_tls(server("localhost", true));
        let mut config = config(&platform.url());
        config.tls.ca_file = Some(pem("ca.pem"));
        if shown {
            config.tls.cert_file = Some(pem("device.pem"));
            config.tls.key_file = Some(pem("device.key"));
        }
        let answer = send(&mut open(&config), &parcel(0..1));
        assert_eq!(answer == ACCEPTED, accepted, "{answer:?}");
        assert_eq!(platform.state().len(), usize::from(accepted));
    }
}

// ---------------------------------------------------------------------------------------------- circuit

struct Outcome {
    rejected: Vec<Rejection>,
    pauses: usize,
}

/// Delivers an outbox as the engine does, without the waiting.
fn deliver(destination: &mut impl Destination, outbox: &[ParcelRecord], limit: ParcelLimit) -> Outcome {
    let mut circuit = Circuit::new(limit);
    let mut outcome = Outcome { rejected: Vec::new(), pauses: 0 };
    let mut rest = outbox;
    for _ in 0..10_000 {
        if rest.is_empty() {
            return outcome;
        }
        let parcel = pack(&rest[..circuit.cut(rest.iter().map(|record| record.body.len()))]);
        let answer = send(destination, &parcel);
        let (next, step) = circuit.next(&parcel, &answer, Timestamp::UNIX_EPOCH, 0);
        circuit = next;
        match step {
            Step::Settle { accepted, rejected } => {
                rest = &rest[accepted.len() + rejected.len()..];
                outcome.rejected.extend(rejected);
            }
            Step::SplitAndRetry | Step::RetrySame { .. } => {}
            Step::Pause { .. } => outcome.pauses += 1,
        }
    }
    panic!("no progress: {} records are left", rest.len());
}

/// Upserts of 40 runs, corrections of some, removals of others: 60 records in order.
fn outbox() -> Vec<ParcelRecord> {
    let upserts = (0..40).map(|number| run(number, number));
    let corrections = (40..50).map(|seq| run(seq, seq - 40));
    let removals = (50..60).map(|seq| removal(seq, seq - 40));
    upserts.chain(corrections).chain(removals).collect()
}

fn every_fault() -> Vec<Fault> {
    vec![
        Fault::status(503),
        Fault::CutBeforeBody,
        Fault::Serve,
        Fault::too_many(1),
        Fault::CutAfterApply,
        Fault::CutMidBody,
        Fault::Stall,
        Fault::status(401),
        Fault::CutMidAnswer,
        Fault::StallAfterApply,
        // A parcel that was applied is answered as such before the next fault: no server says 413 to a replay.
        Fault::Serve,
        Fault::status(413),
        Fault::Drip,
        Fault::Conflict,
        Fault::status(422),
        Fault::CutAfterApply,
        Fault::status(500),
    ]
}

fn undisturbed() -> BTreeMap<String, Value> {
    let platform = Platform::start();
    deliver(&mut open(&config(&platform.url())), &outbox(), ParcelLimit::default());
    platform.assert_contract();
    platform.state()
}

#[test]
fn the_final_state_is_that_of_an_undisturbed_delivery() {
    let expected = undisturbed();
    assert_eq!(expected.len(), 30);
    for forgets in [false, true] {
        let platform = Platform::start();
        platform.script(every_fault());
        if forgets {
            platform.forget_keys();
        }
        let mut config = config(&platform.url());
        config.compression = Compression::Zstd;
        // Faults must be noticed soon, and a busy machine only adds another replay.
        config.timeouts.query = BRIEF;
        let outcome = deliver(&mut open(&config), &outbox(), ParcelLimit { records: 7, bytes: usize::MAX });
        assert_eq!(platform.state(), expected);
        assert_eq!((outcome.rejected, outcome.pauses), (Vec::new(), 1));
        assert!(forgets || (platform.doubles() == 0 && platform.records() == 60), "{}", platform.doubles());
        assert!(platform.requests().len() >= every_fault().len());
        platform.assert_contract();
    }
}

#[test]
fn bad_records_are_found_and_the_others_arrive() {
    let platform = Platform::start();
    let (bad, unwanted) = ([id(3), id(21), id(22)], id(30));
    platform.refuse_parcels_with(bad.iter().map(String::as_str)).reject_records([unwanted.as_str()]);
    let records: Vec<_> = (0..40).map(|number| run(number, number)).collect();
    let outcome = deliver(&mut open(&config(&platform.url())), &records, ParcelLimit::default());
    let seqs: Vec<_> = outcome.rejected.iter().map(|one| (one.seq, one.code.as_str())).collect();
    assert_eq!(seqs, [(3, "invalid_record"), (21, "invalid_record"), (22, "invalid_record"), (30, "not_wanted")]);
    assert!(outcome.rejected[0].message.contains(&format!("record {} cannot be taken", id(3))));
    assert_eq!(platform.state().len(), 36);
    platform.assert_contract();
}

#[test]
fn parcels_shrink_to_what_the_endpoint_takes() {
    let platform = Platform::start();
    platform.limit_bytes(2_000);
    let mut records: Vec<_> = (0..40).map(|number| run(number, number)).collect();
    records[9].body = records[9].body.replace("order 9", &"9".repeat(3_000));
    let outcome = deliver(&mut open(&config(&platform.url())), &records, ParcelLimit::default());
    assert_eq!(outcome.rejected.iter().map(|one| one.seq).collect::<Vec<_>>(), [9]);
    assert_eq!(platform.state().len(), 39);
}
