//! The procedures of SQL Server that clients call: `sp_executesql`, and those that describe a statement.

mod describe;
mod reshape;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::batch::{self, Tokens, word, words};
use crate::database::Seen;
use crate::errors::{Fallible, error};
use crate::session::{Flow, StandIn};
use crate::statements::{plain, split_at_commas, variable};
use crate::types::Type;
use crate::{Outcome, Sink, Value};

/// An argument with its type.
type Argument = (Value, Type);

impl StandIn {
    /// `EXEC name argument, …` and `EXEC (N'…')`
    pub(crate) fn call_procedure(&mut self, tokens: &Tokens, sink: &mut dyn Sink) -> Fallible<Flow> {
        let (name, rest) = procedure_name(&tokens[1..]);
        let sets = rest.iter().position(|token| word(&token.token) == "WITH");
        let (given, sets) = rest.split_at(sets.unwrap_or(rest.len()));
        match name.to_lowercase().as_str() {
            "(" => {
                let end = given.len().saturating_sub(1);
                let arguments = self.arguments(&given[..end])?;
                self.inner(&text_of(&arguments, 0), &[], sink)
            }
            "sp_executesql" => {
                let arguments = self.arguments(given)?;
                match reshape::types(sets)? {
                    None => self.execute_sql(&arguments, sink),
                    Some(types) => {
                        let mut reshaped = reshape::Reshaped::new(sink, types, self.settings());
                        let flow = self.execute_sql(&arguments, &mut reshaped);
                        match reshaped.failure {
                            Some(failure) => Err(failure),
                            None => flow,
                        }
                    }
                }
            }
            "sp_describe_first_result_set" => {
                let arguments = self.arguments(given)?;
                self.describe_result(&text_of(&arguments, 0), &text_of(&arguments, 1), sink)
            }
            "sp_describe_undeclared_parameters" => {
                let arguments = self.arguments(given)?;
                self.describe_parameters(&text_of(&arguments, 0), sink)
            }
            "sp_reset_connection" => Ok(Flow::Next),
            _ => Err(error(2812, format!("Could not find stored procedure '{name}'."))),
        }
    }

    fn arguments(&self, tokens: &[TokenWithSpan]) -> Fallible<Vec<Argument>> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let value = |part: &&[TokenWithSpan]| {
            let named = part.len() > 2 && variable(&part[0].token).is_some() && part[1].token == Token::Eq;
            let part = if named { &part[2..] } else { part };
            let known = part.first().and_then(|token| variable(&token.token));
            let known = known.and_then(|name| {
                self.parameters.iter().find(|own| own.name.trim_start_matches('@').eq_ignore_ascii_case(&name))
            });
            if let (Some(parameter), 1) = (known, part.len()) {
                let ty = Type::parse(self.product(), &parameter.declared).unwrap_or_else(Type::null);
                return Ok((parameter.value.clone(), ty));
            }
            self.value(&batch::parse_condition(self.product(), &self.text, part)?)
        };
        split_at_commas(tokens).iter().map(value).collect()
    }

    /// Runs a statement with the values that follow its declarations.
    fn execute_sql(&mut self, arguments: &[Argument], sink: &mut dyn Sink) -> Fallible<Flow> {
        let sql = text_of(arguments, 0);
        let declarations = text_of(arguments, 1);
        let declared = self.declarations(&declarations)?;
        let values = arguments.get(2..).unwrap_or_default();
        if let Some(missing) = declared.get(values.len()) {
            let name = missing.first().map(|token| plain(&token.token)).unwrap_or_default();
            return Err(error(
                8178,
                format!(
                    "The parameterized query '({declarations}){sql}' expects the parameter '{name}', which was not supplied."
                ),
            ));
        }
        if values.len() > declared.len() {
            return Err(error(8144, "Procedure or function  has too many arguments specified."));
        }
        let bound = declared.iter().zip(values).collect::<Vec<_>>();
        self.inner(&sql, &bound, sink)
    }

    /// The declarations of parameters, cut at their commas.
    fn declarations(&self, text: &str) -> Fallible<Vec<Tokens>> {
        let tokens = batch::tokens(self.product(), text)?;
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        Ok(split_at_commas(&tokens).into_iter().map(<[TokenWithSpan]>::to_vec).collect())
    }

    /// Runs a batch within the batch, with variables of its own.
    fn inner(&mut self, sql: &str, bound: &[(&Tokens, &Argument)], sink: &mut dyn Sink) -> Fallible<Flow> {
        let outer = (std::mem::take(&mut self.parameters), std::mem::replace(&mut self.text, sql.to_owned()));
        let outcome = self.bind(bound).and_then(|()| {
            let seen = Seen { session: self.facts.number, sql: sql.to_owned(), parameters: self.parameters.clone() };
            self.shared.state().seen.push(seen);
            self.run_batch(sink)
        });
        (self.parameters, self.text) = outer;
        Ok(match outcome? {
            Outcome::Complete => Flow::Next,
            ended => Flow::Ended(ended),
        })
    }

    fn bind(&mut self, bound: &[(&Tokens, &Argument)]) -> Fallible<()> {
        for (declaration, (value, from)) in bound {
            let name = self.declare_one(declaration)?;
            self.set_variable(&name, value, from)?;
        }
        Ok(())
    }
}

/// The last part of a procedure's name, and what follows it.
fn procedure_name(tokens: &[TokenWithSpan]) -> (String, &[TokenWithSpan]) {
    let mut at = 0;
    while tokens.get(at + 1).is_some_and(|token| token.token == Token::Period) {
        at += 2;
    }
    let name = tokens.get(at).map(|token| plain(&token.token)).unwrap_or_default();
    (name, tokens.get(at + 1..).unwrap_or_default())
}

fn text_of(arguments: &[Argument], at: usize) -> String {
    match arguments.get(at) {
        Some((Value::Text(text), _)) => text.clone(),
        _ => String::new(),
    }
}

/// Whether tokens begin with these words.
fn begins_with(tokens: &[TokenWithSpan], wanted: &[&str]) -> bool {
    words(tokens, wanted.len()) == wanted
}
