//! Whether a statement only reads: a first guard, before the read-only session of the server.
//!
//! The words are checked always, by the dialect's own rules of quoting. The parser's tree is checked as well where
//! it can be built: no parser knows all of any dialect, so its failure is a warning.

use std::borrow::Cow;
use std::ops::Range;

use sqlparser::ast::{Query, SetExpr, Statement};
use sqlparser::parser::{Parser, ParserError};

use super::Dialect;
use super::denied::{
    CHANGING, ORACLE_LOB_READS, ORACLE_PURE_PACKAGES, SQL_SERVER_LOCKS, SQL_SERVER_STATEMENTS, denied_functions,
    matches_name,
};
use super::lex::{Token, TokenKind, lex};
use crate::template::Severity;

/// Nesting of a statement that is parsed; a deeper one is checked by its words alone.
pub(super) const PARSE_DEPTH_MAX: usize = 100;

/// Tokens of a statement that is parsed; the tree of a longer one may be too deep to be taken down again.
pub(crate) const PARSE_TOKENS_MAX: usize = 10_000;

/// Words that an expression follows: a dot behind one belongs to a number.
const BEFORE_EXPRESSION: &[&str] =
    &["SELECT", "DISTINCT", "ALL", "WHERE", "HAVING", "ON", "AND", "OR", "NOT", "BY", "CASE", "WHEN", "THEN", "ELSE"];

/// Something about a statement that keeps it, or may keep it, from being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFinding {
    /// Stable code.
    pub code: &'static str,
    /// Errors keep the statement from being sent.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Bytes of the SQL.
    pub range: Range<usize>,
}

/// Checks that SQL is one statement, and that it reads. Findings come in the order of their places.
pub fn check_read_only(sql: &str, dialect: Dialect) -> Vec<SqlFinding> {
    let mut found = check_reading(sql, dialect);
    // Some servers end a comment at a carriage return, others go on to the line feed. What either of them would execute
    // is looked at.
    let joined = lone_returns_as_blanks(sql);
    if joined != sql {
        for finding in check_reading(&joined, dialect) {
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
        found.sort_by_key(|finding| finding.range.start);
    }
    found
}

/// The SQL with a blank for every carriage return that no line feed follows; every place stays where it is.
fn lone_returns_as_blanks(sql: &str) -> Cow<'_, str> {
    if !sql.contains('\r') {
        return Cow::Borrowed(sql);
    }
    let mut chars = sql.chars().peekable();
    let mut joined = String::with_capacity(sql.len());
    while let Some(char) = chars.next() {
        let is_lone = char == '\r' && chars.peek() != Some(&'\n');
        joined.push(if is_lone { ' ' } else { char });
    }
    Cow::Owned(joined)
}

fn check_reading(sql: &str, dialect: Dialect) -> Vec<SqlFinding> {
    let tokens = lex(sql, dialect);
    let mut check =
        Check { sql, dialect, code: tokens.iter().filter(|token| token.is_code()).collect(), found: vec![] };
    if let Some(open) = tokens.iter().find(|token| token.unterminated) {
        check.error("sql_unterminated", open.range.clone(), "a quote or comment is never closed", None);
        return check.found;
    }
    if check.code.is_empty() {
        check.error("sql_empty", 0..sql.len(), "there is no statement", None);
        return check.found;
    }
    check.statements();
    check.first_word();
    check.words();
    check.functions();
    let read_by_words = check.found.iter().all(|finding| finding.severity != Severity::Error);
    if read_by_words {
        check.tree();
    }
    check.found.sort_by_key(|finding| finding.range.start);
    check.found
}

struct Check<'a> {
    sql: &'a str,
    dialect: Dialect,
    /// The tokens that are neither space nor comment.
    code: Vec<&'a Token>,
    found: Vec<SqlFinding>,
}

impl Check<'_> {
    fn error(&mut self, code: &'static str, range: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        self.found.push(SqlFinding {
            code,
            severity: Severity::Error,
            message: message.into(),
            help: help.map(str::to_owned),
            range,
        });
    }

    fn text(&self, place: usize) -> &str {
        self.code.get(place).map_or("", |token| &self.sql[token.range.clone()])
    }

    /// The word at a place in upper case; empty for anything else.
    fn word(&self, place: usize) -> String {
        match self.code.get(place) {
            Some(token) if token.kind == TokenKind::Word => self.text(place).to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn before(&self, place: usize) -> &str {
        place.checked_sub(1).map_or("", |before| self.text(before))
    }

    fn is_text(&self, place: usize) -> bool {
        self.code.get(place).is_some_and(|token| token.kind == TokenKind::Text)
    }

    /// Whether a dot before a place makes the word there a name. A dot behind a number or the sign of a currency ends that
    /// number: to SQL Server, `$.DELETE` is zero dollars and a second statement.
    fn is_qualified(&self, place: usize) -> bool {
        let Some(owner) = place.checked_sub(2).filter(|_| self.before(place) == ".") else { return false };
        match self.code[owner].kind {
            TokenKind::Word => !BEFORE_EXPRESSION.contains(&self.word(owner).as_str()),
            TokenKind::Name => true,
            _ => matches!(self.text(owner), "." | ")" | "]"),
        }
    }

    fn statements(&mut self) {
        let Some(end) = (0..self.code.len()).find(|place| self.text(*place) == ";") else { return };
        if let Some(second) = (end..self.code.len()).find(|place| self.text(*place) != ";") {
            let range = self.code[second].range.clone();
            let help = "a query is one statement: keep the one that reads";
            self.error("sql_many_statements", range, "a second statement begins here", Some(help));
        } else if self.dialect == Dialect::Oracle {
            let range = self.code[end].range.clone();
            let help = "leave the semicolon out";
            self.error("sql_semicolon", range, "Oracle refuses a statement that ends in `;` (ORA-00933)", Some(help));
        }
    }

    fn first_word(&mut self) {
        let Some(first) = (0..self.code.len()).find(|place| self.text(*place) != "(") else { return };
        let word = self.word(first);
        if word == "SELECT" || word == "WITH" || CHANGING.contains(&word.as_str()) {
            return; // A changing word is reported as such.
        }
        let range = self.code[first].range.clone();
        let message = format!("a query begins with SELECT or WITH, not with `{}`", self.text(first));
        self.error("sql_not_a_read", range, message, None);
    }

    fn words(&mut self) {
        for place in 0..self.code.len() {
            let range = self.code[place].range.clone();
            if self.code[place].kind == TokenKind::ExecutableComment {
                let message = format!("{} executes what stands in this comment", self.dialect.name());
                self.error("sql_executable_comment", range, message, Some("write it as code, or as a plain comment"));
                continue;
            }
            let word = self.word(place);
            let next = self.word(place + 1);
            let before = self.word(place.wrapping_sub(1));
            // Behind the name of a table or AS, any word is a name.
            if word.is_empty() || self.is_qualified(place) || before == "AS" {
                continue;
            }
            let is_call = self.text(place + 1) == "(";
            let is_oracle = self.dialect == Dialect::Oracle;
            match word.as_str() {
                "INTO" => {
                    let message = "a query gives back rows; it puts them INTO nothing";
                    self.error("sql_select_into", range, message, Some("leave INTO out"));
                }
                "FOR"
                    if matches!(next.as_str(), "UPDATE" | "SHARE")
                        || (next == "NO" && self.word(place + 2) == "KEY")
                        || (next == "KEY" && self.word(place + 2) == "SHARE") =>
                {
                    self.lock(range.start..self.code[place + 1].range.end);
                }
                "LOCK" if next == "IN" => self.lock(range),
                lock if self.dialect == Dialect::SqlServer && SQL_SERVER_LOCKS.contains(&lock) => self.lock(range),
                "UPDATE" if matches!(before.as_str(), "FOR" | "KEY") => {}
                // `MODEL … RULES UPDATE`, `LISTAGG(… ON OVERFLOW TRUNCATE)`, `JSON_TRANSFORM(a, REPLACE '$.b' = …)`.
                "UPDATE" if is_oracle && before == "RULES" => {}
                "TRUNCATE" if is_oracle && before == "OVERFLOW" => {}
                "INSERT" | "REPLACE" if is_oracle && self.is_text(place + 1) => {}
                "REPLACE" | "TRUNCATE" | "INSERT" if is_call => {}
                "MERGE" if matches!(next.as_str(), "JOIN" | "UNION") => {}
                "USE" if matches!(next.as_str(), "HINT" | "PLAN") => {}
                changing if CHANGING.contains(&changing) => {
                    let message = format!("`{}` changes the source; a query only reads", self.text(place));
                    let help = "if it is the name of a column, write it in quotes";
                    self.error("sql_not_a_read", range, message, Some(help));
                }
                other if place > 0 && self.dialect == Dialect::SqlServer && SQL_SERVER_STATEMENTS.contains(&other) => {
                    let message = format!("`{}` begins a statement of its own", self.text(place));
                    let help = "if it is the name of a column, write it in brackets";
                    self.error("sql_not_a_read", range, message, Some(help));
                }
                "END" if next == "CONVERSATION" => {
                    self.error("sql_not_a_read", range, "ending a conversation changes the source", None);
                }
                "NEXT" if next == "VALUE" && self.word(place + 2) == "FOR" => self.sequence(range),
                _ => {}
            }
        }
    }

    fn lock(&mut self, range: Range<usize>) {
        let help = "leave it out: reading needs no lock that others would wait for";
        self.error("sql_lock", range, "the query would lock rows of the source", Some(help));
    }

    fn sequence(&mut self, range: Range<usize>) {
        self.error("sql_side_effect", range, "taking the next value of a sequence changes the source", None);
    }

    fn functions(&mut self) {
        for place in 0..self.code.len() {
            let token = self.code[place];
            if !matches!(token.kind, TokenKind::Word | TokenKind::Name) {
                continue;
            }
            let name = unquoted(self.text(place)).to_lowercase();
            let next = self.text(place + 1);
            let range = token.range.clone();
            // A sequence of another database: `s.NEXTVAL@link`.
            let local = name.split('@').next().unwrap_or_default();
            if self.dialect == Dialect::Oracle && local == "nextval" && self.before(place) == "." {
                self.sequence(range);
                continue;
            }
            // A package of Oracle is named before the dot; elsewhere a schema is, which says nothing.
            let is_called = next == "(" || (self.dialect == Dialect::Oracle && next == ".");
            if !is_called || !denied_functions(self.dialect).iter().any(|denied| matches_name(denied, &name)) {
                continue;
            }
            if self.dialect == Dialect::Oracle && ORACLE_PURE_PACKAGES.contains(&name.as_str()) {
                let member = unquoted(self.text(place + 2)).to_lowercase();
                if name != "dbms_lob" || ORACLE_LOB_READS.contains(&member.as_str()) {
                    continue;
                }
            }
            let message = format!("`{}` does more than read, or holds up the server", self.text(place));
            self.error("sql_side_effect", range, message, Some("a query calls functions that only compute"));
        }
    }

    fn tree(&mut self) {
        if self.code.len() > PARSE_TOKENS_MAX {
            return self.unparsed(&ParserError::RecursionLimitExceeded);
        }
        let parsed = Parser::new(self.dialect.parser())
            .with_recursion_limit(PARSE_DEPTH_MAX)
            .try_with_sql(self.sql)
            .and_then(|mut parser| parser.parse_statements());
        match parsed {
            Err(error) => self.unparsed(&error),
            Ok(statements) => {
                let all = 0..self.sql.len();
                match statements.as_slice() {
                    [Statement::Query(query)] if reads(query) => {}
                    [_] => self.error("sql_not_a_read", all, "the statement does not only read", None),
                    _ => self.error("sql_many_statements", all, "a query is one statement", None),
                }
            }
        }
    }

    fn unparsed(&mut self, error: &ParserError) {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
            ParserError::RecursionLimitExceeded => "it is too long or nested too deeply",
        };
        let (message, range) =
            match message.rsplit_once(" at Line: ").and_then(|(m, place)| Some((m, place.split_once(", Column: ")?))) {
                Some((message, (line, column))) => (message, self.token_at(line.trim(), column.trim())),
                None => (message, 0..self.sql.len()),
            };
        self.found.push(SqlFinding {
            code: "sql_unparsed",
            // Servers take more than the parser knows; a spec is not the worse for using it.
            severity: Severity::Note,
            message: format!(
                "the check for {} does not know this syntax ({message}); only its words were checked",
                self.dialect.name()
            ),
            help: Some("`engine preview` shows whether the server takes it".to_owned()),
            range,
        });
    }

    /// The token at a line and column, both counted from 1 in characters.
    fn token_at(&self, line: &str, column: &str) -> Range<usize> {
        let whole = 0..self.sql.len();
        let (Ok(line), Ok(column)) = (line.parse::<usize>(), column.parse::<usize>()) else { return whole };
        let Some(text) = self.sql.split_inclusive('\n').nth(line.saturating_sub(1)) else { return whole };
        let start: usize = self.sql.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let within: usize = text.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let at = start + within;
        self.code.iter().find(|token| token.range.contains(&at)).map_or(whole, |token| token.range.clone())
    }
}

/// A name without its quotes.
pub(crate) fn unquoted(text: &str) -> &str {
    let mut chars = text.chars();
    match (chars.next(), chars.next_back()) {
        (Some('"'), Some('"')) | (Some('`'), Some('`')) | (Some('['), Some(']')) => &text[1..text.len() - 1],
        _ => text,
    }
}

fn reads(query: &Query) -> bool {
    let tables = query.with.iter().flat_map(|with| &with.cte_tables);
    query.locks.is_empty() && tables.into_iter().all(|table| reads(&table.query)) && body_reads(&query.body)
}

fn body_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => reads(query),
        SetExpr::SetOperation { left, right, .. } => body_reads(left) && body_reads(right),
        SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

#[cfg(test)]
mod tests;
