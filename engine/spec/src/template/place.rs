//! Placeholders for the marks of a rendering, by what stands around them in the SQL.

use std::ops::Range;

use super::render::{PLACE_START, SqlTemplate};
use super::values::Slot;
use super::{BINDS_MAX, Bind, BindValue, Statement, TemplateFinding};
use crate::jinja::Findings;
use crate::sql::{Dialect, SLOT_END, SLOT_START, TokenKind, lex};

/// A statement that knows where in the template it comes from.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) statement: Statement,
    origins: Vec<Origin>,
}

/// A piece of the statement and the bytes of the template behind it.
#[derive(Debug)]
struct Origin {
    sql: Range<usize>,
    template: Range<usize>,
    /// Whether the piece is the template's own text, byte for byte.
    verbatim: bool,
}

impl Placed {
    /// The bytes of the template behind bytes of the statement.
    pub(super) fn origin(&self, sql: &Range<usize>) -> Range<usize> {
        let end_of_all = self.origins.last().map_or(0, |origin| origin.template.end);
        let find = |at: usize| self.origins.get(self.origins.partition_point(|origin| origin.sql.end <= at));
        let start = find(sql.start).map_or(end_of_all, |origin| {
            origin.template.start + if origin.verbatim { sql.start - origin.sql.start } else { 0 }
        });
        let Some(last) = sql.end.checked_sub(1).filter(|last| *last >= sql.start) else { return start..start };
        let end = find(last).map_or(end_of_all, |origin| {
            if origin.verbatim { origin.template.start + (last + 1 - origin.sql.start) } else { origin.template.end }
        });
        start..end.max(start)
    }
}

/// Rendered text without the marks of places, and the places: bytes of the text and of the template.
pub(super) fn strip_places(output: &str) -> (String, Vec<(usize, usize)>) {
    let mut text = String::with_capacity(output.len());
    let mut places = vec![];
    let mut rest = output;
    while let Some(start) = rest.find(PLACE_START) {
        let end = start + rest[start..].find(SLOT_END).expect("marks are written whole");
        text.push_str(&rest[..start]);
        let place = rest[start + PLACE_START.len_utf8()..end].parse().expect("marks hold a number");
        places.push((text.len(), place));
        rest = &rest[end + SLOT_END.len_utf8()..];
    }
    text.push_str(rest);
    (text, places)
}

/// Replaces the marks. All findings at once; none is empty.
pub(super) fn place(
    output: &str,
    slots: &[(usize, Slot)],
    template: &SqlTemplate,
) -> Result<Placed, Vec<TemplateFinding>> {
    let (text, places) = strip_places(output);
    let dialect = template.dialect();
    let tokens = lex(&text, dialect);
    let code: Vec<usize> = (0..tokens.len()).filter(|place| tokens[*place].is_code()).collect();
    let mut writer =
        Writer { template, dialect, findings: Findings::default(), sql: String::new(), binds: vec![], origins: vec![] };
    for (number, token) in tokens.iter().enumerate() {
        let piece = &text[token.range.clone()];
        if let TokenKind::Slot(slot) = token.kind {
            let (emit, slot) = &slots[slot];
            let range = template.emit_range(*emit);
            let place = code.partition_point(|code| *code < number);
            let around = |place: Option<usize>| place.and_then(|place| code.get(place)).map(|code| &tokens[*code]);
            let before = around(place.checked_sub(1));
            let after = around(Some(place + 1));
            let touches = |kind: TokenKind| {
                matches!(
                    kind,
                    TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Name | TokenKind::Slot(_)
                )
            };
            let is_glued = before.is_some_and(|t| t.range.end == token.range.start && touches(t.kind))
                || after.is_some_and(|t| t.range.start == token.range.end && touches(t.kind));
            if is_glued {
                let message = "a value cannot be a part of a name, number or text";
                let help =
                    Some("put a space or an operator between them; a whole name comes from `| ident`".to_owned());
                writer.findings.error("template_placeholder_glued", range.clone(), message, help);
            }
            let surrounding = Surrounding {
                before: before.map_or("", |token| &text[token.range.clone()]),
                after: after.map_or("", |token| &text[token.range.clone()]),
            };
            writer.slot(slot, &range, &surrounding);
            continue;
        }
        if piece.contains(SLOT_START) {
            let inside = match token.kind {
                TokenKind::Comment | TokenKind::ExecutableComment => "a comment",
                TokenKind::Name => "a quoted name",
                _ => "quotes",
            };
            for (emit, _) in marks_in(piece).filter_map(|slot| slots.get(slot)) {
                writer.misplaced(template.emit_range(*emit), inside);
            }
        } else if is_placeholder(&text, &tokens[number..], dialect) {
            let source = origin_of(token.range.start, &places);
            let range = source..source + piece.len();
            let help = Some("write the value as `{{ … }}`".to_owned());
            let message = format!("`{piece}` is a placeholder of {}, and nothing is bound to it", dialect.name());
            writer.findings.error("template_placeholder", range, message, help);
        }
        // What is quoted may go on behind a block of the template, whose own text is not written.
        let mut from = token.range.start;
        for (at, _) in &places[places.partition_point(|(at, _)| *at <= from)..] {
            if *at >= token.range.end {
                break;
            }
            writer.text(&text[from..*at], origin_of(from, &places));
            from = *at;
        }
        writer.text(&text[from..token.range.end], origin_of(from, &places));
    }
    writer.finish()
}

/// The byte of the template behind a byte of text.
pub(super) fn origin_of(at: usize, places: &[(usize, usize)]) -> usize {
    let next = places.partition_point(|(here, _)| *here <= at);
    next.checked_sub(1).map_or(0, |place| places[place].1 + (at - places[place].0))
}

fn marks_in(piece: &str) -> impl Iterator<Item = usize> {
    piece.split(SLOT_START).skip(1).filter_map(|mark| mark.split(SLOT_END).next()?.parse().ok())
}

/// The placeholder of a value. Oracle's drivers bind every date-time as a TIMESTAMP, and a DATE compared with that is
/// converted row by row, which no index survives; a DATE is compared with a TIMESTAMP the other way round.
fn placeholder(dialect: Dialect, number: usize, value: &BindValue) -> String {
    let placeholder = dialect.placeholder(number);
    let is_date = match value {
        BindValue::Date(_) => true,
        BindValue::Civil { civil, .. } => civil.subsec_nanosecond() == 0,
        _ => false,
    };
    if dialect == Dialect::Oracle && is_date { format!("CAST({placeholder} AS DATE)") } else { placeholder }
}

/// Whether a token is a placeholder that the template wrote itself; it would take the place of a bound value.
fn is_placeholder(text: &str, tokens: &[crate::sql::Token], dialect: Dialect) -> bool {
    let piece = &text[tokens[0].range.clone()];
    let next = tokens.get(1).map(|token| token.kind);
    let is_named = matches!(next, Some(TokenKind::Word | TokenKind::Number));
    match (tokens[0].kind, piece) {
        (TokenKind::Symbol, "?") => dialect.is_mysql_family() || dialect == Dialect::Sqlite,
        (TokenKind::Symbol, "$") => match dialect {
            Dialect::Postgres => next == Some(TokenKind::Number),
            Dialect::Sqlite => is_named,
            _ => false,
        },
        (TokenKind::Symbol, ":") => matches!(dialect, Dialect::Oracle | Dialect::Sqlite) && is_named,
        (TokenKind::Symbol, "@") => dialect == Dialect::Sqlite && is_named,
        (TokenKind::Word, word) => dialect == Dialect::SqlServer && word.starts_with('@') && !word.starts_with("@@"),
        _ => false,
    }
}

/// The code right before and after a mark; empty at an end.
struct Surrounding<'a> {
    before: &'a str,
    after: &'a str,
}

struct Writer<'a> {
    template: &'a SqlTemplate,
    dialect: Dialect,
    findings: Findings,
    sql: String,
    binds: Vec<Bind>,
    origins: Vec<Origin>,
}

impl Writer<'_> {
    fn text(&mut self, piece: &str, source: usize) {
        let start = self.sql.len();
        self.sql.push_str(piece);
        let template = source..source + piece.len();
        self.origins.push(Origin { sql: start..self.sql.len(), template, verbatim: true });
    }

    fn misplaced(&mut self, range: Range<usize>, inside: &str) {
        let help = match inside {
            "a comment" => "take it out of the comment",
            "a quoted name" => "leave the quotes out and use `| ident`",
            _ => "leave the quotes out: the value is bound, not written",
        };
        let message = format!("a value inside {inside} would not be bound");
        self.findings.error("template_placeholder_quoted", range, message, Some(help.to_owned()));
    }

    fn slot(&mut self, slot: &Slot, range: &Range<usize>, around: &Surrounding<'_>) {
        let start = self.sql.len();
        let behind_in = around.before.eq_ignore_ascii_case("IN");
        match slot {
            Slot::Name(name) => self.sql.push_str(name),
            Slot::One(value) if behind_in => self.list(std::slice::from_ref(value), range, true),
            Slot::One(value) => self.list(std::slice::from_ref(value), range, false),
            Slot::List(values) => {
                let has_parentheses = matches!(around.before, "(" | ",") && matches!(around.after, ")" | ",");
                self.list(values, range, !has_parentheses);
            }
        }
        self.origins.push(Origin { sql: start..self.sql.len(), template: range.clone(), verbatim: false });
    }

    fn list(&mut self, values: &[BindValue], range: &Range<usize>, parentheses: bool) {
        let origin = self.template.body.text[range.clone()].to_owned();
        if parentheses {
            self.sql.push('(');
        }
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                self.sql.push_str(", ");
            }
            self.binds.push(Bind { origin: origin.clone(), value: value.clone() });
            self.sql.push_str(&placeholder(self.dialect, self.binds.len(), value));
        }
        if parentheses {
            self.sql.push(')');
        }
    }

    fn finish(mut self) -> Result<Placed, Vec<TemplateFinding>> {
        if self.binds.len() > BINDS_MAX {
            let message = format!("the statement binds {} values; the limit is {BINDS_MAX}", self.binds.len());
            self.findings.error("template_too_many_values", 0..self.template.body.text.len(), message, None);
        }
        if self.findings.has_error() {
            return Err(self.findings.sorted());
        }
        Ok(Placed { statement: Statement { sql: self.sql, binds: self.binds }, origins: self.origins })
    }
}
