//! A state that hangs: health is told all the same, and whoever looks is told what is wrong.

use std::time::{Duration, Instant};

use engine_tests::binary::await_that;
use engine_tests::{plant, servers};

use crate::client::{get, send};
use crate::{Site, every_second};

/// Longest time that health may take, whatever hangs.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long the server looks at the state before it says that this takes too long.
const LOOK: Duration = Duration::from_secs(10);

fn site() -> Site {
    let site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site
}

/// The status that `/healthz` and `/readyz` have, and that neither waits for anything.
fn health(address: &str) -> (u16, u16) {
    let began = Instant::now();
    let told = (get(address, "/healthz").status, get(address, "/readyz").status);
    assert!(began.elapsed() < AT_ONCE, "health took {:?}", began.elapsed());
    told
}

#[test]
fn a_state_that_cannot_be_written_is_told_while_health_answers() {
    let mut site = site();
    site.start().event("delivered", "acme");
    await_that("it is ready", || health(&site.address) == (200, 200));
    let other = rusqlite::Connection::open(site.workspace.path(".engine/state.db")).expect("the state");
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    // Rows that change have to be written; a run waits for that as long as SQLite lets it.
    site.plant.execute("UPDATE auftrag SET artnr = '25-9999'");
    let locked = |body: &str| body.contains("database is locked") && body.contains("failing");
    await_that("the page says what is wrong", || {
        assert_eq!(health(&site.address).0, 200);
        locked(&get(&site.address, "/").body)
    });
    let unready = get(&site.address, "/readyz").is(503);
    unready.says("\"ready\":false").says("the last run could not read or write the state");
    other.execute_batch("COMMIT").expect("the lock is given up");
    await_that("it is ready again", || health(&site.address) == (200, 200));
    await_that("the page says so", || !locked(&get(&site.address, "/").body));
}

#[test]
fn a_state_that_cannot_be_read_is_told_while_health_answers() {
    let database = servers::postgres();
    let mut site = site();
    let login = format!("{}:{}", database.username, database.password);
    let url = format!("postgres://{login}@127.0.0.1:{}/{}", database.port, database.database);
    site.workspace.env("STATE_URL", &url);
    let config =
        "version: 1\nspecs: ['*.spec.yaml']\nstate: { url: { env: STATE_URL } }\nhttp: { listen: '127.0.0.1:0' }\n";
    site.workspace.write("engine.yaml", config);
    site.start().event("delivered", "acme");
    let address = site.address.clone();
    await_that("it is ready", || health(&address) == (200, 200));
    let ask = |accept: &str| {
        let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\n\r\n");
        send(&address, request.as_bytes()).expect("an answer")
    };
    let seconds = 2 * LOOK.as_secs() + 5;
    let lock = format!("LOCK TABLE engine.pipeline IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds})");
    std::thread::scope(|scope| {
        scope.spawn(|| database.execute(&lock));
        let is_silent = || {
            let began = Instant::now();
            let answer = ask("text/html");
            assert!(began.elapsed() < LOOK + AT_ONCE, "{:?}", began.elapsed());
            answer.status == 503 && answer.body.contains("<h1>The state does not answer</h1>")
        };
        await_that("a browser is told", is_silent);
        // More than there are places for a look: none waits longer than the first.
        let asking: Vec<_> = (0..5).map(|_| scope.spawn(|| (Instant::now(), ask("*/*"), Instant::now()))).collect();
        assert_eq!(health(&address).0, 200);
        for asked in asking {
            let (began, answer, ended) = asked.join().expect("nobody panicked");
            answer.is(503).says("The state has not answered for 10 seconds");
            assert!(ended - began < LOOK + AT_ONCE, "{:?}", ended - began);
        }
    });
    await_that("the page is there again", || ask("*/*").status == 200);
    await_that("it is ready again", || health(&address) == (200, 200));
}
