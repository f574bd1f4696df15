//! Spans of parcels on their way to a destination.

use std::sync::Arc;

use engine_connect::to::http::host_and_port_of;
use engine_core::ports::{Answer, DestinationConfig, Parcel};
use engine_spec::model::Method;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;
use opentelemetry_semantic_conventions::attribute::{
    ERROR_TYPE, HTTP_REQUEST_METHOD, HTTP_REQUEST_RESEND_COUNT, HTTP_RESPONSE_STATUS_CODE,
};

use super::run::{count, peer};
use super::{On, names};

/// Makes a span of each parcel of one pipeline.
pub struct ParcelTraces {
    on: Arc<On>,
    pipeline: String,
    /// The key of the last parcel, and how often it was sent.
    last: (String, u64),
}

impl ParcelTraces {
    pub(super) fn new(on: Arc<On>, pipeline: &str) -> Self {
        Self { on, pipeline: pipeline.to_owned(), last: (String::new(), 0) }
    }

    /// A parcel is about to be sent.
    pub fn begin(&mut self, parcel: &Parcel, config: &DestinationConfig) -> ParcelSpan {
        let (key, times) = &mut self.last;
        if *key != parcel.idempotency_key {
            key.clone_from(&parcel.idempotency_key);
            *times = 0;
        }
        let bytes: usize = parcel.records.iter().map(|record| record.body.len()).sum();
        let mut attributes = vec![
            KeyValue::new(names::PIPELINE, self.pipeline.clone()),
            count(names::PARCEL_RECORDS, parcel.records.len() as u64),
            count(names::PARCEL_BYTES, bytes as u64),
        ];
        if let DestinationConfig::Http(http) = config {
            attributes.push(KeyValue::new(HTTP_REQUEST_METHOD, method(http.method)));
            if let Some((host, port)) = host_and_port_of(&http.url) {
                attributes.extend(peer(host, port));
            }
            if *times > 0 {
                attributes.push(count(HTTP_REQUEST_RESEND_COUNT, *times));
            }
        }
        *times += 1;
        let parent = self.on.latest(&self.pipeline);
        let parent = parent.map_or_else(Context::new, |run| Context::new().with_remote_span_context(run));
        let builder = SpanBuilder::from_name(names::DELIVER).with_kind(SpanKind::Client).with_attributes(attributes);
        let span = self.on.tracer.build_with_context(builder, &parent);
        let traceparent = self.on.traceparent.then(|| traceparent(span.span_context()));
        ParcelSpan { span, traceparent }
    }
}

/// A parcel that is under way.
pub struct ParcelSpan {
    span: Span,
    traceparent: Option<String>,
}

impl ParcelSpan {
    /// What the destination is to be told of the trace, where it is.
    pub fn traceparent(&mut self) -> Option<String> {
        self.traceparent.take()
    }

    /// The parcel was answered, with this status where the destination speaks HTTP.
    pub fn end(mut self, answer: &Answer, status: Option<u16>) {
        let word = match answer {
            Answer::Accepted { .. } => "accepted",
            Answer::Invalid { .. } => "invalid",
            Answer::TooLarge => "too_large",
            Answer::Refused { .. } => "refused",
            Answer::Later { .. } => "later",
            Answer::Unknown { .. } => "unknown",
        };
        self.span.set_attribute(KeyValue::new(names::ANSWER, word));
        if let Some(status) = status {
            self.span.set_attribute(KeyValue::new(HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
        }
        if let Answer::Accepted { rejected } = answer {
            self.span.set_attribute(count(names::PARCEL_REJECTED, rejected.len() as u64));
        } else {
            let is_error = |status: &u16| *status >= 400;
            let kind = status.filter(is_error).map_or_else(|| word.to_owned(), |status| status.to_string());
            self.span.set_attribute(KeyValue::new(ERROR_TYPE, kind));
            self.span.set_status(Status::error(word));
        }
        self.span.end();
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
    }
}

/// As W3C Trace Context writes it.
fn traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags())
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn a_traceparent_is_written_as_the_standard_says() {
        let (trace, span) =
            (TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId::from(0x00f0_67aa_0ba9_02b7));
        let of = |flags| traceparent(&SpanContext::new(trace, span, flags, false, TraceState::NONE));
        assert_eq!(of(TraceFlags::SAMPLED), "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
        assert_eq!(of(TraceFlags::default()), "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00");
    }
}
