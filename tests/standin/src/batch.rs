//! From the text of a batch to single statements.
//!
//! T-SQL puts nothing between statements, so the words that begin one are looked for. Words that can also stand
//! within a statement are told apart by the statement they stand in.

mod parse;

pub(crate) use parse::{parse_condition, parse_expression, parse_query, parse_statement};

use sqlparser::dialect::{Dialect, MsSqlDialect, OracleDialect};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::compile::place;
use crate::errors::{Fallible, error, syntax};
use crate::{Product, ServerError};

/// Statements within statements.
const DEPTH_MAX: usize = 32;

/// The tokens of a statement, without blanks and comments.
pub(crate) type Tokens = Vec<TokenWithSpan>;

/// A statement, or what decides over statements.
#[derive(Debug)]
pub(crate) enum Node {
    Plain(Tokens),
    Block(Vec<Node>),
    If { condition: Tokens, then: Box<Node>, otherwise: Option<Box<Node>> },
    While { condition: Tokens, body: Box<Node> },
    Try { body: Vec<Node>, handler: Vec<Node> },
}

pub(crate) fn dialect(product: Product) -> Box<dyn Dialect> {
    match product {
        Product::SqlServer => Box::new(MsSqlDialect {}),
        Product::Oracle => Box::new(OracleDialect {}),
    }
}

/// Cuts text into tokens.
pub(crate) fn tokens(product: Product, text: &str) -> Fallible<Tokens> {
    let dialect = dialect(product);
    let all = Tokenizer::new(dialect.as_ref(), text).tokenize_with_location().map_err(|failure| {
        let raised = match product {
            Product::SqlServer if failure.message.contains("string") => {
                error(105, format!("Unclosed quotation mark after the character string '{text}'."))
            }
            Product::SqlServer => error(102, "Incorrect syntax."),
            Product::Oracle if failure.message.contains("string") => {
                error(1756, "quoted string not properly terminated")
            }
            Product::Oracle => error(911, "invalid character"),
        };
        ServerError { place: place(product, text, failure.location), ..raised }
    })?;
    let all = all.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    let all = all.collect::<Tokens>();
    Ok(fixed_up(product, &all))
}

/// Rewrites what sqlparser does not know into what it knows.
fn fixed_up(product: Product, all: &[TokenWithSpan]) -> Tokens {
    let mut kept: Tokens = Vec::with_capacity(all.len());
    let mut at = 0;
    while at < all.len() {
        let words = (0..4)
            .map(|more| all.get(at + more).map(|token| word(&token.token)).unwrap_or_default())
            .collect::<Vec<_>>();
        let words = words.iter().map(String::as_str).collect::<Vec<_>>();
        match words.as_slice() {
            // `TIMESTAMP(6) WITH LOCAL TIME ZONE` becomes `TIMESTAMP_LTZ(6)`.
            ["WITH", "LOCAL", "TIME", "ZONE"] if product == Product::Oracle => {
                if let Some(name) = kept.iter_mut().rev().take(4).find(|token| word(&token.token) == "TIMESTAMP") {
                    name.token = Token::make_word("TIMESTAMP_LTZ", None);
                }
                at += 4;
                continue;
            }
            // `INTERVAL DAY(2) TO SECOND(6)` becomes `INTERVAL_DS(2,6)`.
            ["INTERVAL", first @ ("DAY" | "YEAR"), ..] if product == Product::Oracle => {
                let name = if *first == "DAY" { "INTERVAL_DS" } else { "INTERVAL_YM" };
                at = interval(all, at, name, &mut kept);
                continue;
            }
            // `VARCHAR2(20 CHAR)`
            ["CHAR" | "BYTE", ..]
                if product == Product::Oracle
                    && matches!(kept.last().map(|token| &token.token), Some(Token::Number(..)))
                    && matches!(all.get(at + 1).map(|token| &token.token), Some(Token::RParen)) =>
            {
                at += 1;
                continue;
            }
            // `1.5d`
            ["D" | "F", ..] if product == Product::Oracle && touches(kept.last(), &all[at]) => {
                if let Some(TokenWithSpan { token: Token::Number(digits, _), .. }) = kept.last_mut() {
                    digits.push_str(&all[at].token.to_string());
                }
                at += 1;
                continue;
            }
            // `DELETE t WHERE …`
            ["DELETE", next, after, ..] if !next.is_empty() && *next != "FROM" && *after != "FROM" => {
                kept.push(all[at].clone());
                kept.push(TokenWithSpan { token: Token::make_keyword("FROM"), span: all[at].span });
                at += 1;
                continue;
            }
            // `OPTION (RECOMPILE)`: how a plan is made is no matter here.
            ["OPTION", ..]
                if product == Product::SqlServer
                    && matches!(all.get(at + 1).map(|token| &token.token), Some(Token::LParen)) =>
            {
                at = closing(all, at + 1) + 1;
                continue;
            }
            _ => {}
        }
        kept.push(all[at].clone());
        at += 1;
    }
    kept
}

/// Writes the type of an interval, and says where the tokens behind it begin.
fn interval(all: &[TokenWithSpan], start: usize, name: &str, kept: &mut Tokens) -> usize {
    let mut end = start + 1;
    let mut digits = Vec::new();
    while let Some(token) = all.get(end) {
        match &token.token {
            Token::LParen | Token::RParen => {}
            Token::Number(number, _) => digits.push(number.clone()),
            other if matches!(word(other).as_str(), "DAY" | "YEAR" | "TO" | "SECOND" | "MONTH") => {}
            _ => break,
        }
        // The parenthesis behind the type belongs to whatever is around it.
        if token.token == Token::RParen && !matches!(all[end - 1].token, Token::Number(..)) {
            break;
        }
        end += 1;
    }
    let span = all[start].span;
    kept.push(TokenWithSpan { token: Token::make_word(name, None), span });
    if !digits.is_empty() {
        kept.push(TokenWithSpan { token: Token::LParen, span });
        for (at, number) in digits.into_iter().enumerate() {
            if at > 0 {
                kept.push(TokenWithSpan { token: Token::Comma, span });
            }
            kept.push(TokenWithSpan { token: Token::Number(number, false), span });
        }
        kept.push(TokenWithSpan { token: Token::RParen, span });
    }
    end
}

/// Whether a word stands right behind a number.
fn touches(number: Option<&TokenWithSpan>, word: &TokenWithSpan) -> bool {
    number.is_some_and(|number| matches!(number.token, Token::Number(..)) && number.span.end == word.span.start)
}

/// The place of the parenthesis that closes the one at `open`.
pub(crate) fn closing(tokens: &[TokenWithSpan], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len().saturating_sub(1)
}

/// A word in upper case; empty for everything else.
pub(crate) fn word(token: &Token) -> String {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
        _ => String::new(),
    }
}

/// The first words of a statement; empty ones where there are none.
pub(crate) fn words(tokens: &[TokenWithSpan], count: usize) -> Vec<String> {
    (0..count).map(|at| tokens.get(at).map(|token| word(&token.token)).unwrap_or_default()).collect()
}

/// The text of tokens, as far as text is needed.
pub(crate) fn shown(tokens: &[TokenWithSpan]) -> String {
    tokens.iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ")
}

/// The statements of a T-SQL batch.
pub(crate) fn split(tokens: &[TokenWithSpan]) -> Fallible<Vec<Node>> {
    let mut reader = Reader { tokens, at: 0, depth: 0 };
    let mut nodes = Vec::new();
    while !reader.is_done() {
        if let Some(node) = reader.node()? {
            nodes.push(node);
        }
    }
    Ok(nodes)
}

struct Reader<'t> {
    tokens: &'t [TokenWithSpan],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn word(&self, ahead: usize) -> String {
        self.tokens.get(self.at + ahead).map(|token| word(&token.token)).unwrap_or_default()
    }

    fn node(&mut self) -> Fallible<Option<Node>> {
        while self.tokens.get(self.at).is_some_and(|token| token.token == Token::SemiColon) {
            self.at += 1;
        }
        if self.is_done() {
            return Ok(None);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(191, "Some part of your SQL statement is nested too deeply."));
        }
        let node = self.node_within();
        self.depth -= 1;
        node.map(Some)
    }

    fn node_within(&mut self) -> Fallible<Node> {
        let (first, second) = (self.word(0), self.word(1));
        match (first.as_str(), second.as_str()) {
            ("IF", _) => {
                self.at += 1;
                let condition = self.condition();
                let then = Box::new(self.body()?);
                while self.tokens.get(self.at).is_some_and(|token| token.token == Token::SemiColon)
                    && self.word(1) == "ELSE"
                {
                    self.at += 1;
                }
                let otherwise = if self.word(0) == "ELSE" {
                    self.at += 1;
                    Some(Box::new(self.body()?))
                } else {
                    None
                };
                Ok(Node::If { condition, then, otherwise })
            }
            ("WHILE", _) => {
                self.at += 1;
                Ok(Node::While { condition: self.condition(), body: Box::new(self.body()?) })
            }
            ("BEGIN", "TRY") => {
                self.at += 2;
                let body = self.until_end()?;
                self.at += 1;
                if (self.word(0).as_str(), self.word(1).as_str()) != ("BEGIN", "CATCH") {
                    return Err(self.unexpected());
                }
                self.at += 2;
                let handler = self.until_end()?;
                self.at += 1;
                Ok(Node::Try { body, handler })
            }
            ("BEGIN", "TRAN" | "TRANSACTION" | "DISTRIBUTED") => Ok(Node::Plain(self.plain())),
            ("BEGIN", _) => {
                self.at += 1;
                Ok(Node::Block(self.until_end()?))
            }
            _ => {
                let plain = self.plain();
                if plain.is_empty() { Err(self.unexpected()) } else { Ok(Node::Plain(plain)) }
            }
        }
    }

    fn unexpected(&self) -> ServerError {
        let near = self.tokens.get(self.at).map(|token| token.token.to_string()).unwrap_or_default();
        let line = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.span.start.line);
        ServerError { place: line as u32, ..syntax(Product::SqlServer, &near) }
    }

    fn body(&mut self) -> Fallible<Node> {
        match self.node()? {
            Some(node) => Ok(node),
            None => Err(self.unexpected()),
        }
    }

    fn until_end(&mut self) -> Fallible<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            while self.tokens.get(self.at).is_some_and(|token| token.token == Token::SemiColon) {
                self.at += 1;
            }
            if self.is_done() {
                return Err(self.unexpected());
            }
            if self.word(0) == "END" {
                self.at += 1;
                return Ok(nodes);
            }
            if let Some(node) = self.node()? {
                nodes.push(node);
            }
        }
    }

    /// A condition: everything to the word that begins a statement.
    fn condition(&mut self) -> Tokens {
        let start = self.at;
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.at) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 && self.at > start && (begins(&word(&token.token)) || word(&token.token) == "BEGIN") {
                break;
            }
            self.at += 1;
        }
        self.tokens[start..self.at].to_vec()
    }

    fn plain(&mut self) -> Tokens {
        let start = self.at;
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.at) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::SemiColon if depth == 0 => break,
                _ => {}
            }
            let found = word(&token.token);
            if depth == 0 && self.at > start {
                if found == "CASE" {
                    depth += 1;
                } else if begins_here(&found, &self.tokens[start..self.at]) {
                    break;
                }
            } else if found == "CASE" {
                depth += 1;
            } else if found == "END" && depth > 0 {
                depth -= 1;
            }
            self.at += 1;
        }
        let plain = self.tokens[start..self.at].to_vec();
        if self.tokens.get(self.at).is_some_and(|token| token.token == Token::SemiColon) && self.word(1) != "ELSE" {
            self.at += 1;
        }
        plain
    }
}

/// Words that begin a statement, wherever else they stand.
fn begins(word: &str) -> bool {
    matches!(
        word,
        "SELECT"
            | "INSERT"
            | "UPDATE"
            | "DELETE"
            | "MERGE"
            | "SET"
            | "DECLARE"
            | "CREATE"
            | "DROP"
            | "ALTER"
            | "EXEC"
            | "EXECUTE"
            | "WAITFOR"
            | "KILL"
            | "GRANT"
            | "DENY"
            | "REVOKE"
            | "PRINT"
            | "USE"
            | "IF"
            | "WHILE"
            | "COMMIT"
            | "ROLLBACK"
            | "SAVE"
            | "TRUNCATE"
            | "RAISERROR"
            | "THROW"
            | "RETURN"
            | "DBCC"
            | "CHECKPOINT"
            | "GO"
    )
}

/// Whether a word begins a statement after `before`, at the level of the statement itself.
fn begins_here(found: &str, before: &[TokenWithSpan]) -> bool {
    let first = before.first().map(|token| word(&token.token)).unwrap_or_default();
    let last = before.last().map(|token| word(&token.token)).unwrap_or_default();
    let had = |wanted: &str| before.iter().any(|token| word(&token.token) == wanted);
    if matches!(found, "ELSE" | "END") {
        return true;
    }
    if found == "BEGIN" {
        return first != "CREATE";
    }
    if !begins(found) {
        return false;
    }
    match first.as_str() {
        "GRANT" | "DENY" | "REVOKE" => had("TO") || had("FROM"),
        "WITH" => {
            let main = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"];
            let mut depth = 0;
            let mut begun = false;
            for token in before {
                match token.token {
                    Token::LParen => depth += 1,
                    Token::RParen => depth -= 1,
                    _ => begun |= depth == 0 && main.contains(&word(&token.token).as_str()),
                }
            }
            begun && !matches!(last.as_str(), "UNION" | "ALL" | "EXCEPT" | "INTERSECT")
        }
        "INSERT" if matches!(found, "SELECT" | "EXEC" | "EXECUTE") => {
            (had("VALUES") || had("SELECT") || had("EXEC"))
                && !matches!(last.as_str(), "UNION" | "ALL" | "EXCEPT" | "INTERSECT")
        }
        "UPDATE" if found == "SET" => had("SET"),
        "ALTER" => !matches!(found, "ADD" | "DROP" | "SET" | "ALTER"),
        "CREATE" if matches!(found, "SELECT" | "SET" | "UPDATE" | "DELETE" | "INSERT") => {
            !matches!(last.as_str(), "AS" | "ON" | "UNION" | "ALL") && !had("VIEW")
        }
        "MERGE" => false,
        // `SET SHOWPLAN_XML ON` and the like take words, never statements.
        "SET" if found == "SET" => before.len() > 1,
        "DROP" if found == "IF" => false,
        _ if found == "SELECT" => !matches!(last.as_str(), "UNION" | "ALL" | "EXCEPT" | "INTERSECT"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_without_anything_between_them() {
        let cases = [
            ("SELECT 1 SELECT 2", 2),
            ("SELECT 1; SELECT 2;", 2),
            ("SELECT 1 UNION ALL SELECT 2", 1),
            ("INSERT INTO t (a) SELECT 1 SELECT 2", 2),
            ("INSERT t VALUES (1) INSERT t VALUES (2)", 2),
            ("WITH a AS (SELECT 1 AS x) SELECT x FROM a SELECT 2", 2),
            ("UPDATE t SET a = 1 SET LOCK_TIMEOUT 100", 2),
            ("DROP TABLE IF EXISTS t CREATE TABLE t (a int) GRANT SELECT, INSERT ON t TO u SELECT 1", 4),
            ("SET NOCOUNT ON SET LOCK_TIMEOUT 5 SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END", 3),
            ("IF OBJECT_ID('t') IS NOT NULL DROP TABLE t SELECT 1", 2),
            ("IF 1 = 1 BEGIN SELECT 1 SELECT 2 END ELSE SELECT 3 SELECT 4", 2),
            ("BEGIN TRAN INSERT t VALUES (1) COMMIT", 3),
            ("BEGIN TRY SELECT 1 END TRY BEGIN CATCH SELECT 2 END CATCH", 1),
        ];
        for (text, count) in cases {
            let nodes = split(&tokens(Product::SqlServer, text).unwrap()).unwrap();
            assert_eq!(nodes.len(), count, "{text}: {nodes:?}");
        }
    }
}
