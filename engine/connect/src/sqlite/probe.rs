//! What SQLite tells of a file and a statement.

use engine_core::ports::Ask;
use engine_core::probe::{Known, Probe, QueryPlan, ReadOnly, TableRead};
use engine_spec::template::Statement;
use rusqlite::Connection;

use super::explain;

/// Asks everything; a file has no accounts, no clock and no zone.
pub(super) fn probe(session: &Connection, ask: &Ask) -> Probe {
    let text = |sql: &str| session.query_row(sql, [], |row| row.get::<_, String>(0));
    let is_on = |sql: &str| session.query_row(sql, [], |row| row.get::<_, bool>(0));
    let read_only = session.is_readonly("main").and_then(|handle| {
        let query_only = is_on("PRAGMA query_only")?;
        let word = if handle { "read-only" } else { "open for writing" };
        let said = format!("the handle is {word}, query_only = {}", u8::from(query_only));
        Ok(ReadOnly { holds: handle && query_only, said })
    });
    Probe {
        charset: Known::from_answer(text("PRAGMA encoding")),
        read_only: Known::from_answer(read_only),
        plan: match &ask.statement {
            Some(statement) => Known::from_answer(plan(session, statement).map_err(|error| explain(&error).message)),
            None => Known::Inapplicable,
        },
        ..Probe::inapplicable()
    }
}

/// The plan. Its values do not matter to it, and stay unbound.
fn plan(session: &Connection, statement: &Statement) -> rusqlite::Result<QueryPlan> {
    let mut prepared = session.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql))?;
    let mut rows = prepared.raw_query();
    let mut plan = QueryPlan::default();
    while let Some(row) = rows.next()? {
        if let Some((table, index)) = table_read(row.get_ref("detail")?.as_str()?) {
            let table_rows = if index.is_none() { table_rows(session, table) } else { None };
            let (table, index) = (table.to_owned(), index.map(str::to_owned));
            plan.reads.push(TableRead { table, index, table_rows });
        }
    }
    Ok(plan)
}

/// An estimate that costs one look-up: the greatest number of a row. A plan names a table by its alias, which no
/// table may have; then nothing is known.
fn table_rows(session: &Connection, table: &str) -> Option<u64> {
    let sql = format!("SELECT max(rowid) FROM \"{}\"", table.replace('"', "\"\""));
    let greatest = session.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0)).ok()?;
    u64::try_from(greatest.unwrap_or_default()).ok()
}

/// The table of a line of the plan, and the index that finds its rows; `None` for a line about something else.
fn table_read(line: &str) -> Option<(&str, Option<&str>)> {
    let (searches, rest) = match (line.strip_prefix("SEARCH "), line.strip_prefix("SCAN ")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    let rest = rest.strip_prefix("TABLE ").unwrap_or(rest);
    let (table, how) = rest.split_once(" USING ").unwrap_or((rest, ""));
    let table = table.split_once(" AS ").map_or(table, |(name, _)| name);
    if table.is_empty() || table.starts_with('(') || table.starts_with("SUBQUERY") || table == "CONSTANT ROW" {
        return None;
    }
    // A scan by an index reads all of it, in its order.
    let index = searches.then(|| how.split_once(" (").map_or(how, |(index, _)| index));
    Some((table, index.map(|index| index.rsplit_once("INDEX ").map_or(index, |(_, name)| name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_plans_are_understood() {
        for (line, expected) in [
            ("SCAN booking", Some(("booking", None))),
            ("SCAN TABLE booking AS b", Some(("booking", None))),
            ("SCAN booking USING COVERING INDEX booking_at", Some(("booking", None))),
            ("SEARCH booking USING INDEX booking_at (at>? AND at<?)", Some(("booking", Some("booking_at")))),
            ("SEARCH b USING COVERING INDEX i (at>?)", Some(("b", Some("i")))),
            ("SEARCH b USING INTEGER PRIMARY KEY (rowid=?)", Some(("b", Some("INTEGER PRIMARY KEY")))),
            ("SCAN CONSTANT ROW", None),
            ("SCAN (subquery-1)", None),
            ("USE TEMP B-TREE FOR ORDER BY", None),
            ("MULTI-INDEX OR", None),
            ("", None),
        ] {
            assert_eq!(table_read(line), expected, "{line}");
        }
    }

    #[test]
    fn a_file_tells_of_itself_and_of_a_statement() {
        let session = Connection::open_in_memory().unwrap();
        session
            .execute_batch(
                "CREATE TABLE booking (id INTEGER PRIMARY KEY, at TEXT, note TEXT);
                 CREATE INDEX booking_at ON booking (at);
                 INSERT INTO booking (id, at) VALUES (12000, '2025-03-30');
                 PRAGMA query_only = ON",
            )
            .unwrap();
        let ask =
            |sql: &str| Ask { statement: Some(Statement { sql: sql.to_owned(), binds: Vec::new() }), ..Ask::default() };
        let found = probe(&session, &ask("SELECT id FROM booking WHERE note > ?1"));
        assert_eq!(found.charset, Known::Is("UTF-8".to_owned()));
        assert!(!found.read_only.known().unwrap().holds, "the handle of this test may write");
        let reads = |sql: &str| probe(&session, &ask(sql)).plan.known().unwrap().reads.clone();
        let read = |index: Option<&str>, table_rows| TableRead {
            table: "booking".to_owned(),
            index: index.map(str::to_owned),
            table_rows,
        };
        assert_eq!(reads("SELECT id FROM booking WHERE note > ?1"), [read(None, Some(12_000))]);
        assert_eq!(reads("SELECT note FROM booking WHERE at > ?1"), [read(Some("booking_at"), None)]);
        assert!(
            matches!(probe(&session, &ask("SELECT x")).plan, Known::Unknown(why) if why.contains("no such column"))
        );
    }
}
