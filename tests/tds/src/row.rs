//! The tokens of columns and rows.

use engine_standin::{Column, Value};

use crate::settings::NullRows;
use crate::token::number;
use crate::types::{Shape, Type};
use crate::values::write_value;
use crate::writer::Put;

/// Bits of a column.
mod flag {
    pub(super) const NULLABLE: u16 = 0x01;
    pub(super) const MAYBE_UPDATABLE: u16 = 0x08;
}
/// What of its own a row version says it is.
const USER_TYPE_ROW_VERSION: u32 = 80;

/// The token of the columns, and their types; an error in words where a type is unknown.
pub(crate) fn column_tokens(columns: &[Column]) -> Result<(Vec<u8>, Vec<Shape>), String> {
    let mut token = vec![number::COLUMNS];
    token.put_u16(columns.len() as u16);
    let mut shapes = Vec::with_capacity(columns.len());
    for column in columns {
        let kind = Type::parse(&column.declared).ok_or_else(|| format!("no type is called `{}`", column.declared))?;
        let shape = Shape { kind, nullable: column.nullable };
        let is_version = shape.kind == Type::RowVersion;
        token.put_u32(if is_version { USER_TYPE_ROW_VERSION } else { 0 });
        let nullable = if column.nullable { flag::NULLABLE } else { 0 };
        token.put_u16(nullable | if is_version { 0 } else { flag::MAYBE_UPDATABLE });
        shape.write(&mut token);
        if matches!(shape.kind, Type::Text(_) | Type::NText(_) | Type::Image) {
            // The table of an old long value is named, in one part.
            token.put_u8(1);
            token.put_long_text("");
        }
        token.put_short_text(&column.name);
        shapes.push(shape);
    }
    Ok((token, shapes))
}

/// The token of a row; an error in words where a value does not fit.
pub(crate) fn row_token(out: &mut Vec<u8>, shapes: &[Shape], row: &[Value], nulls: NullRows) -> Result<(), String> {
    if row.len() != shapes.len() {
        return Err(format!("a row has {} values for {} columns", row.len(), shapes.len()));
    }
    let with_bitmap = nulls == NullRows::Bitmap && row.contains(&Value::Null);
    if with_bitmap {
        out.put_u8(number::NULL_BITMAP_ROW);
        for eight in row.chunks(8) {
            let bits = eight.iter().enumerate().filter(|(_, value)| **value == Value::Null);
            out.put_u8(bits.fold(0, |byte, (at, _)| byte | 1 << at));
        }
    } else {
        out.put_u8(number::ROW);
    }
    for (shape, value) in shapes.iter().zip(row) {
        if !(with_bitmap && *value == Value::Null) {
            write_value(out, shape, value).map_err(|unfit| unfit.to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [Column; 3] {
        ["int", "nvarchar(2)", "rowversion"].map(|declared| Column {
            name: "c".to_owned(),
            declared: declared.to_owned(),
            nullable: declared != "rowversion",
        })
    }

    #[test]
    fn columns_and_rows_have_the_bytes_of_the_specification() {
        let (token, shapes) = column_tokens(&columns()).unwrap();
        assert_eq!(
            token,
            [
                0x81, 3, 0, 0, 0, 0, 0, 9, 0, 0x26, 4, 1, b'c', 0, 0, 0, 0, 0, 9, 0, 0xe7, 4, 0, 9, 4, 0xd0, 0, 0x34,
                1, b'c', 0, 80, 0, 0, 0, 0, 0, 0xad, 8, 0, 1, b'c', 0
            ]
        );
        let row = [Value::Int(1), Value::Null, Value::Int(2)];
        let mut plain = Vec::new();
        row_token(&mut plain, &shapes, &row, NullRows::Plain).unwrap();
        assert_eq!(plain, [0xd1, 4, 1, 0, 0, 0, 255, 255, 8, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        let mut bitmap = Vec::new();
        row_token(&mut bitmap, &shapes, &row, NullRows::Bitmap).unwrap();
        assert_eq!(bitmap, [0xd2, 0b010, 4, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_row_without_nulls_needs_no_bitmap() {
        let mut out = Vec::new();
        let shapes = [Shape { kind: Type::Bit, nullable: true }];
        row_token(&mut out, &shapes, &[Value::Int(1)], NullRows::Bitmap).unwrap();
        assert_eq!(out, [0xd1, 1, 1]);
    }

    #[test]
    fn mistakes_are_said_in_words() {
        let (_, shapes) = column_tokens(&columns()).unwrap();
        assert!(row_token(&mut Vec::new(), &shapes, &[Value::Null], NullRows::Plain).is_err());
        let unknown = [Column { name: String::new(), declared: "blob".to_owned(), nullable: true }];
        assert_eq!(column_tokens(&unknown), Err("no type is called `blob`".to_owned()));
    }
}
