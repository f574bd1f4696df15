//! Rows on their way to a client. What a column has in common with the row before is not sent again.

use crate::answer::Answer;
use crate::broken::Broken;
use crate::cursor::{Cursor, Next, Out};
use crate::encode::{self, Cell};
use crate::lob::Lobs;
use crate::message::{self, Failure};
use crate::put::Put;
use crate::rowid;
use crate::types::Kind;

const ROW: u8 = 7;
/// Says which columns of the next row are sent.
const SENT: u8 = 21;
/// Says that a long value is null.
const IS_NULL: i64 = -1;
/// What a column of a long type returns where it is null.
const NULL_FETCHED: u64 = 1_405;

/// Why no more rows were sent.
pub enum Stop {
    /// There are as many as the client wants.
    Enough,
    /// There are no more.
    End,
    /// This happened.
    Failed(Failure),
    /// The session was ended by another.
    Killed,
}

/// Sends up to so many rows. `begun` is called when the first of them is on its way.
pub fn send(
    answer: &mut Answer<'_>,
    cursor: &mut Cursor,
    lobs: &mut Lobs,
    wanted: u32,
    mut begun: impl FnMut(&mut Answer<'_>) -> Result<(), Broken>,
) -> Result<Stop, Broken> {
    message::put_rows(&mut answer.out, wanted);
    let mut some_left_out = false;
    for count in 0..wanted {
        let Some(stream) = &mut cursor.stream else { return Ok(Stop::End) };
        let row = match stream.next(answer.wire())? {
            Next::Row(row) => row,
            Next::End => return Ok(Stop::End),
            Next::Failed(failure) => return Ok(Stop::Failed(failure)),
            Next::Killed => return Ok(Stop::Killed),
        };
        let mut cells = Vec::with_capacity(cursor.columns.len());
        for (column, value) in
            cursor.columns.iter().zip(row.iter().chain(std::iter::repeat(&engine_standin::Value::Null)))
        {
            match encode::cell(&column.of, value) {
                Ok(cell) => cells.push(cell),
                Err(misfit) => {
                    let text = format!("internal error code, arguments: [no {:?}], [{}]", column.of.kind, misfit.value);
                    return Ok(Stop::Failed(Failure::new(600, &text)));
                }
            }
        }
        let same: Vec<bool> = cursor
            .columns
            .iter()
            .zip(&cells)
            .enumerate()
            .map(|(index, (column, cell))| may_be_left_out(column) && cursor.last.get(index) == Some(cell))
            .collect();
        some_left_out |= same.contains(&true);
        // Once a row has said what it leaves out, every row of the answer says so: clients keep the last word.
        if some_left_out {
            put_sent(&mut answer.out, &same);
        }
        answer.out.u8(ROW);
        for ((column, cell), same) in cursor.columns.iter().zip(&cells).zip(&same) {
            if !same && !column.is_always_null() {
                put_cell(&mut answer.out, column, cell, lobs);
            }
        }
        cursor.last = cells;
        cursor.fetched += 1;
        answer.spill()?;
        if count == 0 {
            begun(answer)?;
        }
    }
    Ok(Stop::Enough)
}

fn may_be_left_out(column: &Out) -> bool {
    !column.of.kind.is_lob() && !matches!(column.kind(), Kind::Long | Kind::LongRaw) && !column.is_always_null()
}

fn put_sent(out: &mut Vec<u8>, same: &[bool]) {
    out.u8(SENT);
    out.number(same.iter().filter(|same| !**same).count() as u64);
    for eight in same.chunks(8) {
        let bits = eight.iter().enumerate().filter(|(_, same)| !**same).map(|(bit, _)| 1 << bit).sum();
        out.u8(bits);
    }
}

fn put_cell(out: &mut Vec<u8>, column: &Out, cell: &Cell, lobs: &mut Lobs) {
    let is_long = matches!(column.kind(), Kind::Long | Kind::LongRaw);
    match cell {
        // A locator and a short value are absent in the same way: a zero.
        Cell::Null => out.u8(0),
        Cell::Rowid(text) => {
            if rowid::put(out, text).is_none() {
                out.u8(0);
            }
        }
        Cell::Bytes(bytes) if column.kind().is_lob() => lobs.put(out, column.of.kind, column.of.charset, bytes),
        Cell::Bytes(bytes) => out.bytes(bytes),
    }
    if is_long {
        let is_null = *cell == Cell::Null;
        out.signed(if is_null { IS_NULL } else { 0 });
        out.number(if is_null { NULL_FETCHED } else { 0 });
    }
}
