//! One `SELECT`.

use sqlparser::ast::{
    BinaryOperator, ConnectByKind, Distinct, Expr, GroupByExpr, OrderBy, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TopQuantity, Value as Literal,
};

use crate::catalogue::quoted;
use crate::compile::query::{needs_collation, order_terms, ordinal};
use crate::compile::scope::{Output, Scope, Source, is_meant};
use crate::compile::{Compiled, Compiler, Typed};
use crate::errors::{Fallible, error, not_understood};
use crate::types::Type;

impl Compiler<'_> {
    /// A `SELECT` with the order and the limit of its query.
    pub(crate) fn select(
        &mut self,
        select: &Select,
        order_by: Option<&OrderBy>,
        limit: &str,
        outer: Option<&Scope>,
    ) -> Fallible<Compiled> {
        if select.having.is_some() && select.qualify.is_some()
            || !select.lateral_views.is_empty()
            || select.into.is_some()
        {
            return Err(not_understood(self.product, &select.to_string()));
        }
        if select.from.is_empty() && self.is_oracle() && !self.facts.version.starts_with("23") {
            return Err(error(923, "FROM keyword not found where expected"));
        }
        let (mut from, scope) =
            if select.connect_by.is_empty() { self.from(&select.from, outer)? } else { self.levels(select, outer)? };
        if !from.is_empty() {
            from = format!(" FROM {from}");
        }
        let mut limit = limit.to_owned();
        let mut filter = String::new();
        if let Some(selection) = &select.selection {
            let (bound, rest) = self.row_bound(selection);
            if let Some(bound) = bound {
                limit = format!(" LIMIT {}", self.row_count(&bound, &scope)?);
            }
            if let Some(rest) = rest {
                filter = format!(" WHERE {}", self.condition(&rest, &scope)?);
            }
        }
        let outside = (std::mem::take(&mut self.bare), std::mem::take(&mut self.aggregates));
        let cells = self.projection(&select.projection, &scope)?;
        let met = std::mem::take(&mut self.bare);
        let group = self.group_by(&select.group_by, &scope)?;
        if self.aggregates > 0 || !group.is_empty() {
            self.must_be_grouped(&met, &scope)?;
        }
        (self.bare, self.aggregates) = outside;
        let having = match &select.having {
            Some(having) => format!(" HAVING {}", self.condition(having, &scope)?),
            None => String::new(),
        };
        let order = self.order_by(order_by, &cells, &scope)?;
        if let Some(top) = &select.top {
            if top.with_ties || top.percent {
                return Err(not_understood(self.product, "TOP … WITH TIES"));
            }
            let count = match &top.quantity {
                Some(TopQuantity::Constant(count)) => count.to_string(),
                Some(TopQuantity::Expr(expr)) => format!("CAST({} AS INTEGER)", self.expr(expr, &scope)?.sql),
                None => return Err(crate::errors::syntax(self.product, "TOP")),
            };
            limit = format!(" LIMIT {count}");
        }
        let distinct = match &select.distinct {
            Some(Distinct::Distinct) => "DISTINCT ",
            Some(Distinct::On(_)) => return Err(crate::errors::syntax(self.product, "ON")),
            _ => "",
        };
        let shown = cells.iter().map(|(output, cell)| {
            let collation = if distinct.is_empty() || !needs_collation(cell.ty.class()) {
                String::new()
            } else {
                format!(" COLLATE {}", cell.ty.collation())
            };
            format!("{}{collation} AS {}", cell.sql, quoted(&output.inner))
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        let mut sql = format!("SELECT {distinct}{shown}{from}{filter}{group}{having}{order}{limit}");
        // A limit of its own in a part of a union, which SQLite has in parentheses only.
        if !limit.is_empty() {
            sql = format!("SELECT * FROM ({sql})");
        }
        Ok(Compiled { sql, columns: cells.into_iter().map(|(output, _)| output).collect() })
    }

    /// Every column that is shown beside an aggregate must be one of `GROUP BY`.
    fn must_be_grouped(&self, met: &[(String, String)], scope: &Scope) -> Fallible<()> {
        let own =
            |sql: &str| scope.sources.iter().any(|source| sql.starts_with(&format!("{}.", quoted(&source.inner))));
        let grouped = |sql: &str| self.bare.iter().any(|(column, _)| column == sql);
        match met.iter().find(|(sql, _)| own(sql) && !grouped(sql)) {
            None => Ok(()),
            Some(_) if self.is_oracle() && self.bare.is_empty() => Err(error(937, "not a single-group group function")),
            Some(_) if self.is_oracle() => Err(error(979, "not a GROUP BY expression")),
            Some((_, name)) => Err(error(
                8120,
                format!(
                    "Column '{name}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause."
                ),
            )),
        }
    }

    fn group_by(&mut self, group_by: &GroupByExpr, scope: &Scope) -> Fallible<String> {
        let GroupByExpr::Expressions(terms, modifiers) = group_by else {
            return Err(not_understood(self.product, &group_by.to_string()));
        };
        if !modifiers.is_empty() {
            return Err(not_understood(self.product, &group_by.to_string()));
        }
        let mut shown = Vec::new();
        for term in terms {
            let value = self.expr(term, scope)?;
            let collation = if needs_collation(value.ty.class()) {
                format!(" COLLATE {}", value.ty.collation())
            } else {
                String::new()
            };
            shown.push(format!("{}{collation}", value.sql));
        }
        Ok(if shown.is_empty() { String::new() } else { format!(" GROUP BY {}", shown.join(", ")) })
    }

    fn order_by(&mut self, order_by: Option<&OrderBy>, cells: &[(Output, Typed)], scope: &Scope) -> Fallible<String> {
        let mut order = Vec::new();
        for term in order_terms(order_by) {
            let by_name = match &term.expr {
                Expr::Identifier(ident) => {
                    let name = self.name(ident);
                    cells.iter().find(|(output, _)| crate::catalogue::same_name(self.product, &output.name, &name))
                }
                _ => None,
            };
            let value = match (ordinal(&term.expr, cells.len()), by_name) {
                (Some(at), _) => cells[at].1.clone(),
                (_, Some((_, cell))) => cell.clone(),
                _ => self.expr(&term.expr, scope)?,
            };
            order.push(self.order_term(&value, term));
        }
        Ok(if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) })
    }

    fn projection(&mut self, items: &[SelectItem], scope: &Scope) -> Fallible<Vec<(Output, Typed)>> {
        let mut cells = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let cell = self.expr(expr, scope)?;
                    self.cell(&mut cells, self.own_name(expr), cell);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let cell = self.expr(expr, scope)?;
                    self.cell(&mut cells, self.name(alias), cell);
                }
                SelectItem::Wildcard(_) => {
                    if scope.sources.is_empty() {
                        return Err(error(263, "Must specify table to select from."));
                    }
                    self.all_of(&mut cells, &scope.sources);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let mut path = self.parts(name);
                    path.reverse();
                    let meant = scope
                        .sources
                        .iter()
                        .filter(|source| is_meant(self.product, source, &path))
                        .cloned()
                        .collect::<Vec<_>>();
                    if meant.is_empty() {
                        return Err(if self.is_oracle() {
                            error(904, format!("\"{}\": invalid identifier", path.join(".")))
                        } else {
                            error(
                                107,
                                format!(
                                    "The column prefix '{}' does not match with a table name or alias name used in the query.",
                                    path.join(".")
                                ),
                            )
                        });
                    }
                    self.all_of(&mut cells, &meant);
                }
                other => return Err(not_understood(self.product, &other.to_string())),
            }
        }
        Ok(cells)
    }

    fn all_of(&mut self, cells: &mut Vec<(Output, Typed)>, sources: &[Source]) {
        for source in sources {
            for column in &source.columns {
                self.cell(cells, column.name.clone(), source.typed(column));
            }
        }
    }

    /// Adds a cell under a name that no other has.
    fn cell(&self, cells: &mut Vec<(Output, Typed)>, name: String, cell: Typed) {
        let inner = format!("c{}", cells.len() + 1);
        cells.push((Output { name, inner, ty: cell.ty.clone(), nullable: cell.nullable }, cell));
    }

    /// The name of a cell without an alias: none in SQL Server, its own text in Oracle.
    fn own_name(&self, expr: &Expr) -> String {
        match expr {
            Expr::Identifier(ident) if !ident.value.starts_with('@') || self.is_oracle() => self.name(ident),
            Expr::CompoundIdentifier(path) => path.last().map(|ident| self.name(ident)).unwrap_or_default(),
            other if self.is_oracle() => other.to_string().replace(' ', "").to_uppercase(),
            _ => String::new(),
        }
    }

    /// Takes `ROWNUM <= n` out of a condition.
    fn row_bound(&self, selection: &Expr) -> (Option<Expr>, Option<Expr>) {
        let Expr::BinaryOp { left, op, right } = selection else {
            return match selection {
                Expr::Nested(inner) if self.is_oracle() => self.row_bound(inner),
                other => (None, Some(other.clone())),
            };
        };
        let row_number = |expr: &Expr| {
            self.is_oracle() && matches!(expr, Expr::Identifier(ident) if ident.value.eq_ignore_ascii_case("ROWNUM"))
        };
        match op {
            BinaryOperator::And => {
                let ((a, left), (b, right)) = (self.row_bound(left), self.row_bound(right));
                let rest = match (left, right) {
                    (Some(left), Some(right)) => {
                        Some(Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) })
                    }
                    (left, right) => left.or(right),
                };
                (a.or(b), rest)
            }
            BinaryOperator::LtEq | BinaryOperator::Lt | BinaryOperator::Eq if row_number(left) => {
                (Some(selection.clone()), None)
            }
            _ => (None, Some(selection.clone())),
        }
    }

    /// How many rows `ROWNUM <= n`, `ROWNUM < n` or `ROWNUM = 1` lets through.
    fn row_count(&mut self, bound: &Expr, scope: &Scope) -> Fallible<String> {
        let Expr::BinaryOp { op, right, .. } = bound else { return Err(not_understood(self.product, "ROWNUM")) };
        let count = format!("CAST({} AS INTEGER)", self.expr(right, scope)?.sql);
        Ok(match op {
            BinaryOperator::LtEq => format!("max({count}, 0)"),
            BinaryOperator::Lt => format!("max({count} - 1, 0)"),
            _ => format!("({count} = 1)"),
        })
    }

    /// `FROM dual CONNECT BY LEVEL <= n`: the numbers from 1 to n.
    fn levels<'s>(&mut self, select: &Select, outer: Option<&'s Scope<'s>>) -> Fallible<(String, Scope<'s>)> {
        let refused = || error(3001, "unimplemented feature");
        let [ConnectByKind::ConnectBy { relationships, .. }] = select.connect_by.as_slice() else {
            return Err(refused());
        };
        let [Expr::BinaryOp { left, op, right }] = relationships.as_slice() else { return Err(refused()) };
        let counted = matches!(left.as_ref(), Expr::Identifier(ident) if matches!(ident.value.to_uppercase().as_str(), "LEVEL" | "ROWNUM"));
        let from_dual = select.from.len() == 1 && select.from[0].to_string().eq_ignore_ascii_case("dual");
        if !counted || !from_dual {
            return Err(refused());
        }
        let none = Scope { sources: Vec::new(), outer };
        let count = format!("CAST({} AS INTEGER)", self.expr(right, &none)?.sql);
        let test = match op {
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Lt => "<",
            _ => return Err(refused()),
        };
        let inner = self.fresh();
        let sql = format!(
            "(WITH RECURSIVE g(level) AS (SELECT 1 UNION ALL SELECT level + 1 FROM g WHERE level + 1 {test} {count}) \
             SELECT CAST(level AS TEXT) AS \"LEVEL\" FROM g) AS {}",
            quoted(&inner)
        );
        let level = Output { name: "LEVEL".into(), inner: "LEVEL".into(), ty: Type::new("NUMBER"), nullable: false };
        let source = Source {
            name: "DUAL".into(),
            schema: None,
            inner,
            columns: vec![level],
            optional: false,
            addressed: false,
        };
        Ok((sql, Scope { sources: vec![source], outer }))
    }
}

/// A text in quotes, as an argument that must be known before the statement runs.
pub(crate) fn literal_text(expr: &Expr) -> Option<String> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Literal::SingleQuotedString(text) | Literal::NationalStringLiteral(text) => Some(text.clone()),
        _ => None,
    }
}
