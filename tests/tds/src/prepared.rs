//! Statements that a client prepared, by their handles.

use std::collections::BTreeMap;

/// Statements that a session keeps.
const STATEMENTS_MAX: usize = 10_000;

/// A statement, and the declaration of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) declaration: String,
}

/// The statements of a session.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    statements: BTreeMap<i64, Statement>,
    last: i64,
}

impl Prepared {
    /// Keeps a statement. The oldest is dropped where there are too many.
    pub(crate) fn keep(&mut self, statement: Statement) -> i64 {
        if self.statements.len() == STATEMENTS_MAX {
            self.statements.pop_first();
        }
        self.last += 1;
        self.statements.insert(self.last, statement);
        self.last
    }

    pub(crate) fn get(&self, handle: i64) -> Option<Statement> {
        self.statements.get(&handle).cloned()
    }

    pub(crate) fn drop(&mut self, handle: i64) -> Option<Statement> {
        self.statements.remove(&handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_so_many_and_no_more() {
        let mut prepared = Prepared::default();
        let statement = Statement { sql: "select 1".to_owned(), declaration: String::new() };
        let first = prepared.keep(statement.clone());
        for _ in 0..STATEMENTS_MAX {
            prepared.keep(statement.clone());
        }
        assert_eq!(prepared.get(first), None);
        assert_eq!(prepared.get(first + 1), Some(statement.clone()));
        assert_eq!(prepared.drop(first + 1), Some(statement));
        assert_eq!(prepared.get(first + 1), None);
    }
}
