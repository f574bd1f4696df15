//! Servers whose TLS or certificate is old, wrong or none of ours: what is refused, and what is said.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use engine_tests::forge::{self, Forge, Leaf, VALID};

use super::*;
use TlsMode::{Require, VerifyCa, VerifyFull};

/// What lets OpenSSL serve what it would refuse by itself.
const WEAK: &str = "--ssl-cipher=ALL:@SECLEVEL=0";

/// A certificate of a server, and what comes of it.
struct Case {
    name: &'static str,
    leaf: Leaf,
    mode: TlsMode,
    /// A part of the message and a part of the way out, where it is refused.
    expected: Option<(&'static str, &'static str)>,
}

const GOOD: Case = Case { name: "a good one", leaf: forge::GOOD, mode: VerifyFull, expected: None };

/// A certificate with these extensions.
const fn with(extensions: &'static str) -> Leaf {
    Leaf { extensions, ..forge::GOOD }
}

/// A certificate that holds from one instant to another.
const fn valid(from: &'static str, to: &'static str) -> Leaf {
    Leaf { valid: (from, to), ..forge::GOOD }
}

/// Certificates that every server can be made to serve.
const CASES: [Case; 12] = [
    GOOD,
    Case { name: "version 1", leaf: with(""), expected: Some(("is of version 1", "-extfile")), ..GOOD },
    Case {
        name: "version 1, unchecked",
        leaf: with(""),
        mode: Require,
        expected: Some(("is of version 1", "tls: { mode: disable }")),
    },
    Case {
        name: "out of date",
        leaf: valid(VALID.0, "20260101000000Z"),
        expected: Some(("expired on 2026-01-01T00:00:00Z", "Renew")),
        ..GOOD
    },
    Case {
        name: "too new",
        leaf: valid("20980101000000Z", VALID.1),
        expected: Some(("only on 2098-01-01T00:00:00Z", "clock")),
        ..GOOD
    },
    Case {
        name: "a name in its subject only",
        leaf: with("basicConstraints = CA:FALSE"),
        expected: Some(("no subjectAltName", "verify-ca")),
        ..GOOD
    },
    Case { name: "no name, and none is asked for", leaf: with("basicConstraints = CA:FALSE"), mode: VerifyCa, ..GOOD },
    Case {
        name: "another name",
        leaf: with("subjectAltName = DNS:mes.acme.example"),
        expected: Some(("mes.acme.example", "source.host")),
        ..GOOD
    },
    Case {
        name: "one of an authority",
        leaf: with("subjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:TRUE"),
        expected: Some(("CA:TRUE", "CA:FALSE")),
        ..GOOD
    },
    Case {
        name: "one of an authority, unchecked",
        leaf: with("basicConstraints = critical, CA:TRUE"),
        mode: Require,
        ..GOOD
    },
    Case {
        name: "one for clients",
        leaf: with("subjectAltName = IP:127.0.0.1\nextendedKeyUsage = clientAuth"),
        expected: Some(("is not for servers", "serverAuth")),
        ..GOOD
    },
    Case { name: "RSA", leaf: Leaf { key: "rsa:2048", ..forge::GOOD }, ..GOOD },
];

/// Certificates that OpenSSL serves only when it is told to be weak.
const WEAK_CASES: [Case; 3] = [
    Case {
        name: "SHA-1",
        leaf: Leaf { digest: "sha1", ..forge::GOOD },
        expected: Some(("is signed with SHA-1", "SHA-256")),
        ..GOOD
    },
    Case { name: "SHA-1, unchecked", leaf: Leaf { digest: "sha1", ..forge::GOOD }, mode: Require, ..GOOD },
    Case {
        name: "a short key",
        leaf: Leaf { key: "rsa:1024", ..forge::GOOD },
        mode: Require,
        expected: Some(("shorter than 2048 bits", "2048 bits or more")),
    },
];

#[test]
fn mariadb_with_an_old_certificate_or_cipher_is_told_from_others() {
    let forge = Forge::new();
    let server = servers::mariadb_with(&[WEAK]);
    for case in CASES.iter().chain(&WEAK_CASES) {
        serve_and_see(&forge, &MARIADB, &server, case);
    }
    a_certificate_can_be_its_own_authority(&forge, &MARIADB, &server);
    drop(server);
    refuses(&MARIADB, &servers::mariadb_with(&[WEAK, "--tls-version=TLSv1.1"]), "only TLS 1.1 or older", "TLS 1.2");
    let server = servers::mariadb_with(&["--tls-version=TLSv1.2", "--ssl-cipher=DHE-RSA-AES128-SHA:AES128-SHA"]);
    refuses(&MARIADB, &server, "no cipher in common", "Allow such a cipher");
}

#[test]
fn mysql_with_an_old_certificate_is_told_from_others() {
    let Some(server) = servers::mysql_with(&[]) else { return };
    let forge = Forge::new();
    // It refuses by itself to serve a certificate that is out of date.
    for case in CASES.iter().filter(|case| case.leaf.valid == VALID) {
        serve_and_see(&forge, &MYSQL, &server, case);
    }
    a_certificate_can_be_its_own_authority(&forge, &MYSQL, &server);
    // What MySQL makes for itself when it is given no certificate: for no host, by an authority in its data folder.
    let folder = server.ca_file.as_ref().unwrap().with_file_name("data");
    let made = |mode| connected(&MYSQL, &server, mode, Some(&folder.join("ca.pem")));
    server.replace_certificate(&folder.join("ca.pem"), &folder.join("server-cert.pem"), &folder.join("server-key.pem"));
    made(VerifyCa).unwrap();
    assert!(made(VerifyFull).unwrap_err().message.contains("no subjectAltName"));
}

#[test]
fn postgres_with_an_old_certificate_protocol_or_cipher_is_told_from_others() {
    let forge = Forge::new();
    let server = servers::postgres();
    if server.ca_file.is_none() {
        let _ =
            writeln!(std::io::stderr(), "skipped: the certificates of a server that was not started here stay its own");
        return;
    }
    for case in &CASES {
        serve_and_see(&forge, &POSTGRES, &server, case);
    }
    a_certificate_can_be_its_own_authority(&forge, &POSTGRES, &server);
    let set = |name: &str, value: &str| drop(server.execute(&format!("ALTER SYSTEM SET {name} = '{value}'")));
    set("ssl_max_protocol_version", "TLSv1.2");
    set("ssl_ciphers", "AES128-SHA");
    server.reload();
    refuses(&POSTGRES, &server, "no cipher in common", "Allow such a cipher");
    set("ssl_min_protocol_version", "TLSv1");
    set("ssl_max_protocol_version", "TLSv1.1");
    set("ssl_ciphers", "ALL:@SECLEVEL=0");
    server.reload();
    refuses(&POSTGRES, &server, "only TLS 1.1 or older", "TLS 1.2");
}

/// Servers that know nothing of newer versions do not even say that they know none.
#[test]
fn servers_of_before_tls_1_2_are_told_whatever_they_answer() {
    for peer in [&MARIADB, &POSTGRES] {
        for (answer, kind, part) in [
            (SERVER_HELLO_OF_TLS_1_1, SourceErrorKind::Tls, "only TLS 1.1 or older"),
            (ALERT_PROTOCOL_VERSION, SourceErrorKind::Tls, "only TLS 1.1 or older"),
            (ALERT_HANDSHAKE_FAILURE, SourceErrorKind::Tls, "no cipher in common"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", SourceErrorKind::Tls, "does not speak TLS"),
            (b"", SourceErrorKind::Network, "TLS 1.1 or older"),
        ] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let speaking = peer.name;
            let old = std::thread::spawn(move || be_old(&listener, speaking, answer));
            let error = open(peer, encrypted(port), &Cancel::default()).map(|_| ()).unwrap_err();
            old.join().unwrap();
            assert_eq!(error.kind, kind, "{}: {answer:?}: {error:?}", peer.name);
            let said = format!("{} {}", error.message, error.hint.unwrap_or_default());
            assert!(said.contains(part), "{}: {answer:?}: {said}", peer.name);
        }
    }
}

#[test]
fn a_server_that_hangs_up_at_the_wish_for_encryption_is_of_the_network() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let gone = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.read_exact(&mut [0; 8]).unwrap();
    });
    let error = open(&POSTGRES, encrypted(port), &Cancel::default()).map(|_| ()).unwrap_err();
    gone.join().unwrap();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error:?}");
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("closed the connection")), "{error:?}");
}

/// Somebody on the way says that the server does without encryption: the login is not sent to them.
#[test]
fn who_claims_that_there_is_no_encryption_gets_no_login() {
    for peer in [&MARIADB, &POSTGRES] {
        for mode in [Require, VerifyCa, VerifyFull] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let speaking = peer.name;
            let between = std::thread::spawn(move || be_between(&listener, speaking));
            let mut config = encrypted(port);
            config.tls.mode = mode;
            let error = open(peer, config, &Cancel::default()).map(|_| ()).unwrap_err();
            let heard = between.join().unwrap();
            assert_eq!(heard, b"", "{}, {mode:?}: the client went on", peer.name);
            assert_eq!(error.kind, SourceErrorKind::Tls, "{}, {mode:?}: {error:?}", peer.name);
            let way_out = error.hint.as_deref().unwrap_or_default();
            assert!(way_out.contains("mode: disable"), "{}, {mode:?}: {error:?}", peer.name);
        }
    }
}

/// Claims that the server has no encryption, and returns what the client says to that.
fn be_between(listener: &TcpListener, speaking: &str) -> Vec<u8> {
    let (mut socket, _) = listener.accept().unwrap();
    if speaking == "postgres" {
        socket.read_exact(&mut [0; 8]).unwrap();
        socket.write_all(b"N").unwrap();
    } else {
        let mut greeting = GREETING.to_vec();
        // The lower capabilities follow on the nonce; encryption is bit 11 of them.
        let place = greeting.windows(2).position(|pair| pair == b"\xff\xff").unwrap();
        greeting[place + 1] &= !0x08;
        socket.write_all(&greeting).unwrap();
    }
    let mut heard = Vec::new();
    // A client that goes away resets the connection, or ends it.
    let _ = socket.read_to_end(&mut heard);
    // PostgreSQL's word of farewell, and MySQL's, hold nothing.
    heard.retain(|byte| !matches!(byte, b'X' | 0..=4));
    heard
}

fn encrypted(port: u16) -> ServerConfig {
    ServerConfig {
        host: "127.0.0.1".into(),
        port: Some(port),
        database: "plant".into(),
        username: "etl".into(),
        password: Some("s3cret-canary".into()),
        tls: TlsConfig { mode: Require, ca_file: None, cert_file: None, key_file: None },
        timeouts: PATIENT,
    }
}

/// A handshake record with a ServerHello of version 3.2: random bytes, no session, a cipher of before TLS 1.2.
const SERVER_HELLO_OF_TLS_1_1: &[u8] = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02\
    0123456789abcdef0123456789abcdef\x00\xc0\x13\x00";
const ALERT_PROTOCOL_VERSION: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46";
const ALERT_HANDSHAKE_FAILURE: &[u8] = b"\x15\x03\x01\x00\x02\x02\x28";
/// How MySQL 5.5 greets: version, session, half of a nonce, what it can (encryption among it), the other half.
const GREETING: &[u8] = b"\x4a\x00\x00\x00\x0a5.5.62\x00\x01\x00\x00\x0001234567\x00\xff\xff\x08\x02\x00\x0f\x80\x15\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x0089abcdefghij\x00mysql_native_password\x00";

/// Speaks until encryption begins, and answers the client's first words of TLS.
fn be_old(listener: &TcpListener, speaking: &str, answer: &[u8]) {
    let (mut socket, _) = listener.accept().unwrap();
    if speaking == "postgres" {
        let mut request = [0; 8];
        socket.read_exact(&mut request).unwrap();
        socket.write_all(b"S").unwrap();
    } else {
        socket.write_all(GREETING).unwrap();
        // A packet's header and the request for encryption.
        let mut request = [0; 4 + 32];
        socket.read_exact(&mut request).unwrap();
    }
    let mut head = [0; 5];
    socket.read_exact(&mut head).unwrap();
    let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    socket.read_exact(&mut hello).unwrap();
    socket.write_all(answer).unwrap();
    finish(socket);
}

/// Ends a connection without taking back what was sent: closing with unread bytes would.
fn finish(mut socket: TcpStream) {
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    // The client may have gone already.
    let _ = socket.read_to_end(&mut Vec::new());
}

fn connected(peer: &Peer, server: &Server, mode: TlsMode, ca_file: Option<&Path>) -> Result<(), SourceError> {
    let mut config = config(peer, server, PATIENT);
    config.host = "127.0.0.1".into();
    config.tls = TlsConfig { mode, ca_file: ca_file.map(Into::into), cert_file: None, key_file: None };
    let mut source = open(peer, config, &Cancel::default())?;
    only_row(&mut *source, "SELECT 1");
    Ok(())
}

fn refuses(peer: &Peer, server: &Server, message: &str, hint: &str) {
    let error = connected(peer, server, Require, None).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Tls, "{}: {error:?}", peer.name);
    assert!(error.message.contains(message), "{}: {error:?}", peer.name);
    assert!(error.hint.as_ref().is_some_and(|text| text.contains(hint)), "{}: {error:?}", peer.name);
}

fn serve_and_see(forge: &Forge, peer: &Peer, server: &Server, case: &Case) {
    forge.issue(&case.leaf);
    server.replace_certificate(&forge.authority(), &forge.path("leaf.pem"), &forge.path("leaf.key"));
    match (connected(peer, server, case.mode, Some(&forge.authority())), case.expected) {
        (Ok(()), None) => {}
        (Err(error), Some((message, hint))) => {
            assert_eq!(error.kind, SourceErrorKind::Tls, "{}, {}: {error:?}", peer.name, case.name);
            let way_out = error.hint.as_deref().unwrap_or_default();
            let says_both = error.message.contains(message) && way_out.contains(hint);
            assert!(says_both, "{}, {}: {error:?}", peer.name, case.name);
        }
        (seen, _) => panic!("{}, {}: {seen:?}", peer.name, case.name),
    }
}

fn a_certificate_can_be_its_own_authority(forge: &Forge, peer: &Peer, server: &Server) {
    forge.issue_to_itself();
    server.replace_certificate(&forge.path("own.pem"), &forge.path("own.pem"), &forge.path("own.key"));
    connected(peer, server, VerifyFull, Some(&forge.path("own.pem"))).unwrap();
    let error = connected(peer, server, VerifyFull, None).unwrap_err();
    assert!(error.hint.as_ref().is_some_and(|text| text.contains("tls.ca_file")), "{}: {error:?}", peer.name);
}
