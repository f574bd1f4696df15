//! Rows of a plant, the same every time, and the plans that read them.

use std::path::Path;
use std::time::Duration;

use engine_core::backfill::Slice;
use engine_core::plan::{Plan, PlanInput};
use engine_core::ports::{
    Answer, Ask, Cancel, Clock, Destination, Fetched, Parcel, References, Source, SourceError, SourceIdentity,
};
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use engine_spec::scalar::Reference;
use engine_spec::{NoCompanions, load};
use jiff::Timestamp;
use secrecy::SecretString;

/// Machines of the plant.
pub const MACHINES: usize = 120;
/// Seconds from booking to booking.
const STEP_SECONDS: i64 = 15;
/// 2024-01-01T00:00:00 on the local clock, in seconds since 1970.
const FIRST_SECOND: i64 = 1_704_067_200;

const BOOKINGS: &str = "version: 1
id: bench
source: { type: sqlite, path: plant.db, timezone: Europe/Berlin }
table: booking
query:
  sql: >
    SELECT id, order_code, product_code, machine_code, event, booked_at, quantity FROM booking
    WHERE booked_at >= {{ window.start }} AND booked_at < {{ window.end }}
key: [id]
fields:
  timestamp: booked_at
  order_code: { column: order_code, transform: [trim, { strip_leading: \"0\" }] }
  product_code: product_code
  machine_code: machine_code
  event: { column: event, map: { S: START, R: START, P: END, E: END }, unmapped: reject }
  quantity_yield: quantity
  attributes: { id: id }
sync: { lookback: 30d }
destination: { type: stdout }
";

const TEXT_TIMES: &str = "version: 1
id: bench
source: { type: sqlite, path: plant.db, timezone: Europe/Berlin }
table: order
query:
  sql: >
    SELECT id, order_code, product_code, machine_code, day, clock, until FROM auftrag
    WHERE day >= {{ window.start | format('%d.%m.%Y') }} AND day < {{ window.end | format('%d.%m.%Y') }}
key: [id]
fields:
  start: { date: { column: day, format: '%d.%m.%Y' }, time: { column: clock, format: hhmmss } }
  end: { column: until, format: '%d.%m.%Y %H:%M:%S' }
  order_code: order_code
  product_code: product_code
  machine_code: machine_code
sync: { lookback: 30d }
destination: { type: stdout }
";

/// The moment of every run, right after the last row.
pub fn now() -> Timestamp {
    "2024-01-10T00:00:00Z".parse().expect("an instant")
}

/// A slice with all rows in it.
pub fn slice() -> Slice {
    let from = "2023-12-31T00:00:00Z".parse().expect("an instant");
    Slice { number: 0, from, to: now(), reads: (from, now()), reads_to_the_end: true }
}

/// A clock that stands.
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        now()
    }

    fn sleep(&self, _duration: Duration, _cancel: &Cancel) {}
}

struct NoReferences;

impl References for NoReferences {
    fn resolve(&self, reference: &Reference) -> Result<SecretString, String> {
        Err(format!("{reference} is not set"))
    }
}

fn plan(text: &str) -> Plan {
    let loaded = load("bench.yaml", text.as_bytes(), &NoCompanions);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let input = PlanInput {
        spec: loaded.spec.as_ref().expect("the spec has a shape"),
        value: &loaded.file.value,
        sql: loaded.companions.sql.as_deref(),
        machines: loaded.companions.machines.as_ref(),
        folder: Path::new("."),
        default_destination: None,
        offline: false,
    };
    Plan::new(&input, &NoReferences).expect("the spec makes a plan")
}

/// The plan of bookings whose times are of the driver's own kind.
pub fn booking_plan() -> Plan {
    plan(BOOKINGS)
}

/// The plan of bookings that are delivered as they are.
pub fn row_plan() -> Plan {
    plan(&BOOKINGS.replace("{ type: stdout }", "{ type: stdout, deliver: rows }"))
}

/// The plan of orders whose times are texts.
pub fn text_time_plan() -> Plan {
    plan(TEXT_TIMES)
}

fn columns(names: &[(&str, Kind)]) -> Columns {
    let column =
        |&(name, kind): &(&str, Kind)| Column { name: name.to_owned(), kind, source_type: kind.words().to_owned() };
    names.iter().map(column).collect()
}

/// Batches of rows, each written by `push`, which is given the number of the row.
fn batches(columns: &Columns, rows: usize, push: impl Fn(&mut RowBatch, usize)) -> Vec<RowBatch> {
    let mut batches = Vec::new();
    let mut batch = RowBatch::new();
    batch.reset(columns);
    for number in 0..rows {
        push(&mut batch, number);
        if batch.is_full() {
            batches.push(std::mem::take(&mut batch));
            batch.reset(columns);
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Number of the order that a booking belongs to.
fn order_of(number: usize) -> usize {
    number / (4 * MACHINES) * MACHINES + number % MACHINES + 1
}

/// Bookings: each machine works on one order after the other, with start, pause, resume and end.
pub fn bookings(rows: usize) -> Vec<RowBatch> {
    let columns = columns(&[
        ("id", Kind::Int),
        ("order_code", Kind::Text),
        ("product_code", Kind::Text),
        ("machine_code", Kind::Text),
        ("event", Kind::Text),
        ("booked_at", Kind::Civil),
        ("quantity", Kind::Decimal),
    ]);
    batches(&columns, rows, |batch, number| {
        let order = order_of(number);
        batch.push(Slot::Int(number as i64 + 1));
        batch.push_text(&format!("000{order:08} "));
        batch.push_text(&format!("PRD-{:05}", order * 7919 % 5000));
        batch.push_text(&format!("M-{:03}", number % MACHINES));
        batch.push_text(["S", "P", "R", "E"][number / MACHINES % 4]);
        batch.push(Slot::Civil { secs: FIRST_SECOND + number as i64 * STEP_SECONDS, nanos: 613_000_000 });
        batch.push_decimal(&format!("{}.125", number % 977));
    })
}

/// Number of runs in the bookings: every second block of machines starts.
pub fn runs_of(rows: usize) -> usize {
    (0..rows).filter(|number| (number / MACHINES).is_multiple_of(2)).count()
}

/// Orders whose times are texts.
pub fn text_times(rows: usize) -> Vec<RowBatch> {
    let names = ["id", "order_code", "product_code", "machine_code", "day", "clock", "until"];
    let mut kinds = names.map(|name| (name, Kind::Text));
    kinds[0].1 = Kind::Int;
    batches(&columns(&kinds), rows, |batch, number| {
        let second = number % 36_000;
        let (day, clock) = (1 + number / 36_000, |second: usize| (second / 3600, second / 60 % 60, second % 60));
        let (hour, minute, seconds) = clock(second);
        batch.push(Slot::Int(number as i64 + 1));
        batch.push_text(&format!("FA-{number:08}"));
        batch.push_text(&format!("PRD-{:05}", number % 5000));
        batch.push_text(&format!("M-{:03}", number % MACHINES));
        batch.push_text(&format!("{day:02}.01.2024"));
        batch.push_text(&format!("{hour:02}{minute:02}{seconds:02}"));
        let (hour, minute, seconds) = clock(second + 3600);
        batch.push_text(&format!("{day:02}.01.2024 {hour:02}:{minute:02}:{seconds:02}"));
    })
}

/// A source that has its rows.
pub struct Batches {
    rest: std::vec::IntoIter<RowBatch>,
    identity: SourceIdentity,
}

impl Batches {
    /// The rows of these batches.
    pub fn new(batches: Vec<RowBatch>) -> Self {
        Self { rest: batches.into_iter(), identity: SourceIdentity::default() }
    }
}

impl Source for Batches {
    fn ask(&mut self, _ask: &Ask) -> Result<(), SourceError> {
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let Some(next) = self.rest.next() else {
            let columns = batch.columns().clone();
            batch.reset(&columns);
            return Ok(Fetched::End);
        };
        *batch = next;
        Ok(Fetched::Rows)
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }
}

/// A destination that takes everything.
#[derive(Default)]
pub struct Taker {
    /// Records that it took.
    pub records: usize,
}

impl Destination for Taker {
    fn send(&mut self, parcel: &Parcel, _cancel: &Cancel) -> Answer {
        self.records += parcel.records.len();
        Answer::Accepted { rejected: Vec::new() }
    }

    fn place(&self) -> &str {
        "nowhere"
    }
}
