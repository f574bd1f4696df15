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

/// Statements as experts write them every day.
#[test]
fn what_each_server_has_of_its_own_passes() {
    for sql in [
        "SELECT a FROM t OPTION (RECOMPILE, USE HINT ('FORCE_LEGACY_CARDINALITY_ESTIMATION'))",
        "SELECT STUFF((SELECT ',' + x.b FROM x FOR XML PATH(''), TYPE).value('.', 'nvarchar(max)'), 1, 1, '') AS b",
        "SELECT STRING_AGG(a, ',') WITHIN GROUP (ORDER BY b) AS c FROM t GROUP BY d",
        "SELECT x.b FROM t OUTER APPLY (SELECT TOP (1) b FROM u WHERE u.a = t.a ORDER BY u.c DESC) AS x",
        "SELECT TOP (10) WITH TIES a FROM t ORDER BY a",
        "SELECT p.[1] FROM (SELECT a, b FROM t) AS s PIVOT (SUM(b) FOR a IN ([1], [2])) AS p",
        "SELECT a FROM HYDRA..bde_buchung (NOLOCK)",
        "SELECT a FROM [SRV01\\MES].[HYDRA].[dbo].[t] WITH (NOLOCK, INDEX(ix))",
        "SELECT a AT TIME ZONE 'W. Europe Standard Time' AT TIME ZONE 'UTC' AS b FROM t",
        "SELECT a FROM t FOR SYSTEM_TIME AS OF '2025-01-01'",
        "SELECT {fn NOW()} AS n, t.[set], t.[open] AS [close] FROM t",
    ] {
        check(sql, SqlServer, &[]);
    }
    for sql in [
        "SELECT LEVEL AS l FROM t START WITH p IS NULL CONNECT BY NOCYCLE PRIOR id = p",
        "SELECT a FROM t, u WHERE t.a = u.a (+)",
        "SELECT /*+ INDEX(t ix) PARALLEL(4) */ a FROM mes.t@prod.example.com t",
        "SELECT LISTAGG(a, ',' ON OVERFLOW TRUNCATE '…' WITHOUT COUNT) WITHIN GROUP (ORDER BY b) AS c FROM t",
        "SELECT FROM_TZ(CAST(a AS TIMESTAMP), 'Europe/Berlin') AT TIME ZONE 'UTC' AS b FROM t",
        "SELECT x.a FROM t, XMLTABLE('/r' PASSING t.doc COLUMNS a NUMBER PATH '@a') x",
        "SELECT a FROM t MINUS SELECT a FROM u FETCH FIRST 10 ROWS ONLY",
    ] {
        check(sql, Oracle, &[]);
    }
    // Only the words of these are checked.
    for (sql, dialect) in [
        ("SELECT a FROM t OPTION (MAXRECURSION 100, MERGE JOIN)", SqlServer),
        ("SELECT a FROM t INNER MERGE JOIN u ON t.a = u.a", SqlServer),
        ("SELECT a FROM t MODEL DIMENSION BY (b) MEASURES (c) RULES UPDATE (c[1] = 2)", Oracle),
        ("SELECT MAX(a) KEEP (DENSE_RANK LAST ORDER BY b) AS m FROM t GROUP BY c", Oracle),
        ("SELECT a FROM t AS OF TIMESTAMP (SYSTIMESTAMP - INTERVAL '5' MINUTE)", Oracle),
        ("SELECT JSON_TRANSFORM(d, REPLACE '$.a' = 1, INSERT '$.b' = 2) AS d FROM t", Oracle),
    ] {
        check(sql, dialect, &["sql_unparsed"]);
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
        // Behind the dot of a number, a statement may begin.
        ("SELECT $.DELETE FROM t", SqlServer, "sql_not_a_read"),
        ("SELECT 1, €.DELETE FROM t", SqlServer, "sql_not_a_read"),
        ("SELECT 1.5.DELETE FROM t", SqlServer, "sql_not_a_read"),
        ("SELECT .DELETE FROM t", SqlServer, "sql_not_a_read"),
        ("SELECT 1 AS a CHECKPOINT", SqlServer, "sql_not_a_read"),
        ("SELECT 1 AS a DISABLE TRIGGER r ON t", SqlServer, "sql_not_a_read"),
        ("SELECT 1 AS a ADD SIGNATURE TO x BY CERTIFICATE y", SqlServer, "sql_not_a_read"),
        ("SELECT 1 AS a END CONVERSATION x", SqlServer, "sql_not_a_read"),
        ("SELECT 1 AS a SETUSER 'dbo'", SqlServer, "sql_not_a_read"),
        ("SELECT a FROM t WITH (UPDLOCK)", SqlServer, "sql_lock"),
        ("SELECT a FROM t WITH (XLOCK ROWLOCK)", SqlServer, "sql_lock"),
        ("SELECT a FROM t (NOLOCK) JOIN u WITH (SERIALIZABLE) ON u.a = t.a", SqlServer, "sql_lock"),
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
        ("SELECT mes.s.NEXTVAL@prod FROM dual", Oracle, "sql_side_effect"),
        ("SELECT urifactory.geturi('http://x').getclob() FROM dual", Oracle, "sql_side_effect"),
        ("SELECT apex_mail.send('a', 'b') FROM dual", Oracle, "sql_side_effect"),
        ("SELECT dbms_pipe.receive_message@prod('x', 1) FROM dual", Oracle, "sql_side_effect"),
        ("SELECT UTL_HTTP.REQUEST('http://x') FROM dual", Oracle, "sql_side_effect"),
        ("SELECT dbms_lob.createtemporary(a) FROM dual", Oracle, "sql_side_effect"),
        ("SELECT sys.dbms_pipe.receive_message('x', 10) FROM dual", Oracle, "sql_side_effect"),
        ("SELECT a FROM t;", Oracle, "sql_semicolon"),
        ("SELECT load_extension('x')", Sqlite, "sql_side_effect"),
    ] {
        check(sql, dialect, &[code]);
    }
}

/// Whether a carriage return ends a comment differs between servers: nothing hides behind one.
#[test]
fn a_lone_carriage_return_hides_nothing() {
    for dialect in Dialect::ALL {
        check("SELECT a -- why\r\nFROM t", dialect, &[]);
        for sql in ["SELECT a FROM t -- '\rFOR UPDATE -- '\n", "SELECT a -- \r'\n FROM t FOR UPDATE -- '"] {
            let found = check_read_only(sql, dialect);
            assert!(found.iter().any(|finding| finding.code == "sql_lock"), "{dialect:?}: {sql:?}: {found:?}");
        }
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
