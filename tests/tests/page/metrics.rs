//! The metrics, read by the rules of their format.

use std::collections::{BTreeMap, BTreeSet};

use engine_tests::binary::{await_that, root};
use engine_tests::plant;
use serde_json::json;

use crate::client::send;
use crate::{Site, every_second};

/// Samples by name and labels, and the kind of each metric.
#[derive(Debug, Default)]
struct Scrape {
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
    kinds: BTreeMap<String, String>,
}

impl Scrape {
    /// Reads OpenMetrics text. Panics where it is not well-formed.
    fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        let (mut described, mut ended) = (String::new(), false);
        for line in text.lines() {
            assert!(!ended, "{line}: after the end");
            if line == "# EOF" {
                ended = true;
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and a text");
                assert!(help.ends_with('.') && help.len() > 2, "{line}");
                described = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a kind");
                assert_eq!(name, described, "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(scrape.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is told twice");
            } else {
                scrape.sample(line, &described);
            }
        }
        assert!(ended, "the end is missing");
        scrape
    }

    fn sample(&mut self, line: &str, described: &str) {
        let end = line.find(['{', ' ']).expect("a name");
        let (name, rest) = line.split_at(end);
        let suffixes: &[&str] = match self.kinds[described].as_str() {
            "counter" => &["_total"],
            "histogram" => &["_sum", "_count", "_bucket"],
            _ => &[""],
        };
        let is_of = suffixes.iter().any(|suffix| name == format!("{described}{suffix}"));
        assert!(is_of && is_name(name), "{line}: below {described}");
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest),
            None => (BTreeMap::new(), rest),
        };
        let value: f64 =
            rest.strip_prefix(' ').and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        assert!(self.samples.insert((name.to_owned(), labels), value).is_none(), "{line}: told twice");
    }

    /// The value of one sample, by some of its labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |known: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| known.get(*name).is_some_and(|known| known == value))
        };
        let found: Vec<f64> = self
            .samples
            .iter()
            .filter(|((one, known), _)| one == name && fits(known))
            .map(|(_, value)| *value)
            .collect();
        assert!(found.len() < 2, "{name} {labels:?}: {found:?}");
        found.first().copied()
    }
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// The labels behind `{`, and what follows them.
fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, value) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name), "{name}");
        let (mut text, mut chars) = (String::new(), value.char_indices());
        let end = loop {
            match chars.next().expect("a value ends") {
                (end, '"') => break end,
                (_, '\\') => text.push(match chars.next().expect("something is escaped").1 {
                    'n' => '\n',
                    c @ ('"' | '\\') => c,
                    c => panic!("\\{c} is no escape"),
                }),
                (_, c) => text.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), text).is_none(), "{name} is told twice");
        let after = &value[end + 1..];
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, after.strip_prefix('}').expect("the labels end")),
        }
    }
}

fn scrape(site: &Site) -> Scrape {
    let answer = site.get("/metrics").is(200);
    assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    Scrape::read(&answer.body)
}

#[test]
fn runs_and_deliveries_are_counted() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.plant.execute("INSERT INTO auftrag (id, anr, artnr, mnr, von) VALUES (99, 'x', 'y', 'M1', 'never')");
    let mut spec = every_second("acme", &plant::to_file("runs.ndjson"));
    spec["labels"] = json!({ "site": "Aachen \"north\"\\", "cost-centre": "7" });
    site.spec(&spec);
    site.start().event("delivered", "acme");
    let of = [("pipeline", "acme"), ("label_site", "Aachen \"north\"\\"), ("label_cost_centre", "7")];
    await_that("the delivery is counted", || scrape(&site).value("engine_records_delivered_total", &of) == Some(10.0));
    let metrics = scrape(&site);
    let value = |name: &str, label: &[(&str, &str)]| metrics.value(name, &[&of, label].concat());
    assert_eq!(value("engine_rows_found_total", &[("change", "new")]), Some(10.0));
    assert_eq!(value("engine_rows_found_total", &[("change", "gone")]), Some(0.0));
    assert_eq!(value("engine_records_queued_total", &[("op", "upsert")]), Some(10.0));
    assert_eq!(value("engine_runs_total", &[("outcome", "failed")]), Some(0.0));
    assert!(value("engine_runs_total", &[("outcome", "ok")]) >= Some(1.0));
    assert!(value("engine_rows_rejected_total", &[("code", "time_unparsable")]) >= Some(1.0), "{metrics:#?}");
    assert!(value("engine_rows_read_total", &[]) >= Some(11.0));
    assert_eq!(value("engine_quarantine_rows", &[]), Some(1.0));
    assert_eq!(value("engine_records", &[]), Some(10.0));
    assert_eq!(value("engine_outbox_waiting_seconds", &[]), Some(0.0));
    assert_eq!(value("engine_health", &[("health", "ok")]), Some(1.0));
    // All ten ended in 2025, long ago.
    assert_eq!(value("engine_delivered_age_seconds_count", &[]), Some(10.0));
    assert_eq!(value("engine_delivered_age_seconds_bucket", &[("le", "604800.0")]), Some(0.0));
    assert_eq!(value("engine_delivered_age_seconds_bucket", &[("le", "+Inf")]), Some(10.0));
    assert!(value("engine_next_run_timestamp_seconds", &[]) > value("engine_last_run_timestamp_seconds", &[]));
    assert_eq!(metrics.value("engine_pipelines", &[]), Some(1.0));
    assert!(metrics.value("process_resident_memory_bytes", &[]) > Some(1e6));
    assert!(metrics.value("process_cpu_seconds_total", &[]) > Some(0.0));
    assert!(metrics.value("process_open_fds", &[]) > Some(3.0));
}

#[test]
fn what_waits_and_what_fails_is_measured() {
    let mut site = Site::new();
    site.plant.orders(1..11);
    site.spec(&every_second("waits", &plant::to_url("http://127.0.0.1:9")));
    let mut fails = every_second("fails", &plant::to_file("none.ndjson"));
    fails["query"]["sql"] = "SELECT * FROM gibtsnicht".into();
    site.spec(&fails);
    let running = site.start();
    running.events(&[("delivery_waits", "waits"), ("run_failed", "fails")]);
    let of = |metrics: &Scrape, name: &str, pipeline: &str| metrics.value(name, &[("pipeline", pipeline)]);
    await_that("it waits", || of(&scrape(&site), "engine_outbox_waiting_seconds", "waits") > Some(1.0));
    // What is remembered and what is counted come one after the other.
    let failed = [("pipeline", "fails"), ("outcome", "failed")];
    await_that("it fails", || {
        let metrics = scrape(&site);
        of(&metrics, "engine_failures_in_a_row", "fails") >= Some(2.0)
            && metrics.value("engine_runs_total", &failed) >= Some(2.0)
    });
    let metrics = scrape(&site);
    assert_eq!(of(&metrics, "engine_outbox_records", "waits"), Some(10.0));
    assert!(of(&metrics, "engine_outbox_bytes", "waits") > Some(1_000.0));
    assert!(of(&metrics, "engine_deliveries_stopped_total", "waits") >= Some(1.0));
    assert_eq!(of(&metrics, "engine_delivery_paused", "waits"), Some(0.0));
    assert_eq!(metrics.value("engine_health", &[("pipeline", "waits"), ("health", "waiting")]), Some(1.0));
    assert_eq!(metrics.value("engine_health", &[("pipeline", "fails"), ("health", "failing")]), Some(1.0));
    // What never went well has no time of it.
    assert_eq!(of(&metrics, "engine_lag_seconds", "fails"), None);
}

#[test]
fn a_browser_shows_the_metrics_and_does_not_store_them() {
    let mut site = Site::new();
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("run_finished", "acme");
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\naccept: text/html,*/*;q=0.8\r\n\r\n";
    let answer = send(&site.address, request.as_bytes()).expect("an answer").is(200);
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
}

/// Alarms and pictures that ask for what is not there say nothing, for ever.
#[test]
fn what_prometheus_and_grafana_ask_for_is_served() {
    let mut site = Site::new();
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("run_finished", "acme");
    let kinds = scrape(&site).kinds;
    let served = |name: &str| {
        let suffixes = ["_total", "_bucket", "_sum", "_count", ""];
        suffixes.iter().any(|suffix| {
            name.strip_suffix(suffix).is_some_and(|name| {
                kinds.get(name).is_some_and(|kind| match *suffix {
                    "" => kind == "gauge",
                    "_total" => kind == "counter",
                    _ => kind == "histogram",
                })
            })
        })
    };
    for file in ["alerts.yaml", "dashboard.json"] {
        let text = std::fs::read_to_string(root().join("deploy/prometheus").join(file)).expect("it is there");
        let parsed: serde_json::Value = serde_yaml::from_str(&text).expect("it is well-formed");
        let mut asked = BTreeSet::new();
        expressions(&parsed, &mut asked);
        let names: BTreeSet<&str> = asked
            .iter()
            .flat_map(|asked| asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
            .filter(|word| ["engine_", "process_"].iter().any(|prefix| word.starts_with(prefix)))
            .collect();
        assert!(names.len() > 4, "{file}: {names:?}");
        let missing: Vec<&&str> = names.iter().filter(|name| !served(name)).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}

/// The expressions of alarms and panels.
fn expressions(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if name == "expr" => _ = found.insert(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn what_is_served_is_what_the_reference_says() {
    let mut site = Site::new();
    site.spec(&every_second("acme", &plant::to_file("runs.ndjson")));
    site.start().event("run_finished", "acme");
    let page = std::fs::read_to_string(root().join("docs/reference/metrics.md")).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let told: BTreeSet<(String, String)> = rows
        .filter_map(|(name, rest)| {
            let kind = rest.split(' ').next()?;
            Some((
                name.strip_suffix("_total").filter(|_| kind == "counter").unwrap_or(name).to_owned(),
                kind.to_owned(),
            ))
        })
        .collect();
    let served: BTreeSet<(String, String)> = scrape(&site).kinds.into_iter().collect();
    assert_eq!(served, told);
}
