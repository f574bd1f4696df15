//! The form in which a row waits in the state store to be folded.

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

impl Content<'_> {
    /// Writes the form in which a row waits in the state store to be folded: what [`CanonicalRow::from_stored`] reads.
    pub fn write_stored(&self, out: &mut String) {
        out.push_str("{\"k\":");
        write_json_text(out, self.key_text);
        write_time(out, "s", self.start);
        if let Some(end) = self.end {
            write_time(out, "e", end);
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
    /// The form in which the row waits in the state store to be folded.
    pub fn to_stored(&self) -> String {
        let mut out = String::with_capacity(256);
        self.content().write_stored(&mut out);
        out
    }

    /// From the state store's form; `at` is kept beside it.
    pub fn from_stored(text: &str, at: Instant) -> Result<Self, StoredRowError> {
        let stored: StoredRow = serde_json::from_str(text).map_err(|error| StoredRowError(error.to_string()))?;
        let time = |(secs, nanos): (i64, u32)| {
            Instant::new(secs, nanos)
                .ok_or_else(|| StoredRowError(format!("{secs} s is outside the years 0001 to 9999")))
        };
        Ok(Self {
            key_text: stored.key,
            start: time(stored.start)?,
            end: stored.end.map(time).transpose()?,
            event: stored.event.map(|start| if start { Event::Start } else { Event::End }),
            tie: stored.tie.into_iter().map(Tie::from).collect(),
            details: stored.details,
            at,
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
        machine_code,
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
    out.push_str(",\"m\":");
    write_json_text(out, machine_code);
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
    #[serde(rename = "s")]
    start: (i64, u32),
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
            let row = CanonicalRow { key_text, details, start, end, event, tie, at };
            prop_assert_eq!(CanonicalRow::from_stored(&row.to_stored(), at), Ok(row));
        }
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
            start: Instant::new(1, 5).expect("in range"),
            end: Instant::new(-2, 0),
            event: Some(Event::Start),
            tie: vec![Tie::Number(3), Tie::None, Tie::Text("x".to_owned())],
            at: Instant::default(),
        };
        let written = concat!(
            r#"{"k":"[\"1\"]","s":[1,5],"e":[-2,0],"v":true,"t":[{"n":3},"0",{"t":"x"}],"#,
            r#""d":{"o":"47\n11","p":"25-1002","m":"M1","qy":"1.5","a":[["shift","\"A\""],["x","1"]]}}"#
        );
        assert_eq!(row.to_stored(), written);
        assert!(CanonicalRow::from_stored("{}", Instant::default()).is_err());
    }
}
