//! Lints: what works, and costs something that the expert should know.

use super::Checker;
use crate::codes;
use crate::model::{Source, Spec, TableType, TimeFormat, TimeSource};

pub(super) fn check(checker: &mut Checker<'_>, spec: &Spec) {
    key_left_out(checker, spec);
    zone_left_out(checker, spec);
    windows_login(checker, spec);
}

fn windows_login(checker: &mut Checker<'_>, spec: &Spec) {
    if let Source::SqlServer(server) = &spec.source
        && server.domain.is_some()
    {
        let message = "`domain` asks for a Windows login, which is not possible from the device: a run stops there";
        checker.key(codes::WINDOWS_LOGIN, "/source/domain", message).help =
            Some("ask for a login of SQL Server's own, and remove `domain`".to_owned());
    }
}

fn key_left_out(checker: &mut Checker<'_>, spec: &Spec) {
    if !spec.key.is_empty() {
        return;
    }
    let identity = match spec.table {
        TableType::Order => "order, machine and start",
        TableType::Booking => "order, machine, timestamp and event",
    };
    let message = format!(
        "`key` is left out: a row is known by {identity}, so a correction of one of them is a deletion and a new row"
    );
    let span = checker.file.key_span("/table");
    let finding = crate::diagnostic::Diagnostic::new(codes::KEY_LEFT_OUT, span, message)
        .help("name the columns of the source's primary key: `key: [id]`");
    checker.push(finding);
}

fn zone_left_out(checker: &mut Checker<'_>, spec: &Spec) {
    let has_zone = match &spec.source {
        Source::SqlServer(server) => server.timezone.is_some(),
        Source::MySql(server) | Source::MariaDb(server) | Source::Postgres(server) => server.timezone.is_some(),
        Source::Oracle(server) => server.timezone.is_some(),
        Source::Sqlite(file) => file.timezone.is_some(),
        Source::Http(api) => api.timezone.is_some(),
        Source::Csv(folder) => folder.timezone.is_some(),
    };
    if has_zone {
        return;
    }
    let naive = [("start", &spec.fields.start), ("end", &spec.fields.end), ("timestamp", &spec.fields.timestamp)]
        .into_iter()
        .filter_map(|(name, field)| field.as_ref().map(|field| (name, field)))
        .find(|(_, field)| field.options.timezone.is_none() && may_be_naive(field));
    if let Some((name, _)) = naive {
        let message = format!("`timezone` is left out: `{name}` is read as UTC where the source does not say a zone");
        checker.key(codes::ZONE_LEFT_OUT, "/source", message).help =
            Some("name the zone of the source's clock: `timezone: Europe/Berlin`, or `timezone: UTC`".to_owned());
    }
}

fn may_be_naive(field: &crate::model::TimeField) -> bool {
    match (&field.from, &field.options.format) {
        (TimeSource::Parts { .. }, _) => true,
        (TimeSource::Whole(_), Some(TimeFormat::EpochS | TimeFormat::EpochMs)) => false,
        (TimeSource::Whole(_), Some(TimeFormat::Pattern(pattern))) => {
            !pattern.contains("%z") && !pattern.contains("%s")
        }
        (TimeSource::Whole(_), _) => true,
    }
}
