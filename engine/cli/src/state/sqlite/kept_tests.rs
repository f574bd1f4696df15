//! State files as released versions wrote them, in `tests/state`: `vN.db` with tables of version N, and beside it what
//! it holds, as JSON lines. Every later version must read the same from it.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use engine_core::state::{Saved, SliceState};

use super::*;
use crate::state::suite::{everything, fill};

/// The pipeline that [`fill`] writes about.
const P: &str = "acme-bookings";
/// The first version that has a file.
const FIRST_KEPT: usize = 2;
/// Writes the files of this version, once: before it is released.
const WRITE: &str = "ENGINE_GOLDEN=overwrite cargo test --locked --workspace --lib kept_tests";

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/state").join(name)
}

/// A file of this version with two of everything, always the same bytes.
fn written() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    let store = SqliteStore::open(&path, Options::default()).expect("opens");
    // Places in the outbox begin anywhere, so that they never come again.
    store.lock().execute_batch("UPDATE sqlite_sequence SET seq = 1000 WHERE name = 'outbox'").expect("writes");
    fill(&store);
    store.put_slice(P, "job", &SliceState { number: 4, done: true, ..SliceState::default() }).expect("writes");
    // What was written over is not left between the rows.
    store.lock().execute_batch("VACUUM").expect("writes");
    drop(store);
    fs::read(path).expect("reads")
}

/// Writes the files of this version where that is asked for, and there are none: what was released never changes.
fn keep() {
    static KEPT: OnceLock<()> = OnceLock::new();
    KEPT.get_or_init(|| {
        let file = kept(&format!("v{}.db", schema::MIGRATIONS.len()));
        if std::env::var_os("ENGINE_GOLDEN").is_none_or(|value| value != "overwrite") || file.exists() {
            return;
        }
        let (folder, bytes) = (tempfile::tempdir().expect("a folder"), written());
        let copy = folder.path().join("state.db");
        fs::write(&copy, &bytes).expect("writes");
        let held = everything(&SqliteStore::open(&copy, Options::default()).expect("opens"), P);
        let lines = held.iter().map(|one| format!("{}\n", serde_json::to_string(one).expect("is JSON")));
        fs::create_dir_all(file.parent().expect("a folder")).expect("is writable");
        fs::write(file.with_extension("jsonl"), lines.collect::<String>()).expect("is writable");
        fs::write(&file, &bytes).expect("is writable");
    });
}

#[test]
fn this_version_has_a_file_that_the_next_must_read() {
    keep();
    assert!(written() == written(), "the same twice");
    let version = schema::MIGRATIONS.len();
    let is_kept = kept(&format!("v{version}.db")).is_file();
    assert!(is_kept, "there is no state file of version {version} for later versions to read; make it: {WRITE}");
}

#[test]
fn a_file_of_every_released_version_is_read() {
    keep();
    for version in FIRST_KEPT..=schema::MIGRATIONS.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        let bytes = fs::read(kept(&format!("v{version}.db"))).expect("is kept");
        fs::write(&path, &bytes).expect("writes");
        assert_eq!(SqliteStore::look(&path).expect("looks").version, Some(version));

        let store = SqliteStore::open(&path, Options { check: Check::Full, ..Options::default() }).expect("opens");
        let text = fs::read_to_string(kept(&format!("v{version}.jsonl"))).expect("is kept");
        let expected: Vec<Saved> =
            text.lines().map(|line| serde_json::from_str(line).expect("is understood")).collect();
        assert!(!expected.is_empty());
        // In which order they come is not promised.
        let sorted = |all: Vec<Saved>| {
            let mut lines: Vec<String> = all.iter().map(|one| serde_json::to_string(one).expect("is JSON")).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(everything(&store, P)), sorted(expected), "version {version}");
        let slices = store.slices(P, "job").expect("reads");
        assert_eq!(slices, [SliceState { number: 4, done: true, ..SliceState::default() }], "version {version}");
        // Places that were given go on.
        assert_eq!(store.claim(P, 1, usize::MAX).expect("reads")[0].seq, 1002);
        drop(store);

        let backup = folder.path().join(format!("state.db.bak-v{version}"));
        assert_eq!(backup.exists(), version < schema::MIGRATIONS.len(), "there is a way back");
    }
}
