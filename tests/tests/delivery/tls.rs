//! Certificates of servers and of clients.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use engine_core::ports::AuthConfig;
use engine_spec::model::TlsMode;
use engine_tests::certificates::{pem, server};
use engine_tests::forge::{Forge, GOOD, Leaf, VALID};
use engine_tests::platform::Platform;
use secrecy::SecretString;

use crate::{ACCEPTED, CANARY, config, open, parcel, send, told};

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

/// Certificates that no server may be believed with, what is said of them, and the way out.
const WRONG: [(&str, Leaf, &str, &str); 6] = [
    ("out of date", Leaf { valid: (VALID.0, "20260101000000Z"), ..GOOD }, "expired on 2026-01-01", "Renew"),
    ("too new", Leaf { valid: ("20980101000000Z", VALID.1), ..GOOD }, "only on 2098-01-01", "clock"),
    ("another name", Leaf { extensions: "subjectAltName = DNS:x.example", ..GOOD }, "x.example", "destination.url"),
    ("no name", Leaf { extensions: "basicConstraints = CA:FALSE", ..GOOD }, "subjectAltName", "verify-ca"),
    (
        "one for clients",
        Leaf { extensions: "subjectAltName = IP:127.0.0.1\nextendedKeyUsage = clientAuth", ..GOOD },
        "is not for servers",
        "serverAuth",
    ),
    (
        "one of an authority",
        Leaf { extensions: "subjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:TRUE", ..GOOD },
        "CA:TRUE",
        "CA:FALSE",
    ),
];

/// Delivers to a platform with a login; what is said, and whether anything was sent.
fn delivered(url: &str, ca_file: Option<PathBuf>) -> String {
    let mut config = config(url);
    config.auth = Some(AuthConfig::Bearer(SecretString::from(CANARY)));
    config.tls.ca_file = ca_file;
    let answer = send(&mut open(&config), &parcel(0..1));
    let (kind, message) = told(&answer);
    assert_ne!(kind, "accepted", "{message}");
    assert!(!message.contains(CANARY), "{message}");
    message.to_owned()
}

#[test]
fn a_wrong_certificate_is_told_by_its_cause_and_gets_no_login() {
    let forge = Forge::new();
    let address = |platform: &Platform| platform.url().replace("localhost", "127.0.0.1");
    for (name, leaf, cause, way_out) in WRONG {
        forge.issue(&leaf);
        let platform = Platform::start_tls(forge.server("leaf"));
        let said = delivered(&address(&platform), Some(forge.authority()));
        assert!(said.contains(cause) && said.contains(way_out), "{name}: {said}");
        assert!(platform.requests().is_empty(), "{name}");
    }
    forge.issue(&GOOD);
    forge.issue_to_itself();
    for (name, ca_file) in [("leaf", None), ("own", None), ("own", Some(forge.authority()))] {
        let platform = Platform::start_tls(forge.server(name));
        let said = delivered(&address(&platform), ca_file);
        assert!(said.contains("is not trusted") && said.contains("tls.ca_file"), "{name}: {said}");
        assert!(platform.requests().is_empty(), "{name}");
    }
    let platform = Platform::start_tls(forge.server("own"));
    let mut config = config(&address(&platform));
    config.tls.ca_file = Some(forge.path("own.pem"));
    assert_eq!(send(&mut open(&config), &parcel(0..1)), ACCEPTED);
}

/// Servers of before TLS 1.2, and what is none at all.
#[test]
fn who_speaks_no_tls_of_today_is_told_and_gets_no_login() {
    for (answer, cause, way_out) in [
        (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "only TLS 1.1 or older", "TLS 1.2"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "no cipher in common", "Allow such a cipher"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS", "destination.url"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("https://{}/runs", listener.local_addr().expect("an address"));
        let old = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut head = [0; 5];
            socket.read_exact(&mut head).expect("a record of TLS");
            assert_eq!(head[0], 0x16, "nothing but a handshake is sent");
            socket.read_exact(&mut vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))]).expect("a hello");
            socket.write_all(answer).expect("the client listens");
            let mut rest = Vec::new();
            // It may reset the connection.
            let _ = socket.read_to_end(&mut rest);
            rest
        });
        let said = delivered(&url, None);
        let rest = old.join().expect("a record of TLS");
        assert!(rest.is_empty() || rest[0] == 0x15, "nothing but an alert follows");
        assert!(said.contains(cause) && said.contains(way_out), "{said}");
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
