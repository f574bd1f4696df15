//! Sources beside databases: an HTTP API, a folder of CSV files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Auth, HeaderValue, Period, Setting, Timeouts, Tls};
use crate::decode::present;

/// An HTTP API.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {
    /// Base address; `request.path` is appended.
    #[schemars(example = &"https://mes.acme.example/api/v1")]
    pub url: Setting<String>,
    /// How to log in. Default: not at all.
    #[serde(default, deserialize_with = "present")]
    pub auth: Option<Auth>,
    /// What is asked.
    #[schemars(example = serde_json::json!({"query": {"from": "{{ window.start | instant }}", "to": "{{ window.end | instant }}"}}))]
    #[serde(default)]
    pub request: Request,
    /// Where the records are in the answer, as a JSONPath (RFC 9535). Default `$[*]`. A member of a record is a column;
    /// a nested one is `a.b`, and one of the object around the record `^.a`, one more `^` for each level.
    #[schemars(example = &"$.data[*]")]
    #[serde(default, deserialize_with = "present")]
    pub records: Option<String>,
    /// Answers are CSV, written like this; each line is a record. Default: JSON or NDJSON, and CSV with commas where an
    /// answer says that it is.
    #[serde(default, deserialize_with = "present")]
    pub csv: Option<CsvBody>,
    /// How the answer continues. Default: one page.
    #[serde(default, deserialize_with = "present")]
    pub pagination: Option<Pagination>,
    /// Requests per second at most. Default: no limit.
    #[schemars(example = &5)]
    #[serde(default, deserialize_with = "present")]
    pub rate_limit: Option<f64>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of naive date-times in the records. Default `UTC`.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// How the CSV of an API is written.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvBody {
    /// Character that separates fields, ASCII. Default `,`.
    #[schemars(example = &";")]
    #[serde(default, deserialize_with = "present")]
    pub delimiter: Option<char>,
    /// Character that quotes a field, ASCII; two of them in a quoted field stand for one. Default `"`.
    #[schemars(example = &"\"")]
    #[serde(default, deserialize_with = "present")]
    pub quote: Option<char>,
    /// Encoding; a byte order mark says more. Default: the `charset` of the answer, else `utf-8`.
    #[schemars(example = &"windows-1252")]
    #[serde(default, deserialize_with = "present")]
    pub encoding: Option<String>,
    /// Names of the columns. Default: the first line of every page has them.
    #[schemars(example = serde_json::json!(["order", "machine", "start", "end"]))]
    #[serde(default)]
    pub columns: Vec<String>,
    /// Character of the decimal point. A cell of digits, this character and digits, with or without a sign, becomes a
    /// number; thousands separators are not guessed. Default `.`.
    #[schemars(example = &",")]
    #[serde(default, deserialize_with = "present")]
    pub decimal: Option<char>,
}

/// What is asked of an HTTP API; every text is a template over `window`, `cursor`, `params` and `run`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Method. Default `GET`.
    #[schemars(example = &"GET")]
    #[serde(default, deserialize_with = "present")]
    pub method: Option<Method>,
    /// Path below the base address. A value stays within its segment.
    #[schemars(example = &"/bookings")]
    #[serde(default, deserialize_with = "present")]
    pub path: Option<String>,
    /// Query parameters. One that is a list is repeated; one that is `{{ cursor.x }}` is left out before the first run.
    #[schemars(example = serde_json::json!({"from": "{{ window.start | instant }}"}))]
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers.
    #[schemars(example = serde_json::json!({"Accept": "application/json"}))]
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// JSON body; its texts are templates. A text that is one `{{ … }}` becomes a value of its type.
    #[schemars(example = serde_json::json!({"from": "{{ window.start | instant }}"}))]
    #[serde(default, deserialize_with = "present")]
    pub body: Option<serde_json::Value>,
    /// Longest window that one request may ask for. A longer one is asked for in slices, oldest first, each with its
    /// pages. For `sync.mode: window`. Default: the whole window at once.
    #[schemars(example = &"1d")]
    #[serde(default, deserialize_with = "present")]
    pub slice: Option<Period>,
}

/// HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
}

impl Method {
    /// As it goes over the wire: `GET`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// How an HTTP answer continues: exactly one of its keys.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pagination {
    /// A cursor in the answer is sent with the next request.
    #[schemars(example = serde_json::json!({"path": "$.next_cursor", "param": "cursor"}))]
    Cursor(CursorPages),
    /// Numbered pages.
    #[schemars(example = serde_json::json!({"param": "page"}))]
    Page(NumberedPages),
    /// Offset and limit.
    #[schemars(example = serde_json::json!({"param": "offset", "limit": 100}))]
    Offset(OffsetPages),
    /// The answer links to the next page.
    #[schemars(example = serde_json::json!({}))]
    Link(LinkPages),
}

/// A cursor in the answer is sent with the next request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CursorPages {
    /// JSONPath of the cursor in the answer; absent or null ends the reading.
    #[schemars(example = &"$.metadata.next_cursor")]
    pub path: String,
    /// Query parameter that carries it.
    #[schemars(example = &"cursor")]
    pub param: String,
}

/// Numbered pages; an empty page ends the reading. A list that shifts meanwhile can lose rows: prefer the others.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberedPages {
    /// Query parameter of the page number.
    #[schemars(example = &"page")]
    pub param: String,
    /// Number of the first page. Default 1.
    #[schemars(example = &1)]
    #[serde(default, deserialize_with = "present")]
    pub first: Option<u64>,
    /// Query parameter of the page size.
    #[schemars(example = &"per_page")]
    #[serde(default, deserialize_with = "present")]
    pub size_param: Option<String>,
    /// Records a page.
    #[schemars(example = &100)]
    #[serde(default, deserialize_with = "present")]
    pub size: Option<u64>,
}

/// Offset and limit; an answer without anything new ends the reading. Pages overlap by one record, so that a list that
/// shifts meanwhile is noticed.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffsetPages {
    /// Query parameter of the offset.
    #[schemars(example = &"offset")]
    pub param: String,
    /// Query parameter of the limit.
    #[schemars(example = &"limit")]
    #[serde(default, deserialize_with = "present")]
    pub limit_param: Option<String>,
    /// Records a page.
    #[schemars(example = &100)]
    pub limit: u64,
}

/// The answer links to the next page, on the same host.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkPages {
    /// JSONPath of the next page's address. Default: the `Link` header with `rel="next"` (RFC 8288).
    #[schemars(example = &"$['@odata.nextLink']")]
    #[serde(default, deserialize_with = "present")]
    pub path: Option<String>,
}

/// A folder of CSV files.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvSource {
    /// The folder, relative to the spec; folders in it are not looked into. Files are never changed, moved or locked.
    #[schemars(example = &"/srv/exports")]
    pub path: Setting<String>,
    /// Which files of the folder, by name; `*` stands for any characters, `?` for one. A compressed file counts under
    /// its name without `.gz` too. Default `*.csv`.
    #[schemars(example = &"bookings-*.csv")]
    #[serde(default, deserialize_with = "present")]
    pub glob: Option<String>,
    /// Character that separates fields, ASCII. Default `,`.
    #[schemars(example = &";")]
    #[serde(default, deserialize_with = "present")]
    pub delimiter: Option<char>,
    /// Character that quotes a field, ASCII; two of them in a quoted field stand for one. Default `"`.
    #[schemars(example = &"\"")]
    #[serde(default, deserialize_with = "present")]
    pub quote: Option<char>,
    /// Encoding of the files; a byte order mark says more. Default `utf-8`.
    #[schemars(example = &"windows-1252")]
    #[serde(default, deserialize_with = "present")]
    pub encoding: Option<String>,
    /// Whether the first line names the columns. Default: yes where `columns` is left out.
    #[schemars(example = &true)]
    #[serde(default, deserialize_with = "present")]
    pub header: Option<bool>,
    /// Names of the columns, for files without a header.
    #[schemars(example = serde_json::json!(["order", "machine", "start", "end"]))]
    #[serde(default)]
    pub columns: Vec<String>,
    /// Character of the decimal point. A cell of digits, this character and digits, with or without a sign, becomes a
    /// number; thousands separators are not guessed. Default `.`.
    #[schemars(example = &",")]
    #[serde(default, deserialize_with = "present")]
    pub decimal: Option<char>,
    /// How long a file must stay unchanged before it is read; until then it is left for a later run. Default `10s`.
    #[schemars(example = &"30s")]
    #[serde(default, deserialize_with = "present")]
    pub settle: Option<Period>,
    /// IANA zone of naive date-times in the files. Default `UTC`.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
}
