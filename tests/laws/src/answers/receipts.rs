//! A platform that answers a delivery with anything.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use engine_connect::to::http::HttpDestination;
use engine_core::ports::{Answer, AuthConfig, Cancel, Destination, HttpConfig, Parcel, TimeoutConfig, TlsConfig};
use engine_core::state::OutboxRecord;
use engine_spec::model::{Compression, Method, TlsMode};
use secrecy::SecretString;
use uuid::Uuid;

use crate::Take;
use crate::serve::{Serve, reply};

/// Only a broken law waits so long.
const PATIENCE: Duration = Duration::from_secs(20);
const RECORDS: usize = 3;
const SECRET: &str = "canary-7f3a";
/// Characters that a message quotes of an answer, and what stands around them.
const MESSAGE_CHARS_MAX: usize = 1_000;
const STATUSES: [u16; 18] = [200, 200, 200, 201, 202, 400, 401, 404, 409, 413, 415, 422, 429, 500, 503, 302, 299, 418];

/// Only an answer that says so accepts; whom it rejects was sent, and is named once; its words are one short line
/// without the secret, whatever it echoes; and it is asked once.
pub fn holds(input: &[u8]) {
    let mut take = Take::new(input);
    let status = take.one_of(&STATUSES);
    let kind = take.one_of(&["application/json", "text/plain", "text/html"]);
    let retry_after = take.text();
    let body = String::from_utf8_lossy(take.rest()).replace('§', SECRET);
    let headers = [("Content-Type", kind.to_owned()), ("Retry-After", retry_after.clone()), ("Location", retry_after)];
    STATE.with_borrow_mut(|(server, destination)| {
        server.tell(vec![reply(status, &headers, body.as_bytes())]);
        let answer = destination.send(&parcel(), &Cancel::default());
        assert_eq!(server.asked(), 1, "a parcel is sent once");
        is_sound(status, &answer);
    });
}

fn is_sound(status: u16, answer: &Answer) {
    match answer {
        Answer::Accepted { rejected } => {
            assert!(matches!(status, 200..=299 | 409), "{status} accepts");
            let mut places: Vec<usize> = rejected.iter().map(|record| record.index).collect();
            places.sort_unstable();
            assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "rejected twice: {places:?}");
            assert!(places.iter().all(|place| *place < RECORDS), "rejected, and not sent: {places:?}");
            for record in rejected {
                is_clean(&record.code);
                is_clean(&record.message);
            }
        }
        Answer::Invalid { message } => {
            assert!(matches!(status, 400 | 422), "{status} says that the parcel is invalid");
            is_clean(message);
        }
        Answer::TooLarge => assert_eq!(status, 413),
        Answer::Refused { message } => is_clean(message),
        Answer::Later { message, .. } => {
            assert!(matches!(status, 408 | 425 | 429 | 500..=599), "{status} says later: {message}");
            is_clean(message);
        }
        Answer::Unknown { message } => panic!("a whole answer, and yet: {message}"),
    }
}

fn is_clean(words: &str) {
    assert!(!words.contains(SECRET), "a secret is shown: {words}");
    assert!(!words.contains(char::is_control), "more than a line: {words:?}");
    assert!(words.chars().count() <= MESSAGE_CHARS_MAX, "{} characters", words.chars().count());
}

thread_local! {
    static STATE: RefCell<(Serve, HttpDestination)> = RefCell::new({
        let server = Serve::start();
        let config = HttpConfig {
            url: server.url(),
            method: Method::Post,
            headers: Vec::new(),
            secret_headers: Vec::new(),
            auth: Some(AuthConfig::Bearer(SecretString::from(SECRET))),
            tls: TlsConfig { mode: TlsMode::VerifyFull, ca_file: None, cert_file: None, key_file: None },
            compression: Compression::None,
            timeouts: TimeoutConfig { connect: PATIENCE, query: PATIENCE },
        };
        let destination = HttpDestination::new(&config).expect("the settings are sound");
        (server, destination)
    });
}

fn parcel() -> Parcel {
    let record = |seq: i64| {
        // Two of the three are of one run.
        let id = Uuid::from_u128(seq as u128 / 2);
        OutboxRecord { seq, id, body: format!(r#"{{"op":"delete","run_id":"{id}"}}"#).into() }
    };
    Parcel {
        idempotency_key: "key".to_owned(),
        pipeline: "fuzzed".to_owned(),
        labels: BTreeMap::new(),
        fence: None,
        records: (0..RECORDS as i64).map(record).collect(),
    }
}
