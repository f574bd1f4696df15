//! Destinations: one file per kind, one line in [`open`].

pub mod file;
pub mod http;
mod reach;
pub mod stdout;

use engine_core::ports::{Destination, DestinationConfig};

pub use self::reach::reach;

/// A destination that cannot be used as it is configured. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{tried}: {message}")]
pub struct OpenError {
    /// What was tried, and where.
    pub tried: String,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// Prepares a destination. Reads certificates, but does not connect: a destination that is down is no error here.
pub fn open(config: &DestinationConfig) -> Result<Box<dyn Destination>, OpenError> {
    Ok(match config {
        DestinationConfig::Http(config) => Box::new(http::HttpDestination::new(config)?),
        DestinationConfig::File(path) => Box::new(file::FileDestination::new(path)?),
        DestinationConfig::Stdout => Box::new(stdout::StdoutDestination::new()),
    })
}

/// Writes a record as one line of JSON: the record's members behind a leading `pipeline`.
pub(crate) fn write_line(out: &mut Vec<u8>, pipeline: &str, body: &str) {
    out.extend_from_slice(b"{\"pipeline\":");
    write_json_str(out, pipeline);
    let members = body.trim_start().strip_prefix('{').unwrap_or(body).trim_start();
    if !members.starts_with('}') {
        out.push(b',');
    }
    // A record is written compactly; a line break that came along all the same is white space between tokens.
    out.extend(members.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    out.push(b'\n');
}

/// Writes a string as JSON.
pub(crate) fn write_json_str(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_record_behind_its_pipeline() {
        for (body, expected) in [
            (r#"{"op":"delete"}"#, r#"{"pipeline":"a\"b","op":"delete"}"#),
            ("{}", r#"{"pipeline":"a\"b"}"#),
            ("{\n\"x\":\r1}", r#"{"pipeline":"a\"b","x": 1}"#),
        ] {
            let mut out = Vec::new();
            write_line(&mut out, "a\"b", body);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
        }
    }
}
