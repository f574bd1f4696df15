//! ROWIDs: 18 letters of 64, in four groups.

use crate::put::Put;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LETTERS: usize = 18;
/// Says that a ROWID follows.
const PRESENT: u8 = 13;

fn group(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value, letter| {
        let digit = ALPHABET.iter().position(|known| known == letter)?;
        Some((value << 6) | digit as u64)
    })
}

/// Writes the ROWID that has this text, as a column has it. `None` where it is none.
pub fn put(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let text = text.as_bytes();
    if text.len() != LETTERS {
        return None;
    }
    let object = group(&text[..6])?;
    if object > u64::from(u32::MAX) {
        return None;
    }
    let (file, block, row) = (group(&text[6..9])?, group(&text[9..15])?, group(&text[15..])?);
    if file > u64::from(u16::MAX) || block > u64::from(u32::MAX) || row > u64::from(u16::MAX) {
        return None;
    }
    out.u8(PRESENT);
    out.number(object);
    out.number(file);
    out.u8(0);
    out.number(block);
    out.number(row);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_a_rowid_are_numbers() {
        let mut out = Vec::new();
        assert_eq!(put(&mut out, "AAAShEAAGAAAAFXAAB"), Some(()));
        assert_eq!(out, [PRESENT, 3, 1, 40, 68, 1, 6, 0, 2, 1, 87, 1, 1]);
    }

    #[test]
    fn other_text_is_none() {
        for text in ["", "AAAShEAAGAAAAFXAA", "AAAShEAAGAAAAFXAA!", "//////AAGAAAAFXAAB"] {
            assert_eq!(put(&mut Vec::new(), text), None, "{text}");
        }
    }
}
