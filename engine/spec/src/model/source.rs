//! Where the rows come from.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{CsvSource, HttpSource, Period, Secret, Setting};
use crate::decode::present;

/// Where the rows come from: a database, an HTTP API or CSV files.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source {
    /// Microsoft SQL Server.
    #[serde(rename = "sqlserver")]
    SqlServer(SqlServerSource),
    /// MySQL.
    #[serde(rename = "mysql")]
    MySql(ServerSource),
    /// MariaDB.
    #[serde(rename = "mariadb")]
    MariaDb(ServerSource),
    /// Oracle Database.
    Oracle(OracleSource),
    /// PostgreSQL.
    Postgres(ServerSource),
    /// A SQLite file, opened read-only.
    Sqlite(SqliteSource),
    /// An HTTP API.
    Http(HttpSource),
    /// A folder of CSV files.
    Csv(CsvSource),
}

/// A MySQL, MariaDB or PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSource {
    /// Host name or address.
    #[schemars(example = &"10.20.0.5")]
    pub host: Setting<String>,
    /// TCP port. Default: 5432 for PostgreSQL, 3306 for MySQL and MariaDB.
    #[schemars(example = &5432)]
    #[serde(default, deserialize_with = "present")]
    pub port: Option<Setting<u16>>,
    /// Name of the database.
    #[schemars(example = &"mes")]
    pub database: Setting<String>,
    /// Login name of a read-only account.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_USER"}))]
    pub username: Setting<String>,
    /// Password of the account. A reference only. Left out: no password is sent.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// Encryption. Default: `verify-full`, and `prefer` on loopback.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// A Microsoft SQL Server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlServerSource {
    /// Host name or address.
    #[schemars(example = &"10.20.0.5")]
    pub host: Setting<String>,
    /// TCP port. Default: 1433, or what the browser service says of `instance`.
    #[schemars(example = &1433)]
    #[serde(default, deserialize_with = "present")]
    pub port: Option<Setting<u16>>,
    /// Named instance. An explicit `port` wins.
    #[schemars(example = &"HYDRA")]
    #[serde(default, deserialize_with = "present")]
    pub instance: Option<Setting<String>>,
    /// Name of the database.
    #[schemars(example = &"HYDRA")]
    pub database: Setting<String>,
    /// Windows domain; makes the login a Windows login, which is not possible from the device.
    #[schemars(example = &"ACME")]
    #[serde(default, deserialize_with = "present")]
    pub domain: Option<Setting<String>>,
    /// Login name of a read-only account.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_USER"}))]
    pub username: Setting<String>,
    /// Password of the account. A reference only.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// What the session announces to an availability group. Default `ReadOnly`.
    #[schemars(example = &"ReadOnly")]
    #[serde(default, deserialize_with = "present")]
    pub application_intent: Option<Setting<ApplicationIntent>>,
    /// Isolation level of the reading session. Default `read committed`.
    #[schemars(example = &"snapshot")]
    #[serde(default, deserialize_with = "present")]
    pub isolation: Option<Setting<Isolation>>,
    /// Encryption. Default: `verify-full`, and `prefer` on loopback.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// What a SQL Server session announces to an availability group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ApplicationIntent {
    /// May be routed to a readable secondary.
    ReadOnly,
    /// Stays on the primary.
    ReadWrite,
}

/// Isolation level of a SQL Server session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Waits for writers; the server's default.
    #[serde(rename = "read committed")]
    ReadCommitted,
    /// Reads a consistent state without waiting; the database must allow it.
    #[serde(rename = "snapshot")]
    Snapshot,
    /// Never waits, and may read what is later undone.
    #[serde(rename = "read uncommitted")]
    ReadUncommitted,
}

/// An Oracle Database: exactly one of `database` (service name), `sid` or `tns`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleSource {
    /// Host name or address. Not with `tns`.
    #[schemars(example = &"10.20.0.5")]
    #[serde(default, deserialize_with = "present")]
    pub host: Option<Setting<String>>,
    /// TCP port. Default 1521.
    #[schemars(example = &1521)]
    #[serde(default, deserialize_with = "present")]
    pub port: Option<Setting<u16>>,
    /// Service name.
    #[schemars(example = &"ORCLPDB1")]
    #[serde(default, deserialize_with = "present")]
    pub database: Option<Setting<String>>,
    /// System identifier, where there is no service name.
    #[schemars(example = &"ORCL")]
    #[serde(default, deserialize_with = "present")]
    pub sid: Option<Setting<String>>,
    /// Alias from `tnsnames.ora` in `config_dir`.
    #[schemars(example = &"MESPROD")]
    #[serde(default, deserialize_with = "present")]
    pub tns: Option<Setting<String>>,
    /// Folder with `tnsnames.ora` and the wallet.
    #[schemars(example = &"/etc/engine/oracle")]
    #[serde(default, deserialize_with = "present")]
    pub config_dir: Option<Setting<String>>,
    /// Login name of a read-only account.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_USER"}))]
    pub username: Setting<String>,
    /// Password of the account. A reference only.
    #[schemars(example = serde_json::json!({"env": "ACME_DB_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// Which driver speaks to the server. Default `auto`: OCI where Instant Client is installed, else thin.
    #[schemars(example = &"thin")]
    #[serde(default, deserialize_with = "present")]
    pub driver: Option<Setting<OracleDriver>>,
    /// Encryption. Default: `verify-full`, and `prefer` on loopback.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for the server.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Which Oracle driver speaks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OracleDriver {
    /// OCI where Instant Client is installed, else thin.
    Auto,
    /// Oracle's own driver without Instant Client; Database 19c and later.
    Thin,
    /// Instant Client; reaches old servers, old verifiers and native network encryption.
    Oci,
}

/// A SQLite file, opened read-only.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteSource {
    /// The database file, relative to the spec.
    #[schemars(example = &"mes.db")]
    pub path: Setting<String>,
    /// IANA zone of the source's naive date-times. Default `UTC`, and a lint asks for it where times are naive.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    pub timezone: Option<Setting<String>>,
    /// How long to wait for a lock and for the query.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// How long to wait for a server.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection, login included. Default `10s`.
    #[schemars(example = &"10s")]
    #[serde(default, deserialize_with = "present")]
    pub connect: Option<Setting<Period>>,
    /// For a query, from sending it to its last row. Default `5m`.
    #[schemars(example = &"5m")]
    #[serde(default, deserialize_with = "present")]
    pub query: Option<Setting<Period>>,
}

/// Encryption of a connection.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// How strict. Default `verify-full` wherever a password crosses a network.
    #[schemars(example = &"verify-full")]
    #[serde(default, deserialize_with = "present")]
    pub mode: Option<Setting<TlsMode>>,
    /// Certificates of the authorities to trust, PEM, relative to the spec. Default: those of the system.
    #[schemars(example = &"acme-ca.pem")]
    #[serde(default, deserialize_with = "present")]
    pub ca_file: Option<Setting<String>>,
    /// Client certificate, PEM, relative to the spec.
    #[schemars(example = &"client.pem")]
    #[serde(default, deserialize_with = "present")]
    pub cert_file: Option<Setting<String>>,
    /// Private key of the client certificate, PEM, relative to the spec.
    #[schemars(example = &"client.key")]
    #[serde(default, deserialize_with = "present")]
    pub key_file: Option<Setting<String>>,
}

/// How strict the encryption of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption where the server offers it; no certificate is checked.
    Prefer,
    /// Encryption; no certificate is checked.
    Require,
    /// Encryption; the certificate's authority is checked.
    VerifyCa,
    /// Encryption; the certificate's authority and the host name are checked.
    VerifyFull,
}
