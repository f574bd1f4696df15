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
use engine_tests::powerloss::{Death, Disk, History, Recorder, moment};
use engine_tests::promises::{self, Tally};
use engine_tests::seed;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::cuts::apply;
use crate::ledger;
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

/// How processes die. What was written and not synced before may still be lost long after.
const DEATHS: [fn(&mut fastrand::Rng) -> Death; 3] =
    [|_| Death::AtSync(1), |random| Death::AtSync(random.usize(2..8)), |random| Death::After(random.usize(1..120))];

/// Where the state lies, on the disk.
const STATE: &str = "device/state/state.db";
/// Where a file as a destination lies.
const RUNS: &str = "disk/runs.ndjson";

const ONCE: [&str; 4] = ["run", "--once", "--now", NOW];
const DEVICE: &str = "version: 1\nspecs: ['acme.yaml']\nstate: { url: sqlite://disk/device/state/state.db }\n";

fn device(destination: &Value, source: &Path) -> Workspace {
    let workspace = Workspace::new();
    workspace.write("engine.yaml", DEVICE);
    fs::create_dir(workspace.path("disk")).expect("the folder is writable");
    let mut spec = plant::orders("acme", destination);
    spec["source"]["path"] = source.display().to_string().into();
    spec["destination"]["batch"] = json!({ "max_records": 20 });
    // Everything, because the service runs by a clock of its own.
    spec["query"]["sql"] = "SELECT * FROM auftrag".into();
    spec["sync"] = json!({ "mode": "full", "delete_limit": "100%" });
    spec["schedule"] = json!({ "every": "1s" });
    workspace.spec("acme.yaml", &spec);
    workspace
}

fn to_platform(platform: &Platform) -> Value {
    plant::to_url(&platform.url())
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

fn start(
    destination: impl FnOnce(&Platform) -> Value,
    prepare: impl FnOnce(&Path) -> BTreeMap<String, Vec<u8>>,
) -> Option<(Workspace, Recorder, Recorded)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plant = Plant::new(&folder.path().join("mes.db"));
    plant.orders(1..ORDERS + 1);
    let platform = Platform::start();
    let mut workspace = device(&destination(&platform), plant.path());
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
        "UPDATE auftrag SET menge = {step} - 0.5 WHERE id % 23 = {step} % 23; DELETE FROM auftrag WHERE id % 29 = {step} % 29"
    ));
}

/// Runs until the process is killed.
fn die(workspace: &mut Workspace, recorder: &Recorder, recorded: &Recorded, death: Death) {
    recorder.die(workspace, death);
    workspace.engine(&ONCE);
    recorded.platform.await_idle();
    recorder.die(workspace, Death::Never);
}

/// The first creation, runs, processes that die, answers that are lost, a service, and a copy that is exported and
/// imported.
fn record_a_life(random: &mut fastrand::Rng) -> Option<Recorded> {
    let (mut workspace, recorder, mut recorded) = start(to_platform, |_| BTreeMap::new())?;
    for step in 0..6 {
        change(&recorded.plant, step);
        let lost = if step % 2 == 0 { Fault::CutAfterApply } else { Fault::CutMidAnswer };
        recorded.platform.calm().script(vec![Fault::Serve, lost]);
        workspace.engine(&ONCE).expect(0);
        change(&recorded.plant, 10 + step);
        die(&mut workspace, &recorder, &recorded, DEATHS[step as usize % DEATHS.len()](random));
        change(&recorded.plant, 20 + step);
        // The service delivers what it finds before it reads anything.
        let mut running = workspace.start(&["run"]);
        running.event("delivered", "acme");
        running.kill();
        recorded.platform.await_idle();
    }
    // What waits in the outbox is part of the copy.
    change(&recorded.plant, 30);
    recorded.platform.calm().script(vec![Fault::too_many(3_000)]);
    workspace.engine(&ONCE).expect(3);
    recorded.platform.calm();
    workspace.engine(&["state", "export", "acme", "--to", "disk/copy.jsonl"]).expect(0);
    let copy = fs::read(workspace.path("disk/copy.jsonl")).expect("the copy is there");
    recorded.exported = Some((recorder.moment(), copy));
    workspace.engine(&["state", "import", "--replace", "disk/copy.jsonl"]).expect(0);
    let mut running = workspace.start(&["run"]);
    for step in 31..34 {
        running.event("delivered", "acme");
        change(&recorded.plant, step);
    }
    running.kill();
    recorded.platform.await_idle();
    change(&recorded.plant, 34);
    workspace.engine(&ONCE).expect(0);
    recorded.history = recorder.history(BTreeMap::new());
    Some(recorded)
}

/// Deliveries to a file, by processes that die.
fn record_a_file(random: &mut fastrand::Rng) -> Option<Recorded> {
    let (mut workspace, recorder, mut recorded) = start(|_| plant::to_file(RUNS), |_| BTreeMap::new())?;
    for step in 0..12 {
        change(&recorded.plant, step);
        die(&mut workspace, &recorder, &recorded, Death::AtSync(random.usize(1..14)));
    }
    workspace.engine(&ONCE).expect(0);
    recorded.history = recorder.history(BTreeMap::new());
    Some(recorded)
}

/// What the lines of a file say: the last line of an id counts. A line that was torn says nothing.
fn state_of_lines(text: &[u8]) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        if let Ok(record) = serde_json::from_slice(line) {
            apply(&mut state, record);
        }
    }
    state
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
    start(to_platform, prepare).map(|(_, _, recorded)| recorded)
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
    let file = folder.path().join(STATE);
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
    // What is at the platform and what is still to be sent make what is remembered of both.
    let remembered = ledger::remembered(&state).map_err(words)?;
    let mut delivered: BTreeSet<String> = at_platform.keys().map(|id| id.replace('-', "")).collect();
    for (id, body) in ledger::waiting(&state).map_err(words)? {
        if body.contains("\"delete\"") {
            delivered.remove(&id);
        } else {
            delivered.insert(id);
        }
    }
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
    let workspace = device(&plant::to_url(&platform.url()), recorded.plant.path());
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
    device(&plant::to_url(&platform.url()), recorded.plant.path()).engine(&ONCE).expect(0);
    platform.state()
}

fn images() -> u64 {
    std::env::var("ENGINE_CRASH_IMAGES").ok().and_then(|images| images.parse().ok()).unwrap_or(IMAGES_DEFAULT)
}

fn power_goes(test: &str, recorded: &Recorded, random: &mut fastrand::Rng, migrates: bool) {
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
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let Some(recorded) = record_a_life(&mut random) else { return };
    power_goes("what_was_synced_is_enough_when_the_power_goes", &recorded, &mut random, false);
}

#[test]
fn a_migration_that_the_power_cuts_off_loses_nothing() {
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let Some(recorded) = record_a_migration() else { return };
    power_goes("a_migration_that_the_power_cuts_off_loses_nothing", &recorded, &mut random, true);
}

/// The images would show it: on a disk that does not do what it is asked, states are damaged, or older than what the
/// platform has.
#[test]
fn a_disk_that_lies_is_noticed_by_the_images() {
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let Some(recorded) = record_a_life(&mut random) else { return };
    let mut wrong = 0;
    for _ in 0..images() / 4 {
        let things = random.usize(..=recorded.history.len());
        wrong += usize::from(!faults_of(&recorded, things, Disk::Lying, &mut random, false).is_empty());
    }
    assert!(wrong > 10, "only {wrong} images are wrong");
}

#[test]
fn no_line_of_a_file_is_lost_or_doubled_when_the_power_goes() {
    const TEST: &str = "no_line_of_a_file_is_lost_or_doubled_when_the_power_goes";
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let Some(recorded) = record_a_file(&mut random) else { return };
    let fresh = fresh(&recorded);
    let (mut wrong, mut doubled) = (Vec::new(), 0);
    for image in 0..images() {
        let things = random.usize(..=recorded.history.len());
        let workspace = device(&plant::to_file(RUNS), recorded.plant.path());
        recorded.history.image(things, Disk::Honest, &mut random, &workspace.path("disk"));
        let state = workspace.path("disk").join(STATE);
        let file = fs::read(workspace.path(RUNS)).unwrap_or_default();
        if state.exists()
            && let Err(fault) = look_into(&state, &state_of_lines(&file), false)
        {
            wrong.push(format!("image {image}, after {things} things: {fault}"));
        }
        if image % SAMPLE != 0 {
            continue;
        }
        let outcome = workspace.engine(&ONCE);
        let text = fs::read(workspace.path(RUNS)).unwrap_or_default();
        if outcome.code() != Some(0) || differences(&state_of_lines(&text), &fresh) > 0 {
            wrong.push(format!("image {image}, after {things} things: it does not end well: {outcome}"));
        }
        let mut last: BTreeMap<String, &str> = BTreeMap::new();
        for line in std::str::from_utf8(&text).expect("whole lines are left").lines() {
            let record: Value = serde_json::from_str(line).expect("whole lines are left");
            doubled += u64::from(last.insert(record["run_id"].to_string(), line) == Some(line));
        }
    }
    let losses = wrong.len() as u64;
    let tally = Tally { histories: images(), faults: images(), losses, duplicates: doubled };
    promises::kept("Nothing lost, nothing doubled", TEST, tally);
    assert!(wrong.is_empty(), "of {} things:\n{}", recorded.history.len(), wrong.join("\n"));
    assert_eq!(doubled, 0, "lines that came twice in a row");
}
