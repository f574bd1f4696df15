//! Bundles: taken, refused, tried, rolled back, and none at all.

use std::time::Duration;

use engine_tests::binary::await_that;
use serde_json::{Value, json};

use crate::{Site, message, stop};

/// The spec with a statement that the source refuses.
fn refused(mut spec: Value) -> Value {
    spec["query"]["sql"] = "SELECT * FROM gibtsnicht".into();
    spec
}

fn labelled(mut spec: Value, label: &str) -> Value {
    spec["labels"] = json!({ "plant": label });
    spec
}

#[test]
fn new_specs_are_taken_and_those_of_before_come_back_when_they_fail() {
    let site = Site::with_tls();
    site.config(|_| {});
    site.publish(1, &[site.spec("acme"), site.spec("other")]);
    let mut running = site.start();
    assert_eq!(running.event("specs_taken", "")["version"], "1");
    running.event("delivered", "acme");
    running.event("run_finished", "other");
    await_that("both have delivered", || site.platform.state().len() == 20);

    // A good one is on trial until all that ran well has run well again.
    site.publish(2, &[labelled(site.spec("acme"), "north"), site.spec("other")]);
    assert!(message(&running.event("specs_taken", "")).ends_with("in use, on trial"));
    running.event("specs_trusted", "");
    site.plant.orders(11..12);
    running.event("delivered", "acme");
    let sent = site.platform.requests();
    let last = sent.iter().rfind(|request| request.body["pipeline"] == "acme").expect("a delivery");
    assert_eq!(last.body["labels"], json!({ "plant": "north" }));

    // One that the source refuses is rolled back, and everything goes on.
    site.publish(3, &[refused(site.spec("acme")), site.spec("other")]);
    assert_eq!(running.event("specs_taken", "")["version"], "3");
    let told = running.event("specs_rolled_back", "");
    assert!(message(&told).contains("specs 3 were rolled back") && message(&told).contains("gibtsnicht"), "{told}");
    running.event("run_finished", "acme");
    site.plant.orders(12..13);
    running.event("delivered", "acme");
    let status = site.status();
    assert!(status.contains("specs: 2, made at 2026-01-01T00:00:02Z"), "{status}");
    assert!(status.contains("specs 3 were rolled back and are not taken again: acme: "), "{status}");
    let looks = site.asked("GET").len();
    await_that("it has looked again", || site.asked("GET").len() > looks + 1);

    // A service that has looked again still says so.
    let status = site.status();
    assert!(status.contains("specs 3 were rolled back"), "{status}");
    stop(running);

    // Not after a restart either, which begins by those that are in use.
    let mut running = site.start();
    running.event("run_finished", "acme");
    await_that("it has looked again", || site.asked("GET").len() > looks + 3);
    assert!(site.status().contains("specs: 2, "), "{}", site.status());

    // What puts it right is taken.
    site.publish(4, &[labelled(site.spec("acme"), "south"), site.spec("other")]);
    assert_eq!(running.event("specs_taken", "")["version"], "4");
    running.event("specs_trusted", "");
    stop(running);
    let sets = std::fs::read_dir(site.workspace.path(".engine/fleet/sets")).expect("listed").count();
    assert_eq!(sets, 2, "what leads nowhere is removed");
    site.platform.assert_contract();
}

#[test]
fn what_is_tampered_with_older_or_broken_is_refused_and_everything_goes_on() {
    let site = Site::new();
    site.config(|_| {});
    site.workspace.engine(&["bundle", "--new-key", "foreign"]).expect(0);
    site.publish(5, &[site.spec("acme")]);
    let mut running = site.start();
    running.event("delivered", "acme");
    let good = site.bundle.lock().expect("no panic").clone();

    let specs = [labelled(site.spec("acme"), "north")];
    site.publish_at(6, "2026-01-01T00:00:06Z", "foreign", &specs);
    assert!(message(&running.event("specs_not_taken", "")).contains("not among the keys of this device"));
    let mut torn = good.clone();
    torn.truncate(good.len() / 2);
    site.hold(torn);
    assert!(message(&running.event("specs_not_taken", "")).contains("is not taken"));
    site.publish(4, &specs);
    assert!(message(&running.event("specs_not_taken", "")).contains("were made at 2026-01-01T00:00:04Z, before"));
    site.hold(Vec::new());
    assert!(message(&running.event("specs_not_taken", "")).contains("404"));
    assert!(site.status().contains("404"), "{}", site.status());

    // A server that has again what it had is no reason for anything.
    site.hold(good);
    running.event("specs_current", "");
    assert!(!site.status().contains("404"), "{}", site.status());
    site.plant.orders(11..13);
    assert_eq!(running.event("delivered", "acme")["records"], 2);
    stop(running);

    // Whoever says so goes back.
    site.config(|config| config["fleet"]["specs"]["allow_older"] = true.into());
    site.publish(4, &specs);
    let mut running = site.start();
    assert_eq!(running.event("specs_taken", "")["version"], "4");
    stop(running);
}

#[test]
fn an_unchanged_bundle_is_asked_for_by_its_tag_and_costs_nothing() {
    let site = Site::new();
    site.config(|_| {});
    site.publish(1, &[site.spec("acme")]);
    let mut running = site.start();
    running.event("delivered", "acme");
    await_that("it has looked some times", || site.asked("GET").len() > 3);
    let asked = site.asked("GET");
    assert!(asked.iter().skip(1).all(|asked| asked.headers.contains_key("if-none-match")), "{asked:#?}");
    site.workspace.engine(&["status"]).expect(0);
    stop(running);
}

#[test]
fn only_one_process_pulls_into_a_folder() {
    let site = Site::new();
    site.config(|config| config["fleet"]["specs"]["every"] = "52w".into());
    site.publish(1, &[site.spec("acme")]);
    let mut running = site.start();
    running.event("delivered", "acme");
    // It looks again within some weeks.
    site.publish(2, &[labelled(site.spec("acme"), "north")]);
    let once = site.workspace.engine(&["run", "--once"]);
    assert!(once.stderr.contains("another engine with the same state pulls the specs"), "{once}");
    assert!(site.status().contains("specs: 1, "), "{}", site.status());
    stop(running);
    site.workspace.engine(&["run", "--once"]).expect(0);
    assert!(site.status().contains("specs: 2, "), "{}", site.status());
}

#[test]
fn a_device_begins_with_what_it_has_when_nobody_can_be_asked() {
    let mut site = Site::new();
    site.config(|_| {});
    let once = site.workspace.engine(&["run", "--once"]).expect(3);
    assert!(once.stderr.contains("404"), "{once}");
    // A service waits for its first specs.
    let mut running = site.start();
    let told = running.event("specs_not_taken", "");
    assert!(message(&told).contains("404") && message(&told).ends_with("nothing runs until there are specs"), "{told}");
    site.publish(1, &[site.spec("acme")]);
    running.event("delivered", "acme");
    stop(running);
    site.server = None;
    site.plant.orders(11..13);
    let mut running = site.start();
    let told = running.event("specs_not_taken", "");
    assert!(message(&told).contains("everything goes on by the specs of before"), "{told}");
    await_that("what is new is delivered", || site.platform.state().len() == 12);
    stop(running);
    site.workspace.engine(&["run", "--once"]).expect(0);
}

#[test]
fn what_is_neither_signed_nor_pinned_is_refused_and_a_pin_is_enough() {
    let site = Site::new();
    let url = site.url();
    let unsigned = site.workspace.engine(&["run", "--once", "--specs-from", &url]).expect(2);
    assert!(unsigned.stderr.contains("neither signed nor pinned"), "{unsigned}");
    let made = site.make("1", "2026-01-01T00:00:01Z", "key", &[site.spec("acme")]).expect(0);
    site.hold(std::fs::read(site.workspace.path("made.tar.gz")).expect("a bundle"));
    let pin = made.stdout.lines().last().expect("a hash").to_owned();
    let wrong = format!("{url}#sha256={}", "0f".repeat(32));
    let refused = site.workspace.engine(&["run", "--once", "--specs-from", &wrong]).expect(2);
    assert!(refused.stderr.contains("it is pinned to 0f0f"), "{refused}");
    let pinned = format!("{url}#{pin}");
    site.workspace.engine(&["run", "--once", "--specs-from", &pinned]).expect(0);
    assert_eq!(site.platform.state().len(), 10);
    site.workspace.engine(&["run", "--once", "--specs-from", &url, "--specs-key", &site.key]).expect(0);
}

#[test]
fn nothing_is_made_of_specs_that_are_not_valid() {
    let site = Site::new();
    site.workspace.write("broken/acme.yaml", "version: 1\nid: acme\n");
    let outcome = site.workspace.engine(&["bundle", "broken", "--key", "key"]).expect(2);
    assert!(outcome.stderr.contains("nothing is made of broken: acme.yaml:1:1"), "{outcome}");
    let same = site.workspace.engine(&["bundle", "--new-key", "key"]).expect(3);
    assert!(same.stderr.contains("never overwritten"), "{same}");
    let (first, second) =
        (site.make("1", "2026-01-01T00:00:01Z", "key", &[site.spec("acme")]), site.workspace.path("made.tar.gz"));
    first.expect(0);
    let bytes = std::fs::read(&second).expect("a bundle");
    std::thread::sleep(Duration::from_millis(1100));
    site.make("1", "2026-01-01T00:00:01Z", "key", &[site.spec("acme")]).expect(0);
    assert_eq!(std::fs::read(&second).expect("a bundle"), bytes, "the same bytes at another time");
}

#[test]
fn killed_while_specs_change_a_device_begins_with_a_whole_set() {
    let site = Site::new();
    site.config(|_| {});
    site.publish(1, &[site.spec("acme")]);
    stop_after_first_delivery(&site);
    for round in 0..8_u32 {
        site.publish(2 + round, &[labelled(site.spec("acme"), &round.to_string())]);
        let mut running = site.start();
        running.event("started", "");
        // The first look comes within a tenth of a second.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 25));
        assert!(running.kill(), "it was at work");
        let outcome = site.workspace.engine(&["status"]).expect(0);
        assert!(outcome.stdout.contains("specs: "), "{outcome}");
    }
    site.plant.orders(11..13);
    let mut running = site.start();
    assert_eq!(running.event("delivered", "acme")["records"], 2);
    await_that("the newest is in use", || site.status().contains("specs: 9, "));
    stop(running);
    site.platform.assert_contract();
}

fn stop_after_first_delivery(site: &Site) {
    let mut running = site.start();
    running.event("delivered", "acme");
    stop(running);
}
