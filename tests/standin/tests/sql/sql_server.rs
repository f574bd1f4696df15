//! T-SQL.

use engine_standin::{Backend, Outcome, Product, Value};

use crate::{Answers, bound, check, open, run, shown, text};

const TYPES: &str = "
    DROP TABLE IF EXISTS dbo.[all types]
    CREATE TABLE dbo.[all types] (
        id int NOT NULL PRIMARY KEY, [a]]b] bit, ti tinyint, si smallint, bi bigint, d decimal(38,9), n numeric(10,2), m money, sm smallmoney,
        f float, r real, c char(5), vc varchar(20), vm varchar(max), nc nchar(5), nv nvarchar(20), t text, b binary(4), vb varbinary(8), i image,
        da date, ti7 time, ti0 time(0), dt datetime, sd smalldatetime, d2 datetime2, d23 datetime2(3), dto datetimeoffset(7), u uniqueidentifier, x xml, v sql_variant, rv rowversion)
    INSERT INTO [dbo].[all types] (id, [a]]b], ti, si, bi, d, n, m, sm, f, r, c, vc, vm, nc, nv, t, b, vb, i, da, ti7, ti0, dt, sd, d2, d23, dto, u, x, v)
    VALUES (1, 1, 255, -32768, 9223372036854775807, CAST('-12345678901234567890123456789.000000001' AS decimal(38,9)), 12.345, $12.5, 0.00005, 1.5e3, 0.1, 'ab', 'Halle ''7''', REPLICATE('x', 3),
        N'ä', N'Größe', 'text', 0x00ff, 0x00ff, 0x01, '2025-03-30', '01:30:00.1234567', '01:30:00.6', '2025-03-30T01:30:00.005', '2025-03-30 01:30:30', '2025-03-30 01:30:00.1234567',
        '2025-03-30 01:30:00.1235', CAST('2025-03-30 01:30:00 +02:00' AS datetimeoffset), '6F9619FF-8B86-D011-B42D-00C04FC964FF', N'<a/>', CAST(7 AS smallint)),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

const BOOKINGS: &str = "
    CREATE TABLE booking (id int IDENTITY(1,1) PRIMARY KEY, machine varchar(10) NOT NULL, qty decimal(10,2), at datetime, tag date, note nvarchar(50) DEFAULT (N'none'))
    INSERT booking (machine, qty, at, tag) VALUES ('M1', 10, '2025-02-03T11:30:00', '2025-02-03'), ('m2', 9.5, '2025-02-03T12:00:00.003', '2025-02-03'), ('M1', 100, '2025-02-04T00:00:00', '2025-02-04')";

#[test]
fn every_type_keeps_its_declaration_and_its_value() {
    check(
        Product::SqlServer,
        &[TYPES],
        &[
            (
                "SELECT id, [a]]b], ti, si, bi FROM [all types] WHERE id = 1",
                "id int | a]b bit | ti tinyint | si smallint | bi bigint\n1 | 1 | 255 | -32768 | 9223372036854775807",
            ),
            (
                "SELECT d, n, m, sm FROM [all types] WHERE id = 1",
                "d decimal(38,9) | n numeric(10,2) | m money | sm smallmoney\n'-12345678901234567890123456789.000000001' | '12.35' | '12.5000' | '0.0001'",
            ),
            ("SELECT f, r FROM [all types] WHERE id = 1", "f float | r real\n1500.0f | 0.10000000149011612f"),
            (
                "SELECT c, vc, vm, nc, nv, t FROM [all types] WHERE id = 1",
                "c char(5) | vc varchar(20) | vm varchar(max) | nc nchar(5) | nv nvarchar(20) | t text\n'ab   ' | 'Halle '7'' | 'xxx' | 'ä    ' | 'Größe' | 'text'",
            ),
            (
                "SELECT b, vb, i FROM [all types] WHERE id = 1",
                "b binary(4) | vb varbinary(8) | i image\n[00, ff, 00, 00] | [00, ff] | [01]",
            ),
            (
                "SELECT da, ti7, ti0, dt, sd FROM [all types] WHERE id = 1",
                "da date | ti7 time(7) | ti0 time(0) | dt datetime | sd smalldatetime\n'2025-03-30' | '01:30:00.1234567' | '01:30:01' | '2025-03-30 01:30:00.007' | '2025-03-30 01:31:00'",
            ),
            (
                "SELECT d2, d23, dto FROM [all types] WHERE id = 1",
                "d2 datetime2(7) | d23 datetime2(3) | dto datetimeoffset(7)\n'2025-03-30 01:30:00.1234567' | '2025-03-30 01:30:00.124' | '2025-03-30 01:30:00 +02:00'",
            ),
            (
                "SELECT u, x, v FROM [all types] WHERE id = 1",
                "u uniqueidentifier | x xml | v sql_variant\n'6f9619ff-8b86-d011-b42d-00c04fc964ff' | '<a/>' | '(smallint) 7'",
            ),
            ("SELECT COUNT(*) AS n FROM [all types] WHERE d IS NULL AND v IS NULL", "n int\n1"),
            (
                "SELECT DATALENGTH(rv), CASE WHEN rv > 0x00 THEN 1 ELSE 0 END FROM [all types] WHERE id = 2",
                "int | int\n8 | 1",
            ),
            (
                "SELECT CAST(N'Ω€中' AS varchar(4)) AS v, CAST(0x00D8 AS nvarchar(4)) AS h",
                "v varchar(4) | h nvarchar(4)\n'O€?' | [00, d8]",
            ),
            ("SELECT CAST(0x4DFC AS varchar(10)) AS v", "v varchar(10)\n[4d, fc]"),
        ],
    );
}

#[test]
fn queries_answer_as_the_server_does() {
    check(
        Product::SqlServer,
        &[BOOKINGS],
        &[
            (
                "SELECT id, machine, qty, at FROM dbo.booking WITH (NOLOCK) WHERE machine = 'M2'",
                "id int | machine varchar(10) | qty decimal(10,2) | at datetime\n2 | 'm2' | '9.50' | '2025-02-03 12:00:00.003'",
            ),
            ("SELECT TOP 2 b.id FROM booking AS b ORDER BY qty DESC", "id int\n3\n1"),
            ("SELECT id FROM booking WHERE qty > 9.75 ORDER BY qty", "id int\n1\n3"),
            (
                "SELECT machine, SUM(qty) AS total, COUNT(*) AS n FROM booking GROUP BY machine ORDER BY 1",
                "machine varchar(10) | total decimal(38,2) | n int\n'M1' | '110.00' | 2\n'm2' | '9.50' | 1",
            ),
            ("SELECT id FROM booking ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", "id int\n2"),
            (
                "WITH x AS (SELECT machine, MAX(at) AS last FROM booking GROUP BY machine) SELECT b.id, b.note FROM booking b JOIN x ON x.machine = b.machine AND x.last = b.at ORDER BY b.id",
                "id int | note nvarchar(50)\n2 | 'none'\n3 | 'none'",
            ),
            (
                "SELECT ISNULL(NULL, 'x') AS a, COALESCE(NULL, 1, 2.5) AS b, 1 + 2 AS c, 7 / 2 AS d, 7 / 2.0 AS e",
                "a varchar(1) | b decimal(11,1) | c int | d int | e decimal(17,6)\n'x' | '1.0' | 3 | 3 | '3.500000'",
            ),
            (
                "SELECT 'a' + N'b' AS j, CONCAT('a', NULL, 1) AS k, UPPER(LTRIM('  x ')) + '|' AS l, LEN('ab  ') AS n",
                "j nvarchar(2) | k varchar(21) | l varchar(5) | n int\n'ab' | 'a1' | 'X |' | 2",
            ),
            (
                "SELECT id FROM booking WHERE tag = '20250204' OR at >= '2025-02-03 12:00' AND at < '2025-02-03 13:00' ORDER BY id",
                "id int\n2\n3",
            ),
            ("SELECT value FROM GENERATE_SERIES(1, 3)", "value int\n1\n2\n3"),
            (
                "SELECT CASE machine WHEN 'm1' THEN 'one' ELSE N'other' END AS c FROM booking WHERE id = 1",
                "c nvarchar(5)\n'one'",
            ),
            (
                "SELECT CONVERT(varchar(10), CAST('2025-03-30T01:30:00' AS datetime), 104) AS d, TRY_CAST('x' AS int) AS t",
                "d varchar(10) | t int\n'30.03.2025' | NULL",
            ),
            (
                "DECLARE @n int = 2, @m varchar(10); SET @m = 'M1'; SELECT id FROM booking WHERE machine = @m AND id >= @n",
                "id int\n3",
            ),
            ("IF OBJECT_ID('dbo.nothing') IS NULL SELECT 1 AS a ELSE SELECT 2 AS a", "a int\n1"),
            (
                "SELECT DATEDIFF(minute, '2025-01-01', '2025-01-02') AS d, DATEADD(day, 1, CAST('2025-01-31' AS date)) AS e, YEAR('2025-01-31') AS y",
                "d int | e date | y int\n1440 | '2025-02-01' | 2025",
            ),
            (
                "SELECT ROW_NUMBER() OVER (PARTITION BY machine ORDER BY at DESC) AS r, id FROM booking ORDER BY id",
                "r bigint | id int\n2 | 1\n1 | 2\n1 | 3",
            ),
            ("SELECT x.n FROM (SELECT COUNT(*) AS n FROM booking UNION ALL SELECT 7) AS x ORDER BY n", "n int\n3\n7"),
            (
                "SELECT id FROM booking WHERE machine IN (SELECT machine FROM booking WHERE qty = 9.5) AND NOT EXISTS (SELECT 1 FROM booking b WHERE b.id > 100)",
                "id int\n2",
            ),
            ("SELECT machine FROM booking WHERE machine LIKE '[l-n]1' AND id = 1", "machine varchar(10)\n'M1'"),
        ],
    );
}

#[test]
fn errors_have_the_numbers_of_the_server() {
    check(
        Product::SqlServer,
        &[BOOKINGS],
        &[
            ("SELECT nope FROM booking", "207: Invalid column name 'nope'."),
            ("SELECT * FROM nope", "208: Invalid object name 'nope'."),
            (
                "SELECT CAST('x' AS int)",
                "245: Conversion failed when converting the varchar value 'x' to data type int.",
            ),
            ("SELECT 1 / 0", "8134: Divide by zero error encountered."),
            ("SELECT @nope", "137: Must declare the scalar variable \"@nope\"."),
            ("SELECT 1 + 'a'", "245: Conversion failed when converting the varchar value 'a' to data type int."),
            (
                "SELECT machine, COUNT(*) FROM booking",
                "8120: Column 'machine' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.",
            ),
            (
                "SELECT x.n FROM (SELECT COUNT(*) FROM booking) AS x",
                "8155: No column name was specified for column 1 of 'x'.",
            ),
            ("SELEC 1", "102: Incorrect syntax near 'SELEC'."),
            ("SELECT 1 FROM WHERE", "156: Incorrect syntax near the keyword 'WHERE'."),
            ("CREATE TABLE booking (a int)", "2714: There is already an object named 'booking' in the database."),
            ("USE nope", "911: Database 'nope' does not exist. Make sure that the name is entered correctly."),
            ("SELECT CAST(300 AS tinyint)", "220: Arithmetic overflow error for data type tinyint, value = 300."),
        ],
    );
}

#[test]
fn bound_values_compare_in_their_own_types() {
    let (database, mut session) = open(Product::SqlServer);
    run(session.as_mut(), BOOKINGS, &[]).unwrap();
    let cases = [
        (
            "SELECT id FROM booking WHERE at >= @P1 ORDER BY id",
            bound("P1", "datetime2(7)", text("2025-02-03 12:00:00")),
            "id int\n2\n3",
        ),
        (
            "SELECT id FROM booking WHERE at = @P1",
            bound("@P1", "datetimeoffset(7)", text("2025-02-04 02:00:00 +02:00")),
            "id int\n3",
        ),
        ("SELECT id FROM booking WHERE tag = @P1", bound("P1", "date", text("2025-02-04")), "id int\n3"),
        (
            "SELECT id FROM booking WHERE machine = @P1 ORDER BY id",
            bound("P1", "nvarchar(4000)", text("m1 ")),
            "id int\n1\n3",
        ),
        ("SELECT id FROM booking WHERE qty = @P1", bound("P1", "decimal(38,1)", text("9.5")), "id int\n2"),
        ("SELECT id FROM booking WHERE qty > @P1 ORDER BY id", bound("P1", "bigint", Value::Int(50)), "id int\n3"),
        ("SELECT TOP (@P1) id FROM booking ORDER BY id", bound("P1", "int", Value::Int(1)), "id int\n1"),
    ];
    for (sql, parameter, expected) in cases {
        let answers = run(session.as_mut(), sql, std::slice::from_ref(&parameter)).unwrap();
        assert_eq!(shown(&answers), expected, "{sql}");
        assert_eq!(database.seen().last().unwrap().parameters, [parameter]);
    }
}

#[test]
fn a_client_that_gives_up_ends_a_long_statement() {
    let (_database, mut session) = open(Product::SqlServer);
    let long = "SELECT COUNT_BIG(*) FROM sys.all_columns a CROSS JOIN sys.all_columns b CROSS JOIN sys.all_columns c";
    for sql in [long, "WAITFOR DELAY '00:01:00'"] {
        let mut answers = Answers { idle_most: Some(3), ..Answers::default() };
        assert_eq!(session.run(sql, &[], &mut answers), Ok(Outcome::Cancelled), "{sql}");
    }
    let mut answers = Answers { rows_most: Some(2), ..Answers::default() };
    assert_eq!(
        session.run("SELECT value FROM GENERATE_SERIES(1, 100000000)", &[], &mut answers),
        Ok(Outcome::Cancelled)
    );
    assert_eq!(shown(&run(session.as_mut(), "SELECT 1 AS a", &[]).unwrap()), "a int\n1");
}

#[test]
fn a_session_is_seen_and_ended_by_another() {
    let (database, mut session) = open(Product::SqlServer);
    let number = session.number();
    session.client("engine", "plant-pc");
    let waiting = std::thread::spawn(move || {
        let mut answers = Answers::default();
        let outcome = session.run("WAITFOR DELAY '00:01:00'", &[], &mut answers);
        (outcome, session.is_killed())
    });
    let mut other = database.session("etl", "plant").unwrap();
    let seen = format!(
        "SELECT r.status, s.program_name FROM sys.dm_exec_requests r JOIN sys.dm_exec_sessions s ON s.session_id = r.session_id WHERE r.session_id = {number}"
    );
    let running = "status nvarchar(30) | program_name nvarchar(128)\n'running' | 'engine'";
    while shown(&run(other.as_mut(), &seen, &[]).unwrap()) != running {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    run(other.as_mut(), &format!("KILL {number}"), &[]).unwrap();
    assert_eq!(waiting.join().unwrap(), (Ok(Outcome::Killed), true));
    assert_eq!(run(other.as_mut(), &format!("KILL {number}"), &[]).unwrap_err().number, 6106);
}

#[test]
fn rights_are_those_that_were_granted() {
    let (database, mut session) = open(Product::SqlServer);
    run(session.as_mut(), BOOKINGS, &[]).unwrap();
    let rights = "CREATE LOGIN reader WITH PASSWORD = 'p' CREATE USER reader FOR LOGIN reader GRANT SELECT ON dbo.booking TO reader CREATE TABLE hidden (a int)";
    run(session.as_mut(), rights, &[]).unwrap();
    assert_eq!(database.password("reader").as_deref(), Some("p"));
    let mut reader = database.session("reader", "plant").unwrap();
    let numbers = [
        ("SELECT COUNT(*) FROM booking", None),
        ("SELECT * FROM hidden", Some(229)),
        ("DELETE FROM booking", Some(229)),
        ("SELECT * FROM sys.dm_exec_connections", Some(300)),
    ];
    for (sql, number) in numbers {
        assert_eq!(run(reader.as_mut(), sql, &[]).err().map(|failure| failure.number), number, "{sql}");
    }
    run(session.as_mut(), "ALTER ROLE db_datareader ADD MEMBER reader", &[]).unwrap();
    assert_eq!(shown(&run(reader.as_mut(), "SELECT COUNT(*) AS n FROM hidden", &[]).unwrap()), "n int\n0");
    assert_eq!(database.session("etl", "elsewhere").err().unwrap().number, 4060);
}

#[test]
fn transactions_are_kept_or_taken_back() {
    check(
        Product::SqlServer,
        &[BOOKINGS],
        &[
            ("BEGIN TRAN DELETE FROM booking SELECT COUNT(*) AS n FROM booking", "n int\n0"),
            ("ROLLBACK SELECT COUNT(*) AS n FROM booking", "n int\n3"),
            (
                "BEGIN TRANSACTION; UPDATE booking SET qty = qty * 2 WHERE id = 1; COMMIT; SELECT qty FROM booking WHERE id = 1",
                "qty decimal(10,2)\n'20.00'",
            ),
            (
                "SET LOCK_TIMEOUT 100 SET DATEFORMAT dmy SET TRANSACTION ISOLATION LEVEL SNAPSHOT SELECT @@LOCK_TIMEOUT AS t",
                "t int\n100",
            ),
            ("SELECT CAST('30.03.2025' AS datetime) AS d", "d datetime\n'2025-03-30 00:00:00'"),
            (
                "SELECT transaction_isolation_level AS i FROM sys.dm_exec_sessions WHERE session_id = @@SPID",
                "i smallint\n5",
            ),
        ],
    );
}

#[test]
fn a_server_tells_of_itself() {
    check(
        Product::SqlServer,
        &[],
        &[
            (
                "SELECT DB_NAME() AS d, ORIGINAL_LOGIN() AS l, CAST(SERVERPROPERTY('EngineEdition') AS int) AS e",
                "d nvarchar(128) | l nvarchar(128) | e int\n'plant' | 'etl' | 3",
            ),
            (
                "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(20)) AS u",
                "u nvarchar(20)\n'READ_WRITE'",
            ),
            (
                "SELECT permission_name FROM fn_my_permissions(NULL, 'DATABASE') WHERE permission_name = 'INSERT'",
                "permission_name nvarchar(60)\n'INSERT'",
            ),
            (
                "SELECT name, database_id FROM sys.databases WHERE name = DB_NAME()",
                "name nvarchar(128) | database_id int\n'plant' | 5",
            ),
            (
                "SELECT encrypt_option, net_transport FROM sys.dm_exec_connections WHERE session_id = @@SPID",
                "encrypt_option nvarchar(40) | net_transport nvarchar(40)\n'FALSE' | 'TCP'",
            ),
        ],
    );
}

/// A call of a procedure, its bound arguments, and what it shows.
type Call = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const CALLS: &[Call] = &[
    (
        "EXEC sp_describe_first_result_set @P1, @P2",
        &[
            ("nvarchar(4000)", "SELECT id, machine, qty AS q FROM booking WHERE at >= @P1"),
            ("nvarchar(4000)", "@P1 datetime2(7)"),
        ],
        "1 id int NULL\n2 machine varchar(10) SQL_Latin1_General_CP1_CI_AS\n3 q decimal(10,2) NULL",
    ),
    (
        "EXEC sp_describe_first_result_set @P1, @P2",
        &[("nvarchar(4000)", "DELETE FROM booking"), ("nvarchar(4000)", "")],
        "",
    ),
    (
        "EXEC sp_describe_undeclared_parameters @P1",
        &[("nvarchar(4000)", "SELECT id FROM booking WHERE machine = @P1 AND id > @P2")],
        "1 @P1 varchar(8000)\n2 @P2 int",
    ),
    (
        "EXEC sp_executesql @P1, @P2, @P3, @P4",
        &[
            ("nvarchar(4000)", "SELECT id FROM booking WHERE machine = @P1 AND qty > @P2"),
            ("nvarchar(4000)", "@P1 varchar(8000), @P2 decimal(3, 1)"),
            ("nvarchar(4000)", "m1"),
            ("nvarchar(4000)", "10.5"),
        ],
        "3",
    ),
    (
        "EXEC sp_executesql @P1 WITH RESULT SETS ((c1 nvarchar(20) NULL, c2 decimal(19, 4) NULL))",
        &[(
            "nvarchar(4000)",
            "SELECT CAST(0x4D81 AS varchar(10)) COLLATE SQL_Latin1_General_CP850_CI_AS, CAST(1.5 AS money)",
        )],
        "Mü 1.5000",
    ),
];

#[test]
fn procedures_describe_and_run_a_statement() {
    let (database, mut session) = open(Product::SqlServer);
    run(session.as_mut(), BOOKINGS, &[]).unwrap();
    for (sql, arguments, expected) in CALLS {
        let arguments = arguments
            .iter()
            .enumerate()
            .map(|(at, (declared, value))| bound(&format!("P{}", at + 1), declared, text(value)));
        let answers = run(session.as_mut(), sql, &arguments.collect::<Vec<_>>())
            .unwrap_or_else(|failure| panic!("{sql}: {failure}"));
        let (columns, rows) = answers.results.last().unwrap();
        let wanted = [
            "column_ordinal",
            "parameter_ordinal",
            "name",
            "system_type_name",
            "suggested_system_type_name",
            "collation_name",
        ];
        let is_described = columns[0].name == "is_hidden" || columns[0].name == "parameter_ordinal";
        let line = |row: &Vec<Value>| {
            let cells =
                row.iter().zip(columns).filter(|(_, column)| !is_described || wanted.contains(&column.name.as_str()));
            let cells = cells.map(|(value, _)| match value {
                Value::Text(text) => text.clone(),
                Value::Int(whole) => whole.to_string(),
                _ => "NULL".to_owned(),
            });
            cells.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(rows.iter().map(line).collect::<Vec<_>>().join("\n"), *expected, "{sql}");
    }
    let inner = database
        .seen()
        .into_iter()
        .find(|seen| seen.sql.contains("qty > @P2") && seen.sql.starts_with("SELECT"))
        .unwrap();
    assert_eq!(inner.parameters, [bound("P1", "varchar(8000)", text("m1")), bound("P2", "decimal(3,1)", text("10.5"))]);
    let missing = [bound("P1", "nvarchar(40)", text("SELECT @P1")), bound("P2", "nvarchar(40)", text("@P1 int"))];
    assert_eq!(run(session.as_mut(), "EXEC sp_executesql @P1, @P2", &missing).unwrap_err().number, 8178);
    let wrong = [bound("P1", "nvarchar(40)", text("SELECT 1\nFROM nope"))];
    let failure = run(session.as_mut(), "EXEC sp_executesql @P1", &wrong).unwrap_err();
    assert_eq!((failure.number, failure.place), (208, 2));
}
