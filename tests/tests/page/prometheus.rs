//! Alarms and dashboard, by the tools that they are for: promtool, a Prometheus that scrapes a service, and what Grafana
//! publishes of its schema.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use engine_tests::binary::{Running, await_that, root};
use engine_tests::canary::percent;
use engine_tests::clients;
use engine_tests::plant;
use engine_tests::proxy::{Mode, Proxy};
use engine_tests::servers;
use serde_json::{Value, json};

use crate::client::{Answer, send};
use crate::{Site, every_second};

/// The file of the alarms.
fn alarms() -> PathBuf {
    root().join("deploy/prometheus/alerts.yaml")
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(root().join("deploy/prometheus/dashboard.json")).expect("it is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Runs promtool; `None` where it is not here.
fn promtool(args: &[&str], input: &str) -> Option<Output> {
    let child =
        Command::new("promtool").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    match child {
        Ok(mut child) => {
            child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads all");
            Some(child.wait_with_output().expect("it ends"))
        }
        Err(error) => {
            // To standard error itself: `./test` looks for such lines, which a passing test would swallow.
            let _ = writeln!(std::io::stderr(), "skipped: promtool of the package prometheus is not here: {error}");
            None
        }
    }
}

/// Whether the unit tests pass with these alarms.
fn pass(folder: &Path, alarms: &str) -> Option<Output> {
    std::fs::write(folder.join("alerts.yaml"), alarms).expect("the folder is writable");
    let tests = std::fs::read_to_string(root().join("tests/prometheus/alerts.test.yaml")).expect("it is there");
    let tests = tests.replace("../../deploy/prometheus/alerts.yaml", "alerts.yaml");
    std::fs::write(folder.join("alerts.test.yaml"), tests).expect("the folder is writable");
    promtool(&["test", "rules", folder.join("alerts.test.yaml").to_str()?], "")
}

#[test]
fn the_alarms_fire_when_they_should_and_not_otherwise() {
    let text = std::fs::read_to_string(alarms()).expect("it is there");
    let Some(checked) = promtool(&["check", "rules", "--lint-fatal", alarms().to_str().expect("UTF-8")], "") else {
        return;
    };
    assert!(checked.status.success(), "{checked:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let tested = pass(folder.path(), &text).expect("it was here before");
    assert!(tested.status.success(), "{tested:?}");
    // An alarm that never fires is noticed, and one that always does, and one that does so at once or later.
    let rules: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("expr: ")).collect();
    assert_eq!(rules.len(), 9);
    for rule in rules {
        for other in ["        expr: vector(0) > 1", "        expr: vector(1)"] {
            let tested = pass(folder.path(), &text.replace(rule, other)).expect("it was here before");
            assert!(!tested.status.success(), "{rule} may become {other}");
        }
    }
    for (time, other) in
        [("for: 5m", "for: 0m"), ("for: 5m", "for: 6m"), ("for: 10m", "for: 9m"), ("for: 15m", "for: 16m")]
    {
        let times = text.matches(time).count();
        assert!(times > 0, "{time}");
        for place in 0..times {
            let at = text.match_indices(time).nth(place).expect("it is there").0;
            let changed = format!("{}{other}{}", &text[..at], &text[at + time.len()..]);
            let tested = pass(folder.path(), &changed).expect("it was here before");
            assert!(!tested.status.success(), "{time} number {place} may become {other}");
        }
    }
}

#[test]
fn promtool_has_nothing_to_say_of_what_is_served() {
    let mut site = Site::new();
    site.plant.orders(1..4);
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("delivered", "acme");
    let text = site.get("/metrics").is(200).body;
    let Some(checked) = promtool(&["check", "metrics"], &text) else { return };
    // It reads the format before OpenMetrics, in which the text of a counter would stand at the name with `_total`.
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let said: Vec<&str> = said.lines().filter(|line| !line.ends_with("_total no help text")).collect();
    assert!(said.is_empty(), "{said:?}");
    // A counter under a wrong name is told.
    let wrong = text.replace("engine_rows_read", "engine_rowsRead");
    let checked = promtool(&["check", "metrics"], &wrong).expect("it was here before");
    assert!(String::from_utf8_lossy(&checked.stderr).contains("engine_rowsRead"), "{checked:?}");
}

/// A Prometheus that scrapes one service every second, and evaluates alarms as often.
struct Prometheus {
    _running: Running,
    address: String,
}

impl Prometheus {
    /// `None` where it is not here.
    fn start(site: &Site, alarms: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let address = format!("127.0.0.1:{port}");
        let program =
            ["/usr/bin/prometheus", "/usr/local/bin/prometheus"].iter().map(Path::new).find(|path| path.is_file());
        let Some(program) = program else {
            let _ = writeln!(std::io::stderr(), "skipped: Prometheus is not here");
            return None;
        };
        site.workspace.write("alarms.yaml", alarms);
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": ["alarms.yaml"],
            "scrape_configs": [{ "job_name": "engine", "static_configs": [{ "targets": [site.address] }] }],
        });
        site.workspace.spec("prometheus.yaml", &config);
        let listen = format!("--web.listen-address={address}");
        let args = ["--config.file=prometheus.yaml", "--storage.tsdb.path=prometheus", listen.as_str()];
        let running = site.workspace.start_program(program, &args, &[]);
        let prometheus = Self { _running: running, address };
        await_that("Prometheus listens", || std::net::TcpStream::connect(&prometheus.address).is_ok());
        await_that("it is ready", || prometheus.ask("/-/ready").status == 200);
        await_that("it scrapes", || !prometheus.query("up == 1").is_empty());
        Some(prometheus)
    }

    fn ask(&self, path: &str) -> Answer {
        // Of HTTP/1.0, so that the answer comes in one piece.
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address);
        send(&self.address, request.as_bytes()).expect("an answer")
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask(path);
        let answer: Value = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:#?}"));
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The series of an instant query.
    fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.get(&format!("/api/v1/query?query={}", percent(expression)));
        data["result"].as_array().expect("a list").clone()
    }

    /// The states of an alarm, for each pipeline.
    fn states(&self, alarm: &str) -> Vec<(String, String)> {
        let alerts = self.get("/api/v1/alerts")["alerts"].as_array().expect("a list").clone();
        let of_alarm = alerts.iter().filter(|alert| alert["labels"]["alertname"] == alarm);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        of_alarm.map(|alert| (text(&alert["labels"]["pipeline"]), text(&alert["state"]))).collect()
    }
}

#[test]
fn a_database_that_is_stopped_is_an_alarm_until_it_is_back() {
    let database = servers::postgres();
    let proxy = Proxy::start(database.port, Mode::Shut);
    let mut site = Site::new();
    site.plant.orders(1..4);
    site.workspace.env("DB_PASSWORD", &database.password);
    site.spec(&every_second("well", &plant::to_file("well.ndjson")));
    let mut spec = every_second("acme", &plant::to_file("runs.ndjson"));
    spec["source"] = json!({
        "type": "postgres", "host": "127.0.0.1", "port": proxy.port(), "database": "postgres",
        "username": database.username, "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
        "tls": { "mode": "require" },
    });
    spec["query"]["sql"] = "SELECT 1 AS id, '4711' AS anr, 'A' AS artnr, 'M1' AS mnr, '2025-01-01 06:00:00' AS von, \
                            '2025-01-01 07:00:00' AS bis, 5.0 AS menge, NULL AS geaendert"
        .into();
    site.spec(&spec);
    site.start();
    // As they are, but for how long something must last.
    let text = std::fs::read_to_string(alarms()).expect("it is there");
    let text = text.replace("for: 15m", "for: 3s");
    let Some(prometheus) = Prometheus::start(&site, &text) else { return };
    let alarm = "EnginePipelineNeverRan";
    let state = |state: &str| vec![("acme".to_owned(), state.to_owned())];
    await_that("it is pending", || prometheus.states(alarm) == state("pending"));
    await_that("it fires", || prometheus.states(alarm) == state("firing"));
    proxy.set(Mode::Open);
    await_that("it is over", || prometheus.states(alarm).is_empty());
    assert!(!prometheus.query("engine_lag_seconds{pipeline=\"acme\"}").is_empty());
}

#[test]
fn every_panel_shows_something_of_a_service_that_works() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.plant.execute("INSERT INTO auftrag (id, anr, artnr, mnr, von) VALUES (99, 'x', 'y', 'M1', 'never')");
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("delivered", "acme");
    let Some(prometheus) = Prometheus::start(&site, "groups: []\n") else { return };
    await_that("there are two scrapes", || !prometheus.query("rate(engine_rows_read_total[1m]) > 0").is_empty());
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("a list");
    assert_eq!(panels.len(), 15);
    for panel in panels {
        let title = panel["title"].as_str().expect("a panel has a title");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        assert_eq!(panel["datasource"]["uid"], "${source}", "{title}");
        let targets = panel["targets"].as_array().expect("a list");
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${source}", "{title}");
            let expression = target["expr"].as_str().expect("an expression");
            assert_eq!(unit, unit_of(expression), "{title}: {expression}");
            let asked = expression.replace("$pipeline", "acme").replace("$__rate_interval", "1m");
            assert!(!asked.contains('$'), "{asked}");
            assert!(!prometheus.query(&asked).is_empty(), "{title}: {asked}");
        }
    }
    // What fills the list of pipelines.
    let names = prometheus.get(&format!("/api/v1/label/pipeline/values?match[]={}", percent("engine_health")));
    assert_eq!(names, json!(["acme"]));
}

/// The unit that the names of metrics tell.
fn unit_of(expression: &str) -> &'static str {
    let is_rate = expression.contains("rate(") && !expression.contains("histogram_quantile");
    match expression {
        _ if expression.contains("process_cpu_seconds_total") => "percentunit",
        _ if is_rate => "cps",
        _ if expression.contains("_seconds") => "s",
        _ if expression.contains("_bytes") => "bytes",
        _ => "short",
    }
}

#[test]
fn the_dashboard_is_what_grafana_knows() {
    let clients = clients::installed("grafana");
    let folder = tempfile::tempdir().expect("a folder");
    let check = |dashboard: &Value| {
        let file = folder.path().join("dashboard.json");
        std::fs::write(&file, dashboard.to_string()).expect("the folder is writable");
        let output = Command::new("python3")
            .arg(root().join("tests/clients/grafana/check.py"))
            .arg(file)
            .env("PYTHONPATH", clients.join("python"))
            .output()
            .expect("python3 starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let mut dashboard = dashboard();
    assert_eq!(check(&dashboard), "");
    // A typo is told, in whatever depth.
    dashboard["panels"][1]["fieldConfig"]["defaults"]["unitt"] = "s".into();
    dashboard["panels"][3]["targets"][0]["exprr"] = "up".into();
    assert_eq!(
        check(&dashboard),
        "/panels/1/fieldConfig/defaults/unitt: not known\n/panels/3/targets/0/exprr: not known\n"
    );
}
