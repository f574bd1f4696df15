//! Clients that send what no client sends. A connection whose thread panicked would never be counted out.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine_standin::{Backend, Outcome, Parameter, ServerError, Session, Sink};
use proptest::prelude::*;

use crate::login::tests::encoded;
use crate::packet::kind;
use crate::{Encryption, Server, Settings};

/// How long a connection may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
const CASES: u32 = 64;

struct Nothing;

impl Backend for Nothing {
    fn password(&self, _: &str) -> Option<String> {
        Some("secret".to_owned())
    }

    fn session(&self, _: &str, _: &str) -> Result<Box<dyn Session>, ServerError> {
        Ok(Box::new(Self))
    }
}

impl Session for Nothing {
    fn number(&self) -> u32 {
        51
    }

    fn run(&mut self, _: &str, _: &[Parameter], sink: &mut dyn Sink) -> Result<Outcome, ServerError> {
        Ok(match sink.done(0) {
            ControlFlow::Continue(()) => Outcome::Complete,
            ControlFlow::Break(()) => Outcome::Cancelled,
        })
    }

    fn is_killed(&self) -> bool {
        false
    }
}

fn packet(kind: u8, status: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = (body.len() as u16 + 8).to_be_bytes();
    [&[kind, status, high, low, 0, 0, 1, 0], body].concat()
}

/// Pre-login without encryption.
fn pre_login() -> Vec<u8> {
    packet(kind::PRE_LOGIN, 1, &[0x01, 0, 6, 0, 1, 0xff, 2])
}

fn login() -> Vec<u8> {
    packet(kind::LOGIN, 1, &encoded("etl", "secret", ""))
}

/// Sends bytes, and waits until the connection has ended. Gives what came back.
fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may have hung up before it has read everything.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let begun = Instant::now();
    while server.connections() > 0 {
        assert!(begun.elapsed() < PATIENCE, "a connection does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
    answer
}

fn start() -> Server {
    let settings = Settings { encryption: Encryption::NotSupported, ..Settings::default() };
    Server::start(Arc::new(Nothing), settings).unwrap()
}

#[test]
fn nothing_that_is_sent_makes_the_server_panic() {
    let server = start();
    let kinds = [kind::BATCH, kind::RPC, kind::ATTENTION, kind::TRANSACTION, kind::LOGIN, kind::PRE_LOGIN, 0x07];
    let bytes = || proptest::collection::vec(any::<u8>(), 0..64);
    // A connection that does not end stays for all cases to come, so shrinking would only take time.
    let config = ProptestConfig { cases: CASES, max_shrink_iters: 0, ..ProptestConfig::default() };
    proptest!(config, |(at in 0..kinds.len(), status: u8, body in bytes(), raw in bytes(), stage in 0_usize..4)| {
        let hostile = [packet(kinds[at], status, &body), raw.clone()].concat();
        let bytes = match stage {
            0 => raw,
            1 => hostile,
            2 => [pre_login(), hostile].concat(),
            _ => [pre_login(), login(), hostile].concat(),
        };
        send(&server, &bytes);
    });
    let answer = send(&server, &[pre_login(), login()].concat());
    assert!(answer.len() > 100, "nobody can log in any more: {answer:?}");
}

#[test]
fn a_request_that_is_taken_back_is_answered_with_an_error() {
    let server = start();
    let begun = [pre_login(), login()].concat();
    let before = send(&server, &begun).len();
    let taken_back = [packet(kind::BATCH, 0, &[1, 2, 3]), packet(kind::BATCH, 3, &[])].concat();
    let answer = send(&server, &[begun, taken_back].concat());
    assert_eq!(answer[before + 8..], [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn an_attention_without_a_statement_is_acknowledged() {
    let server = start();
    let begun = [pre_login(), login()].concat();
    let before = send(&server, &begun).len();
    let answer = send(&server, &[begun, packet(kind::ATTENTION, 1, &[])].concat());
    assert_eq!(answer[before + 8..], [0xfd, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_session_is_made_new_when_the_client_asks_for_it() {
    let server = start();
    let begun = [pre_login(), login()].concat();
    let before = send(&server, &begun).len();
    let batch = [&[4, 0, 0, 0][..], &[b'x', 0]].concat();
    let answer = send(&server, &[begun, packet(kind::BATCH, 0x09, &batch)].concat());
    assert_eq!(answer[before + 8..before + 14], [0xe3, 3, 0, 18, 0, 0]);
}

#[test]
fn only_the_loopback_is_served() {
    let settings = Settings { address: std::net::Ipv4Addr::UNSPECIFIED, ..Settings::default() };
    assert!(Server::start(Arc::new(Nothing), settings).is_err());
}
