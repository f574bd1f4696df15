//! A template, checked and ready to be rendered.

use std::fmt::Write as _;
use std::io;
use std::ops::Range;

use minijinja::machinery::{Token, parse, tokenize};
use minijinja::{Error, ErrorKind, Output, State, Value};

use super::analyse::{Analysis, Name, analyse};
use super::place::{Placed, place};
use super::values::{BIND_FILTER, Emitted, Slot, context, environment, refused, slot};
use super::{STATEMENT_BYTES_MAX, Scope, Statement, TEMPLATE_BYTES_MAX, TemplateError, TemplateFinding, Uses};
use crate::jinja::{Findings, clamp, oversized, span_range, syntax, syntax_finding};
use crate::sql::{Dialect, SLOT_END, SLOT_START, is_private_mark};

/// Begins the mark of a place in the template; digits and [`SLOT_END`] follow.
pub(super) const PLACE_START: char = '\u{FDD2}';
/// The name under which a template is compiled; only its own messages show it.
const TEMPLATE_NAME: &str = "query";

/// What a template is written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// A statement: values are bound.
    Sql(Dialect),
    /// A part of a request: values are encoded.
    Text,
}

/// A query template that has passed the checks which need no values.
#[derive(Debug, Clone)]
pub struct SqlTemplate {
    pub(super) body: Body,
    dialect: Dialect,
}

/// A template of any medium that has passed the checks which need no values.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) text: String,
    medium: Medium,
    /// Every name that is used, and where.
    pub(super) names: Vec<(Name, Range<usize>)>,
    /// The conditions of every chain of branches.
    pub(super) branches: Vec<Vec<Range<usize>>>,
    /// The expression of every `{{ … }}`.
    emits: Vec<Range<usize>>,
    /// Where each piece of plain text begins.
    texts: Vec<usize>,
    /// Whether there are statements, `{% … %}`.
    has_blocks: bool,
}

/// What a rendering says: its text with marks, and the number of the `{{ … }}` and the value behind every mark.
pub(super) type Marked = (String, Vec<(usize, Slot)>);

impl SqlTemplate {
    /// Reads a template. Findings are all there are; with an error among them there is no template.
    ///
    /// Whether a parameter or cursor column exists is not known here: see [`super::check_sql`].
    pub fn parse(text: &str, dialect: Dialect) -> (Option<Self>, Vec<TemplateFinding>) {
        let (body, found) = Body::parse(text, Medium::Sql(dialect));
        let mut findings = Findings(found);
        let Some(body) = body else { return (None, findings.0) };
        let template = Self { body, dialect };
        if !template.body.has_blocks {
            findings.0.extend(template.misplaced());
        }
        if findings.has_error() { (None, findings.sorted()) } else { (Some(template), findings.sorted()) }
    }

    /// The names that the template uses in any of its branches.
    pub fn uses(&self) -> Uses {
        self.body.uses()
    }

    /// The dialect that it is rendered for.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The first place where a bound of the window is used.
    pub(crate) fn place_of_window(&self) -> Option<Range<usize>> {
        let mut names = self.body.names.iter();
        names.find(|(name, _)| matches!(name, Name::WindowStart | Name::WindowEnd)).map(|(_, place)| place.clone())
    }

    /// Renders the template: its text as it stands, with a placeholder for every value.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Statement, TemplateError> {
        self.render_placed(scope, &[]).map(|placed| placed.statement).map_err(first)
    }

    /// Renders with some conditions replaced; an error comes with at least one finding.
    pub(super) fn render_placed(
        &self,
        scope: &Scope<'_>,
        forced: &[(Range<usize>, bool)],
    ) -> Result<Placed, Vec<TemplateFinding>> {
        let (output, slots) = self.body.render_marked(scope, forced).map_err(|finding| vec![finding])?;
        place(&output, &slots, self)
    }

    /// The expression of a `{{ … }}`, by its number.
    pub(super) fn emit_range(&self, number: usize) -> Range<usize> {
        self.body.emit_range(number)
    }

    /// Placeholders inside quotes or comments, for a template without branches: its text is there without values.
    fn misplaced(&self) -> Vec<TemplateFinding> {
        // What they become does not matter where they must not stand.
        let slots: Vec<(usize, Slot)> =
            (0..self.body.emits.len()).map(|number| (number, Slot::Name("x".to_owned()))).collect();
        place(&self.marked(), &slots, self).err().unwrap_or_default()
    }

    /// The text of all branches, one after the other, with marks for its places and for every `{{ … }}`.
    pub(super) fn marked(&self) -> String {
        let mut text = String::new();
        let mut slots = 0;
        for (token, _) in tokenize(&self.body.text, false, syntax()).map_while(Result::ok) {
            match token {
                Token::TemplateData(data) => {
                    mark(&mut text, PLACE_START, offset_in(&self.body.text, data));
                    text.push_str(data);
                }
                Token::VariableStart => {
                    mark(&mut text, SLOT_START, slots);
                    slots += 1;
                }
                // Without it, the end of one branch and the start of the next could be one word.
                Token::BlockEnd => text.push(' '),
                _ => {}
            }
        }
        text
    }

    /// The numbers and places of every `{{ … }}`.
    pub(super) fn emit_ranges(&self) -> &[Range<usize>] {
        &self.body.emits
    }
}

impl Body {
    /// Reads a template. Findings are all there are; with an error among them there is no template.
    pub(super) fn parse(text: &str, medium: Medium) -> (Option<Self>, Vec<TemplateFinding>) {
        let mut findings = Findings::default();
        if text.len() > TEMPLATE_BYTES_MAX {
            let message = format!("the template has {} bytes; the limit is {TEMPLATE_BYTES_MAX}", text.len());
            findings.error("template_too_large", 0..0, message, None);
            return (None, findings.0);
        }
        for (at, mark) in text.char_indices().filter(|(_, c)| is_private_mark(*c)) {
            let message = format!("the character U+{:04X} is not text", u32::from(mark));
            findings.error("template_character", at..at + mark.len_utf8(), message, None);
        }
        if let Some((range, message)) = oversized(text, false) {
            findings.error("template_too_large", range, message, None);
        }
        if findings.has_error() {
            return (None, findings.sorted());
        }
        let root = match parse(text, TEMPLATE_NAME, syntax()) {
            Ok(root) => root,
            Err(error) => {
                findings
                    .0
                    .push(unknown_statement(text).unwrap_or_else(|| syntax_finding("template_syntax", text, &error)));
                return (None, findings.0);
            }
        };
        let Analysis { uses, branches, .. } = analyse(&root, medium, &mut findings);
        let Pieces { emits, texts, has_blocks } = Pieces::of(text);
        let template = Self { text: text.to_owned(), medium, names: uses, branches, emits, texts, has_blocks };
        if findings.has_error() { (None, findings.sorted()) } else { (Some(template), findings.sorted()) }
    }

    /// The names that the template uses in any of its branches.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        for (name, _) in &self.names {
            match name {
                Name::WindowStart => uses.window_start = true,
                Name::WindowEnd => uses.window_end = true,
                Name::Cursor(column) => _ = uses.cursor.insert(column.clone()),
                Name::Param(param) => _ = uses.params.insert(param.clone()),
                Name::RunNow => {}
            }
        }
        uses
    }

    /// Whether the template is one `{{ … }}` and nothing else.
    pub(super) fn is_lone(&self) -> bool {
        self.emits.len() == 1 && self.texts.is_empty() && !self.has_blocks
    }

    /// Renders, with some conditions replaced, to text with a mark for every value and for every piece of text.
    pub(super) fn render_marked(
        &self,
        scope: &Scope<'_>,
        forced: &[(Range<usize>, bool)],
    ) -> Result<Marked, TemplateFinding> {
        let program = Program::write(self, forced);
        self.run(&program, scope).map_err(|error| self.render_finding(&program, &error))
    }

    fn run(&self, program: &Program, scope: &Scope<'_>) -> Result<Marked, Error> {
        let mut env = environment(self.medium);
        env.set_formatter(emit);
        let template = env.template_from_named_str(TEMPLATE_NAME, &program.text)?;
        let mut bytes = Limited(Vec::new());
        let captured = template.render_captured_to(context(scope), &mut bytes)?;
        let slots = captured.state().get_extension::<Slots>().map(|slots| slots.0.clone()).unwrap_or_default();
        let text = String::from_utf8(bytes.0).map_err(|_| refused("the statement is not text"))?;
        Ok((text, slots))
    }

    fn render_finding(&self, program: &Program, error: &Error) -> TemplateFinding {
        let mut range = error.range().map_or(0..self.text.len(), |range| program.origin(&range, &self.text));
        let contains = |emit: &&Range<usize>| emit.start <= range.start && range.end <= emit.end;
        if (range.is_empty() || error.kind() != ErrorKind::UndefinedError)
            && let Some(emit) = self.emits.iter().find(contains)
        {
            // The place of a filter or of the whole value says less than the expression.
            range = emit.clone();
        }
        let inner = std::error::Error::source(error).map(ToString::to_string);
        let shown = self.text.get(range.clone()).unwrap_or_default();
        let (code, message) = match error.kind() {
            ErrorKind::UndefinedError => ("template_no_value", format!("`{shown}` has no value")),
            ErrorKind::OutOfFuel => ("template_too_long", "rendering takes too many steps".to_owned()),
            ErrorKind::WriteFailure => {
                let message = format!("the statement is longer than {STATEMENT_BYTES_MAX} bytes");
                ("template_too_long", message)
            }
            _ => {
                let detail = error.detail().map(str::to_owned).or(inner).unwrap_or_else(|| error.kind().to_string());
                ("template_value", format!("`{shown}`: {detail}"))
            }
        };
        let help = (code == "template_no_value" && shown.starts_with("cursor."))
            .then(|| format!("before the first run there is no cursor: `{{% if {shown} is defined %}}`"));
        TemplateFinding { code, severity: super::Severity::Error, message, range, help, meant: None }
    }

    /// The expression of a `{{ … }}`, by its number.
    pub(super) fn emit_range(&self, number: usize) -> Range<usize> {
        self.emits[number].clone()
    }
}

/// The first of some findings, as an error.
pub(super) fn first(mut findings: Vec<TemplateFinding>) -> TemplateError {
    let first = findings.swap_remove(0);
    let message = first.help.map_or(first.message.clone(), |help| format!("{}; {help}", first.message));
    TemplateError { code: first.code, message, range: first.range }
}

/// The bound values of a rendering: the number of the `{{ … }}` and what it became.
#[derive(Debug, Default)]
struct Slots(Vec<(usize, Slot)>);

/// Writes a mark for every value instead of the value: the one way from a value to the statement.
fn emit(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let emitted = value.downcast_object_ref::<Emitted>().ok_or_else(|| refused("a value would become text"))?;
    if emitted.value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let slot = slot(&emitted.value)?;
    let slots = &mut state.get_or_insert_extension_with(Slots::default).0;
    let number = slots.len();
    slots.push((emitted.slot, slot));
    write!(out, "{SLOT_START}{number}{SLOT_END}").map_err(Error::from)
}

fn mark(text: &mut String, start: char, number: usize) {
    write!(text, "{start}{number}{SLOT_END}").expect("writing to a string cannot fail");
}

/// Takes bytes up to the limit of a statement.
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > STATEMENT_BYTES_MAX {
            return Err(io::Error::other("the statement is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a piece begins in the text that it was cut from.
fn offset_in(text: &str, piece: &str) -> usize {
    piece.as_ptr() as usize - text.as_ptr() as usize
}

/// The pieces of a template's text.
#[derive(Default)]
struct Pieces {
    emits: Vec<Range<usize>>,
    texts: Vec<usize>,
    has_blocks: bool,
}

impl Pieces {
    fn of(text: &str) -> Self {
        let mut pieces = Self::default();
        let mut open = 0;
        for (token, span) in tokenize(text, false, syntax()).map_while(Result::ok) {
            let range = span_range(span);
            match token {
                Token::TemplateData(data) if !data.is_empty() => pieces.texts.push(offset_in(text, data)),
                Token::VariableStart => open = range.end,
                Token::VariableEnd => {
                    let inner = &text[open..range.start];
                    let start = open + inner.len() - inner.trim_start().len();
                    pieces.emits.push(start..start + inner.trim().len());
                }
                Token::BlockStart => pieces.has_blocks = true,
                _ => {}
            }
        }
        pieces
    }
}

/// A finding for a statement that the template language has elsewhere but not here.
fn unknown_statement(text: &str) -> Option<TemplateFinding> {
    const ELSEWHERE: [&str; 8] = ["include", "extends", "import", "from", "macro", "call", "block", "do"];
    let mut tokens = tokenize(text, false, syntax()).map_while(Result::ok).peekable();
    while let Some((token, _)) = tokens.next() {
        let Token::BlockStart = token else { continue };
        if let Some((Token::Ident(name), span)) = tokens.peek()
            && ELSEWHERE.contains(name)
        {
            let mut findings = Findings::default();
            let help = Some("templates have `if`, `for`, `set` and `with`".to_owned());
            findings.error(
                "template_not_allowed",
                span_range(*span),
                format!("`{name}` is not allowed in a query"),
                help,
            );
            return findings.0.pop();
        }
    }
    None
}

/// A template rewritten so that every value and every piece of text says where it comes from.
struct Program {
    text: String,
    /// Places of this text and the places of the template that they stand for, ascending.
    anchors: Vec<(usize, usize)>,
}

impl Program {
    fn write(template: &Body, forced: &[(Range<usize>, bool)]) -> Self {
        let mut edits: Vec<(Range<usize>, String)> = vec![];
        for (number, emit) in template.emits.iter().enumerate() {
            edits.push((emit.start..emit.start, "(".to_owned()));
            edits.push((emit.end..emit.end, format!(")|{BIND_FILTER}({number})")));
        }
        for text in &template.texts {
            edits.push((*text..*text, format!("{PLACE_START}{text}{SLOT_END}")));
        }
        for (condition, truth) in forced {
            edits.push((condition.clone(), truth.to_string()));
        }
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut program = Self { text: String::new(), anchors: vec![(0, 0)] };
        let mut at = 0;
        for (range, with) in edits {
            program.text.push_str(&template.text[at..range.start]);
            program.text.push_str(&with);
            at = range.end;
            program.anchors.push((program.text.len(), at));
        }
        program.text.push_str(&template.text[at..]);
        program
    }

    /// The bytes of the template that bytes of this text stand for.
    fn origin(&self, range: &Range<usize>, template: &str) -> Range<usize> {
        let back = |at: usize| {
            let next = self.anchors.partition_point(|(here, _)| *here <= at);
            let (here, there) = self.anchors[next - 1];
            let limit = self.anchors.get(next).map_or(template.len(), |(_, there)| *there);
            (there + (at - here)).min(limit)
        };
        clamp(back(range.start)..back(range.end), template)
    }
}
