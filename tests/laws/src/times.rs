//! A time of any text, beside what another library makes of it.

use engine_core::time::{Instant, TimeCells, TimeReader, Zone};
use engine_core::value::Cell;
use engine_spec::model::{FieldSource, OnFold, OnGap, TimeField, TimeFormat, TimeOptions, TimeSource};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::Take;

const ZONES: [&str; 5] = ["Europe/Berlin", "UTC", "Pacific/Apia", "America/St_Johns", "Australia/Lord_Howe"];

/// Where both read a text, both say the same; what is read can be written and read back; and a policy moves a time by
/// hours, not by days.
pub fn holds(input: &[u8]) {
    let mut take = Take::new(input);
    let zone = TimeZone::get(take.one_of(&ZONES)).expect("the zone is bundled");
    let on_fold = take.one_of(&[OnFold::Earlier, OnFold::Later, OnFold::Reject]);
    let on_gap = take.one_of(&[OnGap::Forward, OnGap::Reject]);
    let pattern = take.below(8);
    let pattern_text = take.text();
    let text = String::from_utf8_lossy(take.rest()).into_owned();
    let formats = [
        None,
        Some(TimeFormat::Iso8601),
        Some(TimeFormat::EpochS),
        Some(TimeFormat::EpochMs),
        Some(TimeFormat::Yyyymmdd),
        Some(TimeFormat::Hhmmss),
        Some(TimeFormat::SecondsOfDay),
        Some(TimeFormat::Pattern(pattern_text)),
    ];
    let format = formats[pattern].clone();
    let field = |on_fold, on_gap| TimeField {
        from: TimeSource::Whole(FieldSource::Column("at".to_owned())),
        options: TimeOptions {
            format: format.clone(),
            on_fold: Some(on_fold),
            on_gap: Some(on_gap),
            ..TimeOptions::default()
        },
    };
    let reader = |on_fold, on_gap| TimeReader::new(&field(on_fold, on_gap), Zone::new(zone.clone()));
    let Ok(strict) = reader(on_fold, on_gap) else { return };
    let mut scratch = String::new();
    let read = strict.read(TimeCells::Whole(Cell::Text(&text)), None, &mut scratch);
    let Ok(Some(read)) = read else { return };
    let instant = read.instant;
    assert!((Instant::MIN..=Instant::MAX).contains(&instant), "{instant:?} is outside of time");
    if let Some(timestamp) = instant.to_timestamp() {
        assert_eq!(Instant::from_timestamp(timestamp), Some(instant), "{text:?} there and back");
    }
    let lenient = reader(OnFold::Earlier, OnGap::Forward).expect("another policy is as sound");
    let other = lenient.read(TimeCells::Whole(Cell::Text(&text)), None, &mut scratch);
    let other = other.ok().flatten().expect("the lenient policies refuse nothing").instant;
    let apart = (instant.secs() - other.secs()).abs();
    assert!(apart <= 25 * 3600, "{text:?}: the policies are {apart} s apart");
    if pattern < 2 {
        agrees(&text, &zone, instant, on_fold);
    }
}

/// What jiff makes of the same text, where it reads it.
fn agrees(text: &str, zone: &TimeZone, instant: Instant, on_fold: OnFold) {
    let same = |expected: Timestamp| Instant::from_timestamp(expected).is_none_or(|expected| expected == instant);
    if let Ok(expected) = text.trim().parse::<Timestamp>() {
        assert!(same(expected), "{text:?} is {instant:?}, and {expected} to jiff");
        return;
    }
    let has_offset = text.contains(['Z', 'z', '+']) || text.matches('-').count() > 2;
    let Ok(civil) = text.trim().parse::<DateTime>() else { return };
    if has_offset {
        return;
    }
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let expected = match on_fold {
        OnFold::Later if matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. }) => ambiguous.later(),
        _ => ambiguous.compatible(),
    };
    if let Ok(expected) = expected {
        assert!(same(expected), "{text:?} is {instant:?} in {zone:?}, and {expected} to jiff");
    }
}
