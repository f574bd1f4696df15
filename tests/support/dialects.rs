//! The table of orders at real servers.

use serde_json::{Value, json};

use crate::plant::{self, insert_orders};
use crate::servers::Server;

/// What differs between the servers.
pub struct Dialect {
    /// The type of the source.
    pub name: &'static str,
    /// Makes the table of orders.
    pub table: &'static str,
    /// Adds minutes to the first instant of the plant.
    pub at: fn(&str) -> String,
    /// An instant, from its ISO form.
    pub literal: fn(&str) -> String,
}

/// PostgreSQL.
pub const POSTGRES: Dialect = Dialect {
    name: "postgres",
    table: "CREATE TABLE auftrag (id bigint PRIMARY KEY, anr varchar(20), artnr varchar(20), mnr char(8),
            von timestamp, bis timestamptz, menge numeric(12, 3), geaendert timestamp)",
    at: |minutes| format!("timestamp '2025-03-29' + interval '1 minute' * ({minutes})"),
    literal: |instant| format!("timestamp '{instant}'"),
};

/// MariaDB.
pub const MARIADB: Dialect = Dialect {
    name: "mariadb",
    table: "CREATE TABLE auftrag (id bigint PRIMARY KEY, anr varchar(20), artnr varchar(20), mnr char(8),
            von datetime, bis datetime, menge decimal(12, 3), geaendert datetime)",
    at: |minutes| format!("timestamp('2025-03-29') + interval ({minutes}) minute"),
    literal: |instant| format!("'{instant}'"),
};

/// MySQL.
pub const MYSQL: Dialect = Dialect { name: "mysql", ..MARIADB };

/// A spec that reads the orders of a server through a port of the loopback.
pub fn spec(dialect: &Dialect, server: &Server, port: u16, destination: &Value) -> Value {
    let mut spec = plant::orders("acme", destination);
    spec["source"] = json!({
        "type": dialect.name, "host": "127.0.0.1", "port": port, "database": server.database,
        "username": server.username, "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
        "tls": { "mode": "verify-full", "ca_file": server.ca_file },
        "timeouts": { "connect": "20s", "query": "60s" },
    });
    spec
}

/// The statement that writes finished orders.
pub fn insert_for(dialect: &Dialect, ids: std::ops::Range<i64>) -> String {
    let insert = insert_orders(ids, dialect.at);
    if dialect.name == "postgres" { insert } else { insert.replace("4711000 + id", "cast(4711000 + id as char)") }
}
