use proptest::prelude::*;

use super::*;
use crate::{NoCompanions, load};

const GOOD: &str = "version: 1
id: example
# The test plant.
source: { type: sqlite, path: mes.db, timezone: UTC }
table: booking   # one row is one event
labels: { country: \"no\", plant: \"0100\" }
query:
  sql: |
    SELECT id, a, b, c, k, ts FROM t
    WHERE ts >= {{ window.start }} AND ts < {{ window.end }}
key: [id]
fields:
  timestamp: ts
  order_code: a
  product_code: b
  machine_code: c
  event: { column: k, map: { A: START, E: END }, unmapped: reject }
sync: { mode: window, lookback: 14d }
";

/// Mistakes whose cure is certain: what stands in the good spec, and what somebody wrote instead.
const MISTAKES: [(&str, &str); 12] = [
    ("labels:", "lables:"),
    ("key:", "kye:"),
    ("sync:", "snyc:"),
    ("lookback:", "lokback:"),
    ("order_code:", "order-code:"),
    ("machine_code:", "machin_code:"),
    ("booking ", "bookings "),
    ("unmapped: reject", "unmapped: rejct"),
    ("\"no\"", "no"),
    ("\"0100\"", "0100"),
    ("ts < {{", "ts <= {{"),
    ("ts >= {{", "ts > {{"),
];

fn fixed(text: &str) -> String {
    let fixed = fix("a.yaml", text.as_bytes(), &NoCompanions);
    assert!(fixed.files.len() <= 1);
    fixed.files.into_iter().next().map_or_else(|| text.to_owned(), |file| file.content)
}

#[test]
fn what_is_right_stays_as_it_is() {
    assert_eq!(load("a.yaml", GOOD.as_bytes(), &NoCompanions).diagnostics, []);
    let untouched = fix("a.yaml", GOOD.as_bytes(), &NoCompanions);
    assert!(untouched.files.is_empty() && untouched.findings.is_empty());
}

#[test]
fn every_mistake_is_put_right_alone_and_with_all_others() {
    let mut all = GOOD.to_owned();
    for (right, wrong) in MISTAKES {
        assert_eq!(GOOD.matches(right).count(), 1, "{right}");
        assert_eq!(fixed(&GOOD.replace(right, wrong)), GOOD, "{wrong}");
        all = all.replace(right, wrong);
    }
    assert_eq!(fixed(&all), GOOD);
    assert_eq!(
        fixed(&format!("\u{feff}{}", all.replace('\n', "\r\n"))),
        format!("\u{feff}{}", GOOD.replace('\n', "\r\n"))
    );
}

#[test]
fn text_in_digits_gets_its_quotes() {
    let user = |name: &str| {
        GOOD.replace(
            "type: sqlite, path: mes.db",
            &format!("type: postgres, host: h, database: d, username: {name}, password: {{ env: P }}"),
        )
    };
    assert_eq!(fixed(&user("4711")), user("\"4711\""));
    assert_eq!(fixed(&user("true")), user("\"true\""));
}

#[test]
fn a_name_in_a_template_is_put_right() {
    let with = |text: &str, right: &str, wrong: &str| {
        assert_eq!(text.matches(right).count(), 1, "{right}");
        assert_eq!(fixed(&text.replace(right, wrong)), text, "{wrong}");
    };
    with(GOOD, "window.start", "windw.start");
    with(GOOD, "window.start", "window.strat");
    with(&GOOD.replace("window.start", "(window.start) | format('%Y')"), "| format(", "| fromat(");
    with(&GOOD.replace("window.end", "window.end | date"), "| date", "| dat");
    let params = GOOD.replace("query:\n", "query:\n  params: { plant: a }\n");
    with(&params.replace("WHERE", "WHERE b = {{ params.plant }} AND"), "{{ params.plant }}", "{{ params.plnt }}");
    let cursor = GOOD.replace("ts >= {{ window.start }} AND ts < {{ window.end }}", "ts > {{ cursor.ts }}");
    let cursor = cursor.replace("mode: window, lookback: 14d", "mode: cursor, cursor: [ts], overlap: 10m");
    with(&cursor, "cursor.ts", "curser.ts");
    let condition = format!("{GOOD}skip_when: a | trim == 'X' and b is defined\n");
    with(&condition, "| trim", "| tirm");
    with(&condition, "defined", "definde");
    let field = GOOD.replace("order_code: a", "order_code: { template: \"{{ a | trim }}-{{ b | upper }}\" }");
    with(&field, "upper", "uper");
    with(&field, "trim", "tirm");
}

#[test]
fn a_name_in_a_template_stays_where_its_place_or_its_meaning_is_not_certain() {
    let params = GOOD.replace("query:\n", "query:\n  params: { plant_1: a, plant_2: b }\n");
    for wrong in [
        // Two names are as near.
        params.replace("WHERE", "WHERE b = {{ params.plant_3 }} AND"),
        // The file has other letters than the template.
        GOOD.replace("order_code: a", "order_code: { template: \"{{ a | \\x74irm }}\" }"),
        // The name stands there twice.
        format!("{GOOD}skip_when: a | replace('tirm', 'x') | tirm == 'X'\n"),
    ] {
        assert!(load("a.yaml", wrong.as_bytes(), &NoCompanions).has_errors(), "{wrong}");
        assert_eq!(fixed(&wrong), wrong);
    }
}

#[test]
fn oracle_loses_the_as_that_it_does_not_take() {
    let oracle = GOOD
        .replace("type: sqlite, path: mes.db", "type: oracle, host: h, database: d, username: u, password: { env: P }");
    assert_eq!(fixed(&oracle.replace("FROM t", "FROM t AS x")), oracle.replace("FROM t", "FROM t x"));
}

#[test]
fn what_would_make_an_error_or_is_not_certain_is_left() {
    for wrong in [
        // The key that was meant is there already.
        GOOD.replace("key: [id]\n", "key: [id]\nkye: [id]\n"),
        // Its value would be wrong.
        GOOD.replace("sync: { mode: window, lookback: 14d }", "snyc: { lookback: 14 days }"),
        // Two names are as near.
        GOOD.replace("event:", "evnt_code:"),
        // Nothing is near.
        GOOD.replace("lookback", "history"),
        // Silenced on purpose.
        GOOD.replace(
            "ts < {{ window.end }}",
            "ts <= {{ window.end }} -- engine: allow(window_bound_inclusive): whole days",
        ),
        GOOD.replace("version: 1", "version: [1"),
        String::new(),
    ] {
        assert_eq!(fixed(&wrong), wrong);
    }
    let half = GOOD.replace("sync: { mode: window, lookback: 14d }", "snyc: { lookback: 14 days }");
    assert_eq!(fixed(&half.replace("key:", "kye:")), half, "the rest is put right all the same");
}

#[test]
fn a_device_config_is_put_right_as_well() {
    let right = "version: 1\nspecs: [\"*.yaml\"]\nlog: { level: debug }\n";
    assert_eq!(fixed(&right.replace("debug", "debgu").replace("log:", "lgo:")), right);
}

#[test]
fn a_diff_shows_lines_and_no_secret() {
    let text = GOOD
        .replace("type: sqlite, path: mes.db", "type: postgres, host: h, database: d, username: u, password: hunter2");
    let fixed = fix("specs/a.yaml", text.replace("labels:", "lables:").as_bytes(), &NoCompanions);
    let diff = &fixed.files[0].diff;
    assert!(diff.starts_with("--- specs/a.yaml\n+++ specs/a.yaml\n@@ -3,"), "{diff}");
    assert!(diff.contains("\n-lables: {") && diff.contains("\n+labels: {"), "{diff}");
    assert!(diff.contains("password: *******") && !diff.contains("hunter2"), "{diff}");
    assert!(fixed.files[0].content.contains("hunter2"));
    let escape = GOOD.replace("# The test plant.", "# \u{1b}[2J").replace("key:", "kye:").replace("labels:", "lables:");
    let fixed = fix("a.yaml", escape.as_bytes(), &NoCompanions);
    assert!(!fixed.files.is_empty() && fixed.files.iter().all(|file| !file.diff.contains('\u{1b}')));
}

#[test]
fn a_file_full_of_mistakes_that_defy_their_cure_is_left_in_time() {
    // Each has the key that was meant.
    let further: String = (0..LOOKS_MAX).map(|number| format!("    a{number}: {{ column: a, colum: b }}\n")).collect();
    let text = GOOD.replace("sync:", &format!("  attributes:\n{further}sync:"));
    let desk =
        Desk { name: "a.yaml", companions: &NoCompanions, renamed: RENAMED, is_device: false, looks: Cell::new(0) };
    let (first, last, fixed) = desk.put_right(&text);
    assert_eq!(first.edits().len(), LOOKS_MAX);
    assert!(fixed.is_empty() && first.draft == last.draft);
    assert!((LOOKS_MAX..LOOKS_MAX * 2).contains(&desk.looks.get()), "{}", desk.looks.get());
}

fn sayings(text: &str) -> Vec<(&'static str, String)> {
    let loaded = load("a.yaml", text.as_bytes(), &NoCompanions);
    loaded.diagnostics.into_iter().map(|finding| (finding.code, finding.message)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn putting_right_ends_and_adds_nothing(
        mistakes in prop::collection::vec(any::<bool>(), MISTAKES.len()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..3, "[ -~\\n\t]{0,2}"), 0..3),
    ) {
        let mut text = GOOD.to_owned();
        for ((right, wrong), _) in MISTAKES.iter().zip(&mistakes).filter(|(_, is_made)| **is_made) {
            text = text.replace(right, wrong);
        }
        if edits.is_empty() {
            prop_assert_eq!(fixed(&text), GOOD);
        }
        for (place, removed, inserted) in &edits {
            let at = place.index(text.len());
            text.replace_range(at..(at + removed).min(text.len()), inserted);
        }
        let once = fixed(&text);
        prop_assert_eq!(&fixed(&once), &once, "a second time changes something");
        let before = sayings(&text);
        if once != text {
            let errors = |text: &str| load("a.yaml", text.as_bytes(), &NoCompanions).diagnostics.into_iter().filter(|one| one.severity == Severity::Error).count();
            prop_assert!(errors(&once) <= errors(&text), "more errors than before");
            let is_known = |saying: &(&'static str, String)| {
                before.contains(saying) || crate::codes::find(saying.0).is_some_and(|info| info.severity != Severity::Error)
            };
            let added: Vec<_> = sayings(&once).into_iter().filter(|saying| !is_known(saying)).collect();
            prop_assert!(added.is_empty(), "{:?} in\n{}", added, once);
        }
    }
}
