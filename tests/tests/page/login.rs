//! A login that the platform stops taking: everywhere that an operator looks says so, and a new one needs no restart.

use engine_tests::binary::await_that;
use engine_tests::manager::Manager;
use engine_tests::plant;
use engine_tests::platform::Platform;
use serde_json::{Value, json};

use crate::{Site, every_second};

/// Runs, one a second, that end while a delivery is paused: longer than between two looks at the login.
const RUNS_MEANWHILE: usize = 7;

fn status(site: &Site) -> Value {
    site.workspace.engine(&["status", "-o", "json"]).expect(0).json()[0].take()
}

#[test]
fn a_token_that_stops_working_is_told_everywhere_until_its_file_holds_another() {
    let (mut site, platform) = (Site::new(), Platform::start());
    let manager = Manager::at_a_path(&site.workspace);
    site.plant.orders(1..11);
    site.workspace.write("token", "canary-first\n");
    platform.require_header("Authorization", "Bearer canary-first");
    let mut destination = plant::to_url(&platform.url());
    destination["auth"] = json!({ "bearer": { "file": "token" } });
    site.spec(&every_second("acme", &destination));
    site.start_with(&[("NOTIFY_SOCKET", &manager.address)]).event("delivered", "acme");
    assert_eq!(manager.expect("READY=1"), "READY=1\nSTATUS=1 pipeline");

    platform.require_header("Authorization", "Bearer canary-second");
    site.plant.orders(11..21);
    let mut running = site.running.take().expect("it runs");
    let what = "401 Unauthorized";
    let to_do = "check the login of the destination and its rights";
    let paused = running.event("delivery_paused", "acme");
    let message = paused["message"].as_str().expect("a message");
    assert!(message.contains(what) && message.contains(to_do) && paused["retry_at"].is_string(), "{paused}");
    let line = manager.expect("STATUS=1 pipeline, 1 paused: acme: ");
    assert!(line.contains(what) && line.contains(to_do), "{line}");
    let told = site.workspace.engine(&["status"]).expect(0).says("waiting").says(what).says(to_do);
    told.says("delivery is paused, and 10 records wait in the outbox for ").says("; it is tried again at 20");
    let known = status(&site);
    assert_eq!(
        (&known["health"], &known["delivery_paused"], &known["outbox"]),
        (&json!("waiting"), &json!(true), &json!(10))
    );
    assert_eq!(known["delivery_retry"], paused["retry_at"], "{known}");
    await_that("the page says so", || site.get("/").body.contains("1 waiting – engine"));
    for page in ["/", "/pipelines/acme"] {
        site.get(page).is(200).says("delivery is paused, and 10 records wait in the outbox").says(what).says(to_do);
    }
    site.get("/metrics").is(200).says("engine_delivery_paused{pipeline=\"acme\"} 1");

    // Nothing is asked again with a login that was refused, and the source is read all the same.
    for _ in 0..RUNS_MEANWHILE {
        running.event("run_finished", "acme");
    }
    assert_eq!(platform.requests().len(), 2);
    site.workspace.write("token", "canary-second\n");
    assert_eq!(running.event("delivered", "acme")["records"], 10);
    assert_eq!(manager.expect("STATUS="), "STATUS=1 pipeline");
    let known = status(&site);
    assert_eq!(
        (&known["health"], &known["delivery_paused"], &known["outbox"]),
        (&json!("ok"), &json!(false), &json!(0))
    );
    assert_eq!(known["delivery_retry"], Value::Null, "{known}");
    await_that("the page says so", || site.get("/").body.contains("<title>engine</title>"));
    site.get("/metrics").is(200).says("engine_delivery_paused{pipeline=\"acme\"} 0");
    assert_eq!((platform.requests().len(), platform.state().len(), platform.doubles()), (3, 20, 0));
    running.signal("TERM");
    assert!(!running.finish().expect(0).to_string().contains("canary"));
}
