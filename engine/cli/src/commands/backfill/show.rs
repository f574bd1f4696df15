//! What a backfill did, or would do.

use std::fmt::Write as _;

use engine_core::backfill::{Counts, Slice};
use engine_core::plan::Plan;
use engine_core::report::Failure;
use engine_spec::model::Period;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use super::local;
use crate::args::{BackfillArgs, Output};
use crate::backfill::Backfill;
use crate::exit::{CommandError, Kind};
use crate::pipeline::kind_of;
use crate::show;

/// Characters of a cell in a table.
const CELL_CHARS_MAX: usize = 60;

/// What became of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It was finished before this call, or by another process.
    Finished,
    /// A dry run read it.
    WouldSend,
    /// This call sent it.
    Sent,
    /// It was not sent.
    Failed,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct SliceReport {
    pub(super) slice: u32,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) state: State,
    pub(super) counts: Counts,
    pub(super) refused: u64,
    pub(super) failure: Option<String>,
}

impl SliceReport {
    pub(super) fn of(slice: &Slice, state: State) -> Self {
        let Slice { number, from, to, .. } = *slice;
        Self { slice: number, from, to, state, counts: Counts::default(), refused: 0, failure: None }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pipeline: String,
    /// Where it begins.
    from: Timestamp,
    /// Where it ends: as asked for, or where the schedule begins to read.
    to: Timestamp,
    /// `--to` lies in what the schedule reads.
    cut: bool,
    slice: String,
    overlap: String,
    /// Whether something was to be sent.
    sent: bool,
    finished_before: usize,
    of_slices: usize,
    slices: Vec<SliceReport>,
    total: Counts,
    refused: u64,
    /// Why the destination refused some of them.
    pub(super) refusals: Vec<String>,
    /// The first records that would be sent.
    pub(super) records: Vec<Map<String, Value>>,
    #[serde(skip)]
    pub(super) worst: Option<Kind>,
    #[serde(skip)]
    zone: TimeZone,
    #[serde(skip)]
    folded: bool,
}

impl Report {
    pub(super) fn new(
        backfill: &Backfill<'_>,
        plan: &Plan,
        schedule_from: Timestamp,
        args: &BackfillArgs,
    ) -> Result<Self, CommandError> {
        let job = &backfill.job;
        let known = backfill.known()?;
        let is_finished = |slice: &&Slice| known.get(&slice.number).is_some_and(|state| slice.is_finished(state));
        Ok(Self {
            pipeline: plan.id.clone(),
            from: job.from,
            to: job.to.unwrap_or(schedule_from).min(schedule_from),
            cut: job.to.is_some_and(|to| to > schedule_from),
            slice: Period(job.slice).to_string(),
            overlap: Period(job.overlap).to_string(),
            sent: args.yes,
            finished_before: backfill.slices.iter().filter(is_finished).count(),
            of_slices: backfill.slices.len(),
            slices: Vec::new(),
            total: Counts::default(),
            refused: 0,
            refusals: Vec::new(),
            records: Vec::new(),
            worst: None,
            zone: plan.zone.clone(),
            folded: plan.is_folded(),
        })
    }

    pub(super) fn add(&mut self, slice: &Slice, report: SliceReport) {
        debug_assert_eq!(slice.number, report.slice);
        self.total.add(&report.counts);
        self.refused += report.refused;
        if report.refused > 0 {
            self.worst = self.worst.max(Some(Kind::Run));
        }
        self.slices.push(report);
    }

    pub(super) fn fail(&mut self, slice: &Slice, failure: &Failure) {
        self.worst = self.worst.max(Some(kind_of(failure)));
        let failed = SliceReport::of(slice, State::Failed);
        self.slices.push(SliceReport { failure: Some(failure.message.clone()), ..failed });
    }

    pub(super) fn print(&mut self, output: Output) {
        self.slices.sort_by_key(|slice| slice.slice);
        match output {
            Output::Json => show::print_json(self),
            Output::Text => show::print(&self.text()),
        }
    }

    fn text(&self) -> String {
        let local = |instant| local(instant, &self.zone);
        let mut out = format!(
            "{}: {} to {} ({}), {} slices of {}, {} read around each\n",
            self.pipeline,
            local(self.from),
            local(self.to),
            self.zone.iana_name().unwrap_or("UTC"),
            self.of_slices,
            self.slice,
            self.overlap,
        );
        if self.cut {
            out.push_str("`--to` is cut there: what begins later is looked after by the schedule\n");
        }
        if self.finished_before > 0 {
            let _ = writeln!(
                out,
                "{} of {} slices were finished before; `--yes --restart` begins anew",
                self.finished_before, self.of_slices
            );
        }
        let shown: Vec<Vec<String>> =
            self.slices.iter().filter(|slice| slice.state != State::Finished).map(|slice| self.row(slice)).collect();
        if !shown.is_empty() {
            let sends = if self.sent { "sent" } else { "to send" };
            let header = ["slice", "read", "mapped", "rejected", "left out", "delivered", sends];
            let _ = write!(out, "\n{}", show::table(&header, shown));
        }
        self.totals(&mut out);
        self.first_records(&mut out);
        if !self.sent {
            out.push_str("\nnothing was sent or kept; `--yes` sends it\n");
        }
        out
    }

    fn row(&self, slice: &SliceReport) -> Vec<String> {
        let name = format!("{} - {}", local(slice.from, &self.zone), local(slice.to, &self.zone));
        if let Some(failure) = &slice.failure {
            return vec![name, show::clip(failure, 2 * CELL_CHARS_MAX)];
        }
        let counts = &slice.counts;
        let numbers = [
            counts.read,
            counts.mapped,
            counts.rejected_total(),
            counts.left_out(),
            counts.delivered,
            counts.send - slice.refused.min(counts.send),
        ];
        std::iter::once(name).chain(numbers.map(|number| number.to_string())).collect()
    }

    fn totals(&self, out: &mut String) {
        let total = &self.total;
        let what = if self.sent { "sent" } else { "would be sent" };
        let _ = writeln!(
            out,
            "\n{} records {what}, {} are delivered already",
            total.send - self.refused.min(total.send),
            total.delivered
        );
        if !total.rejected.is_empty() {
            let codes: Vec<String> = total.rejected.iter().map(|(code, count)| format!("{count} {code}")).collect();
            let _ = writeln!(
                out,
                "{} rejected ({}); `engine preview` shows reasons",
                total.rejected_total(),
                codes.join(", ")
            );
        }
        if total.scheduled > 0 {
            let _ = writeln!(out, "{} left to the schedule, which knows them and looks after them", total.scheduled);
        }
        if total.at_the_edge > 0 {
            let wider = Period(self.widened()).to_string();
            let _ = writeln!(
                out,
                "{} left out because they reach beyond what was read; `--overlap {wider}` reads further",
                total.at_the_edge
            );
        }
        if total.live > 0 {
            let why = if self.folded { "they run still" } else { "they have no end" };
            let _ = writeln!(
                out,
                "{} left out because {why}, and nobody would notice their end; fill again when they have ended",
                total.live
            );
        }
        if self.refused > 0 {
            let _ = writeln!(out, "{} refused by the destination; `--yes --restart` sends them again", self.refused);
            for refusal in &self.refusals {
                let _ = writeln!(out, "  {refusal}");
            }
        }
    }

    /// Twice as far.
    fn widened(&self) -> std::time::Duration {
        let overlap = self.overlap.parse::<Period>().map_or(std::time::Duration::ZERO, |period| period.0);
        overlap.saturating_mul(2).max(std::time::Duration::from_secs(86_400))
    }

    fn first_records(&self, out: &mut String) {
        if self.records.is_empty() {
            return;
        }
        let names = ["order_code", "product_code", "machine_code", "start", "end"];
        let rows = self.records.iter().map(|record| {
            let cell = |name: &&str| {
                let value = record.get(*name).or_else(|| record.get("timestamp").filter(|_| *name == "start"));
                value.and_then(Value::as_str).map_or_else(|| "-".to_owned(), |text| show::clip(text, CELL_CHARS_MAX))
            };
            names.iter().map(cell).collect()
        });
        let _ = write!(out, "\nthe first of them\n{}", show::table(&names, rows.collect()));
    }
}
