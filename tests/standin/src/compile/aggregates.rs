//! Functions over groups and windows.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, WindowFrame, WindowFrameBound,
    WindowType,
};

use crate::compile::query::needs_collation;
use crate::compile::scope::Scope;
use crate::compile::{Compiler, Typed};
use crate::convert::Purpose;
use crate::errors::{Fallible, not_understood};
use crate::types::{Class, Type, UNBOUNDED};

impl Compiler<'_> {
    /// An aggregate or window function; `None` where the name is of neither.
    pub(crate) fn aggregate(&mut self, name: &str, function: &Function, scope: &Scope) -> Fallible<Option<Typed>> {
        let known = [
            "COUNT",
            "COUNT_BIG",
            "SUM",
            "AVG",
            "MIN",
            "MAX",
            "STRING_AGG",
            "LISTAGG",
            "ROW_NUMBER",
            "RANK",
            "DENSE_RANK",
            "LAG",
            "LEAD",
            "FIRST_VALUE",
            "LAST_VALUE",
            "STDEV",
            "STDDEV",
        ];
        if !known.contains(&name) {
            return Ok(None);
        }
        let FunctionArguments::List(list) = &function.args else {
            return Err(not_understood(self.product, &function.to_string()));
        };
        let met = (self.bare.len(), self.aggregates);
        let mut arguments = Vec::new();
        let mut star = false;
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(self.expr(expr, scope)?),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => star = true,
                _ => return Err(not_understood(self.product, &function.to_string())),
            }
        }
        let quantifier = match list.duplicate_treatment {
            Some(DuplicateTreatment::Distinct) => "DISTINCT ",
            _ => "",
        };
        let over = function.over.as_ref().map(|over| self.over(over, scope)).transpose()?.unwrap_or_default();
        if over.is_empty() {
            self.bare.truncate(met.0);
            self.aggregates = met.1 + 1;
        }
        let computed = match (name, arguments.as_slice()) {
            ("COUNT" | "COUNT_BIG", []) if star => self.count(name, format!("count(*){over}")),
            ("COUNT" | "COUNT_BIG", [value]) => {
                self.count(name, format!("count({quantifier}{}){over}", collated(value)))
            }
            ("ROW_NUMBER" | "RANK" | "DENSE_RANK", []) if !over.is_empty() => {
                self.count("COUNT_BIG", format!("{}(){over}", name.to_lowercase()))
            }
            ("MIN" | "MAX", [value]) => {
                Typed::new(format!("{}({}){over}", name.to_lowercase(), collated(value)), value.ty.clone())
            }
            ("SUM" | "AVG", [value]) => self.sum(name, value, quantifier, &over),
            ("LAG" | "LEAD", [value, rest @ ..]) => {
                let rest = rest.iter().enumerate().map(|(at, more)| {
                    if at == 0 {
                        format!(", CAST({} AS INTEGER)", more.sql)
                    } else {
                        format!(", {}", self.aligned(more, &value.ty))
                    }
                });
                let rest = rest.collect::<String>();
                Typed::new(format!("{}({}{rest}){over}", name.to_lowercase(), value.sql), value.ty.clone())
            }
            ("FIRST_VALUE" | "LAST_VALUE", [value]) => {
                Typed::new(format!("{}({}){over}", name.to_lowercase(), value.sql), value.ty.clone())
            }
            ("STRING_AGG" | "LISTAGG", [value, rest @ ..]) => self.list(function, value, rest.first(), scope)?,
            ("STDEV" | "STDDEV", [value]) => Typed::new(
                format!("x_stdev({}){over}", value.sql),
                Type::new(if self.is_oracle() { "NUMBER" } else { "float" }),
            ),
            _ => return Err(not_understood(self.product, &function.to_string())),
        };
        Ok(Some(computed))
    }

    fn count(&self, name: &str, sql: String) -> Typed {
        if self.is_oracle() {
            return Typed::certain(format!("CAST({sql} AS TEXT)"), Type::new("NUMBER"));
        }
        Typed::certain(sql, Type::new(if name == "COUNT" { "int" } else { "bigint" }))
    }

    fn sum(&self, name: &str, value: &Typed, quantifier: &str, over: &str) -> Typed {
        let ty = match (self.is_oracle(), value.ty.class(), name) {
            (true, Class::Float, _) => Type::new("BINARY_DOUBLE"),
            (true, ..) => Type::new("NUMBER"),
            (false, Class::Float, _) => Type::new("float"),
            (false, Class::Integer | Class::Bit, _) if value.ty.name == "bigint" => Type::new("bigint"),
            (false, Class::Decimal, _) if value.ty.name.ends_with("money") => Type::new("money"),
            (false, Class::Decimal, "AVG") => Type::decimal(38, value.ty.digits().1.max(6)),
            (false, Class::Decimal, _) => Type::decimal(38, value.ty.digits().1),
            _ => Type::new("int"),
        };
        let function = if name == "SUM" { "x_sum" } else { "x_avg" };
        let exact = match (self.is_oracle(), ty.class()) {
            (_, Class::Float) => ty.clone(),
            (true, _) => Type::new("NUMBER"),
            (false, _) => Type::decimal(38, 10),
        };
        let total = Typed::new(format!("{function}({quantifier}{}){over}", value.sql), exact);
        Typed::new(self.convert(&total, &ty, Purpose::Cast), ty)
    }

    /// `STRING_AGG(x, ',') WITHIN GROUP (ORDER BY …)`.
    fn list(
        &mut self,
        function: &Function,
        value: &Typed,
        separator: Option<&Typed>,
        scope: &Scope,
    ) -> Fallible<Typed> {
        let separator = separator.map_or("''".to_owned(), |separator| separator.sql.clone());
        let ty = if self.is_oracle() { Type::sized("VARCHAR2", 4000) } else { Type::sized("nvarchar", UNBOUNDED) };
        let text =
            if value.ty.class() == Class::Text { value.sql.clone() } else { self.convert(value, &ty, Purpose::Cast) };
        let mut order = Vec::new();
        for term in &function.within_group {
            let value = self.expr(&term.expr, scope)?;
            order.push(self.order_term(&value, term));
        }
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        Ok(Typed::new(format!("group_concat({text}, {separator}{order})"), ty))
    }

    fn over(&mut self, over: &WindowType, scope: &Scope) -> Fallible<String> {
        let WindowType::WindowSpec(spec) = over else { return Err(not_understood(self.product, &over.to_string())) };
        let mut parts = Vec::new();
        let mut partitions = Vec::new();
        for expr in &spec.partition_by {
            partitions.push(collated(&self.expr(expr, scope)?));
        }
        if !partitions.is_empty() {
            parts.push(format!("PARTITION BY {}", partitions.join(", ")));
        }
        let mut order = Vec::new();
        for term in &spec.order_by {
            // Only the order of the table itself is to be had by a constant or by a query for nothing.
            if matches!(term.expr, Expr::Subquery(_)) {
                continue;
            }
            let value = self.expr(&term.expr, scope)?;
            order.push(self.order_term(&value, term));
        }
        if !order.is_empty() {
            parts.push(format!("ORDER BY {}", order.join(", ")));
        }
        if let Some(frame) = &spec.window_frame {
            parts.push(self.frame(frame)?);
        }
        Ok(format!(" OVER ({})", parts.join(" ")))
    }

    fn frame(&self, frame: &WindowFrame) -> Fallible<String> {
        let plain = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::CurrentRow => true,
            WindowFrameBound::Preceding(count) | WindowFrameBound::Following(count) => {
                count.as_deref().is_none_or(|count| matches!(count, Expr::Value(_)))
            }
        };
        if plain(&frame.start_bound) && frame.end_bound.as_ref().is_none_or(plain) {
            return Ok(match &frame.end_bound {
                Some(end) => format!("{} BETWEEN {} AND {end}", frame.units, frame.start_bound),
                None => format!("{} {}", frame.units, frame.start_bound),
            });
        }
        Err(not_understood(self.product, &frame.units.to_string()))
    }
}

/// An argument with the collation of its type, which SQLite then groups and orders by.
fn collated(value: &Typed) -> String {
    if needs_collation(value.ty.class()) {
        format!("{} COLLATE {}", value.sql, value.ty.collation())
    } else {
        value.sql.clone()
    }
}
