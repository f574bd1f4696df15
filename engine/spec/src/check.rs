//! Rules that the schema cannot say: one file per group. Every rule runs, so that all findings come at once.

mod destination;
mod fields;
mod fleet;
mod habits;
mod lint;
mod live_rows;
mod mapping_lint;
mod page;
mod query;
mod query_lint;
mod references;
mod schedule;
mod set;
mod source;
mod sync;
mod zones;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::expr::RowExpr;
use crate::load::LoadedCompanions;
use crate::model::{Setting, Spec, SpecTest, TableType};
use crate::template::TemplateFinding;
use crate::yaml::SpecFile;

pub use references::{ReferenceAt, references};
pub use set::check_set;
pub(crate) use source::is_loopback;
pub(crate) use zones::zone;

/// What the rules look at, and what they find.
pub(crate) struct Checker<'a> {
    pub(crate) file: &'a SpecFile,
    pub(crate) findings: Vec<Diagnostic>,
}

/// All findings of the rules.
pub(crate) fn check(file: &SpecFile, spec: &Spec, companions: &LoadedCompanions) -> Vec<Diagnostic> {
    let mut checker = Checker { file, findings: Vec::new() };
    table(&mut checker, spec);
    schedule::check(&mut checker, &spec.schedule);
    source::check(&mut checker, &spec.source, spec.sync.mode);
    query::check(&mut checker, spec, companions);
    fields::check(&mut checker, spec);
    for (pointer, condition) in [("/skip_when", &spec.skip_when), ("/cancelled_when", &spec.cancelled_when)] {
        if let Some(condition) = condition {
            checker.expression(pointer, condition);
        }
    }
    sync::check(&mut checker, &spec.sync, &spec.source);
    if let Some(destination) = &spec.destination {
        destination::check(&mut checker, destination);
    }
    tests(&mut checker, &spec.tests);
    references::check(&mut checker);
    lint::check(&mut checker, spec);
    mapping_lint::check(&mut checker, spec);
    checker.findings
}

/// The findings of the tests beside a spec.
pub(crate) fn check_tests(file: &SpecFile, list: &[SpecTest]) -> Vec<Diagnostic> {
    let mut checker = Checker { file, findings: Vec::new() };
    tests(&mut checker, list);
    checker.findings
}

fn tests(checker: &mut Checker<'_>, list: &[SpecTest]) {
    for (index, test) in list.iter().enumerate() {
        if let Some(now) = &test.now
            && now.parse::<jiff::Timestamp>().is_err()
        {
            let message = format!("`{now}` is not an instant");
            checker.value(codes::BAD_VALUE, &format!("/tests/{index}/now"), message).help =
                Some("for example `now: 2025-03-30T12:00:00Z`".to_owned());
        }
    }
}

/// The findings of the parts that a device config shares with a spec.
pub(crate) fn check_device(file: &SpecFile, device: &crate::device::Device) -> Vec<Diagnostic> {
    let mut checker = Checker { file, findings: Vec::new() };
    if let Some(destination) = &device.destination {
        destination::check(&mut checker, destination);
    }
    page::check(&mut checker, &device.http);
    if let Some(Setting::Literal(url)) = &device.state.url
        && !["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
    {
        checker.value(codes::BAD_VALUE, "/state/url", "the state is kept in `sqlite://` or `postgres://`").help =
            Some("for example `url: sqlite:///var/lib/engine/state.db`".to_owned());
    }
    if let Some(Setting::Literal(url)) = &device.state.url
        && has_password(url)
    {
        checker.value(codes::LITERAL_SECRET, "/state/url", "the address holds a password").help =
            Some("put the address into a reference: `url: { env: STATE_URL }`".to_owned());
    }
    if let Some(otlp) = &device.telemetry.otlp {
        destination::check_collector(&mut checker, otlp);
    }
    if let Some(fleet) = &device.fleet {
        fleet::check(&mut checker, device, fleet);
    }
    references::check(&mut checker);
    checker.findings
}

fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':')) || url.contains("password=")
}

impl Checker<'_> {
    /// A finding at a value; the caller may add to it.
    pub(crate) fn value(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::new(code, self.file.value_span(pointer), message).at(pointer))
    }

    /// A finding at a key; the caller may add to it.
    pub(crate) fn key(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::new(code, self.file.key_span(pointer), message).at(pointer))
    }

    pub(crate) fn push(&mut self, finding: Diagnostic) -> &mut Diagnostic {
        self.findings.push(finding);
        self.findings.last_mut().expect("one was just pushed")
    }

    /// An expression over the row.
    pub(crate) fn expression(&mut self, pointer: &str, text: &str) {
        for found in RowExpr::parse(text).1 {
            let span = self.file.span_in_scalar(pointer, &found.range);
            let finding = Diagnostic::new(found.code, span, found.message.as_str()).at(pointer);
            self.template(finding, text, &found);
        }
    }

    /// A finding at its place, with what the template that it is about says: how bad it is, what to do, and the name
    /// that was meant, where the file has the wrong one letter for letter, and once.
    pub(crate) fn template(
        &mut self,
        mut finding: Diagnostic,
        template: &str,
        found: &TemplateFinding,
    ) -> &mut Diagnostic {
        finding.severity = found.severity.into();
        finding.help.clone_from(&found.help);
        let text = finding.companion.as_deref().unwrap_or(&self.file.text);
        let written =
            text.text.get(finding.span.clone()).filter(|written| template.get(found.range.clone()) == Some(written));
        let place = |name: &str| Some((finding.span.start, only_place(written?, name)?));
        if let Some(meant) = &found.meant
            && let Some((start, at)) = place(&meant.wrong)
        {
            finding = finding.fix(start + at..start + at + meant.wrong.len(), &meant.right);
        }
        self.push(finding)
    }

    /// An IANA zone that exists.
    pub(crate) fn zone(&mut self, pointer: &str, name: &str) {
        if zone(name).is_none() {
            self.value(codes::UNKNOWN_ZONE, pointer, format!("there is no time zone `{name}`")).help =
                Some(zones::near(name).map_or_else(
                    || "use an IANA name such as `Europe/Berlin`, or `UTC`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ));
        }
    }

    /// Text that names something and so must not be empty.
    pub(crate) fn not_empty(&mut self, pointer: &str, text: &str) {
        if text.trim().is_empty() {
            self.value(codes::BAD_VALUE, pointer, "the text is empty");
        }
    }
}

/// Where a name stands in a text, as a whole name; none where that is not one place.
fn only_place(text: &str, name: &str) -> Option<usize> {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    let is_whole = |at: usize| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part);
    let mut places = text.match_indices(name).map(|(at, _)| at).filter(|at| is_whole(*at));
    let only = places.next()?;
    places.next().is_none().then_some(only)
}

fn table(checker: &mut Checker<'_>, spec: &Spec) {
    let fields = &spec.fields;
    let (table, other, foreign) = match spec.table {
        TableType::Order => (
            "order",
            "booking",
            [
                ("/fields/timestamp", fields.timestamp.is_some()),
                ("/fields/event", fields.event.is_some()),
                ("/pairing", spec.pairing.is_some()),
            ],
        ),
        TableType::Booking => (
            "booking",
            "order",
            [("/fields/start", fields.start.is_some()), ("/fields/end", fields.end.is_some()), ("", false)],
        ),
    };
    for (pointer, given) in foreign {
        if given {
            let key = pointer.rsplit('/').next().unwrap_or_default();
            let place = checker.file.value_span("/table");
            let message = format!("`{key}` belongs to {other} tables; this is a table of type `{table}`");
            let finding = checker.key(codes::WRONG_TABLE, pointer, message);
            finding.labels.push(crate::diagnostic::Label { span: place, message: "the table type".to_owned() });
            finding.help = Some(format!("remove `{key}`, or set `table: {other}`"));
        }
    }
}
