//! Literals.

use sqlparser::ast::{Expr, Value as Literal};
use sqlparser::tokenizer::Location;

use crate::Value;
use crate::compile::{Compiler, Typed};
use crate::convert::unhex;
use crate::errors::{Fallible, error, not_understood};
use crate::types::Type;

impl Compiler<'_> {
    pub(super) fn literal(&mut self, literal: &Literal, location: Location) -> Fallible<Typed> {
        let oracle = self.is_oracle();
        match literal {
            Literal::Null => Ok(Typed::new("NULL", Type::null())),
            Literal::Number(digits, _) => Ok(self.number(digits)),
            Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => {
                Ok(self.text(text, if oracle { "CHAR" } else { "varchar" }))
            }
            Literal::NationalStringLiteral(text) => Ok(self.text(text, if oracle { "NCHAR" } else { "nvarchar" })),
            Literal::QuoteDelimitedStringLiteral(quoted) => Ok(self.text(&quoted.value, "CHAR")),
            Literal::NationalQuoteDelimitedStringLiteral(quoted) => Ok(self.text(&quoted.value, "NCHAR")),
            Literal::HexStringLiteral(digits) => {
                let bytes = unhex(digits).ok_or_else(|| crate::errors::syntax(self.product, digits))?;
                let ty = Type::sized("varbinary", bytes.len().max(1) as i64);
                Ok(self.constant(&Value::Bytes(bytes), ty))
            }
            Literal::Placeholder(name) if oracle => self.placeholder(name).map_err(|raised| self.at(raised, location)),
            Literal::Placeholder(name) if name.starts_with('@') => {
                self.variable(name).map_err(|raised| self.at(raised, location))
            }
            Literal::Placeholder(money) => {
                let digits = money.trim_start_matches('$');
                Ok(self.cast(&self.number(digits), &Type::new("money"), None, false))
            }
            other => Err(self.at(not_understood(self.product, &other.to_string()), location)),
        }
    }

    fn text(&self, text: &str, name: &str) -> Typed {
        if text.is_empty() && self.is_oracle() {
            return Typed::new("NULL", Type::sized(name, 1));
        }
        self.constant(&Value::Text(text.to_owned()), Type::sized(name, text.chars().count().max(1) as i64))
    }

    fn number(&self, digits: &str) -> Typed {
        let exponent = digits.contains(['e', 'E']);
        if self.is_oracle() {
            let last = digits.chars().last().unwrap_or('0');
            if matches!(last, 'd' | 'D' | 'f' | 'F') {
                let ty = Type::new(if matches!(last, 'd' | 'D') { "BINARY_DOUBLE" } else { "BINARY_FLOAT" });
                return Typed::certain(format!("({} + 0.0)", digits.trim_end_matches(last)), ty);
            }
            let plain =
                crate::number::read(digits).map_or_else(|| digits.to_owned(), |number| crate::number::trimmed(&number));
            return self.constant(&Value::Text(plain), Type::new("NUMBER"));
        }
        if exponent {
            return Typed::certain(format!("({digits} + 0.0)"), Type::new("float"));
        }
        if let Ok(whole) = digits.parse::<i32>() {
            return Typed::certain(whole.to_string(), Type::new("int"));
        }
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole = whole.trim_start_matches('0');
        let scale = fraction.len() as i64;
        let ty = Type { name: "numeric".to_owned(), ..Type::decimal((whole.len() as i64 + scale).max(1), scale) };
        let shown =
            format!("{}{}{fraction}", if whole.is_empty() { "0" } else { whole }, if scale > 0 { "." } else { "" });
        self.constant(&Value::Text(shown), ty)
    }

    /// `DATE '…'`, `TIMESTAMP '…'`.
    pub(super) fn typed_literal(&self, name: &str, text: &str) -> Fallible<Typed> {
        let settings = self.settings;
        let read = crate::moment::read(text, crate::moment::DATE_ORDER);
        let read =
            read.filter(|moment| moment.dated && self.is_oracle()).ok_or_else(|| error(1843, "not a valid month"))?;
        let digits =
            text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count() as i64);
        let ty = match (name.to_uppercase().as_str(), read.offset) {
            ("DATE", _) => Type::new("DATE"),
            (_, Some(_)) => Type::sized("TIMESTAMP WITH TIME ZONE", digits),
            (_, None) => Type::sized("TIMESTAMP", digits),
        };
        let shown =
            crate::moment::on_grid(&read, &ty, &settings.zone).ok_or_else(|| error(1843, "not a valid month"))?;
        Ok(self.constant(&Value::Text(shown), ty))
    }

    /// `INTERVAL '1 02:03:04.5' DAY TO SECOND`, `INTERVAL '5' MINUTE`.
    pub(super) fn interval(&self, interval: &sqlparser::ast::Interval) -> Fallible<Typed> {
        let refused = || error(1867, "the interval is invalid");
        let Expr::Value(value) = interval.value.as_ref() else { return Err(refused()) };
        let Literal::SingleQuotedString(text) = &value.value else { return Err(refused()) };
        let unit = interval.leading_field.as_ref().map(|field| field.to_string().to_uppercase()).unwrap_or_default();
        let ty = Type { length: Some(2), scale: Some(6), ..Type::new("INTERVAL DAY TO SECOND") };
        let shown = if interval.last_field.is_some() {
            crate::formats::interval(text, &ty).ok_or_else(refused)?
        } else {
            crate::intervals::of_unit(text, &unit).ok_or_else(refused)?
        };
        Ok(self.constant(&Value::Text(shown), ty))
    }
}
