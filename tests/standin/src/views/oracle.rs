//! Oracle's views of itself.

use crate::session::StandIn;
use crate::types::Class;
use crate::views::{DATABASE_ID, SERVER_NAME, ServerView, text};
use crate::{Value, moment};

/// Rows of the view that long statements are made of.
const LONG_VIEW_ROWS: i64 = 3000;

const PRIVILEGE_COLUMNS: &[(&str, &str)] = &[
    ("grantee", "VARCHAR2(128)"),
    ("owner", "VARCHAR2(128)"),
    ("table_schema", "VARCHAR2(128)"),
    ("table_name", "VARCHAR2(128)"),
    ("grantor", "VARCHAR2(128)"),
    ("privilege", "VARCHAR2(40)"),
    ("type", "VARCHAR2(24)"),
];
const PARAMETER_COLUMNS: &[(&str, &str)] = &[("parameter", "VARCHAR2(128)"), ("value", "VARCHAR2(64)")];
const TABLE_COLUMNS: &[(&str, &str)] =
    &[("owner", "VARCHAR2(128)"), ("table_name", "VARCHAR2(128)"), ("num_rows", "NUMBER")];
const COLUMN_COLUMNS: &[(&str, &str)] = &[
    ("owner", "VARCHAR2(128)"),
    ("table_name", "VARCHAR2(128)"),
    ("column_name", "VARCHAR2(128)"),
    ("data_type", "VARCHAR2(128)"),
    ("data_length", "NUMBER"),
    ("data_precision", "NUMBER"),
    ("data_scale", "NUMBER"),
    ("nullable", "VARCHAR2(1)"),
    ("column_id", "NUMBER"),
];

pub(super) const VIEWS: &[ServerView] = &[
    ServerView {
        name: "v$version",
        columns: &[("banner", "VARCHAR2(80)"), ("banner_full", "VARCHAR2(160)"), ("con_id", "NUMBER")],
    },
    ServerView {
        name: "product_component_version",
        columns: &[
            ("product", "VARCHAR2(80)"),
            ("version", "VARCHAR2(80)"),
            ("version_full", "VARCHAR2(160)"),
            ("status", "VARCHAR2(80)"),
        ],
    },
    ServerView {
        name: "v$database",
        columns: &[
            ("dbid", "NUMBER"),
            ("name", "VARCHAR2(9)"),
            ("created", "DATE"),
            ("open_mode", "VARCHAR2(20)"),
            ("database_role", "VARCHAR2(16)"),
            ("db_unique_name", "VARCHAR2(30)"),
            ("cdb", "VARCHAR2(3)"),
        ],
    },
    ServerView {
        name: "v$instance",
        columns: &[
            ("instance_number", "NUMBER"),
            ("instance_name", "VARCHAR2(16)"),
            ("host_name", "VARCHAR2(64)"),
            ("version", "VARCHAR2(17)"),
            ("version_full", "VARCHAR2(17)"),
            ("startup_time", "DATE"),
            ("status", "VARCHAR2(12)"),
        ],
    },
    ServerView {
        name: "v$session",
        columns: &[
            ("sid", "NUMBER"),
            ("serial#", "NUMBER"),
            ("audsid", "NUMBER"),
            ("username", "VARCHAR2(128)"),
            ("status", "VARCHAR2(8)"),
            ("program", "VARCHAR2(84)"),
            ("module", "VARCHAR2(64)"),
            ("machine", "VARCHAR2(64)"),
            ("type", "VARCHAR2(10)"),
            ("sql_text", "VARCHAR2(1000)"),
        ],
    },
    ServerView {
        name: "v$session_connect_info",
        columns: &[
            ("sid", "NUMBER"),
            ("authentication_type", "VARCHAR2(26)"),
            ("network_service_banner", "VARCHAR2(4000)"),
            ("client_charset", "VARCHAR2(40)"),
        ],
    },
    ServerView { name: "nls_session_parameters", columns: PARAMETER_COLUMNS },
    ServerView { name: "nls_database_parameters", columns: PARAMETER_COLUMNS },
    ServerView { name: "nls_instance_parameters", columns: PARAMETER_COLUMNS },
    ServerView { name: "session_privs", columns: &[("privilege", "VARCHAR2(40)")] },
    ServerView { name: "session_roles", columns: &[("role", "VARCHAR2(128)")] },
    ServerView { name: "user_tab_privs", columns: PRIVILEGE_COLUMNS },
    ServerView { name: "all_tab_privs", columns: PRIVILEGE_COLUMNS },
    ServerView { name: "all_tables", columns: TABLE_COLUMNS },
    ServerView { name: "user_tables", columns: TABLE_COLUMNS },
    ServerView { name: "all_tab_columns", columns: COLUMN_COLUMNS },
    ServerView { name: "user_tab_columns", columns: COLUMN_COLUMNS },
    ServerView {
        name: "all_objects",
        columns: &[
            ("object_id", "NUMBER"),
            ("owner", "VARCHAR2(128)"),
            ("object_name", "VARCHAR2(128)"),
            ("object_type", "VARCHAR2(23)"),
        ],
    },
];

pub(super) fn rows(session: &StandIn, name: &str) -> Vec<Vec<Value>> {
    let facts = &session.facts;
    let database = facts.database.to_uppercase();
    let release = facts.version.split('.').next().unwrap_or_default();
    let product = match release {
        "11" => "Oracle Database 11g Enterprise Edition".to_owned(),
        "23" => "Oracle Database 23ai Free".to_owned(),
        "21" => "Oracle Database 21c Enterprise Edition".to_owned(),
        "12" => "Oracle Database 12c Enterprise Edition".to_owned(),
        other => format!("Oracle Database {other}c Enterprise Edition"),
    };
    let banner = format!("{product} Release {release}.0.0.0.0 - Production");
    let created = moment::Moment::of_timestamp(session.shared.created, jiff::tz::Offset::UTC);
    let created = text(moment::civil(created.at).split('.').next().unwrap_or_default());
    match name {
        "v$version" => vec![vec![text(&banner), text(format!("{banner}\nVersion {}", facts.version)), text("0")]],
        "product_component_version" => {
            vec![vec![text(product), text(format!("{release}.0.0.0.0")), text(&facts.version), text("Production")]]
        }
        "v$database" => {
            let id = session.shared.created.as_second() % 1_000_000_000 + DATABASE_ID;
            vec![vec![
                text(id.to_string()),
                text(&database),
                created,
                text("READ WRITE"),
                text("PRIMARY"),
                text(&database),
                text("YES"),
            ]]
        }
        "v$instance" => vec![vec![
            text("1"),
            text(facts.database.to_lowercase()),
            text(SERVER_NAME.to_lowercase()),
            text(format!("{release}.0.0.0.0")),
            text(&facts.version),
            created,
            text("OPEN"),
        ]],
        "v$session" => sessions(session),
        "v$session_connect_info" => vec![vec![
            text(facts.number.to_string()),
            text("DATABASE"),
            text("TCP/IP NT Protocol Adapter"),
            text("AL32UTF8"),
        ]],
        "nls_session_parameters" => parameters(session),
        "nls_database_parameters" | "nls_instance_parameters" => {
            let mut own = vec![
                ("NLS_CHARACTERSET", "AL32UTF8"),
                ("NLS_NCHAR_CHARACTERSET", "AL16UTF16"),
                ("NLS_RDBMS_VERSION", facts.version.as_str()),
            ];
            own.extend(STANDARD_PARAMETERS);
            own.iter().map(|(parameter, value)| vec![text(*parameter), text(*value)]).collect()
        }
        "session_privs" => privileges(session),
        "session_roles" => facts
            .roles
            .iter()
            .cloned()
            .chain(facts.administrator.then(|| "DBA".to_owned()))
            .map(|role| vec![text(role)])
            .collect(),
        "user_tab_privs" | "all_tab_privs" => table_privileges(session),
        "all_objects" => (1..=LONG_VIEW_ROWS)
            .map(|at| vec![text(at.to_string()), text("SYS"), text(format!("O{at}")), text("TABLE")])
            .collect(),
        _ => of_tables(session, name),
    }
}

const STANDARD_PARAMETERS: [(&str, &str); 9] = [
    ("NLS_LANGUAGE", "AMERICAN"),
    ("NLS_TERRITORY", "AMERICA"),
    ("NLS_NUMERIC_CHARACTERS", ".,"),
    ("NLS_CALENDAR", "GREGORIAN"),
    ("NLS_DATE_FORMAT", "DD-MON-RR"),
    ("NLS_DATE_LANGUAGE", "AMERICAN"),
    ("NLS_SORT", "BINARY"),
    ("NLS_COMP", "BINARY"),
    ("NLS_LENGTH_SEMANTICS", "BYTE"),
];

fn parameters(session: &StandIn) -> Vec<Vec<Value>> {
    let settings = session.settings();
    let mut all = STANDARD_PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    all.push(("NLS_TIMESTAMP_FORMAT".to_owned(), settings.timestamp_format));
    all.push(("NLS_TIMESTAMP_TZ_FORMAT".to_owned(), settings.timestamp_zone_format));
    for (name, value) in session.facts.options.iter().filter(|(name, _)| name.starts_with("NLS_")) {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1.clone_from(value),
            None => all.push((name.clone(), value.clone())),
        }
    }
    all.into_iter().map(|(name, value)| vec![text(name), text(value)]).collect()
}

fn sessions(session: &StandIn) -> Vec<Vec<Value>> {
    let state = session.shared.state();
    let row = |(number, living): (&u32, &crate::database::Living)| {
        vec![
            text(number.to_string()),
            text(living.serial.to_string()),
            text(number.to_string()),
            text(living.login.to_uppercase()),
            text(if living.command.is_some() { "ACTIVE" } else { "INACTIVE" }),
            text(&living.program),
            text(&living.program),
            text(&living.host),
            text("USER"),
            text(&living.sql),
        ]
    };
    state.sessions.iter().map(row).collect()
}

fn privileges(session: &StandIn) -> Vec<Vec<Value>> {
    let facts = &session.facts;
    let all = [
        "CREATE SESSION",
        "ALTER SESSION",
        "CREATE TABLE",
        "SELECT ANY TABLE",
        "INSERT ANY TABLE",
        "UPDATE ANY TABLE",
        "DELETE ANY TABLE",
        "DROP ANY TABLE",
        "ALTER SYSTEM",
    ];
    let own = facts.rights.iter().filter(|(_, on)| on.is_empty()).map(|(right, _)| right.clone());
    let mut held = own.collect::<std::collections::BTreeSet<_>>();
    if facts.administrator {
        held.extend(all.map(str::to_owned));
    }
    held.into_iter().map(|right| vec![text(right)]).collect()
}

fn table_privileges(session: &StandIn) -> Vec<Vec<Value>> {
    let facts = &session.facts;
    let row = |(right, on): &(String, String)| {
        let (owner, table) = on.split_once('.').unwrap_or(("", on));
        vec![
            text(facts.login.to_uppercase()),
            text(owner),
            text(owner),
            text(table),
            text(owner),
            text(right),
            text("TABLE"),
        ]
    };
    facts.rights.iter().filter(|(_, on)| !on.is_empty()).map(row).collect()
}

fn of_tables(session: &StandIn, name: &str) -> Vec<Vec<Value>> {
    let state = session.shared.state();
    let own = name.starts_with("user_");
    let tables = state.catalogue.tables.values().filter(|table| {
        if own { table.schema == session.facts.schema } else { session.facts.may("SELECT", &table.key()) }
    });
    if name.ends_with("tables") {
        return tables.map(|table| vec![text(&table.schema), text(&table.name), Value::Null]).collect();
    }
    let row = |table: &crate::catalogue::Table| {
        let cells = table.columns.iter().enumerate().map(|(at, column)| {
            let number = column.ty.class() == Class::Decimal;
            let digits =
                |value: Option<i64>| value.filter(|_| number).map_or(Value::Null, |value| text(value.to_string()));
            let name = if column.ty.is_moment() { column.ty.to_string() } else { column.ty.name.clone() };
            let length = column.ty.length.filter(|_| !number).unwrap_or(22);
            vec![
                text(&table.schema),
                text(&table.name),
                text(&column.name),
                text(name),
                text(length.to_string()),
                digits(column.ty.length),
                digits(column.ty.scale),
                text(if column.nullable { "Y" } else { "N" }),
                text((at + 1).to_string()),
            ]
        });
        cells.collect::<Vec<_>>()
    };
    tables.flat_map(row).collect()
}
