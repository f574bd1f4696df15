//! A newer engine over what an older one remembers: it goes on where that one stopped. `tests/state/site-vN.db` is the
//! state of the site below, whose bookings an engine with state files of version N has read and delivered.

use std::path::PathBuf;

use engine_tests::binary::root;
use serde_json::Value;

use super::Site;

/// Writes the file of this version, once: before it is released.
const WRITE: &str = "ENGINE_GOLDEN=overwrite cargo test --locked --workspace --test run upgrade";
/// The first version that has a file.
const FIRST_KEPT: u32 = 4;

fn kept(version: u32) -> PathBuf {
    root().join(format!("tests/state/site-v{version}.db"))
}

/// Runs on two machines, one of which goes on.
fn site() -> Site {
    let site = Site::bookings();
    site.plant.execute(
        "INSERT INTO buchung WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 20)
         SELECT id, 4711000 + (id - 1) / 2, '25-1002', 'M1', CASE id % 2 WHEN 1 THEN 'A' ELSE 'E' END,
                strftime('%Y-%m-%d %H:%M:%S', '2025-03-29', '+' || (id * 10) || ' minutes') FROM n;
         INSERT INTO buchung VALUES (21, '4712', '25-1003', 'M2', 'A', '2025-03-29 06:00:00'),
                                    (22, '4712', '25-1003', 'M2', 'E', '2025-03-29 07:00:00'),
                                    (23, '4713', '25-1004', 'M2', 'A', '2025-03-29 08:00:00.1234567');",
    );
    site
}

/// The site as an engine of that version left it.
fn left_by(version: u32) -> Site {
    let site = site();
    site.workspace.write(".engine/state.db", std::fs::read(kept(version)).expect("the file is kept"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name: &str, mode: u32| {
            std::fs::set_permissions(site.workspace.path(name), std::fs::Permissions::from_mode(mode)).expect("is set");
        };
        mode(".engine", 0o700);
        mode(".engine/state.db", 0o600);
    }
    site
}

/// The plant lies elsewhere than when the file was made: the engine stops at that, and somebody approves.
fn approve_the_new_place(site: &Site) {
    site.once().expect(1).says("the source is not the database of before");
    site.workspace.engine(&["approve", "acme"]).expect(0);
}

/// The version of the tables that this engine makes, and a site whose bookings it has delivered.
fn delivered() -> (u32, Site) {
    let site = site();
    assert_eq!(site.well(), (23, 0, 0, 12, 0, 0));
    let state = rusqlite::Connection::open(site.workspace.path(".engine/state.db")).expect("opens");
    let version = state.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("reads");
    (version, site)
}

#[test]
fn a_newer_engine_goes_on_where_an_older_one_stopped() {
    let (version, now) = delivered();
    if std::env::var_os("ENGINE_GOLDEN").is_some_and(|value| value == "overwrite") && !kept(version).exists() {
        std::fs::copy(now.workspace.path(".engine/state.db"), kept(version)).expect("is writable");
    }
    assert!(kept(version).is_file(), "no site of version {version} is kept for later engines; make it: {WRITE}");

    let changes = "UPDATE buchung SET artnr = '25-1005' WHERE id = 3;
         DELETE FROM buchung WHERE id IN (5, 6);
         INSERT INTO buchung VALUES (24, '4713', '25-1004', 'M2', 'E', '2025-03-29 09:00:00'),
                                    (25, '4714', '25-1004', 'M2', 'A', '2025-03-29 10:00:00');";
    let sent = |site: &Site| -> Vec<Value> {
        let before = site.platform.requests().len();
        assert_eq!(site.well(), (0, 0, 0, 0, 0, 0), "nothing has changed");
        assert_eq!(site.platform.requests().len(), before, "and nothing is sent twice");
        site.plant.execute(changes);
        assert_eq!(site.well(), (2, 1, 2, 3, 1, 0));
        let requests = &site.platform.requests()[before..];
        requests.iter().flat_map(|request| request.body["records"].as_array().cloned().expect("records")).collect()
    };
    let expected = sent(&now);
    assert_eq!(expected.len(), 4);
    for version in FIRST_KEPT..=version {
        let site = left_by(version);
        approve_the_new_place(&site);
        assert_eq!(sent(&site), expected, "after version {version}");
        // All that was booked is remembered as an engine would that had never been another.
        let remembered = |site: &Site| {
            let rows = site.workspace.engine(&["state", "show", "acme", "-o", "json"]).expect(0).json();
            rows["records"].clone()
        };
        assert_eq!(remembered(&site), remembered(&now), "after version {version}");
        assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    }
}

/// Bodies of version 4 come with their copy; the form of the copy was version 1 then.
#[test]
fn a_copy_that_an_older_engine_made_is_imported() {
    let older = left_by(FIRST_KEPT);
    let copy = older.workspace.engine(&["state", "export", "acme"]).expect(0).stdout;
    let site = site();
    site.workspace.write("acme.state", copy.replacen("\"version\":2", "\"version\":1", 1));
    site.workspace.engine(&["state", "import", "acme.state"]).expect(0);
    approve_the_new_place(&site);
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    assert_eq!(site.platform.requests().len(), 0);
}
