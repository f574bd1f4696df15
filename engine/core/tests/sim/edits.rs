//! What happens to the source.

use std::collections::BTreeMap;

use engine_spec::model::Action;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::plant::{Table, at, booking, order, row, time};
use crate::random::Random;
use crate::setup::{Reads, Setup};

/// Ids that a table has at first, and those that edits take.
const IDS: i64 = 14;
/// Rows that are always there: an empty result would pull the brake, as it should.
const STEADY: i64 = 16;
/// Minutes within which most things happen, so that they meet.
const DENSE: i64 = 60;
/// Minutes back to which a table is edited that is read through a window that moves on.
const RECENT: i64 = 120;
/// Minutes at most between a change and the time that it carries: less than the overlap of a cursor.
const LAG: i64 = 9;

type Cells = BTreeMap<String, Value>;

/// The table at the beginning; `now` in minutes.
pub fn fill(random: &mut Random, setup: &Setup, table: &mut Table, now: i64) {
    for id in 0..STEADY {
        let minute = id * 10;
        let cells = if setup.bookings {
            booking(500 + id, "S", "M9", "A", minute)
        } else {
            order(500 + id, "S", "M9", minute, Some(minute + 5))
        };
        table.rows.push(stamped(row(&cells), 0));
    }
    for _ in 0..random.below(10) {
        let minute = if setup.reads == Reads::Slices { random.below(now) } else { random.below(DENSE) };
        let id = 1 + random.below(IDS);
        table.rows.retain(|row| row["id"] != id);
        table.rows.push(stamped(drawn(random, setup, id, minute), 0));
    }
}

/// One edit; says what it was.
pub fn edit(random: &mut Random, setup: &Setup, table: &mut Table, now: i64) -> String {
    let recent = setup.reads == Reads::Slices;
    let minute = match (recent, random.below(20)) {
        (true, _) => now - random.below(RECENT),
        (false, 0) => now + 1 + random.below(DENSE),
        (false, 1..=4) => now - random.below(RECENT),
        (false, _) => random.below(DENSE),
    };
    let stamp = now - random.below(LAG);
    let id = 1 + random.below(IDS);
    let place = table.rows.iter().position(|row| row["id"] == id);
    let editable = place.filter(|place| !recent || is_recent(setup, &table.rows[*place], now));
    // What a slice of the first fill refuses is not read again.
    let spoilable = |place: usize| !recent || minute_of(&table.rows[place], column(setup)).unwrap() >= now - RECENT;
    let free = table.rows.iter().filter_map(|row| row["id"].as_i64()).max().unwrap_or_default() + 1;
    match (editable, random.below(20)) {
        (Some(place), 0..=1) if setup.reads != Reads::Cursor => {
            table.rows.remove(place);
            format!("delete {id}")
        }
        (Some(place), 2..=3) => {
            change(&mut table.rows[place], "st", json!("X"), stamp);
            format!("storno {id}")
        }
        (Some(place), 4) if spoilable(place) => {
            let spoilt = if setup.bookings { ("kenn", json!("?")) } else { ("anr", Value::Null) };
            change(&mut table.rows[place], spoilt.0, spoilt.1, stamp);
            format!("spoil {id}")
        }
        (Some(place), 5) if setup.reads != Reads::Cursor && spoilable(place) => {
            let mut second = table.rows[place].clone();
            second.insert("art".to_owned(), json!("Q"));
            table.rows.insert(usize::try_from(random.below(table.rows.len() as i64)).unwrap(), second);
            format!("a second {id}")
        }
        (Some(place), 6..=7) => {
            let art = random.pick(&["P", "Q"]);
            change(&mut table.rows[place], "art", json!(art), stamp);
            format!("correct {id}: article {art}")
        }
        (Some(place), 8..=10) if !setup.bookings => {
            let start = minute_of(&table.rows[place], "von").unwrap();
            // With a window that moves on, an order that ended long ago is a matter of the past.
            let end = if recent { now - random.below(10) } else { start + 1 + random.below(20) };
            let end = end.max(start + 1);
            change(&mut table.rows[place], "bis", json!(time(end)), stamp);
            format!("end {id} at {end}")
        }
        (Some(place), 11) if !setup.bookings && !recent => {
            change(&mut table.rows[place], "bis", json!(time(minute + 1)), stamp);
            table.rows.push(stamped(drawn(random, setup, free, minute + 1), stamp));
            format!("split {id}, {free}")
        }
        (Some(place), _) => {
            let kept = table.rows[place].clone();
            let minute = if recent && kept.get("bis").is_some_and(Value::is_null) { now } else { minute };
            table.rows[place] = stamped(drawn(random, setup, id, minute), stamp);
            format!("put {id} at {minute}")
        }
        (None, _) => {
            let id = if place.is_some() { free } else { id };
            table.rows.push(stamped(drawn(random, setup, id, minute), stamp));
            format!("insert {id} at {minute}")
        }
    }
}

/// What was wrong with the rows is put right, so that all of them can be delivered.
pub fn repair(setup: &Setup, table: &mut Table, now: i64) {
    let mut seen = std::collections::BTreeSet::new();
    table.rows.retain(|row| seen.insert(row["id"].as_i64()));
    for cells in &mut table.rows {
        if setup.reads == Reads::Cursor {
            // A row that was refused is read again when it comes again.
            cells.insert("geaendert".to_owned(), json!(time(now)));
        }
        if cells["anr"].is_null() {
            change(cells, "anr", json!("A"), now);
        }
        if let (Some(start), Some(end)) = (minute_of(cells, "von"), minute_of(cells, "bis"))
            && end <= start
        {
            change(cells, "bis", json!(time(start + 1)), now);
        }
        if cells.get("kenn").is_some_and(|kenn| kenn == "?") {
            change(cells, "kenn", json!("A"), now);
        }
    }
}

fn is_recent(setup: &Setup, cells: &Cells, now: i64) -> bool {
    // A run that a check refused is not watched: it is a matter of the past when it leaves the window.
    let watched = !setup.bookings && setup.plans[0].checks.overlap != Action::Reject;
    let live = watched && cells["bis"].is_null() && cells["anr"].is_string() && cells["st"].is_null();
    live || minute_of(cells, column(setup)).unwrap() >= now - RECENT
}

/// The column that the window is about.
fn column(setup: &Setup) -> &'static str {
    if setup.bookings { "ts" } else { "von" }
}

fn minute_of(cells: &Cells, column: &str) -> Option<i64> {
    let time: Timestamp = cells.get(column)?.as_str()?.parse().ok()?;
    Some(time.duration_since(at(0)).as_mins())
}

fn drawn(random: &mut Random, setup: &Setup, id: i64, minute: i64) -> Cells {
    let (code, machine) = (random.pick(&["A", "B", "C"]), random.pick(&["M1", "M2"]));
    let cells = if setup.bookings {
        booking(id, code, machine, random.pick(&["A", "E"]), minute)
    } else {
        let end = random.percent(75).then(|| minute + 1 + random.below(25));
        order(id, code, machine, minute, end)
    };
    row(&cells)
}

fn stamped(mut cells: Cells, stamp: i64) -> Cells {
    cells.entry("st".to_owned()).or_insert(Value::Null);
    cells.insert("geaendert".to_owned(), json!(time(stamp)));
    cells
}

fn change(cells: &mut Cells, column: &str, value: Value, stamp: i64) {
    cells.insert(column.to_owned(), value);
    cells.insert("geaendert".to_owned(), json!(time(stamp)));
}
