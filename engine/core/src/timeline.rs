//! Runs on a line of time, machine by machine: what runs beside what, where nothing runs, and what runs still.
//!
//! All of it is a function of the runs, an instant and a zone; what it looks like is for others to say.

mod days;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use self::days::{Day, day_start, days, ticks};

/// How far beyond now, or beyond the last start, time is drawn: many systems write an end in the year 9999 for a run
/// that goes on.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// One run to be laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// The machine.
    pub machine: String,
    /// Its start.
    pub start: Timestamp,
    /// Its end; `None` while it runs.
    pub end: Option<Timestamp>,
    /// What it is called: the order. Empty where that is not known.
    pub label: String,
    /// What it belongs to: the product. Bars of one group look alike. Empty where that is not known.
    pub group: String,
}

/// How much is laid out at most; the rest is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Machines.
    pub machines: usize,
    /// Runs, the latest.
    pub runs: usize,
    /// Days, the latest.
    pub days: u16,
}

/// Runs on a line of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Where the line begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
    /// The instant up to which live runs are drawn.
    pub now: Timestamp,
    /// The local days that it touches.
    pub days: Vec<Day>,
    /// The machines, in the order in which people count.
    pub machines: Vec<Machine>,
    /// What is not on it.
    pub left_out: LeftOut,
}

/// What a time-line leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Machines beyond the limit.
    pub machines: usize,
    /// Runs that ended before the line begins.
    pub earlier: usize,
    /// Runs beyond the limit, the earliest of the line.
    pub runs: usize,
}

/// What one machine did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The machine.
    pub name: String,
    /// Its runs, so that none in a lane overlaps another of the lane.
    pub lanes: Vec<Vec<Placed>>,
    /// Times in which several runs ran at once.
    pub overlaps: Vec<Overlap>,
    /// Times between its runs in which none ran.
    pub gaps: Vec<Gap>,
}

impl Machine {
    /// Runs that go on, by the order in which they began.
    pub fn live(&self) -> Vec<&Placed> {
        let mut live: Vec<&Placed> = self.lanes.iter().flatten().filter(|run| run.live).collect();
        live.sort_by_key(|run| run.start);
        live
    }
}

/// A run in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// Its start.
    pub start: Timestamp,
    /// Its end; of a live run, now.
    pub end: Timestamp,
    /// Whether it runs still.
    pub live: bool,
    /// The order.
    pub label: String,
    /// The product.
    pub group: String,
}

/// A time in which several runs of a machine ran at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// Where it begins.
    pub start: Timestamp,
    /// Where it ends.
    pub end: Timestamp,
    /// The runs, by start.
    pub runs: Vec<String>,
}

/// A time in which nothing ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Where it begins.
    pub start: Timestamp,
    /// Where it ends.
    pub end: Timestamp,
}

impl Gap {
    /// How long it is.
    pub fn length(&self) -> SignedDuration {
        self.end.duration_since(self.start)
    }
}

/// Lays runs out; `None` where there are none. The order in which they come does not matter.
pub fn lay_out(bars: &[Bar], now: Timestamp, zone: &TimeZone, limits: Limits) -> Option<Timeline> {
    let ends = |bar: &Bar| bar.end.unwrap_or(now).max(bar.start);
    let first = bars.iter().map(|bar| bar.start).min()?;
    let last_start = bars.iter().map(|bar| bar.start).max()?;
    let last_end = bars.iter().map(ends).max()?;
    let horizon = now.max(last_start).saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    let to = last_end.min(horizon);
    let from = first.max(day_start(to, zone, limits.days.saturating_sub(1)));
    let mut left_out = LeftOut::default();
    let mut machines: BTreeMap<Natural<'_>, Vec<Placed>> = BTreeMap::new();
    for bar in bars {
        if ends(bar) < from {
            left_out.earlier += 1;
            continue;
        }
        machines.entry(Natural(&bar.machine)).or_default().push(Placed {
            start: bar.start,
            end: ends(bar),
            live: bar.end.is_none(),
            label: bar.label.clone(),
            group: bar.group.clone(),
        });
    }
    left_out.machines = machines.len().saturating_sub(limits.machines);
    let mut machines: Vec<Machine> =
        machines.into_iter().take(limits.machines).map(|(name, runs)| machine(name.0, runs)).collect();
    left_out.runs = keep_the_latest(&mut machines, limits.runs);
    // An instant has no length that could be drawn.
    let to = if from < to { to } else { from.saturating_add(SignedDuration::from_hours(1)).unwrap_or(to) };
    Some(Timeline { from, to, now, days: days(from, to, zone), machines, left_out })
}

fn machine(name: &str, mut runs: Vec<Placed>) -> Machine {
    runs.sort_by(|one, other| {
        let order = |run: &Placed| (run.start, run.end, run.live);
        order(one).cmp(&order(other)).then_with(|| (&one.label, &one.group).cmp(&(&other.label, &other.group)))
    });
    let (overlaps, gaps) = (overlaps(&runs), gaps(&runs));
    let mut lanes: Vec<Vec<Placed>> = Vec::new();
    let mut free: BTreeSet<usize> = BTreeSet::new();
    let mut busy: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    for run in runs {
        while let Some(Reverse((_, lane))) = busy.peek().filter(|Reverse((end, _))| *end <= run.start) {
            free.insert(*lane);
            busy.pop();
        }
        let lane = free.pop_first().unwrap_or(lanes.len());
        busy.push(Reverse((run.end, lane)));
        match lanes.get_mut(lane) {
            Some(runs) => runs.push(run),
            None => lanes.push(vec![run]),
        }
    }
    Machine { name: name.to_owned(), lanes, overlaps, gaps }
}

/// Stretches of time in which two runs or more ran, from runs sorted by start.
fn overlaps(runs: &[Placed]) -> Vec<Overlap> {
    // At one moment, ends come before starts: runs that touch do not overlap.
    let mut changes: Vec<(Timestamp, bool, usize)> = runs
        .iter()
        .enumerate()
        .filter(|(_, run)| run.start < run.end)
        .flat_map(|(place, run)| [(run.start, true, place), (run.end, false, place)])
        .collect();
    changes.sort_unstable();
    let mut found = Vec::new();
    let mut running: BTreeSet<usize> = BTreeSet::new();
    let mut open: Option<(Timestamp, BTreeSet<usize>)> = None;
    for moment in changes.chunk_by(|one, other| one.0 == other.0) {
        for (_, starts, place) in moment {
            if *starts {
                running.insert(*place);
                open.iter_mut().for_each(|(_, members)| _ = members.insert(*place));
            } else {
                running.remove(place);
            }
        }
        let at = moment[0].0;
        if running.len() > 1 {
            open.get_or_insert_with(|| (at, running.clone()));
        } else if let Some((start, members)) = open.take() {
            // Who starts as the overlap ends has no part in it.
            let members = members.into_iter().filter(|place| runs[*place].start < at);
            found.push(Overlap { start, end: at, runs: members.map(|place| runs[place].label.clone()).collect() });
        }
    }
    found
}

/// Stretches between runs in which none ran, from runs sorted by start.
fn gaps(runs: &[Placed]) -> Vec<Gap> {
    let mut found = Vec::new();
    let mut reach: Option<Timestamp> = None;
    for run in runs {
        if let Some(reach) = reach.filter(|reach| *reach < run.start) {
            found.push(Gap { start: reach, end: run.start });
        }
        reach = Some(reach.map_or(run.end, |reach| reach.max(run.end)));
    }
    found
}

/// Drops the earliest runs beyond a number; how many these were.
fn keep_the_latest(machines: &mut [Machine], runs_max: usize) -> usize {
    let mut starts: Vec<Timestamp> =
        machines.iter().flat_map(|machine| &machine.lanes).flatten().map(|run| run.start).collect();
    starts.sort_unstable();
    let too_many = starts.len().saturating_sub(runs_max);
    let first_kept = starts.get(too_many).copied().unwrap_or(Timestamp::MAX);
    // Of those that begin with the first that is kept, as many go as must.
    let mut ties = too_many - starts.partition_point(|start| *start < first_kept).min(too_many);
    for lane in machines.iter_mut().flat_map(|machine| &mut machine.lanes) {
        lane.retain(|run| {
            let is_tie = run.start == first_kept && ties > 0;
            ties -= usize::from(is_tie);
            run.start >= first_kept && !is_tie
        });
    }
    too_many
}

/// A name that sorts as people count: `M2` before `M10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Natural<'a>(&'a str);

impl Ord for Natural<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut one, mut two) = (self.0, other.0);
        loop {
            let (digits, others) = (number(one), number(two));
            let order = match (digits.is_empty(), others.is_empty()) {
                (false, false) => {
                    let (mine, theirs) = (digits.trim_start_matches('0'), others.trim_start_matches('0'));
                    one = &one[digits.len()..];
                    two = &two[others.len()..];
                    mine.len().cmp(&theirs.len()).then_with(|| mine.cmp(theirs))
                }
                _ => {
                    let (mine, theirs) = (one.chars().next(), two.chars().next());
                    if mine.is_none() && theirs.is_none() {
                        // `M01` and `M1` are two machines.
                        return self.0.cmp(other.0);
                    }
                    one = &one[mine.map_or(0, char::len_utf8)..];
                    two = &two[theirs.map_or(0, char::len_utf8)..];
                    mine.cmp(&theirs)
                }
            };
            if order.is_ne() {
                return order;
            }
        }
    }
}

impl PartialOrd for Natural<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The digits at the beginning of a text.
fn number(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

#[cfg(test)]
mod tests;
