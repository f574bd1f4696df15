//! What a state file says, read by the words of its documents: `sheet.rs`, `stack.rs` and `packed.rs` in
//! `engine/cli/src/state/sqlite`.

use std::collections::BTreeSet;

use rusqlite::Connection;

/// Bytes of the head of a record on a sheet, and where its id is.
const RECORD_HEAD: (usize, usize) = (68, 48);
/// Bytes of the head of a record on a stack, and where its id and the length of its body are.
const WAITING_HEAD: (usize, usize, usize) = (40, 8, 36);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number of an LZ4 block: four bits of the token, and bytes that lengthen it.
fn lengthened(bits: u8, block: &mut &[u8]) -> usize {
    let mut length = usize::from(bits);
    let mut goes_on = bits == 15;
    while goes_on {
        let byte = block.split_off_first().expect("a length goes on");
        length += usize::from(*byte);
        goes_on = *byte == u8::MAX;
    }
    length
}

/// Bodies that are so long all in all.
fn unpacked(kept: Vec<u8>, len: usize) -> Vec<u8> {
    if kept.len() == len {
        return kept;
    }
    let (mut block, mut bodies) = (kept.as_slice(), Vec::new());
    while let Some(token) = block.split_off_first() {
        let literals = lengthened(token >> 4, &mut block);
        bodies.extend_from_slice(block.split_off(..literals).expect("as many literals"));
        // The last sequence has no match.
        let Some(back) = block.split_off(..2) else { break };
        let from = bodies.len() - usize::from(u16::from_le_bytes([back[0], back[1]]));
        let matched = lengthened(token & 15, &mut block) + 4;
        // A match may reach into what it writes.
        (from..from + matched).for_each(|at| bodies.push(bodies[at]));
    }
    assert_eq!(bodies.len(), len, "as long as the heads say");
    bodies
}

/// Ids of the records that are remembered, those of refused runs left out.
pub fn remembered(state: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let (head, id) = RECORD_HEAD;
    let mut ids = BTreeSet::new();
    let mut sheets = state.prepare("SELECT heads FROM sheet WHERE shelf = 1")?;
    for heads in sheets.query_map([], |row| row.get::<_, Vec<u8>>(0))? {
        ids.extend(heads?.chunks(head).map(|head| hex(&head[id..id + 16])));
    }
    Ok(ids)
}

/// Id and body of what waits to be sent.
pub fn waiting(state: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let (head, id, len) = WAITING_HEAD;
    let mut waiting = Vec::new();
    let mut stacks = state.prepare("SELECT heads, bodies FROM outbox ORDER BY last")?;
    for stack in stacks.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)))? {
        let (heads, kept) = stack?;
        let length =
            |head: &[u8]| u32::from_le_bytes(head[len..].try_into().expect("a length has four bytes")) as usize;
        let bodies = unpacked(kept, heads.chunks(head).map(length).sum());
        let mut rest = bodies.as_slice();
        for head in heads.chunks(head) {
            let (body, others) = rest.split_at(length(head));
            rest = others;
            waiting.push((hex(&head[id..id + 16]), String::from_utf8_lossy(body).into_owned()));
        }
    }
    Ok(waiting)
}
