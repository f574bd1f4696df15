//! Traces: what a collector gets of runs and deliveries, what it never gets, and what one that fails costs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use engine_tests::binary::{await_that, root};
use engine_tests::canary;
use engine_tests::certificates::{pem, server};
use engine_tests::collector::{Behaviour, Collector, Span};
use engine_tests::platform::Fault;
use engine_tests::servers;
use serde_json::{Value, json};

use crate::Site;

/// How much longer a run may take that ends with spans which cannot be sent: the limit, and what a loaded machine adds.
const DELAY_MAX: Duration = Duration::from_millis(2_000 + 3_000);

/// Has the site send traces to a collector.
fn to(site: &Site, otlp: &Value) {
    let config = json!({ "version": 1, "telemetry": { "otlp": otlp } });
    site.workspace.spec("engine.yaml", &config);
}

/// Spans by name; a name that comes more than once is numbered in the order of time.
fn by_name(mut spans: Vec<Span>) -> BTreeMap<String, Span> {
    spans.sort_by_key(|span| span.time);
    let mut named: BTreeMap<String, Span> = BTreeMap::new();
    for span in spans {
        let name = match named.keys().filter(|name| name.split(' ').next() == Some(&span.name)).count() {
            0 => span.name.clone(),
            before => format!("{} {}", span.name, before + 1),
        };
        named.insert(name, span);
    }
    named
}

/// The attributes that the documents name, by span.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("docs/reference/traces.md")).expect("the page is there");
    let spans = page.split("\n## ").find(|section| section.starts_with("Spans")).expect("a section");
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = spans.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        (words(cells[1]).remove(0), words(cells[4]).into_iter().collect())
    })
    .collect()
}

/// Panics where a span has an attribute that the documents do not name for it. The attributes of each.
#[track_caller]
fn assert_documented(spans: &[Span]) -> BTreeMap<String, BTreeSet<String>> {
    let documented = documented();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for span in spans {
        let known = documented.get(&span.name).unwrap_or_else(|| panic!("{} is not documented", span.name));
        let found: BTreeSet<String> = span.attributes.keys().cloned().collect();
        assert!(found.is_subset(known), "{}: {found:?} and not {known:?}", span.name);
        seen.entry(span.name.clone()).or_default().extend(found);
    }
    seen
}

#[test]
fn a_run_is_a_trace_with_its_parts_and_its_deliveries() {
    let (site, collector) = (Site::orders(), Collector::start());
    site.plant.orders(1..8);
    to(&site, &json!({ "url": collector.url() }));
    site.well();
    let requests = collector.requests();
    assert!(!requests.is_empty());
    for request in &requests {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/traces"));
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
    }
    let spans = collector.spans();
    assert_documented(&spans);
    let spans = by_name(spans);
    let names: Vec<&str> = spans.keys().map(String::as_str).collect();
    assert_eq!(names, ["commit", "deliver", "derive", "expect", "load", "open", "plan", "question", "run"]);
    let run = &spans["run"];
    assert_eq!(run.parent, "");
    for (name, span) in &spans {
        assert_eq!((&span.trace, span.failed), (&run.trace, false), "{name}");
        assert_eq!(span.resource["service.name"], "engine");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert!(!span.resource["host.name"].as_str().expect("a text").is_empty());
        if name == "run" {
            continue;
        }
        assert_eq!(span.parent, run.id, "{name}");
        let is_within = span.time.0 >= run.time.0 && span.time.1 <= run.time.1;
        assert!(is_within || name == "deliver", "{name}: {:?} {:?}", span.time, run.time);
    }
    let expected = [
        ("engine.pipeline", json!("acme")),
        ("engine.source.type", json!("sqlite")),
        ("engine.outcome", json!("ok")),
        ("engine.statements", json!(1)),
        ("engine.rows.read", json!(7)),
        ("engine.rows.new", json!(7)),
        ("engine.rows.changed", json!(0)),
        ("engine.rows.gone", json!(0)),
        ("engine.rows.unchanged", json!(0)),
        ("engine.rows.rejected", json!(0)),
        ("engine.records.upserted", json!(7)),
        ("engine.records.deleted", json!(0)),
    ];
    for (name, value) in expected {
        assert_eq!(run.attributes[name], value, "{name}");
    }
    let question = &spans["question"];
    assert_eq!(question.kind, "SPAN_KIND_CLIENT");
    assert_eq!(question.attributes["db.system.name"], "sqlite");
    assert_eq!(question.attributes["db.response.returned_rows"], 7);
    assert_eq!(question.attributes["engine.statement.number"], 1);
    assert_eq!(question.attributes["engine.window.end"], "2025-03-30T12:00:00Z");
    let took = (question.time.1 - question.time.0) as f64 / 1e9;
    let part = |name: &str| question.attributes[name].as_f64().expect("seconds");
    let (fetched, mapped) = (part("engine.fetch.seconds"), part("engine.map.seconds"));
    assert!(fetched > 0.0 && mapped > 0.0 && fetched + mapped <= took + 0.01, "{fetched} {mapped} {took}");
    let deliver = &spans["deliver"];
    assert_eq!(deliver.kind, "SPAN_KIND_CLIENT");
    let expected = [
        ("engine.parcel.records", json!(7)),
        ("engine.parcel.rejected", json!(0)),
        ("engine.answer", json!("accepted")),
        ("http.request.method", json!("POST")),
        ("http.response.status_code", json!(200)),
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(site.platform.port())),
    ];
    for (name, value) in expected {
        assert_eq!(deliver.attributes[name], value, "{name}");
    }
    assert!(deliver.attributes["engine.parcel.bytes"].as_i64().is_some_and(|bytes| bytes > 7 * 50));
    // Who takes the parcel is told nothing of the trace, unless that is wanted.
    assert!(site.platform.requests().iter().all(|request| !request.headers.contains_key("traceparent")));
}

#[test]
fn a_database_server_is_named_and_a_failure_is_seen_where_it_happened() {
    let database = servers::postgres();
    let (mut site, collector) = (Site::orders(), Collector::start());
    site.workspace.env("DB_PASSWORD", &database.password);
    site.spec["source"] = json!({
        "type": "postgres", "host": database.host, "port": database.port, "database": "postgres",
        "username": database.username, "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
        "tls": { "mode": "require" },
    });
    site.spec["query"]["sql"] =
        "SELECT no_such_column FROM pg_class WHERE now() BETWEEN {{ window.start }} AND {{ window.end }}".into();
    to(&site, &json!({ "url": collector.url() }));
    site.once().expect(1);
    let spans = collector.spans();
    assert_documented(&spans);
    let spans = by_name(spans);
    for name in ["open", "question"] {
        let span = &spans[name];
        assert_eq!(span.attributes["db.system.name"], "postgresql");
        assert_eq!(span.attributes["db.namespace"], "postgres");
        assert_eq!(span.attributes["server.address"], database.host.as_str());
        assert_eq!(span.attributes["server.port"], database.port);
    }
    let failed: Vec<&str> = spans.iter().filter(|(_, span)| span.failed).map(|(name, _)| name.as_str()).collect();
    assert_eq!(failed, ["question", "run"]);
    for name in failed {
        assert_eq!(spans[name].attributes["error.type"], "query", "{name}");
    }
    assert_eq!(spans["run"].attributes["engine.outcome"], "failed");
    // The words of a server may hold values.
    assert!(!String::from_utf8_lossy(&collector.bytes()).contains("no_such_column"));
}

#[test]
fn no_secret_and_nothing_of_a_row_is_in_a_trace() {
    let (mut site, collector) = (Site::orders(), Collector::start());
    site.workspace.env("CANARY", canary::SECRET);
    // In every column of text, in a value that is bound, in a header of the delivery and in one for the collector.
    let quoted = canary::SECRET.replace('\'', "''");
    site.plant.orders(1..6);
    site.plant.execute(&format!("UPDATE auftrag SET anr = '{quoted}' || id, artnr = '{quoted}', mnr = '{quoted}'"));
    site.plant.execute(&format!("UPDATE auftrag SET von = '{quoted}' WHERE id = 1"));
    site.spec["query"]["sql"] =
        "SELECT * FROM auftrag WHERE anr <> {{ params.not }} AND von >= {{ window.start }} AND von < {{ window.end }} OR id = 1".into();
    site.spec["query"]["params"] = json!({ "not": canary::SECRET });
    site.spec["max_rejected"] = "100%".into();
    site.spec["destination"]["headers"] = json!({ "X-Api-Key": { "env": "CANARY" } });
    to(&site, &json!({ "url": collector.url(), "headers": { "X-Login": { "env": "CANARY" } } }));
    site.platform.script(vec![Fault::Answer(400, Vec::new(), json!({ "message": canary::SECRET }).to_string())]);
    site.once().expect(0);
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.headers["x-login"] == canary::SECRET), "{requests:?}");
    assert!(site.platform.requests().iter().all(|request| request.headers["x-api-key"] == canary::SECRET));
    let spans = by_name(collector.spans());
    assert_eq!(spans["run"].attributes["engine.rows.rejected"], 1);
    assert_eq!(spans["run"].attributes["engine.records.upserted"], 4);
    assert!(spans["deliver"].failed);
    assert_eq!(spans["deliver"].attributes["error.type"], "400");
    assert_eq!(canary::found_in(&collector.bytes()), None);
}

#[test]
fn a_parcel_that_is_sent_again_says_so_and_carries_the_trace_where_that_is_wanted() {
    let (site, collector) = (Site::orders(), Collector::start());
    site.plant.orders(1..4);
    to(&site, &json!({ "url": collector.url(), "traceparent": true }));
    site.platform.script(vec![Fault::status(503), Fault::CutAfterApply]);
    site.once().expect(0);
    let spans = collector.spans();
    assert_documented(&spans);
    let spans = by_name(spans);
    let told = |name: &str, attribute: &str| spans[name].attributes.get(attribute).cloned().unwrap_or_default();
    for (name, answer, error, status, resent) in [
        ("deliver", "later", json!("503"), json!(503), Value::Null),
        ("deliver 2", "unknown", json!("unknown"), Value::Null, json!(1)),
        ("deliver 3", "accepted", Value::Null, json!(200), json!(2)),
    ] {
        assert_eq!(told(name, "engine.answer"), answer, "{name}");
        assert_eq!(told(name, "error.type"), error, "{name}");
        assert_eq!(told(name, "http.response.status_code"), status, "{name}");
        assert_eq!(told(name, "http.request.resend_count"), resent, "{name}");
        assert_eq!(spans[name].failed, answer != "accepted", "{name}");
        assert_eq!(spans[name].parent, spans["run"].id, "{name}");
    }
    let requests = site.platform.requests();
    let carried: BTreeSet<&str> = requests.iter().map(|request| request.headers["traceparent"].as_str()).collect();
    assert_eq!(carried.len(), 3, "each attempt is a span of its own: {carried:?}");
    let traces: BTreeSet<&str> = carried.iter().map(|header| &header[3..35]).collect();
    assert_eq!(traces.len(), 1);
    for header in carried {
        assert!(header.starts_with("00-") && header.ends_with("-01") && header.len() == 55, "{header}");
    }
}

/// What a failing collector may cost: nothing but its spans, and a moment at the end.
#[test]
fn a_collector_that_fails_delays_nothing_and_what_is_lost_is_said_once() {
    let site = Site::orders();
    site.plant.orders(1..4);
    site.well();
    let began = Instant::now();
    site.well();
    let usual = began.elapsed();
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
    let collector = Collector::start();
    let slow = Behaviour::Answer(503, vec![("Retry-After", "3600".to_owned())]);
    for (url, behaviour, said) in [
        (format!("http://127.0.0.1:{port}"), Behaviour::Take, "refused"),
        (collector.url().to_owned(), Behaviour::Hang, ""),
        (collector.url().to_owned(), slow, "503"),
        (collector.url().to_owned(), Behaviour::Answer(401, Vec::new()), "401"),
        (collector.url().to_owned(), Behaviour::Reject(7), ""),
    ] {
        collector.behave(behaviour.clone());
        to(&site, &json!({ "url": url }));
        let began = Instant::now();
        let outcome = site.once().expect(0);
        assert!(began.elapsed() < usual + DELAY_MAX, "{behaviour:?}: {:?}", began.elapsed());
        let lost = outcome.events("traces_lost");
        assert_eq!(lost.len(), 1, "{behaviour:?}: {outcome}");
        // plan, load, open, expect, question, derive, commit, run
        assert_eq!(lost[0]["spans"], if matches!(behaviour, Behaviour::Reject(_)) { 7 } else { 8 }, "{outcome}");
        let warned = outcome.events("traces_not_taken");
        assert_eq!(warned.len(), usize::from(!said.is_empty()), "{behaviour:?}: {outcome}");
        assert!(
            warned.iter().all(|event| event["message"].as_str().is_some_and(|text| text.contains(said))),
            "{outcome}"
        );
    }
}

#[test]
fn a_collector_that_comes_back_gets_what_waited() {
    let (site, collector) = (Site::orders(), Collector::start());
    site.plant.orders(1..4);
    to(&site, &json!({ "url": collector.url() }));
    site.workspace.spec("acme.yaml", &{
        let mut spec = site.spec.clone();
        spec["query"]["sql"] = "SELECT * FROM auftrag".into();
        spec["sync"] = json!({ "mode": "full" });
        spec["schedule"] = json!({ "every": "1s" });
        spec
    });
    collector.behave(Behaviour::Answer(503, Vec::new()));
    let mut running = site.workspace.start(&["run", "acme.yaml"]);
    assert_eq!(running.event("started", "")["message"], "engine runs 1 pipeline");
    let warned = running.event("traces_not_taken", "");
    assert!(warned["message"].as_str().is_some_and(|text| text.contains("runs and deliveries go on")), "{warned}");
    collector.behave(Behaviour::Take);
    assert_eq!(running.event("traces_taken", "")["lost"], 0);
    running.signal("TERM");
    let outcome = running.finish().expect(0);
    assert!(outcome.events("traces_lost").is_empty(), "{outcome}");
    let spans = collector.spans();
    let runs: Vec<&Span> = spans.iter().filter(|span| span.name == "run").collect();
    assert!(runs.len() > 1);
    let first = runs.iter().min_by_key(|run| run.time).expect("a run");
    assert_eq!(first.attributes["engine.rows.new"], 3, "the first run waited and is there");
    let deliveries: Vec<&Span> = spans.iter().filter(|span| span.name == "deliver").collect();
    assert_eq!(deliveries.len(), 1);
    assert!(runs.iter().any(|run| run.id == deliveries[0].parent));
}

#[test]
fn a_customers_authority_is_trusted_and_others_are_not() {
    let (site, collector) = (Site::orders(), Collector::start_tls(server("localhost", false)));
    site.plant.orders(1..3);
    let ca = pem("ca.pem");
    to(&site, &json!({ "url": collector.url(), "tls": { "ca_file": ca } }));
    let outcome = site.once().expect(0);
    assert!(outcome.events("traces_lost").is_empty(), "{outcome}");
    assert_eq!(collector.spans().iter().filter(|span| span.name == "run").count(), 1);
    let before = collector.requests().len();
    to(&site, &json!({ "url": collector.url() }));
    let outcome = site.once().expect(0);
    assert_eq!(outcome.events("traces_lost").len(), 1, "{outcome}");
    let warned = &outcome.events("traces_not_taken")[0];
    assert!(warned["message"].as_str().is_some_and(|text| text.contains("certificate")), "{warned}");
    assert_eq!(collector.requests().len(), before);
}

#[test]
fn the_standard_variables_switch_traces_on_and_off() {
    let (mut site, collector) = (Site::orders(), Collector::start());
    site.plant.orders(1..3);
    site.workspace.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    site.workspace.env("OTEL_EXPORTER_OTLP_HEADERS", "x-team=plant%20south");
    site.workspace.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=aachen,service.name=engine-aachen");
    site.well();
    assert!(collector.requests().iter().all(|request| request.headers["x-team"] == "plant south"));
    let spans = collector.spans();
    assert!(!spans.is_empty());
    for span in &spans {
        assert_eq!(span.resource["service.name"], "engine-aachen");
        assert_eq!(span.resource["deployment.environment.name"], "aachen");
    }
    let before = collector.requests().len();
    for (name, value) in [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_SDK_DISABLED", "true")] {
        site.workspace.env(name, value);
        site.well();
        assert_eq!(collector.requests().len(), before, "{name}");
    }
    // What engine.yaml says goes before them.
    site.workspace.env("OTEL_SDK_DISABLED", "");
    to(&site, &json!({ "url": collector.url(), "sample": "100%" }));
    site.well();
    assert!(collector.requests().len() > before);
    let before = collector.requests().len();
    to(&site, &json!({ "url": collector.url(), "sample": "0%" }));
    site.plant.orders(3..5);
    site.well();
    assert_eq!(collector.requests().len(), before, "deliveries of a run that is not traced are not traced either");
    site.workspace.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    std::fs::remove_file(site.workspace.path("engine.yaml")).expect("it is there");
    let outcome = site.once().expect(0);
    assert_eq!(outcome.events("traces_failed").len(), 1, "{outcome}");
}

#[test]
fn a_collector_that_cannot_be_named_costs_no_run() {
    let site = Site::orders();
    site.plant.orders(1..3);
    to(&site, &json!({ "url": "https://c.example", "headers": { "Authorization": { "env": "ENGINE_TEST_UNSET" } } }));
    let outcome = site.once().expect(0).says("ENGINE_TEST_UNSET");
    assert_eq!(outcome.events("traces_failed").len(), 1, "{outcome}");
    assert_eq!(site.platform.state().len(), 2);
}

/// Nobody waits for the collector when a service stops, but for a moment.
#[test]
fn a_service_stops_in_time_while_the_collector_hangs() {
    let (site, collector) = (Site::orders(), Collector::start());
    site.plant.orders(1..4);
    collector.behave(Behaviour::Hang);
    to(&site, &json!({ "url": collector.url() }));
    site.workspace.spec("acme.yaml", &site.spec);
    let mut running = site.workspace.start(&["run", "acme.yaml"]);
    running.event("run_finished", "acme");
    await_that("a request", || !collector.requests().is_empty());
    let began = Instant::now();
    running.signal("TERM");
    let outcome = running.finish().expect(0);
    assert!(began.elapsed() < DELAY_MAX, "{:?}", began.elapsed());
    assert_eq!(outcome.events("traces_lost").len(), 1, "{outcome}");
}
