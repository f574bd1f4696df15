//! What SQL Server tells of a session, an account and a statement.

use engine_core::ports::Ask;
use engine_core::probe::{Fact, Known, Probe, QueryPlan, RIGHTS_MAX, ReadOnly, Right, TableRead};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use tiberius::error::Error;
use tiberius::{QueryItem, Row};

use super::{Session, bind, explain, text};
use crate::failure::Problem;
use crate::probes::reading_in_utc;
use crate::remote;

/// Any account may ask this.
const ABOUT: &str = "SELECT SUSER_SNAME() AS login, USER_NAME() AS db_user, \
    CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)) AS collation, \
    CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)) AS updateability, \
    CONVERT(varchar(33), SYSUTCDATETIME(), 126) AS utc, \
    RIGHT(CONVERT(varchar(40), SYSDATETIMEOFFSET(), 126), 6) AS clock_offset";
/// What the account may do in the database, whoever gave it that.
const RIGHTS: &str =
    "SELECT permission_name AS privilege FROM fn_my_permissions(NULL, 'DATABASE') ORDER BY permission_name";
/// Roles that may do what no list of permissions of the database shows.
const ROLES: &str = "SELECT r.name AS privilege FROM (SELECT 'sysadmin' AS name, IS_SRVROLEMEMBER('sysadmin') AS holds \
    UNION ALL SELECT 'db_owner', IS_ROLEMEMBER('db_owner') UNION ALL SELECT 'db_datawriter', IS_ROLEMEMBER('db_datawriter') \
    UNION ALL SELECT 'db_ddladmin', IS_ROLEMEMBER('db_ddladmin')) AS r WHERE r.holds = 1";

/// Asks everything; what the server refuses to tell is unknown.
pub(super) async fn probe(session: &mut Session, ask: &Ask) -> Result<Probe, Problem> {
    let mut probe = Probe::default();
    let asked = Timestamp::now();
    let mut login = String::new();
    match rows(session, ABOUT).await? {
        Ok(rows) => {
            let answered = Timestamp::now();
            let text = |name: &str| rows.first().and_then(|row| text(row, name));
            login = text("db_user").unwrap_or_default();
            probe.account =
                Known::Is(format!("{}, known to the database as {login}", text("login").unwrap_or_default()));
            probe.charset = known(text("collation"));
            probe.session_timezone =
                known(text("clock_offset").map(|offset| format!("none; the server's clock is at {offset}")));
            probe.clock = reading_in_utc(asked, answered, text("utc").as_deref());
            probe.read_only = match text("updateability") {
                Some(word) if word == "READ_ONLY" => {
                    Known::Is(ReadOnly { holds: true, said: "Updateability = READ_ONLY".to_owned() })
                }
                _ => Known::Inapplicable,
            };
            probe.facts.push(Fact {
                name: "writes",
                value: "the server has no read-only session: every statement is rolled back".to_owned(),
            });
        }
        Err(why) => probe = Probe::unknown(&why),
    }
    probe.rights = rights(session, &login).await?;
    probe.plan = plan(session, ask).await?;
    Ok(probe)
}

/// The rows of an answer, or the server's reason to refuse it.
async fn rows(session: &mut Session, sql: &str) -> Result<Result<Vec<Row>, String>, Problem> {
    let answer = async { session.simple_query(sql).await?.into_first_result().await };
    match answer.await {
        Ok(rows) => Ok(Ok(rows)),
        Err(Error::Server(error)) => Ok(Err(explain(Error::Server(error)).message)),
        Err(error) => Err(explain(error)),
    }
}

fn known(value: Option<String>) -> Known<String> {
    value.map_or_else(|| Known::Unknown("the server did not say".to_owned()), Known::Is)
}

async fn rights(session: &mut Session, user: &str) -> Result<Known<Vec<Right>>, Problem> {
    let names = |rows: Vec<Row>| -> Vec<String> { rows.iter().filter_map(|row| text(row, "privilege")).collect() };
    let privileges = match rows(session, RIGHTS).await? {
        Ok(rows) => names(rows),
        Err(why) => return Ok(Known::Unknown(why)),
    };
    let mut rights = vec![Right {
        privileges: privileges.into_iter().take(RIGHTS_MAX).collect(),
        on: "the database".to_owned(),
        revoke: format!("REVOKE {{}} FROM [{user}]"),
    }];
    if let Ok(roles) = rows(session, ROLES).await? {
        rights.extend(names(roles).into_iter().map(|role| {
            let revoke = match &*role {
                "sysadmin" => "ALTER SERVER ROLE sysadmin DROP MEMBER the login".to_owned(),
                role => format!("ALTER ROLE {role} DROP MEMBER [{user}]"),
            };
            Right { privileges: vec![role], on: String::new(), revoke }
        }));
    }
    Ok(Known::Is(rights))
}

/// The estimated plan. It is no plan of a run, whose values the server would look at first.
async fn plan(session: &mut Session, ask: &Ask) -> Result<Known<QueryPlan>, Problem> {
    let statement = remote::statement(ask)?;
    if let Err(why) = rows(session, "SET SHOWPLAN_XML ON").await? {
        return Ok(Known::Unknown(why));
    }
    let declared = bind::declarations(&statement.binds, &[]);
    let declared = if declared.is_empty() { String::new() } else { format!("DECLARE {declared};\n") };
    let document = document(session, &format!("{declared}{}", statement.sql)).await;
    rows(session, "SET SHOWPLAN_XML OFF").await?.ok();
    Ok(match document? {
        Ok(document) => Known::Is(read_plan(&document)),
        Err(why) => Known::Unknown(why),
    })
}

/// The last document of an answer: that of the statement, where others declare its values.
async fn document(session: &mut Session, sql: &str) -> Result<Result<String, String>, Problem> {
    let reading = async {
        let mut answer = session.simple_query(sql).await?;
        let mut document = String::new();
        while let Some(item) = answer.try_next().await? {
            if let QueryItem::Row(row) = item {
                document = row.try_get::<&str, _>(0).ok().flatten().map(str::to_owned).unwrap_or_else(|| {
                    let xml = row.try_get::<&tiberius::xml::XmlData, _>(0).ok().flatten();
                    xml.map(|xml| xml.as_ref().to_owned()).unwrap_or_default()
                });
            }
        }
        Ok(document)
    };
    match reading.await {
        Ok(document) => Ok(Ok(document)),
        Err(Error::Server(error)) => Ok(Err(explain(Error::Server(error)).message)),
        Err(error) => Err(explain(error)),
    }
}

/// What a plan says, as far as it matters here. Only attributes are looked at, whatever the version of the document.
fn read_plan(document: &str) -> QueryPlan {
    let number = |element: &str, name: &str| attribute(element, name).and_then(|value| value.parse::<f64>().ok());
    let statement =
        elements(document, "StmtSimple").filter(|element| attribute(element, "StatementSubTreeCost").is_some()).last();
    let mut plan = QueryPlan {
        cost: statement.and_then(|element| number(element, "StatementSubTreeCost")),
        rows: statement.and_then(|element| number(element, "StatementEstRows")),
        reads: Vec::new(),
    };
    for (at, _) in document.match_indices("<RelOp ") {
        let operator = &document[at..];
        let head = operator.split('>').next().unwrap_or_default();
        let Some(physical) = attribute(head, "PhysicalOp") else { continue };
        let (scans, seeks) = (physical.contains("Scan"), physical.contains("Seek"));
        if !(scans || seeks) || physical.contains("Constant") {
            continue;
        }
        let Some(object) = elements(operator, "Object").next() else { continue };
        let name = |name: &str| attribute(object, name).map(|name| name.trim_matches(['[', ']']).to_owned());
        let Some(table) = name("Table") else { continue };
        plan.reads.push(TableRead {
            table,
            index: if seeks { name("Index").or_else(|| Some("a key".to_owned())) } else { None },
            table_rows: number(head, "TableCardinality").map(|rows| rows as u64),
        });
    }
    plan
}

/// The opening tags of all elements of a name.
fn elements<'a>(document: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    document.match_indices('<').filter_map(move |(at, _)| {
        let tag = &document[at + 1..];
        let rest = tag.strip_prefix(name)?;
        rest.starts_with([' ', '>', '/']).then(|| tag.split('>').next().unwrap_or_default())
    })
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[start..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"<ShowPlanXML xmlns="http://schemas.microsoft.com/sqlserver/2004/07/showplan" Version="1.539"><BatchSequence><Batch><Statements>
        <StmtSimple StatementText="SELECT id FROM dbo.booking WHERE at &gt;= @P1" StatementType="SELECT" StatementSubTreeCost="0.0657038" StatementEstRows="420.5"><QueryPlan>
        <RelOp NodeId="0" PhysicalOp="Nested Loops" LogicalOp="Inner Join" EstimateRows="420.5"><NestedLoops>
        <RelOp NodeId="1" PhysicalOp="Index Seek" LogicalOp="Index Seek" TableCardinality="2000000"><IndexScan Ordered="1"><Object Database="[HYDRA]" Schema="[dbo]" Table="[booking]" Index="[ix_at]" /></IndexScan></RelOp>
        <RelOp NodeId="2" PhysicalOp="Clustered Index Scan" LogicalOp="Clustered Index Scan" TableCardinality="40"><IndexScan><Object Database="[HYDRA]" Schema="[dbo]" Table="[machine]" Index="[pk_machine]" /></IndexScan></RelOp>
        </NestedLoops></RelOp></QueryPlan></StmtSimple></Statements></Batch></BatchSequence></ShowPlanXML>"#;

    #[test]
    fn a_plan_is_read_as_far_as_it_matters() {
        let plan = read_plan(PLAN);
        assert_eq!((plan.cost, plan.rows), (Some(0.065_703_8), Some(420.5)));
        let read = |table: &str, index: Option<&str>, rows| TableRead {
            table: table.to_owned(),
            index: index.map(str::to_owned),
            table_rows: Some(rows),
        };
        assert_eq!(plan.reads, [read("booking", Some("ix_at"), 2_000_000), read("machine", None, 40)]);
    }

    #[test]
    fn what_is_no_plan_says_nothing() {
        for document in ["", "<", "<RelOp PhysicalOp=\"Table Scan\">", "<StmtSimple StatementSubTreeCost=\"much\">"] {
            assert_eq!(read_plan(document), QueryPlan::default(), "{document}");
        }
    }
}
