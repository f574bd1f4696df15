//! The HTTP destination against a platform that fails in every way it can, and the contract between the two.

mod answers;
mod contract;
mod faults;
mod logins;
mod tls;

use std::collections::BTreeMap;
use std::time::Duration;

use engine_connect::to::http::HttpDestination;
use engine_core::deliver::parcel_key;
use engine_core::ports::{Answer, Cancel, Destination, HttpConfig, Parcel, TimeoutConfig, TlsConfig};
use engine_core::state::OutboxRecord;
use engine_spec::model::{Compression, Method, TlsMode};
use serde_json::json;

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

fn run(seq: i64, number: i64) -> OutboxRecord {
    let id = id(number);
    let body = json!({
        "op": "upsert", "run_id": id, "machine_code": "M1", "production_order": format!("order {seq}"),
        "product": { "code": "25-1002" }, "start": "2025-03-29T21:00:00Z", "quantity_yield": 1.5,
    });
    OutboxRecord { seq, id: id.parse().expect("a UUID"), body: body.to_string().into() }
}

fn removal(seq: i64, number: i64) -> OutboxRecord {
    let id = id(number);
    let body = json!({ "op": "delete", "run_id": id }).to_string();
    OutboxRecord { seq, id: id.parse().expect("a UUID"), body: body.into() }
}

fn pack(records: &[OutboxRecord]) -> Parcel {
    Parcel {
        idempotency_key: parcel_key("acme-bookings", records),
        pipeline: "acme-bookings".to_owned(),
        labels: BTreeMap::from([("customer".to_owned(), "acme".to_owned())]),
        fence: None,
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
