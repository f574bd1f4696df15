//! The trace of a run, made of what the run tells whoever watches it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine_connect::to::http::host_and_port_of;
use engine_core::canonical::CanonicalRow;
use engine_core::mapping::{Mapper, Outcome};
use engine_core::plan::Plan;
use engine_core::ports::{ServerConfig, SourceConfig};
use engine_core::report::{FailureKind, RunReport};
use engine_core::run::{Observer, Part};
use engine_core::value::Row;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute::{
    DB_NAMESPACE, DB_RESPONSE_RETURNED_ROWS, DB_SYSTEM_NAME, ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT,
};

use super::{On, names};

/// The trace of a run; nothing where there are no traces, or where this run is not among those that are traced.
pub struct RunTrace(Option<Box<Open>>);

struct Open {
    on: Arc<On>,
    run: Context,
    /// The parts that are under way, the innermost last.
    parts: Vec<Frame>,
    /// Rows of the whole run so far.
    rows: u64,
    /// What is said of every conversation with the source.
    source: Vec<KeyValue>,
}

/// A part of the run that is under way.
struct Frame {
    part: Option<Part>,
    /// Its span. To wait for the source has none: it happens too often.
    span: Option<Context>,
    began: Instant,
    /// How long parts within it took, which are over.
    within: Duration,
    /// Of these, waiting for the source.
    fetched: Duration,
    /// Rows of the run before it.
    rows_before: u64,
}

impl RunTrace {
    pub(super) fn off() -> Self {
        Self(None)
    }

    pub(super) fn begin(on: Arc<On>, pipeline: &str) -> Self {
        let builder = SpanBuilder::from_name(names::RUN)
            .with_kind(SpanKind::Internal)
            .with_attributes([KeyValue::new(names::PIPELINE, pipeline.to_owned())]);
        let run = Context::new().with_span(on.tracer.build_with_context(builder, &Context::new()));
        // Deliveries follow a run that is not traced, too: they are not traced either.
        on.remember(pipeline, run.span().span_context().clone());
        let is_traced = run.span().is_recording();
        Self(is_traced.then(|| Box::new(Open { on, run, parts: Vec::new(), rows: 0, source: Vec::new() })))
    }

    /// Makes the plan of the run.
    pub fn plan<E>(&mut self, make: impl FnOnce() -> Result<Plan, E>) -> Result<Plan, E> {
        let Some(open) = &mut self.0 else { return make() };
        open.push(names::PLAN, None, Vec::new());
        let plan = make();
        if let Ok(plan) = &plan {
            open.pop();
            open.run.span().set_attribute(KeyValue::new(names::SOURCE_TYPE, plan.source_type));
            open.source = attributes_of(&plan.source);
        }
        plan
    }

    /// Does the run. Without a trace, nothing stands between the run and its observer.
    pub fn watch(
        &mut self,
        observer: &mut dyn Observer,
        run: impl FnOnce(&mut dyn Observer) -> RunReport,
    ) -> RunReport {
        match &mut self.0 {
            None => run(observer),
            Some(open) => run(&mut Watched { open, observer }),
        }
    }

    /// Ends the trace with what the run came to.
    pub fn end(self, report: &RunReport) {
        let Some(mut open) = self.0 else { return };
        let failed = report.failure.as_ref().map(|failure| word(failure.kind));
        while let Some(frame) = open.parts.pop() {
            if let (Some(span), Some(kind)) = (&frame.span, failed) {
                span.span().set_attribute(KeyValue::new(ERROR_TYPE, kind));
                span.span().set_status(Status::error(kind));
            }
            open.close(frame);
        }
        let span = open.run.span();
        span.set_attributes([
            count(names::STATEMENTS, report.statements),
            count(names::ROWS_READ, report.rows),
            count(names::ROWS_NEW, report.new),
            count(names::ROWS_CHANGED, report.changed),
            count(names::ROWS_GONE, report.gone),
            count(names::ROWS_UNCHANGED, report.unchanged),
            count(names::ROWS_REJECTED, report.rejected_total()),
            count(names::RECORDS_UPSERTED, report.upserts),
            count(names::RECORDS_DELETED, report.deletes),
            KeyValue::new(names::OUTCOME, if failed.is_some() { "failed" } else { "ok" }),
        ]);
        if let Some(kind) = failed {
            span.set_attribute(KeyValue::new(ERROR_TYPE, kind));
            span.set_status(Status::error(kind));
        }
        span.end();
    }
}

impl Open {
    fn push(&mut self, name: &'static str, part: Option<Part>, attributes: Vec<KeyValue>) {
        let parent = self.parts.iter().rev().find_map(|frame| frame.span.as_ref()).unwrap_or(&self.run);
        let kind = match part {
            Some(Part::Open | Part::Question { .. }) => SpanKind::Client,
            _ => SpanKind::Internal,
        };
        let span = (part != Some(Part::Fetch)).then(|| {
            let builder = SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes);
            parent.with_span(self.on.tracer.build_with_context(builder, parent))
        });
        self.parts.push(Frame {
            part,
            span,
            began: Instant::now(),
            within: Duration::ZERO,
            fetched: Duration::ZERO,
            rows_before: self.rows,
        });
    }

    fn pop(&mut self) {
        if let Some(frame) = self.parts.pop() {
            self.close(frame);
        }
    }

    fn close(&mut self, frame: Frame) {
        let took = frame.began.elapsed();
        if let Some(around) = self.parts.last_mut() {
            around.within += took;
            if frame.part == Some(Part::Fetch) {
                around.fetched += took;
            }
        }
        let Some(span) = frame.span else { return };
        if let Some(Part::Question { .. }) = frame.part {
            span.span().set_attributes([
                count(DB_RESPONSE_RETURNED_ROWS, self.rows - frame.rows_before),
                KeyValue::new(names::FETCH_SECONDS, frame.fetched.as_secs_f64()),
                KeyValue::new(names::MAP_SECONDS, took.saturating_sub(frame.within).as_secs_f64()),
            ]);
        }
        span.span().end();
    }
}

/// An observer, and the trace beside it.
struct Watched<'a> {
    open: &'a mut Open,
    observer: &'a mut dyn Observer,
}

impl Observer for Watched<'_> {
    fn row(&mut self, row: Row<'_>, outcome: Outcome, canonical: &CanonicalRow, mapper: &Mapper) {
        self.observer.row(row, outcome, canonical, mapper);
    }

    fn progress(&mut self, rows: u64, what: &str) {
        self.open.rows = rows;
        self.observer.progress(rows, what);
    }

    fn begins(&mut self, part: Part) {
        self.observer.begins(part);
        let (name, attributes) = match part {
            Part::Load => (names::LOAD, Vec::new()),
            Part::Open => (names::OPEN, self.open.source.clone()),
            Part::Expect => (names::EXPECT, Vec::new()),
            Part::Question { number, window } => {
                let mut attributes = self.open.source.clone();
                attributes.push(count(names::STATEMENT_NUMBER, number));
                if let Some((start, end)) = window {
                    attributes.push(KeyValue::new(names::WINDOW_START, start.to_string()));
                    attributes.push(KeyValue::new(names::WINDOW_END, end.to_string()));
                }
                (names::QUESTION, attributes)
            }
            // It has no span, and so no name.
            Part::Fetch => ("", Vec::new()),
            Part::Derive => (names::DERIVE, Vec::new()),
            Part::Commit => (names::COMMIT, Vec::new()),
        };
        self.open.push(name, Some(part), attributes);
    }

    fn ends(&mut self) {
        self.open.pop();
        self.observer.ends();
    }
}

/// A number as an attribute has it.
pub(super) fn count(name: &'static str, count: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX))
}

fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Spec => "spec",
        FailureKind::Environment => "environment",
        FailureKind::Source => "source",
        FailureKind::Query => "query",
        FailureKind::Brake => "brake",
        FailureKind::Rejected => "rejected",
        FailureKind::State => "state",
        FailureKind::Cancelled => "cancelled",
    }
}

/// Which source it is, by the names of OpenTelemetry's conventions.
fn attributes_of(source: &SourceConfig) -> Vec<KeyValue> {
    let server = |system: &'static str, server: &ServerConfig| {
        let mut attributes = vec![KeyValue::new(DB_SYSTEM_NAME, system)];
        if !server.database.is_empty() {
            attributes.push(KeyValue::new(DB_NAMESPACE, server.database.clone()));
        }
        attributes.extend(peer(server.host.clone(), server.port));
        attributes
    };
    match source {
        SourceConfig::Postgres(config) => server("postgresql", config),
        SourceConfig::MySql(config) => server("mysql", config),
        SourceConfig::MariaDb(config) => server("mariadb", config),
        SourceConfig::SqlServer(config, _) => server("microsoft.sql_server", config),
        SourceConfig::Oracle(config, _) => server("oracle.db", config),
        SourceConfig::Sqlite(_) => vec![KeyValue::new(DB_SYSTEM_NAME, "sqlite")],
        SourceConfig::Csv(_) => Vec::new(),
        SourceConfig::Http(api) => {
            host_and_port_of(&api.url).map_or_else(Vec::new, |(host, port)| peer(host, port).collect())
        }
    }
}

/// Who is spoken to.
pub(super) fn peer(host: String, port: Option<u16>) -> impl Iterator<Item = KeyValue> {
    let address = (!host.is_empty()).then(|| KeyValue::new(SERVER_ADDRESS, host));
    address.into_iter().chain(port.map(|port| KeyValue::new(SERVER_PORT, i64::from(port))))
}
