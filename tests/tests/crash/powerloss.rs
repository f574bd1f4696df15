//! The power goes at any moment, and the disk keeps what was synced and any part of the rest.
//!
//! A history of the engine is recorded once: the first creation of its state, runs, deliveries, a copy that is exported
//! and imported, a migration. Then the folder of the state is made as it may be found after each of hundreds of power
//! cuts, together with the platform as it was at that moment. `ENGINE_CRASH_IMAGES` says how many,
//! `ENGINE_CRASH_SEED` which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::{Fault, Platform};
use engine_tests::powerloss::{Disk, History, Recorder, moment};
use engine_tests::promises::{self, Tally};
use engine_tests::seed;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::site::differences;

/// Images, where nobody says how many.
const IMAGES_DEFAULT: u64 = 400;
/// One in so many images is given to the engine; all are looked into.
const SAMPLE: u64 = 20;
/// Orders at the beginning.
const ORDERS: i64 = 150;
/// Marks a SQLite file as an engine's state.
const APPLICATION_ID: i32 = 0x454e_474e;
/// Rows of a table that a migration must not lose.
const KEEPSAKES: i64 = 2_000;

const ONCE: [&str; 4] = ["run", "--once", "--now", NOW];
const DEVICE: &str = "version: 1\nspecs: ['acme.yaml']\nstate: { url: sqlite://disk/device/state/state.db }\n";

fn device(url: &str, source: &Path) -> Workspace {
    let workspace = Workspace::new();
    workspace.write("engine.yaml", DEVICE);
    fs::create_dir(workspace.path("disk")).expect("the folder is writable");
    let mut spec = plant::orders("acme", &plant::to_url(url));
    spec["source"]["path"] = source.display().to_string().into();
    spec["destination"]["batch"] = json!({ "max_records": 20 });
    spec["sync"] = json!({ "delete_limit": "100%" });
    workspace.spec("acme.yaml", &spec);
    workspace
}

/// What was recorded, and the world around it.
struct Recorded {
    history: History,
    platform: Platform,
    plant: Plant,
    /// From this moment on, this copy must be there.
    exported: Option<(u64, Vec<u8>)>,
    /// Everything lies in it.
    _folder: tempfile::TempDir,
}

fn start(prepare: impl FnOnce(&Path) -> BTreeMap<String, Vec<u8>>) -> Option<(Workspace, Recorder, Recorded)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plant = Plant::new(&folder.path().join("mes.db"));
    plant.orders(1..ORDERS + 1);
    let platform = Platform::start();
    let mut workspace = device(&platform.url(), plant.path());
    let before = prepare(&workspace.path("disk"));
    let disk = workspace.path("disk");
    let Some(recorder) = Recorder::start(&mut workspace, &disk) else {
        let _ = writeln!(std::io::stderr(), "skipped: power cuts, because no C compiler is here");
        return None;
    };
    let log = recorder.log.clone();
    platform.mark_with(move || moment(&log));
    workspace.engine(&ONCE).expect(0);
    let history = recorder.history(before);
    Some((workspace, recorder, Recorded { history, platform, plant, exported: None, _folder: folder }))
}

/// Changes the source: new rows, corrections, removals.
fn change(plant: &Plant, step: i64) {
    plant.orders(10_000 + step * 20..10_020 + step * 20);
    plant.execute(&format!(
        "UPDATE auftrag SET menge = {step} - 0.5 WHERE id % 23 = {step}; DELETE FROM auftrag WHERE id % 29 = {step}"
    ));
}

/// The first creation, runs, answers that are lost, and a copy that is exported and imported.
fn record_a_life() -> Option<Recorded> {
    let (workspace, recorder, mut recorded) = start(|_| BTreeMap::new())?;
    for step in 0..4 {
        change(&recorded.plant, step);
        recorded.platform.calm().script(vec![Fault::Serve, Fault::CutAfterApply, Fault::Serve, Fault::CutMidAnswer]);
        workspace.engine(&ONCE).expect(0);
    }
    // What waits in the outbox is part of the copy.
    change(&recorded.plant, 4);
    recorded.platform.calm().script(vec![Fault::Serve, Fault::too_many(3_000)]);
    workspace.engine(&ONCE).expect(3);
    workspace.engine(&["state", "export", "acme", "--to", "disk/copy.jsonl"]).expect(0);
    let copy = fs::read(workspace.path("disk/copy.jsonl")).expect("the copy is there");
    recorded.exported = Some((recorder.moment(), copy));
    workspace.engine(&["state", "import", "--replace", "disk/copy.jsonl"]).expect(0);
    recorded.platform.calm();
    change(&recorded.plant, 5);
    workspace.engine(&ONCE).expect(0);
    recorded.history = recorder.history(BTreeMap::new());
    Some(recorded)
}

/// A state of before the first version of the tables, which is copied and changed.
fn record_a_migration() -> Option<Recorded> {
    let prepare = |disk: &Path| {
        let folder = disk.join("device/state");
        fs::create_dir_all(&folder).expect("the folder is writable");
        let file = folder.join("state.db");
        let old = Connection::open(&file).expect("a file can be made");
        let made = old.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID}; CREATE TABLE keepsake (n TEXT);
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {KEEPSAKES})
             INSERT INTO keepsake SELECT 'what must not be lost: ' || n FROM n"
        ));
        made.and_then(|()| old.close().map_err(|(_, failure)| failure)).expect("an old state can be made");
        BTreeMap::from([("device/state/state.db".to_owned(), fs::read(file).expect("it is there"))])
    };
    start(prepare).map(|(_, _, recorded)| recorded)
}

/// What is wrong with an image, if anything.
fn faults_of(
    recorded: &Recorded,
    things: usize,
    disk: Disk,
    random: &mut fastrand::Rng,
    migrates: bool,
) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    recorded.history.image(things, disk, random, folder.path());
    let now = recorded.history.moment(things);
    let mut faults = Vec::new();
    if let Some((moment, copy)) = &recorded.exported
        && now >= *moment
        && fs::read(folder.path().join("copy.jsonl")).ok().as_ref() != Some(copy)
    {
        faults.push("the copy that was exported is not there".to_owned());
    }
    let at_platform = recorded.platform.state_as_of(now);
    let file = folder.path().join("device/state/state.db");
    if !file.exists() {
        if !at_platform.is_empty() {
            faults.push(format!("no state, and {} records are at the platform", at_platform.len()));
        }
        return faults;
    }
    if let Err(fault) = look_into(&file, &at_platform, migrates) {
        faults.push(fault);
    }
    faults
}

fn look_into(file: &PathBuf, at_platform: &BTreeMap<String, Value>, migrates: bool) -> Result<(), String> {
    let words = |failure: rusqlite::Error| failure.to_string();
    let state = Connection::open(file).map_err(words)?;
    // It is thrown away.
    state.pragma_update(None, "synchronous", "OFF").map_err(words)?;
    let sound: String = state.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(words)?;
    if sound != "ok" {
        return Err(sound);
    }
    let version: i64 = state.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(words)?;
    if migrates {
        let kept: i64 = state.query_row("SELECT count(*) FROM keepsake", [], |row| row.get(0)).map_err(words)?;
        if kept != KEEPSAKES {
            return Err(format!("{kept} rows were kept"));
        }
        if version == 0 {
            return Ok(());
        }
        let copy = Connection::open(file.with_extension("db.bak-v0")).map_err(words)?;
        let kept: i64 = copy.query_row("SELECT count(*) FROM keepsake", [], |row| row.get(0)).map_err(words)?;
        let sound: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(words)?;
        if (kept, sound.as_str()) != (KEEPSAKES, "ok") {
            return Err(format!("the backup has {kept} rows and is {sound}"));
        }
    }
    let ids = |sql: &str| -> rusqlite::Result<BTreeSet<String>> {
        state.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    // What is at the platform and what is still to be sent make what is remembered of both.
    let remembered = ids("SELECT lower(hex(id)) FROM record WHERE part = 0").map_err(words)?;
    let to_delete = "SELECT lower(hex(id)) FROM outbox WHERE body LIKE '%\"delete\"%'";
    let to_write = "SELECT lower(hex(id)) FROM outbox WHERE body NOT LIKE '%\"delete\"%'";
    let mut delivered: BTreeSet<String> = at_platform.keys().map(|id| id.replace('-', "")).collect();
    for id in ids(to_delete).map_err(words)? {
        delivered.remove(&id);
    }
    delivered.extend(ids(to_write).map_err(words)?);
    let differing = remembered.symmetric_difference(&delivered).count();
    if differing > 0 { Err(format!("{differing} records are remembered wrongly")) } else { Ok(()) }
}

/// Starts the engine on an image: what is wrong afterwards, if anything, and how many records it still sends after that.
fn run_on(
    recorded: &Recorded,
    things: usize,
    random: &mut fastrand::Rng,
    fresh: &BTreeMap<String, Value>,
) -> (Option<String>, u64) {
    let platform = recorded.platform.as_of(recorded.history.moment(things));
    let workspace = device(&platform.url(), recorded.plant.path());
    recorded.history.image(things, Disk::Honest, random, &workspace.path("disk"));
    let outcome = workspace.engine(&ONCE);
    if outcome.code() != Some(0) {
        return (Some(format!("the engine does not go on: {outcome}")), 0);
    }
    let losses = differences(&platform.state(), fresh);
    let before = platform.requests().len();
    workspace.engine(&ONCE).expect(0);
    let again: usize = platform.requests()[before..].iter().map(|request| request.ids().len()).sum();
    platform.assert_contract();
    ((losses > 0).then(|| format!("{losses} records at the platform are wrong")), again as u64)
}

fn fresh(recorded: &Recorded) -> BTreeMap<String, Value> {
    let platform = Platform::start();
    device(&platform.url(), recorded.plant.path()).engine(&ONCE).expect(0);
    platform.state()
}

fn images() -> u64 {
    std::env::var("ENGINE_CRASH_IMAGES").ok().and_then(|images| images.parse().ok()).unwrap_or(IMAGES_DEFAULT)
}

fn power_goes(test: &str, recorded: &Recorded, migrates: bool) {
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let fresh = fresh(recorded);
    let (mut wrong, mut duplicates) = (Vec::new(), 0);
    for image in 0..images() {
        let things = random.usize(..=recorded.history.len());
        let mut choice = random.fork();
        let mut faults = faults_of(recorded, things, Disk::Honest, &mut choice.clone(), migrates);
        if image % SAMPLE == 0 {
            let (fault, again) = run_on(recorded, things, &mut choice, &fresh);
            faults.extend(fault);
            duplicates += again;
        }
        wrong.extend(faults.into_iter().map(|fault| format!("image {image}, after {things} things: {fault}")));
    }
    let losses = wrong.len() as u64;
    let tally = Tally { histories: images(), faults: images(), losses, duplicates };
    promises::kept("Nothing lost, nothing doubled", test, tally);
    assert!(wrong.is_empty(), "of {} things:\n{}", recorded.history.len(), wrong.join("\n"));
    assert_eq!(duplicates, 0, "records that were sent again for nothing");
}

#[test]
fn what_was_synced_is_enough_when_the_power_goes() {
    let Some(recorded) = record_a_life() else { return };
    power_goes("what_was_synced_is_enough_when_the_power_goes", &recorded, false);
}

#[test]
fn a_migration_that_the_power_cuts_off_loses_nothing() {
    let Some(recorded) = record_a_migration() else { return };
    power_goes("a_migration_that_the_power_cuts_off_loses_nothing", &recorded, true);
}

/// The images would show it: on a disk that does not do what it is asked, states are damaged, or older than what the
/// platform has.
#[test]
fn a_disk_that_lies_is_noticed_by_the_images() {
    let Some(recorded) = record_a_life() else { return };
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let mut wrong = 0;
    for _ in 0..images() / 4 {
        let things = random.usize(..=recorded.history.len());
        wrong += usize::from(!faults_of(&recorded, things, Disk::Lying, &mut random, false).is_empty());
    }
    assert!(wrong > 10, "only {wrong} images are wrong");
}
