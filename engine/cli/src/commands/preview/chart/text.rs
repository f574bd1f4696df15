//! A time-line drawn with characters.

use std::fmt::Write as _;

use engine_core::timeline::{Machine, Placed, Timeline, ticks};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words;
use crate::args::PreviewArgs;
use crate::show::{self, harmless};

/// Columns where neither an argument nor the terminal says.
const WIDTH: usize = 100;
/// Columns that a terminal must have, and those that are of use.
const WIDTH_RANGE: std::ops::RangeInclusive<usize> = 40..=400;
/// Columns of the names of machines.
const NAME_CHARS_MAX: usize = 16;
/// Columns from one mark of the axis to the next: a time and a blank, at least.
const TICK_COLUMNS_MIN: usize = 7;
/// Hours between two marks of the axis.
const TICK_HOURS: [u8; 6] = [1, 2, 3, 6, 12, 24];

/// The characters of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::preview) enum Signs {
    Ascii,
    Unicode,
}

/// Colours of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::preview) enum Colour {
    Plain,
    Ansi,
}

/// How a time-line is drawn.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::preview) struct Style {
    pub(super) width: usize,
    pub(super) signs: Signs,
    pub(super) colour: Colour,
}

impl Style {
    /// What arguments, environment and terminal ask for.
    pub(in crate::commands::preview) fn of_terminal(args: &PreviewArgs) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let columns = variable("COLUMNS").and_then(|columns| columns.parse().ok());
        let terminal = || comfy_table::Table::new().width().map(usize::from);
        let width = args.width.map(usize::from).or(columns).or_else(terminal).unwrap_or(WIDTH);
        let signs = if args.ascii { Signs::Ascii } else { signs(variable) };
        let colour = if show::colour_stdout() { Colour::Ansi } else { Colour::Plain };
        Self { width: width.clamp(*WIDTH_RANGE.start(), *WIDTH_RANGE.end()), signs, colour }
    }
}

/// The characters that the locale and the terminal have.
pub(super) fn signs(variable: impl Fn(&str) -> Option<String>) -> Signs {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(&variable).unwrap_or_default().to_lowercase();
    let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
    if !is_dumb && (locale.contains("utf-8") || locale.contains("utf8")) { Signs::Unicode } else { Signs::Ascii }
}

/// What a cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Empty,
    Gap,
    Run,
    Live,
    Overlap,
}

impl Look {
    /// The select graphic rendition of a terminal.
    fn ansi(self) -> &'static str {
        match self {
            Self::Empty => "0",
            Self::Gap => "0;2",
            Self::Run => "0;36",
            Self::Live => "0;32",
            Self::Overlap => "0;31",
        }
    }
}

struct Glyphs {
    open: char,
    close: char,
    fill: char,
    both: char,
    overlap: char,
    live: char,
    earlier: char,
    many: char,
    gap: char,
    tick: char,
}

const ASCII: Glyphs = Glyphs {
    open: '[',
    close: ']',
    fill: '=',
    both: '|',
    overlap: '#',
    live: '>',
    earlier: '<',
    many: '+',
    gap: '.',
    tick: '|',
};
const UNICODE: Glyphs = Glyphs {
    open: '┣',
    close: '┫',
    fill: '━',
    both: '┃',
    overlap: '▓',
    live: '▶',
    earlier: '◀',
    many: '╋',
    gap: '·',
    tick: '│',
};

struct Canvas<'a> {
    timeline: &'a Timeline,
    columns: usize,
    glyphs: &'static Glyphs,
    style: Style,
}

/// The whole drawing, with what it shows in words below.
pub(in crate::commands::preview) fn draw(timeline: &Timeline, zone: &TimeZone, style: Style) -> String {
    let glyphs = if style.signs == Signs::Ascii { &ASCII } else { &UNICODE };
    let shown = |text: &str| match style.signs {
        Signs::Unicode => harmless(text).into_owned(),
        Signs::Ascii => harmless(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect(),
    };
    let name = |machine: &Machine| shown(&machine.name).chars().take(NAME_CHARS_MAX).collect::<String>();
    let gutter = timeline.machines.iter().map(|machine| name(machine).chars().count()).max().unwrap_or(0);
    let canvas = Canvas { timeline, columns: style.width.saturating_sub(gutter + 4), glyphs, style };
    let mut out = format!("time-line: {}\n", shown(&words::summary(timeline, zone)));
    let _ = writeln!(out, "  {:gutter$}  {}", "", canvas.axis(zone).trim_end());
    for machine in &timeline.machines {
        for (number, lane) in machine.lanes.iter().enumerate() {
            let name = if number == 0 { name(machine) } else { String::new() };
            let line = canvas.lane(machine, lane, number, &shown);
            let _ = writeln!(out, "  {name:gutter$}  {}", line.trim_end());
        }
    }
    let Glyphs { open, close, fill, overlap, live, gap, many, .. } = glyphs;
    let _ = writeln!(
        out,
        "  {open}{fill}{close} run, {open}{fill}{live} live, {overlap}{overlap} overlap, {gap}{gap} gap, {many} many"
    );
    for line in words::told(timeline, zone) {
        let _ = writeln!(out, "  {}", shown(&line));
    }
    out
}

impl Canvas<'_> {
    /// The column of an instant; what lies beyond the line is at its edge.
    fn column(&self, at: Timestamp) -> usize {
        let nanos = |from: Timestamp, to: Timestamp| to.duration_since(from).as_nanos().max(0);
        let (past, all) = (nanos(self.timeline.from, at), nanos(self.timeline.from, self.timeline.to).max(1));
        let columns = self.columns as i128;
        usize::try_from((past * columns / all).min(columns)).unwrap_or(self.columns)
    }

    /// Days and hours, as close as they can be read.
    fn axis(&self, zone: &TimeZone) -> String {
        let Timeline { from, to, .. } = *self.timeline;
        let hours = to.duration_since(from).as_hours().max(1);
        let fits = |step: u8| {
            usize::from(step) * self.columns >= TICK_COLUMNS_MIN * usize::try_from(hours).unwrap_or(usize::MAX)
        };
        let step = TICK_HOURS.into_iter().find(|step| fits(*step)).unwrap_or(24);
        let mut line = vec![' '; self.columns];
        let mut free = 0;
        for tick in ticks(from, to, zone, step) {
            let column = self.column(tick);
            if column < free || column + TICK_COLUMNS_MIN > line.len() + 1 {
                continue;
            }
            let civil = zone.to_datetime(tick);
            let label = civil.strftime(if civil.hour() == 0 { "%m-%d" } else { "%H:%M" }).to_string();
            for (place, c) in std::iter::once(self.glyphs.tick).chain(label.chars()).enumerate() {
                line[column + place] = c;
            }
            free = column + TICK_COLUMNS_MIN;
        }
        line.into_iter().collect()
    }

    fn lane(&self, machine: &Machine, lane: &[Placed], number: usize, shown: &dyn Fn(&str) -> String) -> String {
        let mut cells = vec![(' ', Look::Empty); self.columns];
        if number == 0 {
            for gap in &machine.gaps {
                cells[self.column(gap.start)..self.column(gap.end)].fill((self.glyphs.gap, Look::Gap));
            }
        }
        let mut free = 0;
        for run in lane {
            free = self.run(machine, run, free, &mut cells, shown);
        }
        self.painted(&cells)
    }

    /// Draws a run from the first free column on; the first that is free after it.
    fn run(
        &self,
        machine: &Machine,
        run: &Placed,
        free: usize,
        cells: &mut [(char, Look)],
        shown: &dyn Fn(&str) -> String,
    ) -> usize {
        let last = self.columns - 1;
        let first = self.column(run.start).min(last);
        let end = self.column(run.end).clamp(first + 1, self.columns);
        if end <= free {
            cells[end - 1].0 = self.glyphs.many;
            return free;
        }
        let first = first.max(free);
        let look = if run.live { Look::Live } else { Look::Run };
        let inner = end - first;
        for (place, cell) in cells[first..end].iter_mut().enumerate() {
            let is_last = place + 1 == inner;
            let c = match (place, is_last) {
                (_, true) if run.live => self.glyphs.live,
                (0, _) if run.start < self.timeline.from => self.glyphs.earlier,
                (0, true) => self.glyphs.both,
                (0, false) => self.glyphs.open,
                (_, true) => self.glyphs.close,
                _ => self.glyphs.fill,
            };
            *cell = (c, look);
        }
        // Overlaps come by start, and do not touch one another.
        let before = machine.overlaps.partition_point(|overlap| overlap.end <= run.start);
        for overlap in machine.overlaps[before..].iter().take_while(|overlap| overlap.start < run.end) {
            let from = self.column(overlap.start);
            let upto = self.column(overlap.end).max(from + 1).min(end);
            for (column, cell) in cells.iter_mut().enumerate().take(upto).skip(from.max(first)) {
                let is_inside = first < column && column + 1 < end;
                *cell = (if is_inside { self.glyphs.overlap } else { cell.0 }, Look::Overlap);
            }
        }
        let label: Vec<char> = shown(&run.label).chars().collect();
        if label.len() + 2 <= inner {
            let begin = first + 1 + (inner - 2 - label.len()) / 2;
            for (cell, c) in cells[begin..].iter_mut().zip(label) {
                cell.0 = c;
            }
        }
        end
    }

    fn painted(&self, cells: &[(char, Look)]) -> String {
        let mut out = String::new();
        let mut look = Look::Empty;
        for (c, of) in cells {
            if self.style.colour == Colour::Ansi && *of != look {
                let _ = write!(out, "\u{1b}[{}m", of.ansi());
                look = *of;
            }
            out.push(*c);
        }
        if look != Look::Empty {
            out.push_str("\u{1b}[0m");
        }
        out
    }
}
