use std::collections::BTreeSet;
use std::sync::Arc;

use engine_core::freshness::Freshness;
use engine_core::state::{DeliveryState, PipelineState, StateCounts};

use super::*;
use crate::commands::status;
use crate::monitor::Tally;
use crate::web::process::Process;

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).expect("in range")
}

fn seen(labels: &[(&str, &str)]) -> Seen {
    let (state, delivery) = (PipelineState::default(), DeliveryState::default());
    let counts = StateCounts { outbox: 7, ..StateCounts::default() };
    let status = Arc::new(status::of("acme", &state, &delivery, counts, now()));
    let waiting_since = Timestamp::from_second(999_940).ok();
    Seen {
        id: "acme".to_owned(),
        description: None,
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        tally: Tally::default(),
        known: Some(Known { status, state, delivery, counts, waiting_since }),
    }
}

fn fleet(pipelines: Vec<Seen>) -> Fleet {
    Fleet {
        at: now(),
        started: now(),
        pipelines,
        trouble: None,
        page_trouble: None,
        specs: None,
        process: Process::default(),
    }
}

fn served(pipelines: Vec<Seen>) -> String {
    let reply = reply(&fleet(pipelines), false);
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|one| one == line), "{line}\nis not in\n{text}");
}

#[test]
fn names_are_told_once_and_are_well_formed() {
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for name in names {
        assert!(name.starts_with("engine_") || name.starts_with("process_"), "{name}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !name.ends_with("_total"),
            "{name}"
        );
    }
}

#[test]
fn what_a_spec_says_stays_within_its_quotes() {
    let text = served(vec![seen(&[("site", "a\"} 1\nengine_evil 1\\")])]);
    has(&text, "engine_outbox_records{pipeline=\"acme\",label_site=\"a\\\"} 1\\nengine_evil 1\\\\\"} 7.0");
    assert!(!text.contains("\nengine_evil"), "{text}");
}

#[test]
fn labels_are_bounded_and_their_names_fit() {
    let many: Vec<(String, String)> = (0..LABELS_MAX + 5).map(|no| (format!("l{no:02}"), "x".repeat(500))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let text = served(vec![seen(&many)]);
    let line = text.lines().find(|line| line.starts_with("engine_outbox_records{")).expect("is served");
    assert_eq!(line.matches("label_").count(), LABELS_MAX, "{line}");
    assert!(line.contains(&format!("label_l00=\"{}…\"", "x".repeat(LABEL_CHARS_MAX))), "{line}");
    // Two names that become one are served once.
    let text = served(vec![seen(&[("a-b", "1"), ("a.b", "2"), ("wérk", "3")])]);
    has(&text, "engine_outbox_records{pipeline=\"acme\",label_a_b=\"1\",label_w_rk=\"3\"} 7.0");
}

#[test]
fn a_histogram_adds_up() {
    let mut one = seen(&[]);
    let mut freshness = Freshness::default();
    for start in ["1970-01-12T13:46:38Z", "1970-01-12T13:46:38Z", "1970-01-12T13:46:10Z", "1969-01-01T00:00:00Z"] {
        freshness.count(&format!("{{\"start\":\"{start}\"}}"), now());
    }
    one.tally.freshness = freshness;
    let text = served(vec![one]);
    for line in [
        "engine_delivered_age_seconds_bucket{le=\"5.0\",pipeline=\"acme\"} 2",
        "engine_delivered_age_seconds_bucket{le=\"15.0\",pipeline=\"acme\"} 2",
        "engine_delivered_age_seconds_bucket{le=\"30.0\",pipeline=\"acme\"} 3",
        "engine_delivered_age_seconds_bucket{le=\"+Inf\",pipeline=\"acme\"} 4",
        "engine_delivered_age_seconds_count{pipeline=\"acme\"} 4",
    ] {
        has(&text, line);
    }
}

#[test]
fn what_cannot_be_read_is_missing_and_said() {
    let unknown = Seen { known: None, ..seen(&[]) };
    let mut fleet = fleet(vec![unknown]);
    fleet.trouble = Some("disk".to_owned());
    let text = reply(&fleet, false).body;
    has(&text, "engine_state_readable 0.0");
    has(&text, "engine_rows_read_total{pipeline=\"acme\"} 0.0");
    assert!(!text.contains("engine_outbox_records{"), "{text}");
}

#[test]
fn health_is_one_of_all() {
    let text = served(vec![seen(&[])]);
    for health in HEALTH {
        let value = if health == "new" { "1.0" } else { "0.0" };
        has(&text, &format!("engine_health{{pipeline=\"acme\",health=\"{health}\"}} {value}"));
    }
    has(&text, "engine_outbox_waiting_seconds{pipeline=\"acme\"} 60.0");
}
