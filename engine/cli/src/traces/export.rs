//! Spans on their way to the collector: a queue with a bound, requests, and a count of what is lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use engine_connect::collector::{Collector, NotTaken};
use engine_connect::to::http::place_of;
use engine_core::ports::HttpConfig;
use engine_core::report::counted;
use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use prost::Message as _;

use super::SPANS_WAITING_MAX;

/// Attempts with one request.
pub(super) const ATTEMPTS_MAX: u32 = 4;
/// Wait before the second attempt; it doubles from one to the next.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait before an attempt, whatever the collector asks for.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);

/// The collector, and what became of the spans for it.
pub(super) struct Link {
    config: HttpConfig,
    place: String,
    /// Opened at the first request: who has nothing to send reads no certificates.
    collector: Mutex<Option<Collector>>,
    /// Spans in the queue, and in the request that is under way.
    waiting: AtomicUsize,
    lost: AtomicU64,
    is_failing: AtomicBool,
    ending: Mutex<bool>,
    ends: Condvar,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(config: HttpConfig) -> Self {
        Self {
            place: place_of(&config.url),
            config,
            collector: Mutex::default(),
            waiting: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            ending: Mutex::new(false),
            ends: Condvar::new(),
        }
    }

    /// Where the collector is, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// From now on nothing is waited for.
    pub(super) fn end(&self) {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ends.notify_all();
    }

    /// Says how many spans were lost, where any were.
    pub(super) fn tell_lost(&self) {
        let lost = self.lost.load(Ordering::Relaxed) + self.waiting.load(Ordering::Relaxed) as u64;
        if lost > 0 {
            tracing::warn!(
                event = "traces_lost",
                spans = lost,
                "{} did not reach {}",
                counted(lost, "span"),
                self.place
            );
        }
    }

    /// Whether a span may join the queue.
    fn admit(&self) -> bool {
        let is_full = self.waiting.fetch_add(1, Ordering::Relaxed) >= SPANS_WAITING_MAX;
        if is_full {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        !is_full
    }

    /// Sends so many spans, and counts those that are lost. Waits and tries again where that may help.
    fn send(&self, request: &[u8], spans: usize) -> Result<(), String> {
        let outcome = self.attempts(request);
        self.lost.fetch_add(*outcome.as_ref().unwrap_or(&(spans as u64)), Ordering::Relaxed);
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        if outcome.is_ok() && self.is_failing.swap(false, Ordering::Relaxed) {
            let lost = self.lost.load(Ordering::Relaxed);
            tracing::info!(event = "traces_taken", lost, "{} takes traces again", self.place);
        }
        outcome.map(drop)
    }

    /// How many of the spans the collector did not want, or why it took none.
    fn attempts(&self, request: &[u8]) -> Result<u64, String> {
        let mut attempt = 1;
        loop {
            let error = match self.once(request.to_vec()) {
                Ok(rejected) => return Ok(rejected),
                Err(error) => error,
            };
            self.tell_failing(&error);
            if !error.passes || attempt == ATTEMPTS_MAX || self.is_ending() {
                return Err(error.message);
            }
            self.wait(wait_after(attempt, error.retry_after));
            attempt += 1;
        }
    }

    fn once(&self, request: Vec<u8>) -> Result<u64, NotTaken> {
        let mut slot = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let collector = match &mut *slot {
            Some(collector) => collector,
            slot => {
                let opened = Collector::open(&self.config).map_err(|error| NotTaken {
                    message: error.to_string(),
                    hint: error.hint,
                    passes: false,
                    retry_after: None,
                })?;
                slot.insert(opened)
            }
        };
        let answer = collector.send(request)?;
        // An answer that says nothing, or something else, says that all is well.
        let answer = ExportTraceServiceResponse::decode(answer.as_slice()).unwrap_or_default();
        Ok(answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)))
    }

    /// Says what is wrong, until the collector takes something again.
    fn tell_failing(&self, error: &NotTaken) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "traces_not_taken",
                hint = error.hint,
                "{}; runs and deliveries go on as ever, and {SPANS_WAITING_MAX} spans are kept",
                error.message
            );
        }
    }

    fn is_ending(&self) -> bool {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, time: Duration) {
        let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it was long enough does not matter: the next attempt will tell.
        drop(self.ends.wait_timeout_while(ending, time, |ending| !*ending));
    }
}

/// How long to wait after an attempt, the first being 1: as long as the collector asked for, or twice as long each time.
fn wait_after(attempt: u32, retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(RETRY_FIRST * 2_u32.pow(attempt - 1)).min(RETRY_WAIT_MAX)
}

/// Encodes spans and hands them to the collector, on the thread of the queue.
#[derive(Debug)]
pub(super) struct Exporter {
    link: Arc<Link>,
    resource: ResourceAttributesWithSchema,
}

impl Exporter {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, resource: ResourceAttributesWithSchema::default() }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let request =
            ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(batch, &self.resource) };
        self.link.send(&request.encode_to_vec(), spans).map_err(OTelSdkError::InternalFailure)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// The queue of the SDK, whose overflow is counted where it can be told.
#[derive(Debug)]
pub(super) struct Bounded {
    queue: BatchSpanProcessor,
    link: Arc<Link>,
}

impl Bounded {
    pub(super) fn new(queue: BatchSpanProcessor, link: Arc<Link>) -> Self {
        Self { queue, link }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.queue.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.link.admit() {
            self.queue.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;

    use engine_core::plan::collector_at;
    use engine_core::report::RunReport;
    use engine_spec::model::Compression;

    use super::*;
    use crate::traces::{SPANS_SENT_MAX, Settings, Traces};

    /// A collector that gives this answer to everything; what it was sent.
    fn collector(answer: String) -> (HttpConfig, Arc<Mutex<Vec<Vec<u8>>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = BufReader::new(stream);
                let mut length = 0;
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a number");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).expect("the body comes");
                kept.lock().expect("no panic").push(body);
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        (HttpConfig { compression: Compression::None, ..collector_at(format!("http://{address}/v1/traces")) }, bodies)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn what_does_not_fit_into_the_queue_is_counted() {
        let link = Link::new(collector_at("http://c.example".to_owned()));
        assert_eq!((0..SPANS_WAITING_MAX + 3).filter(|_| link.admit()).count(), SPANS_WAITING_MAX);
        assert_eq!(link.lost.load(Ordering::Relaxed), 3);
        // What is sent makes room.
        link.waiting.fetch_sub(1, Ordering::Relaxed);
        assert!(link.admit() && !link.admit());
    }

    #[test]
    fn many_spans_are_many_requests() {
        let (config, bodies) = collector(answer("200 OK", ""));
        let traces = Traces::start(Some(Settings { collector: config, sample: None, traceparent: false }));
        let ending = traces.ending();
        let spans = 2 * SPANS_SENT_MAX + 1;
        for _ in 0..spans {
            traces.run("acme").end(&RunReport::default());
        }
        drop(ending);
        let bodies = bodies.lock().expect("no panic").clone();
        let sizes: Vec<usize> = bodies
            .iter()
            .map(|body| {
                let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("a request");
                let of_scope = request.resource_spans.iter().flat_map(|of_resource| &of_resource.scope_spans);
                of_scope.map(|scope| scope.spans.len()).sum()
            })
            .collect();
        assert_eq!(sizes.iter().sum::<usize>(), spans);
        assert!(sizes.len() > 2 && sizes.iter().all(|size| *size <= SPANS_SENT_MAX), "{sizes:?}");
    }

    #[test]
    fn a_request_is_tried_a_few_times_and_only_where_that_may_help() {
        for (status, attempts) in [
            ("503 Service Unavailable\r\nRetry-After: 0", ATTEMPTS_MAX as usize),
            ("429 Too Many Requests\r\nRetry-After: 0", ATTEMPTS_MAX as usize),
            ("400 Bad Request", 1),
            ("500 Internal Server Error", 1),
        ] {
            let (config, bodies) = collector(answer(status, ""));
            let link = Link::new(config);
            link.waiting.fetch_add(5, Ordering::Relaxed);
            assert!(link.send(b"spans", 5).is_err(), "{status}");
            assert_eq!(bodies.lock().expect("no panic").len(), attempts, "{status}");
            assert_eq!((link.lost.load(Ordering::Relaxed), link.waiting.load(Ordering::Relaxed)), (5, 0), "{status}");
        }
    }

    #[test]
    fn the_wait_between_attempts_doubles_and_is_bounded() {
        let seconds = Duration::from_secs;
        let waits: Vec<Duration> = (1..ATTEMPTS_MAX).map(|attempt| wait_after(attempt, None)).collect();
        assert_eq!(waits, [seconds(1), seconds(2), seconds(4)]);
        assert_eq!(wait_after(1, Some(seconds(7))), seconds(7));
        assert_eq!(wait_after(1, Some(seconds(3_600))), RETRY_WAIT_MAX);
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_read_and_one_that_is_no_message_says_nothing() {
        for body in ["x".repeat(1 << 20), "<html>".to_owned(), String::new()] {
            let (config, _) = collector(answer("200 OK", &body));
            let link = Link::new(config);
            link.waiting.fetch_add(5, Ordering::Relaxed);
            link.send(b"spans", 5).expect("it is taken");
            assert_eq!(link.lost.load(Ordering::Relaxed), 0);
        }
    }
}
