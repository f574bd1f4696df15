//! Destinations: one file per kind, one line in [`open`].

pub mod file;
pub mod http;
mod reach;
pub mod stdout;

use engine_core::ports::{Cancel, Destination, DestinationConfig};
use jiff::Timestamp;

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

/// What a destination said to a request without records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// What was found, in plain words.
    pub said: String,
    /// What became of the login.
    pub login: Login,
    /// The clock of the server, as it says it, in whole seconds.
    pub date: Option<Timestamp>,
}

/// What became of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// None is configured, or there is nothing to log in to.
    None,
    /// The endpoint took it.
    Taken,
    /// A token was given out for it; what the endpoint says of the token is not known.
    Given,
    /// The answer says nothing of it.
    Untold,
}

/// Asks a destination whether it answers and takes the login; no record is sent. Of a file, its folder is looked at.
pub fn greet(config: &DestinationConfig, cancel: &Cancel) -> Result<Greeting, OpenError> {
    match config {
        DestinationConfig::Http(config) => http::greet(config, cancel),
        DestinationConfig::File(_) | DestinationConfig::Stdout => {
            Ok(Greeting { said: reach(config)?, login: Login::None, date: None })
        }
    }
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
