//! Lints of `key` and `fields`: a key that changes, and codes of the examples that no map knows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Checker;
use super::query_lint::window_column;
use crate::codes;
use crate::diagnostic::child;
use crate::expr::RowExpr;
use crate::model::{FieldSource, Spec, SyncMode, TestRows, TextField, Transform, Unmapped};

pub(super) fn check(checker: &mut Checker<'_>, spec: &Spec) {
    key_changes(checker, spec);
    unmapped_codes(checker, spec);
}

/// A row whose key changes is, to the engine, a row that went and another that came.
fn key_changes(checker: &mut Checker<'_>, spec: &Spec) {
    let fields = &spec.fields;
    let kept: BTreeSet<String> = [&fields.start, &fields.timestamp]
        .into_iter()
        .flatten()
        .filter_map(window_column)
        .chain([&fields.order_code, &fields.machine_code, &fields.event].into_iter().flatten().filter_map(column))
        .map(str::to_lowercase)
        .collect();
    let quantities = [
        ("quantity_total", &fields.quantity_total),
        ("quantity_scrap", &fields.quantity_scrap),
        ("quantity_yield", &fields.quantity_yield),
    ];
    let mut changing: Vec<(String, String)> = quantities
        .into_iter()
        .filter_map(|(name, field)| Some((column(field.as_ref()?)?.to_lowercase(), format!("is `{name}`"))))
        .collect();
    if let Some(end) = fields.end.as_ref().and_then(window_column) {
        changing.push((end.to_lowercase(), "is `end`, which is null until it is known".to_owned()));
    }
    if let Some(cancelled) = spec.cancelled_when.as_deref().and_then(|text| RowExpr::parse(text).0) {
        let of_state = cancelled.columns().into_iter();
        changing.extend(of_state.map(|name| (name.to_lowercase(), "decides in `cancelled_when`".to_owned())));
    }
    if spec.sync.mode == SyncMode::Cursor {
        // The last column of a cursor tells apart rows of one change.
        let before_last = spec.sync.cursor.len().saturating_sub(1);
        let of_cursor = spec.sync.cursor.iter().take(before_last);
        changing
            .extend(of_cursor.map(|name| (name.to_lowercase(), "is the change column of `sync.cursor`".to_owned())));
    }
    for (index, name) in spec.key.iter().enumerate() {
        let Some((_, why)) = changing.iter().find(|(column, _)| *column == name.to_lowercase()) else { continue };
        if kept.contains(&name.to_lowercase()) {
            continue;
        }
        let message = format!("`{name}` {why}: when it changes, the row is deleted and sent as a new one");
        checker.value(codes::KEY_CHANGES, &format!("/key/{index}"), message).help =
            Some("name columns that stay: the primary key of the source, or a running number".to_owned());
    }
}

fn column(field: &TextField) -> Option<&str> {
    match &field.from {
        FieldSource::Column(column) => Some(column),
        FieldSource::Template(_) | FieldSource::Value(_) => None,
    }
}

/// Codes in the rows of `tests` that a `map` lacks, where the test does not say what is rejected: it would pass, and
/// the rows go to quarantine.
fn unmapped_codes(checker: &mut Checker<'_>, spec: &Spec) {
    if spec.skip_when.is_some() {
        // Which rows are dropped before they are mapped is seen only when the tests run.
        return;
    }
    let fields = &spec.fields;
    let fields = [
        ("order_code", &fields.order_code),
        ("product_code", &fields.product_code),
        ("machine_code", &fields.machine_code),
        ("event", &fields.event),
        ("product_name", &fields.product_name),
        ("quantity_unit", &fields.quantity_unit),
    ];
    for (name, field) in fields {
        let Some((field, column)) = field.as_ref().and_then(|field| Some((field, column(field)?))) else { continue };
        let mut said = BTreeSet::new();
        for (index, test) in spec.tests.iter().enumerate().filter(|(_, test)| test.expect.rejected.is_none()) {
            // A recording is read by nobody here: `engine test` tells what it rejects.
            let TestRows::Written(rows) = &test.rows else { continue };
            for (number, row) in rows.iter().enumerate() {
                let Some((key, value)) = row.iter().find(|(key, _)| key.eq_ignore_ascii_case(column)) else { continue };
                let Some(code) = unmapped(field, value).filter(|code| said.insert(code.clone())) else { continue };
                let pointer = child(&format!("/tests/{index}/rows/{number}"), key);
                let message = format!("`fields.{name}.map` has no entry for `{code}`: this row is rejected");
                let help =
                    format!("add `{code}` to the map, say what happens with `unmapped`, or expect it in `rejected`");
                checker.value(codes::CODE_UNMAPPED, &pointer, message).help = Some(help);
            }
        }
    }
}

/// The code of a value that is rejected because the map lacks it; none where steps change it that are not followed here.
fn unmapped(field: &TextField, value: &Value) -> Option<String> {
    let options = &field.options;
    let map = options.map.as_ref()?;
    if !matches!(options.unmapped, None | Some(Unmapped::Reject)) {
        return None;
    }
    let mut code = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return None,
    };
    for step in &options.transform {
        code = match step {
            Transform::Trim => code.trim().to_owned(),
            Transform::Upper => code.to_uppercase(),
            Transform::Lower => code.to_lowercase(),
            _ => return None,
        };
    }
    let is_null =
        code.is_empty() || options.null_if.iter().any(|null| null.to_string() == code || null.to_string() == *value);
    (!is_null && !map.contains_key(&code)).then_some(code)
}

#[cfg(test)]
mod tests {
    use crate::{NoCompanions, load};

    /// The findings of a spec with these keys, as code and place.
    fn check(rest: &str, expected: &[&str]) {
        let text = format!("version: 1\nid: a\nsource: {{ type: csv, path: a, timezone: UTC }}\n{rest}");
        let loaded = load("a.yaml", text.as_bytes(), &NoCompanions);
        let found: Vec<String> =
            loaded.diagnostics.iter().map(|found| format!("{} {}", found.code, &text[found.span.clone()])).collect();
        assert_eq!(found, expected, "{rest}");
    }

    #[test]
    fn a_key_holds_what_stays() {
        let order = |key: &str, expected: &[&str]| {
            let fields = "order_code: a, product_code: b, machine_code: c, start: von, end: BIS, quantity_yield: gut";
            check(&format!("table: order\nkey: [{key}]\nfields: {{ {fields} }}\n"), expected);
        };
        order("id, von, a", &[]);
        order("id, bis, Gut", &["key_changes bis", "key_changes Gut"]);
        check(
            "table: order\nkey: [id, STATUS]\ncancelled_when: status == 'X'\n\
             fields: { order_code: a, product_code: b, machine_code: c, start: von, end: bis }\n",
            &["key_changes STATUS"],
        );
        let dates = "start: { date: tag, time: a }, end: { date: tag, time: b }";
        check(
            &format!(
                "table: order\nkey: [tag]\nfields: {{ order_code: a, product_code: b, machine_code: c, {dates} }}\n"
            ),
            &[],
        );
    }

    #[test]
    fn the_change_column_of_a_cursor_is_no_key() {
        let check = |cursor: &str, expected: &[&str]| {
            let rest = format!(
                "version: 1\nid: a\nsource: {{ type: sqlite, path: a.db, timezone: UTC }}\ntable: booking\nkey: [id, geaendert]\n\
                 fields: {{ order_code: a, product_code: b, machine_code: c, event: k, timestamp: ts }}\n\
                 query: {{ sql: \"SELECT id FROM t WHERE id > {{{{ cursor.id }}}} AND 1 < {{{{ cursor.geaendert }}}}\" }}\n\
                 sync: {{ mode: cursor, cursor: [{cursor}] }}\n"
            );
            let found = load("a.yaml", rest.as_bytes(), &NoCompanions).diagnostics;
            let found: Vec<String> =
                found.iter().map(|found| format!("{} {}", found.code, &rest[found.span.clone()])).collect();
            assert_eq!(found, expected, "{cursor}");
        };
        check("geaendert, id", &["key_changes geaendert"]);
        check("id, geaendert", &["key_changes id"]);
    }

    #[test]
    fn codes_of_the_examples_are_in_the_map() {
        let booking = |event: &str, kind: &str, expect: &str, expected: &[&str]| {
            check(
                &format!(
                    "table: booking\nkey: [id]\nfields: {{ order_code: a, product_code: b, machine_code: c, timestamp: ts, \
                     event: {{ column: k, {event} }} }}\n\
                     tests:\n  - {{ name: one, rows: [{{ K: {kind} }}, {{ K: {kind} }}], expect: {{ {expect} }} }}\n"
                ),
                expected,
            );
        };
        booking("map: { A: START, 1: END }", "X", "runs: []", &["code_unmapped X"]);
        for known in ["A", "1", "null", "\"\"", "1.5"] {
            booking("map: { A: START, 1: END }", known, "runs: []", &[]);
        }
        booking("map: { A: START }", "X", "rejected: [{ K: X }]", &[]);
        booking("map: { A: START }, null_if: [X]", "X", "runs: []", &[]);
        booking("map: { A: START }, unmapped: skip", "X", "runs: []", &[]);
        booking("map: { A: START }, transform: [trim, upper]", "\" a \"", "runs: []", &[]);
        booking("map: { A: START }, transform: [trim, lower]", "\" a \"", "runs: []", &["code_unmapped \" a \""]);
        booking("map: { A: START }, transform: [{ strip_leading: x }]", "xA", "runs: []", &[]);
    }
}
