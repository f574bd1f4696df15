//! `type: http`: an API that answers with JSON or CSV.
//!
//! A question is as many requests as it has pages; each page is read whole, within a limit, and its records go through
//! the pump before the next is asked for. An API knows no transaction: where the list moves while it is read, the run
//! fails rather than take for deleted what slipped past.

mod body;
mod exchange;
mod json;
mod paging;
mod probe;
mod records;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use engine_core::ports::{
    Ask, Cancel, Connector, CsvFormat, HttpSourceConfig, Source, SourceConfig, SourceError, SourceErrorKind,
    SourceIdentity,
};
use engine_core::probe::Probe;
use engine_core::value::{Kind, TypeRule};
use engine_spec::model::TlsMode;
use engine_spec::scalar::Period;
use engine_spec::template::{RenderedRequest, Scope};
use jiff::Timestamp;
use reqwest::Url;
use tokio::time::Instant;

use self::body::Content;
use self::exchange::{Page, Question, Session};
use self::json::{Document, VALUES_MAX, has_too_many_values};
use self::paging::{PageFacts, Pager, Turn};
use self::records::{RecordPath, columns};
use self::table::Table;
use crate::csv::Format;
use crate::failure::{Problem, Target};
use crate::pump::Feed;
use crate::remote::{Driver, Remote};
use crate::to::OpenError;
use crate::web::{Peer, PeerSettings, host_and_port};

/// The longest pause between two requests that `rate_limit` can ask for.
const PACE_MAX: Duration = Duration::from_secs(3600);

/// Slices that one window is asked for in.
const SLICES_MAX: usize = 10_000;

/// How CSV is written, if the spec does not say (RFC 4180).
const COMMAS: CsvFormat =
    CsvFormat { delimiter: b',', quote: b'"', encoding: None, columns: Vec::new(), decimal: None };

/// Start and end, half-open.
type Window = (Timestamp, Timestamp);

/// The connector.
pub(crate) const CONNECTOR: Connector = Connector { name: "http", open, types: TYPES };

const TYPES: &[TypeRule] = &[
    TypeRule {
        types: &["json"],
        kind: Kind::Any,
        note: "A value says itself what it is: a whole number of 64 bits, else an exact decimal; text; a truth value; \
            lists and objects as JSON.",
    },
    TypeRule { types: &["csv"], kind: Kind::Text, note: "As in CSV files." },
];

fn open(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::Http(config) = config else { return Err(Target::mismatch("http")) };
    let place = Url::parse(&config.url).map_or_else(|_| "an unknown host".to_owned(), |url| host_and_port(&url));
    let target = Target::api(&place);
    let timeouts = config.timeouts;
    Ok(Box::new(Remote::open(Api { config: config.as_ref().clone() }, target, timeouts, cancel)?))
}

struct Api {
    config: HttpSourceConfig,
}

impl Driver for Api {
    type Session = Session;

    /// Checks the settings and reads the certificates. Nothing is sent: an API has no session of its own.
    async fn connect(&self) -> Result<(Session, SourceIdentity), Problem> {
        let config = &self.config;
        let peer = Peer::open(&PeerSettings {
            role: "source",
            url: &config.url,
            headers: &[],
            secret_headers: &config.secret_headers,
            auth: config.auth.as_ref(),
            tls: &config.tls,
            timeouts: config.timeouts,
        })
        .map_err(unusable)?;
        let address = format!("{}{}", peer.url.origin().ascii_serialization(), peer.url.path().trim_end_matches('/'));
        let encryption = match (peer.url.scheme(), config.tls.mode) {
            ("https", TlsMode::Prefer | TlsMode::Require) => "TLS, without a look at the certificate",
            ("https", _) => "TLS",
            _ => "none",
        };
        let identity = SourceIdentity {
            version: "HTTP API".to_owned(),
            facts: BTreeMap::from([("address".to_owned(), address)]),
            encryption: encryption.to_owned(),
        };
        let pace = config
            .rate_limit
            .map(|limit| Duration::try_from_secs_f64(1.0 / limit).map_or(PACE_MAX, |pace| pace.min(PACE_MAX)));
        Ok((Session { peer, pace, next_at: Instant::now() }, identity))
    }

    async fn begin(&self, _: &mut Session) -> Result<(), Problem> {
        Ok(())
    }

    async fn read(&self, session: &mut Session, ask: &Ask, feed: &mut Feed<Session>) -> Result<(), Problem> {
        let deadline = Instant::now() + self.config.timeouts.query;
        let mut has_begun = false;
        for window in slices(ask.window, self.config.slice)? {
            let ask = Ask { window, ..ask.clone() };
            self.read_slice(session, &ask, deadline, feed, &mut has_begun).await?;
        }
        if !has_begun {
            feed.begin(columns(&[], &self.config.columns));
        }
        Ok(())
    }

    async fn probe(&self, session: &mut Session, ask: &Ask) -> Result<Probe, Problem> {
        self.first_page(session, ask).await
    }

    async fn commit(&self, _: &mut Session) -> Result<(), Problem> {
        Ok(())
    }

    async fn close(&self, _: Session) {}

    async fn kill(&self, _: Session) {}
}

impl Api {
    /// All pages of one slice of the window.
    async fn read_slice(
        &self,
        session: &mut Session,
        ask: &Ask,
        deadline: Instant,
        feed: &mut Feed<Session>,
        has_begun: &mut bool,
    ) -> Result<(), Problem> {
        let config = &self.config;
        let request = self.request(ask)?;
        let question = Question::new(&request, config.csv.is_some(), deadline, config.timeouts.query)?;
        let path = RecordPath::new(config.records.as_deref())?;
        let mut pager = Pager::new(config.pagination.as_ref())?;
        let mut turn = Some(pager.first());
        while let Some(this) = turn {
            let url = match this.url {
                Some(url) => url,
                None => address(&session.peer.url, &request, &this)?,
            };
            let page = session.page(&question, url).await?;
            turn = match &page.content {
                Content::Csv(bytes, charset) => {
                    let format = self.csv_format(charset.as_deref())?;
                    let place = page.url.path();
                    let table = tokio::task::block_in_place(|| Table::read(bytes, &format, place))?;
                    table.check(&config.columns)?;
                    feed_table(&table, &page, &mut pager, feed, has_begun).await?
                }
                Content::Json(text) => self.feed_json(text, &page, &path, &mut pager, feed, has_begun).await?,
                // No content is no records.
                Content::Nothing => self.feed_json("null", &page, &path, &mut pager, feed, has_begun).await?,
            };
        }
        Ok(())
    }

    /// The records of a page of JSON; what is asked next.
    async fn feed_json(
        &self,
        text: &str,
        page: &Page,
        path: &RecordPath,
        pager: &mut Pager,
        feed: &mut Feed<Session>,
        has_begun: &mut bool,
    ) -> Result<Option<Turn>, Problem> {
        if has_too_many_values(text) {
            let message = format!("the answer to {} has more than {VALUES_MAX} values", page.url.path());
            let problem = Problem::new(SourceErrorKind::Data, message);
            return Err(problem.hint("Ask for smaller pages, see `source.pagination`."));
        }
        let read = || Document::parse(text);
        let document = tokio::task::block_in_place(read).map_err(|why| not_json(page, &why))?;
        let found = path.find(&document)?;
        let known = pager.known(&found.items)?;
        let fresh = || found.records.iter().filter(|record| record.item >= known);
        if !*has_begun && fresh().next().is_some() {
            feed.begin(columns(&found.records, &self.config.columns));
            *has_begun = true;
        }
        for record in fresh() {
            if feed.is_full() {
                feed.hand_over().await.map_err(|_| Problem::cancelled())?;
            }
            let (columns, batch) = feed.row();
            record.push(columns, batch);
        }
        pager.next(&PageFacts { url: &page.url, headers: &page.headers, document: &document, items: &found.items })
    }

    /// How CSV is written: as the spec says, else as the answer says.
    fn csv_format(&self, charset: Option<&str>) -> Result<Format, Problem> {
        let mut format = self.config.csv.clone().unwrap_or(COMMAS);
        if format.encoding.is_none() {
            format.encoding = charset.map(str::to_owned);
        }
        Format::of(&format)
    }

    fn request(&self, ask: &Ask) -> Result<RenderedRequest, Problem> {
        let config = &self.config;
        let scope =
            Scope { params: &config.params, window: ask.window, cursor: &ask.cursor, now: ask.now, zone: &config.zone };
        config.request.render(&scope).map_err(|error| {
            Problem::new(SourceErrorKind::Config, format!("source.{error}")).hint("`engine render` shows the request.")
        })
    }
}

/// The windows to ask for, oldest first: the whole one, or slices of at most that length. One that has no length is
/// asked for all the same.
fn slices(window: Option<Window>, longest: Option<Duration>) -> Result<Vec<Option<Window>>, Problem> {
    let (Some((start, end)), Some(longest)) = (window, longest) else { return Ok(vec![window]) };
    let (mut slices, mut from) = (Vec::new(), start);
    while from < end || slices.is_empty() {
        if slices.len() == SLICES_MAX {
            let message = format!("the window has more than {SLICES_MAX} slices of {}", Period(longest));
            return Err(Problem::new(SourceErrorKind::Config, message).hint("Make `source.request.slice` longer."));
        }
        let to = from.checked_add(longest).unwrap_or(Timestamp::MAX).min(end);
        slices.push(Some((from, to)));
        from = to;
    }
    Ok(slices)
}

/// The lines of a page of CSV; what is asked next.
async fn feed_table(
    table: &Table<'_>,
    page: &Page,
    pager: &mut Pager,
    feed: &mut Feed<Session>,
    has_begun: &mut bool,
) -> Result<Option<Turn>, Problem> {
    let items = table.items();
    let known = pager.known(&items)?;
    if !*has_begun && items.len() > known {
        feed.begin(table.columns());
        *has_begun = true;
    }
    let mut rows = table.rows(feed.row().0);
    for place in 0..items.len() {
        if feed.is_full() {
            feed.hand_over().await.map_err(|_| Problem::cancelled())?;
        }
        if place < known {
            rows.skip();
        } else {
            rows.push_next(feed.row().1);
        }
    }
    pager.next(&PageFacts { url: &page.url, headers: &page.headers, document: &Document::nothing(), items: &items })
}

fn not_json(page: &Page, why: &str) -> Problem {
    let message = format!("the answer to {} is no whole JSON: {why}", page.url.path());
    Problem::new(SourceErrorKind::Data, message).hint("It broke off, or the API has an error. The next run asks again.")
}

fn unusable(error: OpenError) -> Problem {
    let problem = Problem::new(SourceErrorKind::Config, format!("{}: {}", error.tried, error.message));
    match error.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// The address of a page: that of the request, and what the page adds to its query.
fn address(base: &Url, request: &RenderedRequest, turn: &Turn) -> Result<Url, Problem> {
    let url = Url::parse(&request.address(base.as_str(), &turn.params))
        .map_err(|error| Problem::new(SourceErrorKind::Config, format!("the request has no address ({error})")))?;
    if url.origin() == base.origin() {
        Ok(url)
    } else {
        Err(Problem::new(SourceErrorKind::Config, "`request.path` leads to another host than `source.url`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i8) -> Timestamp {
        jiff::civil::date(2025, 3, 30).at(hour, 0, 0, 0).in_tz("UTC").unwrap().timestamp()
    }

    #[test]
    fn slices_cover_the_window_without_a_gap_or_an_overlap() {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        let window = Some((at(0), at(10)));
        for (longest, ends) in
            [(None, vec![10]), (hours(4), vec![4, 8, 10]), (hours(5), vec![5, 10]), (hours(24), vec![10])]
        {
            let slices = slices(window, longest).unwrap();
            let mut from = at(0);
            for (slice, end) in slices.iter().zip(&ends) {
                assert_eq!(*slice, Some((from, at(*end))), "{longest:?}");
                from = at(*end);
            }
            assert_eq!(slices.len(), ends.len(), "{longest:?}");
        }
        assert_eq!(slices(None, hours(1)).unwrap(), [None]);
        assert_eq!(slices(Some((at(3), at(3))), hours(1)).unwrap(), [Some((at(3), at(3)))]);
        let error = slices(window, Some(Duration::from_secs(1))).unwrap_err();
        assert!(error.message.contains("10000 slices of 1s"), "{}", error.message);
    }
}
