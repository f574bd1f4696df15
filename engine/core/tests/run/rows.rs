//! From rows to records, case by case.

use std::collections::BTreeSet;

use engine_core::value::Kind;
use serde_json::{Value, json};

use crate::kit::{Table, World, at, booking, booking_spec, booking_table, order, order_spec, order_table, time, with};

/// The runs that come out of one run over these rows.
fn check(spec: &str, table: Table, rows: &[Value], expected: &[&str]) -> World {
    let mut world = World::with_rows(spec, table, rows);
    world.run_and_deliver();
    assert_eq!(world.runs(), expected, "{rows:#?}");
    world
}

fn codes(world: &World) -> Vec<String> {
    world.quarantine().into_iter().map(|(code, _)| code).collect()
}

/// A spec over an order table in Berlin's time without a key, with these fields beside the required ones.
fn free_spec(fields: &str) -> String {
    format!(
        "version: 1
id: free
source: {{ type: sqlite, path: plant.db, timezone: Europe/Berlin }}
table: order
query: {{ sql: 'SELECT * FROM a WHERE von >= {{{{ window.start }}}} AND von < {{{{ window.end }}}}' }}
fields:
  order_code: anr
  product_code: art
  machine_code: mnr
  start: von
{fields}
"
    )
}

/// An order table whose columns have no kind of their own, mapped by these fields.
fn free(fields: &str, row: &Value) -> World {
    let spec = free_spec(&format!("  end: bis\n{fields}"));
    let base = json!({ "anr": "4711", "art": "P", "mnr": "M1",
        "von": "2025-03-10T08:00:00", "bis": "2025-03-10T09:00:00" });
    let row = with(base, row);
    let columns: Vec<(&str, Kind)> =
        row.as_object().expect("is an object").keys().map(|name| (name.as_str(), Kind::Any)).collect();
    let table = Table::new(&columns);
    let mut world = World::with_rows(&spec, table, &[row]);
    world.run_and_deliver();
    world
}

/// The value of a record's member after one row went through.
fn mapped(field: &str, row: &Value, pointer: &str) -> Value {
    let world = free(field, row);
    let record = world.platform.records.values().next().unwrap_or_else(|| panic!("{:?}", world.quarantined()));
    record.pointer(pointer).cloned().unwrap_or_default()
}

#[test]
fn field_options_shape_a_value() {
    let check = |options: &str, value: Value, expected: Value| {
        let field = format!("  product_name: {{ column: x, {options} }}");
        assert_eq!(mapped(&field, &json!({ "x": value }), "/product/name"), expected, "{options} of {value}");
    };
    check("transform: [trim]", json!("  a  "), json!("a"));
    check("transform: [{ strip_leading: '0' }]", json!("00123"), json!("123"));
    check("transform: [{ pad_left: { width: 5, with: '0' } }]", json!(42), json!("00042"));
    check("transform: [upper, { replace: { pattern: 'A', with: 'B' } }]", json!("aa"), json!("BB"));
    check("transform: [{ split: { by: '-', index: 1 } }]", json!("a-b-c"), json!("b"));
    check("transform: [{ extract: '^([0-9]+)' }]", json!("12ab"), json!("12"));
    check("transform: [{ extract: '^([0-9]+)' }], default: none", json!("ab"), json!("none"));
    check("map: { a: b }", json!("a"), json!("b"));
    check("map: { a: b }, unmapped: keep", json!("c"), json!("c"));
    check("null_if: ['-'], default: '?'", json!("-"), json!("?"));
    check("null_if: ['-']", json!("-"), Value::Null);
    check("null_if: ['-']", Value::Null, Value::Null);
    check("default: '?'", Value::Null, json!("?"));
}

#[test]
fn unmapped_codes_are_kept_skipped_or_rejected() {
    let check = |unmapped: &str, records: usize, rejected: &[&str], skipped: u64| {
        let field = format!("order_code: {{ column: x, map: {{ a: b }}, unmapped: {unmapped} }}");
        let spec = order_spec("").replace("order_code: anr", &field);
        let mut table = order_table();
        table.columns.push(("x".to_owned(), Kind::Text));
        let mut world = World::with_rows(&spec, table, &[with(order(1, "A", "M1", 0, Some(5)), &json!({ "x": "c" }))]);
        let report = world.run_and_deliver();
        assert_eq!(
            (world.runs().len(), codes(&world), report.skipped),
            (records, rejected.iter().map(|code| (*code).to_owned()).collect(), skipped)
        );
    };
    check("keep", 1, &[], 0);
    check("skip", 0, &[], 1);
    check("reject", 0, &["unmapped"], 0);
}

#[test]
fn a_template_and_a_constant_make_values() {
    assert_eq!(
        mapped("  product_name: { template: \"x ~ '/' ~ b\" }", &json!({ "x": 1, "b": "b" }), "/product/name"),
        "1/b"
    );
    assert_eq!(mapped("  quantity_unit: { value: pcs }", &json!({}), "/quantity_unit"), "pcs");
}

#[test]
fn numbers_keep_their_digits() {
    let quantity = |value: Value| mapped("  quantity_total: x", &json!({ "x": value }), "/quantity_total");
    assert_eq!(quantity(json!(12)), json!(12));
    assert_eq!(quantity(json!(1.5)), json!(1.5));
    assert_eq!(quantity(json!("12.50")).to_string(), json!(12.5).to_string());
    assert_eq!(quantity(Value::Null), Value::Null);
    let world = free("  quantity_total: x", &json!({ "x": "many" }));
    assert_eq!(world.platform.records.len(), 0);
    assert_eq!(codes(&world).len(), 1);
}

#[test]
fn a_quantity_of_one_row_never_stays_for_the_next() {
    let spec = order_spec("")
        .replace("end: bis }", "end: bis, product_name: x, quantity_yield: { column: menge, null_if: ['-'] } }");
    let mut table = order_table();
    table.columns.extend([("x".to_owned(), Kind::Text), ("menge".to_owned(), Kind::Any)]);
    let rows = [
        with(order(1, "A", "M1", 0, Some(5)), &json!({ "x": "Tube", "menge": 7 })),
        with(order(2, "B", "M1", 5, Some(9)), &json!({ "x": null, "menge": "-" })),
    ];
    let world = check(&spec, table, &rows, &["A M1 0-5", "B M1 5-9"]);
    let second = world.platform.records.values().find(|record| record["production_order"] == "B").expect("is there");
    assert_eq!((second["product"].get("name"), second.get("quantity_yield")), (None, None), "{second}");
}

#[test]
fn attributes_pass_through_with_their_kind() {
    let fields = "  attributes: { shift: s, count: anzahl, note: { column: t, transform: [upper] }, none: z }";
    let world = free(fields, &json!({ "s": "early", "anzahl": 3, "t": "x", "z": null }));
    let record = world.platform.records.values().next().expect("one record");
    assert_eq!(record["attributes"], json!({ "shift": "early", "count": 3, "note": "X" }));
}

#[test]
fn machines_are_looked_up() {
    let id = "3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11";
    let spec = |checks: &str| order_spec(&format!("machines: {{ M1: {id} }}\n{checks}"));
    let rows = [order(1, "A", "M1", 0, Some(5)), order(2, "B", "M7", 0, Some(5))];
    let world = check(&spec(""), order_table(), &rows, &["A M1 0-5"]);
    assert_eq!(codes(&world), ["unknown_machine"]);
    assert_eq!(world.platform.records.values().next().expect("one record")["machine"], id);
    let world = check(&spec("checks: { unknown_machine: report }"), order_table(), &rows, &["A M1 0-5", "B M7 0-5"]);
    assert_eq!(world.run().reported.get("unknown_machine"), Some(&1));
    assert!(world.platform.records.values().any(|record| record.get("machine").is_none()));
}

#[test]
fn all_errors_of_a_row_come_at_once() {
    let rows = [with(order(1, "A", "M1", 10, Some(5)), &json!({ "anr": null, "art": "  " }))];
    let world = check(&order_spec(""), order_table(), &rows, &[]);
    let entry = &world.quarantined()[0];
    for part in ["order_code", "product_code", "before the start"] {
        assert!(entry.reason.contains(part), "{}", entry.reason);
    }
    assert_eq!(entry.rule, "fields.order_code");
    assert_eq!(world.run().rejected_total(), 1, "a row counts once, whatever is wrong with it");
}

#[test]
fn missing_columns_are_named_together() {
    let spec = order_spec("")
        .replace("order_code: anr", "order_code: aunr")
        .replace("product_code: art", "product_code: artnr");
    let world = World::with_rows(&spec, order_table(), &[order(1, "A", "M1", 0, None)]);
    let failure = world.run().failure.expect("it fails");
    assert_eq!(failure.kind, engine_core::report::FailureKind::Spec);
    for part in ["fields.order_code", "`aunr`", "`artnr`", "it has id, anr"] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
}

#[test]
fn columns_match_in_any_case_unless_that_is_ambiguous() {
    let spec = order_spec("").replace("order_code: anr", "order_code: ANR");
    check(&spec, order_table(), &[order(1, "A", "M1", 0, Some(5))], &["A M1 0-5"]);
    let mut table = order_table();
    table.columns.push(("Anr".to_owned(), Kind::Text));
    let world = World::with_rows(&spec, table.clone(), &[order(1, "A", "M1", 0, Some(5))]);
    assert!(world.run().failure.expect("it fails").message.contains("2 columns named `ANR`"));
    // The exact name is never ambiguous.
    check(&order_spec(""), table, &[order(1, "A", "M1", 0, Some(5))], &["A M1 0-5"]);
}

#[test]
fn rows_are_skipped_and_cancelled() {
    let spec = order_spec("skip_when: art == 'TEST'\ncancelled_when: anr == 'STORNO'");
    let rows = [
        order(1, "A", "M1", 0, Some(5)),
        with(order(2, "B", "M1", 6, Some(8)), &json!({ "art": "TEST" })),
        order(3, "C", "M1", 9, Some(12)),
    ];
    let mut world = check(&spec, order_table(), &rows, &["A M1 0-5", "C M1 9-12"]);
    world.set_rows(&[rows[0].clone(), order(3, "STORNO", "M1", 9, None)]);
    let report = world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5"]);
    assert_eq!((report.cancelled, report.deletes, report.gone), (1, 1, 0));
    assert!(world.run_and_deliver().is_unchanged(), "a cancelled row is deleted once");
    world.set_rows(&rows);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "C M1 9-12"], "a cancellation can be taken back");
}

#[test]
fn a_cancelled_row_wins_over_another_of_its_key() {
    let spec = order_spec("cancelled_when: art == 'STORNO'");
    let storno = with(order(1, "A", "M1", 0, Some(5)), &json!({ "art": "STORNO" }));
    for rows in [[order(1, "A", "M1", 0, Some(5)), storno.clone()], [storno, order(1, "A", "M1", 0, Some(5))]] {
        let mut world = check(&spec, order_table(), &rows, &[]);
        assert!(world.run_and_deliver().is_unchanged());
        assert_eq!(codes(&world), [""; 0]);
    }
}

#[test]
fn without_a_key_order_machine_and_start_identify() {
    let spec = order_spec("").replace("key: [id]\n", "");
    let mut world = check(&spec, order_table(), &[order(1, "A", "M1", 0, None)], &["A M1 0-"]);
    let ids: Vec<String> = world.platform.records.keys().cloned().collect();
    world.set_rows(&[order(77, "A", "M1", 0, Some(5))]);
    world.run_and_deliver();
    assert_eq!(world.platform.records.keys().cloned().collect::<Vec<_>>(), ids, "the id of the row does not count");
    assert_eq!(world.runs(), ["A M1 0-5"]);
}

#[test]
fn a_key_of_several_columns_may_have_nulls_but_not_only() {
    let spec = order_spec("").replace("key: [id]", "key: [id, anr]");
    let rows = [with(order(1, "A", "M1", 0, Some(5)), &json!({ "id": null })), order(2, "A", "M1", 6, Some(8))];
    check(&spec, order_table(), &rows, &["A M1 0-5", "A M1 6-8"]);
    let rows = [with(order(1, "A", "M1", 0, Some(5)), &json!({ "id": null }))];
    let world = check(&order_spec(""), order_table(), &rows, &[]);
    assert_eq!(codes(&world), ["missing_key"]);
}

#[test]
fn two_different_rows_of_one_key_are_refused_and_equal_ones_are_one() {
    let one = order(1, "A", "M1", 0, Some(5));
    let other = order(1, "B", "M1", 0, Some(5));
    for rows in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
        let world = check(&order_spec(""), order_table(), &rows, &[]);
        assert_eq!(codes(&world), ["duplicate_key"]);
        let shown = world.quarantined()[0].row.clone();
        assert!(shown.contains(r#""order_code":""#) && shown.contains(r#""start":"2025-"#), "people read it: {shown}");
        // Which of the two counts is fixed, whatever the order in which they come.
        let spec = order_spec("checks: { duplicate_key: report }");
        let world = check(&spec, order_table(), &rows, &["B M1 0-5"]);
        assert_eq!(codes(&world), [""; 0]);
    }
    let world = check(&order_spec(""), order_table(), &[one.clone(), one.clone()], &["A M1 0-5"]);
    assert_eq!(codes(&world), [""; 0]);
    // What was delivered before stays as it is.
    let mut world = check(&order_spec(""), order_table(), std::slice::from_ref(&one), &["A M1 0-5"]);
    world.set_rows(&[other, one]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5"]);
}

#[test]
fn a_row_that_was_committed_early_is_taken_back_when_another_of_its_key_comes() {
    for more in ["", "merge: { gap: 0s }"] {
        let mut rows = vec![order(1, "A", "M1", 0, Some(5))];
        rows.extend((10..14).map(|id| order(id, "Z", "M9", id * 10, Some(id * 10 + 1))));
        rows.push(order(1, "B", "M1", 0, Some(5)));
        let mut world = World::with_rows(&order_spec(more), order_table(), &rows);
        world.plan.stage_bytes_max = 0;
        world.run_and_deliver();
        assert_eq!(world.runs().len(), 4, "{more}");
        assert_eq!(codes(&world), ["duplicate_key"]);
        rows.pop();
        world.set_rows(&rows);
        world.run_and_deliver();
        assert_eq!(world.runs()[0], "A M1 0-5", "{more}");
        assert_eq!(codes(&world), [""; 0]);
    }
}

#[test]
fn a_row_that_only_moved_is_forgotten_where_another_of_its_key_counts() {
    let entered = |code: &str, minute| {
        let mut row = order(1, code, "M1", 0, Some(5));
        row["erf"] = time(minute).into();
        row
    };
    let mut counted = BTreeSet::new();
    for (more, code) in
        ["", "merge: { gap: 0s }"].into_iter().flat_map(|more| ('B'..='Z').map(move |code| (more, code)))
    {
        let spec = order_spec(&format!("sync: {{ column: erf }}\nchecks: {{ duplicate_key: report }}\n{more}"));
        let mut table = order_table();
        table.window = Some("erf".to_owned());
        let mut world =
            World::with_rows(&spec.replace("von >=", "erf >=").replace("von <", "erf <"), table, &[entered("A", 0)]);
        world.run_and_deliver();
        let code = code.to_string();
        world.set_rows(&[entered("A", 7), entered(&code, 9)]);
        world.run_and_deliver();
        let is_first = world.runs() == ["A M1 0-5"];
        assert!(is_first || world.runs() == [format!("{code} M1 0-5")], "{:?}", world.runs());
        let known = world.store.snapshot("orders");
        let places: Vec<i64> = known.records.values().map(|record| record.at).collect();
        assert_eq!(places, [at(if is_first { 7 } else { 9 }).as_microsecond()], "{more} {code}");
        counted.insert(is_first);
    }
    assert_eq!(counted.len(), 2, "once the first counts, and once the second");
}

#[test]
fn bookings_become_runs_or_rows() {
    let rows = [booking(1, "A", "M1", "A", 0), booking(2, "A", "M1", "E", 5), booking(3, "B", "M1", "A", 6)];
    check(&booking_spec(""), booking_table(), &rows, &["A M1 0-5", "B M1 6-"]);
    let mut world =
        World::with_rows(&booking_spec("destination: { type: stdout, deliver: rows }"), booking_table(), &rows);
    world.run_and_deliver();
    let mut events: Vec<String> = world
        .platform
        .records
        .values()
        .map(|record| format!("{} {} {}", record["order_code"], record["event"], record["timestamp"]))
        .collect();
    events.sort();
    let expected = [("A", "END", 5), ("A", "START", 0), ("B", "START", 6)]
        .map(|(order, event, at)| format!("\"{order}\" \"{event}\" \"{}\"", time(at)));
    assert_eq!(events, expected);
    world.set_rows(&rows[..2]);
    world.run_and_deliver();
    assert_eq!(world.platform.records.len(), 2);
    assert!(world.platform.received.last().expect("something came").1["row_id"].is_string());
}

#[test]
fn order_rows_can_be_delivered_as_rows() {
    let spec = order_spec("destination: { type: stdout, deliver: rows }\nmerge: { gap: 5m }");
    let mut world =
        World::with_rows(&spec, order_table(), &[order(1, "A", "M1", 0, Some(5)), order(2, "A", "M1", 5, None)]);
    world.run_and_deliver();
    assert_eq!(world.platform.records.len(), 2, "rows are never merged");
}

#[test]
fn unknown_events_and_quantities_of_bookings() {
    let rows = [booking(1, "A", "M1", "A", 0), booking(2, "A", "M1", "X", 5)];
    let world = check(&booking_spec(""), booking_table(), &rows, &["A M1 0-"]);
    assert_eq!(codes(&world), ["unmapped"]);
    let spec = booking_spec("").replace("{ column: kenn, map: { A: START, E: END } }", "kenn");
    let world = check(&spec, booking_table(), &rows[..1], &[]);
    assert_eq!(codes(&world), ["event_unknown"]);
}

#[test]
fn neighbours_are_merged() {
    let check = |gap: &str, rows: &[Value], expected: &[&str]| {
        check(&order_spec(&format!("merge: {{ gap: {gap} }}")), order_table(), rows, expected);
    };
    let rows = [order(1, "A", "M1", 0, Some(5)), order(2, "A", "M1", 5, Some(9)), order(3, "A", "M1", 12, Some(15))];
    check("0s", &rows, &["A M1 0-9", "A M1 12-15"]);
    check("3m", &rows, &["A M1 0-15"]);
    check("2m", &rows, &["A M1 0-9", "A M1 12-15"]);
    check("1m", &[order(1, "A", "M1", 0, Some(5)), order(2, "A", "M2", 5, Some(9))], &["A M1 0-5", "A M2 5-9"]);
    check("1m", &[order(1, "A", "M1", 0, Some(5)), order(2, "B", "M1", 5, Some(9))], &["A M1 0-5", "B M1 5-9"]);
    let bookings = [
        booking(1, "A", "M1", "A", 0),
        booking(2, "A", "M1", "E", 5),
        booking(3, "A", "M1", "A", 7),
        booking(4, "A", "M1", "E", 9),
    ];
    let spec = |gap: &str| booking_spec(&format!("merge: {{ gap: {gap} }}"));
    self::check(&spec("2m"), booking_table(), &bookings, &["A M1 0-9"]);
    self::check(&spec("1m"), booking_table(), &bookings, &["A M1 0-5", "A M1 7-9"]);
}

#[test]
fn a_merged_run_is_torn_apart_again() {
    let spec = booking_spec("merge: { gap: 2m }");
    let rows = |third: i64| {
        [
            booking(1, "A", "M1", "A", 0),
            booking(2, "A", "M1", "E", 5),
            booking(3, "A", "M1", "A", third),
            booking(4, "A", "M1", "E", 19),
        ]
    };
    let mut world = check(&spec, booking_table(), &rows(6), &["A M1 0-19"]);
    world.set_rows(&rows(9));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "A M1 9-19"]);
    world.set_rows(&rows(7));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-19"]);
}

#[test]
fn overlaps_are_reported_or_rejected() {
    let rows = [order(1, "A", "M1", 0, Some(10)), order(2, "B", "M1", 5, Some(15)), order(3, "C", "M1", 12, Some(20))];
    let world = check(&order_spec("checks: { overlap: reject }"), order_table(), &rows, &["A M1 0-10", "C M1 12-20"]);
    assert_eq!(codes(&world), ["overlap"]);
    let mut world = world;
    world.set_rows(&[order(1, "A", "M1", 0, Some(5)), rows[1].clone(), rows[2].clone()]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "B M1 5-15"]);
    let entries = world.quarantined();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].reason.contains("order `B`"), "{}", entries[0].reason);
    let parallel = "pairing: { on_start_while_running: allow_parallel }";
    let bookings = [booking(1, "A", "M1", "A", 0), booking(2, "B", "M1", "A", 3)];
    let world = check(&booking_spec(parallel), booking_table(), &bookings, &["A M1 0-", "B M1 3-"]);
    let report = world.store.snapshot("bookings").state.last_run.expect("it ran");
    assert_eq!(report.reported.get("overlap"), Some(&1));
}

#[test]
fn rows_that_are_runs_overlap_what_was_read_and_what_is_remembered() {
    let rows = |end: i64| {
        let two = [order(1, "A", "M1", 0, Some(end)), order(2, "B", "M1", 5, Some(15))];
        let others = [order(3, "C", "M2", 6, Some(9)), order(4, "D", "M1", 20, None)];
        [two, others].concat()
    };
    let later = [rows(30), vec![order(5, "E", "M1", 40, Some(50))]].concat();
    for (checks, expected) in [
        ("", [1, 0, 0, 2, 1]),
        ("checks: { overlap: report }", [1, 0, 0, 2, 1]),
        ("checks: { overlap: allow }", [0; 5]),
    ] {
        let mut world = World::new(&order_spec(checks), order_table());
        // B begins while A runs; nothing changes; A ends as B begins; B and D begin while A runs; E begins while D
        // runs, which the ledger knows.
        let found = [rows(10), rows(10), rows(5), rows(30), later.clone()].map(|rows| {
            world.set_rows(&rows);
            world.run_and_deliver().reported.get("overlap").copied().unwrap_or_default()
        });
        assert_eq!(found, expected, "{checks}");
    }
}

#[test]
fn a_run_without_length_is_rejected_reported_or_allowed() {
    let rows = [order(1, "A", "M1", 5, Some(5))];
    let world = check(&order_spec(""), order_table(), &rows, &[]);
    assert_eq!(codes(&world), ["zero_length"]);
    check(&order_spec("checks: { zero_length: report }"), order_table(), &rows, &["A M1 5-5"]);
    let rows = [booking(1, "A", "M1", "A", 5), booking(2, "B", "M1", "A", 5), booking(3, "B", "M1", "E", 9)];
    let spec = booking_spec("pairing: { tie_break: [id] }");
    let world = check(&spec, booking_table(), &rows, &["B M1 5-9"]);
    assert_eq!(codes(&world), ["zero_length"]);
}

#[test]
fn an_end_before_its_start_follows_the_check() {
    let rows = [order(1, "A", "M1", 9, Some(5))];
    let world = check(&order_spec(""), order_table(), &rows, &[]);
    assert_eq!(codes(&world), ["end_before_start"]);
    // Allowed, it is found again when it is gone.
    for more in ["", "merge: { gap: 0s }"] {
        let spec = order_spec(&format!("checks: {{ end_before_start: allow }}\n{more}"));
        let mut world = check(&spec, order_table(), &rows, &["A M1 9-5"]);
        world.set_rows(&[order(2, "B", "M2", 0, Some(5))]);
        world.run_and_deliver();
        assert_eq!(world.runs(), ["B M2 0-5"]);
    }
}

#[test]
fn the_future_has_a_tolerance() {
    let now = 2 * 1440;
    let check = |checks: &str, start: i64, expected: &[&str]| {
        let spec = order_spec(&format!("sync: {{ lookahead: 1d }}\n{checks}"));
        let world = World::with_rows(&spec, order_table(), &[order(1, "A", "M1", now + start, None)]);
        world.run_well();
        assert_eq!(codes(&world), expected, "{checks} {start}");
    };
    check("", 5, &[]);
    check("", 6, &["future"]);
    check("checks: { future: 1h }", 60, &[]);
    check("checks: { future: 1h }", 61, &["future"]);
    check("checks: { future: allow }", 600, &[]);
}

#[test]
fn a_night_shift_ends_the_next_day() {
    let fields = "  end: { date: tag, time: { column: uhr, format: hhmmss }, after: start }";
    let spec = free_spec(fields);
    let columns = ["anr", "art", "mnr", "von", "tag", "uhr"].map(|name| (name, Kind::Any));
    let row = json!({ "anr": "A", "art": "P", "mnr": "M1", "von": "2025-03-10T22:00:00",
        "tag": "2025-03-10", "uhr": "060000" });
    let mut world = World::with_rows(&spec, Table::new(&columns), &[row]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 1260-1740"], "22:00 to 06:00 in Berlin");
}

#[test]
fn gaps_and_folds_of_the_clock_are_counted() {
    let columns = ["anr", "art", "mnr", "von", "bis"].map(|name| (name, Kind::Any));
    let row = |von: &str, bis: &str| json!({ "anr": "A", "art": "P", "mnr": "M1", "von": von, "bis": bis });
    let check = |row: Value, code: &str, start: &str, end: &str| {
        let mut world = World::with_rows(&free_spec("  end: bis"), Table::new(&columns), &[row]);
        world.clock.set("2025-11-30T00:00:00Z".parse().expect("is an instant"));
        let report = world.run_and_deliver();
        assert_eq!(report.reported.get(code), Some(&1), "{report:?}");
        let record = world.platform.records.values().next().expect("one record");
        assert_eq!((record["start"].as_str(), record["end"].as_str()), (Some(start), Some(end)));
    };
    // Spring: 02:30 does not exist; the clock is moved forward.
    check(
        row("2025-03-30T01:00:00", "2025-03-30T02:30:00"),
        "time_gap_moved",
        "2025-03-30T00:00:00Z",
        "2025-03-30T01:30:00Z",
    );
    // Autumn: 02:30 comes twice; the earlier is taken.
    check(
        row("2025-10-26T02:30:00", "2025-10-26T04:00:00"),
        "time_fold_chosen",
        "2025-10-26T00:30:00Z",
        "2025-10-26T03:00:00Z",
    );
}
