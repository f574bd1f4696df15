//! Single properties of a server, a database, a session.

use crate::Value;
use crate::session::Facts;
use crate::types::Type;
use crate::views::{DATABASE_ID, SERVER_NAME, SQL_SERVER_VERSION};

/// `SERVERPROPERTY(name)`, with the type that the value has.
pub(crate) fn server_property(name: &str) -> (Value, Type) {
    let int = |value: i64| (Value::Int(value), Type::new("int"));
    let text = |value: &str| (Value::Text(value.to_owned()), Type::sized("nvarchar", 128));
    match name.to_lowercase().as_str() {
        "productversion" => text(SQL_SERVER_VERSION),
        "productmajorversion" => text("16"),
        "productminorversion" => text("0"),
        "productbuild" => text("4165"),
        "productlevel" => text("RTM"),
        "productupdatelevel" => text("CU16"),
        "edition" => text("Developer Edition (64-bit)"),
        "editionid" => (Value::Int(-2_117_995_310), Type::new("bigint")),
        "engineedition" => int(3),
        "servername" | "machinename" => text(SERVER_NAME),
        "collation" => text("SQL_Latin1_General_CP1_CI_AS"),
        "ishadrenabled" | "isclustered" | "isintegratedsecurityonly" | "issingleuser" => int(0),
        "isfulltextinstalled" => int(0),
        "lcid" => int(1033),
        _ => (Value::Null, Type::sized("nvarchar", 128)),
    }
}

/// `DATABASEPROPERTYEX(DB_NAME(), name)`
pub(crate) fn database_property(name: &str) -> Option<String> {
    let value = match name.to_lowercase().as_str() {
        "updateability" => "READ_WRITE",
        "collation" => "SQL_Latin1_General_CP1_CI_AS",
        "status" => "ONLINE",
        "recovery" => "SIMPLE",
        "useraccess" => "MULTI_USER",
        "version" => "957",
        _ => return None,
    };
    Some(value.to_owned())
}

/// `SYS_CONTEXT('USERENV', name)`; `None` where there is no such name.
pub(crate) fn context(facts: &Facts, name: &str) -> Option<String> {
    let login = facts.login.to_uppercase();
    let database = facts.database.to_uppercase();
    Some(match name.to_uppercase().as_str() {
        "DB_NAME" | "CON_NAME" | "DB_UNIQUE_NAME" => database,
        "SERVICE_NAME" => facts.database.clone(),
        "INSTANCE_NAME" => facts.database.to_lowercase(),
        "INSTANCE" => "1".to_owned(),
        "SERVER_HOST" => SERVER_NAME.to_lowercase(),
        "SESSION_USER" | "CURRENT_USER" | "SESSION_SCHEMA" | "AUTHENTICATED_IDENTITY" => login,
        "CURRENT_SCHEMA" => facts.schema.clone(),
        "SID" | "SESSIONID" => facts.number.to_string(),
        "CON_ID" => "3".to_owned(),
        "DBID" => DATABASE_ID.to_string(),
        "NETWORK_PROTOCOL" => "tcp".to_owned(),
        "HOST" => facts.host.clone(),
        "IP_ADDRESS" => "127.0.0.1".to_owned(),
        "MODULE" | "CLIENT_PROGRAM_NAME" => facts.program.clone(),
        "LANGUAGE" => "AMERICAN_AMERICA.AL32UTF8".to_owned(),
        "LANG" => "US".to_owned(),
        "NLS_TERRITORY" => "AMERICA".to_owned(),
        "NLS_DATE_FORMAT" => facts.option("NLS_DATE_FORMAT").unwrap_or("DD-MON-RR").to_owned(),
        "ISDBA" => if facts.administrator { "TRUE" } else { "FALSE" }.to_owned(),
        "DATABASE_ROLE" => "PRIMARY".to_owned(),
        "AUTHENTICATION_METHOD" => "PASSWORD".to_owned(),
        "CLIENT_IDENTIFIER" | "CLIENT_INFO" | "ACTION" | "OS_USER" | "TERMINAL" => String::new(),
        _ => return None,
    })
}

/// What `SET SHOWPLAN_XML ON` answers.
pub(crate) fn show_plan(statement: &str, tables: &[(String, u64)]) -> String {
    let text = statement.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let scan = |(name, rows): &(String, u64)| {
        format!(
            "<RelOp NodeId=\"0\" PhysicalOp=\"Clustered Index Scan\" LogicalOp=\"Clustered Index Scan\" TableCardinality=\"{rows}\">\
             <IndexScan><Object Schema=\"[dbo]\" Table=\"[{name}]\" Index=\"[PK_{name}]\"/></IndexScan></RelOp>"
        )
    };
    let scans: String = tables.iter().map(scan).collect();
    format!(
        "<ShowPlanXML xmlns=\"http://schemas.microsoft.com/sqlserver/2004/07/showplan\" Version=\"1.564\" Build=\"{SQL_SERVER_VERSION}\">\
         <BatchSequence><Batch><Statements><StmtSimple StatementText=\"{text}\" StatementId=\"1\" StatementType=\"SELECT\" StatementSubTreeCost=\"0.0032831\" \
         StatementEstRows=\"1\" StatementOptmLevel=\"TRIVIAL\"><QueryPlan>{scans}</QueryPlan></StmtSimple></Statements></Batch></BatchSequence></ShowPlanXML>"
    )
}
