//! Oracle's statements that are no queries, and blocks of PL/SQL.

use std::ops::ControlFlow;
use std::time::Duration;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::plain;
use crate::batch::{self, Tokens, word, words};
use crate::errors::{Fallible, error};
use crate::session::{Flow, StandIn};
use crate::{Column, Outcome, Product, Sink, Value, moment};

impl StandIn {
    /// `ALTER SYSTEM KILL SESSION 'sid,serial#' IMMEDIATE`
    pub(super) fn alter_system(&mut self, tokens: &Tokens) -> Fallible<()> {
        let names = words(tokens, 4);
        let Some(Token::SingleQuotedString(text)) = tokens.get(4).map(|token| &token.token) else {
            return Err(error(2065, "illegal option for ALTER SYSTEM"));
        };
        if !matches!(names[2].as_str(), "KILL" | "DISCONNECT") || names[3] != "SESSION" {
            return Err(error(2065, "illegal option for ALTER SYSTEM"));
        }
        if !self.facts.administrator {
            return Err(error(1031, "insufficient privileges"));
        }
        let refused = || error(30, "User session ID does not exist.");
        let (number, serial) = text.split_once(',').ok_or_else(refused)?;
        let (number, serial) = (
            number.trim().parse::<u32>().map_err(|_| refused())?,
            serial.split(',').next().unwrap_or_default().trim().parse::<u32>(),
        );
        let known = self.shared.state().sessions.get(&number).is_some_and(|living| Ok(living.serial) == serial);
        if number == self.facts.number {
            return Err(error(27, "cannot kill current session"));
        }
        if known && self.end_session(number) { Ok(()) } else { Err(refused()) }
    }

    /// `ALTER SESSION SET A = 'x' B = y`
    pub(super) fn alter_session(&mut self, tokens: &Tokens) -> Fallible<()> {
        let names = words(tokens, 3);
        if names[2] != "SET" {
            return Ok(());
        }
        let mut rest = &tokens[3..];
        while let [name, equals, value, more @ ..] = rest {
            if equals.token != Token::Eq {
                return Err(error(2248, "invalid option for ALTER SESSION"));
            }
            let (text, more) = match (&value.token, more) {
                (Token::Minus, [digits, more @ ..]) => (format!("-{}", plain(&digits.token)), more),
                (token, more) => (plain(token), more),
            };
            self.session_option(&word(&name.token), &text)?;
            rest = more;
        }
        if rest.is_empty() { Ok(()) } else { Err(error(2248, "invalid option for ALTER SESSION")) }
    }

    fn session_option(&mut self, name: &str, value: &str) -> Fallible<()> {
        let mut settings = self.settings();
        match name {
            "TIME_ZONE" => {
                let named = if value.eq_ignore_ascii_case("LOCAL") || value.eq_ignore_ascii_case("DBTIMEZONE") {
                    "+00:00"
                } else {
                    value
                };
                settings.zone = moment::zone(named).ok_or_else(|| error(1882, "timezone region not found"))?;
            }
            "NLS_DATE_FORMAT" => value.clone_into(&mut settings.date_format),
            "NLS_TIMESTAMP_FORMAT" => value.clone_into(&mut settings.timestamp_format),
            "NLS_TIMESTAMP_TZ_FORMAT" => value.clone_into(&mut settings.timestamp_zone_format),
            "CURRENT_SCHEMA" => {
                let schema = value.to_uppercase();
                self.facts.schema = schema;
            }
            name if name.starts_with("NLS_") => {}
            "ISOLATION_LEVEL" | "DDL_LOCK_TIMEOUT" | "STATISTICS_LEVEL" | "OPTIMIZER_MODE" | "CONTAINER"
            | "SQL_TRACE" | "EVENTS" | "CURSOR_SHARING" => {}
            _ => return Err(error(2248, "invalid option for ALTER SESSION")),
        }
        if let Ok(mut own) = self.settings.lock() {
            *own = settings;
        }
        self.facts.options.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn begin_oracle(&mut self, tokens: &Tokens) -> Fallible<()> {
        if !self.connection.is_autocommit() {
            return Err(error(1453, "SET TRANSACTION must be first statement of transaction"));
        }
        self.reads_only = words(tokens, 4).get(3).is_some_and(|word| word == "ONLY");
        // The snapshot is that of the first read.
        self.store("BEGIN; SELECT count(*) FROM sqlite_master;")
    }

    /// One statement of Oracle, or a block of PL/SQL.
    pub(crate) fn oracle(&mut self, tokens: &Tokens, sink: &mut dyn Sink) -> Fallible<Flow> {
        let first = words(tokens, 1);
        if matches!(first.first().map(String::as_str), Some("BEGIN" | "DECLARE")) {
            return self.block(tokens, sink);
        }
        if let Some(end) = tokens.iter().find(|token| token.token == Token::SemiColon) {
            let place = crate::compile::place(Product::Oracle, &self.text, end.span.start);
            let raised = if self.facts.version.starts_with("23") {
                error(3405, "end of query reached")
            } else {
                error(911, "invalid character")
            };
            return Err(crate::ServerError { place, ..raised });
        }
        if tokens.is_empty() {
            return Err(error(900, "invalid SQL statement"));
        }
        let names = tokens
            .windows(2)
            .filter(|pair| pair[0].token == Token::Colon)
            .map(|pair| pair[1].token.to_string().to_uppercase());
        let names = names.collect::<std::collections::BTreeSet<_>>();
        if self.parameters.len() > names.len() {
            return Err(error(1036, "illegal variable name/number"));
        }
        self.statement(tokens, sink)
    }

    /// `BEGIN …; … [EXCEPTION WHEN OTHERS THEN NULL;] END;`
    fn block(&mut self, tokens: &Tokens, sink: &mut dyn Sink) -> Fallible<Flow> {
        let words = words(tokens, tokens.len());
        let end = words.iter().rposition(|word| word == "END");
        let (Some(end), "BEGIN") = (end, words[0].as_str()) else {
            return Err(error(6550, "line 1, column 1: PLS-00103: Encountered an unexpected symbol"));
        };
        let handler = words.iter().position(|word| word == "EXCEPTION").unwrap_or(end);
        for part in tokens[1..handler].split(|token| token.token == Token::SemiColon).filter(|part| !part.is_empty()) {
            match self.block_statement(part, sink) {
                Ok(Flow::Next) => {}
                Err(_) if handler < end => break,
                other => return other,
            }
        }
        Ok(if sink.done(0).is_continue() { Flow::Next } else { Flow::Ended(Outcome::Cancelled) })
    }

    fn block_statement(&mut self, part: &[TokenWithSpan], sink: &mut dyn Sink) -> Fallible<Flow> {
        let first = words(part, 3);
        let first = [0, 1, 2].map(|at| first.get(at).map_or("", String::as_str));
        let tokens = part.to_vec();
        match first {
            ["DBMS_SESSION" | "DBMS_LOCK", "", "SLEEP"] => {
                let expr = batch::parse_condition(self.product(), &self.text, &part[3..])?;
                let (value, _) = self.value(&expr)?;
                let seconds = crate::number::float(&value).unwrap_or(0.0).max(0.0);
                Ok(self.wait(Some(Duration::from_secs_f64(seconds)), sink))
            }
            ["EXECUTE", "IMMEDIATE", _] => {
                let Some(Token::SingleQuotedString(text)) = part.get(2).map(|token| &token.token) else {
                    return Err(error(6550, "line 1: PLS-00103"));
                };
                let inner = batch::tokens(self.product(), text)?;
                self.statement(&inner, &mut Quiet(sink))
            }
            ["NULL", ..] => Ok(Flow::Next),
            ["SELECT", ..] => {
                Err(error(6550, "line 1, column 1: PLS-00428: an INTO clause is expected in this SELECT statement"))
            }
            ["DBMS_APPLICATION_INFO", ..] | ["DBMS_OUTPUT", ..] => Ok(Flow::Next),
            ["INSERT" | "UPDATE" | "DELETE" | "COMMIT" | "ROLLBACK" | "SET", ..] => {
                self.statement(&tokens, &mut Quiet(sink))
            }
            _ => Err(error(
                6550,
                format!("line 1, column 7: PLS-00201: identifier '{}' must be declared", batch::shown(&part[..1])),
            )),
        }
    }
}

/// Passes on nothing but whether the client is still there.
struct Quiet<'s>(&'s mut dyn Sink);

impl Sink for Quiet<'_> {
    fn columns(&mut self, _: &[Column]) -> ControlFlow<()> {
        self.0.idle()
    }

    fn row(&mut self, _: &[Value]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn done(&mut self, _: u64) -> ControlFlow<()> {
        self.0.idle()
    }

    fn idle(&mut self) -> ControlFlow<()> {
        self.0.idle()
    }
}
