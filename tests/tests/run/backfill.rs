//! `engine backfill`: history that is older than what the schedule reads.

use std::time::Duration;

use engine_tests::binary::{Outcome, Workspace, await_that};
use engine_tests::dialects::{POSTGRES, insert_for, spec};
use engine_tests::platform::{Fault, Platform};
use engine_tests::promises::{Tally, kept};
use engine_tests::proxy::{Mode, Proxy};
use engine_tests::{plant, servers};
use serde_json::{Value, json};

use super::Site;

/// Days of March of which the plant has bookings.
const DAYS: i64 = 20;
/// Runs of a day.
const RUNS: i64 = 12;

/// A plant with a history of bookings: runs of an hour on three machines, some of which go on past midnight.
fn site() -> Site {
    let site = Site::bookings().with(|spec| {
        spec["sync"] = json!({ "lookback": "3d" });
        spec["destination"]["batch"] = json!({ "max_records": 5 });
    });
    for day in 1..=DAYS {
        for run in 0..RUNS {
            let id = (day * RUNS + run) * 2;
            let begin = format!("'2025-03-{day:02}', '+{} minutes'", run * 118);
            site.plant.execute(&format!(
                "INSERT INTO buchung VALUES
                 ({id}, '{id}', 'p', 'M{machine}', 'A', strftime('%Y-%m-%d %H:%M:%S', {begin})),
                 ({id} + 1, '{id}', 'p', 'M{machine}', 'E', strftime('%Y-%m-%d %H:%M:%S', {begin}, '+150 minutes'))",
                machine = run % 3,
            ));
        }
    }
    site.workspace.spec("acme.yaml", &site.spec);
    site
}

const NOW: &str = "2025-03-20T23:00:00Z";
const FROM: &str = "2025-03-01";

fn backfill(site: &Site, more: &[&str]) -> Outcome {
    let args = ["backfill", "acme.yaml", "--from", FROM, "--now", NOW, "-o", "json"];
    site.workspace.engine(&[&args[..], more].concat())
}

/// What one run with a window over all of it delivers.
fn all_at_once(site: &Site) -> std::collections::BTreeMap<String, Value> {
    let mut whole = Site::bookings();
    whole.now = NOW.to_owned();
    whole.spec = site.spec.clone();
    whole.spec["sync"]["lookback"] = json!("90d");
    whole.spec["source"]["path"] = site.plant.path().to_string_lossy().into();
    whole.spec["destination"]["url"] = whole.platform.url().into();
    whole.well();
    whole.platform.state()
}

#[test]
fn the_schedule_and_a_backfill_together_are_one_run() {
    let mut site = site();
    site.now = NOW.to_owned();
    site.well();
    let by_the_schedule = site.platform.state().len();
    let remembered = || site.workspace.engine(&["state", "export", "acme"]).expect(0).stdout;
    let before = remembered();

    let looked = backfill(&site, &[]).expect(0).json();
    assert_eq!((site.platform.state().len(), &looked["sent"]), (by_the_schedule, &json!(false)));
    let all = all_at_once(&site);
    assert_eq!(looked["total"]["send"], json!(all.len() - by_the_schedule), "{looked}");
    assert_eq!(looked["slices"].as_array().map(Vec::len), Some(17), "{looked}");
    assert_eq!(looked["records"].as_array().map(Vec::len), Some(5), "{looked}");

    let sent = backfill(&site, &["--yes"]).expect(0).json();
    assert_eq!((&sent["total"], &sent["sent"]), (&looked["total"], &json!(true)));
    assert_eq!(site.platform.state(), all);
    assert_eq!((site.platform.records(), site.platform.doubles()), (all.len(), 0));
    site.platform.assert_contract();
    // Nothing of the pipeline's own was touched.
    assert_eq!(remembered(), before);
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));

    // Once more: it is remembered what is done, and what is begun anew is no repetition to the platform.
    let requests = site.platform.requests().len();
    let again = backfill(&site, &["--yes"]).expect(0).json();
    assert_eq!((&again["finished_before"], &again["total"]["send"]), (&json!(17), &json!(0)), "{again}");
    assert_eq!(site.platform.requests().len(), requests);
    backfill(&site, &["--yes", "--restart"]).expect(0);
    let keys: std::collections::BTreeSet<String> =
        site.platform.requests().iter().map(|request| request.key().to_owned()).collect();
    assert_eq!(keys.len(), site.platform.requests().len(), "every parcel has a key of its own");
    assert_eq!(site.platform.state(), all);
}

#[test]
fn a_dry_run_keeps_nothing_and_the_schedule_keeps_its_own() {
    let site = site();
    let text = site.workspace.engine(&["backfill", "acme.yaml", "--from", FROM, "--to", "2026-01-01", "--now", NOW]);
    let text = text.expect(0).says("`--to` is cut there").says("17 slices of 1d").says("nothing was sent or kept");
    text.says("2025-03-01 00:00:00 to 2025-03-18 00:00:00 (Europe/Berlin)").says("the first of them");
    assert!(!site.workspace.path(".engine").exists(), "a dry run leaves no state");
    assert_eq!(site.platform.requests().len(), 0);
}

#[test]
fn a_call_that_is_cut_off_is_gone_on_with() {
    let site = site();
    let all = all_at_once(&site);
    // Three parcels make a slice: two slices, and the first parcel of the third.
    site.platform.script((0..7).map(|_| Fault::Serve).chain([Fault::status(401)]).collect());
    let refused = backfill(&site, &["--yes"]).expect(3).says("the same command goes on from here");
    assert_eq!(refused.json()["slices"].as_array().map(Vec::len), Some(2), "{refused}");
    assert_eq!(site.platform.records(), 29);
    let tried = site.platform.requests();
    let again = backfill(&site, &["--yes"]).expect(0).json();
    assert_eq!(again["finished_before"], 2, "{again}");
    assert_eq!(site.platform.requests()[8].key(), tried[7].key(), "the parcel that was refused comes again as it was");
    let sent = site.platform.state();
    assert!(sent.iter().all(|(id, run)| all.get(id) == Some(run)));
    assert_eq!(sent.len(), site.platform.records(), "nothing was sent twice");
}

/// The schedule begins later than it would have when history was filled: what lies between is no hole.
#[test]
fn a_slice_that_the_schedule_cut_short_is_completed() {
    let mut site = site();
    let at = |now: &str| {
        let args = ["backfill", "acme.yaml", "--from", FROM, "--slice", "7d", "--yes", "-o", "json", "--now", now];
        site.workspace.engine(&args).expect(0).json()
    };
    let first = at("2025-03-18T09:00:00Z");
    assert_eq!(first["slices"][2]["to"], "2025-03-15T09:00:00Z", "{first}");
    let records = site.platform.records();
    let second = at("2025-03-19T21:00:00Z");
    assert_eq!((&second["finished_before"], second["slices"].as_array().map(Vec::len)), (&json!(2), Some(3)));
    assert_eq!(site.platform.records() - records, 18, "the runs of a day and a half, and nothing again");
    site.now = "2025-03-19T21:00:00Z".to_owned();
    site.well();
    let whole = all_at_once(&site);
    let sent = site.platform.state();
    let expected: Vec<_> = whole.keys().filter(|id| whole[*id]["start"].as_str() < Some("2025-03-19T21:00")).collect();
    assert!(expected.iter().all(|id| sent.contains_key(*id)), "there is a hole");
}

#[test]
fn two_processes_share_the_slices() {
    let mut site = site();
    // The first request stalls: whoever sent it is busy until it gives up.
    site.spec["destination"]["timeouts"] = json!({ "query": "4s" });
    site.workspace.spec("acme.yaml", &site.spec);
    site.platform.script(vec![Fault::Stall]);
    let args = ["backfill", "acme.yaml", "--from", FROM, "--now", NOW, "--yes", "-o", "json"];
    let one = site.workspace.start(&args);
    await_that("the first request came", || !site.platform.requests().is_empty());
    let other = site.workspace.start(&args);
    let (one, other) = (one.finish().expect(0), other.finish().expect(0));
    let mine = |outcome: &Outcome| outcome.events("slice_sent").len();
    assert_eq!(mine(&one) + mine(&other), 17, "every slice is done once\n{one}\n{other}");
    assert!(mine(&one) > 0 && mine(&other) > 0, "one process did all of it\n{one}\n{other}");
    let all = all_at_once(&site);
    let sent = site.platform.state();
    let expected = all.iter().filter(|(_, run)| run["start"].as_str() < Some("2025-03-17T23:00:00Z"));
    let losses = expected.filter(|(id, run)| sent.get(*id) != Some(run)).count() as u64;
    let duplicates = (site.platform.records() - sent.len()) as u64;
    let tally = Tally { histories: 1, faults: 1, losses, duplicates };
    kept("Nothing lost, nothing doubled", "two_processes_share_the_slices", tally);
    assert_eq!((losses, duplicates), (0, 0));
}

#[test]
fn a_signal_ends_it_after_the_parcel_and_the_rest_follows() {
    let site = site();
    site.platform.script(vec![Fault::Serve, Fault::Serve, Fault::Drip]);
    let running = site.workspace.start(&["backfill", "acme.yaml", "--from", FROM, "--now", NOW, "--yes", "-o", "json"]);
    await_that("two parcels came", || site.platform.requests().len() >= 2);
    running.signal("TERM");
    let outcome = running.finish();
    // It may have been done by then.
    if outcome.code() != Some(0) {
        outcome.expect(1).says("the same command goes on from here");
    }
    backfill(&site, &["--yes"]).expect(0);
    assert_eq!(site.platform.records(), site.platform.state().len(), "nothing was sent twice");
    assert_eq!(site.platform.doubles(), 0);
}

#[test]
fn what_is_refused_is_told_and_counted() {
    let site = site();
    let ids: Vec<String> = all_at_once(&site)
        .into_iter()
        .filter(|(_, run)| run["start"].as_str() < Some("2025-03-15"))
        .map(|(id, _)| id)
        .collect();
    site.platform.reject_records([ids[3].as_str()]);
    site.plant.execute("UPDATE buchung SET kenn = 'X' WHERE id IN (50, 51)");
    let outcome = backfill(&site, &["--yes"]).expect(1);
    let report = outcome.json();
    assert_eq!((&report["refused"], &report["total"]["rejected"]), (&json!(1), &json!({ "unmapped": 2 })), "{report}");
    assert!(report["refusals"][0].as_str().is_some_and(|told| told.contains(&ids[3])), "{report}");
    backfill(&site, &["--yes"]).expect(1);
    site.platform.reject_records([]);
    backfill(&site, &["--yes", "--restart"]).expect(0);

    // A slice of which too much is rejected is not sent; the others are.
    let site = self::site().with(|spec| spec["max_rejected"] = json!("20%"));
    site.workspace.spec("acme.yaml", &site.spec);
    site.plant.execute("UPDATE buchung SET kenn = 'X' WHERE zeit >= '2025-03-02' AND zeit < '2025-03-03'");
    let report = backfill(&site, &["--yes", "--overlap", "4h"]).expect(1).json();
    let failed: Vec<&Value> =
        report["slices"].as_array().expect("slices").iter().filter(|slice| slice["state"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{report}");
    assert!(failed[0]["failure"].as_str().is_some_and(|why| why.contains("`max_rejected: 20%`")), "{report}");
    site.plant.execute("UPDATE buchung SET kenn = CASE id % 2 WHEN 0 THEN 'A' ELSE 'E' END");
    let report = backfill(&site, &["--yes", "--overlap", "4h"]).expect(0).json();
    assert_eq!(report["finished_before"], 16, "{report}");
}

#[test]
fn what_cannot_be_filled_is_said() {
    let site = site();
    let check = |args: &[&str], code: i32, says: &str| {
        let outcome = site.workspace.engine(&[&["backfill", "acme.yaml", "--now", NOW], args].concat());
        outcome.expect(code).says(says);
    };
    check(&[], 2, "--from");
    check(&["--from", "gestern"], 2, "`gestern` is neither an instant nor a local date");
    check(&["--from", "2025-03-05", "--to", "2025-03-05"], 2, "does not lie after --from");
    check(&["--from", "2025-04-01"], 2, "lies in the future");
    check(&["--from", "2025-03-19"], 2, "looked after by the schedule");
    check(&["--from", FROM, "--slice", "0s"], 2, "one second at least");
    check(&["--from", FROM, "--slice", "bald"], 2, "is not a period");
    check(&["--from", "0100-01-01", "--slice", "1s"], 2, "more than 10000 slices");
    check(&["--from", FROM, "--restart"], 2, "--yes");
    site.plant.execute("DROP TABLE buchung");
    check(&["--from", FROM], 1, "no such table");

    let refused = |change: &dyn Fn(&mut Value), says: &str| {
        let mut spec = site.spec.clone();
        change(&mut spec);
        site.workspace.spec("other.yaml", &spec);
        let outcome = site.workspace.engine(&["backfill", "other.yaml", "--from", FROM, "--now", NOW]);
        outcome.expect(2).says(says);
    };
    refused(
        &|spec| {
            spec["query"]["sql"] = "SELECT * FROM buchung".into();
            spec["sync"] = json!({ "mode": "full" });
        },
        "every run reads all there is",
    );
    refused(
        &|spec| {
            spec["query"]["sql"] = "SELECT * FROM buchung WHERE id > {{ cursor.id }}".into();
            spec["sync"] = json!({ "mode": "cursor", "cursor": ["id"] });
        },
        "state reset acme --what cursor",
    );
    refused(
        &|spec| {
            spec["source"] = json!({ "type": "csv", "path": ".", "timezone": "Europe/Berlin" });
            spec.as_object_mut().expect("a spec").shift_remove("query");
        },
        "a folder of CSV files cannot be filled from",
    );
}

#[test]
fn another_database_or_another_key_is_noticed_first() {
    let mut site = site();
    site.now = NOW.to_owned();
    site.well();
    let sent = site.platform.requests().len();
    site.spec["key"] = json!(["anr", "kenn"]);
    site.workspace.spec("acme.yaml", &site.spec);
    backfill(&site, &["--yes"]).expect(2).says("gives records new ids").says("approve acme --dry-run");
    site.spec["key"] = json!(["id"]);
    std::fs::copy(site.plant.path(), site.workspace.path("other.db")).expect("is copied");
    site.spec["source"]["path"] = "other.db".into();
    site.workspace.spec("acme.yaml", &site.spec);
    let outcome = backfill(&site, &["--yes"]).expect(1).says("the source is not the database of before");
    outcome.says("run the pipeline `acme`");
    assert_eq!(site.platform.requests().len(), sent);
}

/// A history has hundreds of slices, and a login for each would be dear to both sides.
#[test]
fn slices_share_their_connections_until_a_secret_is_another() {
    let server = servers::postgres();
    server.execute(&format!("{}; {}", POSTGRES.table, insert_for(&POSTGRES, 1..501)));
    for is_rotated in [false, true] {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let doors = [server.port, platform.port()].map(|port| Proxy::start(port, Mode::Open));
        let url = platform.url().replace(&platform.port().to_string(), &doors[1].port().to_string());
        let mut spec = spec(&POSTGRES, &server, doors[0].port(), &plant::to_url(&url));
        spec["source"]["password"] = json!({ "file": "password" });
        workspace.write("password", &server.password);
        workspace.spec("acme.yaml", &spec);
        platform.script(vec![Fault::Wait(Duration::from_secs(if is_rotated { 3 } else { 0 }))]);
        let args =
            ["--from", "2025-03-29", "--to", "2025-03-30", "--slice", "4h", "--now", "2025-05-01T00:00:00Z", "--yes"];
        let filling = workspace.start(&[&["backfill", "acme.yaml"], &args[..]].concat());
        await_that("the first slice is sent", || !platform.requests().is_empty());
        if is_rotated {
            server.execute(&format!("ALTER ROLE \"{}\" PASSWORD 'canary-second'", server.username));
            workspace.write("password", "canary-second");
        }
        filling.finish().expect(0).says("500 records sent");
        assert_eq!((platform.state().len(), platform.records()), (500, 500));
        let logins = 1 + usize::from(is_rotated);
        assert_eq!(doors.map(|door| door.knocks()), [logins; 2], "rotated: {is_rotated}");
    }
}
