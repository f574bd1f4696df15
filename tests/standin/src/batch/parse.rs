//! Single statements and expressions, read by sqlparser.

use sqlparser::ast::{Expr, Query, Statement};
use sqlparser::dialect::Dialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::{begins, dialect, tokens, word};
use crate::compile::place;
use crate::errors::{Fallible, error, syntax};
use crate::{Product, ServerError};

/// A parser over tokens.
fn parser<'d>(dialect: &'d dyn Dialect, tokens: &[TokenWithSpan]) -> Parser<'d> {
    Parser::new(dialect).with_tokens_with_locations(tokens.to_vec())
}

/// Parses one statement, to its end.
pub(crate) fn parse_statement(product: Product, text: &str, tokens: &[TokenWithSpan]) -> Fallible<Statement> {
    // sqlparser takes any word for the name of a table.
    let nameless = tokens.windows(2).find(|pair| {
        matches!(word(&pair[0].token).as_str(), "FROM" | "JOIN" | "INTO" | "UPDATE")
            && is_reserved(&word(&pair[1].token))
    });
    if let Some([_, reserved]) = nameless {
        let raised =
            if product == Product::Oracle { error(903, "invalid table name") } else { near(product, &reserved.token) };
        return Err(located(product, text, raised, reserved.span.start));
    }
    let dialect = dialect(product);
    let mut parser = parser(dialect.as_ref(), tokens);
    let statement = parser.parse_statement().map_err(|failure| refused(product, text, &failure, tokens))?;
    at_end(product, text, &parser)?;
    Ok(statement)
}

/// Parses a query that the catalogue keeps.
pub(crate) fn parse_query(product: Product, text: &str) -> Fallible<Query> {
    let tokens = tokens(product, text)?;
    let dialect = dialect(product);
    let mut parser = parser(dialect.as_ref(), &tokens);
    let query = parser.parse_query().map_err(|failure| refused(product, text, &failure, &tokens))?;
    at_end(product, text, &parser)?;
    Ok(*query)
}

/// Parses an expression that the catalogue keeps.
pub(crate) fn parse_expression(product: Product, text: &str) -> Fallible<Expr> {
    parse_condition(product, text, &tokens(product, text)?)
}

/// Parses an expression or a condition.
pub(crate) fn parse_condition(product: Product, text: &str, tokens: &[TokenWithSpan]) -> Fallible<Expr> {
    let dialect = dialect(product);
    let mut parser = parser(dialect.as_ref(), tokens);
    let expr = parser.parse_expr().map_err(|failure| refused(product, text, &failure, tokens))?;
    at_end(product, text, &parser)?;
    Ok(expr)
}

fn at_end(product: Product, text: &str, parser: &Parser) -> Fallible<()> {
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(()),
        other => Err(located(product, text, near(product, &other), next.span.start)),
    }
}

/// An error with its place.
fn located(product: Product, text: &str, raised: ServerError, location: Location) -> ServerError {
    ServerError { place: place(product, text, location), ..raised }
}

/// Words that are no names.
fn is_reserved(word: &str) -> bool {
    let within = [
        "FROM", "WHERE", "ORDER", "GROUP", "HAVING", "TABLE", "AS", "BY", "INTO", "VALUES", "AND", "OR", "ON", "IN",
        "JOIN", "UNION", "CASE", "WHEN", "THEN", "LIKE", "BETWEEN", "DISTINCT",
    ];
    begins(word) && word != "GO" || within.contains(&word)
}

fn near(product: Product, token: &Token) -> ServerError {
    let found = word(token);
    if product == Product::SqlServer && is_reserved(&found) {
        return error(156, format!("Incorrect syntax near the keyword '{token}'."));
    }
    match token {
        _ if product == Product::Oracle && is_reserved(&found) => syntax(product, ""),
        Token::EOF => syntax(product, ""),
        other => syntax(product, other.to_string().trim_matches('\'')),
    }
}

/// sqlparser says where it stopped; the server says so in its own words.
fn refused(product: Product, text: &str, failure: &ParserError, tokens: &[TokenWithSpan]) -> ServerError {
    let ParserError::ParserError(message) = failure else {
        return error(191, "Some part of your SQL statement is nested too deeply.");
    };
    let stopped = message.rsplit_once(" at Line: ").and_then(|(_, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let (line, column) = (line.trim().parse::<u64>().ok()?, column.trim().parse::<u64>().ok()?);
        tokens.iter().find(|token| token.span.start.line == line && token.span.start.column == column)
    });
    match stopped {
        Some(token) => located(product, text, near(product, &token.token), token.span.start),
        None => {
            let last = tokens.last();
            let written = last.map(|token| token.token.to_string()).unwrap_or_default();
            let raised = match product {
                Product::SqlServer => syntax(product, &written),
                Product::Oracle
                    if tokens
                        .first()
                        .is_some_and(|token| !begins(&word(&token.token)) && word(&token.token) != "WITH") =>
                {
                    error(900, "invalid SQL statement")
                }
                Product::Oracle => error(936, "missing expression"),
            };
            located(product, text, raised, last.map_or(Location::empty(), |token| token.span.start))
        }
    }
}
