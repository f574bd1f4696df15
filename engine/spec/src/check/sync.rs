//! `sync`: every mode has keys of its own.

use super::Checker;
use crate::codes;
use crate::model::{Source, Sync, SyncMode};

pub(super) fn check(checker: &mut Checker<'_>, sync: &Sync, source: &Source) {
    let window = ["lookback", "lookahead", "column", "deletes", "delete_limit", "start", "slice"];
    let (mode, foreign): (&str, Vec<&str>) = match sync.mode {
        SyncMode::Window => ("window", vec!["cursor", "overlap"]),
        SyncMode::Cursor => ("cursor", window.into_iter().filter(|key| *key != "start").collect()),
        SyncMode::Full => {
            let kept = ["deletes", "delete_limit"];
            ("full", window.into_iter().filter(|key| !kept.contains(key)).chain(["cursor", "overlap"]).collect())
        }
    };
    for key in foreign {
        let pointer = format!("/sync/{key}");
        if checker.file.value.pointer(&pointer).is_some() {
            let other = if key == "cursor" || key == "overlap" { "cursor" } else { "window" };
            let message = format!("`{key}` belongs to the mode `{other}`; the mode is `{mode}`");
            checker.key(codes::KEY_NOT_HERE, &pointer, message).help =
                Some(format!("remove `{key}`, or set `mode: {other}`"));
        }
    }
    if sync.mode == SyncMode::Cursor && matches!(source, Source::Csv(_)) {
        let message = "files are read whole: there is nothing that a cursor could leave out";
        checker.value(codes::KEY_NOT_HERE, "/sync/mode", message).help =
            Some("use `mode: window`, or `mode: full`".to_owned());
    }
    if sync.mode == SyncMode::Cursor && sync.cursor.is_empty() {
        checker
            .key(codes::MISSING_KEY, "/sync", "the mode `cursor` needs `cursor`, the columns that order the rows")
            .help = Some("for example `cursor: [changed_at, id]`".to_owned());
    }
    for (index, column) in sync.cursor.iter().enumerate() {
        checker.not_empty(&format!("/sync/cursor/{index}"), column);
    }
    for (key, period) in [("lookback", sync.lookback), ("slice", sync.slice)] {
        if period.is_some_and(|period| period.0.is_zero()) {
            checker.value(codes::OUT_OF_RANGE, &format!("/sync/{key}"), format!("`{key}` must be longer than `0s`"));
        }
    }
    if let Some(start) = &sync.start
        && start.parse::<jiff::civil::Date>().is_err()
        && start.parse::<jiff::Timestamp>().is_err()
    {
        checker.value(codes::BAD_VALUE, "/sync/start", format!("`{start}` is neither a date nor an instant")).help =
            Some("for example `start: 2024-01-01`, or `start: 2024-01-01T00:00:00Z`".to_owned());
    }
}
