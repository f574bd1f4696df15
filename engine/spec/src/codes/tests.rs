use std::collections::BTreeSet;

use super::*;
use crate::{NoCompanions, load, load_device};

/// A spec without findings, one top-level key a block.
const BASE: &[(&str, &str)] = &[
    ("version", "version: 1\n"),
    ("id", "id: example\n"),
    ("source", "source: { type: sqlite, path: mes.db, timezone: Europe/Berlin }\n"),
    ("table", "table: booking\n"),
    (
        "query",
        "query:\n  sql: |\n    SELECT id, a, b, c, k, ts FROM t WHERE ts >= {{ window.start }} AND ts < {{ window.end }}\n",
    ),
    ("key", "key: [id]\n"),
    (
        "fields",
        "fields: { timestamp: ts, order_code: a, product_code: b, machine_code: c, event: { column: k, map: { A: START } } }\n",
    ),
];

/// The base with the keys of a fragment instead of its own.
fn with(fragment: &str) -> String {
    let given: BTreeSet<&str> = fragment
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.split_once(':').map(|(key, _)| key))
        .collect();
    let kept: String = BASE.iter().filter(|(key, _)| !given.contains(key)).map(|(_, text)| *text).collect();
    kept + fragment
}

fn findings(text: &str) -> Vec<(&'static str, String)> {
    let found = if text.starts_with("# engine.yaml") {
        load_device("engine.yaml", text.as_bytes()).diagnostics
    } else {
        load("example.yaml", with(text).as_bytes(), &NoCompanions).diagnostics
    };
    found.into_iter().map(|finding| (finding.code, finding.message)).collect()
}

#[test]
fn the_base_has_no_findings() {
    assert_eq!(findings(""), []);
}

#[test]
fn every_example_provokes_its_code() {
    let silent: Vec<String> = ALL
        .iter()
        .filter(|info| !info.example.is_empty())
        .map(|info| (info.code, findings(info.example)))
        .filter(|(code, found)| !found.iter().any(|(other, _)| other == code))
        .map(|(code, found)| format!("{code}: {found:?}"))
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn codes_are_unique_and_well_formed() {
    let codes: BTreeSet<&str> = all().map(|info| info.code).collect();
    assert_eq!(codes.len(), all().count());
    for info in ALL {
        assert!(info.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        assert!(info.meaning.ends_with('.') && info.explanation.ends_with('.'), "{}", info.code);
    }
}

#[test]
fn where_traces_go_is_checked_as_where_deliveries_go() {
    let of = |otlp: &str| {
        let found = findings(&format!("# engine.yaml\nversion: 1\ntelemetry: {{ otlp: {otlp} }}\n"));
        found.into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    for (otlp, expected) in [
        ("{ url: \"https://c.example:4318\", headers: { Authorization: { env: LOGIN } }, sample: 10% }", vec![]),
        ("{ url: \"http://127.0.0.1:4318\", headers: { Authorization: { env: LOGIN } } }", vec![]),
        ("{ url: \"http://c.example:4318\" }", vec![]),
        ("{ url: \"c.example:4318\" }", vec![super::BAD_VALUE]),
        ("{ url: \"http://c.example:4318\", headers: { X-Team: { env: LOGIN } } }", vec![super::SECRET_OVER_HTTP]),
        ("{ url: \"https://c.example\", headers: { authorization: Basic abc } }", vec![super::LITERAL_SECRET]),
        ("{ url: \"https://c.example\", headers: { X: { env: LOGIN, default: abc } } }", vec![super::SECRET_DEFAULT]),
        ("{ url: \"https://c.example\", tls: { cert_file: c.pem } }", vec![super::MISSING_KEY]),
    ] {
        assert_eq!(of(otlp), expected, "{otlp}");
    }
    // Nothing else makes it a device config.
    let text = "version: 1\ntelemetry: { otlp: { url: \"https://c.example\" } }\n";
    assert!(crate::load::is_device_config(&load("x.yaml", text.as_bytes(), &NoCompanions).file));
}
