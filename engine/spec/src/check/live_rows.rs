//! Whether a query can give an order that began before its window and has no end yet: its syntax tree is read with such
//! an order in mind, and a condition that cannot hold for it keeps it out.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Query, Select, SetExpr, SetOperator, TableFactor,
    TableWithJoins,
};

use crate::template::{END_NAME, START_NAME};

/// Code in a calculation that may give a time where there is no end.
const FILLS_NULL: [&str; 6] = ["COALESCE(", "IFNULL(", "ISNULL(", "NVL(", "NVL2(", "CASE "];

/// What is known of a query's columns; names are in lower case.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The names of the columns that the window is on; none where that is not known, and any column may be one.
    pub(super) window: Option<BTreeSet<String>>,
    /// The names of the column that is null while an order runs; empty where that is not known.
    pub(super) end: BTreeSet<String>,
}

/// Whether the query can give such an order. Whatever is not understood can.
pub(super) fn are_kept(query: &Query, known: &Known) -> bool {
    Reading { known, inner: BTreeMap::new() }.query(query)
}

struct Reading<'a> {
    known: &'a Known,
    /// The queries of `WITH`, and whether they can give such an order.
    inner: BTreeMap<String, bool>,
}

impl Reading<'_> {
    fn query(&mut self, query: &Query) -> bool {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let kept = self.query(&table.query);
            self.inner.insert(table.alias.name.value.to_lowercase(), kept);
        }
        self.body(&query.body)
    }

    fn body(&mut self, body: &SetExpr) -> bool {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } => self.body(left) || self.body(right),
            SetExpr::SetOperation { left, .. } => self.body(left),
            _ => true,
        }
    }

    fn select(&mut self, select: &Select) -> bool {
        let is_chosen = [&select.selection, &select.having].into_iter().flatten().all(|chosen| self.may_hold(chosen));
        is_chosen && select.from.iter().all(|table| self.tables(table))
    }

    fn tables(&mut self, tables: &TableWithJoins) -> bool {
        self.table(&tables.relation) && tables.joins.iter().all(|join| self.join(join))
    }

    fn table(&mut self, table: &TableFactor) -> bool {
        match table {
            TableFactor::Table { name, .. } => {
                self.inner.get(&name.to_string().to_lowercase()).copied().unwrap_or(true)
            }
            TableFactor::Derived { subquery, .. } => self.query(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.tables(table_with_joins),
            _ => true,
        }
    }

    /// Only a join that every row must find a partner in keeps one out.
    fn join(&mut self, join: &Join) -> bool {
        match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
                let is_met = match constraint {
                    JoinConstraint::On(condition) => self.may_hold(condition),
                    _ => true,
                };
                is_met && self.table(&join.relation)
            }
            _ => true,
        }
    }

    fn may_hold(&mut self, condition: &Expr) -> bool {
        match condition {
            Expr::Nested(inner) => self.may_hold(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => self.may_hold(left) && self.may_hold(right),
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => self.may_hold(left) || self.may_hold(right),
            Expr::BinaryOp { left, op, right } => self.comparison(left, op, right),
            Expr::Between { expr, negated: false, low, .. } => {
                let is_too_early = mentions(low, START_NAME) && self.is_of_window(expr);
                !self.is_null(expr) && !is_too_early
            }
            Expr::IsNotNull(inner) => !self.is_null(inner),
            Expr::InSubquery { subquery, negated: false, .. } | Expr::Exists { subquery, negated: false } => {
                self.query(subquery)
            }
            _ => true,
        }
    }

    fn comparison(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> bool {
        let (earlier, later) = match op {
            BinaryOperator::Gt | BinaryOperator::GtEq => (right, left),
            BinaryOperator::Lt | BinaryOperator::LtEq => (left, right),
            BinaryOperator::Eq | BinaryOperator::NotEq => return !self.is_null(left) && !self.is_null(right),
            _ => return true,
        };
        // Nothing compares with what is null, and the order began before the start of the window.
        let is_too_early = mentions(earlier, START_NAME) && self.is_of_window(later);
        !self.is_null(left) && !self.is_null(right) && !is_too_early
    }

    fn is_null(&self, value: &Expr) -> bool {
        column(value).is_some_and(|name| self.known.end.contains(&name))
    }

    fn is_of_window(&self, value: &Expr) -> bool {
        let Some(window) = &self.known.window else { return column(value).is_some() };
        match column(value) {
            Some(name) => window.contains(&name),
            None => {
                let text = value.to_string();
                let is_filled = FILLS_NULL.iter().any(|code| text.to_uppercase().contains(code));
                !is_filled && window.iter().any(|name| has_word(&text, name))
            }
        }
    }
}

/// The name of a column that stands alone.
fn column(value: &Expr) -> Option<String> {
    match value {
        Expr::Nested(inner) => column(inner),
        Expr::Identifier(name) => {
            (![START_NAME, END_NAME].contains(&name.value.as_str())).then(|| name.value.to_lowercase())
        }
        Expr::CompoundIdentifier(parts) => Some(parts.last()?.value.to_lowercase()),
        _ => None,
    }
}

fn mentions(value: &Expr, name: &str) -> bool {
    has_word(&value.to_string(), name)
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|char: char| !char.is_alphanumeric() && char != '_').any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, parse_query};

    /// Whether a live order of before the window is read by `SELECT … FROM auftrag WHERE` with a condition.
    fn check(condition: &str, expected: bool) {
        let sql = format!("SELECT von, bis FROM auftrag a WHERE {condition}");
        whole(&sql, expected);
    }

    fn whole(sql: &str, expected: bool) {
        let sql = sql.replace("START", START_NAME).replace("UNTIL", END_NAME);
        let known = Known { window: Some(BTreeSet::from(["von".to_owned()])), end: BTreeSet::from(["bis".to_owned()]) };
        for dialect in [Dialect::Postgres, Dialect::SqlServer, Dialect::Oracle] {
            let query = parse_query(&sql, dialect).unwrap_or_else(|| panic!("{sql} cannot be read"));
            assert_eq!(are_kept(&query, &known), expected, "{dialect:?} {sql}");
        }
    }

    #[test]
    fn only_a_branch_that_such_an_order_can_take_counts() {
        check("von >= START AND von < UNTIL", false);
        check("von >= START AND von < UNTIL OR bis IS NULL", true);
        check("(von >= START AND von < UNTIL) OR a.bis IS NULL", true);
        check("von >= START AND (von < UNTIL OR bis IS NULL)", false);
        check("von >= START AND (status = 'A' OR status = 'B')", false);
        check("(von >= START OR status = 'L') AND von < UNTIL", true);
        check("von BETWEEN START AND UNTIL OR status = 1", true);
        check("von BETWEEN START AND UNTIL", false);
        check("START <= von", false);
        check("CAST(von AS date) >= START", false);
        check("status = 1 GROUP BY von, bis HAVING von >= START", false);
        check("status = 1 GROUP BY von, bis HAVING MIN(von) >= START OR bis IS NULL", true);
    }

    #[test]
    fn nothing_compares_with_an_end_that_is_missing() {
        check("von < UNTIL AND bis > START", false);
        check("von < UNTIL AND (bis > START OR bis IS NULL)", true);
        check("von < UNTIL AND COALESCE(bis, von) > START", true);
        check("von < UNTIL AND bis IS NOT NULL", false);
        check("von >= START OR bis <> von", false);
        check("geaendert >= START", true);
    }

    #[test]
    fn queries_inside_are_read_as_well() {
        whole("SELECT von FROM a WHERE von >= START UNION ALL SELECT von FROM a WHERE bis IS NULL", true);
        whole("SELECT von FROM a WHERE von >= START UNION ALL SELECT von FROM b WHERE von >= START", false);
        whole("SELECT von FROM (SELECT von, bis FROM a WHERE von >= START) x", false);
        whole("WITH x AS (SELECT von, bis FROM a WHERE von >= START) SELECT von FROM x WHERE bis IS NULL", false);
        whole("WITH x AS (SELECT von, bis FROM a) SELECT von FROM x WHERE von >= START OR bis IS NULL", true);
        whole("SELECT von FROM a JOIN b ON a.id = b.id AND b.von >= START", false);
        whole("SELECT von FROM a LEFT JOIN b ON a.id = b.id AND b.von >= START", true);
        whole("SELECT von FROM a WHERE id IN (SELECT id FROM b WHERE von >= START)", false);
        whole("SELECT von FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE von >= START)", true);
    }
}
