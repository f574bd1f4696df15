//! `engine status`: how the pipelines are doing, with the reason in plain words when something is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use engine_core::report::counted;
use engine_core::state::{DeliveryState, PipelineState, StateCounts, StateStore};
use engine_spec::device::Device;
use jiff::{SignedDuration, Timestamp};

use crate::args::{Output, StatusArgs};
use crate::exit::{CommandError, Kind};
use crate::fleet::depot::{Depot, Record, Taken};
use crate::state::is_of_this_host;
use crate::{project, store};

/// Every state of health, best first.
pub const HEALTH: [&str; 6] = ["ok", "new", "waiting", "rejecting", "held", "failing"];

/// What is said of a pipeline whose spec was changed into something that cannot be used.
const SPEC_KEPT: &str = "the file of its spec cannot be used as it is now, and the pipeline goes on as before: `engine validate-spec` says why";

/// How one pipeline is doing.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PipelineStatus {
    /// Its id.
    pub pipeline: String,
    /// `ok`, `rejecting`, `waiting`, `failing`, `held` or `new`.
    pub health: &'static str,
    /// What is wrong, in plain words.
    pub reasons: Vec<String>,
    /// It runs by the spec of before: the file of its spec holds something else now, which cannot be used.
    pub spec_kept: bool,
    /// When the last run that went well began.
    pub last_success: Option<Timestamp>,
    /// Seconds since then.
    pub lag_seconds: Option<i64>,
    /// Rows that the last run read.
    pub rows_read: u64,
    /// Records that the last run handed to the outbox.
    pub sent: u64,
    /// Rows that the last run rejected.
    pub rejected: u64,
    /// When the service will run it next.
    pub next_run: Option<Timestamp>,
    /// When the destination last acknowledged.
    pub last_acknowledged: Option<Timestamp>,
    /// Whether the destination refuses everything, so that somebody must act; what it said is in `reasons`.
    pub delivery_paused: bool,
    /// When the destination is asked again, where it does not take what waits.
    pub delivery_retry: Option<Timestamp>,
    /// Host and process of the engine that runs it, where several share the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_by: Option<String>,
    /// Counts of its state.
    #[serde(flatten)]
    pub counts: StateCounts,
}

/// Prints the status of pipelines.
pub fn run(args: &StatusArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let (device, folder) = project::open_device(&[], config)?;
    let store = store::open_existing(&device, &folder)?;
    if args.alive {
        return alive(store.as_ref());
    }
    let wanted = store::wanted(store.as_ref(), &args.pipelines)?;
    let now = Timestamp::now();
    let mut statuses = Vec::new();
    let holders = store.holders()?;
    for id in &wanted {
        let run_by = holders.iter().find(|holder| holder.unit == *id).map(|holder| holder.engine.clone());
        statuses.push(PipelineStatus { run_by, ..status(store.as_ref(), id, now)? });
    }
    match args.output {
        Output::Json => crate::show::print_json(&statuses),
        Output::Text => crate::show::print(&(text(&statuses, now) + &pulled(&device, &folder, now)?)),
    }
    Ok(())
}

/// Whether an engine of this host shares the work: it looks after its pipelines, and renews its leases.
fn alive(store: &dyn StateStore) -> Result<(), CommandError> {
    let Some(engines) = store.engines()? else {
        return Err(CommandError::new(Kind::Usage, "--alive: the state is a file, which one engine has to itself")
            .hint("ask the service manager: `systemctl is-active engine`"));
    };
    let here: Vec<&String> = engines.iter().filter(|name| is_of_this_host(name)).collect();
    if here.is_empty() {
        return Err(CommandError::new(Kind::Environment, "no engine of this host shares the work").hint(format!(
            "those that do: {}",
            if engines.is_empty() { "none".to_owned() } else { engines.join(", ") }
        )));
    }
    for name in here {
        crate::show::print(&format!("{name} is at work\n"));
    }
    Ok(())
}

/// The status of one pipeline.
pub fn status(store: &dyn StateStore, id: &str, now: Timestamp) -> Result<PipelineStatus, CommandError> {
    let state = store.load(id)?;
    let delivery = store.delivery(id)?;
    let counts = store.counts(id)?;
    Ok(of(id, &state, &delivery, counts, now))
}

/// The status of one pipeline, from what is remembered of it.
pub fn of(
    id: &str,
    state: &PipelineState,
    delivery: &DeliveryState,
    counts: StateCounts,
    now: Timestamp,
) -> PipelineStatus {
    let (health, reasons) = health(state, delivery, &counts, now);
    let last = state.last_run.as_ref();
    let spec_kept = last.is_some_and(|run| run.spec_kept);
    let status = PipelineStatus {
        pipeline: id.to_owned(),
        health,
        reasons,
        spec_kept: false,
        last_success: state.last_success,
        lag_seconds: state.last_success.map(|success| now.duration_since(success).as_secs()),
        rows_read: last.map_or(0, |run| run.rows),
        sent: last.map_or(0, |run| run.upserts + run.deletes),
        rejected: last.map_or(0, engine_core::report::RunReport::rejected_total),
        next_run: state.next_run,
        last_acknowledged: delivery.last_acknowledged,
        delivery_paused: delivery.paused,
        delivery_retry: delivery.retry_at,
        run_by: None,
        counts,
    };
    status.with_spec_kept(spec_kept)
}

impl PipelineStatus {
    /// The same, where it is known whether the spec is kept. The state has it as of the last run.
    #[must_use]
    pub fn with_spec_kept(mut self, spec_kept: bool) -> Self {
        self.spec_kept = spec_kept;
        self.reasons.retain(|reason| reason != SPEC_KEPT);
        if spec_kept {
            self.reasons.insert(0, SPEC_KEPT.to_owned());
        }
        self
    }

    /// The same, where the last run is known to have failed, and the state does not have it: it could not be written.
    #[must_use]
    pub fn with_failure(mut self, message: &str) -> Self {
        self.health = "failing";
        self.reasons.insert(0, message.to_owned());
        self
    }
}

fn health(
    state: &PipelineState,
    delivery: &DeliveryState,
    counts: &StateCounts,
    now: Timestamp,
) -> (&'static str, Vec<String>) {
    let mut reasons = Vec::new();
    let mut health = if state.last_run.is_none() { "new" } else { "ok" };
    if let Some(run) = state.last_run.as_ref().filter(|run| run.rejected_total() * 2 > run.rows) {
        // A run that goes well and refuses nearly everything is no good news: the mapping does not fit the source.
        health = "rejecting";
        reasons.push(format!("{} of {} rows of the last run were rejected", run.rejected_total(), run.rows));
    }
    if let Some(problem) = &delivery.problem {
        health = "waiting";
        let since = delivery.since.map_or(String::new(), |since| format!(" for {}", ago(now.duration_since(since))));
        let waits = format!("{} records wait in the outbox{since}: {problem}", counts.outbox);
        reasons.push(match delivery.retry_at.filter(|_| delivery.paused) {
            Some(retry_at) => format!("delivery is paused, and {waits}; it is tried again at {retry_at:.0}"),
            None => waits,
        });
    }
    if let Some(failure) = state.last_run.as_ref().and_then(|run| run.failure.as_ref()) {
        health = if state.brake.is_some() { "held" } else { "failing" };
        let times =
            if state.failures > 1 { format!(" (failed {} times in a row)", state.failures) } else { String::new() };
        reasons.push(format!("{}{times}", failure.message));
        reasons.extend(failure.hint.clone());
    }
    if counts.quarantine > 0 {
        reasons.push(format!("{} in quarantine", counted(counts.quarantine, "row")));
    }
    if let Some(run) = &state.last_run {
        reasons.extend(run.notes.iter().cloned());
    }
    if state.approved.is_some() {
        reasons.push("approved: the next run may pass the brake".to_owned());
    }
    (health, reasons)
}

fn text(statuses: &[PipelineStatus], now: Timestamp) -> String {
    let time = |time: Option<Timestamp>| time.map_or("-".to_owned(), |time| format!("{time:.0}"));
    let rows = statuses
        .iter()
        .map(|status| {
            vec![
                status.pipeline.clone(),
                status.health.to_owned(),
                time(status.last_success),
                status.lag_seconds.map_or("-".to_owned(), |lag| ago(SignedDuration::from_secs(lag))),
                status.rows_read.to_string(),
                status.sent.to_string(),
                status.rejected.to_string(),
                status.counts.outbox.to_string(),
                status.counts.live.to_string(),
                status.next_run.filter(|next| *next > now).map_or("-".to_owned(), |next| time(Some(next))),
            ]
        })
        .collect();
    let header =
        ["pipeline", "health", "last success", "lag", "read", "sent", "rejected", "outbox", "live", "next run"];
    let mut out = crate::show::table(&header, rows);
    if statuses.iter().any(|status| status.run_by.is_some()) {
        let engines = statuses.iter().filter_map(|status| status.run_by.as_deref());
        let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
        engines.for_each(|engine| *shares.entry(engine).or_default() += 1);
        for (engine, count) in shares {
            out.push_str(&format!("\n{engine} runs {count} of {} pipelines\n", statuses.len()));
        }
    }
    for status in statuses.iter().filter(|status| !status.reasons.is_empty()) {
        out.push_str(&format!("\n{}:\n", status.pipeline));
        for reason in &status.reasons {
            out.push_str(&format!("  {}\n", reason.replace('\n', "\n  ")));
        }
    }
    out
}

/// What is in use of pulled specs, where specs are pulled.
fn pulled(device: &Device, folder: &Path, now: Timestamp) -> Result<String, CommandError> {
    if device.fleet.as_ref().is_none_or(|fleet| fleet.specs.is_none()) {
        return Ok(String::new());
    }
    let lines = specs_in_words(&Depot::of(device, folder)?.record()?, now);
    Ok(format!("\n{}\n", lines.join("\n  ")))
}

/// Which pulled specs are in use, and why none newer are: a line each.
pub fn specs_in_words(record: &Record, now: Timestamp) -> Vec<String> {
    let Record { current, trial, problem, .. } = record;
    let in_use = match current {
        Some(Taken { version, created, taken, .. }) => {
            format!("specs: {version}, made at {created:.0}, taken at {taken:.0}")
        }
        None => "specs: none were pulled yet".to_owned(),
    };
    let trial = trial.as_ref().map(|trial| {
        let owed = counted(trial.owed.len() as u64, "pipeline");
        format!("on trial for {}: {owed} still to run well", ago(now.duration_since(trial.since)))
    });
    let problem = problem.as_ref().map(|one| format!("for {}: {}", ago(now.duration_since(one.since)), one.message));
    std::iter::once(in_use).chain(trial).chain(problem).collect()
}

/// A length of time in its two largest units.
pub fn ago(duration: SignedDuration) -> String {
    let secs = duration.as_secs().max(0);
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m{}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h{}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d{}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_rejects_more_than_half_is_not_ok() {
        let check = |rows: u64, rejected: u64, expected: &str| {
            let mut run = engine_core::report::RunReport { rows, ..Default::default() };
            run.rejected.insert("unmapped".to_owned(), rejected);
            let state = PipelineState { last_run: Some(run), ..PipelineState::default() };
            let (health, reasons) =
                health(&state, &DeliveryState::default(), &StateCounts::default(), Timestamp::UNIX_EPOCH);
            assert_eq!(health, expected, "{rejected} of {rows}");
            assert_eq!(reasons.iter().any(|reason| reason.contains("were rejected")), expected == "rejecting");
        };
        check(0, 0, "ok");
        check(10, 5, "ok");
        check(10, 6, "rejecting");
        check(19_999, 19_999, "rejecting");
    }

    #[test]
    fn a_spec_that_is_kept_is_said_as_of_the_last_run_or_as_it_is_known() {
        let state = |spec_kept| PipelineState {
            last_run: Some(engine_core::report::RunReport { spec_kept, ..Default::default() }),
            ..PipelineState::default()
        };
        let of =
            |kept| of("acme", &state(kept), &DeliveryState::default(), StateCounts::default(), Timestamp::UNIX_EPOCH);
        assert!(of(true).spec_kept && of(true).reasons == [SPEC_KEPT] && of(true).health == "ok");
        assert!(!of(false).spec_kept && of(false).reasons.is_empty());
        assert_eq!(of(true).with_spec_kept(true).reasons, [SPEC_KEPT]);
        assert!(of(true).with_spec_kept(false).reasons.is_empty());
    }

    #[test]
    fn lengths_of_time_are_short() {
        for (secs, expected) in [(5, "5s"), (65, "1m5s"), (7_260, "2h1m"), (90_000, "1d1h"), (-3, "0s")] {
            assert_eq!(ago(SignedDuration::from_secs(secs)), expected);
        }
    }
}
