//! How an answer continues: from one page to the next, and when to stop.
//!
//! A server that repeats itself would be read for ever, so that a repeated page or cursor is an error. A next link
//! stays on the host that the login was configured for.

use std::collections::HashSet;

use engine_core::ports::SourceErrorKind;
use engine_spec::model::Pagination;
use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use serde_json::Value;
use serde_json_path::JsonPath;
use xxhash_rust::xxh3::xxh3_64;

use super::json::Document;
use crate::failure::Problem;

/// Pages of one question.
pub(super) const PAGES_MAX: usize = 10_000;

/// What is asked for the next page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Turn {
    /// Query parameters beside those of the request; they win over parameters of the same name.
    pub(super) params: Vec<(String, String)>,
    /// The whole address, where the answer gave it.
    pub(super) url: Option<Url>,
}

/// A page as far as it says how to go on.
pub(super) struct PageFacts<'a> {
    /// Address that was asked.
    pub(super) url: &'a Url,
    pub(super) headers: &'a HeaderMap,
    pub(super) document: &'a Document<'a>,
    /// Hashes of the items of its list, in order.
    pub(super) items: &'a [u64],
}

/// Where the reading of one question stands.
pub(super) struct Pager {
    kind: Kind,
    pages: usize,
    seen_pages: HashSet<u64>,
    seen_marks: HashSet<u64>,
}

enum Kind {
    One,
    Cursor { path: JsonPath, param: String },
    Page { param: String, number: u64, size: Option<(String, u64)> },
    Offset(Offset),
    Link { path: Option<JsonPath> },
}

struct Offset {
    param: String,
    limit_param: Option<String>,
    limit: u64,
    at: u64,
    /// The last item of the page before, with which this page must overlap.
    anchor: Option<u64>,
}

impl Pager {
    pub(super) fn new(pagination: Option<&Pagination>) -> Result<Self, Problem> {
        let kind = match pagination {
            None => Kind::One,
            Some(Pagination::Cursor(pages)) => {
                Kind::Cursor { path: json_path(&pages.path)?, param: pages.param.clone() }
            }
            Some(Pagination::Page(pages)) => Kind::Page {
                param: pages.param.clone(),
                number: pages.first.unwrap_or(1),
                size: pages.size_param.clone().zip(pages.size),
            },
            Some(Pagination::Offset(pages)) => Kind::Offset(Offset {
                param: pages.param.clone(),
                limit_param: pages.limit_param.clone(),
                limit: pages.limit,
                at: 0,
                anchor: None,
            }),
            Some(Pagination::Link(pages)) => Kind::Link { path: pages.path.as_deref().map(json_path).transpose()? },
        };
        Ok(Self { kind, pages: 0, seen_pages: HashSet::new(), seen_marks: HashSet::new() })
    }

    /// What is asked first.
    pub(super) fn first(&self) -> Turn {
        match &self.kind {
            Kind::One | Kind::Cursor { .. } | Kind::Link { .. } => Turn::default(),
            Kind::Page { .. } | Kind::Offset(_) => Turn { params: self.params(), url: None },
        }
    }

    fn params(&self) -> Vec<(String, String)> {
        match &self.kind {
            Kind::Page { param, number, size } => {
                let size = size.iter().map(|(param, size)| (param.clone(), size.to_string()));
                std::iter::once((param.clone(), number.to_string())).chain(size).collect()
            }
            Kind::Offset(offset) => {
                let limit = offset.limit_param.iter().map(|param| (param.clone(), offset.limit.to_string()));
                std::iter::once((offset.param.clone(), offset.at.to_string())).chain(limit).collect()
            }
            Kind::One | Kind::Cursor { .. } | Kind::Link { .. } => Vec::new(),
        }
    }

    /// How many leading items of a page were read with the page before.
    pub(super) fn known(&self, items: &[u64]) -> Result<usize, Problem> {
        let Kind::Offset(Offset { anchor: Some(anchor), .. }) = &self.kind else { return Ok(0) };
        // What was put in before it only shifts the pages; where it is missing, rows may have slipped past.
        let place = items.iter().position(|item| item == anchor).ok_or_else(|| {
            Problem::new(
                SourceErrorKind::Data,
                "the list changed while it was read: the last record of one page is not on the next, so records may be missing",
            )
            .hint("The next run reads again. If it happens often, have the API sort by a key that only grows, leave out members that differ in every answer, or use `pagination: { cursor: … }` or `{ link: … }`.")
        })?;
        Ok(place + 1)
    }

    /// What is asked next; `None` at the end.
    pub(super) fn next(&mut self, page: &PageFacts<'_>) -> Result<Option<Turn>, Problem> {
        self.pages += 1;
        if matches!(self.kind, Kind::One) {
            return Ok(None);
        }
        let known = self.known(page.items)?;
        let bytes: Vec<u8> = page.items.iter().flat_map(|item| item.to_le_bytes()).collect();
        let is_repeated = !page.items.is_empty() && !self.seen_pages.insert(xxh3_64(&bytes));
        let mark = match &self.kind {
            Kind::Cursor { path, .. } => text_at(path, page.document.value())?,
            Kind::Link { path: Some(path) } => text_at(path, page.document.value())?,
            Kind::Link { path: None } => next_link(page.headers),
            // A page that came before holds nothing new, and is not the end either.
            Kind::Page { .. } | Kind::Offset(_) => {
                (is_repeated || page.items.len() > known).then(|| self.pages.to_string())
            }
            Kind::One => None,
        };
        let Some(mark) = mark else { return Ok(None) };
        let is_new = self.seen_marks.insert(xxh3_64(mark.as_bytes()));
        if !is_new && page.items.is_empty() {
            // Some servers give the last cursor back as long as there is nothing behind it.
            return Ok(None);
        }
        if !is_new || is_repeated {
            let what =
                if is_repeated { "holds the same records as an earlier one" } else { "points to one already read" };
            let message = format!("the pages go in circles: page {} {what}", self.pages);
            return Err(Problem::new(SourceErrorKind::Data, message).hint(
                "Check `pagination`: a server that does not know a parameter answers with the first page again.",
            ));
        }
        if self.pages >= PAGES_MAX {
            return Err(Problem::new(SourceErrorKind::Data, format!("the answer has more than {PAGES_MAX} pages"))
                .hint("Ask for larger pages, or narrow the window: `sync.lookback`, `sync.slice`."));
        }
        match &mut self.kind {
            Kind::One => Ok(None),
            Kind::Cursor { param, .. } => Ok(Some(Turn { params: vec![(param.clone(), mark)], url: None })),
            Kind::Link { .. } => Ok(Some(Turn { params: Vec::new(), url: Some(follow(page.url, &mark)?) })),
            Kind::Page { number, .. } => {
                *number += 1;
                Ok(Some(Turn { params: self.params(), url: None }))
            }
            Kind::Offset(offset) => {
                let count = page.items.len() as u64;
                // A page of one record cannot overlap: the next one would begin where it began.
                let overlap = u64::from(count > 1);
                offset.at += count - overlap;
                offset.anchor = if overlap == 1 { page.items.last().copied() } else { None };
                Ok(Some(Turn { params: self.params(), url: None }))
            }
        }
    }
}

/// Reads a JSONPath of the spec; validation has seen it.
pub(super) fn json_path(path: &str) -> Result<JsonPath, Problem> {
    JsonPath::parse(path)
        .map_err(|error| Problem::new(SourceErrorKind::Config, format!("`{path}` is no JSONPath: {}", error.message())))
}

/// The cursor or address at a path; `None` where there is none, or an empty one.
fn text_at(path: &JsonPath, value: &Value) -> Result<Option<String>, Problem> {
    match path.query(value).first() {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => {
            let message = format!("`{path}` is neither a text nor a number in the answer");
            Err(Problem::new(SourceErrorKind::Data, message).hint("Check `pagination`."))
        }
    }
}

/// The address with `rel="next"` of the `Link` headers (RFC 8288).
fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        let mut rest = value;
        loop {
            let (_, after) = rest.split_once('<')?;
            let (target, after) = after.split_once('>')?;
            let (params, next) = params_of(after);
            let is_next = params.iter().any(|(name, value)| {
                name == "rel" && value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"))
            });
            if is_next {
                return Some(target.trim().to_owned());
            }
            rest = next;
        }
    })
}

/// The parameters behind a target, and what follows the comma that ends them.
fn params_of(text: &str) -> (Vec<(String, String)>, &str) {
    let (mut params, mut quoted, mut start) = (Vec::new(), false, 0);
    let mut end = text.len();
    let mut take = |piece: &str| {
        if let Some((name, value)) = piece.split_once('=') {
            params.push((name.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned()));
        }
    };
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ';' if !quoted => {
                take(&text[start..at]);
                start = at + 1;
            }
            ',' if !quoted => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    take(&text[start.min(end)..end]);
    (params, text.get(end + 1..).unwrap_or_default())
}

/// The address of the next page, which must lie where the login may go.
fn follow(from: &Url, link: &str) -> Result<Url, Problem> {
    let wrong = |message: String| {
        Problem::new(SourceErrorKind::Data, message).hint(
            "A login is never carried to another host. Have the API name its public address in its links, or page by `cursor`, `page` or `offset`.",
        )
    };
    let url = from.join(link).map_err(|error| wrong(format!("the link to the next page is no address ({error})")))?;
    if url.origin() != from.origin() {
        let origin = |url: &Url| url.origin().ascii_serialization();
        return Err(wrong(format!("the next page is on {}, not on {}", origin(&url), origin(from))));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the link to the next page holds a login".to_owned()));
    }
    Ok(url)
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
