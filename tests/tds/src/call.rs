//! The procedures of the server that run statements.

use std::io;

use engine_standin::{ServerError, Value};

use crate::answer::{Answer, Rest};
use crate::declaration::bind;
use crate::errors;
use crate::prepared::Statement;
use crate::rpc::{Argument, Call};
use crate::serve::Client;
use crate::token::{Done, number};
use crate::types::{Shape, Type};
use crate::values::write_value;
use crate::writer::Put;

/// Says that a returned value is that of a parameter.
const OF_PARAMETER: u8 = 0x01;

/// Serves one call.
pub(crate) fn serve(client: &mut Client<'_>, call: &Call, rest: Rest) -> io::Result<()> {
    let served = match call.procedure.as_str() {
        "sp_executesql" => execute_sql(client, &call.arguments, rest),
        "sp_prepare" => prepare(client, &call.arguments, rest),
        "sp_execute" => execute(client, &call.arguments, rest),
        "sp_prepexec" => prepare_and_execute(client, &call.arguments, rest),
        "sp_unprepare" => unprepare(client, &call.arguments, rest),
        "sp_describe_first_result_set" => crate::describe::serve(client, &call.arguments, rest),
        name if name.is_empty() || name.starts_with("sp_cursor") => Err(errors::not_served("cursors of the server")),
        name => {
            let names: Vec<String> = call.arguments.iter().map(|argument| argument.name.clone()).collect();
            let sql = format!("exec {name} {}", names.join(", "));
            bind(&sql, "", &call.arguments)
                .map(|parameters| client.run(sql.trim_end(), &parameters, &[], Done::Within, rest))
        }
    };
    match served {
        Ok(result) => result,
        Err(error) => client.fail(&error, rest),
    }
}

/// The text of an argument. That of no value is empty, as a declaration may be null.
pub(crate) fn text<'a>(arguments: &'a [Argument], at: usize, call: &str, name: &str) -> Result<&'a str, ServerError> {
    match arguments.get(at).map(|argument| &argument.value) {
        Some(Value::Text(text)) => Ok(text),
        Some(Value::Null) => Ok(""),
        _ => Err(errors::procedure_expects(call, name)),
    }
}

fn handle(arguments: &[Argument], call: &str) -> Result<i64, ServerError> {
    match arguments.first().map(|argument| &argument.value) {
        Some(Value::Int(handle)) => Ok(*handle),
        _ => Err(errors::procedure_expects(call, "@handle")),
    }
}

fn from(arguments: &[Argument], at: usize) -> &[Argument] {
    arguments.get(at..).unwrap_or_default()
}

fn execute_sql(client: &mut Client<'_>, arguments: &[Argument], rest: Rest) -> Result<io::Result<()>, ServerError> {
    let sql = text(arguments, 0, "sp_executesql", "@statement")?;
    let declaration = if arguments.len() > 1 { text(arguments, 1, "sp_executesql", "@params")? } else { "" };
    let parameters = bind(sql, declaration, from(arguments, 2))?;
    Ok(client.run(sql, &parameters, &[], Done::Within, rest))
}

fn prepare(client: &mut Client<'_>, arguments: &[Argument], rest: Rest) -> Result<io::Result<()>, ServerError> {
    let returned = keep(client, arguments, "sp_prepare")?;
    let answer = Answer::new(&mut client.channel, &client.shared.settings, Done::Within, "");
    Ok(answer.finish(Ok(engine_standin::Outcome::Complete), &returned, rest))
}

/// Keeps the statement of a call, and returns its handle as a token.
fn keep(client: &mut Client<'_>, arguments: &[Argument], call: &str) -> Result<Vec<u8>, ServerError> {
    let declaration = text(arguments, 1, call, "@params")?.to_owned();
    let sql = text(arguments, 2, call, "@stmt")?.to_owned();
    let kept = client.prepared.keep(Statement { sql, declaration });
    let name = arguments.first().map_or("", |argument| &argument.name);
    Ok(returned(name, kept))
}

fn execute(client: &mut Client<'_>, arguments: &[Argument], rest: Rest) -> Result<io::Result<()>, ServerError> {
    let handle = handle(arguments, "sp_execute")?;
    let statement = client.prepared.get(handle).ok_or_else(|| errors::no_prepared_statement(handle))?;
    let parameters = bind(&statement.sql, &statement.declaration, from(arguments, 1))?;
    Ok(client.run(&statement.sql, &parameters, &[], Done::Within, rest))
}

fn prepare_and_execute(
    client: &mut Client<'_>,
    arguments: &[Argument],
    rest: Rest,
) -> Result<io::Result<()>, ServerError> {
    let returned = keep(client, arguments, "sp_prepexec")?;
    let sql = text(arguments, 2, "sp_prepexec", "@stmt")?;
    let parameters = bind(sql, text(arguments, 1, "sp_prepexec", "@params")?, from(arguments, 3))?;
    Ok(client.run(sql, &parameters, &returned, Done::Within, rest))
}

fn unprepare(client: &mut Client<'_>, arguments: &[Argument], rest: Rest) -> Result<io::Result<()>, ServerError> {
    let handle = handle(arguments, "sp_unprepare")?;
    client.prepared.drop(handle).ok_or_else(|| errors::no_prepared_statement(handle))?;
    let answer = Answer::new(&mut client.channel, &client.shared.settings, Done::Within, "");
    Ok(answer.finish(Ok(engine_standin::Outcome::Complete), &[], rest))
}

/// The value of an output parameter of type `int`, as a token.
fn returned(name: &str, value: i64) -> Vec<u8> {
    let shape = Shape { kind: Type::Int, nullable: true };
    let mut token = vec![number::RETURN_VALUE];
    token.put_u16(0);
    token.put_short_text(name);
    token.put_u8(OF_PARAMETER);
    token.put_u32(0);
    token.put_u16(0);
    shape.write(&mut token);
    // A handle counts from 1, so it fits.
    let written = write_value(&mut token, &shape, &Value::Int(value));
    debug_assert!(written.is_ok(), "{written:?}");
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_value_has_the_bytes_of_the_specification() {
        assert_eq!(returned("@h", 3), [0xac, 0, 0, 2, b'@', 0, b'h', 0, 1, 0, 0, 0, 0, 0, 0, 0x26, 4, 4, 3, 0, 0, 0]);
    }
}
