//! Records as the delivery contract has them, written as JSON by hand into one buffer.
//!
//! The shapes are those of `schemas/delivery.openapi.yaml`.

use engine_spec::model::TableType;
use uuid::Uuid;

use crate::canonical::{CanonicalRow, Details, write_json_text};
use crate::time::{Instant, write_rfc3339};

/// A production run: `{ "op": "upsert", "run_id", … }`.
pub fn write_run(out: &mut String, id: Uuid, start: Instant, end: Option<Instant>, details: &Details) {
    out.push_str(r#"{"op":"upsert","run_id":"#);
    write_id(out, id);
    member(out, r#","machine":"#, details.machine_id.as_deref());
    member(out, r#","machine_code":"#, Some(&details.machine_code));
    member(out, r#","production_order":"#, Some(&details.order_code));
    out.push_str(r#","product":{"code":"#);
    write_json_text(out, &details.product_code);
    member(out, r#","name":"#, details.product_name.as_deref());
    out.push('}');
    time(out, r#","start":""#, Some(start));
    time(out, r#","end":""#, end);
    write_tail(out, details);
}

/// A canonical row: `{ "op": "upsert", "row_id", … }`.
pub fn write_row(out: &mut String, id: Uuid, row: &CanonicalRow, table: TableType) {
    out.push_str(r#"{"op":"upsert","row_id":"#);
    write_id(out, id);
    let details = &row.details;
    member(out, r#","machine":"#, details.machine_id.as_deref());
    member(out, r#","machine_code":"#, Some(&details.machine_code));
    member(out, r#","order_code":"#, Some(&details.order_code));
    member(out, r#","product_code":"#, Some(&details.product_code));
    member(out, r#","product_name":"#, details.product_name.as_deref());
    match table {
        TableType::Order => {
            time(out, r#","start":""#, Some(row.start));
            time(out, r#","end":""#, row.end);
        }
        TableType::Booking => {
            time(out, r#","timestamp":""#, Some(row.start));
            member(out, r#","event":"#, row.event.map(crate::pairing::Event::as_str));
        }
    }
    write_tail(out, details);
}

/// The removal of a run or a row.
pub fn write_delete(out: &mut String, id: Uuid, rows: bool) {
    out.push_str(if rows { r#"{"op":"delete","row_id":"# } else { r#"{"op":"delete","run_id":"# });
    write_id(out, id);
    out.push('}');
}

fn write_tail(out: &mut String, details: &Details) {
    number(out, r#","quantity_total":"#, details.quantity_total.as_deref());
    number(out, r#","quantity_scrap":"#, details.quantity_scrap.as_deref());
    number(out, r#","quantity_yield":"#, details.quantity_yield.as_deref());
    member(out, r#","quantity_unit":"#, details.quantity_unit.as_deref());
    if !details.attributes.is_empty() {
        out.push_str(r#","attributes":{"#);
        for (place, (name, value)) in details.attributes.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            write_json_text(out, name);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
    }
    out.push('}');
}

fn write_id(out: &mut String, id: Uuid) {
    out.push('"');
    out.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    out.push('"');
}

/// Writes a member, where there is a value; `key` is what stands before it. Inlined, as the next two, so that the key,
/// whose length is known then, is written by a few moves.
#[inline(always)]
fn member(out: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        out.push_str(key);
        write_json_text(out, value);
    }
}

/// The digits were made canonical when the row was mapped; they are a JSON number as they stand.
#[inline(always)]
fn number(out: &mut String, key: &str, digits: Option<&str>) {
    if let Some(digits) = digits {
        out.push_str(key);
        out.push_str(digits);
    }
}

#[inline(always)]
fn time(out: &mut String, key: &str, time: Option<Instant>) {
    if let Some(time) = time {
        out.push_str(key);
        write_rfc3339(out, time);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::canonical::RowKey;
    use crate::pairing::{Event, Interval};

    fn details() -> Details {
        Details {
            order_code: "47\"11".into(),
            product_code: "25-1002".into(),
            machine_code: "M1".into(),
            machine_id: Some("3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11".into()),
            product_name: Some("Röhre".into()),
            quantity_yield: Some("1.5".into()),
            attributes: vec![("shift".into(), "2".into())],
            ..Details::default()
        }
    }

    #[test]
    fn a_run_is_written_as_the_contract_has_it() {
        let run = Interval {
            key: RowKey(1),
            start: Instant::from_micros(1_743_282_000 * 1_000_000),
            end: Instant::new(1_743_296_340, 500_000_000),
            details: Cow::Owned(details()),
        };
        let mut out = String::new();
        write_run(&mut out, Uuid::nil(), run.start, run.end, &run.details);
        let value: serde_json::Value = serde_json::from_str(&out).expect("is JSON");
        assert_eq!(
            value,
            serde_json::json!({
                "op": "upsert", "run_id": "00000000-0000-0000-0000-000000000000",
                "machine": "3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11", "machine_code": "M1",
                "production_order": "47\"11", "product": {"code": "25-1002", "name": "Röhre"},
                "start": "2025-03-29T21:00:00Z", "end": "2025-03-30T00:59:00.5Z",
                "quantity_yield": 1.5, "attributes": {"shift": 2}
            })
        );
    }

    #[test]
    fn a_live_run_has_no_end_and_a_booking_its_event() {
        let mut out = String::new();
        let run =
            Interval { key: RowKey(1), start: Instant::from_micros(0), end: None, details: Cow::Owned(details()) };
        write_run(&mut out, Uuid::nil(), run.start, run.end, &run.details);
        assert!(!out.contains("\"end\""), "{out}");
        out.clear();
        let row = CanonicalRow { details: details(), event: Some(Event::End), ..CanonicalRow::default() };
        write_row(&mut out, Uuid::nil(), &row, TableType::Booking);
        let value: serde_json::Value = serde_json::from_str(&out).expect("is JSON");
        assert_eq!(value["event"], "END");
        assert_eq!(value["timestamp"], "1970-01-01T00:00:00Z");
    }
}
