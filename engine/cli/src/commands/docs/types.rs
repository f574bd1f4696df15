//! The page of types, made from the contract of every connector.

use std::fmt::Write as _;

use engine_connect::registry;
use engine_core::ports::Connector;
use engine_core::value::{Kind, TypeRule};

const TEXT: &str = "What a column becomes, for each `source.type`. Types are named as `engine check` shows them, without \
    length and precision. A *date-time* has no zone and is read in `source.timezone`; an *instant* has one. A value that \
    is not carried rejects its row, not the run. Null is null, whatever the type.\n\nThe tables are made from the \
    decoders, and tests compare them with what the servers send. The guide is [Sources](../sources.md).";

/// The page.
pub(super) fn page() -> String {
    let sections = registry::CONNECTORS.iter().map(section);
    super::head("Types", TEXT) + &sections.collect::<String>()
}

fn section(connector: &Connector) -> String {
    let mut out = format!("\n## {}\n\n`type: {}`\n\n", title(connector.name), connector.name);
    out.push_str("| type | becomes | what else there is to know |\n| --- | --- | --- |\n");
    for TypeRule { types, kind, note } in connector.types {
        let names: Vec<String> = types.iter().map(|name| code(name)).collect();
        let becomes = if *kind == Kind::Any { "–" } else { kind.words() };
        let _ = writeln!(out, "| {} | {becomes} | {} |", names.join(", "), note.replace('|', "\\|"));
    }
    out
}

fn code(name: &str) -> String {
    if name.is_empty() { "no declared type".to_owned() } else { format!("`{name}`") }
}

/// The name of a product.
fn title(name: &'static str) -> &'static str {
    match name {
        "postgres" => "PostgreSQL",
        "mysql" => "MySQL",
        "mariadb" => "MariaDB",
        "sqlserver" => "SQL Server",
        "oracle" => "Oracle Database",
        "sqlite" => "SQLite",
        "http" => "HTTP APIs",
        "csv" => "CSV files",
        other => other,
    }
}
