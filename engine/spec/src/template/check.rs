//! All that can be known of a query before it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::analyse::Name;
use super::render::{Body, SqlTemplate};
use super::request::{RequestFinding, RequestTemplate};
use super::{BindValue, Scope, Severity, TemplateFinding, Uses};
use crate::jinja::Findings;
use crate::model::{Param, Request};
use crate::scalar::Scalar;
use crate::sql::{Dialect, check_read_only};

/// Choices of branches that a template is rendered with to check it.
const BRANCH_CHOICES_MAX: usize = 8;
/// The end of the sample window: 2025-03-30T12:00:00Z.
const SAMPLE_END: i64 = 1_743_336_000;

/// Checks a query template: its names, its placeholders, and in every branch that the rendered SQL only reads.
/// Findings come in the order of their places in the template.
pub fn check_sql(
    text: &str,
    dialect: Dialect,
    params: &BTreeMap<String, Param>,
    cursor_columns: &BTreeSet<String>,
    zone: &TimeZone,
) -> Vec<TemplateFinding> {
    let (template, found) = SqlTemplate::parse(text, dialect);
    let mut findings = Findings(found);
    let Some(template) = template else { return findings.sorted() };
    unknown_names(&template.body, params, cursor_columns, &mut findings);
    let sample = Sample::of(&template.uses(), params, cursor_columns, zone);
    let scope = sample.scope(zone);
    check_choices(&template.body, &mut findings, |choice| check_choice(&template, &scope, choice));
    findings.sorted()
}

/// Checks the templates of a request: their names, and in every branch that their values can be written where they
/// stand. Findings come template by template.
pub fn check_request(
    request: &Request,
    params: &BTreeMap<String, Param>,
    cursor_columns: &BTreeSet<String>,
    zone: &TimeZone,
) -> Vec<RequestFinding> {
    let (template, mut all) = RequestTemplate::parse_readable(request);
    let Some(template) = template else { return all };
    let sample = Sample::of(&template.uses(), params, cursor_columns, zone);
    let scope = sample.scope(zone);
    let mut has_error = all.iter().any(|found| found.finding.severity == Severity::Error);
    template.each(&mut |pointer, text| {
        let mut findings = Findings::default();
        unknown_names(&text.body, params, cursor_columns, &mut findings);
        check_choices(&text.body, &mut findings, |choice| {
            text.render(&scope, choice).err().into_iter().collect::<Vec<_>>()
        });
        has_error |= findings.has_error();
        all.extend(findings.sorted().into_iter().map(|finding| RequestFinding { pointer: pointer.clone(), finding }));
    });
    // What depends on the place of a value shows when all of it is written.
    if !has_error {
        all.extend(template.render_at(&scope).err());
    }
    all
}

fn unknown_names(
    body: &Body,
    params: &BTreeMap<String, Param>,
    cursor_columns: &BTreeSet<String>,
    findings: &mut Findings,
) {
    for (name, range) in &body.names {
        match name {
            Name::Param(name) if !params.contains_key(name) => {
                let known: Vec<&String> = params.keys().collect();
                let otherwise = || "add it to `query.params`".to_owned();
                let message = format!("there is no parameter `{name}`");
                findings.unknown("template_unknown_param", range.clone(), message, name, &known, otherwise);
            }
            Name::Cursor(name) if !cursor_columns.contains(name) => {
                let known: Vec<&String> = cursor_columns.iter().collect();
                let otherwise = || "add it to `sync.cursor`".to_owned();
                let message = format!("`{name}` is not a column of `sync.cursor`");
                findings.unknown("template_unknown_cursor", range.clone(), message, name, &known, otherwise);
            }
            _ => {}
        }
    }
}

/// What a template is rendered with to check it.
struct Sample {
    params: BTreeMap<String, Param>,
    cursor: BTreeMap<String, BindValue>,
    window: (Timestamp, Timestamp),
}

impl Sample {
    fn of(uses: &Uses, params: &BTreeMap<String, Param>, cursor_columns: &BTreeSet<String>, zone: &TimeZone) -> Self {
        let mut params = params.clone();
        // A stand-in for what is missing lets the rest be checked as well.
        for name in &uses.params {
            params.entry(name.clone()).or_insert(Param::One(Scalar::Text("x".to_owned())));
        }
        let end = Timestamp::from_second(SAMPLE_END).expect("the sample is in range");
        let start = end.checked_sub(1.hour()).expect("the sample is in range");
        let sample = BindValue::Civil { civil: zone.to_datetime(start), instant: start };
        let cursor = uses.cursor.iter().chain(cursor_columns).map(|name| (name.clone(), sample.clone())).collect();
        Self { params, cursor, window: (start, end) }
    }

    fn scope<'a>(&'a self, zone: &'a TimeZone) -> Scope<'a> {
        Scope { params: &self.params, window: Some(self.window), cursor: &self.cursor, now: self.window.1, zone }
    }
}

/// Checks a template as its conditions are, and in each of its branches.
fn check_choices(
    body: &Body,
    findings: &mut Findings,
    check: impl Fn(&[(Range<usize>, bool)]) -> Vec<TemplateFinding>,
) {
    for (place, choice) in choices(body).iter().enumerate() {
        let is_natural = place == 0;
        for finding in check(choice) {
            // A branch that its condition would have kept out may lack values or syntax; where a value stands and
            // what is called must be right in every branch.
            let counts = is_natural
                || finding.code.starts_with("template_placeholder")
                || (finding.severity == Severity::Error
                    && finding.code != "template_no_value"
                    && finding.code != "template_value");
            if counts {
                findings.0.push(finding);
            }
        }
    }
}

/// The conditions as they are, then every chain at its first branch, its second, and so on.
fn choices(body: &Body) -> Vec<Vec<(Range<usize>, bool)>> {
    let longest = body.branches.iter().map(|chain| chain.len() + 1).max().unwrap_or(0);
    let forced = (0..longest.min(BRANCH_CHOICES_MAX)).map(|branch| {
        let chains = body.branches.iter();
        chains
            .flat_map(|chain| chain.iter().enumerate().map(move |(place, range)| (range.clone(), place == branch)))
            .collect()
    });
    std::iter::once(vec![]).chain(forced).collect()
}

fn check_choice(template: &SqlTemplate, scope: &Scope<'_>, choice: &[(Range<usize>, bool)]) -> Vec<TemplateFinding> {
    let placed = match template.render_placed(scope, choice) {
        Ok(placed) => placed,
        Err(findings) => return findings,
    };
    check_read_only(&placed.statement.sql, template.dialect())
        .into_iter()
        .map(|finding| TemplateFinding {
            code: finding.code,
            severity: finding.severity,
            message: finding.message,
            range: placed.origin(&finding.range),
            help: finding.help,
            meant: None,
        })
        .collect()
}
