//! Statements that are no queries: settings, variables, transactions, sessions.

mod oracle;

use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::batch::{self, Tokens, word, words};
use crate::convert::{Purpose, Target, convert};
use crate::errors::{Fallible, error, not_understood, syntax};
use crate::session::{Flow, StandIn};
use crate::types::Type;
use crate::{Outcome, Parameter, Product, Sink, Value, moment};

impl StandIn {
    /// One statement of any kind.
    pub(crate) fn statement(&mut self, tokens: &Tokens, sink: &mut dyn Sink) -> Fallible<Flow> {
        let first = words(tokens, 3);
        let first = [0, 1, 2].map(|at| first.get(at).map_or("", String::as_str));
        let sql_server = self.product() == Product::SqlServer;
        let quietly = |done: Fallible<()>, sink: &mut dyn Sink| {
            done.map(|()| if sink.done(0).is_continue() { Flow::Next } else { Flow::Ended(Outcome::Cancelled) })
        };
        match first {
            ["SELECT" | "WITH" | "INSERT" | "UPDATE" | "DELETE", ..] => self.parsed(tokens, sink),
            _ if tokens.first().is_some_and(|token| token.token == Token::LParen) => self.parsed(tokens, sink),
            ["SET", "TRANSACTION", "READ"] if !sql_server => quietly(self.begin_oracle(tokens), sink),
            ["SET", ..] if sql_server => self.set(tokens),
            ["SET", ..] => quietly(Ok(()), sink),
            ["DECLARE", ..] if sql_server => self.declare(tokens),
            ["WAITFOR", "DELAY", _] => self.wait_for(tokens, sink),
            ["KILL", ..] if sql_server => self.kill(tokens),
            ["USE", ..] => self.use_database(tokens),
            ["PRINT" | "DBCC" | "CHECKPOINT" | "GO", ..] if sql_server => Ok(Flow::Next),
            ["RAISERROR" | "THROW", ..] if sql_server => Err(self.thrown(tokens)),
            ["RETURN", ..] if sql_server => Ok(Flow::Ended(Outcome::Complete)),
            ["EXEC" | "EXECUTE", ..] if sql_server => self.call_procedure(tokens, sink),
            ["BEGIN", "TRAN" | "TRANSACTION", _] => self.begin(),
            ["COMMIT", ..] => quietly(self.commit(), sink),
            ["ROLLBACK", ..] => quietly(self.roll_back(), sink),
            ["SAVE" | "SAVEPOINT", ..] => quietly(Ok(()), sink),
            ["ALTER", "SESSION", _] if !sql_server => quietly(self.alter_session(tokens), sink),
            ["ALTER", "SYSTEM", _] if !sql_server => quietly(self.alter_system(tokens), sink),
            ["CREATE", "LOGIN" | "USER" | "ROLE", _]
            | ["ALTER", "LOGIN" | "USER" | "ROLE" | "SERVER", _]
            | ["DROP", "LOGIN" | "USER" | "ROLE", _]
            | ["GRANT" | "REVOKE" | "DENY", ..] => quietly(self.change_rights(tokens), sink),
            ["CREATE" | "DROP" | "ALTER" | "TRUNCATE" | "COMMENT", ..] => self.define(tokens, sink),
            ["NULL", ..] if !sql_server => Ok(Flow::Next),
            ["EXPLAIN", ..] if !sql_server => Err(error(3001, "unimplemented feature")),
            _ if sql_server => {
                let name = tokens.first().map(|token| token.token.to_string()).unwrap_or_default();
                if name.starts_with(char::is_alphabetic) && tokens.len() == 1 {
                    return Err(error(2812, format!("Could not find stored procedure '{name}'.")));
                }
                Err(syntax(self.product(), &name))
            }
            _ => Err(error(900, "invalid SQL statement")),
        }
    }

    /// `SET @x = …`, `SET LOCK_TIMEOUT 100`, `SET A, B ON`, `SET TRANSACTION ISOLATION LEVEL …`.
    fn set(&mut self, tokens: &Tokens) -> Fallible<Flow> {
        if let Some(name) = tokens.get(1).and_then(|token| variable(&token.token)) {
            if tokens.get(2).map(|token| &token.token) != Some(&Token::Eq) {
                return Err(syntax(self.product(), &name));
            }
            let expr = batch::parse_condition(self.product(), &self.text, &tokens[3..])?;
            let (value, ty) = self.value(&expr)?;
            self.set_variable(&name, &value, &ty)?;
            return Ok(Flow::Next);
        }
        if words(tokens, 4)[1..] == ["TRANSACTION", "ISOLATION", "LEVEL"] {
            let level = tokens[4..].iter().map(|token| word(&token.token)).collect::<Vec<_>>().join(" ");
            if !matches!(
                level.as_str(),
                "READ UNCOMMITTED" | "READ COMMITTED" | "REPEATABLE READ" | "SNAPSHOT" | "SERIALIZABLE"
            ) {
                return Err(syntax(self.product(), &level));
            }
            self.facts.options.insert("ISOLATION".to_owned(), level);
            return Ok(Flow::Next);
        }
        let Some((last, names)) = tokens[1..].split_last() else { return Err(syntax(self.product(), "SET")) };
        let mut value = plain(&last.token);
        let mut names = names.to_vec();
        if names.last().is_some_and(|token| token.token == Token::Minus) {
            value = format!("-{value}");
            names.pop();
        }
        if names.is_empty() {
            return Err(syntax(self.product(), &value));
        }
        let mut own = String::new();
        for token in &names {
            if token.token == Token::Comma {
                self.option(std::mem::take(&mut own), &value)?;
            } else {
                own = [own, word(&token.token)].join(" ").trim().to_owned();
            }
        }
        self.option(own, &value)?;
        Ok(Flow::Next)
    }

    fn option(&mut self, name: String, value: &str) -> Fallible<()> {
        let known = [
            "NOCOUNT",
            "XACT_ABORT",
            "LOCK_TIMEOUT",
            "DATEFORMAT",
            "DATEFIRST",
            "LANGUAGE",
            "DEADLOCK_PRIORITY",
            "TEXTSIZE",
            "SHOWPLAN_XML",
            "SHOWPLAN_ALL",
            "SHOWPLAN_TEXT",
            "ANSI_NULLS",
            "ANSI_PADDING",
            "ANSI_WARNINGS",
            "ANSI_DEFAULTS",
            "ANSI_NULL_DFLT_ON",
            "ARITHABORT",
            "ARITHIGNORE",
            "CONCAT_NULL_YIELDS_NULL",
            "NUMERIC_ROUNDABORT",
            "QUOTED_IDENTIFIER",
            "CURSOR_CLOSE_ON_COMMIT",
            "IMPLICIT_TRANSACTIONS",
            "ROWCOUNT",
            "FMTONLY",
            "NOEXEC",
            "PARSEONLY",
            "STATISTICS IO",
            "STATISTICS TIME",
            "STATISTICS XML",
            "CONTEXT_INFO",
            "QUERY_GOVERNOR_COST_LIMIT",
            "IDENTITY_INSERT",
            "NO_BROWSETABLE",
            "REMOTE_PROC_TRANSACTIONS",
        ];
        if !known.iter().any(|known| name == *known || name.starts_with("IDENTITY_INSERT")) {
            return Err(error(195, format!("'{name}' is not a recognized SET option.")));
        }
        let order = match (name.as_str(), value.to_lowercase().as_str()) {
            ("DATEFORMAT", order) => Some(order.to_owned()),
            ("LANGUAGE", "us_english" | "english") => Some("mdy".to_owned()),
            ("LANGUAGE", "japanese" | "korean") => Some("ymd".to_owned()),
            ("LANGUAGE", _) => Some("dmy".to_owned()),
            _ => None,
        };
        if let Some(order) = order {
            if name == "LANGUAGE" {
                let first = if order == "mdy" { "7" } else { "1" };
                self.facts.options.insert("DATEFIRST".to_owned(), first.to_owned());
            }
            if let Ok(mut settings) = self.settings.lock() {
                settings.date_order = order;
            }
        }
        self.facts.options.insert(name, value.to_owned());
        Ok(())
    }

    /// `DECLARE @a int = 1, @b varchar(10)`
    fn declare(&mut self, tokens: &Tokens) -> Fallible<Flow> {
        for part in split_at_commas(&tokens[1..]) {
            let equals = part.iter().position(|token| token.token == Token::Eq).unwrap_or(part.len());
            let name = self.declare_one(&part[..equals])?;
            if equals < part.len() {
                let expr = batch::parse_condition(self.product(), &self.text, &part[equals + 1..])?;
                let (value, from) = self.value(&expr)?;
                self.set_variable(&name, &value, &from)?;
            }
        }
        Ok(Flow::Next)
    }

    /// Adds a variable by its declaration, without a value.
    pub(crate) fn declare_one(&mut self, declaration: &[TokenWithSpan]) -> Fallible<String> {
        let name = declaration.first().and_then(|token| variable(&token.token));
        let name = name.ok_or_else(|| not_understood(self.product(), "DECLARE"))?;
        let start = if words(declaration, 2)[1] == "AS" { 2 } else { 1 };
        let written = batch::shown(declaration.get(start..).unwrap_or_default());
        let declared = written.replace(" ( ", "(").replace(" )", ")").replace(" , ", ",");
        let ty = Type::parse(self.product(), &declared).ok_or_else(|| {
            error(2715, format!("Column, parameter, or variable #1: Cannot find data type {declared}."))
        })?;
        if self.parameters.iter().any(|known| known.name.trim_start_matches('@').eq_ignore_ascii_case(&name)) {
            return Err(error(134, format!("The variable name '@{name}' has already been declared.")));
        }
        self.parameters.push(Parameter { name: name.clone(), declared: ty.to_string(), value: Value::Null });
        Ok(name)
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: &Value, from: &Type) -> Fallible<()> {
        let settings = self.settings();
        let product = self.product();
        let found =
            self.parameters.iter_mut().find(|known| known.name.trim_start_matches('@').eq_ignore_ascii_case(name));
        let variable = found.ok_or_else(|| error(137, format!("Must declare the scalar variable \"@{name}\".")))?;
        let to = Type::parse(product, &variable.declared).unwrap_or_else(Type::null);
        variable.value = convert(value, from, &Target { to: &to, style: None, purpose: Purpose::Cast }, &settings)?;
        Ok(())
    }

    /// `WAITFOR DELAY '00:01:00'`
    fn wait_for(&mut self, tokens: &Tokens, sink: &mut dyn Sink) -> Fallible<Flow> {
        let text = match tokens.get(2).map(|token| &token.token) {
            Some(Token::SingleQuotedString(text)) => text.clone(),
            Some(token) => {
                let name = variable(token).ok_or_else(|| syntax(self.product(), &token.to_string()))?;
                let known =
                    self.parameters.iter().find(|known| known.name.trim_start_matches('@').eq_ignore_ascii_case(&name));
                match known.map(|known| &known.value) {
                    Some(Value::Text(text)) => text.clone(),
                    _ => return Err(error(137, format!("Must declare the scalar variable \"@{name}\"."))),
                }
            }
            None => return Err(syntax(self.product(), "DELAY")),
        };
        let read = moment::read(&text, moment::DATE_ORDER)
            .ok_or_else(|| error(148, format!("Incorrect time syntax in time string '{text}' used with WAITFOR.")))?;
        let time = read.at.time();
        let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        let most = Duration::new(seconds.unsigned_abs(), time.subsec_nanosecond().unsigned_abs());
        Ok(match self.wait(Some(most), sink) {
            Flow::Next if sink.done(0).is_break() => Flow::Ended(Outcome::Cancelled),
            flow => flow,
        })
    }

    fn kill(&mut self, tokens: &Tokens) -> Fallible<Flow> {
        let number = tokens.get(1).map(|token| token.token.to_string()).and_then(|text| text.parse::<u32>().ok());
        let number = number.ok_or_else(|| syntax(self.product(), "KILL"))?;
        if number == self.facts.number {
            return Err(error(6104, "Cannot use KILL to kill your own process."));
        }
        if !self.facts.administrator {
            return Err(error(6102, "User does not have permission to use the KILL statement."));
        }
        if !self.end_session(number) {
            return Err(error(6106, format!("Process ID {number} is not an active process ID.")));
        }
        Ok(Flow::Next)
    }

    pub(crate) fn end_session(&self, number: u32) -> bool {
        let state = self.shared.state();
        let living = state.sessions.get(&number);
        if let Some(living) = living {
            living.killed.store(true, Ordering::SeqCst);
        }
        living.is_some()
    }

    fn use_database(&mut self, tokens: &Tokens) -> Fallible<Flow> {
        let name = tokens.get(1).map(|token| plain(&token.token)).unwrap_or_default();
        if name.eq_ignore_ascii_case(&self.shared.name) || name.eq_ignore_ascii_case("master") {
            return Ok(Flow::Next);
        }
        Err(error(911, format!("Database '{name}' does not exist. Make sure that the name is entered correctly.")))
    }

    fn thrown(&self, tokens: &Tokens) -> crate::ServerError {
        let text = tokens.iter().find_map(|token| match &token.token {
            Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => Some(text.clone()),
            _ => None,
        });
        let number = tokens.get(1).and_then(|token| token.token.to_string().parse().ok());
        error(number.unwrap_or(50000), text.unwrap_or_default())
    }

    fn begin(&mut self) -> Fallible<Flow> {
        if self.facts.transactions == 0 {
            self.store("BEGIN")?;
        }
        self.facts.transactions += 1;
        Ok(Flow::Next)
    }

    pub(crate) fn commit(&mut self) -> Fallible<()> {
        self.reads_only = false;
        if self.product() == Product::SqlServer {
            if self.facts.transactions == 0 {
                return Err(error(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."));
            }
            self.facts.transactions -= 1;
            if self.facts.transactions > 0 {
                return Ok(());
            }
        }
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.store("COMMIT")?;
        self.changed.clear();
        Ok(())
    }

    fn roll_back(&mut self) -> Fallible<()> {
        self.reads_only = false;
        if self.product() == Product::SqlServer && self.facts.transactions == 0 {
            return Err(error(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."));
        }
        self.facts.transactions = 0;
        self.undo();
        if self.connection.is_autocommit() { Ok(()) } else { self.store("ROLLBACK") }
    }
}

/// The name of a variable, without `@`.
pub(crate) fn variable(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => {
            word.value.strip_prefix('@').filter(|name| !name.starts_with('@')).map(str::to_owned)
        }
        _ => None,
    }
}

/// A token as a value: without quotes.
pub(crate) fn plain(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) | Token::DoubleQuotedString(text) => {
            text.clone()
        }
        Token::Word(word) => word.value.clone(),
        Token::Number(digits, _) => digits.clone(),
        other => other.to_string(),
    }
}

/// The parts between commas that stand in no parentheses.
pub(crate) fn split_at_commas(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::Comma if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}
