//! An API that answers with anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use engine_connect::registry;
use engine_core::mapping::row_json;
use engine_core::ports::{
    Ask, Cancel, Fetched, HttpSourceConfig, Source, SourceConfig, SourceError, SourceErrorKind, TimeoutConfig,
    TlsConfig,
};
use engine_core::value::{BATCH_ROWS_MAX, RowBatch};
use engine_spec::model::{Pagination, Request, TlsMode};
use engine_spec::template::RequestTemplate;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Take;
use crate::serve::{Serve, reply};

pub mod receipts;

/// Where records are, and how an answer continues.
const SHAPES: [(Option<&str>, &str); 7] = [
    (None, "null"),
    (Some("$.data[*]"), r#"{"cursor": {"path": "$.next", "param": "cursor"}}"#),
    (Some("$.data[*]"), r#"{"page": {"param": "page", "size_param": "size", "size": 2}}"#),
    (Some("$.data[*]"), r#"{"offset": {"param": "offset", "limit_param": "limit", "limit": 2}}"#),
    (Some("$.orders[*].operations[?@.state != 'planned']"), r#"{"link": {"path": "$.next"}}"#),
    (Some("$..rows[*]"), r#"{"link": {}}"#),
    (Some("$.one"), "null"),
];
const KINDS: [&str; 6] = [
    "application/json",
    "application/x-ndjson",
    "text/csv; charset=windows-1252",
    "text/csv",
    "text/plain",
    "text/html",
];
/// Statuses that end a question: one that says "later" would cost its pauses.
const STATUSES: [u16; 8] = [200, 200, 200, 200, 204, 206, 301, 404];
/// Pages that one input makes at most.
const PAGES: usize = 4;
/// More requests than a question over so few pages takes: a page that comes again ends it.
const ASKED_MAX: usize = 4 * PAGES + 8;
/// Only a broken law waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A question ends after a few requests; what comes of it are rows that can be shown, in batches as large as they may
/// be, or a failure with its words; and the same answers give the same rows.
pub fn holds(input: &[u8]) {
    let mut take = Take::new(input);
    let shape = take.below(SHAPES.len());
    let answers = pages(&mut take);
    STATE.with_borrow_mut(|state| {
        let Api { server, sources } = state;
        let first = ask(server, &mut *sources[shape], &answers);
        let second = ask(server, &mut *sources[shape], &answers);
        assert_eq!(first, second, "asked twice");
    });
}

struct Api {
    server: Serve,
    sources: Vec<Box<dyn Source>>,
}

thread_local! {
    static STATE: RefCell<Api> = RefCell::new({
        let server = Serve::start();
        let sources = SHAPES.iter().map(|(records, pagination)| open(&server.url(), *records, pagination)).collect();
        Api { server, sources }
    });
}

fn open(url: &str, records: Option<&str>, pagination: &str) -> Box<dyn Source> {
    let request = Request::deserialize(json!({ "path": "/rows" })).expect("a request");
    let pagination = serde_json::from_str::<Option<Pagination>>(pagination).expect("a way to page");
    let config = HttpSourceConfig {
        url: url.to_owned(),
        auth: None,
        request: RequestTemplate::parse(&request).0.expect("a template"),
        secret_headers: Vec::new(),
        params: BTreeMap::new(),
        zone: TimeZone::UTC,
        records: records.map(str::to_owned),
        csv: None,
        slice: None,
        pagination,
        rate_limit: None,
        columns: BTreeSet::from(["id".to_owned(), "^.order".to_owned(), "a.b".to_owned()]),
        tls: TlsConfig { mode: TlsMode::VerifyFull, ca_file: None, cert_file: None, key_file: None },
        timeouts: TimeoutConfig { connect: PATIENCE, query: PATIENCE },
    };
    let connector = registry::find("http").expect("APIs can be asked");
    (connector.open)(&SourceConfig::Http(Box::new(config)), &Cancel::default()).expect("the settings are sound")
}

/// Up to a few answers. The body of each but the last is as long as its first bytes say.
fn pages(take: &mut Take<'_>) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let more = take.below(PAGES);
    for place in 0..=more {
        let (status, kind, packing) = (take.one_of(&STATUSES), take.one_of(&KINDS), take.below(6));
        let link = take.text();
        let body = if place == more { take.rest() } else { take.bytes() };
        let (body, encoding) = packed(body, packing);
        let mut headers = vec![("Content-Type", kind.to_owned()), ("Location", link.clone())];
        headers.push(("Link", link));
        headers.extend(encoding.map(|encoding| ("Content-Encoding", encoding.to_owned())));
        let body = if status == 204 { Vec::new() } else { body };
        answers.push(reply(status, &headers, &body));
    }
    answers
}

fn packed(body: &[u8], packing: usize) -> (Vec<u8>, Option<&'static str>) {
    match packing {
        0 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body).expect("memory can be written");
            (encoder.finish().expect("memory can be written"), Some("gzip"))
        }
        // Which it is not.
        1 => (body.to_vec(), Some("gzip")),
        2 => (body.to_vec(), Some("zstd")),
        _ => (body.to_vec(), None),
    }
}

fn ask(server: &Serve, source: &mut dyn Source, answers: &[Vec<u8>]) -> Result<Vec<String>, SourceErrorKind> {
    server.tell(answers.to_vec());
    let mut rows = Vec::new();
    let outcome = all(source, &mut rows);
    assert!(server.asked() <= ASKED_MAX, "{} requests for {} pages", server.asked(), answers.len());
    match outcome {
        Ok(()) => Ok(rows),
        Err(error) => {
            let own = matches!(error.kind, SourceErrorKind::Panic | SourceErrorKind::Cancelled | SourceErrorKind::Tls);
            assert!(!own && error.kind != SourceErrorKind::Timeout, "{error:?}");
            assert!(!error.tried.is_empty() && !error.message.is_empty() && error.hint.is_some(), "{error:?}");
            Err(error.kind)
        }
    }
}

fn all(source: &mut dyn Source, rows: &mut Vec<String>) -> Result<(), SourceError> {
    source.ask(&Ask::default())?;
    let mut batch = RowBatch::new();
    while source.next(&mut batch)? == Fetched::Rows {
        assert!(!batch.is_empty() && batch.len() <= BATCH_ROWS_MAX, "{} rows", batch.len());
        for row in batch.rows() {
            let row = row_json(row);
            let _: Value = serde_json::from_str(&row).expect("a row is JSON");
            rows.push(row);
        }
    }
    Ok(())
}
