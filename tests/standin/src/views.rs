//! What a server tells of itself.

mod oracle;
mod properties;
mod sql_server;

pub(crate) use properties::{context, database_property, server_property, show_plan};

use rusqlite::params_from_iter;

use crate::catalogue::quoted;
use crate::compile::Output;
use crate::errors::{Fallible, error, from_sqlite};
use crate::session::{Facts, StandIn};
use crate::types::Type;
use crate::{Product, Value, functions};

pub(crate) const SERVER_NAME: &str = "STANDIN";
pub(crate) const DATABASE_ID: i64 = 5;
/// Identifiers of tables begin here.
pub(crate) const OBJECT_ID_FIRST: i64 = 901_578_250;
pub(crate) const SQL_SERVER_VERSION: &str = "16.0.4165.4";
pub(crate) const SQL_SERVER_VERSION_TEXT: &str = "Microsoft SQL Server 2022 (RTM-CU16) (KB5048033) - 16.0.4165.4 (X64) \n\tNov  6 2024 19:24:49 \n\tCopyright (C) 2022 Microsoft Corporation\n\tDeveloper Edition (64-bit) on Linux (stand-in) <X64>";
const ORACLE_VERSION: &str = "19.24.0.0.0";

/// A view of the server: its name in SQLite, and its columns.
#[derive(Clone, Copy)]
pub(crate) struct ServerView {
    pub name: &'static str,
    /// `(name, type)`
    pub columns: &'static [(&'static str, &'static str)],
}

/// The version that a product says it has unless a test says otherwise.
pub(crate) fn standard_version(product: Product) -> &'static str {
    match product {
        Product::SqlServer => SQL_SERVER_VERSION,
        Product::Oracle => ORACLE_VERSION,
    }
}

/// Finds a view by the parts of its name, the last of them first.
pub(crate) fn find(product: Product, parts: &[String]) -> Option<ServerView> {
    let name = parts.first()?.to_lowercase();
    let schema = parts.get(1).map(|schema| schema.to_lowercase());
    let (all, name) = match (product, schema.as_deref()) {
        (Product::SqlServer, Some("sys" | "information_schema")) => (sql_server::VIEWS, format!("{}.{name}", schema?)),
        (Product::SqlServer, _) => return None,
        (Product::Oracle, None | Some("sys")) => (oracle::VIEWS, name.replace("v_$", "v$").replace("dba_", "all_")),
        (Product::Oracle, _) => return None,
    };
    all.iter().find(|view| view.name == name).copied()
}

/// `fn_my_permissions(NULL, class)`
pub(crate) fn permissions(class: &str) -> ServerView {
    if class == "SERVER" { sql_server::SERVER_PERMISSIONS } else { sql_server::DATABASE_PERMISSIONS }
}

impl ServerView {
    pub(crate) fn outputs(&self, product: Product) -> Vec<Output> {
        let output = |(name, declared): &(&str, &str)| Output {
            name: if product == Product::Oracle { name.to_uppercase() } else { (*name).to_owned() },
            inner: (*name).to_owned(),
            ty: Type::parse(product, declared).unwrap_or_else(Type::null),
            nullable: true,
        };
        self.columns.iter().map(output).collect()
    }

    /// Whether the session may look.
    pub(crate) fn check(&self, facts: &Facts) -> Fallible<()> {
        let guarded = matches!(self.name, "sys.dm_exec_connections" | "sys.dm_exec_sql_text" | "sys.dm_os_sys_info");
        if guarded && !facts.may_on_all("VIEW SERVER STATE") {
            return Err(error(
                300,
                format!("VIEW SERVER STATE permission was denied on object 'server', database '{}'.", facts.database),
            ));
        }
        let catalogue = matches!(self.name, "v$session" | "v$database" | "v$instance");
        let roles = facts.roles.contains("SELECT_CATALOG_ROLE") || facts.may_on_all("SELECT ANY DICTIONARY");
        let granted = facts
            .rights
            .iter()
            .any(|(right, on)| right == "SELECT" && on.to_lowercase().replace("v_$", "v$").ends_with(self.name));
        if catalogue && !roles && !granted && !facts.administrator {
            return Err(error(942, "table or view does not exist"));
        }
        Ok(())
    }
}

/// Fills the session's own copy of a view.
pub(crate) fn fill(session: &StandIn, name: &'static str) -> Fallible<()> {
    let product = session.product();
    let (view, rows) = match product {
        Product::SqlServer => (sql_server::view(name), sql_server::rows(session, name)),
        Product::Oracle => (oracle::VIEWS.iter().find(|view| view.name == name).copied(), oracle::rows(session, name)),
    };
    let Some(view) = view else { return Err(error(208, format!("Invalid object name '{name}'."))) };
    let columns = view
        .outputs(product)
        .iter()
        .map(|column| format!("{} {} COLLATE {}", quoted(&column.inner), column.ty.affinity(), column.ty.collation()))
        .collect::<Vec<_>>();
    let table = quoted(view.name);
    let refused = |failure: rusqlite::Error| from_sqlite(product, &failure);
    session.store(&format!(
        "CREATE TEMP TABLE IF NOT EXISTS {table} ({}); DELETE FROM temp.{table};",
        columns.join(", ")
    ))?;
    let places = vec!["?"; view.columns.len()].join(", ");
    let mut statement =
        session.connection.prepare(&format!("INSERT INTO temp.{table} VALUES ({places})")).map_err(refused)?;
    for row in rows {
        statement.execute(params_from_iter(row.into_iter().map(functions::to_sqlite))).map_err(refused)?;
    }
    Ok(())
}

/// A cell of text.
fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}
