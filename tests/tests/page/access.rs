//! The page beyond loopback: encrypted, and for those who know its token.

use std::time::{Duration, Instant};

use engine_tests::binary::await_that;
use engine_tests::forge::{Forge, GOOD};
use engine_tests::plant;

use crate::client::{Answer, connect, send, send_over_tls};
use crate::{Site, every_second};

const TOKEN: &str = "canary-of-the-page-6f1c";
const ANOTHER: &str = "canary-of-tomorrow-9d20";
const COOKIE: &str = "__Host-engine";
/// Connections that are served at the same time.
const CONNECTIONS: usize = 16;
/// Wrong tokens from one address.
const ATTEMPTS: usize = 10;

/// A service whose page can be reached from other machines. Certificate and token lie in a folder of their own.
struct Door {
    site: Site,
    forge: Forge,
}

impl Door {
    fn new() -> Self {
        let door = Self { site: Site::new(), forge: Forge::new() };
        door.site.plant.orders(1..11);
        door.site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
        door.forge.issue(&GOOD);
        door.token(TOKEN);
        let file = |name| door.forge.path(name).display().to_string();
        door.site.workspace.write(
            "engine.yaml",
            format!(
                "version: 1\nspecs: ['*.spec.yaml']\nhttp:\n  listen: '0.0.0.0:0'\n  \
                 tls: {{ cert_file: {}, key_file: {} }}\n  token: {{ file: {} }}\n",
                file("leaf.pem"),
                file("leaf.key"),
                file("token")
            ),
        );
        door
    }

    fn open() -> Self {
        let mut door = Self::new();
        door.start();
        door
    }

    fn start(&mut self) {
        self.site.start().event("run_finished", "acme");
        self.site.address = self.site.address.replace("0.0.0.0", "127.0.0.1");
    }

    fn token(&self, token: &str) {
        std::fs::write(self.forge.path("token"), format!("{token}\n")).expect("the folder is writable");
    }

    /// Sends a request as `GET /path`, under the name that the box has in its network.
    fn send(&self, what: &str, header: &str, body: &str) -> Answer {
        let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        let length = body.len();
        let request =
            format!("{what} HTTP/1.1\r\nhost: box.example:8443\r\n{header}content-length: {length}\r\n\r\n{body}");
        send_over_tls(&self.site.address, &self.forge.path("ca.pem"), request.as_bytes())
            .unwrap_or_else(|| panic!("no answer to {request}"))
    }

    fn get(&self, path: &str, header: &str) -> Answer {
        self.send(&format!("GET {path}"), header, "")
    }

    fn by_token(&self, path: &str, token: &str) -> Answer {
        self.get(path, &format!("authorization: Bearer {token}"))
    }

    fn log_in(&self, token: &str) -> Answer {
        self.send("POST /login", "sec-fetch-site: same-origin", &format!("to=%2Fpipelines%2Facme&token={token}"))
    }

    /// The cookie of a log-in, as a browser sends it.
    fn cookie(&self) -> String {
        let answer = self.log_in(TOKEN).is(303);
        let (cookie, attributes) = answer.headers["set-cookie"].split_once(';').expect("attributes");
        assert_eq!(attributes, " Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(answer.headers["location"], "/pipelines/acme");
        assert!(cookie.starts_with(&format!("{COOKIE}=")) && !cookie.contains(TOKEN), "{cookie}");
        format!("cookie: other=1; {cookie}")
    }
}

#[test]
fn beyond_loopback_the_page_is_for_those_who_know_its_token() {
    let door = Door::open();
    for path in ["/", "/pipelines/acme", "/pipelines/none", "/metrics", "/none"] {
        let answer = door.get(path, "accept: */*").is(401);
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"engine\"", "{path}");
        assert!(!answer.body.contains("acme"), "{path}: {answer:?}");
        let page = door.get(path, "accept: text/html").is(401);
        page.says("<form method=\"post\" action=\"/login\"").says(&format!("value=\"{path}\""));
        assert!(!page.body.replace(path, "").contains("acme"), "{path}: {page:?}");
        door.by_token(path, ANOTHER).is(401);
        door.by_token(path, TOKEN).is(if path.ends_with("none") { 404 } else { 200 });
    }
    for path in ["/healthz", "/readyz", "/style.css"] {
        door.get(path, "").is(200);
    }
    door.by_token("/metrics", TOKEN).is(200).says("engine_runs_total{pipeline=\"acme\"");
    door.by_token("/", TOKEN).is(200).says("acme");
    for path in ["/refresh.js", "/metrics?x=/healthz", "/healthz/", "//healthz", "/%68ealthz"] {
        door.get(path, "").is(401);
    }
    door.get("/", "cookie: __Host-engine=1").is(401);
    door.send("POST /", "", "").is(405);
}

#[test]
fn a_log_in_is_a_cookie_that_is_not_the_token() {
    let door = Door::open();
    door.get("/login", "").is(200).says("<label for=\"token\">");
    let wrong = door.log_in(ANOTHER).is(401);
    wrong.says("role=\"alert\"").says("This is not the token.");
    assert!(!wrong.headers.contains_key("set-cookie"), "{wrong:?}");
    let cookie = door.cookie();
    let page = door.get("/", &cookie).is(200);
    page.says("acme").says("<button>Log out</button>");
    assert!(page.headers["content-security-policy"].contains("form-action 'self'"), "{page:?}");
    door.get("/metrics", &cookie).is(200);
    let out = door.send("POST /logout", &cookie, "").is(303);
    assert!(out.headers["set-cookie"].starts_with("__Host-engine=; Path=/; Max-Age=0;"), "{out:?}");
    door.send("POST /login", "sec-fetch-site: cross-site", &format!("token={TOKEN}")).is(403);
    door.send("POST /login", "", &"x".repeat(8 << 10)).is(413);
}

#[test]
fn the_token_is_shown_nowhere() {
    let mut door = Door::open();
    let cookie = door.cookie();
    let mut seen = String::new();
    for answer in [
        door.log_in(TOKEN),
        door.log_in(&format!("{TOKEN}x")),
        door.by_token("/", &format!("{TOKEN}x")),
        door.by_token("/", TOKEN),
        door.get("/pipelines/acme", &cookie),
        door.get(&format!("/{TOKEN}"), "accept: text/html"),
    ] {
        seen.push_str(&format!("{:?} {}", answer.headers, answer.body.replace(&format!("value=\"/{TOKEN}\""), "")));
    }
    assert!(!seen.contains(TOKEN), "{seen}");
    std::fs::write(door.forge.path("token"), format!("{TOKEN} with blanks")).expect("the folder is writable");
    let mut running = door.site.running.take().expect("it runs");
    running.event("http_not_renewed", "");
    running.signal("TERM");
    let outcome = running.finish().expect(0);
    assert!(!outcome.stderr.contains("canary") && !outcome.stdout.contains("canary"), "{outcome}");
    let beside = std::fs::read_dir(door.site.workspace.path(".engine")).expect("the state").flatten();
    for file in beside.filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).expect("a file");
        let is_there = bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
        assert!(!is_there, "{}", file.path().display());
    }
}

#[test]
fn whoever_guesses_is_not_listened_to_and_that_is_said() {
    let mut door = Door::open();
    let cookie = door.cookie();
    for number in 0..ATTEMPTS {
        match number % 2 {
            0 => door.log_in("wrong").is(401),
            _ => door.by_token("/metrics", "wrong").is(401),
        };
    }
    let refused = door.by_token("/metrics", TOKEN).is(429);
    assert_eq!(refused.headers["retry-after"], "60");
    door.log_in(TOKEN).is(429).says("Too many wrong tokens");
    door.get("/", &cookie).is(200);
    door.get("/healthz", "").is(200);
    let said = door.site.running.as_mut().expect("it runs").event("http_attempts", "");
    assert_eq!(said["address"], "127.0.0.1");
}

#[test]
fn certificate_and_token_are_replaced_without_a_restart() {
    let mut door = Door::open();
    let cookie = door.cookie();
    door.token(ANOTHER);
    let renewed = door.site.running.as_mut().expect("it runs").event("http_renewed", "");
    assert!(renewed["message"].as_str().is_some_and(|said| said.contains("token")), "{renewed}");
    door.by_token("/", TOKEN).is(401);
    door.get("/", &cookie).is(401);
    door.by_token("/", ANOTHER).is(200);

    // A certificate of another authority, which this client trusts from now on.
    let fresh = Forge::new();
    fresh.issue(&GOOD);
    let put = |from: &str, to: &str| std::fs::copy(fresh.path(from), door.forge.path(to)).map(drop).expect("copied");
    put("leaf.pem", "leaf.pem");
    let running = door.site.running.as_mut().expect("it runs");
    let failed = running.event("http_not_renewed", "");
    assert!(failed["message"].as_str().is_some_and(|said| said.contains("is not the key of")), "{failed}");
    let page = door.by_token("/", ANOTHER).is(200);
    page.says("Certificate and token of this page cannot be read anew").says("is not the key of");
    put("leaf.key", "leaf.key");
    put("ca.pem", "ca.pem");
    let renewed = door.site.running.as_mut().expect("it runs").event("http_renewed", "");
    assert!(renewed["message"].as_str().is_some_and(|said| said.contains("certificate")), "{renewed}");
    await_that("nothing is in the way any more", || !door.by_token("/", ANOTHER).body.contains("cannot be read anew"));
}

#[test]
fn handshakes_that_do_not_come_hold_up_others_for_a_moment_only() {
    let door = Door::open();
    let alone = connect(&door.site.address);
    let began = Instant::now();
    door.get("/healthz", "").is(200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // All places are taken; they are given up when no handshake has come for five seconds.
    let silent: Vec<_> = (0..CONNECTIONS).map(|_| connect(&door.site.address)).collect();
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    door.get("/healthz", "").is(200);
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop((alone, silent));
}

#[test]
fn whoever_speaks_no_tls_is_told_or_sent_away() {
    let door = Door::open();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    let answer = send(&door.site.address, request.as_bytes()).expect("an answer").is(400);
    answer.says("This port speaks HTTPS only");
    assert!(!answer.body.contains("engine_"), "{answer:?}");
    for bytes in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x00\x01\x02\r\n\r\n", b"\x16\x03\x01\xff\xff"] {
        let answer = send(&door.site.address, bytes).map(|answer| answer.status);
        assert!(answer.is_none_or(|status| status == 400), "{bytes:?}: {answer:?}");
    }
    door.get("/healthz", "").is(200);
}

#[test]
fn a_certificate_or_token_that_is_not_to_be_had_stops_nothing() {
    for (file, content, said) in [
        ("leaf.pem", "", "no certificate in PEM"),
        ("leaf.key", "", "no private key in PEM"),
        ("token", "short", "the token has 5 characters"),
    ] {
        let mut door = Door::new();
        std::fs::write(door.forge.path(file), content).expect("the folder is writable");
        let mut running = door.site.workspace.start(&["run"]);
        let failed = running.event("http_failed", "");
        assert!(failed["message"].as_str().is_some_and(|message| message.contains(said)), "{said}: {failed}");
        running.event("delivered", "acme");
        door.site.running = Some(running);
        let looked = door.site.workspace.engine(&["self-check", "--offline", "-o", "json"]).expect(0).json();
        let findings = looked["findings"].as_array().expect("a list");
        let page = findings.iter().find(|finding| finding["about"] == "page").expect("it is looked at");
        assert!(
            page["result"] == "warning" && page["found"].as_str().is_some_and(|found| found.contains(said)),
            "{page}"
        );
    }
}

#[test]
fn a_token_on_loopback_needs_no_tls_and_guards_the_page_all_the_same() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.workspace.write("page-token", TOKEN);
    site.workspace.write(
        "engine.yaml",
        "version: 1\nspecs: ['*.spec.yaml']\nhttp: { listen: '127.0.0.1:0', token: { file: page-token } }\n",
    );
    site.start().event("run_finished", "acme");
    site.get("/healthz").is(200);
    site.get("/").is(401);
    let ask = |head: &str, body: &str| {
        let request = format!("{head}\r\nhost: box.example\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        send(&site.address, request.as_bytes()).expect("an answer")
    };
    let answer = ask("POST /login HTTP/1.1", &format!("token={TOKEN}")).is(303);
    // A browser takes a cookie that is `Secure` over TLS only.
    let (cookie, attributes) = answer.headers["set-cookie"].split_once(';').expect("attributes");
    assert!(cookie.starts_with("engine=") && !attributes.contains("Secure"), "{answer:?}");
    ask(&format!("GET / HTTP/1.1\r\ncookie: {cookie}"), "").is(200).says("acme");
}
