//! SQL cut into code, text, names and comments, by the rules of each dialect.
//!
//! The cut decides where a placeholder may stand and which words are code, so it must agree with the server even
//! where a parser for the whole dialect gives up.

use std::ops::Range;

use super::Dialect;

/// Begins the mark of a bound value in rendered text; digits and [`SLOT_END`] follow.
pub(crate) const SLOT_START: char = '\u{FDD0}';
/// Ends a mark.
pub(crate) const SLOT_END: char = '\u{FDD1}';

/// What a piece of SQL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Space,
    Comment,
    /// A comment of MySQL that the server executes: `/*! … */`.
    ExecutableComment,
    /// A quoted text.
    Text,
    /// A quoted name.
    Name,
    Word,
    Number,
    Symbol,
    /// The mark of a bound value.
    Slot(usize),
}

/// A piece of SQL and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) range: Range<usize>,
    /// The end of a text, name or comment is missing.
    pub(crate) unterminated: bool,
}

impl Token {
    /// Whether it is code rather than space or a comment.
    pub(crate) fn is_code(&self) -> bool {
        !matches!(self.kind, TokenKind::Space | TokenKind::Comment)
    }
}

/// Cuts SQL into tokens that cover it without a gap.
pub(crate) fn lex(sql: &str, dialect: Dialect) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let (kind, len) = next(&sql[at..], dialect);
        let (len, unterminated) = len.map_or((sql.len() - at, true), |len| (len, false));
        tokens.push(Token { kind, range: at..at + len, unterminated });
        at += len;
    }
    tokens
}

/// The kind and length of the first token; no length where its end is missing.
fn next(rest: &str, dialect: Dialect) -> (TokenKind, Option<usize>) {
    let mut chars = rest.chars();
    let first = chars.next().expect("the caller stops at the end");
    let second = chars.next();
    let mysql = dialect.is_mysql_family();
    match (first, second) {
        (c, _) if c.is_whitespace() => (TokenKind::Space, Some(run(rest, char::is_whitespace))),
        (SLOT_START, _) => slot(rest),
        ('-', Some('-')) if !mysql || chars.next().is_none_or(|c| c.is_whitespace() || c.is_control()) => {
            (TokenKind::Comment, Some(line(rest)))
        }
        ('#', _) if mysql => (TokenKind::Comment, Some(line(rest))),
        ('/', Some('*')) => {
            let executable = mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!"));
            let nested = matches!(dialect, Dialect::Postgres | Dialect::SqlServer);
            let kind = if executable { TokenKind::ExecutableComment } else { TokenKind::Comment };
            // SQLite takes a comment that the statement's end closes.
            let end = comment(rest, nested);
            (kind, if dialect == Dialect::Sqlite { Some(end.unwrap_or(rest.len())) } else { end })
        }
        ('\'', _) => (TokenKind::Text, quoted(rest, '\'', mysql)),
        ('"', _) if mysql => (TokenKind::Text, quoted(rest, '"', true)),
        ('"', _) => (TokenKind::Name, quoted(rest, '"', false)),
        ('`', _) if mysql || dialect == Dialect::Sqlite => (TokenKind::Name, quoted(rest, '`', false)),
        ('[', _) if dialect == Dialect::SqlServer => (TokenKind::Name, quoted(rest, ']', false)),
        ('[', _) if dialect == Dialect::Sqlite => (TokenKind::Name, rest.find(']').map(|end| end + 1)),
        ('$', _) if dialect == Dialect::Postgres => dollar_quoted(rest),
        (c, _) if is_word_start(c, dialect) => word(rest, dialect),
        (c, _) if c.is_ascii_digit() => (TokenKind::Number, Some(number(rest, dialect))),
        _ => (TokenKind::Symbol, Some(first.len_utf8())),
    }
}

fn run(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

/// The length of a number. It ends at the first letter that is no part of it: servers read `1FROM` as two words.
fn number(rest: &str, dialect: Dialect) -> usize {
    if rest.starts_with("0x") || rest.starts_with("0X") {
        return 2 + run(&rest[2..], |c| c.is_ascii_hexdigit());
    }
    let digits = |at: usize| at + run(&rest[at..], |c| c.is_ascii_digit() || c == '_');
    let mut at = digits(0);
    if rest[at..].starts_with('.') {
        at = digits(at + 1);
    }
    if rest[at..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[at + 1..].starts_with(['+', '-']));
        let end = digits(at + 1 + sign);
        // SQL Server takes `1e` for a whole number.
        if end > at + 1 + sign {
            at = end;
        } else if dialect == Dialect::SqlServer {
            at += 1;
        }
    }
    at
}

fn line(rest: &str) -> usize {
    rest.find(['\n', '\r']).unwrap_or(rest.len())
}

fn slot(rest: &str) -> (TokenKind, Option<usize>) {
    let end = rest.find(SLOT_END).expect("marks are written whole");
    let number = rest[SLOT_START.len_utf8()..end].parse().expect("marks hold a number");
    (TokenKind::Slot(number), Some(end + SLOT_END.len_utf8()))
}

fn comment(rest: &str, nested: bool) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 1;
    let mut at = 2;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'*', b'/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            (b'/', b'*') if nested => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    None
}

/// The length of a quoted piece; the closing quote doubled is one of its characters.
fn quoted(rest: &str, close: char, backslash: bool) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if backslash && c == '\\' {
            chars.next();
        } else if c == close {
            match chars.peek() {
                Some((_, next)) if *next == close => {
                    chars.next();
                }
                _ => return Some(at + c.len_utf8()),
            }
        }
    }
    None
}

/// `$$…$$` or `$tag$…$tag$` of PostgreSQL; anything else that begins with a dollar is `$`.
fn dollar_quoted(rest: &str) -> (TokenKind, Option<usize>) {
    let tag_len = run(&rest[1..], |c| c.is_alphanumeric() || c == '_');
    let is_tag = !rest[1..].starts_with(|c: char| c.is_ascii_digit()) && rest[1 + tag_len..].starts_with('$');
    if !is_tag {
        return (TokenKind::Symbol, Some(1));
    }
    let tag = &rest[..tag_len + 2];
    let body = &rest[tag.len()..];
    (TokenKind::Text, body.find(tag).map(|end| tag.len() * 2 + end))
}

fn is_word_start(c: char, dialect: Dialect) -> bool {
    c.is_alphabetic() || c == '_' || (matches!(c, '#' | '@') && dialect == Dialect::SqlServer)
}

fn word(rest: &str, dialect: Dialect) -> (TokenKind, Option<usize>) {
    let len = run(rest, |c| {
        c.is_alphanumeric() || matches!(c, '_' | '$') || (matches!(c, '#' | '@') && dialect != Dialect::Postgres)
    });
    // In MySQL, `#` begins a comment wherever it stands.
    let len = if dialect.is_mysql_family() { rest[..len].find(['#', '@']).unwrap_or(len) } else { len };
    if !rest[len..].starts_with('\'') {
        return (TokenKind::Word, Some(len));
    }
    let prefix = rest[..len].to_ascii_lowercase();
    let body = &rest[len..];
    let end = match (prefix.as_str(), dialect) {
        ("e", Dialect::Postgres) => quoted(body, '\'', true),
        ("q" | "nq", Dialect::Oracle) => oracle_quoted(body),
        ("n" | "b" | "x" | "u", _) => quoted(body, '\'', dialect.is_mysql_family()),
        _ => return (TokenKind::Word, Some(len)),
    };
    (TokenKind::Text, end.map(|end| len + end))
}

/// `'[…]'` of Oracle, after its `q`.
fn oracle_quoted(body: &str) -> Option<usize> {
    let open = body[1..].chars().next()?;
    let close = match open {
        '[' => ']',
        '{' => '}',
        '(' => ')',
        '<' => '>',
        same => same,
    };
    let from = 1 + open.len_utf8();
    body[from..].find(&format!("{close}'")).map(|end| from + end + close.len_utf8() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens as text, each with a letter for its kind; space is left out.
    fn shape(sql: &str, dialect: Dialect) -> String {
        let tokens = lex(sql, dialect);
        let joined: String = tokens.iter().map(|token| &sql[token.range.clone()]).collect();
        assert_eq!(joined, sql, "tokens cover the text");
        let parts: Vec<String> = tokens
            .iter()
            .filter(|token| token.kind != TokenKind::Space)
            .map(|token| {
                let letter = match token.kind {
                    TokenKind::Space => unreachable!("left out"),
                    TokenKind::Comment => "C",
                    TokenKind::ExecutableComment => "X",
                    TokenKind::Text => "T",
                    TokenKind::Name => "N",
                    TokenKind::Word => "W",
                    TokenKind::Number => "D",
                    TokenKind::Symbol => "S",
                    TokenKind::Slot(_) => "P",
                };
                let open = if token.unterminated { "?" } else { "" };
                format!("{letter}{open}<{}>", &sql[token.range.clone()])
            })
            .collect();
        parts.join(" ")
    }

    #[test]
    fn each_dialect_cuts_by_its_own_rules() {
        use Dialect::*;
        let table: &[(Dialect, &str, &str)] = &[
            (Postgres, "a 'it''s' b", "W<a> T<'it''s'> W<b>"),
            (Postgres, r"'a\' b", r"T<'a\'> W<b>"),
            (Postgres, r"E'a\' b' c", r"T<E'a\' b'> W<c>"),
            (Postgres, "$$ ' $$ x", "T<$$ ' $$> W<x>"),
            (Postgres, "$a$ $$ $a$ x", "T<$a$ $$ $a$> W<x>"),
            (Postgres, "$1", "S<$> D<1>"),
            (Postgres, "/* a /* b */ c */ d", "C</* a /* b */ c */> W<d>"),
            (Postgres, "a[1]", "W<a> S<[> D<1> S<]>"),
            (Postgres, "x--c", "W<x> C<--c>"),
            (MySql, r"'a\' b' c", r"T<'a\' b'> W<c>"),
            (MySql, "\"text\" `na``me`", "T<\"text\"> N<`na``me`>"),
            (MySql, "5--3", "D<5> S<-> S<-> D<3>"),
            (MySql, "a -- b\nc", "W<a> C<-- b> W<c>"),
            (MySql, "a#b", "W<a> C<#b>"),
            (MariaDb, "/*! DROP */ /*M! x */", "X</*! DROP */> X</*M! x */>"),
            (MySql, "/* a /* b */ c", "C</* a /* b */> W<c>"),
            (SqlServer, "[a]]b] #t @p N'x'", "N<[a]]b]> W<#t> W<@p> T<N'x'>"),
            (Oracle, "q'[it's]' x", "T<q'[it's]'> W<x>"),
            (Oracle, "nq'!a'b!' \"N\"", "T<nq'!a'b!'> N<\"N\">"),
            (Oracle, "v$session", "W<v$session>"),
            (Sqlite, "[a] `b` \"c\" 'd'", "N<[a]> N<`b`> N<\"c\"> T<'d'>"),
            (Sqlite, "/* open", "C</* open>"),
            (Postgres, "'open", "T?<'open>"),
            (Oracle, "/* open", "C?</* open>"),
            (Postgres, "1.5e-3 .5 1_000", "D<1.5e-3> S<.> D<5> D<1_000>"),
            (SqlServer, "0xFF 1eFROM 1INTO 1.INTO", "D<0xFF> D<1e> W<FROM> D<1> W<INTO> D<1.> W<INTO>"),
            (Postgres, "größe = 'ß'", "W<größe> S<=> T<'ß'>"),
        ];
        for (dialect, sql, expected) in table {
            assert_eq!(shape(sql, *dialect), *expected, "{dialect:?} {sql}");
        }
    }

    #[test]
    fn marks_are_tokens_in_code_and_plain_text_elsewhere() {
        let sql = format!("a = {SLOT_START}12{SLOT_END} '{SLOT_START}3{SLOT_END}'");
        let kinds: Vec<TokenKind> = lex(&sql, Dialect::Postgres)
            .into_iter()
            .map(|token| token.kind)
            .filter(|k| *k != TokenKind::Space)
            .collect();
        assert_eq!(kinds, [TokenKind::Word, TokenKind::Symbol, TokenKind::Slot(12), TokenKind::Text]);
    }
}
