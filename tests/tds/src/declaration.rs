//! The declaration of parameters: `@P1 int, @P2 nvarchar(20)`.

use engine_standin::{Parameter, ServerError};

use crate::errors;
use crate::rpc::Argument;

/// Names without `@`, and types as they are written, in lower case.
pub(crate) fn declared(text: &str) -> Vec<(String, String)> {
    let mut depth = 0;
    let parts = text.split(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    parts.filter_map(one).collect()
}

fn one(part: &str) -> Option<(String, String)> {
    let (name, kind) = part.trim().strip_prefix('@')?.split_once(char::is_whitespace)?;
    let kind = kind.split_once('=').map_or(kind, |(kind, _)| kind).trim().to_ascii_lowercase();
    let kind = kind.strip_prefix("as ").unwrap_or(&kind);
    let kind = ["output", "out", "readonly"]
        .into_iter()
        .find_map(|word| kind.strip_suffix(word).filter(|kind| kind.ends_with([' ', ')'])))
        .unwrap_or(kind);
    Some((name.to_owned(), kind.trim().to_owned()))
}

fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

/// Brings the values of a call together with their declaration. Fails where a declared one has no value.
pub(crate) fn bind(statement: &str, declaration: &str, arguments: &[Argument]) -> Result<Vec<Parameter>, ServerError> {
    let declared = declared(declaration);
    let mut bound = Vec::with_capacity(arguments.len());
    for (at, argument) in arguments.iter().enumerate() {
        let named = argument.name.trim_start_matches('@');
        let declaration =
            if named.is_empty() { declared.get(at) } else { declared.iter().find(|(name, _)| same(name, named)) };
        let (name, kind) = match declaration {
            Some((name, kind)) => (name.clone(), kind.clone()),
            None => (named.to_owned(), argument.shape.kind.to_string()),
        };
        bound.push(Parameter { name, declared: kind, value: argument.value.clone() });
    }
    match declared.iter().find(|(name, _)| !bound.iter().any(|parameter| same(&parameter.name, name))) {
        Some((name, _)) => Err(errors::parameter_missing(statement, declaration, name)),
        None => Ok(bound),
    }
}

#[cfg(test)]
mod tests {
    use engine_standin::Value;

    use super::*;
    use crate::types::{Shape, Type};

    fn argument(name: &str) -> Argument {
        let shape = Shape { kind: Type::Int, nullable: true };
        Argument { name: name.to_owned(), is_output: false, shape, value: Value::Int(1) }
    }

    #[test]
    fn declarations_are_read() {
        for (text, expected) in [
            ("@P1 nvarchar(4000),@P2 decimal(10, 2)", vec![("P1", "nvarchar(4000)"), ("P2", "decimal(10, 2)")]),
            ("@a AS INT OUTPUT, @b varchar(max)out", vec![("a", "int"), ("b", "varchar(max)")]),
            ("@a datetime2 = null", vec![("a", "datetime2")]),
            ("", vec![]),
            ("nonsense", vec![]),
        ] {
            let read = declared(text);
            let read: Vec<(&str, &str)> = read.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn values_find_their_declaration_by_name_or_by_place() {
        let bound = bind("", "@a bigint, @b date", &[argument("@B"), argument("@a")]).unwrap();
        assert_eq!(bound[0].declared, "date");
        assert_eq!(bound[1].declared, "bigint");
        let bound = bind("", "@a bigint, @b date", &[argument(""), argument("")]).unwrap();
        assert_eq!((bound[1].name.as_str(), bound[1].declared.as_str()), ("b", "date"));
        assert_eq!(bind("", "", &[argument("@x")]).unwrap()[0].declared, "int");
    }

    #[test]
    fn a_value_that_is_missing_is_said_as_the_server_says_it() {
        let error = bind("select @b", "@a int,@b int", &[argument("@a")]).unwrap_err();
        assert_eq!(
            (error.number, error.message.as_str()),
            (
                8178,
                "The parameterized query '(@a int,@b int)select @b' expects the parameter '@b', which was not supplied."
            )
        );
    }
}
