//! `/metrics`: the table of all metrics, and their values as OpenMetrics text.

mod encode;

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::Reply;
use super::view::{Fleet, Known, Seen};
use crate::commands::status::HEALTH;

/// Labels of a spec that its metrics carry; the others are left out.
const LABELS_MAX: usize = 16;
/// Characters of a label's value; what is longer is cut.
const LABEL_CHARS_MAX: usize = 128;
/// What the text is.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a metric counts or measures.
struct Metric {
    /// Its name; that of a counter is followed by `_total` where it is served.
    name: &'static str,
    /// In a sentence.
    help: &'static str,
    /// Its label beside those of the pipeline.
    label: Option<&'static str>,
    values: Values,
}

/// Tells values, each with that of the metric's own label where it has one.
type Tell<'a> = dyn FnMut(&str, f64) + 'a;

/// Where values come from.
enum Values {
    /// Counted since the service started, for each pipeline.
    Counter(fn(&Seen, &mut Tell<'_>)),
    /// As the state is now, for each pipeline whose state can be read.
    Gauge(fn(&Known, Timestamp, &mut Tell<'_>)),
    /// As this process knows it, for each pipeline.
    Own(fn(&Seen, &mut Tell<'_>)),
    /// How old delivered records were.
    Freshness,
    /// Of the process: a counter.
    ProcessCounter(fn(&Fleet) -> Option<f64>),
    /// Of the process: a gauge.
    ProcessGauge(fn(&Fleet) -> Option<f64>),
    /// The version.
    Build,
}

const fn metric(name: &'static str, help: &'static str, values: Values) -> Metric {
    Metric { name, help, label: None, values }
}

const fn labelled(name: &'static str, label: &'static str, help: &'static str, values: Values) -> Metric {
    Metric { name, help, label: Some(label), values }
}

/// All metrics, in the order in which they are served and documented.
const METRICS: &[Metric] = &[
    labelled(
        "engine_health",
        "health",
        "1 for the health that `engine status` shows, 0 for the others",
        Values::Gauge(|known, _, tell| {
            HEALTH.iter().for_each(|health| tell(health, f64::from(*health == known.status.health)));
        }),
    ),
    metric(
        "engine_last_run_timestamp_seconds",
        "When the last run began",
        Values::Gauge(|known, _, tell| optional(known.state.last_run.as_ref().map(|run| seconds(run.started)), tell)),
    ),
    metric(
        "engine_last_success_timestamp_seconds",
        "When the last run began that went well",
        Values::Gauge(|known, _, tell| optional(known.state.last_success.map(seconds), tell)),
    ),
    metric(
        "engine_lag_seconds",
        "Time since the last run began that went well",
        Values::Gauge(|known, now, tell| optional(known.state.last_success.map(|time| since(now, time)), tell)),
    ),
    metric(
        "engine_next_run_timestamp_seconds",
        "When the next run is due",
        Values::Gauge(|known, _, tell| optional(known.state.next_run.map(seconds), tell)),
    ),
    metric(
        "engine_last_run_duration_seconds",
        "How long the last run took",
        Values::Gauge(|known, _, tell| {
            optional(known.state.last_run.as_ref().map(|run| run.millis as f64 / 1000.0), tell);
        }),
    ),
    metric(
        "engine_failures_in_a_row",
        "Runs that failed since the last one that went well",
        Values::Gauge(|known, _, tell| tell("", f64::from(known.state.failures))),
    ),
    labelled(
        "engine_runs",
        "outcome",
        "Runs, by `ok` and `failed`",
        Values::Counter(|seen, tell| {
            tell("ok", seen.tally.runs as f64);
            tell("failed", seen.tally.failed as f64);
        }),
    ),
    metric(
        "engine_run_seconds",
        "How long all runs took together",
        Values::Counter(|seen, tell| tell("", seen.tally.millis as f64 / 1000.0)),
    ),
    metric("engine_rows_read", "Rows that runs read", Values::Counter(|seen, tell| tell("", seen.tally.rows as f64))),
    metric(
        "engine_source_bytes",
        "Bytes of the values that runs read: of texts and bytes, and eight for every other value",
        Values::Counter(|seen, tell| tell("", seen.tally.bytes as f64)),
    ),
    metric(
        "engine_source_statements",
        "Statements that runs sent to their source",
        Values::Counter(|seen, tell| tell("", seen.tally.statements as f64)),
    ),
    labelled(
        "engine_rows_found",
        "change",
        "Rows that runs found `new`, `changed` or `gone`",
        Values::Counter(|seen, tell| {
            tell("new", seen.tally.new as f64);
            tell("changed", seen.tally.changed as f64);
            tell("gone", seen.tally.gone as f64);
        }),
    ),
    labelled(
        "engine_rows_rejected",
        "code",
        "Rows that runs rejected, by the code of the reason. A row that stays wrong counts in every run that reads it",
        Values::Counter(|seen, tell| {
            seen.tally.rejected.iter().for_each(|(code, count)| tell(code, *count as f64));
        }),
    ),
    labelled(
        "engine_records_queued",
        "op",
        "Records that runs handed to the outbox, by `upsert` and `delete`",
        Values::Counter(|seen, tell| {
            tell("upsert", seen.tally.upserts as f64);
            tell("delete", seen.tally.deletes as f64);
        }),
    ),
    metric(
        "engine_records_delivered",
        "Records that the destination acknowledged",
        Values::Counter(|seen, tell| tell("", seen.tally.accepted as f64)),
    ),
    metric(
        "engine_records_refused",
        "Records that the destination refused; they are in quarantine until it takes them",
        Values::Counter(|seen, tell| tell("", seen.tally.refused as f64)),
    ),
    metric(
        "engine_parcels_sent",
        "Parcels that were sent, repetitions included",
        Values::Counter(|seen, tell| tell("", seen.tally.parcels as f64)),
    ),
    metric(
        "engine_deliveries_stopped",
        "Deliveries that ended before the outbox was empty",
        Values::Counter(|seen, tell| tell("", seen.tally.stopped as f64)),
    ),
    metric(
        "engine_delivered_age_seconds",
        "How old records were when the destination acknowledged them: from the latest time that a record names, as far \
         as it is not in the future, to the acknowledgement. That is the end of a run, or the start of one that is \
         live, or the time of a booking. Removals name none and are not counted; a correction, and what a first fill \
         sends, counts with the time of what it is about",
        Values::Freshness,
    ),
    metric(
        "engine_delivery_paused",
        "1 when the destination refused the last delivery as a whole, the login above all, so that somebody must act",
        Values::Own(|seen, tell| tell("", f64::from(seen.tally.paused))),
    ),
    metric(
        "engine_delivery_attempts",
        "Attempts since the destination last acknowledged",
        Values::Gauge(|known, _, tell| tell("", f64::from(known.delivery.attempts))),
    ),
    metric(
        "engine_last_acknowledged_timestamp_seconds",
        "When the destination last acknowledged",
        Values::Gauge(|known, _, tell| optional(known.delivery.last_acknowledged.map(seconds), tell)),
    ),
    metric(
        "engine_outbox_records",
        "Records in the outbox",
        Values::Gauge(|known, _, tell| tell("", known.counts.outbox as f64)),
    ),
    metric(
        "engine_outbox_bytes",
        "Bytes in the outbox",
        Values::Gauge(|known, _, tell| tell("", known.counts.outbox_bytes as f64)),
    ),
    metric(
        "engine_outbox_waiting_seconds",
        "For how long something has waited in the outbox without a break, as far as this process and the delivery's \
         state know: no record in it is older. 0 when it is empty",
        Values::Gauge(|known, now, tell| tell("", known.waiting_since.map_or(0.0, |time| since(now, time)))),
    ),
    metric(
        "engine_quarantine_rows",
        "Rows and records in quarantine",
        Values::Gauge(|known, _, tell| tell("", known.counts.quarantine as f64)),
    ),
    metric(
        "engine_records",
        "Records in the ledger",
        Values::Gauge(|known, _, tell| tell("", known.counts.records as f64)),
    ),
    metric(
        "engine_live_records",
        "Records of runs that go on",
        Values::Gauge(|known, _, tell| tell("", known.counts.live as f64)),
    ),
    metric(
        "engine_pipelines",
        "Pipelines of the service",
        Values::ProcessGauge(|fleet| Some(fleet.pipelines.len() as f64)),
    ),
    metric(
        "engine_state_readable",
        "1 when the state could be read for these metrics; otherwise those that come from it are missing",
        Values::ProcessGauge(|fleet| Some(f64::from(fleet.trouble.is_none()))),
    ),
    labelled("engine_build_info", "version", "1; the version of the program", Values::Build),
    metric(
        "process_start_time_seconds",
        "When the service started",
        Values::ProcessGauge(|fleet| Some(seconds(fleet.started))),
    ),
    metric(
        "process_resident_memory_bytes",
        "Memory that is resident",
        Values::ProcessGauge(|fleet| fleet.process.resident_bytes.map(|bytes| bytes as f64)),
    ),
    metric(
        "process_open_fds",
        "Open files and sockets",
        Values::ProcessGauge(|fleet| fleet.process.open_files.map(|files| files as f64)),
    ),
    metric(
        "process_cpu_seconds",
        "Time on processors",
        Values::ProcessCounter(|fleet| fleet.process.cpu.map(|time| time.as_secs_f64())),
    ),
];

fn optional(value: Option<f64>, tell: &mut Tell<'_>) {
    if let Some(value) = value {
        tell("", value);
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

fn since(now: Timestamp, time: Timestamp) -> f64 {
    now.duration_since(time).max(SignedDuration::ZERO).as_secs_f64()
}

impl Metric {
    fn kind(&self) -> &'static str {
        match self.values {
            Values::Counter(_) | Values::ProcessCounter(_) => "counter",
            Values::Freshness => "histogram",
            Values::Gauge(_) | Values::Own(_) | Values::ProcessGauge(_) | Values::Build => "gauge",
        }
    }

    fn served_name(&self) -> String {
        format!("{}{}", self.name, if self.kind() == "counter" { "_total" } else { "" })
    }
}

/// The metrics of a fleet.
pub(super) fn reply(fleet: &Fleet, by_browser: bool) -> Reply {
    match encode::text(fleet) {
        Ok(text) => Reply::ok(if by_browser { Reply::TEXT } else { MEDIA_TYPE }, text),
        Err(error) => Reply::words(500, &format!("The metrics could not be written: {error}.")),
    }
}

/// The table of the documents.
pub fn reference() -> String {
    let mut out = "\n| metric | kind | further label | what it says |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in METRICS {
        let label = metric.label.map_or(String::new(), |label| format!("`{label}`"));
        let _ = writeln!(out, "| `{}` | {} | {label} | {}. |", metric.served_name(), metric.kind(), metric.help);
    }
    let _ = writeln!(
        out,
        "\nOf a spec's labels, the first {LABELS_MAX} by name are served, with {LABEL_CHARS_MAX} characters of their \
         values. What is no letter, digit or `_` in a name becomes `_`.\n\nWhere several engines share a state, each \
         serves all pipelines of its specs: what comes from the state is the same everywhere, and counters are of what \
         this engine did."
    );
    out
}

#[cfg(test)]
mod tests;
