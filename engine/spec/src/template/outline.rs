//! The SQL of a template as lints see it: the words of all branches, and what the window's bounds are compared with.
//!
//! It is read word by word, not parsed: what is not understood is left out, and no lint speaks of it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::analyse::Name;
use super::place::{origin_of, strip_places};
use super::render::SqlTemplate;
use crate::jinja::clamp;
use crate::sql::{Dialect, PARSE_TOKENS_MAX, Token, TokenKind, lex, unquoted};

mod habits;
mod named;

pub(crate) use named::{END_NAME, START_NAME};

/// Words after which an operand of a comparison begins.
const BEFORE_OPERAND: [&str; 8] = ["WHERE", "AND", "OR", "ON", "NOT", "WHEN", "HAVING", "("];
/// Words after which a column of a result begins.
const BEFORE_COLUMN: [&str; 4] = ["SELECT", "DISTINCT", "ALL", ","];
/// Words that are never the name of a column, and end one before them.
const KEYWORDS: [&str; 17] = [
    "SELECT", "DISTINCT", "ALL", "AS", "BY", "AND", "OR", "FROM", "JOIN", "WHERE", "ON", "NOT", "CASE", "THEN", "ELSE",
    "WHEN", "END",
];
/// Signs after a value that make it a part of a calculation.
const ARITHMETIC: [&str; 6] = ["+", "-", "*", "/", "%", "|"];

/// Functions that give a bound the type of its column, and leave it the same time.
const CONVERSIONS: [&str; 6] = ["CAST", "TRY_CAST", "CONVERT", "TRY_CONVERT", "TO_DATE", "TO_TIMESTAMP"];

/// Times that a column may be renamed on its way to the result; beyond, it counts as calculated.
const RENAMES_MAX: usize = 8;

/// An end of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Start,
    End,
}

/// How a column is compared with a bound, the column on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Between,
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Between => Self::Between,
        }
    }
}

/// A place where the query uses a bound of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Which bound.
    pub(crate) bound: Bound,
    /// The operator and its bytes of the template; none where the bound is not simply compared.
    pub(crate) operator: Option<(Operator, Range<usize>)>,
    /// The column, without its table and quotes, and its bytes of the template; none where it is not a column alone.
    pub(crate) column: Option<(String, Range<usize>)>,
    /// The bytes of the bound in the template.
    pub(crate) place: Range<usize>,
    /// What is calculated from a column before it is compared.
    pub(crate) calculated: Option<Calculated>,
    /// The bytes of a conversion that takes the time of day off the bound.
    pub(crate) cut: Option<Range<usize>>,
}

/// A function around columns: `date(booked_at)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calculated {
    /// The function, in upper case.
    pub(crate) function: String,
    /// Every name inside, in lower case.
    pub(crate) names: Vec<String>,
    /// The bytes of the template.
    pub(crate) place: Range<usize>,
}

/// The words of a template's SQL.
pub(crate) struct Outline {
    template: String,
    text: String,
    /// Without spaces and comments.
    tokens: Vec<Token>,
    /// The bound that each `{{ … }}` stands for, and its bytes of the template.
    values: Vec<(Option<Bound>, Range<usize>)>,
    /// The filters of each `{{ … }}`, by its bytes of the template.
    filters: Vec<(Range<usize>, Vec<String>)>,
    places: Vec<(usize, usize)>,
    dialect: Dialect,
}

impl Outline {
    pub(crate) fn of(template: &SqlTemplate) -> Self {
        let (text, places) = strip_places(&template.marked());
        let tokens = lex(&text, template.dialect()).into_iter().filter(Token::is_code).collect();
        let bound_in = |emit: &Range<usize>| {
            let inside =
                template.body.names.iter().filter(|(_, range)| emit.start <= range.start && range.end <= emit.end);
            let mut bounds = inside.filter_map(|(name, _)| match name {
                Name::WindowStart => Some(Bound::Start),
                Name::WindowEnd => Some(Bound::End),
                Name::Cursor(_) | Name::Param(_) | Name::RunNow => None,
            });
            let first = bounds.next()?;
            bounds.all(|other| other == first).then_some(first)
        };
        let values = template.emit_ranges().iter().map(|emit| (bound_in(emit), emit.clone())).collect();
        let filters_of = |emit: &Range<usize>| {
            let expression = &template.body.text[emit.clone()];
            expression.split('|').skip(1).map(|filter| word_of(filter).to_owned()).collect()
        };
        let filters = template.emit_ranges().iter().map(|emit| (emit.clone(), filters_of(emit))).collect();
        let template_text = template.body.text.clone();
        Self { template: template_text, text, tokens, values, filters, places, dialect: template.dialect() }
    }

    /// Whether one of these words, in upper case, stands in the code; two words are written with a blank.
    pub(crate) fn has_any(&self, words: &[&str]) -> bool {
        (0..self.tokens.len()).any(|at| {
            words.iter().any(|words| words.split(' ').enumerate().all(|(offset, word)| self.is(at + offset, word)))
        })
    }

    /// The dialect that the template is rendered for.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether the query is longer than anything that a person wrote, and looking for pairs in it would take long.
    pub(crate) fn is_beyond_reading(&self) -> bool {
        self.tokens.len() > PARSE_TOKENS_MAX
    }

    /// The template's own text.
    pub(crate) fn template_text(&self, place: &Range<usize>) -> &str {
        self.template.get(place.clone()).unwrap_or_default()
    }

    /// Where the bounds of the window are used.
    pub(crate) fn comparisons(&self) -> Vec<Comparison> {
        (0..self.tokens.len())
            .filter_map(|at| {
                let TokenKind::Slot(slot) = self.tokens[at].kind else { return None };
                let (bound, place) = &self.values[slot];
                let place = place.clone();
                let mut comparison =
                    Comparison { bound: (*bound)?, operator: None, column: None, place, calculated: None, cut: None };
                self.compared(at, &mut comparison);
                Some(comparison)
            })
            .collect()
    }

    fn compared(&self, at: usize, comparison: &mut Comparison) {
        if ARITHMETIC.contains(&self.text_at(at + 1)) {
            return;
        }
        let cut = self.cut(at);
        comparison.cut = cut.map(|(first, last)| self.origin(first, last));
        let (first, last) = cut.or_else(|| self.conversion_around(at)).unwrap_or((at, at));
        if ARITHMETIC.contains(&self.text_at(last + 1)) {
            return;
        }
        let between = match comparison.bound {
            Bound::Start if self.is_before(first, 1, "BETWEEN") => Some(first - 1),
            Bound::End if self.is_before(at, 1, "AND") && self.is_before(at, 3, "BETWEEN") => Some(at - 3),
            _ => None,
        };
        if let Some(between) = between {
            comparison.operator = Some((Operator::Between, self.origin(between, between)));
            comparison.column = self.operand_before(between);
            comparison.calculated = self.calculated_before(between);
        } else if let Some((operator, begin)) = self.operator_before(first) {
            comparison.operator = Some((operator, self.origin(begin, first - 1)));
            comparison.column = self.operand_before(begin);
            comparison.calculated = self.calculated_before(begin);
        } else if let Some((operator, end)) = self.operator_after(last)
            && (first == 0 || self.is_any(first - 1, &BEFORE_OPERAND))
        {
            comparison.operator = Some((operator.turned(), self.origin(last + 1, end)));
            comparison.column = self.operand_after(end + 1);
        }
    }

    /// The first and the last token of the conversion that has the bound at a token as its value: of
    /// `CAST({{ window.start }} AS DATE)`, `CAST` and the bracket that closes it.
    fn conversion_around(&self, at: usize) -> Option<(usize, usize)> {
        if !self.is_any(at.checked_sub(1)?, &["(", ","]) {
            return None;
        }
        let name = self.bracket((0..at).rev(), ")", "(")?.checked_sub(1)?;
        if !self.is_any(name, &CONVERSIONS) {
            return None;
        }
        Some((name, self.bracket(at..self.tokens.len(), "(", ")")?))
    }

    /// The first of some tokens that is a bracket without its counterpart among those before.
    fn bracket(&self, mut tokens: impl Iterator<Item = usize>, counterpart: &str, bracket: &str) -> Option<usize> {
        let mut depth = 0_usize;
        tokens.find(|at| {
            if self.is(*at, counterpart) {
                depth += 1;
            } else if self.is(*at, bracket) {
                if depth == 0 {
                    return true;
                }
                depth -= 1;
            }
            false
        })
    }

    /// The operator that ends right before a token, and where it begins.
    fn operator_before(&self, at: usize) -> Option<(Operator, usize)> {
        [2, 1].into_iter().find_map(|len| {
            let first = at.checked_sub(len)?;
            Some((self.operator(first, at - 1)?, first))
        })
    }

    /// The operator that begins right after a token, and where it ends.
    fn operator_after(&self, at: usize) -> Option<(Operator, usize)> {
        [2, 1].into_iter().find_map(|len| Some((self.operator(at + 1, at + len)?, at + len)))
    }

    fn operator(&self, first: usize, last: usize) -> Option<Operator> {
        let (first, last) = (self.tokens.get(first)?, self.tokens.get(last)?);
        Operator::parse(&self.text[first.range.start..last.range.end])
    }

    /// The column that ends right before a token, where it is an operand by itself.
    fn operand_before(&self, at: usize) -> Option<(String, Range<usize>)> {
        let last = at.checked_sub(1)?;
        let first = self.name_start(last)?;
        let is_whole = first.checked_sub(1).is_none_or(|before| self.is_any(before, &BEFORE_OPERAND));
        is_whole.then(|| (self.name(last), self.origin(first, last)))
    }

    /// The column that begins at a token, where it is an operand by itself.
    fn operand_after(&self, first: usize) -> Option<(String, Range<usize>)> {
        let mut last = first;
        while self.is_name(last) && self.is(last + 1, ".") {
            last += 2;
        }
        let next = self.text_at(last + 1);
        let ends = matches!(next, "" | ")" | ";") || self.kind(last + 1) == Some(TokenKind::Word);
        (self.is_name(last) && ends).then(|| (self.name(last), self.origin(first, last)))
    }

    /// Where the name begins, with its table, whose last part is at a token.
    fn name_start(&self, last: usize) -> Option<usize> {
        if !self.is_name(last) {
            return None;
        }
        let mut first = last;
        while first >= 2 && self.is(first - 1, ".") && self.is_name(first - 2) {
            first -= 2;
        }
        Some(first)
    }

    /// What the names of columns stand for.
    pub(crate) fn columns(&self) -> Columns {
        let mut columns = Columns::default();
        for at in 0..self.tokens.len() {
            if !self.is_name(at) {
                continue;
            }
            columns.named.insert(self.name(at));
            let Some(before) = at.checked_sub(1) else { continue };
            let is_last = matches!(self.text_at(at + 1), "" | "," | ")") || self.is(at + 1, "FROM");
            if self.is(before, "AS") {
                columns.alias(self.name(at), before.checked_sub(1).and_then(|last| self.selected(last)));
            } else if is_last && self.ends_expression(before) {
                columns.alias(self.name(at), self.selected(before));
            } else if self.is(at + 1, "=") && self.is_any(before, &BEFORE_COLUMN) {
                columns.alias(self.name(at), None);
            }
        }
        columns
    }

    /// The column of a result that ends at a token, where it is a column alone.
    fn selected(&self, last: usize) -> Option<String> {
        let before = self.name_start(last)?.checked_sub(1)?;
        self.is_any(before, &BEFORE_COLUMN).then(|| self.name(last))
    }

    fn ends_expression(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(TokenKind::Word) => self.is_name(at) || self.is(at, "END"),
            Some(TokenKind::Symbol) => self.is(at, ")"),
            Some(TokenKind::Name | TokenKind::Text | TokenKind::Number | TokenKind::Slot(_)) => true,
            _ => false,
        }
    }

    /// The bytes of every `*` that stands for all columns of a table.
    pub(crate) fn stars(&self) -> Vec<Range<usize>> {
        let derived = self.derived_tables();
        (0..self.tokens.len())
            .filter(|at| self.is(*at, "*"))
            .filter(|at| {
                let Some(before) = at.checked_sub(1) else { return false };
                if self.is(before, ".") {
                    let table = before.checked_sub(1).map(|table| self.name(table));
                    return table.is_none_or(|table| !derived.contains(&table));
                }
                let is_star = self.is_any(before, &BEFORE_COLUMN) || self.is(at + 1, "FROM");
                let of_derived = self.is(at + 1, "FROM")
                    && (self.is(at + 2, "(") || (self.is_name(at + 2) && derived.contains(&self.name(at + 2))));
                let is_asked_only = before >= 2 && self.is(before - 1, "(") && self.is(before - 2, "EXISTS");
                is_star && !of_derived && !is_asked_only
            })
            .map(|at| self.origin(at, at))
            .collect()
    }

    /// The names of queries inside the query: what their columns are is said there.
    fn derived_tables(&self) -> BTreeSet<String> {
        (1..self.tokens.len())
            .filter_map(|at| {
                let is_common = self.is(at, "AS") && self.is(at + 1, "(") && self.is_name(at - 1);
                let is_inner = self.is(at - 1, ")") && self.is_name(at);
                let is_inner_as = at >= 2 && self.is(at - 2, ")") && self.is(at - 1, "AS") && self.is_name(at);
                if is_common { Some(self.name(at - 1)) } else { (is_inner || is_inner_as).then(|| self.name(at)) }
            })
            .collect()
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn text_at(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &self.text[token.range.clone()])
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.text_at(at).eq_ignore_ascii_case(word)
    }

    fn is_before(&self, at: usize, distance: usize, word: &str) -> bool {
        at.checked_sub(distance).is_some_and(|at| self.is(at, word))
    }

    fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    fn is_name(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(TokenKind::Name) => true,
            Some(TokenKind::Word) => !self.is_any(at, &KEYWORDS),
            _ => false,
        }
    }

    /// A name for comparison: without quotes, in lower case.
    fn name(&self, at: usize) -> String {
        unquoted(self.text_at(at)).to_lowercase()
    }

    /// The bytes of the template behind tokens.
    fn origin(&self, first: usize, last: usize) -> Range<usize> {
        let (first, last) = (&self.tokens[first], &self.tokens[last]);
        let start = origin_of(first.range.start, &self.places);
        let end = match last.kind {
            // The mark of a value has another length than its braces.
            TokenKind::Slot(slot) => {
                let value = self.values[slot].1.end;
                value + self.template[value..].find("}}").map_or(0, |braces| braces + "}}".len())
            }
            _ => origin_of(last.range.end.saturating_sub(1), &self.places) + 1,
        };
        // Where a quote is never closed, the blanks that stand for the ends of blocks are a part of the last word.
        clamp(start..end, &self.template)
    }
}

/// The word that a text begins with.
fn word_of(text: &str) -> &str {
    let text = text.trim_start();
    text.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default()
}

/// What the names of a query's columns stand for. Names are in lower case.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Every name of the query.
    named: BTreeSet<String>,
    /// Pairs of names for one column.
    same: Vec<(String, String)>,
    /// Names of what is calculated.
    calculated: BTreeSet<String>,
}

impl Columns {
    fn alias(&mut self, name: String, of: Option<String>) {
        match of {
            Some(column) => self.same.push((column, name)),
            None => _ = self.calculated.insert(name),
        }
    }

    /// Whether the query names a column.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.contains(&name.to_lowercase())
    }

    /// Every name of the column that has a name; none where it is calculated.
    pub(crate) fn names_of(&self, name: &str) -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::from([name.to_lowercase()]);
        for _ in 0..RENAMES_MAX {
            let before = names.len();
            for (left, right) in &self.same {
                if names.contains(left) || names.contains(right) {
                    names.extend([left.clone(), right.clone()]);
                }
            }
            if names.len() == before {
                return names.is_disjoint(&self.calculated).then_some(names);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
