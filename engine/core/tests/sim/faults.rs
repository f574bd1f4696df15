//! What can go wrong, where, and how often it did.

use std::collections::BTreeMap;

use crate::random::Random;

/// What happens at a call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The call fails, and nothing happens.
    Fails,
    /// It happens, and fails all the same.
    FailsBehind,
    /// The process ends before it.
    Crash,
    /// The process ends behind it.
    CrashBehind,
    /// Somebody asks the process to stop.
    Cancel,
    /// The store writes nothing for a while.
    DiskFull,
    /// The driver panics.
    Panic,
    /// The other half of the service is at work meanwhile, or the source changes.
    Meanwhile,
    /// The engine stands still; another takes over.
    Takeover,
    /// The source has nothing, and no error.
    Empty,
    /// The answer ends early, and no error.
    Truncated,
    /// The server is another one.
    Repointed,
    /// The request is lost.
    Lost,
    /// It is applied, and its answer is lost.
    AnswerLost,
    /// It arrives twice.
    Twice,
    /// It arrives after the engine gave up.
    Late,
    /// 429, or 503 with and without a time to wait.
    Busy,
    /// 400 for the whole parcel, once.
    Invalid,
    /// 413.
    TooLarge,
    /// 401.
    Refused,
    /// One record of it is refused.
    Partly,
}

/// Calls of the store that a run makes outside of a transaction.
const RUN: [&str; 7] = ["load", "counts", "entries", "look_up", "live_before", "quarantined", "begin"];
/// Calls within a transaction.
const TRANSACTION: [&str; 16] = [
    "row",
    "put_row",
    "delete_row",
    "lane_rows",
    "record",
    "put_record",
    "delete_record",
    "lane_records",
    "lane_spans",
    "lane_begins_before",
    "enqueue",
    "release",
    "replace_lane_quarantine",
    "heal_rows",
    "replace_row_quarantine",
    "put_state",
];
/// Calls of the store that a delivery makes.
const DELIVERY: [&str; 4] = ["delivery", "claim", "settle", "requeue_refused"];
/// Calls of the source.
const SOURCE: [&str; 3] = ["open", "ask", "next"];

/// Whether a call writes: it fails on a full disk, and where another engine has the pipeline.
pub fn writes(site: &str) -> bool {
    matches!(
        site,
        "put_row"
            | "delete_row"
            | "put_record"
            | "delete_record"
            | "enqueue"
            | "release"
            | "replace_lane_quarantine"
            | "heal_rows"
            | "replace_row_quarantine"
            | "put_state"
            | "commit"
            | "settle"
            | "requeue_refused"
    )
}

/// Whether a fault can happen at a call.
pub fn fits(fault: Fault, site: &str) -> bool {
    use Fault::*;
    let in_transaction = site == "commit" || TRANSACTION.contains(&site);
    match fault {
        Crash | Cancel => true,
        CrashBehind => site != "open",
        Fails => site != "send",
        FailsBehind => matches!(site, "commit" | "settle" | "requeue_refused"),
        DiskFull => writes(site),
        Panic => site == "send" || SOURCE.contains(&site),
        Meanwhile | Takeover => !in_transaction,
        Empty => site == "ask",
        Truncated => site == "next",
        Repointed => site == "open",
        Lost | AnswerLost | Twice | Late | Busy | Invalid | TooLarge | Refused | Partly => site == "send",
    }
}

const EVERYWHERE: [Fault; 8] = [
    Fault::Fails,
    Fault::FailsBehind,
    Fault::Crash,
    Fault::CrashBehind,
    Fault::Cancel,
    Fault::DiskFull,
    Fault::Meanwhile,
    Fault::Takeover,
];
const AT_SOURCES: [Fault; 4] = [Fault::Panic, Fault::Empty, Fault::Truncated, Fault::Repointed];
const AT_DESTINATIONS: [Fault; 10] = [
    Fault::Panic,
    Fault::Lost,
    Fault::AnswerLost,
    Fault::Twice,
    Fault::Late,
    Fault::Busy,
    Fault::Invalid,
    Fault::TooLarge,
    Fault::Refused,
    Fault::Partly,
];

/// A fault that waits for its call.
#[derive(Debug, Clone, Copy)]
pub struct Armed {
    pub fault: Fault,
    /// The call; none for any that it fits.
    site: Option<&'static str>,
    /// Calls that go through before.
    left: i64,
}

impl Armed {
    /// Something for a run.
    pub fn for_run(random: &mut Random) -> Self {
        let fault = if random.percent(75) { random.pick(&EVERYWHERE) } else { random.pick(&AT_SOURCES) };
        let all = || RUN.into_iter().chain(TRANSACTION).chain(SOURCE).chain(["commit"]);
        Self::draw(random, fault, all().collect())
    }

    /// Something for a delivery.
    pub fn for_delivery(random: &mut Random) -> Self {
        let fault = if random.percent(45) { random.pick(&EVERYWHERE) } else { random.pick(&AT_DESTINATIONS) };
        Self::draw(random, fault, DELIVERY.into_iter().chain(["send"]).collect())
    }

    fn draw(random: &mut Random, fault: Fault, mut sites: Vec<&'static str>) -> Self {
        sites.retain(|site| fits(fault, site));
        if sites.is_empty() || random.percent(30) {
            return Self { fault, site: None, left: random.below(40) };
        }
        Self { fault, site: Some(random.pick(&sites)), left: random.weighted(&[(6, 0), (3, 1), (2, 2), (1, 5)]) }
    }

    /// Whether it is its turn.
    pub fn is_due(&mut self, site: &str) -> bool {
        if !fits(self.fault, site) || self.site.is_some_and(|own| own != site) {
            return false;
        }
        self.left -= 1;
        self.left < 0
    }
}

/// How often what happened where.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    pub calls: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<(&'static str, Fault), u64>,
}

impl Coverage {
    /// Adds what another history met.
    pub fn add(&mut self, other: &Self) {
        for (site, count) in &other.calls {
            *self.calls.entry(site).or_default() += count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }

    /// Every fault at every call that it fits, with how often it happened.
    pub fn by_call(&self) -> impl Iterator<Item = (&'static str, Fault, u64)> {
        let sites = || RUN.into_iter().chain(TRANSACTION).chain(DELIVERY).chain(SOURCE).chain(["commit", "send"]);
        let faults = || EVERYWHERE.into_iter().chain(AT_SOURCES).chain(AT_DESTINATIONS);
        sites().flat_map(move |site| {
            faults()
                .filter(move |fault| fits(*fault, site))
                .map(move |fault| (site, fault, self.faults.get(&(site, fault)).copied().unwrap_or_default()))
        })
    }
}
