//! What the database has: tables and views, and the declared types of their columns.

use std::collections::BTreeMap;

use crate::Product;
use crate::types::Type;

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableColumn {
    pub name: String,
    pub ty: Type,
    pub nullable: bool,
    /// Expression in the product's SQL.
    pub default: Option<String>,
    pub identity: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub schema: String,
    pub name: String,
    /// Its name in SQLite.
    pub store: String,
    pub columns: Vec<TableColumn>,
}

/// A view, compiled where it is used.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub schema: String,
    pub name: String,
    pub query: String,
}

/// All of them, under `SCHEMA.NAME` in upper case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    pub tables: BTreeMap<String, Table>,
    pub views: BTreeMap<String, View>,
}

/// The name under which the catalogue keeps a table.
pub(crate) fn key(schema: &str, name: &str) -> String {
    format!("{schema}.{name}").to_uppercase()
}

impl Table {
    pub(crate) fn column(&self, product: Product, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| same_name(product, &column.name, name))
    }

    pub(crate) fn key(&self) -> String {
        key(&self.schema, &self.name)
    }
}

/// Whether two names mean the same: Oracle's were folded when they were read.
pub(crate) fn same_name(product: Product, a: &str, b: &str) -> bool {
    match product {
        Product::SqlServer => a.to_lowercase() == b.to_lowercase(),
        Product::Oracle => a == b,
    }
}

/// A name between the quotes of SQLite.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text between the quotes of SQLite.
pub(crate) fn text_literal(text: &str) -> String {
    // SQLite ends a statement at a zero byte.
    if text.contains('\0') {
        let hex = crate::convert::hex(text.as_bytes());
        return format!("CAST(x'{hex}' AS TEXT)");
    }
    format!("'{}'", text.replace('\'', "''"))
}
