//! Scripts, as the servers' own clients run them.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::batch::{self, word};
use crate::database::Database;
use crate::errors::Fallible;
use crate::{Backend, Outcome, Product, Sink};

impl Database {
    /// Runs a script as a login, in a session of its own. Oracle's statements end with `;`, blocks with `END;`, and
    /// what was changed is committed, as by the client that Oracle ships.
    ///
    /// # Errors
    /// The first that a statement gives; the rest of the script is not run then.
    pub fn script(&self, login: &str, sql: &str, sink: &mut dyn Sink) -> Fallible<Outcome> {
        let mut session = self.session(login, &self.shared.name)?;
        if self.shared.product == Product::SqlServer {
            return session.run(sql, &[], sink);
        }
        for statement in statements(sql)? {
            match session.run(&statement, &[], sink)? {
                Outcome::Complete => {}
                ended => return Ok(ended),
            }
        }
        session.run("COMMIT", &[], sink)
    }
}

/// The statements of a script of Oracle's, as they are written there.
fn statements(sql: &str) -> Fallible<Vec<String>> {
    let tokens = batch::tokens(Product::Oracle, sql)?;
    let mut found = Vec::new();
    let mut start = None;
    for (at, token) in tokens.iter().enumerate() {
        let first: &TokenWithSpan = start.map_or(token, |start: usize| &tokens[start]);
        start = start.or(Some(at)).filter(|_| token.token != Token::SemiColon || at > start.unwrap_or(at));
        let is_block = matches!(word(&first.token).as_str(), "BEGIN" | "DECLARE");
        let ends_block = at > 0 && word(&tokens[at - 1].token) == "END";
        if token.token == Token::SemiColon && start.is_some() && (!is_block || ends_block) {
            let end = if is_block { token.span.end } else { token.span.start };
            found.push(between(sql, first, end));
            start = None;
        }
    }
    if let (Some(start), Some(last)) = (start, tokens.last()) {
        found.push(between(sql, &tokens[start], last.span.end));
    }
    Ok(found)
}

fn between(sql: &str, first: &TokenWithSpan, end: sqlparser::tokenizer::Location) -> String {
    let place = |location| crate::compile::place(Product::Oracle, sql, location) as usize;
    sql.get(place(first.span.start)..place(end)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_at_semicolons_outside_of_blocks() {
        let script = "SELECT ';' FROM dual; BEGIN DELETE FROM t; COMMIT; END;\nSELECT 'ä' FROM dual";
        let expected = ["SELECT ';' FROM dual", "BEGIN DELETE FROM t; COMMIT; END;", "SELECT 'ä' FROM dual"];
        assert_eq!(statements(script).unwrap(), expected);
        assert_eq!(statements(";;").unwrap(), Vec::<String>::new());
    }
}
