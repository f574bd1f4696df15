//! What the server says of a statement before it runs: its columns, and what its placeholders are compared with.

use engine_spec::template::{Bind, BindValue};
use tiberius::error::Error;
use tiberius::{Query, Row};

use super::{Session, bind, explain, text};
use crate::failure::Problem;

/// Collations whose code page, Windows-1252, has a character for every byte: the driver reads these by itself.
const SAFE_COLLATIONS: &[&str] = &[
    "Danish_Norwegian_",
    "Finnish_Swedish_",
    "French_",
    "German_PhoneBook_",
    "Latin1_General_",
    "Modern_Spanish_",
    "SQL_Latin1_General_CP1_",
];
/// Characters of a Unicode column that has a length.
const UNICODE_LENGTH_MAX: u32 = 4_000;

/// What is known of a statement; nothing where the server does not say.
#[derive(Debug, Default)]
pub(super) struct Description {
    /// Its columns; none for a statement that returns nothing.
    pub(super) columns: Option<Vec<Described>>,
    /// The type that each placeholder is best declared as.
    pub(super) parameters: Vec<Option<String>>,
}

/// A column, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    /// `varchar(20)`, `datetime2(7)`; `None` for a type of .NET.
    pub(super) declared: Option<String>,
    pub(super) collation: Option<String>,
}

/// Asks. What the server refuses to describe it refuses to run as well, and says so better then; a server that cannot
/// describe (2008) runs it undescribed.
pub(super) async fn describe(session: &mut Session, sql: &str, binds: &[Bind]) -> Result<Description, Problem> {
    let mut query = Query::new("EXEC sp_describe_first_result_set @P1, @P2");
    query.bind(sql.to_owned());
    query.bind(bind::declarations(binds, &[]));
    let Some(rows) = rows(session, query).await? else { return Ok(Description::default()) };
    let visible = rows.iter().filter(|row| !row.try_get("is_hidden").ok().flatten().unwrap_or(false));
    let columns = Some(visible.map(described).collect());
    let parameters = if binds.iter().any(|bind| matches!(bind.value, BindValue::Text(_))) {
        let mut query = Query::new("EXEC sp_describe_undeclared_parameters @P1");
        query.bind(sql.to_owned());
        suggestions(&self::rows(session, query).await?.unwrap_or_default(), binds.len())
    } else {
        Vec::new()
    };
    Ok(Description { columns, parameters })
}

/// The rows of an answer; `None` where the server refuses.
async fn rows(session: &mut Session, query: Query<'static>) -> Result<Option<Vec<Row>>, Problem> {
    let answer = async { query.query(session).await?.into_first_result().await };
    match answer.await {
        Ok(rows) => Ok(Some(rows)),
        Err(Error::Server(_)) => Ok(None),
        Err(error) => Err(explain(error)),
    }
}

fn described(row: &Row) -> Described {
    Described {
        name: text(row, "name").unwrap_or_default(),
        declared: text(row, "system_type_name"),
        collation: text(row, "collation_name"),
    }
}

fn suggestions(rows: &[Row], count: usize) -> Vec<Option<String>> {
    let mut types = vec![None; count];
    for row in rows {
        let place = text(row, "name").and_then(|name| name.strip_prefix("@P")?.parse::<usize>().ok());
        if let Some(slot) = place.and_then(|place| types.get_mut(place.checked_sub(1)?)) {
            *slot = text(row, "suggested_system_type_name");
        }
    }
    types
}

/// The result as the server shall give it, for `WITH RESULT SETS`; `None` where it can come as it is.
pub(super) fn conversions(columns: &[Described]) -> Option<String> {
    if columns.iter().all(|column| conversion(column).is_none()) {
        return None;
    }
    let mut list = String::from("(");
    for (place, column) in columns.iter().enumerate() {
        let declared = conversion(column).or_else(|| column.declared.clone())?;
        if place > 0 {
            list.push_str(", ");
        }
        // Names of the engine's own: those of the statement may be missing or twice there.
        list.push_str(&format!("c{} {declared} NULL", place + 1));
    }
    list.push(')');
    Some(list)
}

/// What the server shall make of a column that the driver cannot read safely.
fn conversion(column: &Described) -> Option<String> {
    let declared = column.declared.as_deref()?;
    let (name, length) = declared.split_once('(').map_or((declared, ""), |(name, rest)| (name, rest));
    let length = length.trim_end_matches(')').parse::<u32>().ok().filter(|length| *length <= UNICODE_LENGTH_MAX);
    let is_safe = column.collation.as_deref().is_none_or(|collation| {
        !collation.to_ascii_uppercase().ends_with("_UTF8")
            && SAFE_COLLATIONS.iter().any(|safe| collation.starts_with(safe))
    });
    match (name, length) {
        // The driver carries money as a binary float.
        ("money", _) => Some("decimal(19, 4)".to_owned()),
        ("smallmoney", _) => Some("decimal(10, 4)".to_owned()),
        ("char" | "varchar" | "text", _) if is_safe => None,
        ("char", Some(length)) => Some(format!("nchar({length})")),
        ("varchar", Some(length)) => Some(format!("nvarchar({length})")),
        ("char" | "varchar" | "text", _) => Some("nvarchar(max)".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(declared: &str, collation: &str) -> Described {
        let collation = (!collation.is_empty()).then(|| collation.to_owned());
        Described { name: "c".to_owned(), declared: Some(declared.to_owned()), collation }
    }

    #[test]
    fn what_the_driver_cannot_read_is_converted() {
        for (declared, collation, expected) in [
            ("int", "", None),
            ("money", "", Some("decimal(19, 4)")),
            ("smallmoney", "", Some("decimal(10, 4)")),
            ("varchar(20)", "Latin1_General_CI_AS", None),
            ("varchar(20)", "SQL_Latin1_General_CP1_CI_AS", None),
            ("varchar(20)", "SQL_Latin1_General_CP850_CI_AS", Some("nvarchar(20)")),
            ("varchar(20)", "Latin1_General_100_CI_AS_SC_UTF8", Some("nvarchar(20)")),
            ("char(6)", "Japanese_CI_AS", Some("nchar(6)")),
            ("varchar(8000)", "Greek_CI_AS", Some("nvarchar(max)")),
            ("varchar(max)", "Greek_CI_AS", Some("nvarchar(max)")),
            ("text", "Greek_CI_AS", Some("nvarchar(max)")),
            ("nvarchar(20)", "Greek_CI_AS", None),
        ] {
            assert_eq!(conversion(&column(declared, collation)).as_deref(), expected, "{declared} {collation}");
        }
    }

    #[test]
    fn a_result_is_converted_whole_or_not_at_all() {
        let plain = [column("int", ""), column("varchar(4)", "Latin1_General_CI_AS")];
        assert_eq!(conversions(&plain), None);
        let mixed = [column("int", ""), column("money", ""), column("char(2)", "Greek_CI_AS")];
        assert_eq!(conversions(&mixed).as_deref(), Some("(c1 int NULL, c2 decimal(19, 4) NULL, c3 nchar(2) NULL)"));
        let unknown = Described { declared: None, ..column("", "") };
        assert_eq!(conversions(&[column("money", ""), unknown]), None, "a type of .NET has no name to write");
    }
}
