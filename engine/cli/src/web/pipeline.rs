//! The page of one pipeline: its last runs, what is in quarantine, what waits, and what would be asked.

use std::collections::VecDeque;

use engine_core::report::RunReport;
use engine_core::state::{OutboxRecord, StateStore};
use engine_spec::device::Device;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::html::{self, Visit, health, lines, table, time, when};
use super::timeline;
use super::view::{Known, Seen};
use crate::commands::preview::chart::Chart;
use crate::commands::quarantine::{self, Quarantine};
use crate::commands::render;
use crate::commands::status::ago;
use crate::monitor::{RECENT_RUNS_MAX, RecentRun};
use crate::project::{self, FoundSpec};
use crate::show::{clip, escaped};

/// Rows of the quarantine that are shown.
const QUARANTINE_SHOWN_MAX: usize = 50;
/// Records at the head of the outbox that are shown.
const OUTBOX_SHOWN_MAX: usize = 10;
/// Bytes of the outbox that are read for it.
const OUTBOX_BYTES_MAX: usize = 256 << 10;
/// Characters of a cell; what is longer is cut.
const CELL_CHARS_MAX: usize = 300;

/// What is known of a pipeline beyond what the fleet shows.
pub(super) struct Detail {
    seen: Seen,
    at: Timestamp,
    quarantine: Result<Quarantine, String>,
    waiting: Result<Vec<OutboxRecord>, String>,
    statement: Result<Option<String>, String>,
    chart: Result<Chart, String>,
}

impl Detail {
    /// Reads what the page shows. What cannot be read is said in its place.
    pub(super) fn read(device: &Device, spec: &FoundSpec, store: &dyn StateStore, seen: &Seen, at: Timestamp) -> Self {
        let plan = project::plan_on(device, spec, true).map_err(|error| error.message);
        let statement = plan.as_ref().map_err(Clone::clone).and_then(|plan| {
            let statement = render::statement(plan, at).map_err(|error| error.message)?;
            Ok(statement.map(|statement| render::text(plan, &statement)))
        });
        Self {
            quarantine: quarantine::of(store, &seen.id, QUARANTINE_SHOWN_MAX).map_err(|error| error.message),
            chart: plan.and_then(|plan| timeline::read(store, &plan, at)),
            waiting: store.claim(&seen.id, OUTBOX_SHOWN_MAX, OUTBOX_BYTES_MAX).map_err(|error| error.to_string()),
            statement,
            seen: seen.clone(),
            at,
        }
    }
}

/// The page.
pub(super) fn page(detail: &Detail, visit: Visit) -> String {
    let id = &detail.seen.id;
    let mut main = format!("<h1>{}</h1>\n", escaped(id));
    if let Some(description) = &detail.seen.description {
        main.push_str(&format!("<p>{}</p>\n", lines(description)));
    }
    let labels: Vec<String> = detail.seen.labels.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    if !labels.is_empty() {
        main.push_str(&format!("<p class=\"soft\">{}</p>\n", escaped(&labels.join(", "))));
    }
    main.push_str(&html::as_of(detail.at));
    match &detail.seen.known {
        Some(known) => main.push_str(&how_it_is(known, detail.at)),
        None => main.push_str("<p class=\"trouble\" role=\"alert\">What is known of it cannot be read.</p>\n"),
    }
    main.push_str(&before(&detail.seen.tally.recent, detail.at));
    main.push_str(&section("Newest production runs", "runs", &detail.chart, timeline::show));
    main.push_str(&section("Quarantine", "quarantine", &detail.quarantine, in_quarantine));
    main.push_str(&section("Head of the outbox", "outbox", &detail.waiting, |records| waiting(records)));
    main.push_str(&section("What it asks", "asks", &detail.statement, |statement| asked(statement.as_deref())));
    let title = match &detail.seen.known {
        Some(known) => format!("{id}: {} – engine", known.status.health),
        None => format!("{id} – engine"),
    };
    html::page(&title, &main, visit)
}

fn section<T>(title: &str, id: &str, content: &Result<T, String>, show: impl Fn(&T) -> String) -> String {
    let body = match content {
        Ok(content) => show(content),
        Err(error) => format!("<p class=\"trouble\">{}</p>\n", lines(error)),
    };
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n")
}

fn how_it_is(known: &Known, now: Timestamp) -> String {
    let status = &known.status;
    let mut out = format!("<p>{}</p>\n", health(status.health));
    if !status.reasons.is_empty() {
        out.push_str(&html::reasons(&status.reasons));
    }
    let lag = status.lag_seconds.map_or("–".to_owned(), |lag| ago(SignedDuration::from_secs(lag)));
    let mut figures = vec![
        ("last success", when(status.last_success, now)),
        ("lag", lag),
        ("next run", when(status.next_run, now)),
        ("last acknowledged", when(status.last_acknowledged, now)),
        ("records", known.counts.records.to_string()),
        ("live", known.counts.live.to_string()),
        ("outbox", format!("{}<br><small>{}</small>", known.counts.outbox, html::bytes(known.counts.outbox_bytes))),
        ("quarantine", known.counts.quarantine.to_string()),
    ];
    if let Some(engine) = &status.run_by {
        figures.push(("run by", escaped(engine)));
    }
    out.push_str(&list(&figures));
    let run = match &known.state.last_run {
        Some(run) => last_run(run, now),
        None => "<p>It has not run yet.</p>\n".to_owned(),
    };
    out.push_str(&format!("<section aria-labelledby=\"run\">\n<h2 id=\"run\">Last run</h2>\n{run}</section>\n"));
    out
}

fn list(figures: &[(&str, String)]) -> String {
    let figure = |(name, value): &(&str, String)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n");
    format!("<dl class=\"figures\">\n{}</dl>\n", figures.iter().map(figure).collect::<String>())
}

fn last_run(run: &RunReport, now: Timestamp) -> String {
    let counts = [
        ("rows read", run.rows),
        ("unchanged", run.unchanged),
        ("new", run.new),
        ("changed", run.changed),
        ("gone", run.gone),
        ("skipped", run.skipped),
        ("cancelled", run.cancelled),
        ("to write", run.upserts),
        ("to delete", run.deletes),
        ("statements", run.statements),
        ("bytes read", run.bytes),
    ];
    let mut figures = vec![("began", when(Some(run.started), now)), ("took", format!("{} ms", run.millis))];
    figures.extend(counts.map(|(name, count)| (name, count.to_string())));
    figures.push(("rejected", by_code(run.rejected.iter())));
    figures.push(("noticed", by_code(run.reported.iter())));
    list(&figures)
}

/// The runs since the service began; the last of them is told in full above.
fn before(recent: &VecDeque<RecentRun>, now: Timestamp) -> String {
    let row = |run: &RecentRun| {
        let counts = [run.rows, run.new, run.changed, run.gone, run.rejected].map(|count| count.to_string());
        let outcome = run.failure.as_ref().map_or("ok".to_owned(), |failure| cell(failure));
        let mut row = vec![when(Some(run.started), now), format!("{} ms", run.millis)];
        row.extend(counts);
        row.push(outcome);
        row
    };
    let rows: Vec<Vec<String>> = recent.iter().map(row).collect();
    let body = if rows.is_empty() {
        "<p>None since the service began.</p>\n".to_owned()
    } else {
        let header = ["began", "took", "rows read", "new", "changed", "gone", "rejected", "outcome"];
        table(&format!("Since the service began, newest first: {RECENT_RUNS_MAX} at most"), &header, &rows)
    };
    format!("<section aria-labelledby=\"recent\">\n<h2 id=\"recent\">Last runs</h2>\n{body}</section>\n")
}

fn by_code<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let counts: Vec<String> = counts.map(|(code, count)| format!("{count} {}", escaped(code))).collect();
    if counts.is_empty() { "0".to_owned() } else { counts.join("<br>") }
}

fn in_quarantine(quarantine: &Quarantine) -> String {
    if quarantine.total == 0 {
        return "<p>Nothing.</p>\n".to_owned();
    }
    let reasons: Vec<Vec<String>> = quarantine
        .reasons
        .iter()
        .map(|reason| {
            let what = [&reason.code, &reason.rule].map(|text| escaped(text));
            let [code, rule] = what;
            let (first, last) = (time(reason.first_seen), time(reason.last_seen));
            vec![code, rule, reason.rows.to_string(), reason.stage.as_str().to_owned(), first, last]
        })
        .collect();
    let rows: Vec<Vec<String>> = quarantine
        .rows
        .iter()
        .map(|row| vec![cell(&row.key), cell(&row.reason), escaped(&row.code), escaped(&row.rule), time(row.last_seen)])
        .collect();
    let shown = format!("Rows and records, newest first: {} of {}", rows.len(), quarantine.total);
    table("Reasons", &["code", "rule", "count", "stage", "first seen", "last seen"], &reasons)
        + &table(&shown, &["key", "reason", "code", "rule", "last seen"], &rows)
        + &format!(
            "<p class=\"soft\">What a row says is not shown here: <code>engine quarantine show {} KEY</code></p>\n",
            escaped(&quarantine.pipeline)
        )
}

fn waiting(records: &[OutboxRecord]) -> String {
    if records.is_empty() {
        return "<p>Nothing waits to be sent.</p>\n".to_owned();
    }
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let body: Value = serde_json::from_str(&record.body).unwrap_or_default();
            let text = |names: &[&str]| {
                let found = names.iter().find_map(|name| body[*name].as_str());
                found.map_or("–".to_owned(), cell)
            };
            vec![
                escaped(&record.id.to_string()),
                text(&["op"]),
                text(&["machine_code"]),
                text(&["production_order", "order_code"]),
                text(&["start", "timestamp"]),
                text(&["end"]),
            ]
        })
        .collect();
    table("What is sent next, in this order", &["id", "op", "machine", "order", "start", "end"], &rows)
}

fn asked(statement: Option<&str>) -> String {
    match statement {
        Some(text) => format!(
            "<p class=\"soft\">As <code>engine render</code> shows it: what a pipeline would ask that has read nothing \
             yet. Values are bound.</p>\n<pre tabindex=\"0\" role=\"region\" aria-label=\"what it asks\">{}</pre>\n",
            text.lines().map(escaped).collect::<Vec<_>>().join("\n")
        ),
        None => "<p>Its source takes no statement.</p>\n".to_owned(),
    }
}

fn cell(text: &str) -> String {
    escaped(&clip(text, CELL_CHARS_MAX))
}
