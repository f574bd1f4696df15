//! SQL Server's views of itself.

use crate::catalogue::Catalogue;
use crate::session::StandIn;
use crate::types::{Type, UNBOUNDED};
use crate::views::{DATABASE_ID, OBJECT_ID_FIRST, ServerView, text};
use crate::{Value, moment};

/// Rows of the views that long statements are made of.
const LONG_VIEW_ROWS: i64 = 3000;

pub(super) const SERVER_PERMISSIONS: ServerView =
    ServerView { name: "permissions of the server", columns: PERMISSION_COLUMNS };
pub(super) const DATABASE_PERMISSIONS: ServerView =
    ServerView { name: "permissions of the database", columns: PERMISSION_COLUMNS };
const PERMISSION_COLUMNS: &[(&str, &str)] =
    &[("entity_name", "nvarchar(128)"), ("subentity_name", "nvarchar(128)"), ("permission_name", "nvarchar(60)")];
const LONG_COLUMNS: &[(&str, &str)] = &[("object_id", "int"), ("name", "nvarchar(128)"), ("column_id", "int")];

pub(super) const VIEWS: &[ServerView] = &[
    ServerView {
        name: "sys.databases",
        columns: &[
            ("name", "nvarchar(128)"),
            ("database_id", "int"),
            ("create_date", "datetime"),
            ("compatibility_level", "tinyint"),
            ("collation_name", "nvarchar(128)"),
            ("is_read_only", "bit"),
            ("state", "tinyint"),
            ("state_desc", "nvarchar(60)"),
            ("snapshot_isolation_state", "tinyint"),
            ("snapshot_isolation_state_desc", "nvarchar(60)"),
            ("is_read_committed_snapshot_on", "bit"),
            ("service_broker_guid", "uniqueidentifier"),
        ],
    },
    ServerView {
        name: "sys.dm_exec_sessions",
        columns: &[
            ("session_id", "smallint"),
            ("login_time", "datetime"),
            ("host_name", "nvarchar(128)"),
            ("program_name", "nvarchar(128)"),
            ("login_name", "nvarchar(128)"),
            ("original_login_name", "nvarchar(128)"),
            ("status", "nvarchar(30)"),
            ("database_id", "smallint"),
            ("is_user_process", "bit"),
            ("transaction_isolation_level", "smallint"),
            ("lock_timeout", "int"),
            ("deadlock_priority", "int"),
            ("date_format", "nvarchar(3)"),
            ("language", "nvarchar(128)"),
            ("text_size", "int"),
        ],
    },
    ServerView {
        name: "sys.dm_exec_requests",
        columns: &[
            ("session_id", "smallint"),
            ("request_id", "int"),
            ("status", "nvarchar(30)"),
            ("command", "nvarchar(32)"),
            ("wait_type", "nvarchar(60)"),
            ("blocking_session_id", "smallint"),
            ("database_id", "smallint"),
        ],
    },
    ServerView {
        name: "sys.dm_exec_connections",
        columns: &[
            ("session_id", "int"),
            ("net_transport", "nvarchar(40)"),
            ("protocol_type", "nvarchar(40)"),
            ("encrypt_option", "nvarchar(40)"),
            ("auth_scheme", "nvarchar(40)"),
            ("client_net_address", "varchar(48)"),
        ],
    },
    ServerView {
        name: "sys.tables",
        columns: &[
            ("object_id", "int"),
            ("name", "nvarchar(128)"),
            ("schema_id", "int"),
            ("type", "char(2)"),
            ("type_desc", "nvarchar(60)"),
        ],
    },
    ServerView { name: "sys.schemas", columns: &[("schema_id", "int"), ("name", "nvarchar(128)")] },
    ServerView { name: "sys.all_columns", columns: LONG_COLUMNS },
    ServerView { name: "sys.all_objects", columns: LONG_COLUMNS },
    ServerView {
        name: "information_schema.tables",
        columns: &[
            ("TABLE_CATALOG", "nvarchar(128)"),
            ("TABLE_SCHEMA", "nvarchar(128)"),
            ("TABLE_NAME", "nvarchar(128)"),
            ("TABLE_TYPE", "varchar(10)"),
        ],
    },
    ServerView {
        name: "information_schema.columns",
        columns: &[
            ("TABLE_CATALOG", "nvarchar(128)"),
            ("TABLE_SCHEMA", "nvarchar(128)"),
            ("TABLE_NAME", "nvarchar(128)"),
            ("COLUMN_NAME", "nvarchar(128)"),
            ("ORDINAL_POSITION", "int"),
            ("IS_NULLABLE", "varchar(3)"),
            ("DATA_TYPE", "nvarchar(128)"),
            ("CHARACTER_MAXIMUM_LENGTH", "int"),
            ("NUMERIC_PRECISION", "tinyint"),
            ("NUMERIC_SCALE", "int"),
            ("DATETIME_PRECISION", "smallint"),
            ("COLLATION_NAME", "nvarchar(128)"),
        ],
    },
];

pub(super) fn view(name: &str) -> Option<ServerView> {
    VIEWS.iter().chain([&SERVER_PERMISSIONS, &DATABASE_PERMISSIONS]).find(|view| view.name == name).copied()
}

pub(super) fn rows(session: &StandIn, name: &str) -> Vec<Vec<Value>> {
    match name {
        "sys.databases" => databases(session),
        "sys.dm_exec_sessions" => sessions(session),
        "sys.dm_exec_requests" => requests(session),
        "sys.dm_exec_connections" => connections(session),
        "sys.all_columns" | "sys.all_objects" => {
            (1..=LONG_VIEW_ROWS).map(|at| vec![Value::Int(at), text(format!("c{at}")), Value::Int(at % 40)]).collect()
        }
        "sys.schemas" => vec![vec![Value::Int(1), text("dbo")], vec![Value::Int(4), text("sys")]],
        "permissions of the server" => permissions(session, "server"),
        "permissions of the database" => permissions(session, "database"),
        _ => of_tables(&session.shared.state().catalogue, &session.facts.database, name),
    }
}

fn databases(session: &StandIn) -> Vec<Vec<Value>> {
    let created = moment::Moment::of_timestamp(session.shared.created, jiff::tz::Offset::UTC);
    let created = moment::on_grid(&created, &Type::new("datetime"), &jiff::tz::TimeZone::UTC).unwrap_or_default();
    let nanoseconds = session.shared.created.as_nanosecond() as u64;
    let digits = format!("{nanoseconds:032x}");
    let guid = format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    let of = |name: &str, id: i64| {
        vec![
            text(name),
            Value::Int(id),
            text(created.clone()),
            Value::Int(160),
            text("SQL_Latin1_General_CP1_CI_AS"),
            Value::Int(0),
            Value::Int(0),
            text("ONLINE"),
            Value::Int(1),
            text("ON"),
            Value::Int(0),
            text(guid.clone()),
        ]
    };
    vec![of("master", 1), of(&session.facts.database, DATABASE_ID)]
}

fn sessions(session: &StandIn) -> Vec<Vec<Value>> {
    let state = session.shared.state();
    let all = state.sessions.iter().filter(|(number, _)| {
        session.facts.administrator || session.facts.may_on_all("VIEW SERVER STATE") || **number == session.facts.number
    });
    let row = |(number, living): (&u32, &crate::database::Living)| {
        let options = if *number == session.facts.number { &session.facts.options } else { &living.options };
        let option = |name: &str, standard: &str| options.get(name).cloned().unwrap_or_else(|| standard.to_owned());
        let number_of = |name: &str, standard: i64| Value::Int(option(name, "").parse().unwrap_or(standard));
        let isolation = match option("ISOLATION", "READ COMMITTED").as_str() {
            "READ UNCOMMITTED" => 1,
            "REPEATABLE READ" => 3,
            "SERIALIZABLE" => 4,
            "SNAPSHOT" => 5,
            _ => 2,
        };
        let priority = match option("DEADLOCK_PRIORITY", "NORMAL").as_str() {
            "LOW" => -5,
            "HIGH" => 5,
            other => other.parse().unwrap_or(0),
        };
        vec![
            Value::Int(i64::from(*number)),
            text("2026-01-01 00:00:00"),
            text(&living.host),
            text(&living.program),
            text(&living.login),
            text(&living.login),
            text(if living.command.is_some() { "running" } else { "sleeping" }),
            Value::Int(DATABASE_ID),
            Value::Int(1),
            Value::Int(isolation),
            number_of("LOCK_TIMEOUT", -1),
            Value::Int(priority),
            text(option("DATEFORMAT", "mdy")),
            text(option("LANGUAGE", "us_english")),
            number_of("TEXTSIZE", -1),
        ]
    };
    all.map(row).collect()
}

fn requests(session: &StandIn) -> Vec<Vec<Value>> {
    let state = session.shared.state();
    let running = state.sessions.iter().filter_map(|(number, living)| Some((number, living.command.as_ref()?)));
    let row = |(number, command): (&u32, &String)| {
        vec![
            Value::Int(i64::from(*number)),
            Value::Int(0),
            text("running"),
            text(command),
            Value::Null,
            Value::Int(0),
            Value::Int(DATABASE_ID),
        ]
    };
    running.map(row).collect()
}

fn connections(session: &StandIn) -> Vec<Vec<Value>> {
    let state = session.shared.state();
    let encrypted = |number: &u32| if state.encrypted.contains(number) { "TRUE" } else { "FALSE" };
    let row = |number: &u32| {
        vec![
            Value::Int(i64::from(*number)),
            text("TCP"),
            text("TSQL"),
            text(encrypted(number)),
            text("SQL"),
            text("127.0.0.1"),
        ]
    };
    state.sessions.keys().map(row).collect()
}

fn permissions(session: &StandIn, entity: &str) -> Vec<Vec<Value>> {
    let facts = &session.facts;
    let candidates: &[&str] = if entity == "server" {
        &["CONNECT SQL", "VIEW ANY DATABASE", "VIEW SERVER STATE", "CONTROL SERVER", "ALTER ANY DATABASE"]
    } else {
        &[
            "CONNECT",
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "EXECUTE",
            "ALTER",
            "CONTROL",
            "CREATE TABLE",
            "SHOWPLAN",
            "VIEW DATABASE STATE",
        ]
    };
    let always = |name: &str| matches!(name, "CONNECT" | "CONNECT SQL" | "VIEW ANY DATABASE");
    let held = candidates.iter().filter(|name| always(name) || facts.may_on_all(name));
    held.map(|name| vec![text(entity), text(""), text(*name)]).collect()
}

fn of_tables(catalogue: &Catalogue, database: &str, name: &str) -> Vec<Vec<Value>> {
    let tables = catalogue.tables.values();
    match name {
        "sys.tables" => tables
            .enumerate()
            .map(|(at, table)| {
                vec![
                    Value::Int(at as i64 + OBJECT_ID_FIRST),
                    text(&table.name),
                    Value::Int(1),
                    text("U "),
                    text("USER_TABLE"),
                ]
            })
            .collect(),
        "information_schema.tables" => {
            let of_views = catalogue
                .views
                .values()
                .map(|view| vec![text(database), text(&view.schema), text(&view.name), text("VIEW")]);
            tables
                .map(|table| vec![text(database), text(&table.schema), text(&table.name), text("BASE TABLE")])
                .chain(of_views)
                .collect()
        }
        _ => tables
            .flat_map(|table| table.columns.iter().enumerate().map(move |(at, column)| (table, at, column)))
            .map(|(table, at, column)| {
                let number = column.ty.is_number() && column.ty.name != "bit";
                let is_text = column.ty.class() == crate::types::Class::Text;
                let length = column.ty.length.filter(|_| is_text || column.ty.class() == crate::types::Class::Binary);
                vec![
                    text(database),
                    text(&table.schema),
                    text(&table.name),
                    text(&column.name),
                    Value::Int(at as i64 + 1),
                    text(if column.nullable { "YES" } else { "NO" }),
                    text(if column.ty.name == "rowversion" { "timestamp" } else { &column.ty.name }),
                    length.map_or(Value::Null, |length| Value::Int(if length == UNBOUNDED { -1 } else { length })),
                    if number { Value::Int(column.ty.digits().0) } else { Value::Null },
                    if number { Value::Int(column.ty.digits().1) } else { Value::Null },
                    if column.ty.is_moment() { Value::Int(column.ty.fraction_digits() as i64) } else { Value::Null },
                    if is_text { text("SQL_Latin1_General_CP1_CI_AS") } else { Value::Null },
                ]
            })
            .collect(),
    }
}
