//! What stands in `FROM`.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, ObjectName, Query, SetExpr, TableAlias,
    TableFactor, TableWithJoins,
};

use crate::catalogue::{Table, View, quoted};
use crate::compile::scope::{Output, Scope, Source, is_meant};
use crate::compile::{Compiler, Relation};
use crate::errors::{Fallible, error, not_understood, syntax};
use crate::types::Type;
use crate::views;

/// Oracle's address of a row.
const ROW_ADDRESS: &str = "ROWID";

impl Compiler<'_> {
    /// All of `FROM`; the scope gets its relations.
    pub(crate) fn from<'s>(
        &mut self,
        from: &[TableWithJoins],
        outer: Option<&'s Scope<'s>>,
    ) -> Fallible<(String, Scope<'s>)> {
        let mut scope = Scope { sources: Vec::new(), outer };
        let mut items = Vec::new();
        for item in from {
            let mut sql = self.factor(&item.relation, &mut scope)?;
            let first = scope.sources.len() - 1;
            for join in &item.joins {
                sql = self.join_to(&sql, join, first, &mut scope)?;
            }
            items.push(sql);
        }
        Ok((items.join(" CROSS JOIN "), scope))
    }

    fn join_to(&mut self, left: &str, join: &Join, first: usize, scope: &mut Scope) -> Fallible<String> {
        if matches!(join.join_operator, JoinOperator::CrossApply | JoinOperator::OuterApply) {
            return Err(not_understood(self.product, "APPLY"));
        }
        let right = self.factor(&join.relation, scope)?;
        let new = scope.sources.len() - 1;
        let (word, constraint) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) => ("JOIN", Some(on)),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => {
                scope.sources[new].optional = true;
                ("LEFT JOIN", Some(on))
            }
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => {
                scope.sources[first..new].iter_mut().for_each(|source| source.optional = true);
                ("RIGHT JOIN", Some(on))
            }
            JoinOperator::FullOuter(on) => {
                scope.sources[first..].iter_mut().for_each(|source| source.optional = true);
                ("FULL JOIN", Some(on))
            }
            JoinOperator::CrossJoin(_) => ("CROSS JOIN", None),
            _ => return Err(not_understood(self.product, &join.to_string())),
        };
        let on = match constraint {
            Some(JoinConstraint::On(condition)) => format!(" ON {}", self.condition(condition, scope)?),
            Some(_) => return Err(not_understood(self.product, &join.to_string())),
            None => String::new(),
        };
        Ok(format!("{left} {word} {right}{on}"))
    }

    fn factor(&mut self, factor: &TableFactor, scope: &mut Scope) -> Fallible<String> {
        match factor {
            TableFactor::Table { name, alias, args, .. } => match args {
                None => self.named_relation(name, alias.as_ref(), scope),
                Some(args) => self.table_function(name, &args.args, alias.as_ref(), scope),
            },
            TableFactor::Derived { subquery, alias, .. } => {
                self.must_not_order(subquery)?;
                let query = self.query(subquery, scope.outer)?;
                self.derived(&query.sql, query.columns, alias.as_ref(), None, scope)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let first = scope.sources.len();
                let mut sql = self.factor(&table_with_joins.relation, scope)?;
                for join in &table_with_joins.joins {
                    sql = self.join_to(&sql, join, first, scope)?;
                }
                Ok(format!("({sql})"))
            }
            other => Err(not_understood(self.product, &other.to_string())),
        }
    }

    /// SQL Server refuses an order that nobody sees.
    pub(crate) fn must_not_order(&self, query: &Query) -> Fallible<()> {
        let limited = query.fetch.is_some()
            || query.limit_clause.is_some()
            || matches!(query.body.as_ref(), SetExpr::Select(select) if select.top.is_some());
        if self.is_oracle() || query.order_by.is_none() || limited {
            return Ok(());
        }
        Err(error(
            1033,
            "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.",
        ))
    }

    /// A query in parentheses, under its alias.
    fn derived(
        &mut self,
        sql: &str,
        columns: Vec<Output>,
        alias: Option<&TableAlias>,
        own_name: Option<&str>,
        scope: &mut Scope,
    ) -> Fallible<String> {
        let inner = self.fresh();
        let name = match (alias, own_name) {
            (Some(alias), _) => self.name(&alias.name),
            (None, Some(own)) => own.to_owned(),
            (None, None) if self.is_oracle() => inner.clone(),
            (None, None) => return Err(syntax(self.product, ")")),
        };
        let mut columns = columns;
        for (column, renamed) in columns.iter_mut().zip(alias.map_or(&[][..], |alias| &alias.columns)) {
            column.name = self.name(&renamed.name);
        }
        let nameless = columns.iter().position(|column| column.name.is_empty());
        if let (Some(at), false) = (nameless, self.is_oracle()) {
            return Err(error(8155, format!("No column name was specified for column {} of '{name}'.", at + 1)));
        }
        let sql = format!("({sql}) AS {}", quoted(&inner));
        scope.sources.push(Source { name, schema: None, inner, columns, optional: false, addressed: false });
        Ok(sql)
    }

    fn named_relation(&mut self, name: &ObjectName, alias: Option<&TableAlias>, scope: &mut Scope) -> Fallible<String> {
        let parts = self.parts(name);
        if let [only] = parts.as_slice() {
            let known =
                self.ctes.iter().rev().find(|(cte, _)| crate::catalogue::same_name(self.product, cte, only)).cloned();
            if let Some((cte, columns)) = known {
                return Ok(self.plain(&quoted(&format!("cte {cte}")), &cte, None, columns, alias, scope));
            }
            if self.is_oracle() && only == "DUAL" {
                let dummy = Output {
                    name: "DUMMY".into(),
                    inner: "DUMMY".into(),
                    ty: Type::sized("VARCHAR2", 1),
                    nullable: true,
                };
                return self.derived("SELECT 'X' AS \"DUMMY\"", vec![dummy], alias, Some("DUAL"), scope);
            }
        }
        if let Some(view) = views::find(self.product, &parts) {
            view.check(self.facts)?;
            self.views.insert(view.name);
            let columns = view.outputs(self.product);
            let own = parts.first().cloned().unwrap_or_default();
            return Ok(self.plain(
                &format!("temp.{}", quoted(view.name)),
                &own,
                parts.get(1).cloned(),
                columns,
                alias,
                scope,
            ));
        }
        match self.relation(name, "SELECT")? {
            Relation::Table(table) => Ok(self.table(&table, alias, scope)),
            Relation::View(view) => self.view(&view, alias, scope),
        }
    }

    /// A stored table.
    pub(crate) fn table(&mut self, table: &Table, alias: Option<&TableAlias>, scope: &mut Scope) -> String {
        let columns = table.columns.iter().map(|column| Output {
            name: column.name.clone(),
            inner: column.name.clone(),
            ty: column.ty.clone(),
            nullable: column.nullable,
        });
        let columns = columns.collect();
        let sql = self.plain(&quoted(&table.store), &table.name, Some(table.schema.clone()), columns, alias, scope);
        if let Some(source) = scope.sources.last_mut() {
            source.addressed = true;
        }
        sql
    }

    fn view(&mut self, view: &View, alias: Option<&TableAlias>, scope: &mut Scope) -> Fallible<String> {
        let query = crate::batch::parse_query(self.product, &view.query)?;
        self.deeper()?;
        let query = self.query(&query, None)?;
        self.depth -= 1;
        self.derived(&query.sql, query.columns, alias, Some(&view.name), scope)
    }

    fn plain(
        &mut self,
        sql: &str,
        own_name: &str,
        schema: Option<String>,
        columns: Vec<Output>,
        alias: Option<&TableAlias>,
        scope: &mut Scope,
    ) -> String {
        let inner = self.fresh();
        let aliased = alias.map(|alias| self.name(&alias.name));
        let schema = if aliased.is_some() { None } else { schema };
        let name = aliased.unwrap_or_else(|| own_name.to_owned());
        let sql = format!("{sql} AS {}", quoted(&inner));
        scope.sources.push(Source { name, schema, inner, columns, optional: false, addressed: false });
        sql
    }

    /// `GENERATE_SERIES(1, n)`, `fn_my_permissions(NULL, 'SERVER')`.
    fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        scope: &mut Scope,
    ) -> Fallible<String> {
        let mut arguments = Vec::new();
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
                return Err(not_understood(self.product, &name.to_string()));
            };
            arguments.push(expr);
        }
        let parts = self.parts(name);
        let function = parts.first().map(|part| part.to_uppercase()).unwrap_or_default();
        match function.as_str() {
            "GENERATE_SERIES" if !self.is_oracle() && arguments.len() >= 2 => {
                let outer = Scope { sources: Vec::new(), outer: scope.outer };
                let low = self.expr(arguments[0], &outer)?;
                let high = self.expr(arguments[1], &outer)?;
                let step = arguments
                    .get(2)
                    .map(|step| self.expr(step, &outer))
                    .transpose()?
                    .map_or("1".to_owned(), |step| step.sql);
                let sql = format!(
                    "WITH RECURSIVE s(value, step) AS (SELECT {low}, {step} WHERE CASE WHEN {step} > 0 THEN {low} <= {high} ELSE {low} >= {high} END \
                     UNION ALL SELECT value + step, step FROM s WHERE CASE WHEN step > 0 THEN value + step <= {high} ELSE value + step >= {high} END) \
                     SELECT value FROM s",
                    low = low.sql,
                    high = high.sql
                );
                let value = Output { name: "value".into(), inner: "value".into(), ty: low.ty, nullable: false };
                self.derived(&sql, vec![value], alias, Some("GENERATE_SERIES"), scope)
            }
            "FN_MY_PERMISSIONS" if !self.is_oracle() => {
                let class = match arguments.get(1) {
                    Some(Expr::Value(value)) => value.value.clone().into_string().unwrap_or_default().to_uppercase(),
                    _ => String::new(),
                };
                let view = views::permissions(&class);
                self.views.insert(view.name);
                let columns = view.outputs(self.product);
                Ok(self.plain(&format!("temp.{}", quoted(view.name)), "fn_my_permissions", None, columns, alias, scope))
            }
            _ if self.is_oracle() => Err(error(904, format!("\"{function}\": invalid identifier"))),
            _ => Err(error(208, format!("Invalid object name '{name}'."))),
        }
    }

    /// Oracle's `ROWID` of the only table in sight that has one.
    pub(crate) fn row_address(&self, scope: &Scope, qualifier: &[String]) -> Option<crate::compile::Typed> {
        let meant = |source: &&Source| source.addressed && is_meant(self.product, source, qualifier);
        let source = scope.sources.iter().find(meant).filter(|_| self.is_oracle())?;
        let sql = format!("printf('AAAR%07XAAA%04X', {0}.rowid >> 16, {0}.rowid & 65535)", quoted(&source.inner));
        Some(crate::compile::Typed::certain(sql, Type::new(ROW_ADDRESS)))
    }
}
