//! What a state file says, read by the words of its documents: `engine/cli/src/state/sqlite/sheet.rs` and `stack.rs`.

use std::collections::BTreeSet;

use rusqlite::Connection;

/// Bytes of the head of a record on a sheet, and where its id is.
const RECORD_HEAD: (usize, usize) = (68, 48);
/// Bytes of the head of a record on a stack, and where its id and the length of its body are.
const WAITING_HEAD: (usize, usize, usize) = (40, 8, 36);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        let (heads, bodies) = stack?;
        let mut rest = bodies.as_slice();
        for head in heads.chunks(head) {
            let bytes: [u8; 4] = head[len..].try_into().expect("a length has four bytes");
            let (body, others) = rest.split_at(u32::from_le_bytes(bytes) as usize);
            rest = others;
            waiting.push((hex(&head[id..id + 16]), String::from_utf8_lossy(body).into_owned()));
        }
    }
    Ok(waiting)
}
