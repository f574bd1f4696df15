//! What the pages show, and what of it a browser would obey.

use engine_tests::binary::await_that;
use engine_tests::plant;
use serde_json::json;

use crate::{Site, every_second};

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{1b}[2J\u{202e}";

#[test]
fn the_fleet_is_shown_and_what_needs_somebody_comes_first() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("a-good", &plant::to_file("runs.ndjson")));
    let mut bad = every_second("z-bad", &plant::to_file("none.ndjson"));
    bad["query"]["sql"] = "SELECT * FROM gibtsnicht".into();
    bad["labels"] = json!({ "site": "aachen" });
    site.spec(&bad);
    let running = site.start();
    running.events(&[("run_failed", "z-bad"), ("delivered", "a-good")]);
    await_that("both are shown", || site.get("/").body.contains("2 pipelines: 1 failing, 1 ok."));
    let page = site.get("/").is(200);
    page.says("<title>1 failing – engine</title>").says("no such table: gibtsnicht").says("site: aachen");
    page.says("Run `engine render` to see the exact statement");
    let place = |part: &str| page.body.find(part).unwrap_or_else(|| panic!("{part} is not in {page:#?}"));
    assert!(place("href=\"/pipelines/z-bad\"") < place("href=\"/pipelines/a-good\""));
    for part in ["<main", "<nav aria-label", "scope=\"col\"", "scope=\"row\"", "<caption>", "lang=\"en\""] {
        page.says(part);
    }
    site.get("/pipelines/other").is(404);
    site.get("/pipelines/").is(404);
    site.get("/pipelines/../../etc/passwd").is(404);
}

#[test]
fn a_pipeline_is_shown_with_its_run_and_its_statement() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    let mut spec = plant::orders("acme", &plant::to_file("runs.ndjson"));
    spec["description"] = "Orders of the plant".into();
    site.spec(&spec);
    site.start().event("run_finished", "acme");
    // The state tells of a run a moment before the service counts it among the last ones.
    await_that("it has run", || site.get("/pipelines/acme").body.contains("data-name=\"outcome\""));
    let page = site.get("/pipelines/acme").is(200);
    page.says("<h2 id=\"recent\">Last runs</h2>").says("data-name=\"outcome\"><div>ok</div>");
    page.says("Orders of the plant").says("WHERE von &gt;= ?").says("-- 1: ").says("Nothing waits to be sent.");
}

#[test]
fn the_page_follows_the_specs_while_the_service_runs() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("run_finished", "acme");
    site.get("/pipelines/later").is(404);
    site.spec(&every_second("later", &plant::to_file("more.ndjson")));
    site.workspace.write("acme.spec.yaml", "version: [");
    await_that("the new one is there", || site.get("/").body.contains("2 pipelines"));
    await_that("the new one has its page", || site.get("/pipelines/later").status == 200);
    await_that("what is broken is said", || {
        site.get("/pipelines/acme").body.contains("the pipeline goes on as before")
    });
    std::fs::remove_file(site.workspace.path("later.spec.yaml")).expect("a file");
    await_that("what is gone has none any more", || site.get("/pipelines/later").status == 404);
}

#[test]
fn the_newest_runs_are_on_a_time_line() {
    let mut site = Site::new();
    let at = |minutes| format!("strftime('%Y-%m-%d %H:%M:%S', 'now', '-{minutes} minutes')");
    site.plant.execute(&format!(
        "INSERT INTO buchung VALUES (1, '4711', '25-1002', 'M1', 'A', {}), (2, '4711', '25-1002', 'M1', 'E', {}),
                                    (3, '4712', '25-1003', 'M2 <b>', 'A', {})",
        at(90),
        at(30),
        at(45)
    ));
    let mut spec = plant::bookings("acme", &plant::to_file("runs.ndjson"));
    spec["source"]["timezone"] = "UTC".into();
    site.spec(&spec);
    site.start().event("delivered", "acme");
    await_that("the runs are shown", || site.get("/pipelines/acme").body.contains("<svg class=\"tl\""));
    let page = site.get("/pipelines/acme").is(200);
    page.says("aria-label=\"machine M2 &lt;b&gt;\"").says("4711, product 25-1002, on M1: ");
    page.says("4712, product 25-1003, on M2 &lt;b&gt;: live since");
    assert!(!page.body.contains("Runs without a label"), "{page:#?}");
    assert!(!page.body.contains("<style"), "{page:#?}");
}

#[test]
fn a_run_whose_order_the_ledger_does_not_keep_has_no_label_and_that_is_said() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("delivered", "acme");
    await_that("the runs are shown", || site.get("/pipelines/acme").body.contains("<svg class=\"tl\""));
    let page = site.get("/pipelines/acme").is(200);
    page.says("a run on M").says("Runs without a label are rows as they were read");
    assert!(!page.body.contains("?, product"), "{page:#?}");
}

#[test]
fn a_browser_obeys_nothing_that_a_database_says() {
    let mut site = Site::new();
    let hostile = HOSTILE.replace('\'', "''");
    site.plant.orders(1..4);
    site.plant.execute(&format!(
        "UPDATE auftrag SET mnr = '{hostile}', anr = '{hostile}' WHERE id = 1;
         UPDATE auftrag SET von = '{hostile}' WHERE id = 2"
    ));
    // Nothing listens there, so the records wait.
    let mut spec = every_second("acme", &plant::to_url("http://127.0.0.1:9"));
    spec["labels"] = json!({ "site": HOSTILE.replace(['\u{1b}', '\u{202e}'], "") });
    site.spec(&spec);
    site.start().event("delivery_waits", "acme");
    await_that("the records wait", || site.get("/pipelines/acme").body.contains("What is sent next"));
    for path in ["/", "/pipelines/acme"] {
        let page = site.get(path).is(200);
        for obeyed in ["<script>alert", "<img", "\u{1b}", "\u{202e}"] {
            assert!(!page.body.contains(obeyed), "{path}: {obeyed:?} is in {page:#?}");
        }
        page.says("&lt;script&gt;alert(1)&lt;/script&gt;");
    }
    site.get("/pipelines/acme").says("time_unparsable").says("\\u{1b}[2J");
}

#[test]
fn no_more_is_shown_than_can_be_read() {
    let mut site = Site::new();
    site.plant.orders(1..101);
    let long = "x".repeat(1_000);
    site.plant.execute(&format!("UPDATE auftrag SET von = '{long}' WHERE id <= 60"));
    site.plant.execute(&format!("UPDATE auftrag SET anr = '{long}' WHERE id > 60"));
    site.spec(&every_second("acme", &plant::to_url("http://127.0.0.1:9")));
    site.start().event("delivery_waits", "acme");
    await_that("the records wait", || site.get("/pipelines/acme").body.contains("What is sent next"));
    let page = site.get("/pipelines/acme").is(200);
    page.says("Rows and records, newest first: 50 of 60");
    assert_eq!(page.body.matches(">upsert<").count(), 10, "{page:#?}");
    assert!(page.body.contains(&"x".repeat(290)) && !page.body.contains(&"x".repeat(301)), "{page:#?}");
}
