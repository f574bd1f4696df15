//! The one form of tar that a bundle has: plain files one after the other, of which nothing but name and size counts.
//!
//! Whatever else a tar can hold – links, devices, folders, long names, sparse files – has no place here and ends the
//! reading. So the same files give the same bytes, and nothing needs to be judged when it is unpacked.

/// Bytes of a block: a header, and what the content of a file is filled up to.
const BLOCK: usize = 512;
/// Bytes of the name in a header.
const NAME: usize = 100;
/// Where a header has its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;
/// Where a header has the size.
const SIZE: std::ops::Range<usize> = 124..136;

/// A file in a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name, as it stands there.
    pub name: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

/// Adds a file. Its name has 1 to 100 bytes, and its content fits into eleven octal digits; both are the caller's business.
pub fn append(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    let header = header(name, content.len());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// Ends a tar: two blocks of zeros.
pub fn end(tar: &mut Vec<u8>) {
    tar.resize(tar.len() + 2 * BLOCK, 0);
}

fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name.as_bytes()[..name.len().min(NAME)]);
    // Readable for everybody, written by nobody in particular, at no particular time.
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(SIZE.start, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(CHECKSUM.start, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[CHECKSUM.start..CHECKSUM.end].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// The files of a tar that [`append`] and [`end`] wrote, in order; of any other, why it is refused.
pub fn entries(tar: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, String>> {
    let mut rest = Some(tar);
    std::iter::from_fn(move || match next(rest?) {
        Ok(Some((entry, after))) => {
            rest = Some(after);
            Some(Ok(entry))
        }
        Ok(None) => {
            rest = None;
            None
        }
        Err(why) => {
            rest = None;
            Some(Err(why.to_owned()))
        }
    })
}

fn next(tar: &[u8]) -> Result<Option<(Entry<'_>, &[u8])>, &'static str> {
    const BROKEN: &str = "the archive breaks off";
    let (found, rest) = tar.split_at_checked(BLOCK).ok_or(BROKEN)?;
    if found.iter().all(|byte| *byte == 0) {
        let is_end = rest.len() == BLOCK && rest.iter().all(|byte| *byte == 0);
        return if is_end { Ok(None) } else { Err("something stands behind the end of the archive") };
    }
    let name = found[..NAME].split(|byte| *byte == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| "a name in the archive is no text")?;
    let size = std::str::from_utf8(&found[SIZE.start..SIZE.end - 1]).ok();
    let size = size.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let size =
        size.and_then(|digits| usize::from_str_radix(digits, 8).ok()).ok_or("a size in the archive is no number")?;
    // One comparison refuses every other kind of entry, and every field that could say something else.
    if name.is_empty() || *found != header(name, size) {
        return Err("the archive holds something that `engine bundle` does not write: a link, a folder, a long name");
    }
    let filled = size.checked_next_multiple_of(BLOCK).ok_or(BROKEN)?;
    let (content, rest) = rest.split_at_checked(filled).ok_or(BROKEN)?;
    let (content, filling) = content.split_at(size);
    if filling.iter().any(|byte| *byte != 0) {
        return Err("something stands behind a file in the archive");
    }
    Ok(Some((Entry { name, content }, rest)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(tar: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        entries(tar).map(|entry| entry.map(|entry| (entry.name.to_owned(), entry.content.to_vec()))).collect()
    }

    fn written(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut tar = Vec::new();
        files.iter().for_each(|(name, content)| append(&mut tar, name, content));
        end(&mut tar);
        tar
    }

    fn one(change: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut tar = written(&[("a".to_owned(), b"content".to_vec())]);
        change(&mut tar);
        read(&tar)
    }

    /// Sets a field of the first header, and the checksum that belongs to it.
    fn with_field(at: usize, bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        one(|tar| {
            tar[at..at + bytes.len()].copy_from_slice(bytes);
            tar[CHECKSUM].copy_from_slice(b"        ");
            let sum: u32 = tar[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
            tar[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        })
    }

    #[test]
    fn everything_but_a_plain_file_is_refused() {
        assert_eq!(with_field(0, b"b"), Ok(vec![("b".to_owned(), b"content".to_vec())]), "the change itself is sound");
        for kind in b"123457gxLKSDVM\0" {
            assert!(with_field(156, &[*kind]).is_err(), "type {:?}", char::from(*kind));
        }
        for (what, at, bytes) in [
            ("no name", 0, &b"\0"[..]),
            ("a name that goes on behind its end", 1, b"\0b"),
            ("runs as its owner", 100, b"0004755\0"),
            ("an owner", 108, b"0001750\0"),
            ("a time", 136, b"14000000000\0"),
            ("where a link leads", 157, b"/etc/passwd"),
            ("a folder in front of the name", 345, b"../.."),
            ("the form of GNU", 257, b"ustar  \0"),
            ("a number of a device", 329, b"0000001\0"),
            ("a size with a sign", 124, b"-0000000007"),
            ("a size in binary", 124, b"\x80\0\0\0\0\0\0\0\0\0\0\x07"),
            ("a size with blanks", 124, b"          7"),
            ("a size beyond the end", 124, b"77777777777"),
        ] {
            assert!(with_field(at, bytes).is_err(), "{what}");
        }
        assert!(one(|tar| tar[CHECKSUM.start] ^= 1).is_err(), "a checksum");
        assert!(one(|tar| tar[BLOCK + 7] = 1).is_err(), "behind a file");
        assert!(one(|tar| tar.push(0)).is_err(), "behind the end");
        assert!(one(|tar| tar.truncate(3 * BLOCK)).is_err(), "without an end");
        assert!(one(|tar| tar.truncate(BLOCK + 3)).is_err(), "in the middle of a file");
        assert!(one(Vec::clear).is_err(), "nothing");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_the_same_gives_the_same(
            files in prop::collection::vec(("[a-z/.]{1,100}", prop::collection::vec(any::<u8>(), 0..1200)), 0..5),
        ) {
            let tar = written(&files);
            prop_assert_eq!(read(&tar), Ok(files.clone()));
            prop_assert_eq!(written(&files), tar);
        }

        #[test]
        fn a_hostile_archive_is_refused_or_gives_what_would_be_written(
            changes in prop::collection::vec((0..3 * BLOCK, any::<u8>()), 1..6),
            cut in 0..5 * BLOCK,
        ) {
            let mut tar = written(&[("a".to_owned(), vec![7; 600]), ("b".to_owned(), vec![8; 3])]);
            for (at, byte) in changes {
                tar[at] = byte;
            }
            tar.truncate(tar.len().max(cut) - cut / 2);
            if let Ok(files) = read(&tar) {
                prop_assert_eq!(written(&files), tar);
            }
        }
    }
}
