//! What the first page of an API tells.

use engine_core::ports::Ask;
use engine_core::probe::{ClockReading, Fact, Known, Probe};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName};
use tokio::time::Instant;

use super::body::Content;
use super::exchange::{Page, Question, Session};
use super::json::Document;
use super::paging::{PageFacts, Pager};
use super::records::RecordPath;
use super::table::Table;
use super::{Api, address, not_json, slices};
use crate::failure::Problem;

impl Api {
    /// Asks for the first page, once more than a run does.
    pub(super) async fn first_page(&self, session: &mut Session, ask: &Ask) -> Result<Probe, Problem> {
        let config = &self.config;
        let window = slices(ask.window, config.slice)?.first().copied().flatten();
        let request = self.request(&Ask { window, ..ask.clone() })?;
        let deadline = Instant::now() + config.timeouts.query;
        let question = Question::new(&request, config.csv.is_some(), deadline, config.timeouts.query)?;
        let mut pager = Pager::new(config.pagination.as_ref())?;
        let url = address(&session.peer.url, &request, &pager.first())?;
        let asked = Timestamp::now();
        let page = session.page(&question, url).await?;
        let clock = clock(&page.headers, asked, Timestamp::now());
        let records = tokio::task::block_in_place(|| self.records(&page, &mut pager));
        let fact = |name, value| Fact { name, value };
        let kind = header(&page.headers, CONTENT_TYPE).unwrap_or_else(|| "not said".to_owned());
        let facts = vec![
            fact("status", page.status.as_u16().to_string()),
            fact("content", kind),
            fact("first page", records.unwrap_or_else(|problem| problem.message)),
        ];
        Ok(Probe { clock, facts, ..Probe::inapplicable() })
    }

    /// The records of a page, counted, and whether there are more pages.
    fn records(&self, page: &Page, pager: &mut Pager) -> Result<String, Problem> {
        let (count, items, document) = match &page.content {
            Content::Csv(bytes, charset) => {
                let format = self.csv_format(charset.as_deref())?;
                let items = Table::read(bytes, &format, page.url.path())?.items();
                (items.len(), items, Document::nothing())
            }
            Content::Json(text) => {
                let document = Document::parse(text).map_err(|why| not_json(page, &why))?;
                let found = RecordPath::new(self.config.records.as_deref())?.find(&document)?;
                let (count, items) = (found.records.len(), found.items);
                (count, items, document)
            }
            Content::Nothing => (0, Vec::new(), Document::nothing()),
        };
        let facts = PageFacts { url: &page.url, headers: &page.headers, document: &document, items: &items };
        let more = if pager.next(&facts)?.is_some() { "a further page is asked for" } else { "no further page" };
        Ok(format!("{count} records, {more}"))
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The clock of the server, whose header tells seconds: their middle is nearest to the truth.
fn clock(headers: &HeaderMap, asked: Timestamp, answered: Timestamp) -> Known<ClockReading> {
    const HALF_A_SECOND: jiff::SignedDuration = jiff::SignedDuration::from_millis(500);
    let date = header(headers, DATE).and_then(|date| jiff::fmt::rfc2822::parse(&date).ok());
    match date.and_then(|date| date.timestamp().checked_add(HALF_A_SECOND).ok()) {
        Some(server) => Known::Is(ClockReading { server, asked, answered }),
        None => Known::Unknown("the answer has no date".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_date_of_an_answer_is_the_servers_clock() {
        let now: Timestamp = "2025-03-30T00:30:00.5Z".parse().unwrap();
        for (date, is_known) in [("Sun, 30 Mar 2025 00:30:00 GMT", true), ("yesterday", false)] {
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
            let clock = clock(&headers, now, now);
            assert_eq!(clock.known().is_some(), is_known, "{date}");
            assert!(clock.known().is_none_or(|reading| reading.ahead().is_zero()), "{clock:?}");
        }
    }
}
