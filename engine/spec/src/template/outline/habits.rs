//! Habits of SQL that cost something, or that another server has: found word by word.

use std::ops::Range;

use super::{ARITHMETIC, Bound, Calculated, Outline};
use crate::sql::{Dialect, TokenKind};

/// Hints of SQL Server under which a query sees what is later undone, or leaves out rows that are being changed.
const DIRTY_HINTS: [&str; 3] = ["NOLOCK", "READUNCOMMITTED", "READPAST"];
/// Words before a bracket that call nothing.
const NO_FUNCTIONS: [&str; 9] = ["IN", "AND", "OR", "NOT", "ON", "WHERE", "EXISTS", "HAVING", "WHEN"];
/// Functions that take the time of day off a time.
const CUTTING: [&str; 3] = ["TRUNC", "DATE", "DATE_TRUNC"];
/// Conversions that do so where their type is a date.
const CASTS: [&str; 4] = ["CAST", "TRY_CAST", "CONVERT", "TRY_CONVERT"];
/// Filters after which a bound lies at the border of a day, or is no time any more.
const WHOLE_FILTERS: [&str; 3] = ["date", "format", "epoch"];

/// A piece of SQL that another server understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Habit {
    /// The bytes of the template.
    pub(crate) place: Range<usize>,
    /// What it is, and whose.
    pub(crate) what: &'static str,
    /// What this server takes instead.
    pub(crate) instead: &'static str,
    /// Bytes of the template that can go without a change of meaning.
    pub(crate) superfluous: Option<Range<usize>>,
}

/// A function that some servers have, and others under another name.
struct Foreign {
    name: &'static str,
    known_to: &'static [Dialect],
    instead: &'static str,
}

const FUNCTIONS: [Foreign; 6] = [
    Foreign {
        name: "GETDATE",
        known_to: &[Dialect::SqlServer],
        instead: "`CURRENT_TIMESTAMP`, or better `{{ run.now }}`",
    },
    Foreign {
        name: "NOW",
        known_to: &[Dialect::Postgres, Dialect::MySql, Dialect::MariaDb],
        instead: "`CURRENT_TIMESTAMP`, or better `{{ run.now }}`",
    },
    Foreign {
        name: "NVL",
        known_to: &[Dialect::Oracle, Dialect::MariaDb],
        instead: "`COALESCE`, which every server has",
    },
    Foreign {
        name: "IFNULL",
        known_to: &[Dialect::MySql, Dialect::MariaDb, Dialect::Sqlite],
        instead: "`COALESCE`, which every server has",
    },
    Foreign {
        name: "DATEADD",
        known_to: &[Dialect::SqlServer],
        instead: "a bound of the window, which needs no arithmetic",
    },
    Foreign {
        name: "TO_DATE",
        known_to: &[Dialect::Oracle, Dialect::Postgres, Dialect::MariaDb],
        instead: "`CAST(… AS DATE)`, or a filter of the bound",
    },
];

impl Outline {
    /// The function whose result ends right before a token, where it is an operand by itself.
    pub(super) fn calculated_before(&self, at: usize) -> Option<Calculated> {
        let last = at.checked_sub(1)?;
        if self.is_before(at, 2, ":") && self.is_before(at, 3, ":") {
            // `booked_at::date` of PostgreSQL.
            let column = at.checked_sub(4).filter(|column| self.is_name(*column))?;
            let function = format!("::{}", self.name(last)).to_uppercase();
            return Some(Calculated { function, names: vec![self.name(column)], place: self.origin(column, last) });
        }
        if !self.is(last, ")") {
            return None;
        }
        let open = self.bracket((0..last).rev(), ")", "(")?;
        let name = open.checked_sub(1).filter(|name| self.is_name(*name) && !self.is_any(*name, &NO_FUNCTIONS))?;
        let names = (open..last).filter(|at| self.is_name(*at)).map(|at| self.name(at)).collect();
        Some(Calculated { function: self.text_at(name).to_uppercase(), names, place: self.origin(name, last) })
    }

    /// The first and the last token of a conversion that takes the time of day off the end of the window.
    pub(super) fn cut(&self, at: usize) -> Option<(usize, usize)> {
        let TokenKind::Slot(slot) = self.kind(at)? else { return None };
        let (bound, emit) = &self.values[slot];
        if *bound != Some(Bound::End) || self.has_whole_filter(emit) {
            return None;
        }
        if self.is(at + 1, ":") && self.is(at + 2, ":") && self.is(at + 3, "date") {
            return (!self.is_calculated_with(at + 3)).then_some((at, at + 3));
        }
        if !self.is_before(at, 1, "(") && !self.is_before(at, 1, ",") {
            return None;
        }
        let open = self.bracket((0..at).rev(), ")", "(")?;
        let (name, close) = (open.checked_sub(1)?, self.bracket(at..self.tokens.len(), "(", ")")?);
        let to_date = (self.is_before(close, 1, "DATE") && self.is_before(close, 2, "AS")) || self.is(open + 1, "DATE");
        // A DATE of Oracle holds a time of day.
        let is_cast = self.is_any(name, &CASTS) && to_date && self.dialect != Dialect::Oracle;
        let cuts = is_cast || self.is_any(name, &CUTTING);
        (cuts && !self.is_calculated_with(close)).then_some((name, close))
    }

    fn is_calculated_with(&self, last: usize) -> bool {
        ARITHMETIC.contains(&self.text_at(last + 1))
    }

    fn has_whole_filter(&self, emit: &Range<usize>) -> bool {
        let filters = self.filters.iter().find(|(range, _)| range == emit);
        filters.is_some_and(|(_, filters)| filters.iter().any(|filter| WHOLE_FILTERS.contains(&filter.as_str())))
    }

    /// The hints under which a query of SQL Server reads what was never committed, or leaves rows out.
    pub(crate) fn dirty_hints(&self) -> Vec<(String, Range<usize>)> {
        if self.dialect != Dialect::SqlServer {
            return Vec::new();
        }
        (0..self.tokens.len())
            .filter(|at| self.is_any(*at, &DIRTY_HINTS) && (self.is_before(*at, 1, "(") || self.is_before(*at, 1, ",")))
            .map(|at| (self.text_at(at).to_uppercase(), self.origin(at, at)))
            .collect()
    }

    /// The `ORDER BY` of the whole query, where nothing is cut off by it.
    pub(crate) fn order_by(&self) -> Option<Range<usize>> {
        let mut depth = 0_usize;
        let mut outermost = Vec::new();
        for at in 0..self.tokens.len() {
            match self.text_at(at) {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ if depth == 0 => outermost.push(at),
                _ => {}
            }
        }
        if outermost.iter().any(|at| self.is_any(*at, &["LIMIT", "FETCH", "OFFSET", "TOP", "FOR"])) {
            return None;
        }
        let order = outermost.into_iter().rev().find(|at| self.is(*at, "ORDER") && self.is(at + 1, "BY"))?;
        Some(self.origin(order, order + 1))
    }

    /// Syntax that only other servers have.
    pub(crate) fn foreign_syntax(&self) -> Vec<Habit> {
        let limit = match self.dialect {
            Dialect::SqlServer => Some("`SELECT TOP (n) …`"),
            Dialect::Oracle => Some("`FETCH FIRST n ROWS ONLY`; before 12c, `WHERE ROWNUM <= n` around the query"),
            _ => None,
        };
        let top = match self.dialect {
            Dialect::SqlServer => None,
            Dialect::Oracle => Some("`FETCH FIRST n ROWS ONLY` at the end"),
            _ => Some("`LIMIT n` at the end"),
        };
        let mut found = Vec::new();
        let mut habit = |place: Range<usize>, what, instead| {
            found.push(Habit { place, what, instead, superfluous: None });
        };
        for at in 0..self.tokens.len() {
            if let Some(instead) = limit
                && self.is(at, "LIMIT")
                && matches!(self.kind(at + 1), Some(TokenKind::Number | TokenKind::Slot(_)))
            {
                habit(self.origin(at, at + 1), "`LIMIT` is syntax of PostgreSQL, MySQL and SQLite", instead);
            }
            if let Some(instead) = top
                && self.is(at, "TOP")
                && at.checked_sub(1).is_some_and(|before| self.is_any(before, &["SELECT", "DISTINCT", "ALL"]))
                && (self.kind(at + 1) == Some(TokenKind::Number)
                    || (self.is(at + 1, "(") && self.kind(at + 2) == Some(TokenKind::Number)))
            {
                habit(self.origin(at, at), "`TOP` is syntax of SQL Server", instead);
            }
            if let Some((what, instead)) = self.foreign_quote(at) {
                habit(self.origin(at, at), what, instead);
            }
        }
        if self.dialect == Dialect::Oracle {
            found.extend((0..self.tokens.len()).filter_map(|at| self.alias_with_as(at)));
        }
        found.sort_by_key(|habit| habit.place.start);
        found
    }

    /// A quote that opens a name in other dialects. Of a pair, the first counts.
    fn foreign_quote(&self, at: usize) -> Option<(&'static str, &'static str)> {
        let instead = match self.dialect {
            Dialect::SqlServer => "`[name]`",
            Dialect::MySql | Dialect::MariaDb => "`` `name` ``",
            Dialect::Postgres | Dialect::Oracle | Dialect::Sqlite => "`\"name\"`",
        };
        match self.text_at(at) {
            "`" => {
                let quotes = (0..at).filter(|before| self.is(*before, "`")).count();
                (quotes % 2 == 0).then_some(("a backtick opens a name in MySQL and MariaDB", instead))
            }
            // Behind a name it is the index of an array.
            "[" => {
                let before = at.checked_sub(1);
                let is_index = before.is_some_and(|before| {
                    self.is_any(before, &[")", "]", "ARRAY"]) || (self.is_name(before) && self.ends_expression(before))
                });
                let holds_name = self.is_name(at + 1);
                (!is_index && holds_name).then_some(("a square bracket opens a name in SQL Server", instead))
            }
            _ => None,
        }
    }

    /// `FROM t AS x`, which Oracle refuses.
    fn alias_with_as(&self, from: usize) -> Option<Habit> {
        if !self.is_any(from, &["FROM", "JOIN"]) {
            return None;
        }
        let after = if self.is(from + 1, "(") {
            self.bracket(from + 2..self.tokens.len(), "(", ")")? + 1
        } else {
            let mut last = from + 1;
            while self.is_name(last) && self.is(last + 1, ".") {
                last += 2;
            }
            last + 1
        };
        if !self.is(after, "AS") || !self.is_name(after + 1) {
            return None;
        }
        let place = self.origin(after, after);
        let next = self.origin(after + 1, after + 1);
        Some(Habit {
            superfluous: Some(place.start..next.start),
            place,
            what: "`AS` before the alias of a table is syntax of other servers (ORA-00933)",
            instead: "`FROM table alias`",
        })
    }

    /// Calls of functions that only other servers have.
    pub(crate) fn foreign_functions(&self) -> Vec<Habit> {
        let call = |at: &usize| self.is(at + 1, "(") && !self.is_before(*at, 1, ".");
        (0..self.tokens.len())
            .filter(call)
            .filter_map(|at| {
                let foreign = FUNCTIONS.iter().find(|foreign| self.is(at, foreign.name))?;
                (!foreign.known_to.contains(&self.dialect)).then(|| Habit {
                    place: self.origin(at, at),
                    what: foreign.name,
                    instead: foreign.instead,
                    superfluous: None,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
