//! `engine run`: the service, its schedule, its signals and its neighbours.

use std::time::{Duration, Instant};

use engine_tests::binary::{Outcome, Running, Workspace, await_some, await_that, root};
use engine_tests::plant::{self, Plant};
use engine_tests::platform::{Fault, Platform};
use engine_tests::proxy::{Mode, Proxy};
use serde_json::{Value, json};

/// How soon a stop must be over.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Rows that a run reads in the test of memory.
const MANY_ROWS: i64 = 200_000;
/// Memory that the process may have resident while it does.
const MEMORY_MAX_KIB: u64 = 200 * 1024;
/// Pipelines of a large device.
const PIPELINES: usize = 200;
/// How long their first runs may take together, on a machine that has other work to do.
const FIRST_RUNS_MAX: Duration = Duration::from_secs(240);

/// A spec that reads everything, every second, whatever the clock says.
pub(crate) fn every_second(id: &str, destination: &Value) -> Value {
    let mut spec = plant::orders(id, destination);
    spec["query"]["sql"] = "SELECT * FROM auftrag".into();
    spec["sync"] = json!({ "mode": "full" });
    spec["schedule"] = json!({ "every": "1s" });
    spec
}

/// A spec whose server takes the connection and says nothing.
fn hanging(id: &str, port: u16, destination: &Value) -> Value {
    let mut spec = every_second(id, destination);
    spec["source"] = json!({
        "type": "postgres", "host": "127.0.0.1", "port": port, "database": "mes", "username": "etl",
        "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin", "timeouts": { "connect": "60s" },
    });
    spec
}

fn stop(running: Running, signal: &str) -> Outcome {
    let began = Instant::now();
    running.signal(signal);
    let outcome = running.finish_within(STOP_MAX);
    assert!(began.elapsed() < STOP_MAX);
    assert_eq!(outcome.events("stopped").len(), 1, "{outcome}");
    outcome.expect(0)
}

#[test]
fn it_runs_again_and_again_and_stops_when_it_is_told() {
    for signal in ["TERM", "INT"] {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let plant = Plant::new(&workspace.path("mes.db"));
        plant.orders(1..11);
        workspace.spec("acme.yaml", &every_second("acme", &plant::to_url(&platform.url())));
        let mut running = workspace.start(&["run", "acme.yaml"]);
        assert_eq!(running.event("delivered", "acme")["records"], 10);
        plant.orders(11..21);
        assert_eq!(running.event("delivered", "acme")["records"], 10);
        assert_eq!(platform.state().len(), 20);
        plant.execute("DELETE FROM auftrag WHERE id = 1");
        running.event("delivered", "acme");
        assert_eq!(platform.state().len(), 19);
        let status = workspace.engine(&["status", "-o", "json"]).expect(0).json();
        assert_eq!(status[0]["health"], "ok");
        assert!(status[0]["next_run"].is_string(), "{status}");
        stop(running, signal);
        platform.assert_contract();
    }
}

#[test]
fn nobody_else_runs_a_pipeline_at_the_same_time() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_url(&platform.url())));
    let mut first = workspace.start(&["run", "acme.yaml"]);
    first.event("run_finished", "acme");
    let outcome = workspace.engine(&["run", "--once", "acme.yaml"]).expect(1);
    let outcome = outcome.says("it is being run already").says(&format!("process {}", first.id()));
    assert_eq!(outcome.events("run_finished").len(), 0);
    let mut second = workspace.start(&["run", "acme.yaml"]);
    second.event("held_elsewhere", "acme");
    // The first one dies; the second takes over by itself.
    assert!(first.kill());
    second.event("run_finished", "acme");
    stop(second, "TERM");
}

#[test]
fn a_source_that_hangs_holds_up_nobody() {
    let (mut workspace, platform) = (Workspace::new(), Platform::start());
    let silent = Proxy::start(0, Mode::Silent);
    let plant = Plant::new(&workspace.path("specs/../mes.db"));
    plant.orders(1..11);
    let destination = plant::to_url(&platform.url());
    workspace.env("DB_PASSWORD", "canary");
    workspace.spec("acme.yaml", &every_second("acme", &destination));
    for id in ["hangs-1", "hangs-2"] {
        workspace.spec(&format!("{id}.yaml"), &hanging(id, silent.port(), &destination));
    }
    let mut running = workspace.start(&["run", "."]);
    await_that("the silent server is asked", || silent.knocks() >= 2);
    for round in 1..4 {
        plant.orders(round * 10 + 1..round * 10 + 11);
        running.event("delivered", "acme");
    }
    let outcome = stop(running, "TERM");
    assert!(!outcome.stderr.contains("canary"));
}

/// More of them than may run at the same time: they wait, and take up no place.
#[test]
fn many_that_hang_hold_up_nobody() {
    let (mut workspace, platform, slow) = (Workspace::new(), Platform::start(), Platform::start());
    let silent = Proxy::start(0, Mode::Silent);
    let plant = Plant::new(&workspace.path("mes.db"));
    plant.orders(1..11);
    slow.script(vec![Fault::Stall; 100]);
    workspace.env("DB_PASSWORD", "canary");
    workspace.write("engine.yaml", "version: 1\nspecs: ['*.yaml']\nlimits: { concurrency: 1 }\n");
    workspace.spec("z.yaml", &every_second("acme", &plant::to_url(&platform.url())));
    for number in 0..3 {
        let id = format!("source-{number}");
        workspace.spec(&format!("a{number}.yaml"), &hanging(&id, silent.port(), &plant::to_url(&platform.url())));
        let id = format!("target-{number}");
        workspace.spec(&format!("b{number}.yaml"), &every_second(&id, &plant::to_url(&slow.url())));
    }
    let mut running = workspace.start(&["run"]);
    await_that("all servers are asked", || silent.knocks() >= 3 && slow.requests().len() >= 3);
    for round in 1..3 {
        plant.orders(round * 10 + 1..round * 10 + 11);
        running.event("delivered", "acme");
    }
    stop(running, "TERM");
}

#[test]
fn a_destination_that_hangs_holds_up_nobody() {
    let (workspace, platform, slow) = (Workspace::new(), Platform::start(), Platform::start());
    let plant = Plant::new(&workspace.path("mes.db"));
    plant.orders(1..11);
    slow.script(vec![Fault::Stall; 20]);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_url(&platform.url())));
    workspace.spec("slow.yaml", &every_second("slow", &plant::to_url(&slow.url())));
    let mut running = workspace.start(&["run", "."]);
    await_that("the slow platform is asked", || !slow.requests().is_empty());
    for round in 1..3 {
        plant.orders(round * 10 + 1..round * 10 + 11);
        running.event("delivered", "acme");
    }
    // Its own runs go on as well.
    running.event("run_finished", "slow");
    stop(running, "TERM");
}

#[test]
fn bounded_concurrency_still_runs_everybody() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("specs/mes.db")).orders(1..11);
    for number in 0..6 {
        let spec = every_second(&format!("p{number}"), &plant::to_url(&platform.url()));
        workspace.spec(&format!("specs/p{number}.yaml"), &spec);
    }
    workspace.write("engine.yaml", "version: 1\nlimits: { concurrency: 1 }\nstate: { url: sqlite://here.db }\n");
    let mut running = workspace.start(&["run"]);
    for number in 0..6 {
        let pipeline = format!("p{number}");
        await_that("its records arrive", || platform.requests().iter().any(|one| one.body["pipeline"] == pipeline));
    }
    running.event("run_finished", "");
    assert!(workspace.path("here.db").is_file());
    stop(running, "TERM");
    assert_eq!(platform.state().len(), 60);
}

#[test]
fn a_source_that_goes_and_comes_back_is_read_again() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let plant = Plant::new(&workspace.path("mes.db"));
    plant.orders(1..11);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_url(&platform.url())));
    let mut running = workspace.start(&["run", "acme.yaml"]);
    running.event("delivered", "acme");
    std::fs::rename(plant.path(), workspace.path("away.db")).expect("renamed");
    let failed = running.event("run_failed", "acme");
    assert!(failed["message"].as_str().is_some_and(|message| message.contains("mes.db")), "{failed}");
    await_that("status says so", || {
        workspace.engine(&["status", "-o", "json"]).expect(0).json()[0]["health"] == "failing"
    });
    std::fs::rename(workspace.path("away.db"), plant.path()).expect("renamed");
    running.event("run_finished", "acme");
    plant.orders(11..21);
    running.event("delivered", "acme");
    assert_eq!(platform.state().len(), 20);
    stop(running, "TERM");
}

#[test]
fn a_reference_that_is_unresolved_is_told_by_the_status() {
    let mut workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    let mut spec = every_second("acme", &plant::to_file("runs.ndjson"));
    spec["source"]["path"] = json!({ "env": "MES_FILE" });
    workspace.spec("acme.yaml", &spec);
    let mut running = workspace.start(&["run", "acme.yaml"]);
    let failed = running.event("run_failed", "acme");
    assert!(failed["message"].as_str().is_some_and(|message| message.contains("MES_FILE")), "{failed}");
    stop(running, "TERM");
    let status = workspace.engine(&["status"]).expect(0);
    status.says("acme").says("failing").says("MES_FILE").says("source.path");
    workspace.env("MES_FILE", "mes.db");
    workspace.engine(&["run", "--once", "acme.yaml"]).expect(0);
    workspace.engine(&["status"]).expect(0).says("ok");
}

#[test]
fn what_is_on_its_way_at_a_stop_is_answered_and_settled() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    platform.script(vec![Fault::Wait(Duration::from_secs(2))]);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_url(&platform.url())));
    let running = workspace.start(&["run", "acme.yaml"]);
    await_that("the parcel is on its way", || !platform.requests().is_empty());
    let outcome = stop(running, "TERM");
    assert_eq!(outcome.events("delivered").len(), 1, "{outcome}");
    let status = workspace.engine(&["status", "-o", "json"]).expect(0).json();
    assert_eq!(status[0]["outbox"], 0, "{status}");
    assert_eq!((platform.requests().len(), platform.state().len()), (1, 10));
}

#[test]
fn an_answer_that_does_not_come_holds_up_no_stop() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    platform.script(vec![Fault::Stall; 3]);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_url(&platform.url())));
    let running = workspace.start(&["run", "acme.yaml"]);
    await_that("the parcel is on its way", || !platform.requests().is_empty());
    stop(running, "TERM");
    // It waits in the outbox, and goes out again under its key.
    let status = workspace.engine(&["status", "-o", "json"]).expect(0).json();
    assert_eq!(status[0]["outbox"], 10, "{status}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // A query that SQLite works on for long, and a run that looks for a stop between its steps.
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let mut running = workspace.start(&["run", "acme.yaml"]);
    running.event("run_finished", "acme");
    running.signal("TERM");
    running.signal("TERM");
    let code = running.finish_within(STOP_MAX).code();
    assert!(matches!(code, Some(0 | 143)), "{code:?}");
}

#[test]
fn cron_expressions_are_obeyed() {
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    let mut spec = every_second("acme", &plant::to_file("runs.ndjson"));
    // A day that comes once in four years: the service waits for it, and runs nothing before.
    spec["schedule"] = json!({ "cron": "0 0 29 2 *", "timezone": "Europe/Berlin" });
    workspace.spec("acme.yaml", &spec);
    let mut often = every_second("often", &plant::to_file("often.ndjson"));
    often["schedule"] = json!({ "every": "1s", "jitter": "500ms" });
    workspace.spec("often.yaml", &often);
    let mut running = workspace.start(&["run", "."]);
    running.event("run_finished", "often");
    running.event("run_finished", "often");
    let outcome = stop(running, "TERM");
    assert!(outcome.events("run_finished").iter().all(|event| event["pipeline"] == "often"), "{outcome}");
}

#[test]
fn many_rows_take_little_memory() {
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..MANY_ROWS + 1);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let mut running = workspace.start(&["run", "acme.yaml"]);
    assert_eq!(running.event("run_finished", "acme")["rows"], MANY_ROWS);
    running.event("delivered", "acme");
    let peak = running.peak_memory_kib();
    assert!((1..MEMORY_MAX_KIB).contains(&peak), "{peak} KiB were resident");
    stop(running, "TERM");
}

/// A limit of the unit of systemd: a number, or one of MiB, in KiB.
fn limit_of_the_unit(name: &str) -> u64 {
    let unit = std::fs::read_to_string(root().join("deploy/systemd/engine.service")).expect("the unit is there");
    let limit = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).expect("it sets this limit");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    limit.strip_suffix('M').map_or_else(|| number(limit), |mib| number(mib) * 1024)
}

/// Twice as much would fit: what a debug build takes on one machine is no promise for another.
#[test]
fn two_hundred_pipelines_fit_twice_into_the_limits_of_the_unit() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("specs/mes.db")).orders(1..101);
    for number in 0..PIPELINES {
        let spec = every_second(&format!("p{number}"), &plant::to_url(&platform.url()));
        workspace.spec(&format!("specs/p{number}.yaml"), &spec);
    }
    workspace.write("engine.yaml", "version: 1\n");
    let running = workspace.start(&["run"]);
    let count = |what: &str| {
        let listed = std::fs::read_dir(format!("/proc/{}/{what}", running.id())).expect("it runs");
        u64::try_from(listed.count()).expect("a number")
    };
    let (mut threads, mut files) = (0, 0);
    let arrived = await_some(FIRST_RUNS_MAX, || {
        (threads, files) = (threads.max(count("task")), files.max(count("fd")));
        (platform.records() == 100 * PIPELINES).then_some(())
    });
    assert!(arrived.is_some(), "{} records arrived", platform.records());
    let peak = running.peak_memory_kib();
    for (what, name, taken) in
        [("KiB", "MemoryMax", peak), ("tasks", "TasksMax", threads), ("files", "LimitNOFILE", files)]
    {
        let most = limit_of_the_unit(name);
        assert!((1..=most / 2).contains(&taken), "{taken} {what}, of {name} {most}");
    }
    stop(running, "TERM");
}
