//! Calls of functions, and words that are calls without parentheses.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned as _};

use crate::compile::scope::Scope;
use crate::compile::{Compiler, Typed};
use crate::convert::Purpose;
use crate::errors::{Fallible, error, not_understood};
use crate::types::{Class, Type, UNBOUNDED};

impl Compiler<'_> {
    pub(crate) fn call(&mut self, function: &Function, scope: &Scope) -> Fallible<Typed> {
        let parts = self.parts(&function.name);
        let name = parts.iter().rev().map(|part| part.to_uppercase()).collect::<Vec<_>>().join(".");
        let place = function.span().start;
        if let Some(computed) = self.aggregate(&name, function, scope)? {
            return Ok(computed);
        }
        let arguments = match &function.args {
            FunctionArguments::None => Vec::new(),
            FunctionArguments::List(list) => {
                let expr = |argument: &FunctionArg| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
                    _ => Err(not_understood(self.product, &function.to_string())),
                };
                list.args.iter().map(expr).collect::<Fallible<Vec<_>>>()?
            }
            FunctionArguments::Subquery(_) => return Err(not_understood(self.product, &function.to_string())),
        };
        let arguments = arguments.iter().collect::<Vec<_>>();
        self.named(&name, &arguments, scope)
            .map_err(|raised| if raised.place == 0 { self.at(raised, place) } else { raised })
    }

    /// A function by its name in upper case.
    pub(crate) fn named(&mut self, name: &str, arguments: &[&Expr], scope: &Scope) -> Fallible<Typed> {
        if let Some(special) = self.special(name, arguments, scope)? {
            return Ok(special);
        }
        if arguments.is_empty()
            && let Some(known) = self.word(name)?
        {
            return Ok(known);
        }
        let typed = arguments.iter().map(|argument| self.expr(argument, scope)).collect::<Fallible<Vec<_>>>()?;
        let computed =
            if self.is_oracle() { self.oracle_call(name, &typed)? } else { self.sql_server_call(name, &typed)? };
        computed.ok_or_else(|| match self.is_oracle() {
            true => error(904, format!("\"{name}\": invalid identifier")),
            false => error(195, format!("'{name}' is not a recognized built-in function name.")),
        })
    }

    /// Functions whose arguments are no plain expressions, and those that both products have.
    fn special(&mut self, name: &str, arguments: &[&Expr], scope: &Scope) -> Fallible<Option<Typed>> {
        let product = if self.is_oracle() {
            self.oracle_special(name, arguments, scope)?
        } else {
            self.sql_server_special(name, arguments, scope)?
        };
        if product.is_some() {
            return Ok(product);
        }
        match (name, arguments) {
            ("COALESCE", [_, ..]) => {
                let values =
                    arguments.iter().map(|argument| self.expr(argument, scope)).collect::<Fallible<Vec<_>>>()?;
                Ok(Some(self.first_of(&values)))
            }
            ("NULLIF", [a, b]) => {
                let (a, b) = (self.expr(a, scope)?, self.expr(b, scope)?);
                let test = self.compare(&a, "=", &b)?;
                Ok(Some(Typed::new(format!("CASE WHEN {test} THEN NULL ELSE {} END", a.sql), a.ty)))
            }
            ("CONCAT", [_, _, ..]) => {
                let values =
                    arguments.iter().map(|argument| self.expr(argument, scope)).collect::<Fallible<Vec<_>>>()?;
                Ok(Some(self.join(&values, crate::compile::arithmetic::Nulls::LeftOut)))
            }
            ("GREATEST" | "LEAST", [_, ..]) => {
                let values =
                    arguments.iter().map(|argument| self.expr(argument, scope)).collect::<Fallible<Vec<_>>>()?;
                let ty = self.common_of(&values);
                let op = if name == "GREATEST" { ">=" } else { "<=" };
                let mut best = Typed { sql: self.aligned(&values[0], &ty), ty: ty.clone(), nullable: true };
                for value in &values[1..] {
                    let value = Typed { sql: self.aligned(value, &ty), ty: ty.clone(), nullable: true };
                    let test = self.compare(&best, op, &value)?;
                    let sql = format!(
                        "CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL WHEN {test} THEN {0} ELSE {1} END",
                        best.sql, value.sql
                    );
                    best = Typed::new(format!("({sql})"), ty.clone());
                }
                Ok(Some(best))
            }
            _ => Ok(None),
        }
    }

    /// The first value that is not null, in the type of all.
    pub(crate) fn first_of(&self, values: &[Typed]) -> Typed {
        let ty = self.common_of(values);
        let nullable = values.iter().all(|value| value.nullable);
        let shown = values.iter().map(|value| self.aligned(value, &ty)).collect::<Vec<_>>();
        let sql = if let [only] = shown.as_slice() { only.clone() } else { format!("coalesce({})", shown.join(", ")) };
        Typed { sql, ty, nullable }
    }

    /// A call that `functions.rs` computes.
    pub(crate) fn computed(&self, name: &str, arguments: &[Typed], ty: Type) -> Typed {
        let shown = arguments.iter().map(|argument| format!(", {}", argument.sql)).collect::<String>();
        Typed {
            sql: format!("x_call('{name}'{shown})"),
            ty,
            nullable: self.is_oracle() || arguments.iter().any(|argument| argument.nullable),
        }
    }

    /// The same, where the first argument's type matters.
    pub(crate) fn computed_of(&self, name: &str, arguments: &[Typed], ty: Type) -> Typed {
        let own = arguments.first().map(|first| first.ty.to_string()).unwrap_or_default();
        let mut all = vec![Typed::certain(crate::catalogue::text_literal(&own), Type::null())];
        all.extend_from_slice(arguments);
        self.computed(name, &all, ty)
    }

    /// A value as text.
    pub(crate) fn texted(&self, value: &Typed) -> Typed {
        if matches!(value.ty.class(), Class::Text | Class::Null) {
            return value.clone();
        }
        let ty = match self.is_oracle() {
            true => Type::sized("VARCHAR2", 4000),
            false => Type::sized("varchar", if value.ty.class() == Class::Binary { UNBOUNDED } else { 40 }),
        };
        Typed { sql: self.convert(value, &ty, Purpose::Cast), ty, nullable: value.nullable }
    }

    /// The type of a text made from another, of a length of its own.
    pub(crate) fn text_like(&self, value: &Typed, length: Option<i64>) -> Type {
        let length = length.or(value.ty.length).unwrap_or(UNBOUNDED);
        if value.ty.name.ends_with("CLOB") {
            return value.ty.clone();
        }
        let name = match (self.is_oracle(), value.ty.is_national()) {
            (true, true) => "NVARCHAR2",
            (true, false) => "VARCHAR2",
            (false, true) => "nvarchar",
            (false, false) => "varchar",
        };
        let length = if self.is_oracle() && length == UNBOUNDED { 4000 } else { length };
        Type { collation: value.ty.collation.clone(), ..Type::sized(name, length) }
    }
}
