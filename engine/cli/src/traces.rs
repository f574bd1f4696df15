//! Traces of runs and deliveries, for an OpenTelemetry collector: off unless one is named.
//!
//! A run is a trace. Its spans are made beside the run, from what the run tells whoever watches it, and handed to a queue
//! that never waits; a thread of its own sends them. A collector that is down, slow or hostile costs spans, which are
//! counted, and delays no run, no delivery, and the end of the process by no more than [`END_MAX`].
//!
//! No span holds anything of a row, a value that was bound, or words of a server: only counts, times, names that the
//! specs and `engine.yaml` give, and the kinds of failures.

mod export;
mod names;
mod parcel;
mod run;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, TracerProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use opentelemetry_semantic_conventions::resource::{HOST_NAME, SERVICE_NAME, SERVICE_VERSION};

use self::export::{Bounded, Exporter, Link};
pub use self::names::reference;
pub use self::parcel::ParcelTraces;
pub use self::run::RunTrace;
pub use self::settings::Settings;

/// Spans that wait for the collector, or are on their way to it; what comes then is lost.
pub const SPANS_WAITING_MAX: usize = 2_048;
/// Spans of one request.
const SPANS_SENT_MAX: usize = 512;
/// Time between two requests, where spans do not fill one sooner.
const SEND_EVERY: Duration = Duration::from_secs(2);
/// How long the end of the process waits for what is not sent yet.
pub const END_MAX: Duration = Duration::from_secs(2);

/// Makes traces, or does nothing. Clones share one collector.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<On>>);

struct On {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    link: Arc<Link>,
    /// Whether deliveries tell the destination which trace they belong to.
    traceparent: bool,
    /// The run that each pipeline began last: its deliveries belong to it.
    latest: Mutex<BTreeMap<String, SpanContext>>,
}

impl Traces {
    /// Begins to make traces, where there is a collector. Starts a thread.
    pub fn start(settings: Option<Settings>) -> Self {
        let Some(Settings { collector, sample, traceparent }) = settings else { return Self(None) };
        let link = Arc::new(Link::new(collector));
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(SPANS_WAITING_MAX)
            .with_max_export_batch_size(SPANS_SENT_MAX)
            .with_scheduled_delay(SEND_EVERY)
            .build();
        let batches = BatchSpanProcessor::new(Exporter::new(Arc::clone(&link)), config);
        let mut provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_span_processor(Bounded::new(batches, Arc::clone(&link)));
        if let Some(share) = sample {
            provider = provider.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))));
        }
        let provider = provider.build();
        let scope = InstrumentationScope::builder("engine").with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = provider.tracer_with_scope(scope);
        tracing::debug!(event = "traces_on", "traces go to {}", link.place());
        Self(Some(Arc::new(On { provider, tracer, link, traceparent, latest: Mutex::default() })))
    }

    /// Begins the trace of a run.
    pub fn run(&self, pipeline: &str) -> RunTrace {
        match &self.0 {
            None => RunTrace::off(),
            Some(on) => RunTrace::begin(Arc::clone(on), pipeline),
        }
    }

    /// What makes spans of the parcels of one pipeline.
    pub fn parcels(&self, pipeline: &str) -> Option<ParcelTraces> {
        self.0.as_ref().map(|on| ParcelTraces::new(Arc::clone(on), pipeline))
    }

    /// What ends them when it is dropped.
    pub fn ending(&self) -> Ending {
        Ending(self.clone())
    }
}

/// Dropped, it sends what is not sent yet, for no longer than [`END_MAX`], and says how many spans were lost altogether.
pub struct Ending(Traces);

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(on) = &self.0.0 else { return };
        on.link.end();
        // What does not arrive in time is counted, and that is all there is to say of it.
        let _ = on.provider.shutdown_with_timeout(END_MAX);
        on.link.tell_lost();
    }
}

impl On {
    fn latest(&self, pipeline: &str) -> Option<SpanContext> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).get(pipeline).cloned()
    }

    fn remember(&self, pipeline: &str, run: SpanContext) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(pipeline.to_owned(), run);
    }
}

/// What the spans come from. The environment may say otherwise.
fn resource() -> Resource {
    let own = [
        KeyValue::new(SERVICE_NAME, "engine"),
        KeyValue::new(SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(HOST_NAME, crate::state::host()),
    ];
    let detected = Resource::builder_empty()
        .with_attributes(own)
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => detected.with_service_name(name).build(),
        _ => detected.build(),
    }
}
