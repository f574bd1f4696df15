use proptest::prelude::*;

use super::*;

const WIDE: Limits = Limits { machines: 100, runs: 1_000, days: 31 };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A minute of an hour of 2025-03-28.
fn minute(minute: i64) -> Timestamp {
    at("2025-03-28T00:00:00Z") + SignedDuration::from_mins(minute)
}

/// `A:10-20` is a run of order A from minute 10 to minute 20, `A:10-` a live one; `M2/A:10-20` is on machine M2.
fn bars(text: &str) -> Vec<Bar> {
    text.split_whitespace()
        .map(|word| {
            let (machine, run) = word.split_once('/').unwrap_or(("M1", word));
            let (label, times) = run.split_once(':').unwrap();
            let (start, end) = times.split_once('-').unwrap();
            Bar {
                machine: machine.to_owned(),
                start: minute(start.parse().unwrap()),
                end: (!end.is_empty()).then(|| minute(end.parse().unwrap())),
                label: label.to_owned(),
                group: "P".to_owned(),
            }
        })
        .collect()
}

fn minutes(instant: Timestamp) -> i64 {
    instant.duration_since(minute(0)).as_mins()
}

fn lay(text: &str, limits: Limits) -> Timeline {
    lay_out(&bars(text), minute(60), &TimeZone::UTC, limits).unwrap()
}

/// Lanes, overlaps and gaps of each machine in the words of [`bars`].
fn words(timeline: &Timeline) -> String {
    let machine = |machine: &Machine| {
        let run = |run: &Placed| {
            let end = if run.live { String::new() } else { minutes(run.end).to_string() };
            format!("{}:{}-{end}", run.label, minutes(run.start))
        };
        let mut words: Vec<String> =
            machine.lanes.iter().map(|lane| lane.iter().map(run).collect::<Vec<_>>().join(" ")).collect();
        words.extend(
            machine
                .overlaps
                .iter()
                .map(|one| format!("{}x{}-{}", one.runs.join("+"), minutes(one.start), minutes(one.end))),
        );
        words.extend(machine.gaps.iter().map(|gap| format!("gap{}-{}", minutes(gap.start), minutes(gap.end))));
        format!("{}: {}", machine.name, words.join(" | "))
    };
    timeline.machines.iter().map(machine).collect::<Vec<_>>().join("; ")
}

#[test]
fn runs_are_laid_out() {
    for (text, expected) in [
        ("A:10-20", "M1: A:10-20"),
        ("A:10-20 B:20-30", "M1: A:10-20 B:20-30"),
        ("B:25-30 A:10-20", "M1: A:10-20 B:25-30 | gap20-25"),
        ("A:10-20 B:15-30", "M1: A:10-20 | B:15-30 | A+Bx15-20"),
        // What ends as another begins keeps the overlap going; what touches does not overlap.
        ("A:10-40 B:15-20 C:20-30", "M1: A:10-40 | B:15-20 C:20-30 | A+B+Cx15-30"),
        ("A:10-40 B:15-20 C:25-30", "M1: A:10-40 | B:15-20 C:25-30 | A+Bx15-20 | A+Cx25-30"),
        ("A:10-30 B:10-30 C:12-14", "M1: A:10-30 | B:10-30 | C:12-14 | A+B+Cx10-30"),
        // A live run reaches to now, minute 60.
        ("A:10- B:50-70", "M1: A:10- | B:50-70 | A+Bx50-60"),
        ("A:10- B:60-70", "M1: A:10- B:60-70"),
        // A live run that begins later, an end before the start, and a moment have no length.
        ("A:80- B:70-50 C:65-65", "M1: C:65-65 B:70-70 A:80- | gap65-70 | gap70-80"),
        ("M10/A:1-2 M2/B:1-2 m1/C:1-2 M02/D:1-2", "M02: D:1-2; M2: B:1-2; M10: A:1-2; m1: C:1-2"),
    ] {
        assert_eq!(words(&lay(text, WIDE)), expected, "{text}");
    }
    assert_eq!(lay_out(&[], minute(0), &TimeZone::UTC, WIDE), None);
}

#[test]
fn what_is_too_much_is_left_out_and_counted() {
    let left_out = |text: &str, limits: Limits| {
        let timeline = lay(text, limits);
        let LeftOut { machines, earlier, runs } = timeline.left_out;
        (words(&timeline), machines, earlier, runs)
    };
    let day = 24 * 60;
    let text = format!("A:10-20 B:{}-{} C:{}-{}", 3 * day, 3 * day + 5, 4 * day, 4 * day + 5);
    let drawn = |text: &str| format!("M1: {text}");
    assert_eq!(left_out(&text, Limits { days: 2, ..WIDE }), (drawn("B:4320-4325 C:5760-5765 | gap4325-5760"), 0, 1, 0));
    assert_eq!(left_out(&text, Limits { runs: 1, ..WIDE }).3, 2);
    assert_eq!(left_out("M1/A:1-2 M2/B:1-2 M3/C:1-2", Limits { machines: 2, ..WIDE }).1, 1);
    // Those that begin together are not all dropped for one that is too many.
    assert_eq!(left_out("M1/A:1-2 M2/B:1-2 M3/C:1-2", Limits { runs: 2, ..WIDE }).3, 1);
    // A run of the evening before the first day is drawn as far as it reaches into it.
    let night = format!("A:{}-{} B:{}-{}", day - 60, day + 60, day + 90, day + 100);
    let timeline = lay(&night, Limits { days: 1, ..WIDE });
    assert_eq!((minutes(timeline.from), timeline.left_out), (day, LeftOut::default()));
}

#[test]
fn an_end_at_the_end_of_all_time_does_not_stretch_the_line() {
    let mut runs = bars("A:10-20 B:30-40");
    runs[1].end = Some(at("9999-12-30T00:00:00Z"));
    let timeline = lay_out(&runs, minute(60), &TimeZone::UTC, WIDE).unwrap();
    assert_eq!((minutes(timeline.from), minutes(timeline.to)), (10, 60 + 24 * 60));
    for end in [Timestamp::MIN, Timestamp::MAX] {
        for zone in ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"] {
            let zone = TimeZone::get(zone).unwrap();
            let bar = Bar { start: end, end: None, ..bars("A:1-2").remove(0) };
            assert!(lay_out(&[bar], minute(0), &zone, WIDE).is_some());
        }
    }
}

#[test]
fn days_are_as_long_as_the_clock_makes_them() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    for (from, to, expected) in [
        ("2025-03-29T12:00:00Z", "2025-03-31T12:00:00Z", "2025-03-29 24, 2025-03-30 23, 2025-03-31 24"),
        ("2025-10-26T00:00:00+02:00", "2025-10-27T00:00:00+01:00", "2025-10-26 25"),
        ("2025-10-26T00:00:00+02:00", "2025-10-27T00:00:01+01:00", "2025-10-26 25, 2025-10-27 24"),
    ] {
        let found = days(at(from), at(to), &berlin);
        let words: Vec<String> = found.iter().map(|day| format!("{} {}", day.date, day.length().as_hours())).collect();
        assert_eq!(words.join(", "), expected);
        assert_eq!(found.iter().filter(|day| day.is_changed()).count(), 1);
        // Days follow one another without a gap.
        assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
    // Samoa skipped a day.
    let apia = TimeZone::get("Pacific/Apia").unwrap();
    let dates: Vec<String> = days(at("2011-12-29T12:00:00Z"), at("2011-12-31T12:00:00Z"), &apia)
        .iter()
        .map(|day| day.date.to_string())
        .collect();
    assert_eq!(dates, ["2011-12-29", "2011-12-31", "2012-01-01"]);
}

#[test]
fn hours_of_the_local_clock_are_ticked() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let hours = |from: &str, to: &str, step: u8| {
        let shown = ticks(at(from), at(to), &berlin, step);
        shown.iter().map(|tick| tick.strftime("%H").to_string()).collect::<Vec<_>>().join(" ")
    };
    // In UTC: an hour of six hours is missing on one day, and one too many on the other.
    assert_eq!(hours("2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z", 6), "23 04 10 16");
    assert_eq!(hours("2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z", 6), "22 05 11 17");
    // What the clock skips has no tick of its own.
    assert_eq!(hours("2025-03-29T23:00:00Z", "2025-03-30T03:00:00Z", 1), "23 00 01 02");
}

/// The time that this takes grows with the runs, not with their square: minutes of debug code would be noticed.
#[test]
fn many_runs_at_once_are_laid_out_quickly() {
    let run = |number: i64| Bar {
        machine: "M1".to_owned(),
        start: minute(0) + SignedDuration::from_millis(number),
        end: None,
        label: String::new(),
        group: String::new(),
    };
    let bars: Vec<Bar> = (0..50_000).map(run).collect();
    let timeline = lay_out(&bars, minute(60), &TimeZone::UTC, Limits { runs: 50_000, ..WIDE }).unwrap();
    assert_eq!(timeline.machines[0].lanes.len(), 50_000);
    assert_eq!(timeline.machines[0].overlaps.iter().map(|one| one.runs.len()).collect::<Vec<_>>(), [50_000]);
}

fn history() -> impl Strategy<Value = Vec<Bar>> {
    let run = (0i64..600, prop::option::of(0i64..90), 0usize..3, 0usize..4);
    prop::collection::vec(run, 1..60).prop_map(|runs| {
        runs.into_iter()
            .map(|(start, length, machine, label)| Bar {
                machine: ["M1", "M2", "M10"][machine].to_owned(),
                start: minute(start),
                end: length.map(|length| minute(start + length)),
                label: ["A", "B", "C", "D"][label].to_owned(),
                group: String::new(),
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn the_order_in_which_runs_come_does_not_matter(mut runs in history(), turn in 0usize..60) {
        let one = lay_out(&runs, minute(300), &TimeZone::UTC, WIDE);
        let middle = turn % runs.len();
        runs.rotate_left(middle);
        runs.reverse();
        prop_assert_eq!(one, lay_out(&runs, minute(300), &TimeZone::UTC, WIDE));
    }

    /// Minute by minute: lanes hold one run at a time, overlaps are where two run, and gaps where none does.
    #[test]
    fn every_minute_is_accounted_for(runs in history()) {
        let timeline = lay_out(&runs, minute(300), &TimeZone::UTC, WIDE).unwrap();
        prop_assert_eq!(timeline.machines.iter().flat_map(|machine| &machine.lanes).flatten().count(), runs.len());
        for machine in &timeline.machines {
            for lane in &machine.lanes {
                prop_assert!(lane.windows(2).all(|pair| pair[0].end <= pair[1].start));
            }
            let all: Vec<&Placed> = machine.lanes.iter().flatten().collect();
            let first = all.iter().map(|run| run.start).min().unwrap();
            let last = all.iter().map(|run| run.start).max().unwrap();
            for place in 0..700 {
                let now = minute(place);
                let within = |start: Timestamp, end: Timestamp| start <= now && now < end;
                let count = all.iter().filter(|run| within(run.start, run.end)).count();
                let overlapped = machine.overlaps.iter().filter(|one| within(one.start, one.end)).count();
                let gapped = machine.gaps.iter().filter(|gap| within(gap.start, gap.end)).count();
                prop_assert_eq!(overlapped, usize::from(count > 1), "minute {}", place);
                let is_between = first <= now && now < last;
                prop_assert_eq!(gapped, usize::from(count == 0 && is_between), "minute {}", place);
            }
        }
    }

    #[test]
    fn no_more_is_laid_out_than_the_limits_say(runs in history(), machines in 1usize..4, runs_max in 0usize..20) {
        let limits = Limits { machines, runs: runs_max, days: 31 };
        let timeline = lay_out(&runs, minute(300), &TimeZone::UTC, limits).unwrap();
        let drawn: usize = timeline.machines.iter().flat_map(|machine| &machine.lanes).map(Vec::len).sum();
        prop_assert!(timeline.machines.len() <= machines && drawn <= runs_max);
        let names: std::collections::BTreeSet<&str> = timeline.machines.iter().map(|one| one.name.as_str()).collect();
        let theirs = runs.iter().filter(|run| names.contains(run.machine.as_str())).count();
        prop_assert_eq!(drawn + timeline.left_out.runs, theirs);
    }
}
