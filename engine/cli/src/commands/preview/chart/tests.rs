use engine_core::timeline::{Bar, Limits, lay_out};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::text::{Colour, Signs, Style};
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn bar(machine: &str, label: &str, group: &str, start: &str, end: &str) -> Bar {
    Bar {
        machine: machine.to_owned(),
        start: at(start),
        end: (!end.is_empty()).then(|| at(end)),
        label: label.to_owned(),
        group: group.to_owned(),
    }
}

/// The night in which the clock is put forward: runs that overlap, a gap, a moment, a live run.
fn night() -> Chart {
    let bars = [
        bar("M1", "4711", "25-1002", "2025-03-29T10:00:00Z", "2025-03-29T18:00:00Z"),
        bar("M1", "4712", "25-1003", "2025-03-29T17:00:00Z", "2025-03-29T23:30:00Z"),
        bar("M1", "4713", "25-1002", "2025-03-30T03:00:00Z", "2025-03-30T08:00:00Z"),
        bar("M2", "4714", "25-1004", "2025-03-29T12:00:00Z", "2025-03-29T12:00:00Z"),
        bar("M2", "4715", "25-1004", "2025-03-29T20:00:00Z", ""),
        bar("M10", "<script>alert(1)</script>", "\u{1b}[31m&\"'", "2025-03-29T11:00:00Z", "2025-03-30T11:00:00Z"),
    ];
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let timeline = lay_out(&bars, at("2025-03-30T12:00:00Z"), &zone, Limits { machines: 9, runs: 99, days: 31 });
    Chart { pipeline: "acme <b>".to_owned(), zone, timeline }
}

const PLAIN: Style = Style { width: 90, signs: Signs::Unicode, colour: Colour::Plain };

/// Compares a text with a file of `tests/golden/preview`.
#[track_caller]
fn golden(name: &str, actual: &str) {
    engine_tests::golden::golden(&format!("preview/{name}"), actual, "--lib chart");
}

#[test]
fn a_time_line_looks_like_this() {
    let chart = night();
    let timeline = chart.timeline.as_ref().unwrap();
    golden("unicode.txt", &text::draw(timeline, &chart.zone, PLAIN));
    golden("ascii.txt", &text::draw(timeline, &chart.zone, Style { signs: Signs::Ascii, width: 60, ..PLAIN }));
    golden("colour.txt", &text::draw(timeline, &chart.zone, Style { colour: Colour::Ansi, ..PLAIN }));
    golden("night.svg", &svg::picture(&chart, 0));
    golden("night.html", &html::page(&[night(), Chart { timeline: None, ..night() }]));
}

#[test]
fn labels_of_a_picture_are_shortened_to_what_tells_them_apart() {
    for (label, room, expected) in [
        ("4711", 4, Some("4711")),
        ("000000004711", 6, Some("…04711")),
        ("Müller 4711", 6, Some("Mülle…")),
        ("4711-0010", 3, None),
        ("", 9, None),
    ] {
        assert_eq!(svg::run_label(label, room).as_deref(), expected, "{label}");
    }
    for (name, expected) in
        [("DREH-01", "DREH-01"), ("Spritzgussmaschine", "Spritzgussmaschi…"), ("SPRITZGUSSMASCHINE", "SPRITZGUSSMAS…")]
    {
        assert_eq!(svg::in_gutter(name), expected);
    }
    let chart = night();
    let changed = chart.timeline.as_ref().unwrap().days.iter().find(|day| day.is_changed()).unwrap();
    for (room, expected) in [
        (200.0, Some("Sun 03-30, 23 h")),
        (100.0, Some("03-30, 23 h")),
        (80.0, Some("Sun 03-30")),
        (20.0, Some("30")),
        (9.0, None),
    ] {
        assert_eq!(svg::day_label(changed, room).as_deref(), expected, "{room}");
    }
}

#[test]
fn no_line_is_longer_than_the_terminal_and_ascii_is_ascii() {
    let chart = night();
    let timeline = chart.timeline.as_ref().unwrap();
    for width in [40, 41, 80, 133, 400] {
        let drawn = text::draw(timeline, &chart.zone, Style { width, signs: Signs::Ascii, ..PLAIN });
        assert!(drawn.is_ascii(), "{drawn}");
        // The drawing: all between the first line and the legend.
        let lines = drawn.lines().skip(1).take_while(|line| !line.contains("run, "));
        let longest = lines.map(str::len).max().unwrap();
        assert!(longest <= width, "{longest} of {width}:\n{drawn}");
        assert!(longest + 9 > width, "{longest} of {width}:\n{drawn}");
    }
}

#[test]
fn nothing_from_outside_is_obeyed() {
    let chart = night();
    let svg = svg::picture(&chart, 0);
    let html = html::page(std::slice::from_ref(&chart));
    for made in [&svg, &html] {
        for forbidden in ["<script", "<b>", "\u{1b}", "&\"", "http:", "https:", "src=", "@import"] {
            // The name space is no address that anybody asks.
            let made = made.replace("http://www.w3.org/2000/svg", "");
            assert!(!made.contains(forbidden), "{forbidden} is in it");
        }
        assert!(made.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(made.contains("(prefers-color-scheme:dark)"));
        assert!(made.contains("tabindex=\"0\"") && made.contains("<title"));
    }
    assert!(!text::draw(chart.timeline.as_ref().unwrap(), &chart.zone, PLAIN).contains('\u{1b}'));
}

#[test]
fn a_file_is_of_the_form_that_its_name_says() {
    for (name, specs, expected) in [
        ("a.html", 2, Ok(Form::Html)),
        ("a.HTM", 1, Ok(Form::Html)),
        ("a.svg", 1, Ok(Form::Svg)),
        ("a.svg", 2, Err("one pipeline")),
        ("a.png", 1, Err("neither HTML nor SVG")),
        ("svg", 1, Err("neither HTML nor SVG")),
    ] {
        let found = form(Path::new(name), specs);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
            (Err(error), Err(part)) => assert!(error.message.contains(part), "{error}"),
            (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn the_locale_says_which_characters_there_are() {
    for (variables, expected) in [
        (&[("LANG", "de_DE.UTF-8")][..], Signs::Unicode),
        (&[("LANG", "C"), ("LC_CTYPE", "en_US.utf8")], Signs::Unicode),
        (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], Signs::Ascii),
        (&[("LANG", "de_DE.UTF-8"), ("TERM", "dumb")], Signs::Ascii),
        (&[], Signs::Ascii),
    ] {
        let variable = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        assert_eq!(text::signs(variable), expected, "{variables:?}");
    }
}

#[test]
fn lengths_are_told_in_two_units() {
    for (seconds, expected) in
        [(0, "0 s"), (5, "5 s"), (65, "1 min 5 s"), (3_600, "1 h"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")]
    {
        assert_eq!(words::length(jiff::SignedDuration::from_secs(seconds)), expected);
    }
}

#[test]
fn no_more_is_told_than_can_be_read() {
    let overlapping = |number: i64| {
        let start = at("2025-03-29T00:00:00Z") + jiff::SignedDuration::from_mins(10 * number);
        let end = start + jiff::SignedDuration::from_mins(8);
        (0..10).map(move |order| Bar {
            machine: "M1".to_owned(),
            start,
            end: Some(end),
            label: format!("A{order}"),
            group: String::new(),
        })
    };
    let live = (0..23).map(|number| bar("M2", &format!("L{number}"), "", "2025-03-30T12:00:00Z", ""));
    let bars: Vec<Bar> = (0..25).flat_map(overlapping).chain(live).collect();
    let limits = Limits { machines: 9, runs: 999, days: 31 };
    let timeline = lay_out(&bars, at("2025-03-30T12:00:00Z"), &TimeZone::UTC, limits).unwrap();
    let told = words::told(&timeline, &TimeZone::UTC);
    assert_eq!(told.iter().filter(|line| line.starts_with("overlap on M1: ")).count(), 20);
    assert_eq!(told.iter().filter(|line| line.starts_with("live on M2: ")).count(), 20);
    for line in ["and 5 more overlaps", "and 3 more live runs"] {
        assert!(told.contains(&line.to_owned()), "{told:?}");
    }
    assert!(
        told[0].contains("A0, A1, A2, A3, A4, A5 and 4 more from 2025-03-29 00:00 to 00:08 (8 min)"),
        "{}",
        told[0]
    );
}

#[test]
fn runs_whose_names_are_not_known_are_told_without() {
    let bars = [
        bar("M1", "", "", "2025-03-29T10:00:00Z", "2025-03-29T18:00:00Z"),
        bar("M1", "", "", "2025-03-29T17:00:00Z", ""),
    ];
    let limits = Limits { machines: 9, runs: 9, days: 31 };
    let timeline = lay_out(&bars, at("2025-03-29T20:00:00Z"), &TimeZone::UTC, limits).unwrap();
    let told = words::told(&timeline, &TimeZone::UTC);
    let expected =
        ["overlap on M1: 2 runs from 2025-03-29 17:00 to 18:00 (1 h)", "live on M1: a run since 2025-03-29 17:00"];
    assert_eq!(told, expected);
    let chart = Chart { pipeline: "acme".to_owned(), zone: TimeZone::UTC, timeline: Some(timeline) };
    let picture = svg::plain_picture(&chart, 0);
    assert!(picture.contains("aria-label=\"a run on M1: 2025-03-29 10:00 to 2025-03-29 18:00, 8 h\""), "{picture}");
}
