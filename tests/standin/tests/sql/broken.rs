//! Statements that are broken in many ways.

use engine_standin::Product;

use crate::{Answers, open};

const SQL_SERVER: &[&str] = &[
    "CREATE TABLE dbo.t (id int IDENTITY PRIMARY KEY, a varchar(10) DEFAULT ('x'), d decimal(10,2), CONSTRAINT u UNIQUE (a))",
    "INSERT INTO t (a, d) VALUES ('ä', 0x00ff), (N'x', $1)",
    "WITH x AS (SELECT TOP 2 a, SUM(d) OVER (ORDER BY id) AS s FROM t) SELECT * FROM x JOIN t ON t.a = x.a WHERE x.s BETWEEN 1 AND 2",
    "UPDATE t SET d = d * 1.5 WHERE a LIKE '[a-z]%'",
    "DECLARE @x int = 1 SET @x = @x + 1 IF @x > 1 BEGIN SELECT CAST(@x AS varchar(3)) END ELSE PRINT 'no'",
    "SET LOCK_TIMEOUT 100 SET TRANSACTION ISOLATION LEVEL SNAPSHOT SET DATEFORMAT dmy",
    "SELECT CONVERT(varchar(30), CAST('2025-03-30T01:30:00.123' AS datetime), 121), DATEADD(day, 1, '20250330') FROM GENERATE_SERIES(1, 2)",
    "GRANT SELECT ON SCHEMA::dbo TO u KILL 1 ALTER ROLE db_owner ADD MEMBER etl CREATE LOGIN u WITH PASSWORD = 'p'",
];
const ORACLE: &[&str] = &[
    "CREATE TABLE t (id NUMBER(10,2) PRIMARY KEY, a VARCHAR2(10 CHAR) DEFAULT 'x', l TIMESTAMP(3) WITH LOCAL TIME ZONE)",
    "INSERT INTO t VALUES (1, 'ß', TIMESTAMP '2025-03-30 01:30:00 Europe/Berlin')",
    "SELECT TO_DATE('30-MÄRZ-25 01:30 PM', 'DD-MON-RR HH:MI AM'), TO_CHAR(1.5, 'FM990.00'), TO_CHAR(SYSDATE, 'FMMonth \"am\" DD') FROM dual",
    "SELECT LEVEL, SUBSTR('äöü', -2), LPAD('ß', 5, 'ä'), INTERVAL '1 02:03:04.5' DAY TO SECOND FROM dual CONNECT BY LEVEL <= 3",
    "BEGIN EXECUTE IMMEDIATE 'DROP TABLE t'; EXCEPTION WHEN OTHERS THEN NULL; END;",
    "ALTER SESSION SET TIME_ZONE = '+02:00' NLS_DATE_FORMAT = 'YYYY'",
    "ALTER SYSTEM KILL SESSION '1,2' IMMEDIATE",
    "GRANT CREATE SESSION TO u",
    "SELECT a, COUNT(*) FROM t WHERE ROWNUM <= 2 AND l > DATE '2025-01-01' GROUP BY a ORDER BY 2 DESC FETCH FIRST 1 ROWS ONLY",
];

/// Every statement without one of its letters, with a strange one in its place, and cut off.
fn broken(sql: &str) -> impl Iterator<Item = String> {
    sql.char_indices().flat_map(move |(at, letter)| {
        let (before, after) = (&sql[..at], &sql[at + letter.len_utf8()..]);
        ["", "ß", "'", "(", ";"].map(|put| format!("{before}{put}{after}")).into_iter().chain([before.to_owned()])
    })
}

#[test]
fn no_statement_makes_it_panic() {
    for (product, statements) in [(Product::SqlServer, SQL_SERVER), (Product::Oracle, ORACLE)] {
        let (_database, mut session) = open(product);
        let mut refused = 0;
        for sql in statements.iter().flat_map(|sql| broken(sql)) {
            // A batch that waits is given up; whatever else comes of it is well.
            let mut answers = Answers { idle_most: Some(2), ..Answers::default() };
            refused += usize::from(session.run(&sql, &[], &mut answers).is_err());
        }
        assert!(refused > 1000, "{refused}");
    }
}
