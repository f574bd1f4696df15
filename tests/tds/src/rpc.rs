//! Calls of procedures, as they come in a message.

use engine_standin::Value;

use crate::reader::{Malformed, Reader};
use crate::types::{Shape, read_info};
use crate::values::read_value;

/// Parameters of a call. SQL Server has this limit.
const PARAMETERS_MAX: usize = 2100 + 4;
/// Calls in one message.
const CALLS_MAX: usize = 1000;
/// Says that a number follows in place of a name.
const BY_NUMBER: u16 = 0xffff;
/// What stands between two calls of a message.
const SEPARATORS: [u8; 3] = [0x80, 0xfe, 0xff];
/// The value comes back.
const STATUS_OUTPUT: u8 = 0x01;

/// A parameter of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    /// With its `@`; may be empty.
    pub(crate) name: String,
    pub(crate) is_output: bool,
    pub(crate) shape: Shape,
    pub(crate) value: Value,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// In lower case, without its schema.
    pub(crate) procedure: String,
    pub(crate) arguments: Vec<Argument>,
}

/// The procedures that have a number.
fn numbered(number: u16) -> &'static str {
    const NAMES: [&str; 16] = [
        "",
        "sp_cursor",
        "sp_cursoropen",
        "sp_cursorprepare",
        "sp_cursorexecute",
        "sp_cursorprepexec",
        "sp_cursorunprepare",
        "sp_cursorfetch",
        "sp_cursoroption",
        "sp_cursorclose",
        "sp_executesql",
        "sp_prepare",
        "sp_execute",
        "sp_prepexec",
        "sp_prepexecrpc",
        "sp_unprepare",
    ];
    NAMES.get(usize::from(number)).copied().unwrap_or_default()
}

/// A name without schema and brackets.
fn bare(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// Skips the headers before a statement.
pub(crate) fn skip_headers(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    let what = "the headers";
    let total = reader.u32(what)? as usize;
    let rest = total.checked_sub(4).ok_or_else(|| Malformed::wrong("headers shorter than their own length"))?;
    reader.bytes(rest, what).map(drop)
}

/// Reads all calls of a message.
pub(crate) fn calls(message: &[u8]) -> Result<Vec<Call>, Malformed> {
    let mut reader = Reader::new(message);
    skip_headers(&mut reader)?;
    let mut calls = Vec::new();
    while !reader.is_empty() {
        if calls.len() == CALLS_MAX {
            return Err(Malformed::wrong("too many calls in a message"));
        }
        calls.push(call(&mut reader)?);
    }
    Ok(calls)
}

fn call(reader: &mut Reader<'_>) -> Result<Call, Malformed> {
    let procedure = match reader.u16("the name of a procedure")? {
        BY_NUMBER => numbered(reader.u16("the number of a procedure")?).to_owned(),
        units => bare(&reader.utf16(usize::from(units), "the name of a procedure")?),
    };
    reader.u16("the options of a call")?;
    let mut arguments = Vec::new();
    while let Some(next) = reader.peek() {
        // No name is so long, so these say that the next call begins.
        if SEPARATORS.contains(&next) {
            reader.u8("a separator")?;
            break;
        }
        if arguments.len() == PARAMETERS_MAX {
            return Err(Malformed::wrong("too many parameters"));
        }
        arguments.push(argument(reader)?);
    }
    Ok(Call { procedure, arguments })
}

fn argument(reader: &mut Reader<'_>) -> Result<Argument, Malformed> {
    let name = reader.short_text("the name of a parameter")?;
    let status = reader.u8("the status of a parameter")?;
    let shape = read_info(reader)?;
    let value = read_value(reader, &shape)?;
    Ok(Argument { name, is_output: status & STATUS_OUTPUT != 0, shape, value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::Type;

    /// Headers with the descriptor of no transaction.
    const HEADERS: [u8; 22] = [22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

    fn message(body: &[u8]) -> Vec<u8> {
        [&HEADERS[..], body].concat()
    }

    #[test]
    fn a_call_by_number_is_read() {
        let body = [0xff, 0xff, 10, 0, 0, 0, 2, b'@', 0, b'P', 0, 1, 0x26, 4, 4, 7, 0, 0, 0];
        let expected = Argument {
            name: "@P".to_owned(),
            is_output: true,
            shape: Shape { kind: Type::Int, nullable: true },
            value: Value::Int(7),
        };
        assert_eq!(
            calls(&message(&body)),
            Ok(vec![Call { procedure: "sp_executesql".to_owned(), arguments: vec![expected] }])
        );
    }

    #[test]
    fn several_calls_by_name_are_read() {
        let body = [2, 0, b'A', 0, b'b', 0, 0, 0, 0xff, 4, 0, b's', 0, b'.', 0, b'[', 0, b'c', 0, 0, 0];
        let read = calls(&message(&body)).unwrap();
        let names: Vec<&str> = read.iter().map(|call| call.procedure.as_str()).collect();
        assert_eq!(names, ["ab", "c"]);
    }

    #[test]
    fn a_call_that_breaks_off_is_refused() {
        let whole = message(&[0xff, 0xff, 10, 0, 0, 0, 0, 0, 0x26, 4, 4, 7, 0, 0, 0]);
        for length in (0..HEADERS.len()).chain([24, 26, 29, 31, 34]) {
            assert!(calls(&whole[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_call_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = calls(&body);
            let _ = calls(&message(&body));
            let _ = calls(&message(&[&[0xff, 0xff, 10, 0, 0, 0, 0, 0][..], &body].concat()));
        }
    }
}
