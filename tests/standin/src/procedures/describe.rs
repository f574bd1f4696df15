//! What a statement would return, and what its placeholders should be declared as, without running it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use sqlparser::ast::Statement;

use crate::batch::{self, Node};
use crate::compile::{Compiler, Output, Suggestion};
use crate::errors::{Fallible, error};
use crate::session::{Flow, StandIn};
use crate::types::{Class, Type, UNBOUNDED};
use crate::{Column, Outcome, Sink, Value};

const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";
const RESULT_COLUMNS: [(&str, &str); 10] = [
    ("is_hidden", "bit"),
    ("column_ordinal", "int"),
    ("name", "nvarchar(128)"),
    ("is_nullable", "bit"),
    ("system_type_id", "int"),
    ("system_type_name", "nvarchar(256)"),
    ("max_length", "smallint"),
    ("precision", "tinyint"),
    ("scale", "tinyint"),
    ("collation_name", "nvarchar(128)"),
];
const PARAMETER_COLUMNS: [(&str, &str); 4] = [
    ("parameter_ordinal", "int"),
    ("name", "nvarchar(128)"),
    ("suggested_system_type_id", "int"),
    ("suggested_system_type_name", "nvarchar(256)"),
];

impl StandIn {
    /// `sp_describe_first_result_set`
    pub(super) fn describe_result(&mut self, sql: &str, declarations: &str, sink: &mut dyn Sink) -> Fallible<Flow> {
        let outer = (std::mem::take(&mut self.parameters), std::mem::replace(&mut self.text, sql.to_owned()));
        let declared = self.declarations(declarations);
        let found = declared.and_then(|declared| {
            for declaration in &declared {
                self.declare_one(declaration)?;
            }
            self.compile(|compiler| first_result(compiler, sql))
        });
        (self.parameters, self.text) = outer;
        let rows = found?.iter().enumerate().map(|(at, output)| result_row(at, output)).collect::<Vec<_>>();
        Ok(answer(&RESULT_COLUMNS, &rows, sink))
    }

    /// `sp_describe_undeclared_parameters`
    pub(super) fn describe_parameters(&mut self, sql: &str, sink: &mut dyn Sink) -> Fallible<Flow> {
        let outer = (std::mem::take(&mut self.parameters), std::mem::replace(&mut self.text, sql.to_owned()));
        let found = self.compile(|compiler| {
            compiler.suggestions = Some(RefCell::new(BTreeMap::new()));
            first_result(compiler, sql)?;
            Ok(compiler.suggestions.take().map(RefCell::into_inner).unwrap_or_default())
        });
        (self.parameters, self.text) = outer;
        let mut rows = Vec::new();
        for (at, (name, suggestion)) in in_order(found?).into_iter().enumerate() {
            if suggestion.uses > 1 {
                return Err(error(
                    11508,
                    format!("The undeclared parameter '{name}' is used more than once in the batch being analyzed."),
                ));
            }
            let Some(ty) = suggestion.ty.as_ref().map(suggested) else {
                return Err(error(
                    11501,
                    format!("The type of parameter '{name}' cannot be deduced because its context has none."),
                ));
            };
            let text = Value::Text(system_name(&ty));
            rows.push(vec![Value::Int(at as i64 + 1), Value::Text(name), Value::Int(type_number(&ty)), text]);
        }
        Ok(answer(&PARAMETER_COLUMNS, &rows, sink))
    }
}

/// `@P2` comes before `@P10`.
fn in_order(found: BTreeMap<String, Suggestion>) -> Vec<(String, Suggestion)> {
    let mut all = found.into_iter().collect::<Vec<_>>();
    all.sort_by_key(|(name, _)| (name.len(), name.clone()));
    all
}

/// The columns of the first statement that returns some.
fn first_result(compiler: &mut Compiler, sql: &str) -> Fallible<Vec<Output>> {
    let nodes = batch::split(&batch::tokens(compiler.product, sql)?)?;
    for node in &nodes {
        let Node::Plain(tokens) = node else { continue };
        if !matches!(batch::words(tokens, 1)[0].as_str(), "SELECT" | "WITH" | "INSERT" | "UPDATE" | "DELETE") {
            continue;
        }
        match batch::parse_statement(compiler.product, sql, tokens)? {
            Statement::Query(query) => return Ok(compiler.query(&query, None)?.columns),
            Statement::Insert(insert) => drop(compiler.insert(&insert)?),
            Statement::Update(update) => drop(compiler.update(&update)?),
            Statement::Delete(delete) => drop(compiler.delete(&delete)?),
            _ => {}
        }
    }
    Ok(Vec::new())
}

fn result_row(at: usize, output: &Output) -> Vec<Value> {
    let ty = if output.ty.name.is_empty() { &Type::new("int") } else { &output.ty };
    let (precision, scale) = match ty.class() {
        Class::Bit | Class::Integer | Class::Decimal => ty.digits(),
        _ => (0, if ty.is_moment() { ty.fraction_digits() as i64 } else { 0 }),
    };
    let collation = match ty.class() {
        Class::Text if ty.name != "xml" => Value::Text(ty.collation.clone().unwrap_or_else(|| COLLATION.to_owned())),
        _ => Value::Null,
    };
    vec![
        Value::Int(0),
        Value::Int(at as i64 + 1),
        if output.name.is_empty() { Value::Null } else { Value::Text(output.name.clone()) },
        Value::Int(i64::from(output.nullable)),
        Value::Int(type_number(ty)),
        Value::Text(system_name(ty)),
        Value::Int(bytes_of(ty)),
        Value::Int(precision),
        Value::Int(scale),
        collation,
    ]
}

/// A type as the system's tables name it: without a collation, and `timestamp` for a `rowversion`.
fn system_name(ty: &Type) -> String {
    let plain = Type { collation: None, ..ty.clone() };
    if plain.name == "rowversion" { "timestamp".to_owned() } else { plain.to_string() }
}

/// What the server would declare a placeholder as: text in the greatest length that is not `max`.
fn suggested(ty: &Type) -> Type {
    let length = match (ty.name.as_str(), ty.length) {
        ("varchar" | "varbinary", Some(length)) if length != UNBOUNDED => 8000,
        ("nvarchar", Some(length)) if length != UNBOUNDED => 4000,
        _ => return Type { collation: None, ..ty.clone() },
    };
    Type::sized(&ty.name, length)
}

/// The number of a type in `sys.types`.
fn type_number(ty: &Type) -> i64 {
    match ty.name.as_str() {
        "image" => 34,
        "text" => 35,
        "uniqueidentifier" => 36,
        "date" => 40,
        "time" => 41,
        "datetime2" => 42,
        "datetimeoffset" => 43,
        "tinyint" => 48,
        "smallint" => 52,
        "int" => 56,
        "smalldatetime" => 58,
        "real" => 59,
        "money" => 60,
        "datetime" => 61,
        "float" => 62,
        "sql_variant" => 98,
        "ntext" => 99,
        "bit" => 104,
        "decimal" => 106,
        "numeric" => 108,
        "smallmoney" => 122,
        "bigint" => 127,
        "varbinary" => 165,
        "varchar" => 167,
        "binary" => 173,
        "char" => 175,
        "rowversion" => 189,
        "nvarchar" => 231,
        "nchar" => 239,
        _ => 241,
    }
}

/// `max_length`
fn bytes_of(ty: &Type) -> i64 {
    match (ty.name.as_str(), ty.length) {
        ("xml", _) | (_, Some(UNBOUNDED)) => -1,
        ("text" | "ntext" | "image", _) => 16,
        ("nchar" | "nvarchar", Some(length)) => length * 2,
        ("char" | "varchar" | "binary" | "varbinary", Some(length)) => length,
        ("bit" | "tinyint", _) => 1,
        ("smallint", _) => 2,
        ("int" | "real" | "smallmoney" | "smalldatetime", _) => 4,
        ("date", _) => 3,
        ("time", _) => 5,
        ("datetimeoffset", _) => 10,
        ("uniqueidentifier", _) => 16,
        ("decimal" | "numeric", Some(precision)) => [5, 9, 13, 17][((precision - 1) / 9).clamp(0, 3) as usize],
        ("sql_variant", _) => 8016,
        _ => 8,
    }
}

fn answer(columns: &[(&str, &str)], rows: &[Vec<Value>], sink: &mut dyn Sink) -> Flow {
    let column = |(name, declared): &(&str, &str)| Column {
        name: (*name).to_owned(),
        declared: (*declared).to_owned(),
        nullable: true,
    };
    let columns = columns.iter().map(column).collect::<Vec<_>>();
    let went = sink.columns(&columns).is_continue()
        && rows.iter().all(|row| sink.row(row).is_continue())
        && sink.done(rows.len() as u64).is_continue();
    if went { Flow::Next } else { Flow::Ended(Outcome::Cancelled) }
}
