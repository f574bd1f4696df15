//! `sp_describe_first_result_set`: the columns of a statement, without its rows.

use std::io;
use std::ops::ControlFlow;

use engine_standin::{Column, Outcome, Parameter, ServerError, Sink, Value};

use crate::answer::{Answer, Rest};
use crate::call::text;
use crate::errors;
use crate::rpc::Argument;
use crate::serve::Client;
use crate::token::Done;
use crate::types::{Shape, Type};

/// The columns of the description that are filled; the others of the real server are for browsing.
const COLUMNS: &[(&str, &str, Nulls)] = &[
    ("is_hidden", "bit", Nulls::None),
    ("column_ordinal", "int", Nulls::None),
    ("name", "sysname", Nulls::Some),
    ("is_nullable", "bit", Nulls::None),
    ("system_type_id", "int", Nulls::None),
    ("system_type_name", "nvarchar(256)", Nulls::Some),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    None,
    Some,
}

/// Takes the columns of the first result, and gives the rest up.
#[derive(Default)]
struct First {
    columns: Option<Vec<Column>>,
}

impl Sink for First {
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()> {
        self.columns = Some(columns.to_vec());
        ControlFlow::Break(())
    }

    fn row(&mut self, _: &[Value]) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn done(&mut self, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn idle(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Serves the call.
pub(crate) fn serve(
    client: &mut Client<'_>,
    arguments: &[Argument],
    rest: Rest,
) -> Result<io::Result<()>, ServerError> {
    const CALL: &str = "sp_describe_first_result_set";
    let sql = text(arguments, 0, CALL, "@tsql")?;
    let declaration = if arguments.len() > 1 { text(arguments, 1, CALL, "@params")? } else { "" };
    let columns = describe(client, sql, declaration)?;
    let mut answer = Answer::new(&mut client.channel, &client.shared.settings, Done::Within, "");
    // A client that gives the answer up is noticed when it ends.
    let _ = give(&mut answer, &columns);
    Ok(answer.finish(Ok(Outcome::Complete), &[], rest))
}

fn describe(client: &mut Client<'_>, sql: &str, declaration: &str) -> Result<Vec<Column>, ServerError> {
    // To know the columns the statement is begun, so it must be one that changes nothing.
    let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if !["select", "with"].contains(&first.as_str()) {
        return Err(errors::not_served("the description of what is no select"));
    }
    let parameters: Vec<Parameter> = crate::declaration::declared(declaration)
        .into_iter()
        .map(|(name, declared)| Parameter { name, declared, value: Value::Null })
        .collect();
    let mut found = First::default();
    client.session.run(sql, &parameters, &mut found)?;
    Ok(found.columns.unwrap_or_default())
}

fn give(answer: &mut Answer<'_>, columns: &[Column]) -> ControlFlow<()> {
    let described: Vec<Column> = COLUMNS
        .iter()
        .map(|(name, declared, nulls)| Column {
            name: (*name).to_owned(),
            declared: (*declared).to_owned(),
            nullable: *nulls == Nulls::Some,
        })
        .collect();
    answer.columns(&described)?;
    for (at, column) in columns.iter().enumerate() {
        let kind = Type::parse(&column.declared);
        let name = kind.as_ref().map_or_else(|| column.declared.clone(), Type::to_string);
        let number = kind.map_or(0, |kind| Shape { kind, nullable: false }.number());
        answer.row(&[
            Value::Int(0),
            Value::Int(at as i64 + 1),
            Value::Text(column.name.clone()),
            Value::Int(i64::from(column.nullable)),
            Value::Int(i64::from(number)),
            Value::Text(name),
        ])?;
    }
    answer.done(columns.len() as u64)
}
