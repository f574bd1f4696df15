//! A value with its length in front, or with the mark of null.

use engine_standin::Value;

use super::content::content;
use super::{Unfit, variant};
use crate::types::{Length, Shape, Type};
use crate::writer::Put;

/// Bytes of a piece of a long value.
const PIECE_BYTES: usize = 8000;
/// Marks of null.
const NULL_SHORT: u8 = 0;
const NULL_LONG: u16 = 0xffff;
const NULL_PIECES: u64 = u64::MAX;
/// The pointer and the time before an old long value. The real server's mean something only to it.
const TEXT_POINTER: [u8; 16] = *b"dummy textptr\0\0\0";
const TEXT_TIME: [u8; 8] = *b"dummyTS\0";

/// Where the length of a value stands, and how long that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// There is none: all values have so many bytes.
    Fixed(u8),
    /// One byte.
    Short,
    /// Two bytes.
    Long,
    /// The value comes in pieces (PLP).
    Pieces,
    /// A pointer stands before the value (`text`, `ntext`, `image`).
    Pointer,
    /// Four bytes, and the type stands before the value.
    Variant,
}

pub(super) fn frame(shape: &Shape) -> Frame {
    if let Some(bytes) = shape.fixed_bytes() {
        return Frame::Fixed(bytes);
    }
    match &shape.kind {
        Type::VarChar(Length::Max, _)
        | Type::NVarChar(Length::Max, _)
        | Type::VarBinary(Length::Max)
        | Type::Xml
        | Type::Udt(_) => Frame::Pieces,
        Type::Char(..)
        | Type::NChar(..)
        | Type::VarChar(..)
        | Type::NVarChar(..)
        | Type::Binary(_)
        | Type::VarBinary(_)
        | Type::RowVersion => Frame::Long,
        Type::Text(_) | Type::NText(_) | Type::Image => Frame::Pointer,
        Type::Variant => Frame::Variant,
        _ => Frame::Short,
    }
}

/// Appends a value in the form of its type.
pub(crate) fn write_value(out: &mut Vec<u8>, shape: &Shape, value: &Value) -> Result<(), Unfit> {
    let frame = frame(shape);
    if *value == Value::Null {
        match frame {
            Frame::Fixed(0) => {}
            Frame::Fixed(_) => {
                return Err(Unfit { value: "null".to_owned(), kind: format!("{} not null", shape.kind) });
            }
            Frame::Short | Frame::Pointer => out.put_u8(NULL_SHORT),
            Frame::Long => out.put_u16(NULL_LONG),
            Frame::Pieces => out.put_u64(NULL_PIECES),
            Frame::Variant => out.put_u32(0),
        }
        return Ok(());
    }
    if frame == Frame::Variant {
        let bytes = variant::encode(value)?;
        out.put_u32(bytes.len() as u32);
        out.put_bytes(&bytes);
        return Ok(());
    }
    let bytes = content(&shape.kind, value)?;
    match frame {
        Frame::Fixed(_) | Frame::Variant => {}
        Frame::Short => out.put_u8(bytes.len() as u8),
        Frame::Long => out.put_u16(bytes.len() as u16),
        Frame::Pointer => {
            out.put_u8(TEXT_POINTER.len() as u8);
            out.put_bytes(&TEXT_POINTER);
            out.put_bytes(&TEXT_TIME);
            out.put_u32(bytes.len() as u32);
        }
        Frame::Pieces => {
            out.put_u64(bytes.len() as u64);
            for piece in bytes.chunks(PIECE_BYTES) {
                out.put_u32(piece.len() as u32);
                out.put_bytes(piece);
            }
            out.put_u32(0);
            return Ok(());
        }
    }
    out.put_bytes(&bytes);
    Ok(())
}
