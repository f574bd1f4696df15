//! Bodies as the database keeps them.
//!
//! Those of one sheet or stack are much alike: packed they take a quarter of the room, and a page of the database that is
//! not there is neither written to the log, nor synced, nor moved into the file. They are one block of LZ4, without any
//! frame around it ([the form](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md)): how long they are unpacked
//! is what the heads beside them say, all in all. Bodies that do not become shorter are kept as they are, and have that
//! length; so had all of them in files of version 5 and before.

use std::borrow::Cow;

use super::torn::Torn;

/// Bodies that are shorter are not packed: no page is saved.
const PACKED_BYTES_MIN: usize = 256;
/// How many bytes one byte of a block can stand for at most: each one that lengthens a match counts to 255.
const RATIO_MAX: usize = 255;

/// The bodies of a sheet or a stack, for the database.
pub(super) fn pack(bodies: &str) -> Cow<'_, [u8]> {
    let bodies = bodies.as_bytes();
    if bodies.len() < PACKED_BYTES_MIN {
        return Cow::Borrowed(bodies);
    }
    let packed = lz4_flex::block::compress(bodies);
    if packed.len() < bodies.len() { Cow::Owned(packed) } else { Cow::Borrowed(bodies) }
}

/// Bodies that are so long all in all, from the database.
pub(super) fn unpack(kept: &[u8], len: usize) -> Result<Cow<'_, str>, Torn> {
    const TORN: Torn = Torn("bodies that were packed are not what they were");
    if kept.len() == len {
        return std::str::from_utf8(kept).map(Cow::Borrowed).map_err(|_| Torn("a body is no text"));
    }
    // A damaged head may say anything.
    if kept.len() > len || len.div_ceil(RATIO_MAX) > kept.len() {
        return Err(Torn("bodies are not as long as their heads say"));
    }
    let bodies = lz4_flex::block::decompress(kept, len).map_err(|_| TORN)?;
    if bodies.len() != len {
        return Err(TORN);
    }
    String::from_utf8(bodies).map(Cow::Owned).map_err(|_| TORN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From nothing that is alike to nothing else.
    fn bodies() -> impl Strategy<Value = String> {
        (".{0,60}", 1..200_usize).prop_map(|(text, times)| text.repeat(times))
    }

    proptest! {
        #[test]
        fn bodies_come_back(bodies in bodies()) {
            let kept = pack(&bodies);
            prop_assert!(kept.len() <= bodies.len());
            prop_assert_eq!(unpack(&kept, bodies.len()).expect("is whole"), bodies.as_str());
            // As older versions kept them.
            prop_assert_eq!(unpack(bodies.as_bytes(), bodies.len()).expect("is whole"), bodies.as_str());
        }

        #[test]
        fn damage_is_told_and_takes_no_memory(
            bodies in bodies(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            more in any::<usize>(),
        ) {
            let mut kept = pack(&bodies).into_owned();
            prop_assert!(unpack(&kept, bodies.len() + 1).is_err(), "a head says more");
            prop_assert!(unpack(&kept, more).is_err() || more == bodies.len(), "a head says anything");
            if !kept.is_empty() {
                let place = place.index(kept.len());
                kept[place] = byte;
                if let Ok(read) = unpack(&kept, bodies.len()) {
                    prop_assert_eq!(read.len(), bodies.len());
                }
                prop_assert!(unpack(&kept[..place], bodies.len()).is_err(), "the end is missing");
            }
        }
    }

    #[test]
    fn what_is_alike_is_packed_as_far_as_it_goes() {
        let bodies = "x".repeat(1 << 20);
        let kept = pack(&bodies);
        assert!(kept.len() < bodies.len() / 200, "{} bytes", kept.len());
        assert_eq!(unpack(&kept, bodies.len()).expect("is whole"), bodies);
        let told = unpack(&kept, kept.len() * RATIO_MAX + 1).expect_err("no block stands for so much");
        assert!(told.0.contains("as long as their heads say"), "{told}");
    }

    /// Blocks are kept for years.
    #[test]
    fn a_block_of_before_is_read() {
        // Eleven literals, a match of 15 + 4 + 1 bytes that begins one byte back, and five literals.
        let block = [b"\xbf{\"d\":\"acme-".as_slice(), b"\x01\x00\x01", b"\x50le\"}\n"].concat();
        let bodies = format!("{{\"d\":\"acme{}le\"}}\n", "-".repeat(21));
        assert_eq!(unpack(&block, bodies.len()).expect("is whole"), bodies);
    }
}
