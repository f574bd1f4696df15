//! What a service manager hears from `engine run`: that it is ready, how it does, that it is alive, that it ends.

use std::time::{Duration, Instant};

use engine_tests::binary::{PATIENCE, Workspace};
use engine_tests::manager::Manager;
use engine_tests::plant::{self, Plant};
use serde_json::json;

use crate::service::every_second;

/// How long the service manager of these tests waits for a sign of life.
const WATCHDOG: Duration = Duration::from_secs(1);

/// The source is away, and nobody takes what is delivered: the service is ready all the same.
#[test]
fn a_service_is_ready_before_any_source_answers_and_says_how_it_does() {
    let (workspace, manager) = (Workspace::new(), Manager::at_an_abstract_name("ready"));
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_url("http://127.0.0.1:9/")));
    let mut idle = every_second("idle", &plant::to_file("idle.ndjson"));
    idle["schedule"] = json!({ "cron": "0 0 29 2 *" });
    workspace.spec("idle.yaml", &idle);
    let running = workspace.start_with(&[("NOTIFY_SOCKET", &manager.address)], &["run", "."]);
    assert_eq!(manager.hear(PATIENCE).as_deref(), Some("READY=1\nSTATUS=2 pipelines"));
    manager.expect("STATUS=2 pipelines, 1 failing");
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    manager.expect("STATUS=2 pipelines, 1 waiting for the destination");
    running.signal("TERM");
    manager.expect("STOPPING=1");
    running.finish().expect(0);
    assert_eq!(manager.hear(Duration::ZERO), None, "nothing is said after the end");
}

#[test]
fn a_loop_that_stands_still_gives_no_sign_of_life() {
    let workspace = Workspace::new();
    let manager = Manager::at_a_path(&workspace);
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    let mut idle = every_second("acme", &plant::to_file("runs.ndjson"));
    idle["schedule"] = json!({ "every": "1h" });
    workspace.spec("acme.yaml", &idle);
    let watchdog = WATCHDOG.as_micros().to_string();
    let variables = [("NOTIFY_SOCKET", manager.address.as_str()), ("WATCHDOG_USEC", &watchdog)];
    let running = workspace.start_with(&variables, &["run", "acme.yaml"]);
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    // Twice in the time that it has, though nothing happens.
    let began = Instant::now();
    for _ in 0..6 {
        manager.expect("WATCHDOG=1");
    }
    assert!(began.elapsed() > WATCHDOG * 2, "no more often than needed: {:?}", began.elapsed());
    running.signal("STOP");
    // What was under way is heard first.
    while manager.hear(WATCHDOG / 4).is_some() {}
    assert_eq!(manager.hear(WATCHDOG * 2), None, "a process that stands still sends nothing");
    running.signal("CONT");
    manager.expect("WATCHDOG=1");
    running.signal("TERM");
    running.finish().expect(0);
}

#[test]
fn a_watchdog_of_another_process_hears_nothing() {
    let workspace = Workspace::new();
    let manager = Manager::at_a_path(&workspace);
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let variables = [("NOTIFY_SOCKET", manager.address.as_str()), ("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")];
    let mut running = workspace.start_with(&variables, &["run", "acme.yaml"]);
    running.event("delivered", "acme");
    running.event("run_finished", "acme");
    running.signal("TERM");
    running.finish().expect(0);
    let heard: Vec<String> = std::iter::from_fn(|| manager.hear(Duration::ZERO)).collect();
    assert!(heard.iter().any(|message| message.starts_with("READY=1")), "{heard:?}");
    assert!(!heard.iter().any(|message| message.contains("WATCHDOG")), "{heard:?}");
}

/// `--once` is no service: whoever waits for it waits for its end.
#[test]
fn a_single_run_reports_to_nobody() {
    let workspace = Workspace::new();
    let manager = Manager::at_a_path(&workspace);
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let variables = [("NOTIFY_SOCKET", manager.address.as_str())];
    workspace.start_with(&variables, &["run", "--once", "acme.yaml"]).finish().expect(0);
    assert_eq!(manager.hear(Duration::ZERO), None);
}
