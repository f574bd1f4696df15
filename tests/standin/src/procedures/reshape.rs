//! `WITH RESULT SETS ((a int NULL, b nvarchar(20) NULL))`: another shape for a result.

use std::ops::ControlFlow;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::begins_with;
use crate::batch::{closing, shown, word};
use crate::convert::{Purpose, Settings, Target, convert};
use crate::errors::{Fallible, error, syntax};
use crate::statements::{plain, split_at_commas};
use crate::types::Type;
use crate::{Column, Product, ServerError, Sink, Value};

/// A name and a type for each column; `None` where the result stays as it is.
pub(super) fn types(tokens: &[TokenWithSpan]) -> Fallible<Option<Vec<(String, Type)>>> {
    if !begins_with(tokens, &["WITH", "RESULT", "SETS"]) {
        return Ok(None);
    }
    let open = tokens.windows(2).position(|pair| pair[0].token == Token::LParen && pair[1].token == Token::LParen);
    let open = open.ok_or_else(|| syntax(Product::SqlServer, "SETS"))? + 1;
    let column = |part: &&[TokenWithSpan]| {
        let name = part.first().map(|token| plain(&token.token)).unwrap_or_default();
        let end =
            part.iter().position(|token| matches!(word(&token.token).as_str(), "NULL" | "NOT")).unwrap_or(part.len());
        let declared =
            shown(part.get(1..end).unwrap_or_default()).replace(" ( ", "(").replace(" )", ")").replace(" , ", ",");
        let ty = Type::parse(Product::SqlServer, &declared);
        ty.map(|ty| (name, ty))
            .ok_or_else(|| error(2715, format!("Column, parameter, or variable #1: Cannot find data type {declared}.")))
    };
    split_at_commas(&tokens[open + 1..closing(tokens, open)]).iter().map(column).collect::<Fallible<Vec<_>>>().map(Some)
}

/// Gives a result on in its other shape.
pub(super) struct Reshaped<'s> {
    sink: &'s mut dyn Sink,
    types: Vec<(String, Type)>,
    own: Vec<Type>,
    settings: Settings,
    /// Why it was given up.
    pub failure: Option<ServerError>,
}

impl<'s> Reshaped<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink, types: Vec<(String, Type)>, settings: Settings) -> Reshaped<'s> {
        Reshaped { sink, types, own: Vec::new(), settings, failure: None }
    }
}

impl Sink for Reshaped<'_> {
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()> {
        if columns.len() != self.types.len() {
            let (wanted, found) = (self.types.len(), columns.len());
            self.failure = Some(error(
                11537,
                format!(
                    "EXECUTE statement failed because its WITH RESULT SETS clause specified {wanted} column(s) for result set number 1, but the statement sent {found} column(s) at run time."
                ),
            ));
            return ControlFlow::Break(());
        }
        let own = |column: &Column| Type::parse(Product::SqlServer, &column.declared).unwrap_or_else(Type::null);
        self.own = columns.iter().map(own).collect();
        let column =
            |(name, ty): &(String, Type)| Column { name: name.clone(), declared: ty.to_string(), nullable: true };
        self.sink.columns(&self.types.iter().map(column).collect::<Vec<_>>())
    }

    fn row(&mut self, row: &[Value]) -> ControlFlow<()> {
        let cells = row.iter().zip(&self.own).zip(&self.types).map(|((value, own), (_, to))| {
            if own == to {
                return Ok(value.clone());
            }
            convert(value, own, &Target { to, style: None, purpose: Purpose::Cast }, &self.settings)
        });
        match cells.collect::<Fallible<Vec<_>>>() {
            Ok(cells) => self.sink.row(&cells),
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    fn done(&mut self, affected: u64) -> ControlFlow<()> {
        self.sink.done(affected)
    }

    fn idle(&mut self) -> ControlFlow<()> {
        self.sink.idle()
    }
}
