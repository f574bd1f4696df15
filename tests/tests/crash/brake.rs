//! The brake and the guard, over real servers: whatever makes rows vanish from a result without anybody having deleted
//! them deletes nothing at the platform, and is told in plain words.

use std::collections::BTreeMap;

use engine_tests::binary::{Outcome, Workspace};
use engine_tests::dialects::{Dialect, MARIADB, POSTGRES, insert_for, spec};
use engine_tests::plant::{self, NOW};
use engine_tests::platform::Platform;
use engine_tests::promises::{self, Tally};
use engine_tests::proxy::{Mode, Proxy};
use engine_tests::servers::{self, Server};
use serde_json::{Value, json};

use crate::site::differences;

/// Orders of the plant.
const ORDERS: i64 = 400;
/// Bytes of the server's answers after which a connection is cut: from the greeting to the last rows.
const CUTS: std::ops::Range<usize> = 200..24_000;
const CUT_STEP: usize = 1_700;

/// What differs between the servers, beside the table.
struct Guarded {
    dialect: &'static Dialect,
    /// Makes the account that reads.
    account: &'static str,
    revoke: &'static str,
    grant: &'static str,
    /// What a right that is missing is called.
    denied: &'static str,
    /// Lets the account see every second row only, and all of them again.
    hide: &'static str,
    show: &'static str,
    /// What is said of another server under the same name, and which orders that has.
    another: &'static str,
    other_orders: std::ops::Range<i64>,
}

struct Site {
    server: Server,
    door: Proxy,
    workspace: Workspace,
    platform: Platform,
    guarded: &'static Guarded,
    before: BTreeMap<String, Value>,
    /// Deliveries that were in order.
    since: usize,
    tally: Tally,
}

impl Site {
    fn new(guarded: &'static Guarded, server: Server) -> Self {
        let (mut workspace, platform) = (Workspace::new(), Platform::start());
        fill(guarded, &server, 1..ORDERS + 1);
        let door = Proxy::start(server.port, Mode::Open);
        workspace.env("DB_PASSWORD", &server.password);
        let mut spec = spec(guarded.dialect, &server, door.port(), &plant::to_url(&platform.url()));
        spec["source"]["username"] = "leser".into();
        // Two servers are to be one, and each has a certificate of its own.
        spec["source"]["tls"] = json!({ "mode": "disable" });
        let query = spec["query"]["sql"].as_str().expect("a query").replace("auftrag", "sicht");
        spec["query"]["sql"] = query.into();
        workspace.spec("acme.yaml", &spec);
        let mut site = Self {
            server,
            door,
            workspace,
            platform,
            guarded,
            before: BTreeMap::new(),
            since: 0,
            tally: Tally::default(),
        };
        site.once().expect(0);
        site.before = site.platform.state();
        assert_eq!(site.before.len(), ORDERS as usize);
        site
    }

    fn report(&self) {
        let test = format!("nothing_is_deleted_because_of_what_happens_to_{}", self.guarded.dialect.name);
        promises::kept("The brake", &test, self.tally);
    }

    fn once(&self) -> Outcome {
        self.once_at(NOW)
    }

    fn once_at(&self, now: &str) -> Outcome {
        self.workspace.engine(&["run", "--once", "--now", now, "acme.yaml"])
    }

    /// Nothing was sent since all was well, and least of all a delete.
    #[track_caller]
    fn assert_untouched(&mut self) {
        let requests = self.platform.requests();
        let deletes: usize = requests[self.since..]
            .iter()
            .map(|one| one.body["records"].to_string().matches("\"op\":\"delete\"").count())
            .sum();
        self.tally.histories += 1;
        self.tally.faults += 1;
        self.tally.losses += differences(&self.platform.state(), &self.before) + deletes as u64;
        if self.tally.losses > 0 {
            self.report();
        }
        assert_eq!(self.tally.losses, 0, "records that are not as they were, and deletes");
        self.platform.assert_contract();
    }

    /// The brake is pulled, and says so.
    #[track_caller]
    fn assert_held(&mut self, words: &[&str]) {
        let mut outcome =
            self.once().expect(1).says("nothing was sent").says("if this is right, run `engine approve acme`");
        for word in words {
            outcome = outcome.says(word);
        }
        self.workspace.engine(&["status"]).expect(0).says("held").says("engine approve acme");
        self.assert_untouched();
    }

    /// All is as it was: without an approval, and without anything to send.
    #[track_caller]
    fn assert_well(&mut self) {
        let sent = self.platform.requests().len();
        self.once().expect(0);
        assert_eq!(self.platform.requests().len(), sent, "there is nothing to send");
        self.workspace.engine(&["status"]).expect(0).says("ok");
        self.assert_untouched();
    }
}

fn fill(guarded: &Guarded, server: &Server, ids: std::ops::Range<i64>) {
    server.execute(guarded.dialect.table);
    server.execute(&insert_for(guarded.dialect, ids));
    server.execute("CREATE TABLE kopie AS SELECT * FROM auftrag");
    server.execute(guarded.account);
}

const POSTGRES_GUARDED: Guarded = Guarded {
    dialect: &POSTGRES,
    account: "CREATE ROLE leser LOGIN PASSWORD 's3cret-canary';
              CREATE VIEW sicht WITH (security_invoker = true) AS SELECT * FROM auftrag;
              GRANT SELECT ON auftrag, sicht TO leser",
    revoke: "REVOKE SELECT ON sicht FROM leser",
    grant: "GRANT SELECT ON sicht TO leser",
    denied: "permission denied for view sicht",
    hide: "ALTER TABLE auftrag ENABLE ROW LEVEL SECURITY;
           CREATE POLICY half ON auftrag FOR SELECT TO leser USING (id % 2 = 0)",
    show: "DROP POLICY half ON auftrag; ALTER TABLE auftrag DISABLE ROW LEVEL SECURITY",
    another: "the source is not the database of before: system_identifier was",
    // The same keys, so that nothing would be deleted.
    other_orders: 1..ORDERS + 1,
};

const MARIADB_GUARDED: Guarded = Guarded {
    dialect: &MARIADB,
    account: "CREATE USER leser@'%' IDENTIFIED BY 's3cret-canary';
              CREATE VIEW sicht AS SELECT * FROM auftrag;
              GRANT SELECT ON plant.sicht TO leser@'%'; GRANT SELECT ON plant.kopie TO leser@'%'",
    revoke: "REVOKE SELECT ON plant.sicht FROM leser@'%'",
    grant: "GRANT SELECT ON plant.sicht TO leser@'%'",
    denied: "SELECT command denied to user 'leser'",
    hide: "CREATE OR REPLACE VIEW sicht AS SELECT * FROM auftrag WHERE id % 2 = 0",
    show: "CREATE OR REPLACE VIEW sicht AS SELECT * FROM auftrag",
    // MariaDB tells only the name of its machine, and that is the same here.
    another: "400 of 400 records would be deleted (100%)",
    other_orders: 1_001..1_001 + ORDERS,
};

#[test]
fn nothing_is_deleted_because_of_what_happens_to_postgres() {
    let server = || {
        let mut server = servers::postgres();
        server.execute("CREATE DATABASE werk");
        server.database = "werk".to_owned();
        server
    };
    let mut site = Site::new(&POSTGRES_GUARDED, server());
    walk(&mut site, &server());
    a_restored_database_is_another_one(&mut site);
    site.report();
}

#[test]
fn nothing_is_deleted_because_of_what_happens_to_mariadb() {
    let mut site = Site::new(&MARIADB_GUARDED, servers::mariadb_with(&[]));
    walk(&mut site, &servers::mariadb_with(&[]));
    site.report();
}

fn walk(site: &mut Site, other: &Server) {
    an_empty_result_is_held(site);
    a_result_that_is_cut_off_is_no_result(site);
    a_right_that_is_taken_away_is_told(site);
    rows_that_are_hidden_are_not_gone(site);
    an_older_copy_is_held(site);
    another_server_under_the_same_name_is_noticed(site, other);
    a_clock_that_jumps_deletes_nothing(site);
    an_approval_lets_one_run_pass(site);
}

fn an_empty_result_is_held(site: &mut Site) {
    site.server.execute("DELETE FROM auftrag");
    site.assert_held(&["the result is empty where there were 400 records"]);
    // It stays pulled until somebody approves, or the rows are back.
    site.assert_held(&["the result is empty where there were 400 records"]);
    site.server.execute("INSERT INTO auftrag SELECT * FROM kopie");
    site.assert_well();
}

fn a_result_that_is_cut_off_is_no_result(site: &mut Site) {
    let place = format!("127.0.0.1:{}", site.door.port());
    let mut cut = 0;
    for bytes in CUTS.step_by(CUT_STEP) {
        site.door.set(Mode::CutAnswer(bytes));
        let outcome = site.once();
        if outcome.code() != Some(0) {
            cut += 1;
            outcome.expect(3).says(&place);
        }
        site.assert_untouched();
    }
    site.door.set(Mode::Open);
    assert!(cut > 5, "only {cut} connections were cut before their end");
    site.assert_well();
}

fn a_right_that_is_taken_away_is_told(site: &mut Site) {
    site.server.execute(site.guarded.revoke);
    let outcome = site.once();
    assert_ne!(outcome.code(), Some(0), "{outcome}");
    outcome.says(site.guarded.denied).says(&format!("127.0.0.1:{}", site.door.port()));
    site.assert_untouched();
    site.server.execute(site.guarded.grant);
    site.assert_well();
}

fn rows_that_are_hidden_are_not_gone(site: &mut Site) {
    site.server.execute(site.guarded.hide);
    site.assert_held(&["200 of 400 records would be deleted (50%)", "sync.delete_limit"]);
    site.server.execute(site.guarded.show);
    site.assert_well();
}

/// A table that was restored in place: the same database, with the rows of last week.
fn an_older_copy_is_held(site: &mut Site) {
    site.server.execute("DELETE FROM auftrag WHERE id > 250");
    site.assert_held(&["150 of 400 records would be deleted (38%)"]);
    site.server.execute("INSERT INTO auftrag SELECT * FROM kopie WHERE id > 250");
    site.assert_well();
}

fn another_server_under_the_same_name_is_noticed(site: &mut Site, other: &Server) {
    fill(site.guarded, other, site.guarded.other_orders.clone());
    other.execute("UPDATE auftrag SET menge = menge + 1000");
    site.door.lead_to(other.port);
    site.assert_held(&[site.guarded.another]);
    site.door.lead_to(site.server.port);
    site.assert_well();
}

fn a_clock_that_jumps_deletes_nothing(site: &mut Site) {
    // The clock of the device: a year ahead, and a year back.
    for now in ["2026-03-30T12:00:00Z", NOW, "2024-03-30T12:00:00Z", NOW] {
        site.once_at(now).expect(0);
        site.assert_untouched();
    }
    // The clock of the source: what it books now lies years from here, and comes back when the clock is right.
    let from = (site.guarded.dialect.literal)("2019-01-01 00:00:00");
    let to = (site.guarded.dialect.literal)("2031-01-01 00:00:00");
    for then in [from, to] {
        site.server.execute(&format!("UPDATE auftrag SET von = {then}, geaendert = {then} WHERE id > 300"));
        site.assert_held(&["100 of 400 records would be deleted (25%)"]);
        site.server
            .execute("DELETE FROM auftrag WHERE id > 300; INSERT INTO auftrag SELECT * FROM kopie WHERE id > 300");
        site.assert_well();
    }
}

fn an_approval_lets_one_run_pass(site: &mut Site) {
    for _ in 0..2 {
        site.server.execute("DELETE FROM auftrag WHERE id > 200");
        site.assert_held(&["200 of 400 records would be deleted (50%)"]);
        site.workspace.engine(&["approve", "acme"]).expect(0).says("200 of 400 records");
        site.once().expect(0);
        assert_eq!(site.platform.state().len(), 200);
        site.server.execute("INSERT INTO auftrag SELECT * FROM kopie WHERE id > 200");
        site.once().expect(0);
        assert_eq!(differences(&site.platform.state(), &site.before), 0);
        site.since = site.platform.requests().len();
    }
}

/// The database itself was restored, under its name, on the same server.
fn a_restored_database_is_another_one(site: &mut Site) {
    let database = std::mem::replace(&mut site.server.database, "postgres".to_owned());
    site.server.execute(&format!("ALTER DATABASE {database} RENAME TO away"));
    site.server.execute(&format!("CREATE DATABASE {database} TEMPLATE away"));
    site.assert_held(&["the source is not the database of before: database_oid was"]);
    site.server.execute(&format!("DROP DATABASE {database}"));
    site.server.execute(&format!("ALTER DATABASE away RENAME TO {database}"));
    site.server.database = database;
    site.assert_well();
}
