//! HTTP/1.1 as far as a stand-in needs it: requests in, answers out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

use super::Request;

/// Bytes of one line of a request's head.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// The head of the next request and the length of its body; `None` if the client is done.
pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<Option<(Request, usize)>> {
    // A head that breaks off is none: what is missing of it may be the length of the body.
    let mut line = |line: &mut String| -> io::Result<bool> {
        line.clear();
        let read = stream.take(LINE_BYTES_MAX).read_line(line)?;
        if read > 0 && !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(read > 0)
    };
    let mut text = String::new();
    if !line(&mut text)? || text.is_empty() {
        return Ok(None);
    }
    let mut words = text.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        if !line(&mut text)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    Ok(Some((Request { method, path, headers, wire_bytes: 0, body: Value::Null, answered: false }, length)))
}

/// A body of this length.
pub(crate) fn read_body(stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// The body as it was before compression.
pub(crate) fn decoded(request: &Request, wire: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    match request.headers.get("content-encoding").map(String::as_str) {
        None => return Ok(wire),
        Some("gzip") => flate2::read::GzDecoder::new(&wire[..]).read_to_end(&mut plain),
        Some("zstd") => zstd::Decoder::new(&wire[..]).and_then(|mut decoder| decoder.read_to_end(&mut plain)),
        Some(other) => return Err(format!("content-encoding {other:?}")),
    }
    .map_err(|error| format!("decompressing: {error}"))?;
    Ok(plain)
}

/// Writes an answer.
pub(crate) fn answer(stream: &mut impl Write, status: u16, headers: &[(&str, String)], body: &str) -> io::Result<()> {
    stream.write_all(&answer_bytes(status, headers, body))?;
    stream.flush()
}

/// An answer as it goes over the wire.
pub(crate) fn answer_bytes(status: u16, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
    if status != 204 {
        write!(text, "Content-Length: {}\r\n", body.len()).expect("a string takes every text");
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        text.push_str("Content-Type: application/json\r\n");
    }
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").expect("a string takes every text");
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_breaks_off_is_none() {
        let whole = b"POST /deliveries HTTP/1.1\r\nidempotency-key: 7\r\ncontent-length: 12\r\n\r\n";
        let (request, length) = read_head(&mut &whole[..]).expect("it is whole").expect("it is a request");
        assert_eq!((request.method.as_str(), request.path.as_str(), length), ("POST", "/deliveries", 12));
        assert!(read_head(&mut &b""[..]).expect("nobody asks").is_none());
        for end in 1..whole.len() {
            assert!(read_head(&mut &whole[..end]).is_err(), "{end} bytes");
        }
    }
}
