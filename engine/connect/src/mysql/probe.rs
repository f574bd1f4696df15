//! What MySQL and MariaDB tell of a session, an account and a statement.

use engine_core::ports::Ask;
use engine_core::probe::{Known, Probe, QueryPlan, RIGHTS_MAX, ReadOnly, Right, TableRead};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::mysql::{MySql, MySqlConnection};
use sqlx::{Decode, Either, Executor, Row, Statement as _, raw_sql};

use super::{arguments, explain};
use crate::failure::Problem;
use crate::probes::{reading, split};
use crate::remote;
use crate::sqlx_error::fit_to_send;

/// Any account may ask this.
const ABOUT: &str = "SELECT CURRENT_USER(), @@session.time_zone, \
    CONCAT('database ', @@character_set_database, ', session ', @@character_set_connection), \
    CAST(CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED) AS CHAR)";
/// Whether the session only reads, under its name of today and its older one.
const READ_ONLY: [(&str, &str); 2] = [
    ("transaction_read_only", "SELECT CAST(@@session.transaction_read_only AS CHAR)"),
    ("tx_read_only", "SELECT CAST(@@session.tx_read_only AS CHAR)"),
];
/// The roles that are active, as the server writes them; `NONE` where none is. MariaDB has its own function.
const ROLES: &str = "SELECT CURRENT_ROLE()";

/// Asks everything; what the server refuses to tell is unknown.
pub(super) async fn probe(connection: &mut MySqlConnection, ask: &Ask) -> Result<Probe, Problem> {
    let mut probe = Probe::default();
    let asked = Timestamp::now();
    match raw_sql(ABOUT).fetch_one(&mut *connection).await {
        Ok(row) => {
            let answered = Timestamp::now();
            let text = |place: usize| Known::from_answer(row.try_get::<String, _>(place));
            probe.account = text(0);
            probe.session_timezone = text(1);
            probe.charset = text(2);
            probe.clock = reading(asked, answered, row.try_get::<String, _>(3).ok().as_deref());
        }
        Err(error) => probe = Probe::unknown(&refused(error)?),
    }
    for (name, sql) in READ_ONLY {
        probe.read_only = match first_text(connection, sql).await {
            Ok(word) => Known::Is(ReadOnly { holds: is_on(&word), said: format!("{name} = {word}") }),
            Err(error) => Known::Unknown(refused(error)?),
        };
        if probe.read_only.known().is_some() {
            break;
        }
    }
    probe.rights = rights(connection).await?;
    probe.plan = plan(connection, ask).await?;
    Ok(probe)
}

/// Whether a variable is on: MySQL says it with a number, MariaDB with a word.
fn is_on(word: &str) -> bool {
    word == "1" || word.eq_ignore_ascii_case("on")
}

/// Why the server refused a question; an error that is none of the server's ends the probe.
fn refused(error: sqlx::Error) -> Result<String, Problem> {
    match error {
        sqlx::Error::Database(_) => Ok(explain(error).message),
        other => Err(explain(other)),
    }
}

async fn first_text(connection: &mut MySqlConnection, sql: &'static str) -> sqlx::Result<String> {
    raw_sql(sql).fetch_one(connection).await?.try_get(0)
}

/// The grants of the account, those of its active roles included.
async fn rights(connection: &mut MySqlConnection) -> Result<Known<Vec<Right>>, Problem> {
    // MariaDB lists the grants of the active role by itself, and knows no USING.
    let with_roles = match first_text(connection, ROLES).await {
        Ok(roles) if roles.starts_with('`') => Some(format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}")),
        Ok(_) => None,
        Err(sqlx::Error::ColumnDecode { .. }) => None,
        Err(error) => {
            refused(error)?;
            None
        }
    };
    let sql = with_roles.unwrap_or_else(|| "SHOW GRANTS".to_owned());
    match raw_sql(fit_to_send(sql)).fetch_all(&mut *connection).await {
        Ok(rows) => {
            let lines: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            let rights = |lines: Vec<String>| lines.iter().flat_map(|line| grant(line)).take(RIGHTS_MAX).collect();
            Ok(Known::from_answer(lines.map(rights)))
        }
        Err(error) => Ok(Known::Unknown(refused(error)?)),
    }
}

/// The rights that one line of `SHOW GRANTS` gives. Nothing else of the line is carried on: it may have a hash of the
/// password. A role that is granted but not active gives nothing to the session.
fn grant(line: &str) -> Vec<Right> {
    let Some(rest) = line.strip_prefix("GRANT ") else { return Vec::new() };
    let Some((privileges, rest)) = split_at_word(rest, " ON ") else { return Vec::new() };
    let Some((on, rest)) = split_at_word(rest, " TO ") else { return Vec::new() };
    let (account, options) = split_at_word(rest, " ").unwrap_or((rest, ""));
    let privileges = split(privileges);
    let has_all = privileges.iter().any(|word| word.starts_with("ALL"));
    let reading = if has_all { format!("; GRANT SELECT ON {on} TO {account}") } else { String::new() };
    let right = |privileges, revoke| Right { privileges, on: on.to_owned(), revoke };
    let mut rights = vec![right(privileges, format!("REVOKE {{}} ON {on} FROM {account}{reading}"))];
    if options.contains("GRANT OPTION") {
        rights.push(right(vec!["GRANT OPTION".to_owned()], format!("REVOKE GRANT OPTION ON {on} FROM {account}")));
    }
    rights
}

/// The text before and after a word that stands outside of quotes and parentheses.
fn split_at_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let (mut quote, mut depth) = (None, 0_usize);
    for (place, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '`' | '\'' | '"') => quote = Some(char),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            _ if depth == 0 && text[place..].starts_with(word) => {
                return Some((&text[..place], &text[place + word.len()..]));
            }
            _ => {}
        }
    }
    None
}

async fn plan(connection: &mut MySqlConnection, ask: &Ask) -> Result<Known<QueryPlan>, Problem> {
    let statement = remote::statement(ask)?;
    let sql = format!("EXPLAIN FORMAT=JSON {}", statement.sql);
    let prepared = match connection.prepare(fit_to_send(sql)).await {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Known::Unknown(refused(error)?)),
    };
    let wanted = match prepared.parameters() {
        Some(Either::Right(count)) => count,
        _ => 0,
    };
    let arguments = match arguments(&statement.binds, wanted) {
        Ok(arguments) => arguments,
        Err(problem) => return Ok(Known::Unknown(problem.message)),
    };
    let row = match prepared.query_with(arguments).fetch_one(&mut *connection).await {
        Ok(row) => row,
        Err(error) => return Ok(Known::Unknown(refused(error)?)),
    };
    let value = row.try_get_raw(0).map_err(explain)?;
    let bytes = <&[u8] as Decode<MySql>>::decode(value).unwrap_or_default();
    let unclear = || Known::Unknown("the server's plan is not understood".to_owned());
    Ok(serde_json::from_slice(bytes).map_or_else(|_| unclear(), |document| Known::Is(read_plan(&document))))
}

/// The plan in the server's JSON: the form of MariaDB and of MySQL up to 8, or the tree of later servers.
fn read_plan(document: &Value) -> QueryPlan {
    let mut plan = QueryPlan::default();
    walk(document, &mut plan);
    let at = |pointer: &str| document.pointer(pointer).and_then(number);
    plan.cost = ["/query_block/cost_info/query_cost", "/query_block/cost", "/query_plan/estimated_total_cost"]
        .iter()
        .chain(&["/estimated_total_cost"])
        .find_map(|pointer| at(pointer));
    plan.rows = at("/query_plan/estimated_rows").or_else(|| at("/estimated_rows")).or(plan.rows);
    plan
}

fn walk(node: &Value, plan: &mut QueryPlan) {
    match node {
        Value::Object(members) => {
            if let (Some(table), Some(access)) = (text(node, "table_name"), text(node, "access_type")) {
                let rows =
                    ["rows_examined_per_scan", "rows", "estimated_rows"].iter().find_map(|name| number(&node[*name]));
                let index = match access {
                    // The tree names the kind of an operation, and a scan of an index says that it is one.
                    "ALL" | "table" => None,
                    "index"
                        if text(node, "index_access_type")
                            .is_none_or(|kind| kind.contains("scan") && !kind.contains("range")) =>
                    {
                        None
                    }
                    _ => Some(text(node, "key").or_else(|| text(node, "index_name")).unwrap_or("an index").to_owned()),
                };
                let share = number(&node["filtered"]).map_or(1.0, |percent| percent / 100.0);
                plan.rows = number(&node["rows_produced_per_join"]).or_else(|| rows.map(|rows| rows * share));
                // Only where all of the table is read do the rows that are looked at count the table.
                let table_rows = rows.filter(|rows| index.is_none() && *rows >= 0.0).map(|rows| rows as u64);
                plan.reads.push(TableRead { table: table.to_owned(), index, table_rows });
            }
            members.values().for_each(|member| walk(member, plan));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, plan)),
        _ => {}
    }
}

fn text<'a>(node: &'a Value, name: &str) -> Option<&'a str> {
    node.get(name).and_then(Value::as_str)
}

/// A number, also one that is written as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_is_read_without_its_password() {
        let lines = [
            ("GRANT SELECT ON `mes`.`booking` TO `etl`@`%`", vec![("SELECT", "`mes`.`booking`")]),
            (
                "GRANT SELECT (`id`, `no ON te`), INSERT ON `a TO b`.* TO `etl`@`%` REQUIRE SSL",
                vec![("SELECT (`id`, `no ON te`), INSERT", "`a TO b`.*")],
            ),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `etl`@`%` IDENTIFIED BY PASSWORD '*CANARY' WITH GRANT OPTION",
                vec![("ALL PRIVILEGES", "*.*"), ("GRANT OPTION", "*.*")],
            ),
            ("GRANT EXECUTE ON PROCEDURE `mes`.`p` TO 'etl'@'10.%'", vec![("EXECUTE", "PROCEDURE `mes`.`p`")]),
            ("GRANT `reader`@`%` TO `etl`@`%`", vec![]),
            ("SET DEFAULT ROLE `reader` FOR `etl`@`%`", vec![]),
            ("", vec![]),
        ];
        for (line, expected) in lines {
            let rights = grant(line);
            assert!(!format!("{rights:?}").contains("CANARY"), "{rights:?}");
            let seen: Vec<(String, &str)> =
                rights.iter().map(|right| (right.privileges.join(", "), right.on.as_str())).collect();
            let expected: Vec<(String, &str)> =
                expected.into_iter().map(|(words, on)| (words.to_owned(), on)).collect();
            assert_eq!(seen, expected, "{line}");
        }
        let all = grant("GRANT ALL PRIVILEGES ON `mes`.* TO `etl`@`%` WITH GRANT OPTION");
        assert_eq!(all[0].revoke, "REVOKE {} ON `mes`.* FROM `etl`@`%`; GRANT SELECT ON `mes`.* TO `etl`@`%`");
        assert_eq!(all[1].revoke, "REVOKE GRANT OPTION ON `mes`.* FROM `etl`@`%`");
    }

    fn read(table: &str, index: Option<&str>, table_rows: Option<u64>) -> TableRead {
        TableRead { table: table.to_owned(), index: index.map(str::to_owned), table_rows }
    }

    #[test]
    fn plans_of_all_servers_are_read() {
        let mariadb = json!({ "query_block": { "select_id": 1, "nested_loop": [
            { "table": { "table_name": "a", "access_type": "ALL", "rows": 20_000, "filtered": 50 } },
            { "table": { "table_name": "b", "access_type": "ref", "key": "i", "rows": 1, "filtered": 100 } }] } });
        let plan = read_plan(&mariadb);
        assert_eq!(plan.reads, [read("a", None, Some(20_000)), read("b", Some("i"), None)]);
        assert_eq!(plan.cost, None);

        let mysql = json!({ "query_block": { "cost_info": { "query_cost": "7.50" }, "ordering_operation": {
            "table": { "table_name": "a", "access_type": "range", "key": "i", "rows_examined_per_scan": 3,
                       "rows_produced_per_join": 2, "filtered": "100.00" } } } });
        let plan = read_plan(&mysql);
        assert_eq!((plan.cost, plan.rows), (Some(7.5), Some(2.0)));
        assert_eq!(plan.reads, [read("a", Some("i"), None)]);

        let tree = json!({ "query": "…", "query_plan": { "operation": "Filter", "estimated_rows": 4.0,
            "estimated_total_cost": 12.25, "inputs": [{ "operation": "Table scan on a", "access_type": "table",
            "table_name": "a", "estimated_rows": 12_000.0 }] } });
        let plan = read_plan(&tree);
        assert_eq!((plan.cost, plan.rows), (Some(12.25), Some(4.0)));
        assert_eq!(plan.reads, [read("a", None, Some(12_000))]);

        let range = json!({ "query_plan": { "access_type": "index", "index_access_type": "index_range_scan",
            "table_name": "a", "index_name": "i", "estimated_rows": 3.0 } });
        assert_eq!(read_plan(&range).reads, [read("a", Some("i"), None)]);
        let whole = json!({ "query_block": { "table": { "table_name": "a", "access_type": "index", "key": "i",
            "rows": 9 } } });
        assert_eq!(read_plan(&whole).reads, [read("a", None, Some(9))]);
        assert_eq!(read_plan(&json!([])), QueryPlan::default());
    }
}
