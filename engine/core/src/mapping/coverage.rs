//! Which branches of a spec rows take: a pass of its own over rows that a test gives, beside the run.
//!
//! A branch is named by its JSON pointer in the spec.

use std::collections::{BTreeMap, BTreeSet};

use engine_spec::diagnostic::child;
use engine_spec::model::{
    Action, FieldOptions, FieldSource, FutureCheck, IgnoreOrReject, Machines, OnStartWhileRunning, Spec, TextField,
    TimeField, TimeSource, Transform,
};

use super::build::Build;
use super::field::{Expression, Reader};
use super::{Mapper, Outcome};
use crate::canonical::{CanonicalRow, KeyForm};
use crate::derive::{as_interval, merge_series};
use crate::pairing::{Before, Booking, Interval, Rules, fold};
use crate::plan::Plan;
use crate::text::text_of;
use crate::time::{Instant, Shift, TimeErrorCode};
use crate::transform::Transforms;
use crate::value::{Cell, Columns, Row, RowBatch};

/// JSON pointers of branches.
pub type Branches = BTreeSet<String>;

/// Every branch of a spec: what a test can exercise.
pub fn branches(spec: &Spec, plan: &Plan) -> Branches {
    let mut all = Branches::new();
    for (pointer, options) in options_of(plan) {
        all.extend((0..options.transform.len()).map(|step| format!("{pointer}/transform/{step}")));
        all.extend((0..options.null_if.len()).map(|one| format!("{pointer}/null_if/{one}")));
        all.extend(options.map.into_iter().flat_map(BTreeMap::keys).map(|code| of_map(&pointer, code)));
        if options.map.is_some() {
            all.insert(format!("{pointer}/unmapped"));
        }
        if options.default.is_some() {
            all.insert(format!("{pointer}/default"));
        }
    }
    for (name, field) in plan.fields.times() {
        all.extend(field.options.on_gap.map(|_| of_clock(name, "on_gap")));
        all.extend(field.options.on_fold.map(|_| of_clock(name, "on_fold")));
    }
    match &spec.machines {
        Some(Machines::Inline(machines)) => all.extend(machines.keys().map(|code| of_machine(code))),
        // The file has its codes for all specs that name it.
        Some(Machines::File(_)) => _ = all.insert(MACHINES_FILE.to_owned()),
        None => {}
    }
    for (name, condition) in [("skip_when", &spec.skip_when), ("cancelled_when", &spec.cancelled_when)] {
        all.extend(condition.is_some().then(|| format!("/{name}")));
    }
    let checks = &spec.checks;
    let future = match checks.future {
        Some(FutureCheck::Action(action)) => Some(action),
        Some(FutureCheck::Tolerance(_)) => Some(Action::Reject),
        None => None,
    };
    for (name, action) in [
        ("end_before_start", checks.end_before_start),
        ("zero_length", checks.zero_length),
        ("future", future),
        ("overlap", checks.overlap),
        ("unknown_machine", checks.unknown_machine),
        ("duplicate_key", checks.duplicate_key),
    ] {
        // What is allowed leaves no trace.
        all.extend(action.filter(|action| *action != Action::Allow).map(|_| format!("/checks/{name}")));
    }
    if plan.is_paired() {
        all.extend(PAIRING.map(|(pointer, _)| pointer.to_owned()));
    }
    all.extend(plan.merge_gap.filter(|_| plan.is_folded()).map(|_| "/merge".to_owned()));
    all
}

/// The list of machines in a file, one branch whatever it holds.
const MACHINES_FILE: &str = "/machines/file";

type Strict = fn(Rules) -> Rules;

/// The rules of the pairing, each with the same rules but for this one, which refuses: its first refusal is at the
/// booking where the rule decides first.
const PAIRING: [(&str, Strict); 3] = [
    ("/pairing/on_start_while_running", |rules| Rules { on_start_while_running: OnStartWhileRunning::Reject, ..rules }),
    ("/pairing/duplicate_start", |rules| Rules { duplicate_start: IgnoreOrReject::Reject, ..rules }),
    ("/pairing/orphan_end", |rules| Rules { orphan_end: IgnoreOrReject::Reject, ..rules }),
];

/// The branches that rows take.
pub struct Trace<'a> {
    plan: &'a Plan,
    mapper: Mapper,
    fields: Vec<Field>,
    skip_when: Option<Expression>,
    cancelled_when: Option<Expression>,
    rows: Vec<CanonicalRow>,
    taken: Branches,
}

impl<'a> Trace<'a> {
    /// A pass over rows with these columns.
    pub fn new(plan: &'a Plan, columns: &Columns) -> Result<Self, Vec<String>> {
        let mapper = Mapper::new(plan, columns)?;
        let mut build = Build { columns, errors: Vec::new(), plan };
        let fields =
            options_of(plan).into_iter().filter_map(|(pointer, options)| build_field(&mut build, pointer, options));
        let fields = fields.collect();
        let skip_when = plan.skip_when.as_ref().and_then(|text| build.expression("skip_when", text));
        let cancelled_when = plan.cancelled_when.as_ref().and_then(|text| build.expression("cancelled_when", text));
        Ok(Self { plan, mapper, fields, skip_when, cancelled_when, rows: Vec::new(), taken: Branches::new() })
    }

    /// Takes rows in.
    pub fn batch(&mut self, batch: &RowBatch, now: Instant) {
        for row in batch.rows() {
            let mut canonical = CanonicalRow::default();
            let outcome = self.mapper.map(row, now, &mut canonical);
            self.row(row, outcome, &canonical);
            if outcome == Outcome::Row {
                self.rows.push(canonical);
            }
        }
    }

    /// The branches that were taken; `codes` are those of what the run of the same rows rejected and reported.
    pub fn finish<'b>(mut self, codes: impl Iterator<Item = &'b str>) -> Branches {
        self.taken.extend(codes.map(|code| format!("/checks/{code}")));
        if self.plan.is_folded() {
            self.derive();
        }
        self.taken
    }

    fn row(&mut self, row: Row<'_>, outcome: Outcome, canonical: &CanonicalRow) {
        if row.unreadable().is_some() {
            return;
        }
        let holds = |condition: &Option<Expression>| {
            condition.as_ref().is_some_and(|condition| condition.condition(row).unwrap_or(false))
        };
        if holds(&self.skip_when) {
            self.taken.insert("/skip_when".to_owned());
            return;
        }
        if holds(&self.cancelled_when) {
            self.taken.insert("/cancelled_when".to_owned());
            if outcome == Outcome::Cancelled && !self.plan.key.is_empty() {
                return;
            }
        }
        for field in &self.fields {
            field.trace(row, &mut self.taken);
        }
        if outcome != Outcome::Skipped {
            self.clock(row);
            self.machine(&canonical.details.machine_code);
        }
    }

    /// Whether a change of the clock lets `on_gap` or `on_fold` decide.
    fn clock(&mut self, row: Row<'_>) {
        let mut scratch = String::new();
        let mut start = None;
        for column in std::iter::once(&self.mapper.start).chain(&self.mapper.end) {
            let read = column.read(row, start, &mut scratch);
            let is_refused =
                |code: TimeErrorCode| read.as_ref().is_err_and(|rejection| rejection.code == code.as_str());
            let shifted = read.as_ref().ok().and_then(|value| value.as_ref()?.shifted);
            let name = column.path.trim_start_matches("fields.");
            if shifted == Some(Shift::Gap) || is_refused(TimeErrorCode::Gap) {
                self.taken.insert(of_clock(name, "on_gap"));
            }
            if shifted == Some(Shift::Fold) || is_refused(TimeErrorCode::Fold) {
                self.taken.insert(of_clock(name, "on_fold"));
            }
            start = read.ok().flatten().map(|value| value.instant);
        }
    }

    fn machine(&mut self, code: &str) {
        if self.plan.machines.as_ref().is_some_and(|machines| machines.contains_key(code)) {
            // A spec has one of the two.
            self.taken.extend([of_machine(code), MACHINES_FILE.to_owned()]);
        }
    }

    fn derive(&mut self) {
        let mut lanes: BTreeMap<&str, Vec<&CanonicalRow>> = BTreeMap::new();
        for row in &self.rows {
            lanes.entry(&row.details.machine_code).or_default().push(row);
        }
        for rows in lanes.values() {
            let parts = if self.plan.is_paired() {
                let bookings = bookings(rows);
                for (pointer, strict) in PAIRING {
                    let folded = fold(&bookings, Before::default(), strict(self.plan.pairing));
                    let decides = folded.refused.iter().any(|(_, refusal)| is_rule(pointer, refusal.rule()));
                    self.taken.extend(decides.then(|| pointer.to_owned()));
                }
                fold(&bookings, Before::default(), self.plan.pairing).runs
            } else {
                let mut parts: Vec<Interval<'_>> =
                    rows.iter().map(|row| as_interval(KeyForm::default().key(&row.key_text), row)).collect();
                parts.sort_by(Interval::order);
                parts
            };
            let count = parts.len();
            let joins = self.plan.merge_gap.is_some_and(|gap| merge_series(parts, gap).len() < count);
            self.taken.extend(joins.then(|| "/merge".to_owned()));
        }
    }
}

/// Whether a pointer is the place of a rule: `pairing.orphan_end`.
fn is_rule(pointer: &str, rule: &str) -> bool {
    pointer.strip_prefix('/').is_some_and(|path| path.replace('/', ".") == rule)
}

fn bookings<'r>(rows: &[&'r CanonicalRow]) -> Vec<Booking<'r>> {
    let keys = KeyForm::default();
    let mut bookings: Vec<Booking<'r>> =
        rows.iter().filter_map(|row| Booking::of(keys.key(&row.key_text), row)).collect();
    bookings.sort_by(Booking::order);
    bookings
}

/// What a field does to its text, whatever the field.
struct Options<'a> {
    from: &'a FieldSource,
    transform: &'a [Transform],
    null_if: Vec<String>,
    map: Option<&'a BTreeMap<String, String>>,
    default: Option<String>,
}

fn options_of(plan: &Plan) -> Vec<(String, Options<'_>)> {
    let fields = &plan.fields;
    let mut all: Vec<(String, Options<'_>)> =
        fields.texts().map(|(pointer, field)| (pointer, of_text(field))).collect();
    for (name, field) in fields.times() {
        of_time(&format!("/fields/{name}"), field, &mut all);
    }
    all
}

fn of_text(field: &TextField) -> Options<'_> {
    let FieldOptions { transform, map, unmapped: _, null_if, default } = &field.options;
    Options {
        from: &field.from,
        transform,
        null_if: null_if.iter().map(ToString::to_string).collect(),
        map: map.as_ref(),
        default: default.as_ref().map(ToString::to_string),
    }
}

fn of_time<'a>(pointer: &str, field: &'a TimeField, all: &mut Vec<(String, Options<'a>)>) {
    let nulls = |list: &[engine_spec::scalar::Scalar]| list.iter().map(ToString::to_string).collect();
    match &field.from {
        TimeSource::Whole(from) => {
            let options = &field.options;
            let default = options.default.as_ref().map(ToString::to_string);
            let null_if = nulls(&options.null_if);
            all.push((
                pointer.to_owned(),
                Options { from, transform: &options.transform, null_if, map: None, default },
            ));
        }
        TimeSource::Parts { date, time } => {
            for (name, part) in [("date", date), ("time", time)] {
                let null_if = nulls(&part.null_if);
                let options =
                    Options { from: &part.from, transform: &part.transform, null_if, map: None, default: None };
                all.push((format!("{pointer}/{name}"), options));
            }
        }
    }
}

fn of_map(pointer: &str, code: &str) -> String {
    child(&format!("{pointer}/map"), code)
}

fn of_clock(field: &str, policy: &str) -> String {
    format!("/fields/{field}/{policy}")
}

fn of_machine(code: &str) -> String {
    child("/machines", code)
}

struct Field {
    pointer: String,
    from: Reader,
    steps: Vec<Transforms>,
    null_if: Vec<String>,
    codes: Option<BTreeSet<String>>,
    has_default: bool,
}

fn build_field(build: &mut Build<'_>, pointer: String, options: Options<'_>) -> Option<Field> {
    let from = build.reader(&pointer, options.from)?;
    let steps = options.transform.iter().map(|step| Transforms::compile(std::slice::from_ref(step)).ok());
    Some(Field {
        from,
        steps: steps.collect::<Option<_>>()?,
        null_if: options.null_if,
        codes: options.map.map(|map| map.keys().cloned().collect()),
        has_default: options.default.is_some(),
        pointer,
    })
}

impl Field {
    fn trace(&self, row: Row<'_>, taken: &mut Branches) {
        let (mut text, mut scratch) = (String::new(), String::new());
        let Ok(cell) = self.from.cell(row, &mut text) else { return };
        let value = match cell {
            Cell::Text(text) => Some(text.to_owned()),
            cell => match text_of(cell, &mut scratch) {
                Ok(value) => value.map(str::to_owned),
                Err(_) => return,
            },
        };
        let mut value = self.unless_null(value, taken);
        for (place, step) in self.steps.iter().enumerate() {
            let Some(before) = value else { break };
            let after = step.apply(before.as_str()).map(std::borrow::Cow::into_owned);
            if after.as_ref() != Some(&before) {
                taken.insert(format!("{}/transform/{place}", self.pointer));
            }
            value = after;
        }
        if !self.steps.is_empty() {
            value = self.unless_null(value, taken);
        }
        match (value, &self.codes) {
            (Some(code), Some(codes)) if codes.contains(&code) => _ = taken.insert(of_map(&self.pointer, &code)),
            (Some(_), Some(_)) => _ = taken.insert(format!("{}/unmapped", self.pointer)),
            (None, _) if self.has_default => _ = taken.insert(format!("{}/default", self.pointer)),
            _ => {}
        }
    }

    fn unless_null(&self, value: Option<String>, taken: &mut Branches) -> Option<String> {
        let place = value.as_ref().and_then(|value| self.null_if.iter().position(|null| null == value));
        match place {
            Some(place) => {
                taken.insert(format!("{}/null_if/{place}", self.pointer));
                None
            }
            None => value,
        }
    }
}
