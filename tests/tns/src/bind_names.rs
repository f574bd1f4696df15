//! The names of the binds of a statement, in the order in which clients send values for them.

/// Whether a statement is PL/SQL. There, a name that comes twice is one bind.
pub fn is_block(sql: &str) -> bool {
    matches!(first_word(sql).as_str(), "BEGIN" | "DECLARE" | "CALL")
}

/// Whether a statement returns rows.
pub fn is_query(sql: &str) -> bool {
    matches!(first_word(sql).as_str(), "SELECT" | "WITH")
}

/// The first word of a statement, in upper case.
pub fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map(|(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map(|(_, after)| after)
        } else {
            break;
        };
        rest = after.unwrap_or("").trim_start_matches(|c: char| c.is_whitespace() || c == '(');
    }
    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>().to_uppercase()
}

/// The names, without `:`. Literals, comments and quoted names are passed over.
pub fn names(sql: &str) -> Vec<String> {
    let block = is_block(sql);
    let mut names: Vec<String> = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '\'' => after(&rest[1..], "'"),
            '"' => after(&rest[1..], "\""),
            'q' | 'Q' if rest[1..].starts_with('\'') => after_q(&rest[2..]),
            '-' if rest.starts_with("--") => after(rest, "\n"),
            '/' if rest.starts_with("/*") => after(&rest[2..], "*/"),
            ':' => {
                let inside = &rest[1..];
                let quoted = inside.strip_prefix('"').and_then(|inside| inside.split_once('"'));
                let (name, next) = quoted.unwrap_or_else(|| {
                    let end = inside.find(|c: char| !(c.is_alphanumeric() || "_$#".contains(c)));
                    inside.split_at(end.unwrap_or(inside.len()))
                });
                let is_known = block && names.iter().any(|known| known.eq_ignore_ascii_case(name));
                if !name.is_empty() && !is_known {
                    names.push(name.to_owned());
                }
                next
            }
            // A word is passed over in one go, so that its `q` does not begin a literal.
            c if c.is_alphanumeric() || c == '_' => {
                rest.trim_start_matches(|c: char| c.is_alphanumeric() || "_$#".contains(c))
            }
            c => &rest[c.len_utf8()..],
        };
    }
    names
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// What follows `q'[…]'`.
fn after_q(text: &str) -> &str {
    let Some(open) = text.chars().next() else { return "" };
    let close = match open {
        '[' => ']',
        '{' => '}',
        '(' => ')',
        '<' => '>',
        other => other,
    };
    after(&text[open.len_utf8()..], &format!("{close}'"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_found_where_they_are_binds() {
        for (sql, expected) in [
            ("SELECT * FROM t WHERE a = :1 AND b > :Since", &["1", "Since"][..]),
            ("SELECT ':no', \":no\", q'[it's :no]' FROM t -- :no\n/* :no */ WHERE a=:yes", &["yes"]),
            ("SELECT :a, :a FROM dual", &["a", "a"]),
            ("BEGIN p(:a, :b, :A); END;", &["a", "b"]),
            ("SELECT seq'x' FROM t WHERE a=:\"Mixed\"", &["Mixed"]),
            ("SELECT 1 FROM dual", &[]),
        ] {
            assert_eq!(names(sql), expected, "{sql}");
        }
    }

    #[test]
    fn the_first_word_is_found_behind_comments() {
        for (sql, word) in [("  -- x\n /* y */ (select 1", "SELECT"), ("WITH a AS", "WITH"), ("", ""), ("/* open", "")]
        {
            assert_eq!(first_word(sql), word, "{sql}");
        }
    }

    proptest! {
        #[test]
        fn no_statement_makes_it_panic(sql in "[:'\"q\\[\\]a-z/*\\- \nä]{0,40}") {
            names(&sql);
            first_word(&sql);
        }
    }
}
