//! Records on standard output: JSON lines, or a line of a table for people when it is a terminal.

use std::io::{self, IsTerminal, Write};

use engine_core::ports::{Answer, Cancel, Destination, Parcel};
use engine_core::state::OutboxRecord;
use serde_json::Value;

use super::write_line;

/// Characters of an id that a line shows: enough to tell the records of a screen apart.
const ID_CHARS: usize = 8;

/// Standard output.
#[derive(Debug, Default)]
pub struct StdoutDestination;

impl StdoutDestination {
    /// Nothing to prepare.
    pub fn new() -> Self {
        Self
    }
}

impl Destination for StdoutDestination {
    fn send(&mut self, parcel: &Parcel, _cancel: &Cancel) -> Answer {
        let stdout = io::stdout();
        let lines = if stdout.is_terminal() { table_lines(parcel) } else { json_lines(parcel) };
        let mut out = stdout.lock();
        match out.write_all(&lines).and_then(|()| out.flush()) {
            Ok(()) => Answer::Accepted { rejected: Vec::new() },
            // A reader that went away does not come back.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Answer::Refused { message: "nobody reads standard output any more".to_owned() }
            }
            Err(error) => Answer::Later { message: format!("writing to standard output: {error}"), retry_after: None },
        }
    }

    fn place(&self) -> &str {
        "standard output"
    }
}

fn json_lines(parcel: &Parcel) -> Vec<u8> {
    let mut out = Vec::new();
    for record in &parcel.records {
        write_line(&mut out, &parcel.pipeline, &record.body);
    }
    out
}

fn table_lines(parcel: &Parcel) -> Vec<u8> {
    let lines: String = parcel.records.iter().map(|record| table_line(record) + "\n").collect();
    lines.into_bytes()
}

/// `upsert 3f2b7c1e  M1           47110010         25-1002          2025-03-29T21:00:00Z  2025-03-30T00:59:00Z`
fn table_line(record: &OutboxRecord) -> String {
    let body: Value = serde_json::from_str(&record.body).unwrap_or_default();
    // A run names its order and product otherwise than a row, and a row of a booking has one time and an event.
    let text = |pointers: &[&str]| -> String {
        let found = pointers.iter().find_map(|pointer| body.pointer(pointer)?.as_str());
        // A terminal obeys control characters; a source must not be able to send it any.
        found.unwrap_or("-").chars().filter(|c| !c.is_control()).collect()
    };
    let id = &record.id.to_string()[..ID_CHARS];
    let line = format!(
        "{:<6} {:<8}  {:<12} {:<16} {:<16} {:<20}  {}",
        text(&["/op"]),
        id,
        text(&["/machine_code", "/machine"]),
        text(&["/production_order", "/order_code"]),
        text(&["/product/code", "/product_code"]),
        text(&["/start", "/timestamp"]),
        text(&["/end", "/event"]),
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_table_line_shows_runs_and_rows() {
        let run = r#"{"op":"upsert","run_id":"3f2b7c1e-0d5a","machine_code":"M1","production_order":"4711",
            "product":{"code":"25-1002"},"start":"2025-03-29T21:00:00Z"}"#;
        let row = r#"{"row_id":"r","timestamp":"2025-03-29T21:00:00Z","event":"START","order_code":"4711\u001b[2J",
            "product_code":"25-1002","machine_code":"M1"}"#;
        let id = Uuid::from_u128(0x3f2b_7c1e_0d5a_5b1e_8f4a_0000_0000_0001);
        for (body, expected) in [
            (run, "upsert 3f2b7c1e  M1           4711             25-1002          2025-03-29T21:00:00Z  -"),
            (row, "-      3f2b7c1e  M1           4711[2J          25-1002          2025-03-29T21:00:00Z  START"),
            (
                r#"{"op":"delete","run_id":"3f2b7c1e-0d5a"}"#,
                "delete 3f2b7c1e  -            -                -                -                     -",
            ),
        ] {
            let record = OutboxRecord { seq: 1, id, body: body.into() };
            assert_eq!(table_line(&record), expected);
        }
    }
}
