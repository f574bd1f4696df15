//! Queries: CTEs, unions, order and limits. A single `SELECT` is in `select.rs`.

use sqlparser::ast::{
    Cte, Expr, LimitClause, OrderBy, OrderByExpr, OrderByKind, OrderBySort, Query, SetExpr, SetOperator, SetQuantifier,
    Value as Literal,
};

use crate::catalogue::quoted;
use crate::compile::scope::{Output, Scope};
use crate::compile::{Compiled, Compiler, Typed};
use crate::errors::{Fallible, error, not_understood};
use crate::types::Class;

impl Compiler<'_> {
    /// A whole query.
    pub(crate) fn query(&mut self, query: &Query, outer: Option<&Scope>) -> Fallible<Compiled> {
        self.deeper()?;
        let known = self.ctes.len();
        let compiled = self.query_within(query, outer);
        self.ctes.truncate(known);
        self.depth -= 1;
        compiled
    }

    fn query_within(&mut self, query: &Query, outer: Option<&Scope>) -> Fallible<Compiled> {
        if query.for_clause.is_some() || query.settings.is_some() || !query.pipe_operators.is_empty() {
            return Err(not_understood(self.product, &query.to_string()));
        }
        let mut with = Vec::new();
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            with.push(self.cte(cte)?);
        }
        let limit = self.limit(query, outer)?;
        let body = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, query.order_by.as_ref(), &limit, outer)?,
            body => {
                let set = self.set(body, outer)?;
                self.ordered(set, query.order_by.as_ref(), &limit)?
            }
        };
        if with.is_empty() {
            return Ok(body);
        }
        let sql = format!("WITH RECURSIVE {} {}", with.join(", "), body.sql);
        Ok(Compiled { sql, ..body })
    }

    /// `name (columns) AS (query)`, which the rest of the query then knows.
    fn cte(&mut self, cte: &Cte) -> Fallible<String> {
        let name = self.name(&cte.alias.name);
        let renamed = cte.alias.columns.iter().map(|column| self.name(&column.name)).collect::<Vec<_>>();
        let rename = |columns: &[Output]| {
            let mut columns = columns.to_vec();
            for (column, name) in columns.iter_mut().zip(&renamed) {
                column.name.clone_from(name);
            }
            columns.iter_mut().enumerate().for_each(|(at, column)| column.inner = format!("c{}", at + 1));
            columns
        };
        // What calls itself has its columns from its first part.
        let known = self.ctes.len();
        if let SetExpr::SetOperation { left, .. } = cte.query.body.as_ref()
            && let Ok(first) = self.set(left, None)
        {
            self.ctes.push((name.clone(), rename(&first.columns)));
        }
        self.must_not_order(&cte.query)?;
        let whole = self.query(&cte.query, None)?;
        self.ctes.truncate(known);
        let columns = rename(&whole.columns);
        if let (Some(at), false) = (columns.iter().position(|column| column.name.is_empty()), self.is_oracle()) {
            return Err(error(8155, format!("No column name was specified for column {} of '{name}'.", at + 1)));
        }
        let inner = columns.iter().map(|column| quoted(&column.inner)).collect::<Vec<_>>().join(", ");
        self.ctes.push((name.clone(), columns));
        Ok(format!("{} ({inner}) AS ({})", quoted(&format!("cte {name}")), whole.sql))
    }

    fn set(&mut self, body: &SetExpr, outer: Option<&Scope>) -> Fallible<Compiled> {
        match body {
            SetExpr::Select(select) => self.select(select, None, "", outer),
            SetExpr::Query(query) => {
                let inner = self.query(query, outer)?;
                Ok(Compiled { sql: format!("SELECT * FROM ({})", inner.sql), ..inner })
            }
            SetExpr::Values(values) => {
                self.rows(&values.rows.iter().map(|row| row.content.as_slice()).collect::<Vec<_>>(), outer)
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (a, b) = (self.set(left, outer)?, self.set(right, outer)?);
                let all = matches!(set_quantifier, SetQuantifier::All);
                let word = match op {
                    SetOperator::Union if all => "UNION ALL",
                    SetOperator::Union => "UNION",
                    SetOperator::Except | SetOperator::Minus => "EXCEPT",
                    SetOperator::Intersect => "INTERSECT",
                };
                if a.columns.len() != b.columns.len() {
                    return Err(if self.is_oracle() {
                        error(1789, "query block has incorrect number of result columns")
                    } else {
                        error(
                            205,
                            "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
                        )
                    });
                }
                Ok(self.unite(&a, word, &b))
            }
            other => Err(not_understood(self.product, &other.to_string())),
        }
    }

    fn unite(&mut self, a: &Compiled, word: &str, b: &Compiled) -> Compiled {
        let columns = a.columns.iter().zip(&b.columns).map(|(a, b)| Output {
            ty: self.common(&a.ty, &b.ty),
            nullable: a.nullable || b.nullable,
            ..a.clone()
        });
        let columns = columns.collect::<Vec<_>>();
        let side = |compiler: &mut Self, query: &Compiled| {
            if query
                .columns
                .iter()
                .zip(&columns)
                .all(|(own, united)| own.ty.class() == united.ty.class() || own.ty.name.is_empty())
            {
                return query.sql.clone();
            }
            let alias = compiler.fresh();
            let shown = query.columns.iter().zip(&columns).map(|(own, united)| {
                let value = Typed::new(format!("{}.{}", quoted(&alias), quoted(&own.inner)), own.ty.clone());
                format!("{} AS {}", compiler.aligned(&value, &united.ty), quoted(&own.inner))
            });
            let shown = shown.collect::<Vec<_>>().join(", ");
            format!("SELECT {shown} FROM ({}) AS {}", query.sql, quoted(&alias))
        };
        let (left, right) = (side(self, a), side(self, b));
        Compiled { sql: format!("{left} {word} {right}"), columns }
    }

    /// `VALUES (…), (…)`.
    fn rows(&mut self, rows: &[&[Expr]], outer: Option<&Scope>) -> Fallible<Compiled> {
        let scope = Scope { sources: Vec::new(), outer };
        let mut typed = Vec::new();
        for row in rows {
            typed.push(row.iter().map(|expr| self.expr(expr, &scope)).collect::<Fallible<Vec<_>>>()?);
        }
        let width = typed.first().map_or(0, Vec::len);
        if typed.iter().any(|row| row.len() != width) {
            return Err(error(
                10709,
                "The number of columns for each row in a table value constructor must be the same.",
            ));
        }
        let types = (0..width)
            .map(|at| typed.iter().fold(crate::types::Type::null(), |common, row| self.common(&common, &row[at].ty)));
        let columns = types.enumerate().map(|(at, ty)| Output {
            name: String::new(),
            inner: format!("column{}", at + 1),
            nullable: typed.iter().any(|row| row[at].nullable),
            ty,
        });
        let columns = columns.collect::<Vec<_>>();
        let shown = typed.iter().map(|row| {
            let cells = row.iter().zip(&columns).map(|(cell, column)| self.aligned(cell, &column.ty));
            format!("({})", cells.collect::<Vec<_>>().join(", "))
        });
        Ok(Compiled { sql: format!("VALUES {}", shown.collect::<Vec<_>>().join(", ")), columns })
    }

    /// Order and limit of a union, which know nothing but its columns.
    fn ordered(&mut self, set: Compiled, order_by: Option<&OrderBy>, limit: &str) -> Fallible<Compiled> {
        let terms = order_terms(order_by);
        if terms.is_empty() && limit.is_empty() {
            return Ok(set);
        }
        let alias = self.fresh();
        let source = crate::compile::scope::Source {
            name: String::new(),
            schema: None,
            inner: alias.clone(),
            columns: set.columns.clone(),
            optional: false,
            addressed: false,
        };
        let cells = set.columns.iter().map(|column| source.typed(column)).collect::<Vec<_>>();
        let scope = Scope { sources: vec![source], outer: None };
        let mut order = Vec::new();
        for term in terms {
            let value = match ordinal(&term.expr, cells.len()) {
                Some(at) => cells[at].clone(),
                None => self.expr(&term.expr, &scope)?,
            };
            order.push(self.order_term(&value, term));
        }
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        Ok(Compiled { sql: format!("SELECT * FROM ({}) AS {}{order}{limit}", set.sql, quoted(&alias)), ..set })
    }

    /// One term of `ORDER BY`. Nulls come first in SQL Server and last in Oracle.
    pub(crate) fn order_term(&self, value: &Typed, term: &OrderByExpr) -> String {
        let descending = matches!(term.options.sort, Some(OrderBySort::Desc));
        let first = term.options.nulls_first.unwrap_or(descending == self.is_oracle());
        format!(
            "{} COLLATE {}{} NULLS {}",
            value.sql,
            value.ty.collation(),
            if descending { " DESC" } else { "" },
            if first { "FIRST" } else { "LAST" }
        )
    }

    /// `OFFSET … FETCH …` as SQLite has it, with a blank before it.
    fn limit(&mut self, query: &Query, outer: Option<&Scope>) -> Fallible<String> {
        let scope = Scope { sources: Vec::new(), outer };
        let whole = |compiler: &mut Self, expr: &Expr| -> Fallible<String> {
            Ok(format!("CAST({} AS INTEGER)", compiler.expr(expr, &scope)?.sql))
        };
        let count = match &query.fetch {
            Some(fetch) if fetch.percent || fetch.with_ties => {
                return Err(not_understood(self.product, "FETCH … WITH TIES"));
            }
            Some(fetch) => match &fetch.quantity {
                Some(quantity) => Some(whole(self, quantity)?),
                None => Some("1".to_owned()),
            },
            None => None,
        };
        let offset = match &query.limit_clause {
            None => None,
            Some(LimitClause::LimitOffset { limit: None, offset: Some(offset), .. }) => {
                Some(whole(self, &offset.value)?)
            }
            Some(_) => return Err(crate::errors::syntax(self.product, "LIMIT")),
        };
        Ok(match (count, offset) {
            (None, None) => String::new(),
            (Some(count), None) => format!(" LIMIT {count}"),
            (count, Some(offset)) => format!(" LIMIT {} OFFSET {offset}", count.unwrap_or_else(|| "-1".to_owned())),
        })
    }
}

/// The terms of `ORDER BY`, if there are any.
pub(crate) fn order_terms(order_by: Option<&OrderBy>) -> &[OrderByExpr] {
    match order_by.map(|order_by| &order_by.kind) {
        Some(OrderByKind::Expressions(terms)) => terms,
        _ => &[],
    }
}

/// `ORDER BY 2`: the place in the list, from 0.
pub(crate) fn ordinal(expr: &Expr, width: usize) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    let Literal::Number(digits, _) = &value.value else { return None };
    digits.parse::<usize>().ok().filter(|at| (1..=width).contains(at)).map(|at| at - 1)
}

/// Whether values of a type can be grouped and told apart by SQLite only with a collation.
pub(crate) fn needs_collation(class: Class) -> bool {
    matches!(class, Class::Text | Class::Decimal | Class::Offset)
}
