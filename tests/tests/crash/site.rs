//! A plant with a real PostgreSQL that changes all the time, a platform, and two pipelines between them: orders, and
//! bookings that are folded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Child;
use std::time::{Duration, Instant};

use engine_tests::binary::{Running, Workspace};
use engine_tests::dialects::{POSTGRES, spec};
use engine_tests::plant;
use engine_tests::platform::{Platform, Request};
use engine_tests::promises::{self, Tally};
use engine_tests::servers::{self, Server};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::ledger;

/// Orders at the beginning.
const ORDERS: i64 = 200;
/// Bookings at the beginning.
const BOOKINGS: i64 = 120;
/// Machines of the bookings.
const MACHINES: i64 = 3;
/// Minutes over which orders and bookings are spread: they stay within the window, however long a test takes.
const MINUTES: i64 = 3 * 24 * 60;
/// Longest pause between two changes of the source, in milliseconds.
const CHANGE_PAUSE_MAX: u64 = 30;

/// Runs both pipelines once.
pub const ONCE: [&str; 3] = ["run", "--once", "specs/"];
/// Runs both pipelines as a service, every second.
pub const SERVICE: [&str; 2] = ["run", "specs/"];
/// Time-outs, where a test cannot wait for those of every day.
pub const HASTY: &str = "1s";

pub struct Site {
    pub server: Server,
    pub platform: Platform,
    pub workspace: Workspace,
    /// The first day of the plant's rows, as a literal.
    base: String,
    /// What the pipeline of orders reads.
    pub orders_from: &'static str,
    /// Changes so far. Every change writes its number, so that no record ever becomes again what it was.
    step: i64,
    client: Option<Child>,
}

impl Site {
    pub fn new() -> Self {
        let server = servers::postgres();
        let first = "SELECT (date_trunc('day', now() AT TIME ZONE 'Europe/Berlin') - interval '4 days')::text";
        let base = format!("timestamp '{}'", server.execute(first).trim());
        server.execute(POSTGRES.table);
        server.execute(
            "CREATE TABLE buchung (id bigint PRIMARY KEY, anr varchar(20), artnr varchar(20), mnr char(8), kenn char(1),
             zeit timestamp)",
        );
        let mut workspace = Workspace::new();
        workspace.env("DB_PASSWORD", &server.password);
        let mut site = Self {
            server,
            platform: Platform::start(),
            workspace,
            base,
            orders_from: "auftrag",
            step: 0,
            client: None,
        };
        site.orders(1..ORDERS + 1);
        site.server.execute(&format!(
            "INSERT INTO buchung SELECT id, id / 2, 'p', 'M' || id / 2 % {MACHINES},
             CASE id % 2 WHEN 0 THEN 'A' ELSE 'E' END, {} + interval '1 minute' * (id * 31 % {MINUTES})
             FROM generate_series(0, {BOOKINGS} - 1) AS n (id)",
            site.base
        ));
        site.specs(site.server.port, &site.platform.url(), None);
        site
    }

    /// Records that the rows of the beginning make.
    pub fn records(&self) -> usize {
        self.fresh().len()
    }

    /// Writes orders at once.
    pub fn orders(&mut self, ids: std::ops::Range<i64>) {
        let at = format!("{} + interval '1 minute' * (id * 17 % {MINUTES})", self.base);
        self.server.execute(&format!(
            "INSERT INTO auftrag SELECT id, 4711000 + id, '25-1002', 'M' || id % 5, {at}, {at}, id, {at}
             FROM generate_series({}, {} - 1) AS n (id)",
            ids.start, ids.end
        ));
    }

    /// Writes the specs: where the source and the platform are, and all time-outs where they are not the usual ones.
    pub fn specs(&self, port: u16, url: &str, timeout: Option<&str>) {
        for (name, spec) in self.pipelines(port, url, timeout) {
            self.workspace.spec(&format!("specs/{name}.yaml"), &spec);
        }
    }

    fn pipelines(&self, port: u16, url: &str, timeout: Option<&str>) -> [(&'static str, Value); 2] {
        let destination = plant::to_url(url);
        let mut orders = spec(&POSTGRES, &self.server, port, &destination);
        let query = orders["query"]["sql"].as_str().expect("a query").replace("auftrag", self.orders_from);
        orders["query"]["sql"] = query.into();
        let mut bookings = plant::bookings("folds", &destination);
        bookings["source"] = orders["source"].clone();
        orders["destination"]["batch"] = json!({ "max_records": 20 });
        bookings["destination"]["batch"] = json!({ "max_records": 5 });
        for spec in [&mut orders, &mut bookings] {
            spec["sync"] = json!({ "delete_limit": "100%" });
            spec["schedule"] = json!({ "every": "1s" });
            if let Some(timeout) = timeout {
                for side in ["source", "destination"] {
                    spec[side]["timeouts"] = json!({ "connect": timeout, "query": timeout });
                }
            }
        }
        [("acme", orders), ("folds", bookings)]
    }

    /// Changes the source in one of the ways in which plants change: new rows, late ones, corrections, removals.
    pub fn change(&mut self, random: &mut fastrand::Rng) {
        self.step += 1;
        let (step, base) = (self.step, &self.base);
        let id = 100_000 + step;
        let minute = random.i64(0..MINUTES);
        let at = format!("{base} + interval '{minute} minutes'");
        let machine = random.i64(0..MACHINES);
        let order = format!(
            "INSERT INTO auftrag VALUES ({id}, 'A{step}', 'p', 'M{machine}', {at}, {at} + interval '9 minutes', {step}, {at})"
        );
        let booking = random.i64(0..BOOKINGS);
        // A booking that goes gives its neighbours back what they were: a mark keeps even that apart.
        let mark =
            format!("UPDATE buchung SET artnr = 'p{step}' WHERE mnr = (SELECT mnr FROM buchung WHERE id = {booking})");
        let sql = match random.u32(0..8) {
            0 | 1 => order,
            // A quantity that no order had: one that comes back to what it was is sent again, and rightly.
            2 => format!("UPDATE auftrag SET menge = 1000000 + {step} WHERE id % 41 = {step} % 41"),
            3 => format!("DELETE FROM auftrag WHERE id = {}", random.i64(1..ORDERS)),
            4 => format!("BEGIN; {order}; SELECT pg_sleep(0.{:03}); COMMIT", random.u32(0..200)),
            5 => format!(
                "INSERT INTO buchung VALUES ({id}, 'B{step}', 'p{step}', 'M{machine}', 'A', {at}),
                 (-{id}, 'B{step}', 'p{step}', 'M{machine}', 'E', {at} + interval '7 minutes')"
            ),
            6 => format!("BEGIN; {mark}; UPDATE buchung SET zeit = {at} WHERE id = {booking}; COMMIT"),
            _ => format!("BEGIN; {mark}; DELETE FROM buchung WHERE id = {booking}; COMMIT"),
        };
        let client = self.client.get_or_insert_with(|| self.server.client());
        let stdin = client.stdin.as_mut().expect("stdin is piped");
        // A server that was stopped ends its clients: this change is not made, and the next one has a client of its own.
        if writeln!(stdin, "{sql};").is_err() {
            self.rest();
        }
    }

    /// Changes the source for a while. `false` where the program ended before that.
    pub fn change_for(&mut self, time: Duration, running: &mut Running, random: &mut fastrand::Rng) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if running.has_ended() {
                return false;
            }
            self.change(random);
            std::thread::sleep(Duration::from_millis(random.u64(0..CHANGE_PAUSE_MAX)));
        }
        true
    }

    /// Waits until all changes are made.
    pub fn rest(&mut self) {
        if let Some(mut client) = self.client.take() {
            // It ends with its input.
            drop(client.stdin.take());
            client.wait().expect("a child can be waited for");
        }
    }

    /// Stops the service, and expects that it was well enough to stop in good order.
    pub fn stop(&self, running: Running) {
        running.signal("TERM");
        running.finish().expect(0);
    }

    /// Makes one undisturbed run, and counts how the platform differs from one that was never disturbed, and what was
    /// sent again for nothing. Reports it, and expects that there is neither.
    #[track_caller]
    pub fn conclude(&mut self, promise: &str, test: &str, histories: u64, faults: u64, duplicates: u64) {
        self.rest();
        self.platform.calm().await_idle();
        self.specs(self.server.port, &self.platform.url(), None);
        self.workspace.engine(&ONCE).expect(0);
        let losses = differences(&self.platform.state(), &self.fresh());
        let before = self.platform.requests().len();
        self.workspace.engine(&ONCE).expect(0);
        let left_over: usize = self.platform.requests()[before..].iter().map(|request| request.ids().len()).sum();
        let again = sent_again(&self.platform);
        let duplicates = duplicates + (again.len() + left_over) as u64;
        promises::kept(promise, test, Tally { histories, faults, losses, duplicates });
        assert_eq!((losses, duplicates), (0, 0), "lost or wrong, and sent for nothing: {again:?} and {left_over} more");
        self.platform.assert_contract();
    }

    /// What a platform has after one run with a state of its own.
    #[track_caller]
    fn fresh(&self) -> BTreeMap<String, Value> {
        let (mut workspace, platform) = (Workspace::new(), Platform::start());
        workspace.env("DB_PASSWORD", &self.server.password);
        for (name, spec) in self.pipelines(self.server.port, &platform.url(), None) {
            workspace.spec(&format!("specs/{name}.yaml"), &spec);
        }
        workspace.engine(&ONCE).expect(0);
        platform.state()
    }
}

/// Records that only one of them has, or that they have differently.
pub fn differences(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> u64 {
    let ids: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    ids.into_iter().filter(|id| one.get(*id) != other.get(*id)).count() as u64
}

/// Records that came again, unchanged, after they were settled.
///
/// The oldest record of the outbox goes first, in parcels of one size. A parcel of the same pipeline that came in
/// between and did not hold the record therefore says that it had left the outbox. Each has the number of its delivery.
pub fn sent_again(platform: &Platform) -> Vec<(usize, String)> {
    let requests = platform.requests();
    let was_settled = |(number, id): &(usize, String)| {
        let pipeline = &requests[*number].body["pipeline"];
        let of_pipeline = |one: &&Request| one.body["pipeline"] == *pipeline;
        let before = requests[..*number].iter().rev().filter(of_pipeline);
        before.take_while(|one| !one.ids().contains(id)).next().is_some()
    };
    platform.doubled().into_iter().filter(was_settled).collect()
}

/// Looks into the state that a process left, without touching it: it must be whole. The ids that wait in the outbox.
#[track_caller]
pub fn outbox_of_the_dead(workspace: &Workspace) -> BTreeSet<String> {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for name in ["state.db", "state.db-wal"] {
        let from = workspace.path(".engine").join(name);
        if from.is_file() {
            std::fs::copy(from, copy.path().join(name)).expect("a file can be copied");
        }
    }
    let file = copy.path().join("state.db");
    if !file.is_file() {
        return BTreeSet::new();
    }
    let state = Connection::open(file).expect("the state opens");
    let sound = state.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(sound.as_deref(), Ok("ok"));
    ledger::waiting(&state).expect("the outbox can be read").into_iter().map(|(id, _)| id).collect()
}
