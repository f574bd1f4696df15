//! The names that a place in a statement sees.

use crate::catalogue::{quoted, same_name};
use crate::compile::Typed;
use crate::types::Type;
use crate::{Column, Product};

/// A column of a result or of a relation.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// As the client sees it; empty where it has none.
    pub name: String,
    /// As SQLite sees it.
    pub inner: String,
    pub ty: Type,
    pub nullable: bool,
}

impl Output {
    pub(crate) fn to_column(&self, product: Product) -> Column {
        let mut ty = self.ty.clone();
        if ty.name.is_empty() {
            ty = match product {
                Product::SqlServer => Type::new("int"),
                Product::Oracle => Type::sized("VARCHAR2", 1),
            };
        }
        Column { name: self.name.clone(), declared: ty.to_string(), nullable: self.nullable }
    }
}

/// A relation in `FROM`.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The alias, or the table's own name.
    pub name: String,
    /// The schema, where the relation may be named with it.
    pub schema: Option<String>,
    /// Its alias in SQLite.
    pub inner: String,
    pub columns: Vec<Output>,
    /// Whether the other side of an outer join may be missing.
    pub optional: bool,
    /// Whether it is a table whose rows have an address.
    pub addressed: bool,
}

/// Relations, and those of the queries around.
#[derive(Debug, Default)]
pub(crate) struct Scope<'s> {
    pub sources: Vec<Source>,
    pub outer: Option<&'s Scope<'s>>,
}

/// What came of looking for a name.
pub(crate) enum Found {
    Column(Typed),
    Ambiguous,
    Nothing,
}

impl Source {
    /// A column as an expression.
    pub(crate) fn typed(&self, column: &Output) -> Typed {
        Typed {
            sql: format!("{}.{}", quoted(&self.inner), quoted(&column.inner)),
            ty: column.ty.clone(),
            nullable: column.nullable || self.optional,
        }
    }
}

impl Scope<'_> {
    /// Looks for `name`, `table.name` or `schema.table.name`.
    pub(crate) fn find(&self, product: Product, path: &[String]) -> Found {
        let Some((name, qualifier)) = path.split_last() else { return Found::Nothing };
        let mut hits = self
            .sources
            .iter()
            .filter(|source| is_meant(product, source, qualifier))
            .flat_map(|source| source.columns.iter().map(move |column| (source, column)))
            .filter(|(_, column)| same_name(product, &column.name, name));
        match (hits.next(), hits.next()) {
            (Some((source, column)), None) => Found::Column(source.typed(column)),
            (Some(_), Some(_)) => Found::Ambiguous,
            (None, _) => self.outer.map_or(Found::Nothing, |outer| outer.find(product, path)),
        }
    }
}

/// Whether `schema.table` means this relation.
pub(crate) fn is_meant(product: Product, source: &Source, qualifier: &[String]) -> bool {
    match qualifier {
        [] => true,
        [table] => same_name(product, &source.name, table),
        [.., schema, table] => {
            same_name(product, &source.name, table)
                && source.schema.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(schema))
        }
    }
}
