//! Statements that change rows.

use sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, Insert, ObjectName, SetExpr, TableFactor, TableObject, TableWithJoins,
    Update, UpdateTableFromKind,
};

use crate::catalogue::{Table, TableColumn, quoted};
use crate::compile::scope::Scope;
use crate::compile::{Compiled, Compiler, Relation, Typed};
use crate::convert::Purpose;
use crate::errors::{Fallible, error, not_understood};

/// A `rowversion` is never given and always new.
const ROW_VERSION: &str = "x_row_version()";

impl Compiler<'_> {
    pub(crate) fn insert(&mut self, insert: &Insert) -> Fallible<String> {
        let TableObject::TableName(name) = &insert.table else { return Err(not_understood(self.product, "INSERT")) };
        if insert.output.is_some() || insert.returning.is_some() || !insert.assignments.is_empty() {
            return Err(not_understood(self.product, &insert.to_string()));
        }
        let table = self.stored(name, "INSERT")?;
        let targets = self.targets(&table, &insert.columns)?;
        let mut columns = targets.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>();
        let filled = self.filled(&table, &targets)?;
        columns.extend(filled.iter().map(|(name, _)| quoted(name)));
        let more = filled.iter().map(|(_, sql)| sql.clone()).collect::<Vec<_>>();
        let source = match insert.source.as_deref() {
            Some(query) => match query.body.as_ref() {
                SetExpr::Values(values) => {
                    let rows = values
                        .rows
                        .iter()
                        .map(|row| self.row(&row.content, &targets, &more))
                        .collect::<Fallible<Vec<_>>>()?;
                    format!("VALUES {}", rows.join(", "))
                }
                _ => {
                    let query = self.query(query, None)?;
                    self.rows_of_query(&query, &targets, &more)?
                }
            },
            None => format!("VALUES ({})", more.join(", ")),
        };
        if columns.is_empty() {
            return Ok(format!("INSERT INTO {} DEFAULT VALUES", quoted(&table.store)));
        }
        Ok(format!("INSERT INTO {} ({}) {source}", quoted(&table.store), columns.join(", ")))
    }

    fn stored(&self, name: &ObjectName, right: &str) -> Fallible<Table> {
        match self.relation(name, right)? {
            Relation::Table(table) => Ok(table),
            Relation::View(view) => Err(not_understood(self.product, &format!("{right} {}", view.name))),
        }
    }

    /// The columns that the statement names, or all that can be given.
    fn targets(&self, table: &Table, named: &[ObjectName]) -> Fallible<Vec<TableColumn>> {
        if named.is_empty() {
            return Ok(table
                .columns
                .iter()
                .filter(|column| !column.identity && column.ty.name != "rowversion")
                .cloned()
                .collect());
        }
        let find = |name: &ObjectName| {
            let parts = self.parts(name);
            let name = parts.first().cloned().unwrap_or_default();
            table.column(self.product, &name).cloned().ok_or_else(|| self.no_column(&name))
        };
        named.iter().map(find).collect()
    }

    fn no_column(&self, name: &str) -> crate::ServerError {
        if self.is_oracle() {
            error(904, format!("\"{name}\": invalid identifier"))
        } else {
            error(207, format!("Invalid column name '{name}'."))
        }
    }

    /// What columns get that the statement does not name.
    fn filled(&mut self, table: &Table, targets: &[TableColumn]) -> Fallible<Vec<(String, String)>> {
        let mut filled = Vec::new();
        for column in &table.columns {
            if targets.iter().any(|target| target.name == column.name) {
                continue;
            }
            if column.ty.name == "rowversion" {
                filled.push((column.name.clone(), ROW_VERSION.to_owned()));
            } else if column.identity {
                let next = Typed::certain(
                    format!("x_identity({})", crate::catalogue::text_literal(&table.store)),
                    crate::types::Type::new("bigint"),
                );
                filled.push((column.name.clone(), self.convert(&next, &column.ty, Purpose::Assign)));
            } else if let Some(default) = &column.default {
                let parsed = crate::batch::parse_expression(self.product, default)?;
                let value = self.expr(&parsed, &Scope::default())?;
                filled.push((column.name.clone(), self.assigned(&value, column)));
            }
        }
        Ok(filled)
    }

    fn assigned(&self, value: &Typed, column: &TableColumn) -> String {
        if value.sql == "NULL" { value.sql.clone() } else { self.convert(value, &column.ty, Purpose::Assign) }
    }

    fn row(&mut self, cells: &[Expr], targets: &[TableColumn], more: &[String]) -> Fallible<String> {
        self.check_width(cells.len(), targets.len())?;
        let mut shown = Vec::new();
        for (cell, column) in cells.iter().zip(targets) {
            let is_default = matches!(cell, Expr::Identifier(word) if word.value.eq_ignore_ascii_case("DEFAULT"));
            let value = match (&column.default, is_default) {
                (Some(default), true) => {
                    let parsed = crate::batch::parse_expression(self.product, default)?;
                    self.expr(&parsed, &Scope::default())?
                }
                (None, true) => Typed::new("NULL", crate::types::Type::null()),
                (_, false) => self.expr(cell, &Scope::default())?,
            };
            shown.push(self.assigned(&value, column));
        }
        shown.extend_from_slice(more);
        Ok(format!("({})", shown.join(", ")))
    }

    fn check_width(&self, given: usize, wanted: usize) -> Fallible<()> {
        match (given.cmp(&wanted), self.is_oracle()) {
            (std::cmp::Ordering::Equal, _) => Ok(()),
            (std::cmp::Ordering::Less, true) => Err(error(947, "not enough values")),
            (std::cmp::Ordering::Greater, true) => Err(error(913, "too many values")),
            (_, false) => Err(error(213, "Column name or number of supplied values does not match table definition.")),
        }
    }

    /// The rows of a query in the form of columns.
    pub(crate) fn rows_of_query(
        &mut self,
        query: &Compiled,
        targets: &[TableColumn],
        more: &[String],
    ) -> Fallible<String> {
        self.check_width(query.columns.len(), targets.len())?;
        let alias = quoted(&self.fresh());
        let mut shown = query
            .columns
            .iter()
            .zip(targets)
            .map(|(own, column)| {
                self.assigned(&Typed::new(format!("{alias}.{}", quoted(&own.inner)), own.ty.clone()), column)
            })
            .collect::<Vec<_>>();
        shown.extend_from_slice(more);
        Ok(format!("SELECT {} FROM ({}) AS {alias} WHERE true", shown.join(", "), query.sql))
    }

    pub(crate) fn update(&mut self, update: &Update) -> Fallible<String> {
        if update.output.is_some() || update.returning.is_some() || update.limit.is_some() {
            return Err(not_understood(self.product, &update.to_string()));
        }
        let from = match &update.from {
            None => None,
            Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => Some(from.as_slice()),
        };
        let (table, sql, scope) = self.changed(&update.table, from, "UPDATE")?;
        let mut assignments = Vec::new();
        for assignment in &update.assignments {
            let AssignmentTarget::ColumnName(name) = &assignment.target else {
                return Err(not_understood(self.product, &assignment.to_string()));
            };
            let name = self.parts(name).first().cloned().unwrap_or_default();
            let column = table.column(self.product, &name).cloned().ok_or_else(|| self.no_column(&name))?;
            let value = self.expr(&assignment.value, &scope)?;
            assignments.push(format!("{} = {}", quoted(&column.name), self.assigned(&value, &column)));
        }
        for column in table.columns.iter().filter(|column| column.ty.name == "rowversion") {
            assignments.push(format!("{} = {ROW_VERSION}", quoted(&column.name)));
        }
        let filter = self.filter(update.selection.as_ref(), &scope)?;
        Ok(format!("UPDATE {sql} SET {}{filter}", assignments.join(", ")))
    }

    pub(crate) fn delete(&mut self, delete: &Delete) -> Fallible<String> {
        if delete.output.is_some() || delete.returning.is_some() || delete.using.is_some() || delete.limit.is_some() {
            return Err(not_understood(self.product, &delete.to_string()));
        }
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [target] = from.as_slice() else { return Err(not_understood(self.product, &delete.to_string())) };
        let (_, sql, scope) = self.changed(target, None, "DELETE")?;
        let filter = self.filter(delete.selection.as_ref(), &scope)?;
        Ok(format!("DELETE FROM {sql}{filter}"))
    }

    fn filter(&mut self, selection: Option<&Expr>, scope: &Scope) -> Fallible<String> {
        Ok(match selection {
            Some(selection) => format!(" WHERE {}", self.condition(selection, scope)?),
            None => String::new(),
        })
    }

    /// The one table that a statement changes, and how it is named there.
    fn changed(
        &mut self,
        target: &TableWithJoins,
        from: Option<&[TableWithJoins]>,
        right: &str,
    ) -> Fallible<(Table, String, Scope<'static>)> {
        let refused = |compiler: &Self| not_understood(compiler.product, &format!("{right} {target}"));
        let TableFactor::Table { name, alias, .. } = &target.relation else { return Err(refused(self)) };
        let (name, alias) = match from {
            None => (name, alias),
            // `UPDATE a SET … FROM t AS a`
            Some([only]) if only.joins.is_empty() => match &only.relation {
                TableFactor::Table { name, alias, .. } => (name, alias),
                _ => return Err(refused(self)),
            },
            Some(_) => return Err(refused(self)),
        };
        if !target.joins.is_empty() {
            return Err(refused(self));
        }
        let table = self.stored(name, right)?;
        let mut scope = Scope::default();
        let sql = self.table(&table, alias.as_ref(), &mut scope);
        Ok((table, sql, scope))
    }
}
