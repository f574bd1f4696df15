//! What a time-line shows, in words.

use engine_core::report::counted;
use engine_core::timeline::{Machine, Timeline};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Overlaps of a time-line that are told one by one.
const OVERLAPS_TOLD_MAX: usize = 20;
/// Live runs of a time-line that are told one by one.
const LIVE_TOLD_MAX: usize = 20;
/// Runs of an overlap that are named.
const NAMES_TOLD_MAX: usize = 6;

/// The name of a zone.
pub(in crate::commands::preview) fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("the stated zone")
}

/// A local time: `2025-03-28 08:00`, with seconds where there are some.
pub(in crate::commands::preview) fn local(at: Timestamp, zone: &TimeZone) -> String {
    let civil = zone.to_datetime(at);
    let form = if civil.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    civil.strftime(form).to_string()
}

/// The end of a stretch, with its day only where that is another.
fn until(start: Timestamp, end: Timestamp, zone: &TimeZone) -> String {
    let (from, to) = (local(start, zone), local(end, zone));
    let day = "2025-03-28 ".len();
    if from.get(..day) == to.get(..day) { to[day..].to_owned() } else { to }
}

/// A length: `2 d 3 h`, `3 h 5 min`, `5 min`, `5 s`.
pub(in crate::commands::preview) fn length(length: SignedDuration) -> String {
    let (days, hours) = (length.as_hours() / 24, length.as_hours() % 24);
    let (minutes, seconds) = (length.as_mins() % 60, length.as_secs() % 60);
    let parts = if days > 0 {
        [(days, "d"), (hours, "h")]
    } else if hours > 0 {
        [(hours, "h"), (minutes, "min")]
    } else {
        [(minutes, "min"), (seconds, "s")]
    };
    let words: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

/// What there is, in one line.
pub(super) fn summary(timeline: &Timeline, zone: &TimeZone) -> String {
    let runs: usize = timeline.machines.iter().flat_map(|machine| &machine.lanes).map(Vec::len).sum();
    format!(
        "{} on {}, {} to {}, local time of {}",
        counted(runs, "run"),
        counted(timeline.machines.len(), "machine"),
        local(timeline.from, zone),
        local(timeline.to, zone),
        zone_name(zone)
    )
}

/// Overlaps, gaps, live runs, changes of the clock, and what is left out.
pub(crate) fn told(timeline: &Timeline, zone: &TimeZone) -> Vec<String> {
    let mut lines = Vec::new();
    let mut overlaps = 0;
    for machine in &timeline.machines {
        for overlap in &machine.overlaps {
            overlaps += 1;
            if overlaps > OVERLAPS_TOLD_MAX {
                continue;
            }
            lines.push(format!(
                "overlap on {}: {} from {} to {} ({})",
                machine.name,
                names(&overlap.runs),
                local(overlap.start, zone),
                until(overlap.start, overlap.end, zone),
                length(overlap.end.duration_since(overlap.start))
            ));
        }
    }
    if overlaps > OVERLAPS_TOLD_MAX {
        lines.push(format!("and {}", counted(overlaps - OVERLAPS_TOLD_MAX, "more overlap")));
    }
    lines.extend(timeline.machines.iter().filter_map(|machine| gaps(machine, zone)));
    let live = timeline.machines.iter().flat_map(|machine| machine.live().into_iter().map(move |run| (machine, run)));
    let live: Vec<_> = live.collect();
    lines.extend(live.iter().take(LIVE_TOLD_MAX).map(|(machine, run)| {
        format!("live on {}: {} since {}", machine.name, name(&run.label), local(run.start, zone))
    }));
    if live.len() > LIVE_TOLD_MAX {
        lines.push(format!("and {}", counted(live.len() - LIVE_TOLD_MAX, "more live run")));
    }
    for day in timeline.days.iter().filter(|day| day.is_changed()) {
        lines.push(format!("{} has {}: the clock changes", day.date, length_in_hours(day.length())));
    }
    let left_out = timeline.left_out;
    for (number, what, why) in [
        (left_out.earlier, "run", "ended before the first day shown"),
        (left_out.runs, "run", "the earliest, for want of room"),
        (left_out.machines, "machine", "for want of room"),
    ] {
        if number > 0 {
            lines.push(format!("left out: {}, {why}", counted(number, what)));
        }
    }
    lines
}

/// A run by its name, where that is known.
fn name(label: &str) -> &str {
    if label.is_empty() { "a run" } else { label }
}

/// Runs by name, or, where names are not known, how many.
fn names(runs: &[String]) -> String {
    if runs.iter().all(String::is_empty) {
        return counted(runs.len(), "run");
    }
    let names = runs.iter().take(NAMES_TOLD_MAX).cloned().collect::<Vec<_>>().join(", ");
    match runs.len().saturating_sub(NAMES_TOLD_MAX) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn length_in_hours(length: SignedDuration) -> String {
    match length.as_mins() % 60 {
        0 => counted(length.as_hours(), "hour"),
        minutes => format!("{} and {}", counted(length.as_hours(), "hour"), counted(minutes, "minute")),
    }
}

fn gaps(machine: &Machine, zone: &TimeZone) -> Option<String> {
    let longest = machine.gaps.iter().max_by_key(|gap| (gap.length(), std::cmp::Reverse(gap.start)))?;
    let all = machine.gaps.iter().fold(SignedDuration::ZERO, |all, gap| all.saturating_add(gap.length()));
    let stretch = format!("from {} to {}", local(longest.start, zone), until(longest.start, longest.end, zone));
    Some(match machine.gaps.len() {
        1 => format!("gap on {}: {stretch} ({})", machine.name, length(all)),
        number => format!(
            "gaps on {}: {number}, {} in all; the longest {stretch} ({})",
            machine.name,
            length(all),
            length(longest.length())
        ),
    })
}
