//! A time-line as one SVG: no script, nothing fetched, every run reachable by the keyboard and told in words.

use std::collections::HashMap;
use std::fmt::Write as _;

use engine_core::timeline::{Day, Machine, Placed, Timeline, ticks};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::palette::{LOOKS, STYLE};
use super::{Chart, escaped, words};

/// Pixels left of the line, for the names of machines.
const GUTTER: f64 = 160.0;
/// Pixels above the lanes, for days and hours.
const HEAD: f64 = 62.0;
/// Height of a lane, and of a run in it.
const LANE: f64 = 28.0;
const BAR: f64 = 22.0;
/// Pixels between machines.
const SPACE: f64 = 10.0;
/// Pixels at the right and at the bottom.
const MARGIN: f64 = 18.0;
/// Pixels of the line at least, and of an hour at least.
const LINE_MIN: f64 = 960.0;
const HOUR_MIN: f64 = 4.0;
/// Pixels from one mark of the axis to the next at least.
const TICK_MIN: f64 = 48.0;
/// Pixels of a character of a label, with some to spare; of one of a bold label, and of a capital there.
const CHARACTER: f64 = 7.7;
const BOLD: f64 = 8.2;
const BOLD_CAPITAL: f64 = 10.5;

struct Canvas<'a> {
    timeline: &'a Timeline,
    zone: &'a TimeZone,
    line: f64,
    height: f64,
    /// The look of every product.
    looks: HashMap<&'a str, usize>,
}

/// The picture, which stands for itself; `number` tells it from others on a page.
pub(super) fn picture(chart: &Chart, number: usize) -> String {
    styled(chart, number, &format!("<style>{STYLE}</style>"))
}

/// The picture for a page that has the style already, as [`STYLE`].
pub(crate) fn plain_picture(chart: &Chart, number: usize) -> String {
    styled(chart, number, "")
}

fn styled(chart: &Chart, number: usize, style: &str) -> String {
    let name = escaped(&chart.pipeline);
    let Some(timeline) = &chart.timeline else {
        return format!(
            "<svg class=\"tl\" xmlns=\"http://www.w3.org/2000/svg\" width=\"320\" height=\"40\" role=\"img\">\n\
             {style}<rect class=\"page\" width=\"320\" height=\"40\"/>\n\
             <text x=\"12\" y=\"25\">{name}: no runs</text></svg>\n"
        );
    };
    let mut looks = HashMap::new();
    for run in timeline.machines.iter().flat_map(|machine| &machine.lanes).flatten() {
        let next = looks.len() % LOOKS;
        looks.entry(run.group.as_str()).or_insert(next);
    }
    let hours = timeline.to.duration_since(timeline.from).as_secs_f64() / 3600.0;
    let lanes: usize = timeline.machines.iter().map(|machine| machine.lanes.len().max(1)).sum();
    let height = HEAD + lanes as f64 * LANE + timeline.machines.len() as f64 * SPACE + MARGIN;
    let canvas = Canvas { timeline, zone: &chart.zone, line: LINE_MIN.max(hours * HOUR_MIN), height, looks };
    let width = GUTTER + canvas.line + MARGIN;
    let mut out = format!(
        "<svg class=\"tl\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"group\" aria-labelledby=\"t{number} d{number}\">\n\
         <title id=\"t{number}\">Runs of {name}</title>\n<desc id=\"d{number}\">"
    );
    let summary = words::summary(timeline, &chart.zone);
    let told = std::iter::once(summary.clone()).chain(words::told(timeline, &chart.zone));
    out.push_str(&told.map(|line| format!("{}.", escaped(&line))).collect::<Vec<_>>().join("\n"));
    let _ = write!(
        out,
        "</desc>\n{style}\n<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" \
         patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" \
         x2=\"0\" y2=\"6\"/></pattern></defs>\n<rect class=\"page\" width=\"{width:.0}\" height=\"{height:.0}\"/>\n\
         <text x=\"12\" y=\"20\"><tspan class=\"name\" font-size=\"14\">{name}</tspan>\
         <tspan class=\"soft\" dx=\"12\">{}</tspan></text>\n",
        escaped(&summary)
    );
    canvas.axis(&mut out);
    let mut top = HEAD;
    for machine in &timeline.machines {
        top = canvas.machine(machine, top, &mut out);
    }
    canvas.now(&mut out);
    out.push_str("</svg>\n");
    out
}

impl Canvas<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let Timeline { from, to, .. } = *self.timeline;
        let share = at.duration_since(from).as_secs_f64() / to.duration_since(from).as_secs_f64();
        GUTTER + share.clamp(0.0, 1.0) * self.line
    }

    fn axis(&self, out: &mut String) {
        let foot = self.height - MARGIN;
        for (number, day) in self.timeline.days.iter().enumerate() {
            let (left, right) = (self.x(day.start), self.x(day.end));
            if number % 2 == 1 {
                let (width, height) = (right - left, foot - HEAD + 34.0);
                let _ = writeln!(
                    out,
                    "<rect class=\"band\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
                    HEAD - 34.0
                );
            }
            let class = if day.is_changed() { "changed" } else { "soft" };
            if let Some(label) = day_label(day, right - left - 4.0) {
                let _ = writeln!(out, "<text class=\"{class}\" x=\"{:.1}\" y=\"38\">{label}</text>", left + 4.0);
            }
        }
        let Timeline { from, to, .. } = *self.timeline;
        let hours = to.duration_since(from).as_secs_f64() / 3600.0;
        let fits = |step: &u8| f64::from(*step) * self.line / hours >= TICK_MIN;
        let step = [1, 2, 3, 6, 12].into_iter().find(fits).unwrap_or(24);
        for tick in ticks(from, to, self.zone, step) {
            let x = self.x(tick);
            let _ = writeln!(
                out,
                "<line class=\"tick\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{foot:.1}\"/>",
                HEAD - 8.0
            );
            if step < 24 && x + 38.0 < GUTTER + self.line {
                let clock = self.zone.to_datetime(tick).strftime("%H:%M").to_string();
                let _ = writeln!(
                    out,
                    "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\">{clock}</text>",
                    x + 3.0,
                    HEAD - 8.0
                );
            }
        }
    }

    /// One machine from a height on; where the next begins.
    fn machine(&self, machine: &Machine, top: f64, out: &mut String) -> f64 {
        let name = escaped(&machine.name);
        let short = escaped(&in_gutter(&machine.name));
        let height = machine.lanes.len().max(1) as f64 * LANE;
        let middle = top + LANE / 2.0;
        let _ = writeln!(
            out,
            "<g role=\"list\" aria-label=\"machine {name}\">\n\
             <line class=\"rule\" x1=\"12\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\"/>\n\
             <text class=\"name\" x=\"12\" y=\"{2:.1}\">{short}<title>{name}</title></text>",
            top - SPACE / 2.0,
            GUTTER + self.line,
            middle + 4.0,
        );
        for gap in &machine.gaps {
            let (left, right) = (self.x(gap.start), self.x(gap.end));
            if right - left > 4.0 {
                let _ = writeln!(
                    out,
                    "<line class=\"gap\" x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\">\
                     <title>nothing runs for {}</title></line>",
                    left + 3.0,
                    right - 3.0,
                    words::length(gap.length())
                );
            }
        }
        for (number, lane) in machine.lanes.iter().enumerate() {
            for run in lane {
                self.run(machine, run, top + number as f64 * LANE + (LANE - BAR) / 2.0, out);
            }
        }
        for overlap in &machine.overlaps {
            let (left, right) = (self.x(overlap.start), self.x(overlap.end));
            let _ = writeln!(
                out,
                "<rect class=\"overlap\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\" \
                 opacity=\"0.45\" pointer-events=\"none\"/>",
                top,
                (right - left).max(1.5),
                height
            );
        }
        out.push_str("</g>\n");
        top + height + SPACE
    }

    fn run(&self, machine: &Machine, run: &Placed, y: f64, out: &mut String) {
        let (left, right) = (self.x(run.start), self.x(run.end));
        let width = (right - left).max(4.0);
        let look = self.looks.get(run.group.as_str()).copied().unwrap_or_default();
        let words = escaped(&told(machine, run, self.zone));
        let live = if run.live { " live" } else { "" };
        let _ = write!(
            out,
            "<g class=\"run{live}\" tabindex=\"0\" role=\"listitem\" aria-label=\"{words}\"><title>{words}</title>\
             <rect class=\"bar l{look}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"3\"/>"
        );
        if run.live {
            let (x, middle) = (left + width, y + BAR / 2.0);
            let _ = write!(out, "<path class=\"tip\" d=\"M{x:.1} {:.1}l9 {:.1}l-9 {:.1}z\"/>", middle - 7.0, 7.0, 7.0);
        }
        let room = ((width - 8.0) / CHARACTER) as usize;
        if let Some(label) = run_label(&run.label, room) {
            let _ = write!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", left + 5.0, y + 15.0, escaped(&label));
        }
        out.push_str("</g>\n");
    }

    fn now(&self, out: &mut String) {
        let Timeline { from, to, now, .. } = *self.timeline;
        if from <= now && now <= to {
            let (x, foot) = (self.x(now), self.height - MARGIN);
            let _ = writeln!(
                out,
                "<line class=\"now\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{foot:.1}\"/>\n\
                 <text class=\"nowtext\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">now</text>",
                HEAD - 4.0,
                foot + 13.0
            );
        }
    }
}

/// The name of a machine, as far as there is room left of the line.
pub(super) fn in_gutter(name: &str) -> String {
    let mut room = GUTTER - 12.0 - BOLD;
    let fits = |char: &char| {
        room -= if char.is_uppercase() { BOLD_CAPITAL } else { BOLD };
        room >= 0.0
    };
    let count = name.chars().take_while(fits).count();
    crate::show::clip(name, count)
}

/// The longest label of a day for which there is room.
pub(super) fn day_label(day: &Day, room: f64) -> Option<String> {
    let of = |pattern| day.date.strftime(pattern).to_string();
    let mut labels = vec![of("%a %m-%d"), of("%m-%d"), of("%d")];
    let mut character = CHARACTER;
    if day.is_changed() {
        let hours = format!("{} h", day.length().as_secs_f64() / 3600.0);
        labels.splice(0..0, [format!("{}, {hours}", labels[0]), format!("{}, {hours}", labels[1])]);
        character = BOLD;
    }
    labels.into_iter().find(|label| label.len() as f64 * character <= room)
}

/// A label for so many characters: whole, or without its end; a number without its beginning, which is alike in most.
pub(super) fn run_label(label: &str, room: usize) -> Option<String> {
    let count = label.chars().count();
    if count <= room {
        return (count > 0).then(|| label.to_owned());
    }
    if room < 4 {
        return None;
    }
    if label.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!("…{}", &label[count - (room - 1)..]));
    }
    Some(crate::show::clip(label, room - 1))
}

/// A run in one sentence.
fn told(machine: &Machine, run: &Placed, zone: &TimeZone) -> String {
    let length = words::length(run.end.duration_since(run.start));
    let (start, end) = (words::local(run.start, zone), words::local(run.end, zone));
    let what = match run.label.is_empty() && run.group.is_empty() {
        true => format!("a run on {}", machine.name),
        false => format!("{}, product {}, on {}", run.label, run.group, machine.name),
    };
    match run.live {
        true => format!("{what}: live since {start}, for {length}"),
        false => format!("{what}: {start} to {end}, {length}"),
    }
}
