//! What a seed plays with: the kind of table, how it is read, and everything that stays the same for a history.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use engine_core::deliver::ParcelLimit;
use engine_core::plan::Plan;
use engine_core::value::Kind;

use crate::plant::{Table, booking_spec, booking_table, order_spec, order_table, plan};
use crate::random::Random;

/// How the table is read, and with that, what may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// A window that holds the whole table: anything may change.
    Window,
    /// A first fill in slices, and a window of two days that moves on: what is older stays as it is.
    Slices,
    /// The whole table without a window.
    Full,
    /// What lies after the cursor: rows change and are cancelled, and never disappear.
    Cursor,
}

/// What stays the same for a history.
#[derive(Debug)]
pub struct Setup {
    pub bookings: bool,
    pub reads: Reads,
    /// The spec, and what becomes of it.
    pub plans: Vec<Arc<Plan>>,
    /// Deletes are limited to what `sync.delete_limit` allows by default.
    pub braked: bool,
    pub parcel: ParcelLimit,
    pub outbox_bytes_max: u64,
    /// The destination remembers idempotency keys.
    pub remembers_keys: bool,
    /// Rows are read as they are when they are read, and not as they were when the question was asked.
    pub torn_reads: bool,
    /// Another engine takes the pipeline over now and then.
    pub shared: bool,
    /// In how many of a hundred runs and deliveries something fails.
    pub fault_percent: i64,
    pub events: i64,
}

impl Setup {
    pub fn draw(random: &mut Random) -> Self {
        let bookings = random.percent(50);
        let reads = random.weighted(&[(5, Reads::Window), (2, Reads::Slices), (2, Reads::Full), (2, Reads::Cursor)]);
        let braked = matches!(reads, Reads::Window | Reads::Full) && random.percent(40);
        let form = form(random, bookings);
        let base = spec(bookings, reads, braked, &form);
        let mut texts = vec![base.clone()];
        if matches!(reads, Reads::Window | Reads::Full) {
            texts.push(base.replace("product_code: art", "product_code: mnr"));
            texts.push(base.replace("key: [id]", "key: [id, art]"));
            if !form.contains("deliver: rows") {
                let other =
                    if form.contains("merge") { String::new() } else { format!("{form}\nmerge: {{ gap: 3m }}") };
                texts.push(spec(bookings, reads, braked, &other));
            }
        }
        let stage = random.pick(&[usize::MAX, usize::MAX, 0, 2_000]);
        let plans = texts.iter().map(|text| cached(text, stage)).collect();
        let parcel_records = random.pick(&[1, 2, 4, 500]);
        Self {
            bookings,
            reads,
            plans,
            braked,
            parcel: ParcelLimit { records: parcel_records, bytes: random.pick(&[1 << 20, 400]) },
            outbox_bytes_max: random.pick(&[u64::MAX, u64::MAX, 3_000]),
            remembers_keys: random.percent(50),
            torn_reads: random.percent(40),
            shared: random.percent(25),
            fault_percent: random.pick(&[30, 60, 90, 90]),
            events: 8 + random.below(24),
        }
    }

    /// The table, empty.
    pub fn table(&self) -> Table {
        let mut table = if self.bookings { booking_table() } else { order_table() };
        table.columns.push(("st".to_owned(), Kind::Text));
        table.columns.push(("geaendert".to_owned(), Kind::Instant));
        match self.reads {
            Reads::Window | Reads::Slices => {}
            Reads::Full => table.window = None,
            Reads::Cursor => {
                table.window = None;
                table.cursor = vec!["geaendert".to_owned()];
            }
        }
        table
    }
}

/// How rows become records.
fn form(random: &mut Random, bookings: bool) -> String {
    if random.percent(15) {
        return "destination: { type: stdout, deliver: rows }".to_owned();
    }
    if !bookings {
        return random
            .pick(&[
                "",
                "",
                "merge: { gap: 3m }",
                "checks: { overlap: reject }",
                "merge: { gap: 0s }\nchecks: { overlap: reject }",
            ])
            .to_owned();
    }
    random
        .pick(&[
            "",
            "merge: { gap: 3m }",
            "pairing: { on_start_while_running: allow_parallel, orphan_end: reject }\nchecks: { zero_length: report }",
            "pairing: { on_start_while_running: reject, duplicate_start: reject, orphan_end: reject }",
            "pairing: { on_start_while_running: allow_parallel }\nchecks: { overlap: reject }\nmerge: { gap: 0s }",
        ])
        .to_owned()
}

fn spec(bookings: bool, reads: Reads, braked: bool, form: &str) -> String {
    let limit = if braked { "" } else { ", delete_limit: 100%" };
    let sync = match reads {
        Reads::Window => format!("sync: {{ lookback: 60d{limit} }}"),
        Reads::Slices => "sync: { start: 2025-03-10, lookback: 2d, slice: 1d, delete_limit: 100% }".to_owned(),
        Reads::Full => format!("sync: {{ mode: full{limit} }}"),
        Reads::Cursor => "sync: { mode: cursor, cursor: [geaendert] }".to_owned(),
    };
    let more = format!("{sync}\ncancelled_when: st == 'X'\n{form}");
    let (text, column) = if bookings { (booking_spec(&more), "ts") } else { (order_spec(&more), "von") };
    let filter = format!("{column} >= {{{{ window.start | utc }}}} AND {column} < {{{{ window.end | utc }}}}");
    match reads {
        Reads::Window | Reads::Slices => text,
        Reads::Full => text.replace(&format!(" WHERE {filter}"), ""),
        Reads::Cursor => text.replace(&filter, "geaendert > {{ cursor.geaendert }}"),
    }
}

type Plans = HashMap<(String, usize), Arc<Plan>>;

/// Plans by text and by the bytes that are committed early. Making one takes longer than many a history.
static PLANS: LazyLock<Mutex<Plans>> = LazyLock::new(Mutex::default);

fn cached(text: &str, stage_bytes_max: usize) -> Arc<Plan> {
    let mut plans = PLANS.lock().unwrap();
    let made = plans.entry((text.to_owned(), stage_bytes_max)).or_insert_with(|| {
        let mut plan = plan(text);
        plan.stage_bytes_max = stage_bytes_max;
        Arc::new(plan)
    });
    Arc::clone(made)
}
