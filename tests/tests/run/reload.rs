//! Specs and `engine.yaml` that change while the service runs.

use std::time::Duration;

use engine_tests::binary::{Running, Workspace, await_that};
use engine_tests::manager::Manager;
use engine_tests::plant::{self, Plant};
use engine_tests::platform::{Fault, Platform};
use serde_json::{Value, json};

use crate::confined::is_offered;
use crate::service::every_second;

/// A device with one pipeline, `acme`, in `specs`.
struct Device {
    workspace: Workspace,
    platform: Platform,
    plant: Plant,
}

impl Device {
    fn new() -> Self {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let plant = Plant::new(&workspace.path("specs/mes.db"));
        plant.orders(1..11);
        let device = Self { workspace, platform, plant };
        device.workspace.write("engine.yaml", "version: 1\n");
        device.spec("acme", |_| {});
        device
    }

    fn spec(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut spec = every_second(id, &plant::to_url(&self.platform.url()));
        change(&mut spec);
        self.workspace.spec(&format!("specs/{id}.yaml"), &spec);
    }

    fn start(&self) -> Running {
        let mut running = self.workspace.start(&["run"]);
        running.event("delivered", "acme");
        running
    }

    fn records_of(&self, pipeline: &str) -> usize {
        self.platform.requests().iter().filter(|request| request.body["pipeline"] == pipeline).count()
    }
}

fn stop(running: Running) {
    running.signal("TERM");
    running.finish().expect(0);
}

#[test]
fn specs_come_change_and_go_without_a_restart_or_a_signal() {
    let device = Device::new();
    let mut running = device.start();
    device.spec("new", |_| {});
    running.event("spec_added", "new");
    running.event("delivered", "new");
    assert_eq!(device.platform.state().len(), 20);

    // What changes in a spec is in the next run; what was delivered is not delivered again.
    let before = device.records_of("acme");
    device.spec("acme", |spec| spec["labels"] = json!({ "plant": "north" }));
    running.event("spec_changed", "acme");
    running.event("run_finished", "acme");
    assert_eq!(device.records_of("acme"), before, "nothing is sent twice");
    device.plant.orders(11..13);
    running.event("delivered", "acme");
    let sent = device.platform.requests();
    let last = sent.iter().rfind(|request| request.body["pipeline"] == "acme").expect("one").body.clone();
    assert_eq!(last["labels"], json!({ "plant": "north" }), "{last}");

    std::fs::remove_file(device.workspace.path("specs/new.yaml")).expect("removed");
    running.event("spec_removed", "new");
    running.event("pipeline_ended", "new");
    let delivered = device.records_of("new");
    device.plant.orders(13..15);
    running.event("delivered", "acme");
    running.event("run_finished", "acme");
    assert_eq!(device.records_of("new"), delivered, "it runs no more");
    // Its state stays, for the day on which the spec comes back.
    let status = device.workspace.engine(&["status", "-o", "json"]).expect(0).json();
    assert!(status.as_array().expect("a list").iter().any(|one| one["pipeline"] == "new"), "{status}");
    device.spec("new", |_| {});
    running.event("spec_added", "new");
    running.event("delivered", "new");
    stop(running);
    device.platform.assert_contract();
}

#[test]
fn a_spec_that_becomes_broken_keeps_its_old_plan_running() {
    let device = Device::new();
    let manager = Manager::at_a_path(&device.workspace);
    let mut running = device.workspace.start_with(&[("NOTIFY_SOCKET", &manager.address)], &["run"]);
    manager.expect("READY=1");
    device.workspace.write("specs/acme.yaml", "version: 1\nid: acme\ntable: order\n");
    running.signal("HUP");
    manager.expect("RELOADING=1\nMONOTONIC_USEC=");
    let told = running.event("spec_broken", "");
    assert!(told["message"].as_str().is_some_and(|message| message.contains("acme.yaml:")), "{told}");
    running.event("spec_kept", "acme");
    assert_eq!(running.event("reloaded", "")["broken"], 1);
    let ready = manager.expect("READY=1");
    assert!(ready.ends_with("1 pipeline, 1 as before a change that cannot be used"), "{ready}");
    // Another file does not take over the pipeline meanwhile.
    let mut other = every_second("acme", &plant::to_file("other.ndjson"));
    other["labels"] = json!({ "plant": "south" });
    device.workspace.spec("specs/0.yaml", &other);
    running.event("spec_kept", "acme");
    device.plant.orders(11..13);
    await_that("the old plan runs on", || device.platform.state().len() == 12);
    let is_kept = || device.workspace.engine(&["status", "-o", "json"]).expect(0).json()[0]["spec_kept"] == true;
    await_that("the status says that the spec is kept", is_kept);
    device.workspace.engine(&["status"]).expect(0).says("the pipeline goes on as before");
    std::fs::remove_file(device.workspace.path("specs/0.yaml")).expect("removed");
    // A broken one that never ran is left out, and said.
    device.workspace.write("specs/never.yaml", "version: 1\n");
    let is_left_out = |message: &str| message.starts_with("READY=1") && message.ends_with(", 1 broken spec left out");
    manager.expect_that("says what is left out", is_left_out);
    std::fs::remove_file(device.workspace.path("specs/never.yaml")).expect("removed");
    device.spec("acme", |spec| spec["labels"] = json!({ "plant": "north" }));
    manager.expect_that("says that all is well", |message| message == "READY=1\nSTATUS=1 pipeline");
    await_that("the status says that it is not any more", || !is_kept());
    stop(running);
}

#[test]
fn an_engine_yaml_that_is_broken_changes_nothing_and_a_good_one_what_it_can() {
    let device = Device::new();
    // It has no destination of its own.
    let mut spec = every_second("shared", &plant::to_url(&device.platform.url()));
    spec.as_object_mut().expect("an object").remove("destination");
    device.workspace.spec("specs/shared.yaml", &spec);
    let (first, second) = (Platform::start(), Platform::start());
    let config = |platform: &Platform, more: &str| {
        let destination = plant::to_url(&platform.url());
        device.workspace.write("engine.yaml", format!("version: 1\ndestination: {destination}\n{more}"));
    };
    config(&first, "");
    let mut running = device.workspace.start(&["run"]);
    running.event("delivered", "shared");
    device.workspace.write("engine.yaml", "version: one\n");
    let broken = running.event("spec_broken", "");
    assert!(broken["message"].as_str().is_some_and(|message| message.contains("engine.yaml:1")), "{broken}");
    running.event("reload_failed", "");
    device.plant.orders(11..13);
    await_that("everything goes on as before", || first.state().len() == 12);
    let restarts = "state: { url: sqlite://other.db }\nlog: { level: debug }\ntelemetry: { otlp: { url: http://c } }\n";
    config(&second, restarts);
    let told = running.event("needs_restart", "");
    let message = told["message"].as_str().expect("a text");
    assert!(message.contains("`state`, `log`, `telemetry`"), "{message}");
    running.event("reloaded", "");
    device.plant.orders(13..15);
    await_that("the new destination is used", || second.state().len() == 2);
    assert!(!device.workspace.path("other.db").exists());
    stop(running);
}

#[test]
fn a_folder_that_is_empty_stops_nothing() {
    let device = Device::new();
    let mut running = device.start();
    // As where a share is not mounted any more.
    std::fs::rename(device.workspace.path("specs/acme.yaml"), device.workspace.path("acme.away")).expect("renamed");
    running.event("reload_failed", "");
    device.plant.orders(11..13);
    running.event("delivered", "acme");
    stop(running);
}

#[test]
fn a_schedule_that_changes_counts_at_once_and_any_other_change_waits_for_the_next_run() {
    let device = Device::new();
    let hourly = |spec: &mut Value| spec["schedule"] = json!({ "every": "1h" });
    device.spec("acme", hourly);
    let mut running = device.start();
    device.spec("acme", |spec| {
        hourly(spec);
        spec["labels"] = json!({ "plant": "north" });
    });
    running.event("spec_changed", "acme");
    device.plant.orders(11..13);
    running.signal("HUP");
    running.event("reloaded", "");
    assert_eq!(device.platform.state().len(), 10, "it is not due");
    device.spec("acme", |spec| spec["schedule"] = json!({ "every": "2h" }));
    running.event("spec_changed", "acme");
    running.event("delivered", "acme");
    assert_eq!(device.platform.state().len(), 12);
    stop(running);
}

#[test]
fn a_delivery_that_is_under_way_ends_before_its_pipeline_does() {
    let device = Device::new();
    let slow = Platform::start();
    slow.script(vec![Fault::Wait(Duration::from_secs(6))]);
    let spec = every_second("slow", &plant::to_url(&slow.url()));
    device.workspace.spec("specs/slow.yaml", &spec);
    let mut running = device.start();
    await_that("the slow platform is asked", || !slow.requests().is_empty());
    std::fs::remove_file(device.workspace.path("specs/slow.yaml")).expect("removed");
    running.event("spec_removed", "slow");
    running.event("pipeline_ended", "slow");
    assert_eq!(slow.state().len(), 10);
    stop(running);
    assert_eq!(device.workspace.engine(&["status", "slow", "-o", "json"]).expect(0).json()[0]["outbox"], 0);
}

#[test]
fn what_a_destination_does_not_take_stays_until_the_spec_comes_back() {
    let device = Device::new();
    let away = Platform::start();
    let later = vec![("Retry-After", "6".to_owned())];
    away.script(vec![Fault::Answer(503, later, String::new()); 1]);
    let spec = every_second("away", &plant::to_url(&away.url()));
    device.workspace.spec("specs/away.yaml", &spec);
    let mut running = device.workspace.start(&["run"]);
    running.event("delivery_waits", "away");
    std::fs::remove_file(device.workspace.path("specs/away.yaml")).expect("removed");
    running.event("pipeline_ended", "away");
    let waits = away.state().len();
    device.workspace.spec("specs/away.yaml", &spec);
    running.event("spec_added", "away");
    await_that("what stayed is delivered", || away.state().len() == 10);
    assert_eq!(waits, 0);
    stop(running);
}

#[test]
fn what_the_process_gave_up_needs_a_restart() {
    let device = Device::new();
    let mut running = device.start();
    let elsewhere = tempfile::tempdir().expect("a folder");
    Plant::new(&elsewhere.path().join("mes.db")).orders(1..11);
    let is_restricted = is_offered(&device.workspace);
    device.spec("new", |spec| spec["source"]["path"] = json!(elsewhere.path().join("mes.db")));
    if is_restricted {
        let told = running.event("needs_restart", "new");
        let message = told["message"].as_str().expect("a text");
        let path = elsewhere.path().canonicalize().expect("it is there");
        assert!(message.contains(&path.display().to_string()), "{message}");
        // What runs already goes on by its old spec.
        device.spec("acme", |spec| spec["source"]["path"] = json!(elsewhere.path().join("mes.db")));
        running.event("spec_kept", "acme");
        device.plant.orders(11..13);
        running.event("delivered", "acme");
    } else {
        running.event("delivered", "new");
    }
    stop(running);
}

/// A ConfigMap of Kubernetes is a link to a folder, and the link is what changes.
#[test]
fn a_folder_that_is_replaced_by_its_link_is_read_anew() {
    let device = Device::new();
    let mount = device.workspace.path("specs");
    let spec = std::fs::read(mount.join("acme.yaml")).expect("read");
    device.workspace.write("specs/..1/acme.yaml", &spec);
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, mount.join(name)).expect("linked");
    link("..1", "..data");
    std::fs::remove_file(mount.join("acme.yaml")).expect("removed");
    link("..data/acme.yaml", "acme.yaml");
    let mut running = device.start();
    let mut changed: Value = serde_json::from_slice(&spec).expect("JSON");
    changed["labels"] = json!({ "plant": "north" });
    device.workspace.write("specs/..2/acme.yaml", changed.to_string());
    link("..2", "..data_tmp");
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("renamed");
    std::fs::remove_dir_all(mount.join("..1")).expect("removed");
    running.event("spec_changed", "acme");
    device.plant.orders(11..13);
    running.event("delivered", "acme");
    let requests = device.platform.requests();
    assert_eq!(requests.last().expect("one").body["labels"], json!({ "plant": "north" }));
    stop(running);
}
