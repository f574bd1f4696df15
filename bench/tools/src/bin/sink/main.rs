//! A platform that counts: it takes what the engine's `http` and `enlyze` destinations send, and what other programs
//! send, reads every record, and answers as the delivery contract says.
//!
//! `sink 127.0.0.1:58080`. POST to any path delivers; `GET /stats` says what came since `POST /reset`; `GET /seen` lists
//! the ids of small requests with the times of their answers; `GET /bookings/N?page=1&size=50` serves the first N bookings, for
//! the source `http`.

mod bookings;
mod records;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;

/// Ids of which the time is kept.
const SEEN_MAX: usize = 100_000;

/// What came since the last reset.
#[derive(Default, Serialize)]
struct Stats {
    requests: u64,
    rows: u64,
    /// Runs as they are now: each once, without those that were removed.
    runs: u64,
    /// Those of them that have no end.
    live: u64,
    /// Runs as often as they were sent.
    run_records: u64,
    deletes: u64,
    bad: u64,
    /// Sum of the ids of the rows, and of the rows that open the runs.
    id_sum: u64,
    wire_bytes: u64,
    body_bytes: u64,
    records_max: u64,
    /// The first few broken requests, cut short.
    broken: Vec<String>,
    /// When the delivery of a row's id was answered, in microseconds since 1970.
    #[serde(skip)]
    seen: HashMap<u64, u64>,
    /// Id of the row that opens a run, and whether the run has ended, by the id of the run.
    #[serde(skip)]
    kept: HashMap<u128, (u64, bool)>,
}

impl Stats {
    fn keep(&mut self, run: records::Run) {
        let before = match run.id {
            Some(id) => self.kept.insert(run.run_id, (id, run.ended)),
            None => self.kept.remove(&run.run_id),
        };
        if let Some((id, ended)) = before {
            self.runs -= 1;
            self.live -= u64::from(!ended);
            self.id_sum = self.id_sum.wrapping_sub(id);
        }
        if let Some(id) = run.id {
            self.runs += 1;
            self.run_records += 1;
            self.live += u64::from(!run.ended);
            self.id_sum = self.id_sum.wrapping_add(id);
        }
    }
}

static STATS: Mutex<Option<Stats>> = Mutex::new(None);

/// Broken requests that are kept, and their bytes.
const BROKEN_MAX: usize = 3;
const BROKEN_BYTES_MAX: usize = 400;

fn stats() -> MutexGuard<'static, Option<Stats>> {
    STATS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn unpacked(encoding: &str, body: &Bytes) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match encoding {
        "gzip" => flate2::read::MultiGzDecoder::new(&body[..]).read_to_end(&mut plain)?,
        "zstd" => zstd::stream::read::Decoder::new(&body[..])?.read_to_end(&mut plain)?,
        other => return Err(std::io::Error::other(format!("encoding {other}"))),
    };
    Ok(plain)
}

/// Counts one delivery.
fn take(encoding: Option<&str>, body: &Bytes) -> Response<Full<Bytes>> {
    let unpacked = match encoding {
        None | Some("identity") => Ok(body.to_vec()),
        Some(encoding) => unpacked(encoding, body),
    };
    let plain = unpacked.unwrap_or_default();
    let counts = records::count(&plain);
    let empty = counts.records == 0;
    let mut guard = stats();
    let stats = guard.get_or_insert_default();
    stats.requests += 1;
    stats.rows += counts.rows;
    counts.runs.into_iter().for_each(|run| stats.keep(run));
    stats.deletes += counts.deletes;
    stats.bad += counts.bad + u64::from(empty && counts.bad == 0);
    stats.id_sum = stats.id_sum.wrapping_add(counts.id_sum);
    stats.wire_bytes += body.len() as u64;
    stats.body_bytes += plain.len() as u64;
    stats.records_max = stats.records_max.max(counts.records);
    if (counts.bad > 0 || empty) && stats.broken.len() < BROKEN_MAX {
        stats.broken.push(String::from_utf8_lossy(&plain[..plain.len().min(BROKEN_BYTES_MAX)]).into_owned());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    for id in counts.ids {
        if stats.seen.len() < SEEN_MAX {
            stats.seen.entry(id).or_insert(now);
        }
    }
    drop(guard);
    if counts.bad > 0 || empty {
        return answer(StatusCode::UNPROCESSABLE_ENTITY, r#"{"message":"the sink cannot read a record"}"#);
    }
    answer(StatusCode::OK, "{}")
}

async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(answer(StatusCode::BAD_REQUEST, "{}"));
    };
    let body = body.to_bytes();
    Ok(match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/stats") => {
            answer(StatusCode::OK, serde_json::to_vec(stats().get_or_insert_default()).unwrap_or_default())
        }
        (&Method::GET, "/seen") => {
            answer(StatusCode::OK, serde_json::to_vec(&stats().get_or_insert_default().seen).unwrap_or_default())
        }
        (&Method::GET, path) => match bookings::page(path, parts.uri.query().unwrap_or_default()) {
            Some(page) => answer(StatusCode::OK, page),
            None => answer(StatusCode::NOT_FOUND, "{}"),
        },
        (&Method::POST, "/reset") => {
            *stats() = None;
            answer(StatusCode::OK, "{}")
        }
        (&Method::POST, _) => take(parts.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()), &body),
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, "{}"),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: sink ADDRESS")?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    eprintln!("listens on {}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        tokio::spawn(async move {
            // A client that goes away is no failure of the sink.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service_fn(serve)).await;
        });
    }
}
