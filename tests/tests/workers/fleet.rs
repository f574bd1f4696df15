//! Pipelines that several workers share: their specs, their source, and what the platform should have of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine_tests::binary::{Outcome, Running, Workspace, await_some};
use engine_tests::plant::{self, Plant};
use engine_tests::platform::Platform;
use engine_tests::servers::Server;
use serde_json::{Value, json};

/// How long a pipeline stays with a worker that is not heard of.
pub const LEASE: Duration = Duration::from_secs(3);
/// Orders that each pipeline has at the beginning.
const ORDERS: i64 = 5;
/// Records of a parcel of a backfill.
pub const PARCEL: usize = 5;
/// Time between two changes of the source.
const CHANGE_EVERY: Duration = Duration::from_millis(100);
/// How long it may take until everything that changed has arrived.
const SETTLE_MAX: Duration = Duration::from_secs(90);

pub struct Fleet {
    workspace: Workspace,
    pipelines: i64,
    login: String,
    database: String,
    port: u16,
}

pub struct Worker {
    pub process: Running,
}

/// Changes the source until it is stopped.
pub struct Changes {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<i64>,
}

impl Changes {
    /// How many there were.
    pub fn stop(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Fleet {
    /// Specs of so many pipelines, which share the table of one source: each has the orders whose number leaves its own
    /// when divided.
    pub fn new(database: &Server, url: &str, pipelines: i64) -> Self {
        let workspace = Workspace::new();
        workspace.write("engine.yaml", "version: 1\nspecs: ['*.yaml']\nstate: { url: { env: STATE_URL } }\n");
        let plant = Plant::new(&workspace.path("mes.db"));
        plant.orders(0..pipelines * ORDERS);
        for pipeline in 0..pipelines {
            let id = format!("p{pipeline:03}");
            let mut spec = plant::orders(&id, &plant::to_url(url));
            spec["query"]["sql"] = format!("SELECT * FROM auftrag WHERE id % {pipelines} = {pipeline}").into();
            spec["sync"] = json!({ "mode": "full", "delete_limit": "100%" });
            spec["schedule"] = json!({ "every": "4s", "jitter": "4s" });
            workspace.spec(&format!("{id}.yaml"), &spec);
        }
        let login = format!("{}:{}", database.username, database.password);
        Self { workspace, pipelines, login, database: database.database.clone(), port: database.port }
    }

    /// One pipeline whose orders reach far back: a hundred days, an order every hour.
    pub fn with_history(database: &Server, url: &str) -> Self {
        let fleet = Self::new(database, url, 1);
        let plant = Plant::new_writer(&fleet.workspace.path("mes.db"));
        plant.execute(
            "DELETE FROM auftrag;
             INSERT INTO auftrag (id, anr, artnr, mnr, von, bis, menge)
             WITH RECURSIVE n (id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id < 2399)
             SELECT id, 4711000 + id, '25-1002', 'M1', strftime('%Y-%m-%d %H:%M:%S', '2024-12-01', '+' || id || ' hours'),
                    strftime('%Y-%m-%d %H:%M:%S', '2024-12-01', '+' || id || ' hours', '+50 minutes'), id FROM n;
             DELETE FROM auftrag WHERE von < '2025-01-01' OR von >= '2025-03-15';",
        );
        let mut destination = plant::to_url(url);
        destination["batch"] = json!({ "max_records": PARCEL });
        let mut spec = plant::orders("p000", &destination);
        spec["sync"] = json!({ "slice": "1d" });
        fleet.workspace.spec("p000.yaml", &spec);
        fleet
    }

    /// Starts the program, with the state database reached at a port.
    pub fn run(&self, port: u16, args: &[&str]) -> Running {
        let url = format!("postgres://{}@127.0.0.1:{port}/{}?lease={}", self.login, self.database, LEASE.as_secs());
        self.workspace.start_with(&[("STATE_URL", &url)], args)
    }

    /// Starts a worker that reaches the state database at a port.
    pub fn start(&self, port: u16) -> Worker {
        Worker { process: self.run(port, &["run"]) }
    }

    /// Runs everything once.
    pub fn once(&self, port: u16) {
        self.start_once(port).finish().expect(0);
    }

    /// Starts one run of everything.
    pub fn start_once(&self, port: u16) -> Running {
        self.run(port, &["run", "--once"])
    }

    /// New orders, corrections and deletions.
    pub fn change(&self, round: i64) {
        change(&Plant::new_writer(&self.workspace.path("mes.db")), self.pipelines, round);
    }

    /// Another product for an order.
    pub fn correct(&self, order: i64, product: &str) {
        let plant = Plant::new_writer(&self.workspace.path("mes.db"));
        plant.execute(&format!("UPDATE auftrag SET artnr = '{product}' WHERE id = {order}"));
    }

    /// Changes the source all the time.
    pub fn keep_changing(&self) -> Changes {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopping, path, pipelines) = (Arc::clone(&stop), self.workspace.path("mes.db"), self.pipelines);
        let thread = std::thread::spawn(move || {
            let plant = Plant::new_writer(&path);
            let mut round = 0;
            while !stopping.load(Ordering::Relaxed) {
                change(&plant, pipelines, round);
                round += 1;
                std::thread::sleep(CHANGE_EVERY);
            }
            round
        });
        Changes { stop, thread }
    }

    /// Waits until every pipeline is run by one of the workers, none of which has more than `most`.
    pub fn await_shares(&self, workers: &[Worker], most: usize, patience: Duration) {
        self.await_shares_of(&workers.iter().collect::<Vec<_>>(), most, patience);
    }

    pub fn await_shares_of(&self, workers: &[&Worker], most: usize, patience: Duration) {
        let all = usize::try_from(self.pipelines).unwrap();
        let mut last = BTreeMap::new();
        let began = Instant::now();
        let is_even = await_some(patience, || {
            last = self.shares();
            let of_workers = |worker: &&Worker| {
                let name = format!("process {} on ", worker.process.id());
                last.iter().filter(|(engine, _)| engine.starts_with(&name)).map(|(_, count)| *count).sum::<usize>()
            };
            let shares: Vec<usize> = workers.iter().map(of_workers).collect();
            (shares.iter().sum::<usize>() == all && shares.iter().all(|share| *share <= most)).then_some(())
        });
        let processes: Vec<u32> = workers.iter().map(|worker| worker.process.id()).collect();
        assert!(is_even.is_some(), "after {:?}, {processes:?} should have {most} at most: {last:?}", began.elapsed());
    }

    /// Asks for the status.
    pub fn status(&self, args: &[&str]) -> Outcome {
        self.run(self.port, &[&["status"], args].concat()).finish()
    }

    /// How many pipelines each engine has.
    fn shares(&self) -> BTreeMap<String, usize> {
        let status = self.status(&["-o", "json"]);
        let mut shares = BTreeMap::new();
        for pipeline in status.json().as_array().unwrap() {
            if let Some(engine) = pipeline["run_by"].as_str() {
                *shares.entry(engine.to_owned()).or_default() += 1;
            }
        }
        shares
    }

    /// Waits until the platform has what the source has; what it lacks, and what it has too much.
    pub fn settle(&self, platform: &Platform) -> (u64, u64) {
        await_some(SETTLE_MAX, || (self.difference(platform) == (0, 0)).then_some(()));
        self.difference(platform)
    }

    /// Orders that the platform lacks or has otherwise than the source, and orders that it has too much.
    pub fn difference(&self, platform: &Platform) -> (u64, u64) {
        let expected = Plant::new_writer(&self.workspace.path("mes.db")).products();
        let mut had: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in platform.state().into_values() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            had.entry(text(&record["production_order"])).or_default().push(text(&record["product"]["code"]));
        }
        let losses = expected
            .iter()
            .filter(|(order, product)| had.get(*order).is_none_or(|products| !products.contains(product)));
        let extra = |(order, products): (&String, &Vec<String>)| {
            products.len() - usize::from(expected.contains_key(order)).min(products.len())
        };
        (losses.count() as u64, had.iter().map(extra).sum::<usize>() as u64)
    }
}

/// A new order, a correction and a deletion, spread over the pipelines.
fn change(plant: &Plant, pipelines: i64, round: i64) {
    let new = pipelines * ORDERS + round * 7;
    plant.orders(new..new + 7);
    let corrected = (round * 31) % new;
    plant.execute(&format!("UPDATE auftrag SET artnr = 'round-{round}' WHERE id = {corrected}"));
    // Every pipeline keeps some: an empty result is another matter.
    if round % 3 == 0 {
        plant.execute(&format!("DELETE FROM auftrag WHERE id = {}", pipelines + (round * 13) % (pipelines * 2)));
    }
}
