//! The body of an answer: decompressed within a limit, and told apart by what it says it is.

use std::io::Read;

use engine_core::ports::SourceErrorKind;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::failure::Problem;
use crate::web::{Reply, ReplyBody};

/// Bytes of one page, compressed and decompressed.
pub(super) const BODY_BYTES_MAX: usize = 32 << 20;
/// Characters of an unexpected answer that a message quotes.
const QUOTE_CHARS_MAX: usize = 120;

const MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a body holds.
pub(super) enum Content {
    /// Nothing.
    Nothing,
    /// One JSON text; the lines of NDJSON are the items of a list.
    Json(String),
    /// CSV, and the encoding that the answer names.
    Csv(Vec<u8>, Option<String>),
}

/// How a body holds its records.
enum Form {
    /// One document.
    Json,
    /// A document a line.
    Lines,
    /// CSV.
    Csv,
}

/// The body, decompressed. `wants_csv`: the spec says that it is CSV.
pub(super) fn content(reply: &Reply, wants_csv: bool) -> Result<Content, Problem> {
    let bytes = match &reply.body {
        ReplyBody::Whole(bytes) => decoded(reply, bytes)?,
        ReplyBody::TooLong => return Err(too_long()),
        ReplyBody::Cut(reason) => return Err(Problem::new(SourceErrorKind::Network, reason.clone())),
    };
    if reply.status == StatusCode::NO_CONTENT || (bytes.is_empty() && reply.status == StatusCode::RESET_CONTENT) {
        return Ok(Content::Nothing);
    }
    let form = form(reply, &bytes, wants_csv)?;
    if matches!(form, Form::Csv) {
        return Ok(Content::Csv(bytes, charset(reply)));
    }
    let bytes = bytes.strip_prefix(MARK).unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("the answer is not UTF-8: byte {} does not fit", error.valid_up_to());
        Problem::new(SourceErrorKind::Data, message).hint("JSON is UTF-8 by its standard: have the API send it so.")
    })?;
    Ok(Content::Json(match form {
        Form::Json | Form::Csv => text.to_owned(),
        Form::Lines => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            format!("[{}]", lines.collect::<Vec<_>>().join(","))
        }
    }))
}

fn too_long() -> Problem {
    let message = format!("the page is longer than {} MiB", BODY_BYTES_MAX >> 20);
    Problem::new(SourceErrorKind::Data, message).hint("Ask for smaller pages, see `source.pagination`.")
}

fn decoded(reply: &Reply, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let encoding = reply.headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let decoder: Box<dyn Read + '_> = match encoding.as_deref().map(str::trim) {
        None | Some("" | "identity") => return Ok(bytes.to_vec()),
        Some("gzip" | "x-gzip") => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        Some("zstd") => Box::new(zstd::Decoder::new(bytes).map_err(|error| undecodable("zstd", &error))?),
        Some(other) => {
            let message = format!("the answer is encoded as {other:?}; gzip and zstd were offered");
            return Err(Problem::new(SourceErrorKind::Data, message));
        }
    };
    let mut plain = Vec::new();
    let limit = BODY_BYTES_MAX as u64 + 1;
    decoder.take(limit).read_to_end(&mut plain).map_err(|error| undecodable("gzip or zstd", &error))?;
    if plain.len() > BODY_BYTES_MAX { Err(too_long()) } else { Ok(plain) }
}

fn undecodable(form: &str, error: &std::io::Error) -> Problem {
    Problem::new(SourceErrorKind::Data, format!("the answer cannot be decompressed as {form}: {error}"))
        .hint("It broke off, or something on the way changed it. The next run asks again.")
}

/// What the server says it is; where it does not say, what it looks like.
fn form(reply: &Reply, bytes: &[u8], wants_csv: bool) -> Result<Form, Problem> {
    let declared = reply.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let kind = declared.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let start = bytes.strip_prefix(MARK).unwrap_or(bytes).trim_ascii_start().first().copied();
    let is_json = kind == "text/json" || kind.ends_with("json");
    match kind.as_str() {
        _ if wants_csv && is_json => {
            let message = format!("the answer is {kind}, not CSV: {}", quote(bytes));
            Err(Problem::new(SourceErrorKind::Data, message)
                .hint("Check `request`, or leave `source.csv` out where the API sends JSON."))
        }
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines"
        | "application/stream+json" => Ok(Form::Lines),
        "application/json" | "text/json" => Ok(Form::Json),
        kind if kind.ends_with("+json") => Ok(Form::Json),
        "text/html" | "application/xhtml+xml" => Err(web_page(bytes)),
        _ if start == Some(b'<') => Err(web_page(bytes)),
        "text/csv" | "application/csv" => Ok(Form::Csv),
        _ if wants_csv => Ok(Form::Csv),
        "" | "text/plain" | "application/octet-stream" if matches!(start, Some(b'{' | b'[')) => Ok(Form::Json),
        _ => {
            let said = if kind.is_empty() { "does not say what it is".to_owned() } else { format!("is {kind}") };
            let message = format!("the answer {said}, not JSON: {}", quote(bytes));
            Err(Problem::new(SourceErrorKind::Data, message).hint("Check `source.url` and `request.path`."))
        }
    }
}

/// The encoding that the answer names for itself.
fn charset(reply: &Reply) -> Option<String> {
    let declared = reply.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let mut params = declared.split(';').skip(1).filter_map(|param| param.split_once('='));
    let (_, label) = params.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(label.trim().trim_matches('"').to_owned())
}

fn web_page(bytes: &[u8]) -> Problem {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE_BYTES_MAX)]).into_owned();
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let title = title.map(|(title, _)| format!(" with the title {:?}", title.trim())).unwrap_or_default();
    Problem::new(SourceErrorKind::Data, format!("the answer is a web page{title}, not data"))
        .hint("Most often it is a login page or a proxy. Check `source.url`, `request.path` and `source.auth`.")
}

/// Bytes of a web page in which its title is looked for.
const QUOTE_BYTES_MAX: usize = 4 << 10;

fn quote(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE_BYTES_MAX)]).chars().take(QUOTE_CHARS_MAX).collect()
}
