//! What a service manager hears from `engine run`: that it is ready, how it does, that it is alive, that it ends.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use engine_tests::binary::{PATIENCE, Workspace};
use engine_tests::plant::{self, Plant};
use serde_json::json;

use crate::service::every_second;

/// How long the service manager of these tests waits for a sign of life.
const WATCHDOG: Duration = Duration::from_secs(1);

/// A socket to which a service reports.
pub(crate) struct Manager {
    socket: UnixDatagram,
    /// What to put into `NOTIFY_SOCKET`.
    pub(crate) address: String,
}

impl Manager {
    pub(crate) fn at_a_path(workspace: &Workspace) -> Self {
        let path = workspace.path("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        Self { socket, address: path.display().to_string() }
    }

    fn at_an_abstract_name(name: &str) -> Self {
        let name = format!("engine-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        Self { socket: UnixDatagram::bind_addr(&address).expect("bound"), address: format!("@{name}") }
    }

    /// The next message; `None` where none comes in time.
    pub(crate) fn hear(&self, patience: Duration) -> Option<String> {
        let mut message = [0; 4096];
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).expect("set");
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }

    /// Waits for a message that begins so, and gives it back.
    #[track_caller]
    pub(crate) fn expect(&self, begin: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Some(message) = self.hear(deadline.saturating_duration_since(Instant::now())) {
            if message.starts_with(begin) {
                return message;
            }
            heard.push(message);
        }
        panic!("no message begins with {begin}: {heard:#?}");
    }
}

/// The source is away, and nobody takes what is delivered: the service is ready all the same.
#[test]
fn a_service_is_ready_before_any_source_answers_and_says_how_it_does() {
    let (workspace, manager) = (Workspace::new(), Manager::at_an_abstract_name("ready"));
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_url("http://127.0.0.1:9/")));
    let mut idle = every_second("idle", &plant::to_file("idle.ndjson"));
    idle["schedule"] = json!({ "cron": "0 0 29 2 *" });
    workspace.spec("idle.yaml", &idle);
    let running = workspace.start_with(&[("NOTIFY_SOCKET", &manager.address)], &["run", "."]);
    assert_eq!(manager.hear(PATIENCE).as_deref(), Some("READY=1\nSTATUS=2 pipelines"));
    manager.expect("STATUS=2 pipelines, 1 failing");
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    manager.expect("STATUS=2 pipelines, 1 waiting for the destination");
    running.signal("TERM");
    manager.expect("STOPPING=1");
    running.finish().expect(0);
    assert_eq!(manager.hear(Duration::ZERO), None, "nothing is said after the end");
}

#[test]
fn a_loop_that_stands_still_gives_no_sign_of_life() {
    let workspace = Workspace::new();
    let manager = Manager::at_a_path(&workspace);
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    let mut idle = every_second("acme", &plant::to_file("runs.ndjson"));
    idle["schedule"] = json!({ "every": "1h" });
    workspace.spec("acme.yaml", &idle);
    let watchdog = WATCHDOG.as_micros().to_string();
    let variables = [("NOTIFY_SOCKET", manager.address.as_str()), ("WATCHDOG_USEC", &watchdog)];
    let running = workspace.start_with(&variables, &["run", "acme.yaml"]);
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    // Twice in the time that it has, though nothing happens.
    let began = Instant::now();
    for _ in 0..6 {
        manager.expect("WATCHDOG=1");
    }
    assert!(began.elapsed() > WATCHDOG * 2, "no more often than needed: {:?}", began.elapsed());
    running.signal("STOP");
    // What was under way is heard first.
    while manager.hear(WATCHDOG / 4).is_some() {}
    assert_eq!(manager.hear(WATCHDOG * 2), None, "a process that stands still sends nothing");
    running.signal("CONT");
    manager.expect("WATCHDOG=1");
    running.signal("TERM");
    running.finish().expect(0);
}

#[test]
fn a_watchdog_of_another_process_hears_nothing() {
    let workspace = Workspace::new();
    let manager = Manager::at_a_path(&workspace);
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let variables = [("NOTIFY_SOCKET", manager.address.as_str()), ("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")];
    let mut running = workspace.start_with(&variables, &["run", "acme.yaml"]);
    running.event("delivered", "acme");
    running.event("run_finished", "acme");
    running.signal("TERM");
    running.finish().expect(0);
    let heard: Vec<String> = std::iter::from_fn(|| manager.hear(Duration::ZERO)).collect();
    assert!(heard.iter().any(|message| message.starts_with("READY=1")), "{heard:?}");
    assert!(!heard.iter().any(|message| message.contains("WATCHDOG")), "{heard:?}");
}

/// `--once` is no service: whoever waits for it waits for its end.
#[test]
fn a_single_run_reports_to_nobody() {
    let workspace = Workspace::new();
    let manager = Manager::at_a_path(&workspace);
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &every_second("acme", &plant::to_file("runs.ndjson")));
    let variables = [("NOTIFY_SOCKET", manager.address.as_str())];
    workspace.start_with(&variables, &["run", "--once", "acme.yaml"]).finish().expect(0);
    assert_eq!(manager.hear(Duration::ZERO), None);
}
