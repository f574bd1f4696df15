//! From a parsed statement of a product to SQLite's SQL and the declared types of its result.
//!
//! Every expression becomes text in SQLite's dialect together with its type. Where types meet, in a comparison, a sum
//! or a column, a call of one of our own functions (`functions.rs`) stands between them.

mod aggregates;
mod arithmetic;
mod calls;
mod calls_oracle;
mod calls_sql_server;
mod compare;
mod expression;
mod from;
mod literals;
mod query;
mod scope;
mod select;
mod write;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::tokenizer::Location;

pub(crate) use scope::{Output, Scope};

use crate::catalogue::{Catalogue, Table, View, key, text_literal};
use crate::convert::{Purpose, Settings};
use crate::errors::{Fallible, error};
use crate::session::Facts;
use crate::types::Type;
use crate::{Parameter, Product, ServerError, Value};

/// An expression in SQLite's SQL.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub sql: String,
    pub ty: Type,
    pub nullable: bool,
}

impl Typed {
    pub(crate) fn new(sql: impl Into<String>, ty: Type) -> Typed {
        Typed { sql: sql.into(), ty, nullable: true }
    }

    pub(crate) fn certain(sql: impl Into<String>, ty: Type) -> Typed {
        Typed { sql: sql.into(), ty, nullable: false }
    }
}

/// A query in SQLite's SQL.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub sql: String,
    pub columns: Vec<Output>,
}

/// What a statement is compiled with.
pub(crate) struct Compiler<'a> {
    pub product: Product,
    pub catalogue: &'a Catalogue,
    pub facts: &'a Facts,
    pub settings: &'a Settings,
    /// Bound values and variables; `?1` is the first.
    pub parameters: &'a [Parameter],
    /// The statement, for the places of errors.
    pub text: &'a str,
    /// Views of the server that must be filled before the statement runs.
    pub views: BTreeSet<&'static str>,
    ctes: Vec<(String, Vec<Output>)>,
    placeholders: Vec<String>,
    /// Where placeholders need no declaration: what each is compared with.
    pub suggestions: Option<RefCell<BTreeMap<String, Suggestion>>>,
    /// Columns met outside of aggregates, as SQLite names them, and how many aggregates were met.
    bare: Vec<(String, String)>,
    aggregates: usize,
    fresh: usize,
    depth: usize,
}

/// What is known of a placeholder that nobody declared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suggestion {
    pub ty: Option<Type>,
    pub uses: usize,
}

/// Views within views, queries within queries.
const DEPTH_MAX: usize = 60;

/// A relation as the catalogue knows it.
pub(crate) enum Relation {
    Table(Table),
    View(View),
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        catalogue: &'a Catalogue,
        facts: &'a Facts,
        settings: &'a Settings,
        parameters: &'a [Parameter],
        text: &'a str,
    ) -> Compiler<'a> {
        Compiler {
            product: settings.product,
            catalogue,
            facts,
            settings,
            parameters,
            text,
            views: BTreeSet::new(),
            ctes: Vec::new(),
            placeholders: Vec::new(),
            suggestions: None,
            bare: Vec::new(),
            aggregates: 0,
            fresh: 0,
            depth: 0,
        }
    }

    pub(crate) fn is_oracle(&self) -> bool {
        self.product == Product::Oracle
    }

    /// A name that nothing else has.
    fn fresh(&mut self) -> String {
        self.fresh += 1;
        format!("~{}", self.fresh)
    }

    fn deeper(&mut self) -> Fallible<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(191, "Some part of your SQL statement is nested too deeply."));
        }
        Ok(())
    }

    /// The place of an error: a line in SQL Server, an offset in Oracle.
    pub(crate) fn at(&self, mut raised: ServerError, location: Location) -> ServerError {
        raised.place = place(self.product, self.text, location);
        raised
    }

    /// A name as the product reads it.
    pub(crate) fn name(&self, ident: &Ident) -> String {
        match (self.product, ident.quote_style) {
            (Product::Oracle, None) => ident.value.to_uppercase(),
            (Product::SqlServer, Some('[')) => ident.value.replace("]]", "]"),
            _ => ident.value.clone(),
        }
    }

    /// The parts of a dotted name, the last of them first.
    pub(crate) fn parts(&self, name: &ObjectName) -> Vec<String> {
        let mut parts =
            name.0.iter().filter_map(|part| part.as_ident()).map(|ident| self.name(ident)).collect::<Vec<_>>();
        parts.reverse();
        parts
    }

    /// Finds a table or view and whether the session may do `right` with it.
    pub(crate) fn relation(&self, name: &ObjectName, right: &str) -> Fallible<Relation> {
        let location =
            name.0.first().and_then(|part| part.as_ident()).map_or(Location::empty(), |ident| ident.span.start);
        let parts = self.parts(name);
        self.find(&parts, right).map_err(|raised| self.at(raised, location))
    }

    fn find(&self, parts: &[String], right: &str) -> Fallible<Relation> {
        let written = parts.iter().rev().cloned().collect::<Vec<_>>().join(".");
        let unknown = || match self.product {
            Product::SqlServer => error(208, format!("Invalid object name '{written}'.")),
            Product::Oracle => error(942, "table or view does not exist"),
        };
        let table = parts.first().ok_or_else(unknown)?;
        if let Some(database) = parts.get(2)
            && !database.eq_ignore_ascii_case(&self.facts.database)
        {
            return Err(unknown());
        }
        let schema = parts.get(1).filter(|schema| !schema.is_empty()).unwrap_or(&self.facts.schema);
        let key = key(schema, table);
        let temporary = self.facts.temporary.get(&table.to_uppercase());
        let found = match (temporary, self.catalogue.tables.get(&key), self.catalogue.views.get(&key)) {
            (Some(own), ..) => return Ok(Relation::Table(own.clone())),
            (_, Some(table), _) => Relation::Table(table.clone()),
            (_, _, Some(view)) => Relation::View(view.clone()),
            _ => return Err(unknown()),
        };
        if self.facts.may(right, &key) {
            return Ok(found);
        }
        Err(match self.product {
            Product::SqlServer => error(
                229,
                format!(
                    "The {right} permission was denied on the object '{table}', database '{}', schema '{schema}'.",
                    self.facts.database
                ),
            ),
            Product::Oracle if self.facts.may("SELECT", &key) => error(1031, "insufficient privileges"),
            Product::Oracle => error(942, "table or view does not exist"),
        })
    }

    /// A value in the form of another type.
    pub(crate) fn convert(&self, value: &Typed, to: &Type, purpose: Purpose) -> String {
        self.convert_styled(value, to, None, purpose)
    }

    fn convert_styled(&self, value: &Typed, to: &Type, style: Option<&str>, purpose: Purpose) -> String {
        let style = style.unwrap_or("NULL");
        let purpose = match purpose {
            Purpose::Cast => "cast",
            Purpose::Assign => "assign",
        };
        format!(
            "x_convert({}, {}, {}, {style}, '{purpose}')",
            value.sql,
            text_literal(&value.ty.to_string()),
            text_literal(&to.to_string())
        )
    }

    /// A value that is known before the statement runs.
    pub(crate) fn constant(&self, value: &Value, ty: Type) -> Typed {
        let sql = match value {
            Value::Null => return Typed::new("NULL", ty),
            Value::Int(whole) => whole.to_string(),
            Value::Float(float) => format!("{float:?}"),
            Value::Text(text) => text_literal(text),
            Value::Bytes(bytes) => format!("x'{}'", crate::convert::hex(bytes)),
        };
        Typed::certain(sql, ty)
    }

    /// Text that is known before the statement runs.
    pub(crate) fn constant_text(&self, text: &str) -> Typed {
        let length = text.chars().count().max(1) as i64;
        let ty = match self.product {
            Product::SqlServer => Type::sized("nvarchar", length.max(128)),
            Product::Oracle => Type::sized("VARCHAR2", length.max(30)),
        };
        self.constant(&Value::Text(text.to_owned()), ty)
    }
}

/// Line from 1 for SQL Server, offset in bytes from 0 for Oracle.
pub(crate) fn place(product: Product, text: &str, location: Location) -> u32 {
    if product == Product::SqlServer {
        return location.line.max(1) as u32;
    }
    let before = text.split_inclusive('\n').take((location.line.max(1) - 1) as usize).map(str::len).sum::<usize>();
    let line = &text[before.min(text.len())..];
    let within = line.chars().take((location.column.max(1) - 1) as usize).map(char::len_utf8).sum::<usize>();
    (before + within) as u32
}
