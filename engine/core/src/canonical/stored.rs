//! The form in which a row waits in the state store to be folded.
//!
//! It is the body of an entry of the ledger, and does not say again what stands beside it there: the machine, and times
//! that are whole microseconds. Bodies of earlier versions say all of it.

use std::fmt;

use serde::Deserialize;

use super::{CanonicalRow, Content, Details, write_json_text};
use crate::pairing::{Event, Tie};
use crate::time::Instant;

/// A row in the state store that cannot be read: the state was written by something else, or is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRowError(pub String);

impl fmt::Display for StoredRowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of the ledger cannot be read: {}", self.0)
    }
}

impl std::error::Error for StoredRowError {}

/// What stands beside a body. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<'a> {
    /// Value of the window column.
    pub(crate) at: i64,
    /// Code of the machine.
    pub(crate) lane: &'a str,
    pub(crate) start: i64,
    /// The end, where one is kept beside a body and there is one.
    pub(crate) end: Option<i64>,
}

impl Content<'_> {
    /// Writes the body of what has its machine, its start and this end beside it.
    pub(crate) fn write_stored(&self, out: &mut String, end: Option<i64>) {
        out.push_str("{\"k\":");
        write_json_text(out, self.key_text);
        if Instant::from_micros(self.start.micros()) != self.start {
            write_time(out, "s", self.start);
        }
        if let Some(exact) = self.end.filter(|exact| end.map(Instant::from_micros) != Some(*exact)) {
            write_time(out, "e", exact);
        }
        if let Some(event) = self.event {
            out.push_str(if event == Event::Start { ",\"v\":true" } else { ",\"v\":false" });
        }
        if !self.tie.is_empty() {
            out.push_str(",\"t\":");
            for (place, tie) in self.tie.iter().enumerate() {
                out.push(if place == 0 { '[' } else { ',' });
                match tie {
                    Tie::None => out.push_str("\"0\""),
                    Tie::Number(number) => {
                        out.push_str("{\"n\":");
                        out.push_str(itoa::Buffer::new().format(*number));
                        out.push('}');
                    }
                    Tie::Text(text) => {
                        out.push_str("{\"t\":");
                        write_json_text(out, text);
                        out.push('}');
                    }
                }
            }
            out.push(']');
        }
        out.push_str(",\"d\":");
        write_details(out, self.details);
        out.push('}');
    }
}

impl CanonicalRow {
    /// From a body and what stands beside it.
    pub(crate) fn from_stored(text: &str, beside: Beside<'_>) -> Result<Self, StoredRowError> {
        let stored: StoredRow = serde_json::from_str(text).map_err(|error| StoredRowError(error.to_string()))?;
        let exact = |time: Option<(i64, u32)>, beside: Option<i64>| match time {
            Some((secs, nanos)) => Instant::new(secs, nanos)
                .map(Some)
                .ok_or_else(|| StoredRowError(format!("{secs} s is outside the years 0001 to 9999"))),
            None => Ok(beside.map(Instant::from_micros)),
        };
        let start = exact(stored.start, Some(beside.start))?.unwrap_or_default();
        Ok(Self {
            key_text: stored.key,
            start,
            end: exact(stored.end, beside.end)?,
            event: stored.event.map(|start| if start { Event::Start } else { Event::End }),
            tie: stored.tie.into_iter().map(Tie::from).collect(),
            details: Details { machine_code: beside.lane.to_owned(), ..stored.details },
            at: Instant::from_micros(beside.at),
        })
    }
}

fn write_time(out: &mut String, name: &str, time: Instant) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":[");
    out.push_str(itoa::Buffer::new().format(time.secs()));
    out.push(',');
    out.push_str(itoa::Buffer::new().format(time.nanos()));
    out.push(']');
}

fn write_details(out: &mut String, details: &Details) {
    let Details {
        order_code,
        product_code,
        // It stands beside the body.
        machine_code: _,
        machine_id,
        product_name,
        quantity_total,
        quantity_scrap,
        quantity_yield,
        quantity_unit,
        attributes,
    } = details;
    out.push_str("{\"o\":");
    write_json_text(out, order_code);
    out.push_str(",\"p\":");
    write_json_text(out, product_code);
    for (name, value) in [
        ("mi", machine_id),
        ("pn", product_name),
        ("qt", quantity_total),
        ("qs", quantity_scrap),
        ("qy", quantity_yield),
        ("qu", quantity_unit),
    ] {
        if let Some(value) = value {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            write_json_text(out, value);
        }
    }
    if !attributes.is_empty() {
        out.push_str(",\"a\":");
        for (place, (name, value)) in attributes.iter().enumerate() {
            out.push_str(if place == 0 { "[[" } else { ",[" });
            write_json_text(out, name);
            out.push(',');
            write_json_text(out, value);
            out.push(']');
        }
        out.push(']');
    }
    out.push('}');
}

#[derive(Deserialize)]
struct StoredRow {
    #[serde(rename = "k")]
    key: String,
    #[serde(rename = "s", default)]
    start: Option<(i64, u32)>,
    #[serde(rename = "e", default)]
    end: Option<(i64, u32)>,
    #[serde(rename = "v", default)]
    event: Option<bool>,
    #[serde(rename = "t", default)]
    tie: Vec<StoredTie>,
    #[serde(rename = "d")]
    details: Details,
}

#[derive(Deserialize)]
enum StoredTie {
    #[serde(rename = "0")]
    None,
    #[serde(rename = "n")]
    Number(i64),
    #[serde(rename = "t")]
    Text(String),
}

impl From<StoredTie> for Tie {
    fn from(tie: StoredTie) -> Self {
        match tie {
            StoredTie::None => Self::None,
            StoredTie::Number(number) => Self::Number(number),
            StoredTie::Text(text) => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::canonical::RowKey;
    use crate::state::{LedgerRecord, LedgerRow, reach};
    use uuid::Uuid;

    fn texts() -> impl Strategy<Value = String> {
        "[a-z\u{0}-\u{1f}\"\\\\\u{e4}\u{1f600}]{0,6}"
    }

    fn details() -> impl Strategy<Value = Details> {
        let maybe = || proptest::option::of(texts());
        let codes = (texts(), texts(), texts());
        let more = (maybe(), maybe(), maybe(), maybe(), maybe(), maybe());
        (codes, more, proptest::collection::vec((texts(), texts()), 0..3)).prop_map(|(codes, more, attributes)| {
            Details {
                order_code: codes.0,
                product_code: codes.1,
                machine_code: codes.2,
                machine_id: more.0,
                product_name: more.1,
                quantity_total: more.2,
                quantity_scrap: more.3,
                quantity_yield: more.4,
                quantity_unit: more.5,
                attributes,
            }
        })
    }

    fn ties() -> impl Strategy<Value = Vec<Tie>> {
        let tie = prop_oneof![Just(Tie::None), any::<i64>().prop_map(Tie::Number), texts().prop_map(Tie::Text)];
        proptest::collection::vec(tie, 0..3)
    }

    fn times() -> impl Strategy<Value = Instant> {
        (-62_135_596_800i64..253_402_300_800, 0u32..1_000_000_000)
            .prop_map(|(secs, nanos)| Instant::new(secs, nanos).expect("in range"))
    }

    /// What the ledger has of a row, or of a record, and the row that comes out of it again.
    fn there_and_back(row: &CanonicalRow) -> [Result<CanonicalRow, StoredRowError>; 2] {
        let mut of_row = LedgerRow::default();
        of_row.set(RowKey(1), 0, row);
        let record = LedgerRecord {
            key: RowKey(1),
            part: false,
            id: Uuid::nil(),
            hash: 0,
            at: row.at.micros(),
            lane: row.details.machine_code.as_str().into(),
            start: row.start.micros(),
            end: reach(row.start, row.end),
            body: Some(String::new()),
        };
        let mut body = String::new();
        row.content().write_stored(&mut body, record.ends());
        let of_record = LedgerRecord { body: Some(body), ..record }.canonical().expect("has a body");
        [of_row.canonical(), of_record]
    }

    proptest! {
        #[test]
        fn a_stored_row_comes_back(
            key_text in texts(),
            details in details(),
            start in times(),
            end in proptest::option::of(times()),
            event in proptest::option::of(prop_oneof![Just(Event::Start), Just(Event::End)]),
            tie in ties(),
            at in times(),
        ) {
            // The window's value is kept beside it, and nowhere else.
            let at = Instant::from_micros(at.micros());
            let row = CanonicalRow { key_text, details, start, end, event, tie, at };
            prop_assert_eq!(there_and_back(&row), [Ok(row.clone()), Ok(row)]);
        }
    }

    fn time(secs: i64, nanos: u32) -> Instant {
        Instant::new(secs, nanos).expect("in range")
    }

    /// Rows are kept for years: what was written once is read for ever, and what did not change is not written anew.
    #[test]
    fn the_form_stays_as_it_is() {
        let row = CanonicalRow {
            key_text: r#"["1"]"#.to_owned(),
            details: Details {
                order_code: "47\n11".to_owned(),
                product_code: "25-1002".to_owned(),
                machine_code: "M1".to_owned(),
                quantity_yield: Some("1.5".to_owned()),
                attributes: vec![("shift".to_owned(), "\"A\"".to_owned()), ("x".to_owned(), "1".to_owned())],
                ..Details::default()
            },
            start: time(1, 5),
            end: Some(time(-2, 0)),
            event: Some(Event::Start),
            tie: vec![Tie::Number(3), Tie::None, Tie::Text("x".to_owned())],
            at: Instant::default(),
        };
        let more = concat!(
            r#","v":true,"t":[{"n":3},"0",{"t":"x"}],"d":{"o":"47\n11","p":"25-1002","#,
            r#""qy":"1.5","a":[["shift","\"A\""],["x","1"]]}}"#
        );
        let written = |row: &CanonicalRow, end| {
            let mut out = String::new();
            row.content().write_stored(&mut out, end);
            out
        };
        let exact = format!(r#"{{"k":"[\"1\"]","s":[1,5],"e":[-2,0]{more}"#);
        assert_eq!(written(&row, None), exact);
        assert_eq!(written(&row, Some(7)), exact, "an end beside it that is not its own");
        let row = CanonicalRow { start: time(1, 5_000), end: Some(time(2, 6_000)), ..row };
        assert_eq!(written(&row, Some(2_000_006)), format!(r#"{{"k":"[\"1\"]"{more}"#));
        assert_eq!(written(&row, None), format!(r#"{{"k":"[\"1\"]","e":[2,6000]{more}"#));
        let beside = Beside { at: 0, lane: "M1", start: 1_000_005, end: None };
        assert!(CanonicalRow::from_stored("{}", beside).is_err());
        assert!(CanonicalRow::from_stored(r#"{"k":"","e":[99999999999999,0],"d":{}}"#, beside).is_err());
    }

    /// As it was until version 4 of the state file.
    #[test]
    fn a_body_that_says_all_of_it_is_read() {
        let body = r#"{"k":"[\"1\"]","s":[1,5],"e":[2,7],"v":false,"d":{"o":"4711","p":"","m":"M1"}}"#.to_owned();
        let row = LedgerRow { lane: "M1".to_owned(), start: 1_000_000, at: 3, body, ..LedgerRow::default() };
        let read = row.canonical().expect("is read");
        assert_eq!((read.start, read.end, read.event), (time(1, 5), Some(time(2, 7)), Some(Event::End)));
        assert_eq!((read.details.order_code.as_str(), read.details.machine_code.as_str()), ("4711", "M1"));
        assert_eq!(read.at, time(0, 3_000));
    }
}
