//! LOBs that clients read piece by piece.

use std::collections::VecDeque;

use engine_standin::Value;

use crate::broken::Broken;
use crate::put::Put;
use crate::take::Take;
use crate::types::{Charset, Kind};

/// Most bytes of LOBs that are kept for a client. Beyond that, the oldest are forgotten.
const KEPT_BYTES_MAX: usize = 256 << 20;
/// What a client is told of the size of a piece that is read well.
const CHUNK_BYTES: u64 = 8_060;
const LOCATOR_BYTES: usize = 40;
const NUMBER_AT: usize = 24;
/// The LOB is made of bytes.
const OF_BYTES: u8 = 0x01;
/// The locator is good for use.
const READY: u8 = 0x08;
/// Text is sent as UTF-16.
const WIDE: u8 = 0x80;
/// The LOB lives as long as the session does.
const TEMPORARY: u8 = 0x01;

const LENGTH: u32 = 0x0001;
const READ: u32 = 0x0002;
const TRIM: u32 = 0x0020;
const WRITE: u32 = 0x0040;
const CREATE: u32 = 0x0110;
const FREE: u32 = 0x0111;
const CHUNK: u32 = 0x4000;
const OPEN: u32 = 0x8000;
const CLOSE: u32 = 0x1_0000;
const IS_OPEN: u32 = 0x1_1000;
/// The operation is on many LOBs at once.
const MANY: u32 = 0x8_0000;
/// The message with the bytes of a LOB.
const DATA_MESSAGE: u8 = 14;

#[derive(Debug)]
struct Lob {
    number: u64,
    kind: Kind,
    /// Text in UTF-16, so that places in it are counted as Oracle counts.
    bytes: Vec<u8>,
}

/// The LOBs of a client.
#[derive(Debug, Default)]
pub struct Lobs {
    kept: VecDeque<Lob>,
    kept_bytes: usize,
    last: u64,
}

/// An operation on a LOB.
#[derive(Debug, PartialEq, Eq)]
pub struct LobCall {
    operation: u32,
    locator: Vec<u8>,
    offset: u64,
    /// Type of a LOB that is to be made.
    kind: u64,
    amount: Option<u64>,
    data: Vec<u8>,
}

/// Reads the call of an operation, after its header.
pub fn take_call(take: &mut Take<'_>) -> Result<LobCall, Broken> {
    take.u8()?;
    let locator_bytes = take.count(1 << 20)?;
    take.u8()?;
    take.number()?;
    take.number()?;
    take.number()?;
    take.raw(3)?;
    let operation = take.u32()?;
    if operation & MANY != 0 {
        return take_many(take, operation, locator_bytes);
    }
    take.raw(2)?;
    let offset = take.number()?;
    let kind = take.number()?;
    let sends_amount = take.u8()? != 0;
    take.raw(6)?;
    let locator = take.raw(locator_bytes)?.to_vec();
    if operation == CREATE {
        take.number()?;
    }
    let mut data = Vec::new();
    if operation == WRITE {
        if take.u8()? != DATA_MESSAGE {
            return Err(Broken::Malformed("a LOB is written without data"));
        }
        data = take.bytes()?.unwrap_or_default();
    }
    let amount = if sends_amount { Some(take.number()?) } else { None };
    Ok(LobCall { operation, locator, offset, kind, amount, data })
}

fn take_many(take: &mut Take<'_>, operation: u32, bytes: usize) -> Result<LobCall, Broken> {
    take.u8()?;
    take.number()?;
    take.number()?;
    take.number()?;
    take.u8()?;
    for _ in 0..3 {
        take.u8()?;
        take.number()?;
    }
    let locator = take.raw(bytes)?.to_vec();
    Ok(LobCall { operation, locator, offset: 0, kind: 0, amount: None, data: Vec::new() })
}

impl Lobs {
    /// Keeps a value of a column and writes its length, the size of its pieces and where it is.
    pub fn put(&mut self, out: &mut Vec<u8>, kind: Kind, charset: Charset, bytes: &[u8]) {
        let wide = match (kind, charset) {
            (Kind::Clob, Charset::Database) => utf16(&String::from_utf8_lossy(bytes)),
            _ => bytes.to_vec(),
        };
        let units = wide.len() as u64 / unit(kind);
        let locator = self.keep(kind, charset, wide);
        out.number(locator.len() as u64);
        out.number(units);
        out.number(CHUNK_BYTES);
        out.bytes(&locator);
    }

    /// The value of a LOB that a client made and binds.
    pub fn value(&self, locator: &[u8]) -> Option<Value> {
        let lob = self.find(locator)?;
        Some(if lob.kind == Kind::Blob {
            Value::Bytes(lob.bytes.clone())
        } else {
            Value::Text(crate::bind::text(Charset::National, &lob.bytes))
        })
    }

    /// Forgets the LOBs of a call that frees them.
    pub fn free(&mut self, call: &LobCall) {
        for locator in call.locator.chunks_exact(LOCATOR_BYTES) {
            let Some(number) = number(locator) else { continue };
            self.kept.retain(|lob| lob.number != number);
        }
        self.kept_bytes = self.kept.iter().map(|lob| lob.bytes.len()).sum();
    }

    /// Does what a call wants and writes the answer. `None` where its LOB is not kept any more, or was never.
    pub fn run(&mut self, call: &LobCall, out: &mut Vec<u8>) -> Option<()> {
        if call.operation & !MANY == FREE {
            self.free(call);
            return Some(());
        }
        let mut locator = call.locator.clone();
        if call.operation == CREATE {
            let kind = u8::try_from(call.kind).ok().and_then(Kind::of_number).filter(|kind| kind.is_lob())?;
            let charset = Charset::of_form(u8::try_from(call.offset).ok()?);
            let made = self.keep(kind, charset, Vec::new());
            locator = made;
        }
        let lob = self.find_mut(&locator)?;
        let unit = unit(lob.kind);
        let mut amount = lob.bytes.len() as u64 / unit;
        match call.operation {
            CREATE | LENGTH | OPEN | CLOSE | IS_OPEN => {}
            CHUNK => amount = CHUNK_BYTES,
            READ => {
                let start = call.offset.saturating_sub(1).min(amount) as usize * unit as usize;
                let wanted = call.amount.unwrap_or(0).min(amount) as usize * unit as usize;
                let piece = &lob.bytes[start..(start + wanted).min(lob.bytes.len())];
                amount = piece.len() as u64 / unit;
                out.u8(DATA_MESSAGE);
                out.bytes(piece);
            }
            WRITE => {
                let start = usize::try_from(call.offset.saturating_sub(1)).ok()?.checked_mul(unit as usize)?;
                let end = start.checked_add(call.data.len()).filter(|end| *end <= KEPT_BYTES_MAX)?;
                if lob.bytes.len() < end {
                    lob.bytes.resize(end, 0);
                }
                lob.bytes[start..end].copy_from_slice(&call.data);
            }
            TRIM => lob.bytes.truncate(usize::try_from(call.amount?).ok()?.checked_mul(unit as usize)?),
            _ => return None,
        }
        self.kept_bytes = self.kept.iter().map(|lob| lob.bytes.len()).sum();
        // The return parameters: the locator and what the operation returns.
        out.u8(8);
        locator.truncate(call.locator.len());
        out.raw(&locator);
        if call.operation == CREATE {
            out.number(0);
            out.u8(0);
        } else if call.amount.is_some() {
            out.number(amount);
        }
        if call.operation == IS_OPEN {
            out.u8(0);
        }
        Some(())
    }

    fn keep(&mut self, kind: Kind, charset: Charset, bytes: Vec<u8>) -> Vec<u8> {
        self.last += 1;
        self.kept_bytes += bytes.len();
        self.kept.push_back(Lob { number: self.last, kind, bytes });
        while self.kept_bytes > KEPT_BYTES_MAX && self.kept.len() > 1 {
            self.kept_bytes -= self.kept.pop_front().map_or(0, |lob| lob.bytes.len());
        }
        locator(self.last, kind, charset)
    }

    fn find(&self, locator: &[u8]) -> Option<&Lob> {
        let number = number(locator)?;
        self.kept.iter().find(|lob| lob.number == number)
    }

    fn find_mut(&mut self, locator: &[u8]) -> Option<&mut Lob> {
        let number = number(locator)?;
        self.kept.iter_mut().find(|lob| lob.number == number)
    }
}

fn locator(number: u64, kind: Kind, charset: Charset) -> Vec<u8> {
    let mut locator = vec![0; LOCATOR_BYTES];
    locator[..2].copy_from_slice(&(LOCATOR_BYTES as u16 - 2).to_be_bytes());
    locator[3] = 4;
    locator[4] = if kind == Kind::Blob { OF_BYTES } else { charset.form() << 1 };
    locator[5] = READY;
    locator[6] = if kind == Kind::Clob { WIDE } else { 0 };
    // A client gives temporary LOBs back when it needs them no more.
    locator[7] = TEMPORARY;
    locator[NUMBER_AT..NUMBER_AT + 8].copy_from_slice(&number.to_be_bytes());
    locator
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn unit(kind: Kind) -> u64 {
    if kind == Kind::Blob { 1 } else { 2 }
}

fn number(locator: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(locator.get(NUMBER_AT..NUMBER_AT + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::take::NoMore;

    fn call(operation: u32, locator: &[u8], offset: u64, amount: Option<u64>) -> LobCall {
        LobCall { operation, locator: locator.to_vec(), offset, kind: 112, amount, data: Vec::new() }
    }

    fn kept(lobs: &mut Lobs, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        lobs.put(&mut out, Kind::Clob, Charset::Database, text.as_bytes());
        out[out.len() - LOCATOR_BYTES..].to_vec()
    }

    #[test]
    fn a_piece_of_text_is_counted_in_units_of_two_bytes() {
        let mut lobs = Lobs::default();
        let locator = kept(&mut lobs, "aäb😀");
        let mut out = Vec::new();
        lobs.run(&call(READ, &locator, 2, Some(2)), &mut out).unwrap();
        assert_eq!(out[..6], [DATA_MESSAGE, 4, 0, 0xE4, 0, b'b']);
        out.clear();
        lobs.run(&call(LENGTH, &locator, 0, Some(0)), &mut out).unwrap();
        assert_eq!(out[1 + LOCATOR_BYTES..], [1, 5]);
    }

    #[test]
    fn a_lob_that_was_made_is_written_and_bound() {
        let mut lobs = Lobs::default();
        let mut out = Vec::new();
        lobs.run(&call(CREATE, &[0; LOCATOR_BYTES], 1, None), &mut out).unwrap();
        let locator = out[1..=LOCATOR_BYTES].to_vec();
        let write = LobCall { data: vec![0, b'h', 0, b'i'], ..call(WRITE, &locator, 1, None) };
        lobs.run(&write, &mut out).unwrap();
        assert_eq!(lobs.value(&locator), Some(Value::Text("hi".to_owned())));
        lobs.free(&call(FREE | MANY, &locator, 0, None));
        assert_eq!(lobs.value(&locator), None);
    }

    proptest! {
        #[test]
        fn no_call_makes_it_panic(bytes: Vec<u8>, offset: u64, amount: u64) {
            let mut none = NoMore;
            let mut lobs = Lobs::default();
            let locator = kept(&mut lobs, "text");
            if let Ok(call) = take_call(&mut Take::new(bytes, &mut none)) {
                lobs.run(&call, &mut Vec::new());
            }
            for operation in [READ, TRIM, WRITE, CHUNK, LENGTH] {
                lobs.run(&call(operation, &locator, offset, Some(amount)), &mut Vec::new());
            }
        }
    }
}
