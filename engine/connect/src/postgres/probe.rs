//! What PostgreSQL tells of a session, an account and a statement.

use engine_core::ports::Ask;
use engine_core::probe::{Known, Probe, QueryPlan, RIGHTS_MAX, ReadOnly, Right, TableRead};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{Either, Executor, Row, Statement as _, ValueRef as _, raw_sql};

use super::{bind, explain};
use crate::failure::Problem;
use crate::probes::{reading, split};
use crate::remote;
use crate::sqlx_error::fit_to_send;

/// Any account may ask this.
const ABOUT: &str = "SELECT current_user::text, current_setting('TimeZone'), current_setting('server_encoding'), \
    current_setting('transaction_read_only'), \
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text";

/// What the account may do: privileges, on what, and the statement that takes them away. An administrator may do
/// everything, so that only this is said of one. Grants count where they are the account's own, everybody's, or those of
/// a role that the account is in.
const RIGHTS: &str = "
WITH me AS (
    SELECT oid, rolname, rolsuper, rolcreaterole, rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user
),
mine AS (
    SELECT 0::oid AS oid, 'PUBLIC' AS name FROM me WHERE NOT rolsuper
    UNION ALL
    SELECT r.oid, quote_ident(r.rolname) FROM pg_catalog.pg_roles r, me
    WHERE NOT me.rolsuper AND pg_catalog.pg_has_role(me.oid, r.oid, 'USAGE')
),
on_tables AS (
    SELECT n.nspname, c.relname, m.name, g.grantee = c.relowner AS is_owner,
        string_agg(g.privilege_type, ',' ORDER BY g.privilege_type) AS privileges
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) g
    JOIN mine m ON m.oid = g.grantee
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
    GROUP BY n.nspname, c.relname, m.name, g.grantee = c.relowner
),
by_schema AS (
    SELECT nspname, name, is_owner, privileges, count(*) AS tables,
        string_agg(format('%I.%I', nspname, relname), ', ' ORDER BY relname) AS names
    FROM on_tables GROUP BY nspname, name, is_owner, privileges
)
SELECT a.privilege, '', format('ALTER ROLE %I NO%s', me.rolname, a.privilege)
FROM me CROSS JOIN LATERAL
    (VALUES ('SUPERUSER', rolsuper), ('CREATEROLE', rolcreaterole), ('CREATEDB', rolcreatedb)) a (privilege, holds)
WHERE a.holds
UNION ALL
SELECT r.rolname, '', format('REVOKE %I FROM %I', r.rolname, me.rolname) FROM pg_catalog.pg_roles r, me
WHERE NOT me.rolsuper AND r.rolname LIKE 'pg\\_%' AND r.rolname <> 'pg_database_owner'
    AND pg_catalog.pg_has_role(me.oid, r.oid, 'MEMBER')
UNION ALL
SELECT CASE WHEN is_owner THEN 'OWNER' ELSE privileges END,
    CASE WHEN tables <= 3 THEN names ELSE format('%s tables of schema %I', tables, nspname) END,
    CASE WHEN is_owner THEN format('REASSIGN OWNED BY %s TO CURRENT_USER', name)
        WHEN tables <= 3 THEN format('REVOKE {} ON %s FROM %s', names, name)
        ELSE format('REVOKE {} ON ALL TABLES IN SCHEMA %I FROM %s', nspname, name) END
FROM by_schema
UNION ALL
SELECT string_agg(g.privilege_type, ',' ORDER BY g.privilege_type), format('schema %I', n.nspname),
    format('REVOKE {} ON SCHEMA %I FROM %s', n.nspname, m.name)
FROM pg_catalog.pg_namespace n
CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) g
JOIN mine m ON m.oid = g.grantee
WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
GROUP BY n.nspname, m.name";

/// Rows of a table as the server last counted them; negative where it never did.
const TABLE_ROWS: &str = "SELECT c.reltuples::bigint FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

/// Asks everything. A refused question ends the transaction, and the next one gets another.
pub(super) async fn probe(connection: &mut PgConnection, ask: &Ask) -> Result<Probe, Problem> {
    let mut probe = Probe::default();
    let asked = Timestamp::now();
    match raw_sql(ABOUT).fetch_one(&mut *connection).await {
        Ok(row) => {
            let answered = Timestamp::now();
            let text = |place: usize| Known::from_answer(row.try_get::<String, _>(place));
            probe.account = text(0);
            probe.session_timezone = text(1);
            probe.charset = text(2);
            let read_only =
                |word: String| ReadOnly { holds: word == "on", said: format!("transaction_read_only = {word}") };
            probe.read_only = Known::from_answer(row.try_get::<String, _>(3).map(read_only));
            probe.clock = reading(asked, answered, row.try_get::<String, _>(4).ok().as_deref());
        }
        Err(error) => {
            let why = refused(connection, error, "").await?;
            probe = Probe::unknown(&why);
        }
    }
    probe.rights = match raw_sql(fit_to_send(format!("{RIGHTS} LIMIT {RIGHTS_MAX}"))).fetch_all(&mut *connection).await
    {
        Ok(rows) => Known::from_answer(rows.iter().map(right).collect::<Result<_, _>>()),
        Err(error) => Known::Unknown(refused(connection, error, "").await?),
    };
    probe.plan = plan(connection, ask).await?;
    Ok(probe)
}

fn right(row: &sqlx::postgres::PgRow) -> sqlx::Result<Right> {
    Ok(Right { privileges: split(row.try_get(0)?), on: row.try_get(1)?, revoke: row.try_get(2)? })
}

/// Why the server refused a question. The transaction that it ended is replaced.
async fn refused(connection: &mut PgConnection, error: sqlx::Error, sql: &str) -> Result<String, Problem> {
    if !matches!(error, sqlx::Error::Database(_)) {
        return Err(explain(error, sql));
    }
    for sql in ["ROLLBACK", "BEGIN READ ONLY"] {
        connection.execute(sql).await.map_err(|error| explain(error, ""))?;
    }
    Ok(explain(error, sql).message)
}

async fn plan(connection: &mut PgConnection, ask: &Ask) -> Result<Known<QueryPlan>, Problem> {
    let statement = remote::statement(ask)?;
    let sql = format!("EXPLAIN (VERBOSE, FORMAT JSON) {}", statement.sql);
    let prepared = match connection.prepare(fit_to_send(&*sql)).await {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Known::Unknown(refused(connection, error, &sql).await?)),
    };
    let types = match prepared.parameters() {
        Some(Either::Left(types)) => types,
        _ => &[],
    };
    let arguments = match bind::arguments(&statement.binds, types) {
        Ok(arguments) => arguments,
        Err(problem) => return Ok(Known::Unknown(problem.message)),
    };
    let row = match prepared.query_with(arguments).fetch_one(&mut *connection).await {
        Ok(row) => row,
        Err(error) => return Ok(Known::Unknown(refused(connection, error, &sql).await?)),
    };
    let value = row.try_get_raw(0).map_err(|error| explain(error, ""))?;
    if value.is_null() {
        return Ok(Known::Unknown("the server gave no plan".to_owned()));
    }
    let text = value.as_str().unwrap_or_default();
    let Some((mut plan, tables)) = read_plan(text) else {
        return Ok(Known::Unknown("the server's plan is not understood".to_owned()));
    };
    for (read, (schema, table)) in plan.reads.iter_mut().zip(tables) {
        let rows = sqlx::query_scalar::<_, i64>(TABLE_ROWS).bind(schema).bind(table);
        match rows.fetch_optional(&mut *connection).await {
            Ok(rows) => read.table_rows = rows.and_then(|rows| u64::try_from(rows).ok()),
            Err(error) => _ = refused(connection, error, "").await?,
        }
    }
    Ok(Known::Is(plan))
}

/// A table by schema and name.
type Table = (String, String);

/// The plan in the server's JSON, and the tables that it reads, in the same order.
fn read_plan(json: &str) -> Option<(QueryPlan, Vec<Table>)> {
    let document: Value = serde_json::from_str(json).ok()?;
    let root = document.get(0)?.get("Plan")?;
    let mut plan = QueryPlan {
        cost: root.get("Total Cost").and_then(Value::as_f64),
        rows: root.get("Plan Rows").and_then(Value::as_f64),
        reads: Vec::new(),
    };
    let mut tables = Vec::new();
    walk(root, &mut plan.reads, &mut tables);
    Some((plan, tables))
}

fn walk(node: &Value, reads: &mut Vec<TableRead>, tables: &mut Vec<Table>) {
    let text = |name: &str| node.get(name).and_then(Value::as_str);
    let children = || node.get("Plans").and_then(Value::as_array).into_iter().flatten();
    if let Some(table) = text("Relation Name") {
        let index = match text("Node Type") {
            // An index without a condition gives the order, and every row.
            Some("Index Scan" | "Index Only Scan") => text("Index Cond").and(text("Index Name")).map(str::to_owned),
            Some("Bitmap Heap Scan") => {
                let mut names = Vec::new();
                children().for_each(|child| index_names(child, &mut names));
                Some(names.join(", "))
            }
            _ => None,
        };
        let schema = text("Schema").unwrap_or("public");
        reads.push(TableRead { table: format!("{schema}.{table}"), index, table_rows: None });
        tables.push((schema.to_owned(), table.to_owned()));
    }
    children().for_each(|child| walk(child, reads, tables));
}

/// The indexes below a bitmap.
fn index_names(node: &Value, names: &mut Vec<String>) {
    names.extend(node.get("Index Name").and_then(Value::as_str).map(str::to_owned));
    node.get("Plans").and_then(Value::as_array).into_iter().flatten().for_each(|child| index_names(child, names));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(node: &str) -> Vec<(String, Option<String>)> {
        let (plan, tables) = read_plan(&format!(r#"[{{"Plan": {node}}}]"#)).unwrap();
        assert_eq!(plan.reads.len(), tables.len());
        plan.reads.into_iter().map(|read| (read.table, read.index)).collect()
    }

    #[test]
    fn a_plan_says_what_finds_the_rows_of_each_table() {
        let table = r#""Relation Name": "booking", "Schema": "mes""#;
        let cases = [
            (format!(r#"{{"Node Type": "Seq Scan", {table}}}"#), None),
            (format!(r#"{{"Node Type": "Index Scan", "Index Name": "i", "Index Cond": "x", {table}}}"#), Some("i")),
            (format!(r#"{{"Node Type": "Index Only Scan", "Index Name": "i", {table}}}"#), None),
            (
                format!(
                    r#"{{"Node Type": "Bitmap Heap Scan", {table}, "Plans": [{{"Node Type": "BitmapOr", "Plans": [
                       {{"Node Type": "Bitmap Index Scan", "Index Name": "i"}}, {{"Index Name": "k"}}]}}]}}"#
                ),
                Some("i, k"),
            ),
        ];
        for (node, index) in cases {
            assert_eq!(reads(&node), [("mes.booking".to_owned(), index.map(str::to_owned))], "{node}");
        }
    }

    #[test]
    fn every_table_of_a_join_is_read() {
        let node = r#"{"Node Type": "Hash Join", "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "a"},
            {"Node Type": "Hash", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "b"}]}]}"#;
        let names: Vec<String> = reads(node).into_iter().map(|(table, _)| table).collect();
        assert_eq!(names, ["public.a", "public.b"]);
    }

    #[test]
    fn cost_and_rows_are_those_of_the_whole() {
        let (plan, _) = read_plan(r#"[{"Plan": {"Node Type": "Sort", "Total Cost": 12.5, "Plan Rows": 7}}]"#).unwrap();
        assert_eq!((plan.cost, plan.rows), (Some(12.5), Some(7.0)));
        for other in ["", "{}", "[]", r#"[{"Query": 1}]"#] {
            assert_eq!(read_plan(other), None, "{other}");
        }
    }
}
