//! The disk of the state is full: when the engine starts, in the middle of a run, when the log moves into the file, and
//! while a delivery is settled.
//!
//! The disk is a file system in memory, which only an account that may mount can make; elsewhere the tests are skipped.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use engine_tests::binary::await_that;
use engine_tests::platform::{Fault, Request};
use engine_tests::seed;
use serde_json::Value;

use crate::site::{ONCE, SERVICE, Site};

/// Bytes of the disk: enough for the state and its log, whatever a test writes, when nothing else lies there.
const DISK_BYTES: usize = 32 << 20;
/// Bytes that are written to the disk at a time, to fill it.
const BALLAST_BYTES: usize = 4 << 10;
/// Orders whose records need more room than the log has already.
const MANY_ORDERS: i64 = 1_500;
/// Runs that take place while the disk stays full.
const RUNS_WHILE_FULL: usize = 4;
/// Where the device keeps its state.
const DEVICE: &str = "version: 1\nspecs: ['specs/*.yaml']\nstate: { url: sqlite://small/state.db }\n";

/// A small disk. It is unmounted when it is dropped.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one in a new folder; `None`, said on standard error, where that is not allowed.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("the folder is writable");
        let options = format!("size={DISK_BYTES},mode=0700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "engine-test"]).arg(at).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self { at: at.to_owned() });
        }
        let _ = writeln!(std::io::stderr(), "skipped: a disk that is full, because nothing can be mounted here");
        None
    }

    /// Fills it, but for so many bytes.
    fn fill_but(&self, left: usize) {
        let path = self.at.join("ballast");
        let mut ballast = fs::OpenOptions::new().append(true).create(true).open(&path).expect("a file can be made");
        while ballast.write_all(&[0; BALLAST_BYTES]).is_ok() {}
        let length = ballast.metadata().expect("a file has a length").len();
        ballast.set_len(length.saturating_sub(left as u64)).expect("a file can be cut");
    }

    fn make_room(&self) {
        fs::remove_file(self.at.join("ballast")).expect("the ballast can be removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also where a process that is about to end still has a file of it open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

fn site() -> Option<(Site, Disk)> {
    let site = Site::new();
    let disk = Disk::mount(&site.workspace.path("small"))?;
    site.workspace.write("engine.yaml", DEVICE);
    Some((site, disk))
}

/// It says what is full, where, and what to do.
#[track_caller]
fn assert_told(event: &Value) {
    let text = event.to_string();
    for words in ["small", "full", "free some space on the disk of", "nothing is lost"] {
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
}

#[test]
fn a_disk_that_is_full_when_the_engine_starts_is_told() {
    let Some((mut site, disk)) = site() else { return };
    disk.fill_but(0);
    let outcome = site.workspace.engine(&ONCE).expect(3);
    let outcome = outcome.says("small").says("is full").says("free some space on the disk of");
    assert_eq!(site.platform.requests().len(), 0, "{outcome}");
    // Enough for the lock, and for nothing else.
    for left in [4, 16, 64].map(|kib| kib << 10) {
        disk.make_room();
        disk.fill_but(left);
        let outcome = site.workspace.engine(&ONCE);
        if outcome.code() != Some(0) {
            let outcome = outcome.expect(3).says("small").says("is full").says("free some space on the disk of");
            assert!(!outcome.to_string().contains("damaged"), "{outcome}");
        }
    }
    disk.make_room();
    site.conclude("Nothing lost, nothing doubled", "a_disk_that_is_full_when_the_engine_starts_is_told", 4, 4, 0);
}

#[test]
fn a_run_goes_on_by_itself_when_there_is_room_again() {
    let Some((mut site, disk)) = site() else { return };
    let mut running = site.workspace.start(&SERVICE);
    await_that("all is delivered", || site.platform.state().len() >= site.records());
    running.event("run_finished", "folds");
    disk.fill_but(0);
    let before = site.platform.state();
    site.orders(10_000..10_000 + MANY_ORDERS);
    let failed = running.event("run_failed", "acme");
    assert_eq!(failed["kind"], "State", "{failed}");
    assert_told(&failed);
    // The next run fails in the same way: nothing of the rows was kept, and nothing of them was sent.
    assert_told(&running.event("run_failed", "acme"));
    assert_eq!(site.platform.state(), before, "what is not remembered must not be sent");
    disk.make_room();
    await_that("the orders arrive without a restart", || {
        site.platform.state().len() == before.len() + MANY_ORDERS as usize
    });
    site.stop(running);
    site.conclude("Nothing lost, nothing doubled", "a_run_goes_on_by_itself_when_there_is_room_again", 1, 1, 0);
}

/// An acknowledgement that cannot be written down is asked for again, under the same key, and not at every run.
#[test]
fn a_delivery_that_cannot_be_settled_is_repeated_now_and_then_under_its_key() {
    let Some((mut site, disk)) = site() else { return };
    site.platform.script(vec![Fault::Wait(Duration::from_secs(3)); 2]);
    let mut running = site.workspace.start(&SERVICE);
    await_that("both pipelines deliver", || site.platform.requests().len() >= 2);
    disk.fill_but(0);
    // Uses up what the log has left within itself.
    site.orders(10_000..10_000 + MANY_ORDERS);
    running.event("run_failed", "acme");
    assert_told(&running.event("delivery_failed", "acme"));
    let before = site.platform.requests().len();
    for _ in 0..RUNS_WHILE_FULL {
        running.event("run_failed", "acme");
    }
    let of_orders = |request: &Request| request.body["pipeline"] == "acme";
    let requests = site.platform.requests();
    let again = requests[before..].iter().filter(|request| of_orders(request)).count();
    assert!(again <= 1, "the parcel was sent again {again} times in {RUNS_WHILE_FULL} runs");
    disk.make_room();
    let keys = |requests: &[Request]| -> BTreeSet<String> {
        requests.iter().filter(|request| of_orders(request)).map(|request| request.key().to_owned()).collect()
    };
    assert_eq!(keys(&requests).len(), 1, "the same parcel has the same key");
    await_that("the orders arrive without a restart", || site.platform.state().len() >= MANY_ORDERS as usize);
    site.stop(running);
    site.conclude(
        "Nothing lost, nothing doubled",
        "a_delivery_that_cannot_be_settled_is_repeated_now_and_then_under_its_key",
        1,
        1,
        0,
    );
}

#[test]
fn a_disk_that_is_full_now_and_then_loses_nothing() {
    let Some((mut site, disk)) = site() else { return };
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let mut running = site.workspace.start(&SERVICE);
    running.event("delivered", "acme");
    // From nothing at all to room for the log, but not for the file into which it moves.
    let mut left: Vec<usize> = (0..10).map(|step| step * (100 << 10) + random.usize(..BALLAST_BYTES)).collect();
    random.shuffle(&mut left);
    let rounds = left.len() as i64;
    for (round, left) in (0..rounds).zip(left) {
        disk.fill_but(left);
        site.orders(10_000 + round * 200..10_200 + round * 200);
        let time = Duration::from_millis(random.u64(300..1_200));
        assert!(site.change_for(time, &mut running, &mut random), "it ended by itself");
        disk.make_room();
    }
    site.stop(running);
    site.conclude(
        "Nothing lost, nothing doubled",
        "a_disk_that_is_full_now_and_then_loses_nothing",
        rounds as u64,
        rounds as u64,
        0,
    );
}
