//! A platform that fails in every way it can, through the binary.

use std::net::TcpListener;

use engine_tests::platform::Fault;
use serde_json::json;

use crate::Site;

fn site(rows: i64) -> Site {
    let site = Site::orders().with(|spec| spec["destination"]["batch"] = json!({ "max_records": 10 }));
    site.plant.orders(1..rows + 1);
    site
}

#[test]
fn passing_faults_lose_nothing_and_double_nothing() {
    for (name, faults) in [
        ("503", vec![Fault::status(503), Fault::Serve, Fault::status(503), Fault::status(503)]),
        ("429", vec![Fault::Serve, Fault::too_many(1)]),
        ("cut after apply", vec![Fault::CutAfterApply, Fault::Serve, Fault::CutMidAnswer]),
        ("cut before apply", vec![Fault::CutBeforeBody, Fault::CutMidBody]),
        ("replay", vec![Fault::CutAfterApply, Fault::Conflict]),
        ("too large", vec![Fault::status(413), Fault::Drip]),
    ] {
        let site = site(30);
        site.platform.script(faults);
        assert_eq!(site.well().0, 30, "{name}");
        assert_eq!(site.platform.state().len(), 30, "{name}");
        assert_eq!((site.platform.records(), site.platform.doubles()), (30, 0), "{name}: applied once");
        let status = site.status();
        assert_eq!((&status["health"], &status["outbox"]), (&json!("ok"), &json!(0)), "{name}");
        site.converged();
    }
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again_under_the_same_key() {
    let site = site(10);
    site.platform.script(vec![Fault::CutAfterApply]);
    site.well();
    let requests = site.platform.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].key(), requests[1].key());
    assert_eq!(site.platform.replays(), 1);
}

#[test]
fn retry_after_is_obeyed() {
    let site = site(10);
    site.platform.script(vec![Fault::too_many(2)]);
    let began = std::time::Instant::now();
    site.well();
    assert!(began.elapsed().as_secs() >= 2, "sent again after {:?}", began.elapsed());
    // Longer than a single run waits: what is undelivered stays, the reason is told, and the next run delivers.
    site.plant.orders(11..21);
    site.platform.script(vec![Fault::too_many(3_000)]);
    let began = std::time::Instant::now();
    site.once().expect(3).says("429").says("waits in the outbox");
    assert!(began.elapsed().as_secs() < 30);
    let status = site.status();
    assert_eq!((&status["health"], &status["outbox"]), (&json!("waiting"), &json!(10)), "{status}");
    site.workspace.engine(&["status"]).expect(0).says("waiting").says("10 records wait in the outbox");
    site.well();
    site.converged();
}

#[test]
fn a_refused_login_pauses_the_delivery_and_extraction_goes_on() {
    let mut site = site(10);
    site.workspace.env("TOKEN", "wrong-canary");
    site.spec["destination"]["auth"] = json!({ "bearer": { "env": "TOKEN" } });
    site.platform.require_header("Authorization", "Bearer right");
    let outcome = site.once().expect(3).says("401");
    assert_eq!(outcome.events("delivery_paused").len(), 1, "{outcome}");
    assert_eq!(outcome.events("run_finished").len(), 1, "{outcome}");
    assert_eq!(site.platform.requests().len(), 1, "a refused login is not tried again at once");
    assert_eq!(site.status()["health"], "waiting");
    site.plant.orders(11..21);
    assert_eq!(site.once().expect(3).events("run_finished")[0]["new"], 10);
    site.workspace.env("TOKEN", "right");
    site.well();
    assert_eq!(site.platform.state().len(), 20);
    assert_eq!(site.status()["health"], "ok");
}

#[test]
fn parcels_shrink_to_what_the_platform_takes() {
    let site = Site::orders();
    site.plant.orders(1..201);
    site.platform.limit_bytes(4_000);
    site.well();
    assert_eq!(site.platform.state().len(), 200);
    assert!(site.platform.requests().iter().skip(20).all(|request| request.wire_bytes <= 8_000));
    site.converged();
}

#[test]
fn a_bad_record_is_found_and_heals() {
    let site = site(40);
    let ids: Vec<String> = site.fresh().into_keys().collect();
    let (invalid, unwanted) = (&ids[3], &ids[17]);
    site.platform.refuse_parcels_with([invalid.as_str()]).reject_records([unwanted.as_str()]);
    site.once().expect(0).says("2 records refused by");
    assert_eq!(site.platform.state().len(), 38);
    let status = site.status();
    assert_eq!((&status["quarantine"], &status["outbox"]), (&json!(2), &json!(0)), "{status}");
    site.workspace.engine(&["status"]).expect(0).says("in quarantine");
    // The platform takes them now: they leave the quarantine by themselves.
    site.platform.refuse_parcels_with([]).reject_records([]);
    site.once().expect(0);
    if site.platform.state().len() < 40 {
        // A record that was refused is tried again now and then, or when its row changes.
        site.plant.execute("UPDATE auftrag SET menge = menge + 1");
        site.once().expect(0);
    }
    site.converged();
    assert_eq!(site.status()["quarantine"], 0);
}

#[test]
fn bodies_are_compressed_as_asked() {
    for compression in ["zstd", "gzip", "none"] {
        let site = site(20).with(|spec| spec["destination"]["compression"] = compression.into());
        site.well();
        let expected = (compression != "none").then_some(compression);
        for request in site.platform.requests() {
            assert_eq!(request.headers.get("content-encoding").map(String::as_str), expected);
        }
        site.converged();
    }
}

#[test]
fn a_platform_that_is_down_does_not_stop_extraction() {
    let mut site = site(10);
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    site.spec["destination"]["url"] = format!("http://{closed}/deliveries").into();
    let outcome = site.once().expect(3).says(&closed.to_string()).says("waits in the outbox");
    assert_eq!(outcome.events("run_finished")[0]["new"], 10);
    let status = site.status();
    assert_eq!((&status["health"], &status["outbox"]), (&json!("waiting"), &json!(10)), "{status}");
    // It is up again, under another address.
    site.spec["destination"]["url"] = site.platform.url().into();
    site.plant.orders(11..21);
    assert_eq!(site.well().0, 10);
    assert_eq!(site.platform.state().len(), 20);
    site.converged();
}

#[test]
fn a_source_that_is_down_does_not_stop_the_delivery() {
    let mut site = site(10);
    site.platform.script(vec![Fault::too_many(3_000)]);
    site.once().expect(3);
    std::fs::rename(site.plant.path(), site.workspace.path("away.db")).expect("renamed");
    let outcome = site.once().expect(3).says("mes.db");
    assert_eq!(outcome.events("run_failed").len(), 1, "{outcome}");
    assert_eq!(site.platform.state().len(), 10, "what waited in the outbox was delivered");
    let status = site.status();
    assert_eq!(status["health"], "failing");
    std::fs::rename(site.workspace.path("away.db"), site.plant.path()).expect("renamed");
    assert_eq!(site.well().0, 0);
    site.spec["description"] = "again".into();
    assert_eq!(site.status()["health"], "ok");
}

#[test]
fn one_dead_server_does_not_hold_up_the_other_spec() {
    let site = site(10);
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut dead = site.spec.clone();
    dead["id"] = "dead".into();
    dead["source"] = json!({
        "type": "postgres", "host": "127.0.0.1", "port": closed.port(), "database": "mes", "username": "etl",
        "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
    });
    let mut workspace = site.workspace;
    workspace.env("DB_PASSWORD", "canary");
    workspace.spec("specs/acme.yaml", &site.spec);
    workspace.spec("specs/dead.yaml", &dead);
    std::os::unix::fs::symlink(site.plant.path(), workspace.path("specs/mes.db")).expect("a link");
    let outcome = workspace.engine(&["run", "--once", "--now", &site.now, "specs/"]).expect(3);
    assert_eq!(outcome.events("run_failed")[0]["pipeline"], "dead");
    assert_eq!(outcome.events("delivered")[0]["pipeline"], "acme");
    assert_eq!(site.platform.state().len(), 10);
    let outcome = outcome.says(&format!("127.0.0.1:{}", closed.port()));
    assert!(!outcome.stderr.contains("canary"));
}

#[test]
fn a_full_outbox_stops_extraction_until_the_platform_is_back() {
    let site = site(50);
    site.workspace.write("engine.yaml", "version: 1\nlimits: { outbox: 1KiB }\n");
    site.platform.script(vec![Fault::too_many(3_000)]);
    site.once().expect(3);
    site.plant.orders(51..61);
    site.platform.script(vec![Fault::too_many(3_000)]);
    let outcome = site.once().expect(3).says("the outbox is full: 50 records wait").says("engine status");
    assert_eq!(outcome.events("run_failed").len(), 1, "{outcome}");
    // It is back: what waits is delivered, and the run after that reads on.
    site.once();
    assert_eq!(site.platform.state().len(), 50);
    assert_eq!(site.well().0, 10);
    site.converged();
}

#[test]
fn two_pipelines_share_a_platform_and_their_records_stay_apart() {
    let site = site(10);
    let mut other = site.spec.clone();
    other["id"] = "other".into();
    site.workspace.spec("acme.yaml", &site.spec);
    site.workspace.spec("other.yaml", &other);
    site.workspace.engine(&["run", "--once", "--now", &site.now, "acme.yaml", "other.yaml"]).expect(0);
    assert_eq!(site.platform.state().len(), 20);
}
