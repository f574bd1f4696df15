//! Words and functions that a statement which only reads does not use.

use super::Dialect;

/// Words that change data or rights wherever they stand as code.
pub(super) const CHANGING: &[&str] =
    &["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "TRUNCATE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE"];

/// Reserved words of SQL Server that begin a statement; it needs no semicolon between two.
pub(super) const SQL_SERVER_STATEMENTS: &[&str] = &[
    "ADD",
    "BACKUP",
    "BEGIN",
    "BULK",
    "CHECKPOINT",
    "CLOSE",
    "COMMIT",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DENY",
    "DISK",
    "DUMP",
    "EXEC",
    "EXECUTE",
    "GOTO",
    "IF",
    "KILL",
    "LOAD",
    "OPEN",
    "PRINT",
    "RAISERROR",
    "RECONFIGURE",
    "RESTORE",
    "RETURN",
    "REVERT",
    "ROLLBACK",
    "SAVE",
    "SET",
    "SETUSER",
    "SHUTDOWN",
    "TRIGGER",
    "UPDATETEXT",
    "USE",
    "WAITFOR",
    "WHILE",
    "WRITETEXT",
];

/// Hints of SQL Server that keep others from writing, or from reading.
pub(super) const SQL_SERVER_LOCKS: &[&str] =
    &["UPDLOCK", "XLOCK", "TABLOCKX", "TABLOCK", "PAGLOCK", "HOLDLOCK", "SERIALIZABLE", "REPEATABLEREAD"];

/// Functions with an effect, or that hold up the server, by dialect. Lower case; a trailing `*` is any ending.
pub(super) fn denied_functions(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Postgres => &[
            "pg_sleep*",
            "lo_*",
            "nextval",
            "setval",
            "dblink*",
            "pg_read_file",
            "pg_read_binary_file",
            "pg_ls_*",
            "pg_stat_file",
            "pg_terminate_backend",
            "pg_cancel_backend",
            "pg_reload_conf",
            "pg_rotate_logfile",
            "pg_advisory_*",
            "pg_try_advisory_*",
            "pg_notify",
            "pg_switch_wal",
            "pg_create_*",
            "pg_drop_*",
            "pg_promote",
            "pg_backup_*",
            "pg_start_backup",
            "pg_stop_backup",
            "pg_logical_*",
            "pg_replication_*",
            "pg_file_*",
            "pg_log_backend_memory_contexts",
            "pg_stat_reset*",
            "pg_wal_replay_*",
            "set_config",
            "query_to_xml*",
            "cursor_to_xml*",
            "pg_export_snapshot",
            "pg_import_system_collations",
        ],
        Dialect::MySql | Dialect::MariaDb => &[
            "sleep",
            "benchmark",
            "get_lock",
            "release_lock",
            "release_all_locks",
            "load_file",
            "nextval",
            "setval",
            "lastval",
            "master_pos_wait",
            "source_pos_wait",
            "wait_for_executed_gtid_set",
            "master_gtid_wait",
            "sys_exec",
            "sys_eval",
            "sys_set",
        ],
        Dialect::SqlServer => &["xp_*", "sp_*", "openquery", "openrowset", "opendatasource"],
        Dialect::Oracle => {
            &["httpuritype", "dburitype", "xdburitype", "urifactory", "dbms_*", "utl_*", "ctx_*", "owa_*", "apex_*"]
        }
        Dialect::Sqlite => &["load_extension", "writefile", "readfile", "edit", "fts3_tokenizer"],
    }
}

/// Packages of Oracle that only compute.
pub(super) const ORACLE_PURE_PACKAGES: &[&str] =
    &["dbms_lob", "dbms_random", "dbms_crypto", "utl_raw", "utl_i18n", "utl_encode", "utl_match", "dbms_rowid"];
/// Functions of `dbms_lob` that only read.
pub(super) const ORACLE_LOB_READS: &[&str] = &["substr", "getlength", "instr", "compare"];

/// Whether a name is one of [`denied_functions`].
pub(super) fn matches_name(denied: &str, name: &str) -> bool {
    denied.strip_suffix('*').map_or(denied == name, |start| name.starts_with(start))
}
