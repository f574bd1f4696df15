//! Whether a statement only reads: a first guard, before the read-only session of the server.
//!
//! The words are checked always, by the dialect's own rules of quoting. The parser's tree is checked as well where
//! it can be built: no parser knows all of any dialect, so its failure is a warning.

use std::ops::Range;

use sqlparser::ast::{Query, SetExpr, Statement};
use sqlparser::parser::{Parser, ParserError};

use super::Dialect;
use super::lex::{Token, TokenKind, lex};
use crate::template::Severity;

/// Nesting of a statement that is parsed; a deeper one is checked by its words alone.
const PARSE_DEPTH_MAX: usize = 100;

/// Tokens of a statement that is parsed; the tree of a longer one may be too deep to be taken down again.
const PARSE_TOKENS_MAX: usize = 10_000;

/// Something about a statement that keeps it, or may keep it, from being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFinding {
    /// Stable code.
    pub code: &'static str,
    /// Errors keep the statement from being sent.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Bytes of the SQL.
    pub range: Range<usize>,
}

/// Words that change data or rights wherever they stand as code.
const CHANGING: &[&str] =
    &["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "TRUNCATE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE"];

/// Reserved words of SQL Server that begin a statement; it needs no semicolon between two.
const SQL_SERVER_STATEMENTS: &[&str] = &[
    "BACKUP",
    "BEGIN",
    "BULK",
    "COMMIT",
    "DBCC",
    "DECLARE",
    "DENY",
    "EXEC",
    "EXECUTE",
    "GOTO",
    "IF",
    "KILL",
    "PRINT",
    "RAISERROR",
    "RECONFIGURE",
    "RESTORE",
    "RETURN",
    "REVERT",
    "ROLLBACK",
    "SAVE",
    "SET",
    "SHUTDOWN",
    "UPDATETEXT",
    "USE",
    "WAITFOR",
    "WHILE",
    "WRITETEXT",
];

/// Functions with an effect, or that hold up the server, by dialect. Lower case; a trailing `*` is any ending.
fn denied_functions(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Postgres => &[
            "pg_sleep*",
            "lo_*",
            "nextval",
            "setval",
            "dblink*",
            "pg_read_file",
            "pg_read_binary_file",
            "pg_ls_*",
            "pg_stat_file",
            "pg_terminate_backend",
            "pg_cancel_backend",
            "pg_reload_conf",
            "pg_rotate_logfile",
            "pg_advisory_*",
            "pg_try_advisory_*",
            "pg_notify",
            "pg_switch_wal",
            "pg_create_*",
            "pg_drop_*",
            "pg_promote",
            "pg_backup_*",
            "pg_start_backup",
            "pg_stop_backup",
            "pg_logical_*",
            "pg_replication_*",
            "pg_file_*",
            "pg_log_backend_memory_contexts",
            "pg_stat_reset*",
            "pg_wal_replay_*",
            "set_config",
            "query_to_xml*",
            "cursor_to_xml*",
            "pg_export_snapshot",
            "pg_import_system_collations",
        ],
        Dialect::MySql | Dialect::MariaDb => &[
            "sleep",
            "benchmark",
            "get_lock",
            "release_lock",
            "release_all_locks",
            "load_file",
            "nextval",
            "setval",
            "lastval",
            "master_pos_wait",
            "source_pos_wait",
            "wait_for_executed_gtid_set",
            "master_gtid_wait",
            "sys_exec",
            "sys_eval",
            "sys_set",
        ],
        Dialect::SqlServer => &["xp_*", "sp_*", "openquery", "openrowset", "opendatasource"],
        Dialect::Oracle => {
            &["httpuritype", "dburitype", "xdburitype", "dbms_*", "utl_*", "ctx_*", "owa_*", "apex_web_service"]
        }
        Dialect::Sqlite => &["load_extension", "writefile", "readfile", "edit", "fts3_tokenizer"],
    }
}

/// Packages of Oracle that only compute.
const ORACLE_PURE_PACKAGES: &[&str] =
    &["dbms_lob", "dbms_random", "dbms_crypto", "utl_raw", "utl_i18n", "utl_encode", "utl_match", "dbms_rowid"];
/// Functions of `dbms_lob` that only read.
const ORACLE_LOB_READS: &[&str] = &["substr", "getlength", "instr", "compare"];

/// Checks that SQL is one statement, and that it reads. Findings come in the order of their places.
pub fn check_read_only(sql: &str, dialect: Dialect) -> Vec<SqlFinding> {
    let tokens = lex(sql, dialect);
    let mut check =
        Check { sql, dialect, code: tokens.iter().filter(|token| token.is_code()).collect(), found: vec![] };
    if let Some(open) = tokens.iter().find(|token| token.unterminated) {
        check.error("sql_unterminated", open.range.clone(), "a quote or comment is never closed", None);
        return check.found;
    }
    if check.code.is_empty() {
        check.error("sql_empty", 0..sql.len(), "there is no statement", None);
        return check.found;
    }
    check.statements();
    check.first_word();
    check.words();
    check.functions();
    let read_by_words = check.found.iter().all(|finding| finding.severity != Severity::Error);
    if read_by_words {
        check.tree();
    }
    check.found.sort_by_key(|finding| finding.range.start);
    check.found
}

struct Check<'a> {
    sql: &'a str,
    dialect: Dialect,
    /// The tokens that are neither space nor comment.
    code: Vec<&'a Token>,
    found: Vec<SqlFinding>,
}

impl Check<'_> {
    fn error(&mut self, code: &'static str, range: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        self.found.push(SqlFinding {
            code,
            severity: Severity::Error,
            message: message.into(),
            help: help.map(str::to_owned),
            range,
        });
    }

    fn text(&self, place: usize) -> &str {
        self.code.get(place).map_or("", |token| &self.sql[token.range.clone()])
    }

    /// The word at a place in upper case; empty for anything else.
    fn word(&self, place: usize) -> String {
        match self.code.get(place) {
            Some(token) if token.kind == TokenKind::Word => self.text(place).to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn before(&self, place: usize) -> &str {
        place.checked_sub(1).map_or("", |before| self.text(before))
    }

    fn statements(&mut self) {
        let Some(end) = (0..self.code.len()).find(|place| self.text(*place) == ";") else { return };
        if let Some(second) = (end..self.code.len()).find(|place| self.text(*place) != ";") {
            let range = self.code[second].range.clone();
            let help = "a query is one statement: keep the one that reads";
            self.error("sql_many_statements", range, "a second statement begins here", Some(help));
        } else if self.dialect == Dialect::Oracle {
            let range = self.code[end].range.clone();
            let help = "leave the semicolon out";
            self.error("sql_semicolon", range, "Oracle refuses a statement that ends in `;` (ORA-00933)", Some(help));
        }
    }

    fn first_word(&mut self) {
        let Some(first) = (0..self.code.len()).find(|place| self.text(*place) != "(") else { return };
        let word = self.word(first);
        if word == "SELECT" || word == "WITH" || CHANGING.contains(&word.as_str()) {
            return; // A changing word is reported as such.
        }
        let range = self.code[first].range.clone();
        let message = format!("a query begins with SELECT or WITH, not with `{}`", self.text(first));
        self.error("sql_not_a_read", range, message, None);
    }

    fn words(&mut self) {
        for place in 0..self.code.len() {
            let range = self.code[place].range.clone();
            if self.code[place].kind == TokenKind::ExecutableComment {
                let message = format!("{} executes what stands in this comment", self.dialect.name());
                self.error("sql_executable_comment", range, message, Some("write it as code, or as a plain comment"));
                continue;
            }
            let word = self.word(place);
            let next = self.word(place + 1);
            // Behind a dot or AS, any word is a name.
            if word.is_empty() || self.before(place) == "." || self.word(place.wrapping_sub(1)) == "AS" {
                continue;
            }
            let is_call = self.text(place + 1) == "(";
            match word.as_str() {
                "INTO" => {
                    let message = "a query gives back rows; it puts them INTO nothing";
                    self.error("sql_select_into", range, message, Some("leave INTO out"));
                }
                "FOR"
                    if matches!(next.as_str(), "UPDATE" | "SHARE")
                        || (next == "NO" && self.word(place + 2) == "KEY")
                        || (next == "KEY" && self.word(place + 2) == "SHARE") =>
                {
                    self.lock(range.start..self.code[place + 1].range.end);
                }
                "LOCK" if next == "IN" => self.lock(range),
                "UPDLOCK" | "XLOCK" | "TABLOCKX" | "TABLOCK" | "PAGLOCK" | "HOLDLOCK"
                    if self.dialect == Dialect::SqlServer && matches!(self.text(place + 1), ")" | ",") =>
                {
                    self.lock(range);
                }
                "UPDATE" if matches!(self.word(place.wrapping_sub(1)).as_str(), "FOR" | "KEY") => {}
                "REPLACE" | "TRUNCATE" | "INSERT" if is_call => {}
                "MERGE" if matches!(next.as_str(), "JOIN" | "UNION") => {}
                "USE" if matches!(next.as_str(), "HINT" | "PLAN") => {}
                changing if CHANGING.contains(&changing) => {
                    let message = format!("`{}` changes the source; a query only reads", self.text(place));
                    let help = "if it is the name of a column, write it in quotes";
                    self.error("sql_not_a_read", range, message, Some(help));
                }
                other if place > 0 && self.dialect == Dialect::SqlServer && SQL_SERVER_STATEMENTS.contains(&other) => {
                    let message = format!("`{}` begins a statement of its own", self.text(place));
                    let help = "if it is the name of a column, write it in brackets";
                    self.error("sql_not_a_read", range, message, Some(help));
                }
                "NEXT" if next == "VALUE" && self.word(place + 2) == "FOR" => self.sequence(range),
                _ => {}
            }
        }
    }

    fn lock(&mut self, range: Range<usize>) {
        let help = "leave it out: reading needs no lock that others would wait for";
        self.error("sql_lock", range, "the query would lock rows of the source", Some(help));
    }

    fn sequence(&mut self, range: Range<usize>) {
        self.error("sql_side_effect", range, "taking the next value of a sequence changes the source", None);
    }

    fn functions(&mut self) {
        for place in 0..self.code.len() {
            let token = self.code[place];
            if !matches!(token.kind, TokenKind::Word | TokenKind::Name) {
                continue;
            }
            let name = unquoted(self.text(place)).to_lowercase();
            let next = self.text(place + 1);
            let range = token.range.clone();
            if self.dialect == Dialect::Oracle && name == "nextval" && self.before(place) == "." {
                self.sequence(range);
                continue;
            }
            // A package of Oracle is named before the dot; elsewhere a schema is, which says nothing.
            let is_called = next == "(" || (self.dialect == Dialect::Oracle && next == ".");
            if !is_called || !denied_functions(self.dialect).iter().any(|denied| matches_name(denied, &name)) {
                continue;
            }
            if self.dialect == Dialect::Oracle && ORACLE_PURE_PACKAGES.contains(&name.as_str()) {
                let member = unquoted(self.text(place + 2)).to_lowercase();
                if name != "dbms_lob" || ORACLE_LOB_READS.contains(&member.as_str()) {
                    continue;
                }
            }
            let message = format!("`{}` does more than read, or holds up the server", self.text(place));
            self.error("sql_side_effect", range, message, Some("a query calls functions that only compute"));
        }
    }

    fn tree(&mut self) {
        if self.code.len() > PARSE_TOKENS_MAX {
            return self.unparsed(&ParserError::RecursionLimitExceeded);
        }
        let parsed = Parser::new(self.dialect.parser())
            .with_recursion_limit(PARSE_DEPTH_MAX)
            .try_with_sql(self.sql)
            .and_then(|mut parser| parser.parse_statements());
        match parsed {
            Err(error) => self.unparsed(&error),
            Ok(statements) => {
                let all = 0..self.sql.len();
                match statements.as_slice() {
                    [Statement::Query(query)] if reads(query) => {}
                    [_] => self.error("sql_not_a_read", all, "the statement does not only read", None),
                    _ => self.error("sql_many_statements", all, "a query is one statement", None),
                }
            }
        }
    }

    fn unparsed(&mut self, error: &ParserError) {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
            ParserError::RecursionLimitExceeded => "it is too long or nested too deeply",
        };
        let (message, range) =
            match message.rsplit_once(" at Line: ").and_then(|(m, place)| Some((m, place.split_once(", Column: ")?))) {
                Some((message, (line, column))) => (message, self.token_at(line.trim(), column.trim())),
                None => (message, 0..self.sql.len()),
            };
        self.found.push(SqlFinding {
            code: "sql_unparsed",
            // Servers take more than the parser knows; a spec is not the worse for using it.
            severity: Severity::Note,
            message: format!(
                "the check for {} does not know this syntax ({message}); only its words were checked",
                self.dialect.name()
            ),
            help: Some("`engine preview` shows whether the server takes it".to_owned()),
            range,
        });
    }

    /// The token at a line and column, both counted from 1 in characters.
    fn token_at(&self, line: &str, column: &str) -> Range<usize> {
        let whole = 0..self.sql.len();
        let (Ok(line), Ok(column)) = (line.parse::<usize>(), column.parse::<usize>()) else { return whole };
        let Some(text) = self.sql.split_inclusive('\n').nth(line.saturating_sub(1)) else { return whole };
        let start: usize = self.sql.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let within: usize = text.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let at = start + within;
        self.code.iter().find(|token| token.range.contains(&at)).map_or(whole, |token| token.range.clone())
    }
}

fn matches_name(denied: &str, name: &str) -> bool {
    denied.strip_suffix('*').map_or(denied == name, |start| name.starts_with(start))
}

/// A name without its quotes.
pub(crate) fn unquoted(text: &str) -> &str {
    let mut chars = text.chars();
    match (chars.next(), chars.next_back()) {
        (Some('"'), Some('"')) | (Some('`'), Some('`')) | (Some('['), Some(']')) => &text[1..text.len() - 1],
        _ => text,
    }
}

fn reads(query: &Query) -> bool {
    let tables = query.with.iter().flat_map(|with| &with.cte_tables);
    query.locks.is_empty() && tables.into_iter().all(|table| reads(&table.query)) && body_reads(&query.body)
}

fn body_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => reads(query),
        SetExpr::SetOperation { left, right, .. } => body_reads(left) && body_reads(right),
        SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::*;

    fn check(sql: &str, dialect: Dialect, expected: &[&str]) {
        let found = check_read_only(sql, dialect);
        let mut codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes, expected, "{dialect:?}: {sql}: {found:?}");
    }

    #[test]
    fn what_reads_passes() {
        for dialect in Dialect::ALL {
            check("SELECT a, b FROM t WHERE c = 'DELETE; DROP' -- UPDATE", dialect, &[]);
            check("WITH x AS (SELECT 1 AS a FROM t) SELECT a FROM x UNION ALL SELECT a FROM x", dialect, &[]);
            check("(SELECT a FROM t) UNION (SELECT b FROM u)", dialect, &[]);
            check("SELECT t.update, REPLACE(a, 'x', 'y') FROM t", dialect, &[]);
            check(&format!("SELECT a FROM t WHERE b = {}", dialect.placeholder(1)), dialect, &[]);
        }
        for (sql, dialect) in [
            ("SELECT a FROM t;", Postgres),
            ("SELECT 'a''; DELETE FROM t' FROM t", SqlServer),
            (r"SELECT 'a\'; DELETE FROM t' FROM t", MySql),
            ("SELECT TRUNCATE(a, 2), INSERT(a, 1, 1, 'x') FROM t", MySql),
            ("SELECT TOP 5 a FROM dbo.t WITH (NOLOCK) CROSS APPLY f(t.a) x", SqlServer),
            ("SELECT [update] FROM [delete] AS d", SqlServer),
            ("SELECT a FROM t WHERE ROWNUM < 5 AND b = q'[it's; DROP]'", Oracle),
            ("SELECT a, LISTAGG(b, ',') WITHIN GROUP (ORDER BY b) FROM t GROUP BY a", Oracle),
            ("SELECT dbms_lob.getlength(a), utl_raw.cast_to_varchar2(b) FROM t", Oracle),
            ("SELECT $$a; DELETE$$ FROM t", Postgres),
        ] {
            check(sql, dialect, &[]);
        }
    }

    #[test]
    fn what_changes_the_source_is_refused() {
        for dialect in Dialect::ALL {
            check("DELETE FROM t", dialect, &["sql_not_a_read"]);
            check("DROP TABLE t", dialect, &["sql_not_a_read"]);
            check("WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x", dialect, &["sql_not_a_read"]);
            check("WITH x AS (SELECT 1 AS a) UPDATE t SET a = 1", dialect, &["sql_not_a_read"]);
            check("SELECT 1; SELECT 2", dialect, &["sql_many_statements"]);
            check("SELECT a FROM t FOR UPDATE", dialect, &["sql_lock"]);
            check("SELECT a INTO b FROM t", dialect, &["sql_select_into"]);
            check("EXEC p", dialect, &["sql_not_a_read"]);
            check("PRAGMA journal_mode = off", dialect, &["sql_not_a_read"]);
            check("ATTACH 'x' AS y", dialect, &["sql_not_a_read"]);
            check("", dialect, &["sql_empty"]);
            check(" -- only a comment", dialect, &["sql_empty"]);
            check("SELECT 'open FROM t", dialect, &["sql_unterminated"]);
        }
        for (sql, dialect, code) in [
            ("SELECT 1 DELETE FROM t", SqlServer, "sql_not_a_read"),
            ("SELECT 1DELETE FROM t", SqlServer, "sql_not_a_read"),
            ("SELECT 1.INTO b FROM t", SqlServer, "sql_select_into"),
            ("SELECT a FROM t SHUTDOWN", SqlServer, "sql_not_a_read"),
            ("SELECT a FROM t EXEC xp_cmdshell 'dir'", SqlServer, "sql_not_a_read"),
            ("SELECT a FROM t WITH (UPDLOCK)", SqlServer, "sql_lock"),
            ("SELECT a FROM OPENQUERY(srv, 'delete from t')", SqlServer, "sql_side_effect"),
            ("SELECT a FROM [OPENROWSET]('x', 'y', 'z')", SqlServer, "sql_side_effect"),
            ("SELECT NEXT VALUE FOR s", SqlServer, "sql_side_effect"),
            ("SELECT a FROM t FOR NO KEY UPDATE", Postgres, "sql_lock"),
            ("SELECT a FROM t FOR SHARE", Postgres, "sql_lock"),
            ("SELECT pg_sleep(10)", Postgres, "sql_side_effect"),
            ("SELECT \"pg_sleep\" (10)", Postgres, "sql_side_effect"),
            ("SELECT pg_catalog.lo_import('/etc/passwd')", Postgres, "sql_side_effect"),
            ("SELECT nextval('s')", Postgres, "sql_side_effect"),
            ("SELECT * FROM dblink('x', 'y') AS t(a int)", Postgres, "sql_side_effect"),
            ("SELECT a INTO OUTFILE '/tmp/x' FROM t", MySql, "sql_select_into"),
            ("SELECT a FROM t LOCK IN SHARE MODE", MySql, "sql_lock"),
            ("SELECT SLEEP(10)", MariaDb, "sql_side_effect"),
            ("SELECT BENCHMARK(1000, 1), LOAD_FILE('x')", MySql, "sql_side_effect"),
            ("SELECT 1 /*!50000 INTO OUTFILE 'x' */", MySql, "sql_executable_comment"),
            ("SELECT 1 /*M! INTO OUTFILE 'x' */", MariaDb, "sql_executable_comment"),
            ("SELECT s.NEXTVAL FROM dual", Oracle, "sql_side_effect"),
            ("SELECT UTL_HTTP.REQUEST('http://x') FROM dual", Oracle, "sql_side_effect"),
            ("SELECT dbms_lob.createtemporary(a) FROM dual", Oracle, "sql_side_effect"),
            ("SELECT sys.dbms_pipe.receive_message('x', 10) FROM dual", Oracle, "sql_side_effect"),
            ("SELECT a FROM t;", Oracle, "sql_semicolon"),
            ("SELECT load_extension('x')", Sqlite, "sql_side_effect"),
        ] {
            check(sql, dialect, &[code]);
        }
    }

    #[test]
    fn what_the_parser_does_not_know_is_a_note() {
        let sql = "SELECT a\nFROM t\nWHERE a = 1\nOPTION (RECOMPILE, MERGE JOIN)";
        let found = check_read_only(sql, SqlServer);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].code, found[0].severity), ("sql_unparsed", Severity::Note));
        assert_eq!(&sql[found[0].range.clone()], "OPTION");
        check("SELECT DBMS_LOB.SUBSTR(a, 10, 1) FROM t", Oracle, &["sql_unparsed"]);
    }

    #[test]
    fn a_finding_knows_its_place() {
        let sql = "SELECT a, pg_sleep(1) FROM t; DELETE FROM t";
        let places: Vec<&str> = check_read_only(sql, Postgres).into_iter().map(|finding| &sql[finding.range]).collect();
        assert_eq!(places, ["pg_sleep", "DELETE", "DELETE"]);
    }
}
