//! How far more workers get with the same pipelines: `cargo run -p engine-tests --example scaling`.
//!
//! Two hundred pipelines read one order each from a PostgreSQL server that takes 200 ms for it, as one at the other end
//! of a slow line does, and each run finds the order changed. What is counted arrives at the platform. The program that
//! is measured is built by the release profile first: `cargo build --release --bin engine`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints its figures, or ends")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use engine_tests::binary::{Running, Workspace, await_some, root};
use engine_tests::plant;
use engine_tests::platform::Platform;
use engine_tests::servers::{self, Server};
use serde_json::json;

const PIPELINES: usize = 200;
/// How long the source takes for an answer, in seconds.
const LATENCY_SECS: f64 = 0.2;
/// How long is measured, once the work is spread.
const MEASURED: Duration = Duration::from_secs(20);
const WORKERS: [usize; 4] = [1, 2, 4, 8];
const SPREAD_MAX: Duration = Duration::from_secs(60);

fn main() {
    let program = root().join("target/release/engine");
    assert!(program.exists(), "build it first: cargo build --release --bin engine");
    let (source, state, platform) = (servers::postgres(), servers::postgres(), Platform::start());
    source.execute(&format!(
        "CREATE TABLE auftrag (id int PRIMARY KEY, anr text, artnr text, mnr text, von timestamp);
         INSERT INTO auftrag SELECT id, 4711000 + id, '25-1002', 'M1', now() FROM generate_series(0, {PIPELINES} - 1) AS id;
         CREATE VIEW ruht AS SELECT id, anr, artnr, mnr, von, NULL::timestamp AS bis,
             extract(epoch FROM clock_timestamp()) AS menge FROM auftrag, pg_sleep({LATENCY_SECS});"
    ));
    println!(
        "| workers | runs a second | against one | pipelines of a worker | CPU of the workers a run | of the state database |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut alone = None;
    for workers in WORKERS {
        let workspace = specs(&source, &platform.url());
        let schema = format!("workers_{workers}");
        let url = format!(
            "postgres://{}:{}@127.0.0.1:{}/{}?schema={schema}",
            state.username, state.password, state.port, state.database
        );
        let engines: Vec<Running> =
            (0..workers).map(|_| workspace.start_program(&program, &["run"], &[("STATE_URL", &url)])).collect();
        let mut shares = BTreeMap::new();
        let is_spread = await_some(SPREAD_MAX, || {
            let status = workspace.start_program(&program, &["status", "-o", "json"], &[("STATE_URL", &url)]).finish();
            shares.clear();
            for pipeline in status.json().as_array().unwrap() {
                let Some(engine) = pipeline["run_by"].as_str() else { continue };
                *shares.entry(engine.to_owned()).or_insert(0) += 1;
            }
            let is_even = shares.len() == workers && shares.values().all(|count| *count <= PIPELINES.div_ceil(workers));
            (is_even && shares.values().sum::<usize>() == PIPELINES).then_some(())
        });
        if is_spread.is_none() {
            let said: Vec<String> = engines
                .into_iter()
                .map(|engine| {
                    engine.signal("TERM");
                    engine.finish().to_string()
                })
                .collect();
            panic!("the work is not spread: {shares:?}\n{}", said.join("\n"));
        }
        let (records, cpu, database_cpu, began) =
            (platform.records(), cpu_of(&engines), state.cpu_seconds(), Instant::now());
        std::thread::sleep(MEASURED);
        let runs = (platform.records() - records) as f64;
        let rate = runs / began.elapsed().as_secs_f64();
        let each = (cpu_of(&engines) - cpu) * 1_000.0 / runs;
        let database_each = (state.cpu_seconds() - database_cpu) * 1_000.0 / runs;
        let times = rate / *alone.get_or_insert(rate);
        let (least, most) = (shares.values().min().unwrap(), shares.values().max().unwrap());
        println!("| {workers} | {rate:.0} | {times:.1} × | {least}–{most} | {each:.1} ms | {database_each:.1} ms |");
        for engine in engines {
            engine.signal("TERM");
            engine.finish().expect(0);
        }
    }
}

fn specs(source: &Server, url: &str) -> Workspace {
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &source.password);
    workspace.write("engine.yaml", "version: 1\nspecs: ['*.yaml']\nstate: { url: { env: STATE_URL } }\n");
    for pipeline in 0..PIPELINES {
        let id = format!("p{pipeline:03}");
        let mut spec = plant::orders(&id, &plant::to_url(url));
        spec["source"] = json!({
            "type": "postgres", "host": source.host, "port": source.port, "database": source.database,
            "username": source.username, "password": { "env": "DB_PASSWORD" }, "timezone": "UTC",
            "tls": { "mode": "disable" },
        });
        let sql = format!("SELECT id, anr, artnr, mnr, von, bis, menge FROM ruht WHERE id = {pipeline}");
        spec["query"]["sql"] = sql.into();
        spec["sync"] = json!({ "mode": "full" });
        spec["schedule"] = json!({ "every": "1s", "jitter": "1s" });
        workspace.spec(&format!("{id}.yaml"), &spec);
    }
    workspace
}

/// CPU that processes have taken so far, in seconds.
fn cpu_of(engines: &[Running]) -> f64 {
    engines.iter().map(|engine| servers::cpu_seconds(engine.id())).sum()
}
