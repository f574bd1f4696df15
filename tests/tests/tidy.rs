//! The house rules, as far as a test can keep them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::collections::BTreeSet;
use std::process::Command;

use engine_tests::binary::root;
use engine_tests::sources::sources;
use serde_json::Value;

/// What a crate that only computes must not name.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::os",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::env",
    "std::process",
    "std::io::std",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "Instant::now",
    "thread::sleep",
    "thread::spawn",
    "tokio",
];
/// Crates that speak to a server or a file of another program.
const DRIVERS: &[&str] = &["sqlx", "rusqlite", "reqwest"];
/// Crates that `validate-spec` must not need.
const NOT_IN_VALIDATOR: &[&str] =
    &["sqlx", "sqlx-core", "rusqlite", "libsqlite3-sys", "reqwest", "tokio", "engine-connect", "opentelemetry"];
/// Licences under which a dependency may be used.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether a file holds tests only.
fn is_of_tests(path: &str) -> bool {
    let name = path.trim_end_matches(".rs");
    path.contains("/tests/")
        || ["tests", "_laws", "suite"].iter().any(|end| name.ends_with(end))
        || path.contains("/suite/")
}

/// The lines of a file that are code: without comments, and without the tests at its end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line))
}

/// Where words stand in the code of some folders.
fn places(folders: &[&str], words: &[&str], skip: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in folders.iter().flat_map(|folder| sources(folder)).filter(|(path, _)| !skip(path)) {
        for (line, code) in code(&text) {
            found.extend(words.iter().filter(|word| code.contains(*word)).map(|word| format!("{path}:{line}: {word}")));
        }
    }
    found
}

#[test]
fn spec_and_core_touch_nothing_outside() {
    assert_eq!(places(&["engine/spec/src", "engine/core/src"], OUTSIDE, is_of_tests), [""; 0]);
    assert!(!places(&["engine/cli/src"], OUTSIDE, is_of_tests).is_empty(), "the search finds nothing at all");
}

#[test]
fn drivers_are_named_at_the_edge_only() {
    let words: Vec<String> = DRIVERS.iter().map(|driver| format!("{driver}::")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let all = ["engine/spec/src", "engine/core/src", "engine/connect/src", "engine/cli/src"];
    let elsewhere: Vec<String> = places(&all, &words, is_of_tests)
        .into_iter()
        .filter(|place| !place.starts_with("engine/connect/src/"))
        .filter(|place| !place.starts_with("engine/cli/src/state/"))
        .collect();
    assert_eq!(elsewhere, [""; 0]);
}

#[test]
fn sql_is_marked_as_safe_in_one_file() {
    let found = places(&["engine", "tests"], &[concat!("Assert", "SqlSafe(")], |_| false);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("engine/connect/src/sqlx_error.rs:"), "{found:?}");
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!("), concat!("FIX", "ME")];
    assert_eq!(places(&["engine", "tests"], &words, |_| false), [""; 0]);
}

#[test]
fn every_crate_takes_lints_and_versions_from_the_workspace() {
    for folder in [
        "engine/spec",
        "engine/core",
        "engine/connect",
        "engine/cli",
        "tests",
        "tests/laws",
        "tests/standin",
        "tests/tds",
        "tests/tns",
    ] {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{folder}: no lints");
        assert!(manifest.contains("edition.workspace = true"), "{folder}: no edition");
        let mut of_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                of_dependencies = line.ends_with("dependencies]");
            } else if of_dependencies && !line.is_empty() && !line.starts_with('#') {
                assert!(line.contains("workspace = true"), "{folder}: `{line}` has a version of its own");
            }
        }
    }
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).arg("--locked").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_validator_has_no_driver() {
    let names = |features: &[&str]| -> BTreeSet<String> {
        let common = ["tree", "-p", "engine", "-e", "normal", "--prefix", "none", "--format", "{p}"];
        let tree = cargo(&[&common, features].concat());
        tree.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
    };
    let all = names(&[]);
    let without = names(&["--no-default-features"]);
    for driver in NOT_IN_VALIDATOR {
        assert!(all.contains(*driver), "engine itself has no {driver}: is the name still right?");
        assert!(!without.contains(*driver), "validate-spec needs {driver}");
    }
}

/// Whether a licence expression can be satisfied with what is allowed. `AND` binds closer than `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let tokens: Vec<String> = spaced.split_whitespace().map(|token| token.replace("+WITH+", " WITH ")).collect();
    let mut at = 0;
    let allowed = any_of(&tokens, &mut at);
    allowed && at == tokens.len()
}

fn any_of(tokens: &[String], at: &mut usize) -> bool {
    let mut allowed = all_of(tokens, at);
    while tokens.get(*at).is_some_and(|token| token == "OR") {
        *at += 1;
        allowed |= all_of(tokens, at);
    }
    allowed
}

fn all_of(tokens: &[String], at: &mut usize) -> bool {
    let mut allowed = one(tokens, at);
    while tokens.get(*at).is_some_and(|token| token == "AND") {
        *at += 1;
        allowed &= one(tokens, at);
    }
    allowed
}

fn one(tokens: &[String], at: &mut usize) -> bool {
    let token = tokens.get(*at).map(String::as_str);
    *at += 1;
    if token != Some("(") {
        return token.is_some_and(|token| LICENCES.contains(&token));
    }
    let allowed = any_of(tokens, at);
    *at += 1;
    allowed
}

#[test]
fn licence_expressions_are_understood() {
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("GPL-3.0/MIT", true),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("MIT AND (GPL-3.0 OR LGPL-2.1)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("MIT OR", true),
    ] {
        assert_eq!(is_allowed(expression), expected && !expression.ends_with("OR"), "{expression}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--filter-platform", &platform])).unwrap();
    // Filtering leaves the packages of other platforms in the list, but not in the graph.
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().filter_map(|node| node["id"].as_str()).collect();
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or("none");
        if used.contains(package["id"].as_str().unwrap()) && !is_allowed(licence) {
            refused.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(used.len() > 100, "only {} packages were looked at", used.len());
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn cargo_deny_is_given_the_same_licences() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let (_, list) = deny.split_once("\nallow = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let listed: Vec<&str> =
        list.split(',').map(|item| item.trim().trim_matches('"')).filter(|item| !item.is_empty()).collect();
    assert_eq!(listed, LICENCES);
}

#[test]
fn the_schemas_are_what_the_types_say() {
    for (name, text) in engine_spec::schema::files() {
        let kept = std::fs::read_to_string(root().join("schemas").join(&name)).unwrap();
        assert!(kept == text, "schemas/{name} is stale; run `cargo run -- validate-spec --write-schemas schemas`");
    }
}

/// The table of invariants names the tests that keep them. A test that was renamed or removed is noticed here.
#[test]
fn every_test_that_the_architecture_names_exists() {
    let all: String = sources("engine").into_iter().chain(sources("tests")).map(|(_, text)| text).collect();
    for (document, section) in [("docs/ARCHITECTURE.md", "Invariants"), ("docs/security.md", "What is done about it")] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        let (_, table) = text.split_once(&format!("\n## {section}\n")).unwrap();
        let table = table.split("\n## ").next().unwrap();
        let mut count = 0;
        for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).skip(1) {
            let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
            for name in tests.split('`').skip(1).step_by(2) {
                let name = name.rsplit("::").next().unwrap();
                let exists = all.contains(&format!("fn {name}("));
                assert!(exists, "{document} names the test `{name}`, which does not exist");
                count += 1;
            }
        }
        assert!(count > 20, "{document} names only {count} tests");
    }
}

#[test]
fn every_promise_has_tests_and_they_exist() {
    const PROMISES: [&str; 10] = [
        "Nothing lost, nothing doubled",
        "Convergence",
        "Order of arrival",
        "The brake",
        "Isolation",
        "Time",
        "Quarantine heals",
        "State belongs to the id",
        "Read-only",
        "Plain words",
    ];
    let list = std::fs::read_to_string(root().join("tests/support/promises.txt")).unwrap();
    let all: String = sources("engine").into_iter().chain(sources("tests")).map(|(_, text)| text).collect();
    let mut kept = BTreeSet::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (promise, test) = line.split_once('\t').unwrap_or_else(|| panic!("no tab in {line:?}"));
        assert!(PROMISES.contains(&promise), "nothing is promised under the name {promise:?}");
        // Those of the suite of state stores are functions that take a store.
        let exists = all.contains(&format!("fn {test}("));
        assert!(exists, "tests/support/promises.txt names the test `{test}`, which does not exist");
        kept.insert(promise);
    }
    assert_eq!(kept, PROMISES.into_iter().collect());
}
