//! The calls of a client.

use crate::auth::{self, AuthCall};
use crate::bind::{self, BINDS_MAX, BindType, Raw};
use crate::broken::Broken;
use crate::cursor::Cursors;
use crate::lob::{self, LobCall};
use crate::negotiate;
use crate::take::Take;

const FUNCTION: u8 = 3;
const ROW: u8 = 7;
const PIGGYBACK: u8 = 17;
const FAST_LOGIN: u8 = 34;

/// Field versions from which a field exists.
const WITH_SQL_SIGNATURE: u8 = 8;
const WITH_CHUNKS: u8 = 9;
const WITH_TOKEN: u8 = 18;
/// Clients write their first call of a login in one message as if this were agreed on.
const FAST_LOGIN_FIELDS: u8 = 13;

const FETCH: u8 = 5;
const REEXECUTE: u8 = 4;
const LOGOFF: u8 = 9;
const COMMIT: u8 = 14;
const ROLLBACK: u8 = 15;
const REEXECUTE_AND_FETCH: u8 = 78;
const EXECUTE: u8 = 94;
const LOB: u8 = 96;
const CLOSE_CURSORS: u8 = 105;
const END_TO_END: u8 = 135;
const PING: u8 = 147;
const SET_SCHEMA: u8 = 152;
const SESSION_STATE: u8 = 176;

/// Most cursors that are closed at once, and most executions of one call.
const MANY_MAX: usize = 1 << 20;

/// What an execution is to do, as bits.
pub mod option {
    /// Parse the statement.
    pub const PARSE: u32 = 0x01;
    /// Take the types that the client wants of columns.
    pub const DEFINE: u32 = 0x10;
    /// Run it.
    pub const EXECUTE: u32 = 0x20;
    /// Send the first rows.
    pub const FETCH: u32 = 0x40;
    /// Commit where it went well.
    pub const COMMIT: u32 = 0x100;
    /// Say what the columns are, and no more.
    pub const DESCRIBE: u32 = 0x2_0000;
}

/// Say how many rows each execution changed.
const ROW_COUNTS: u32 = 0x4000;

/// A statement that is to be run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Execute {
    /// Bits of `option`.
    pub options: u32,
    /// The cursor, or zero for a new one.
    pub cursor: u32,
    /// The statement, where it is to be parsed.
    pub sql: Option<String>,
    /// Types of binds, where they are sent.
    pub types: Option<Vec<BindType>>,
    /// Values, a row for each execution.
    pub rows: Vec<Vec<Raw>>,
    /// Types that the client wants of columns.
    pub defines: Option<Vec<BindType>>,
    /// Rows that it wants at once.
    pub fetch: u32,
    /// Executions that it wants, where there are no binds.
    pub times: u32,
    /// Whether it wants to know how many rows each execution changed.
    pub counts: bool,
}

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Call {
    /// To tell what it can do.
    Protocol,
    /// To tell its data types.
    Types(negotiate::Client),
    /// To log in: what it can do, its data types and who it is, in one message.
    FastLogin(negotiate::Client, AuthCall),
    /// To begin a login.
    PhaseOne(AuthCall),
    /// To end a login.
    PhaseTwo(AuthCall),
    /// To run a statement.
    Execute(Box<Execute>),
    /// Rows.
    Fetch(u32, u32),
    /// An operation on a LOB.
    Lob(LobCall),
    /// To commit.
    Commit,
    /// To roll back.
    Rollback,
    /// To know whether the server is there.
    Ping,
    /// To go.
    Logoff,
    /// Something that is not known here.
    Unknown(u8),
}

/// What a client tells on the way.
#[derive(Debug, PartialEq, Eq)]
pub enum Aside {
    /// Cursors that it does not need any more.
    Close(Vec<u32>),
    /// LOBs that it does not need any more.
    Free(LobCall),
    /// The schema that it wants to be in.
    Schema(String),
}

/// What decides how a call is read.
pub struct Reading<'a> {
    /// The field version that was agreed on.
    pub fields: u8,
    /// Most bytes of a `VARCHAR2`; longer binds of SQL come last.
    pub string_bytes_max: u32,
    /// Cursors, for the types of their binds.
    pub cursors: &'a Cursors,
}

/// Reads a call and what comes before it.
pub fn take_call(take: &mut Take<'_>, reading: &Reading<'_>) -> Result<(Vec<Aside>, Call), Broken> {
    let mut asides = Vec::new();
    loop {
        match take.u8()? {
            negotiate::PROTOCOL => {
                negotiate::take_protocol(take)?;
                return Ok((asides, Call::Protocol));
            }
            negotiate::TYPES => return Ok((asides, Call::Types(negotiate::take_types(take)?))),
            FAST_LOGIN => return Ok((asides, take_fast_login(take)?)),
            PIGGYBACK => {
                let function = take_header(take, reading.fields)?;
                if let Some(aside) = take_aside(take, function)? {
                    asides.push(aside);
                }
            }
            FUNCTION => {
                let function = take_header(take, reading.fields)?;
                return Ok((asides, take_function(take, function, reading)?));
            }
            _ => return Err(Broken::Malformed("a message that is not known")),
        }
    }
}

fn take_header(take: &mut Take<'_>, fields: u8) -> Result<u8, Broken> {
    let function = take.u8()?;
    take.u8()?;
    if fields >= WITH_TOKEN {
        take.number()?;
    }
    Ok(function)
}

fn take_fast_login(take: &mut Take<'_>) -> Result<Call, Broken> {
    take.raw(3)?;
    expect(take, negotiate::PROTOCOL)?;
    negotiate::take_protocol(take)?;
    take.raw(6)?;
    expect(take, negotiate::TYPES)?;
    let client = negotiate::take_types(take)?;
    expect(take, FUNCTION)?;
    take_header(take, FAST_LOGIN_FIELDS)?;
    Ok(Call::FastLogin(client, auth::take_call(take)?))
}

fn expect(take: &mut Take<'_>, message: u8) -> Result<(), Broken> {
    if take.u8()? == message { Ok(()) } else { Err(Broken::Malformed("a login in one message lacks a part")) }
}

fn take_aside(take: &mut Take<'_>, function: u8) -> Result<Option<Aside>, Broken> {
    match function {
        CLOSE_CURSORS => {
            take.u8()?;
            let count = take.count(MANY_MAX)?;
            (0..count).map(|_| take.u32()).collect::<Result<_, _>>().map(|closed| Some(Aside::Close(closed)))
        }
        LOB => lob::take_call(take).map(|call| Some(Aside::Free(call))),
        SET_SCHEMA => {
            take.u8()?;
            take.text().map(|schema| Some(Aside::Schema(schema)))
        }
        SESSION_STATE => take.number().map(|_| None),
        END_TO_END => take_end_to_end(take).map(|()| None),
        _ => Err(Broken::Malformed("a piggyback that is not known")),
    }
}

/// Passes over names of program, module and action.
fn take_end_to_end(take: &mut Take<'_>) -> Result<(), Broken> {
    take.raw(2)?;
    take.number()?;
    let mut present = 0;
    let mut length = |take: &mut Take<'_>| -> Result<(), Broken> {
        take.u8()?;
        present += usize::from(take.number()? > 0);
        Ok(())
    };
    for _ in 0..3 {
        length(take)?;
    }
    take.u8()?;
    take.number()?;
    take.u8()?;
    take.number()?;
    length(take)?;
    for _ in 0..2 {
        take.u8()?;
        take.number()?;
    }
    length(take)?;
    for _ in 0..present {
        take.bytes()?;
    }
    Ok(())
}

fn take_function(take: &mut Take<'_>, function: u8, reading: &Reading<'_>) -> Result<Call, Broken> {
    Ok(match function {
        auth::PHASE_ONE => Call::PhaseOne(auth::take_call(take)?),
        auth::PHASE_TWO => Call::PhaseTwo(auth::take_call(take)?),
        EXECUTE => Call::Execute(Box::new(take_execute(take, reading)?)),
        REEXECUTE | REEXECUTE_AND_FETCH => Call::Execute(Box::new(take_reexecute(take, function, reading)?)),
        FETCH => Call::Fetch(take.u32()?, take.u32()?),
        LOB => Call::Lob(lob::take_call(take)?),
        COMMIT => Call::Commit,
        ROLLBACK => Call::Rollback,
        PING => Call::Ping,
        LOGOFF => Call::Logoff,
        other => Call::Unknown(other),
    })
}

fn take_execute(take: &mut Take<'_>, reading: &Reading<'_>) -> Result<Execute, Broken> {
    let options = take.u32()?;
    let cursor = take.u32()?;
    let has_sql = take.u8()? != 0;
    take.number()?;
    take.u8()?;
    let numbers = take.count(64)?;
    take.raw(2)?;
    take.number()?;
    let fetch = take.u32()?;
    take.number()?;
    take.u8()?;
    let binds = take.count(BINDS_MAX)?;
    take.raw(5)?;
    take.u8()?;
    let defines = take.count(BINDS_MAX)?;
    take.number()?;
    take.raw(3)?;
    take.number()?;
    take.u8()?;
    take.number()?;
    take.number()?;
    take.u8()?;
    take.number()?;
    take.u8()?;
    if reading.fields >= WITH_SQL_SIGNATURE {
        take.u8()?;
        take.number()?;
        take.u8()?;
        take.number()?;
        take.u8()?;
    }
    if reading.fields >= WITH_CHUNKS {
        take.u8()?;
        take.number()?;
    }
    let sql =
        if has_sql { Some(String::from_utf8_lossy(&take.bytes()?.unwrap_or_default()).into_owned()) } else { None };
    let vector = (0..numbers).map(|_| take.u32()).collect::<Result<Vec<_>, _>>()?;
    let at = |index: usize| vector.get(index).copied().unwrap_or(0);
    let is_query = at(7) != 0;
    let times = if is_query { 1 } else { at(1) };
    let mut call =
        Execute { options, cursor, sql, fetch, times, counts: at(9) & ROW_COUNTS != 0, ..Execute::default() };
    if options & option::DEFINE != 0 {
        call.defines = Some(bind::take_types(take, defines, reading.fields)?);
    } else if binds > 0 {
        let types = bind::take_types(take, binds, reading.fields)?;
        let is_block = match &call.sql {
            Some(sql) => crate::bind_names::is_block(sql),
            None => reading.cursors.is_block(cursor),
        };
        let long_from = (!is_block).then_some(reading.string_bytes_max);
        call.rows = take_rows(take, &types, times.max(1), long_from)?;
        call.types = Some(types);
    }
    Ok(call)
}

fn take_reexecute(take: &mut Take<'_>, function: u8, reading: &Reading<'_>) -> Result<Execute, Broken> {
    let cursor = take.u32()?;
    let count = take.u32()?;
    take.number()?;
    let commits = take.u32()? & 1 != 0;
    let (fetch, times) = if function == REEXECUTE_AND_FETCH { (count, 1) } else { (0, count) };
    let mut options = option::EXECUTE;
    if fetch > 0 {
        options |= option::FETCH;
    }
    if commits {
        options |= option::COMMIT;
    }
    let mut call = Execute { options, cursor, fetch, times, ..Execute::default() };
    let types = reading.cursors.bind_types(cursor).to_vec();
    if !types.is_empty() {
        let long_from = (!reading.cursors.is_block(cursor)).then_some(reading.string_bytes_max);
        call.rows = take_rows(take, &types, times.max(1), long_from)?;
    }
    Ok(call)
}

fn take_rows(
    take: &mut Take<'_>,
    types: &[BindType],
    times: u32,
    long_from: Option<u32>,
) -> Result<Vec<Vec<Raw>>, Broken> {
    if times as usize > MANY_MAX {
        return Err(Broken::Malformed("more executions than are allowed"));
    }
    (0..times)
        .map(|_| {
            if take.u8()? != ROW {
                return Err(Broken::Malformed("a row of binds is missing"));
            }
            bind::take_row(take, types, long_from)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::take::NoMore;

    proptest! {
        #[test]
        fn no_call_makes_it_panic(bytes: Vec<u8>, fields in 6u8..25) {
            let cursors = Cursors::default();
            let reading = Reading { fields, string_bytes_max: 4_000, cursors: &cursors };
            for first in [vec![], vec![FAST_LOGIN], vec![FUNCTION, EXECUTE, 0], vec![PIGGYBACK, END_TO_END, 0]] {
                let mut none = NoMore;
                drop(take_call(&mut Take::new([first, bytes.clone()].concat(), &mut none), &reading));
            }
        }
    }
}
