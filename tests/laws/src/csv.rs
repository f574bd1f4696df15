//! A CSV file of any bytes.

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use engine_connect::registry;
use engine_core::mapping::row_json;
use engine_core::ports::{
    Ask, Cancel, CsvConfig, CsvFormat, Fetched, Source, SourceConfig, SourceError, SourceErrorKind,
};
use engine_core::value::{BATCH_ROWS_MAX, RowBatch};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::Take;

const ENCODINGS: [Option<&str>; 8] = [
    None,
    Some("utf-8"),
    Some("windows-1252"),
    Some("utf-16"),
    Some("utf-16be"),
    Some("shift_jis"),
    Some("gb18030"),
    Some("iso-2022-jp"),
];
/// Bytes before the borders at which a reader fetches more.
const BORDERS: [usize; 4] = [0, 32 << 10, 64 << 10, 128 << 10];

/// The same file, whole and in pieces of any size, gives the same rows, each with its line; a batch holds what it may;
/// and a file never ends a run but by what it says itself.
pub fn holds(input: &[u8]) {
    let mut take = Take::new(input);
    let format = CsvFormat {
        delimiter: take.one_of(b";,\t|"),
        quote: take.one_of(b"\"'"),
        encoding: take.one_of(&ENCODINGS).map(str::to_owned),
        columns: if take.below(2) == 1 { vec!["a".to_owned(), "b".to_owned()] } else { Vec::new() },
        decimal: take.one_of(&[None, Some(b',')]),
    };
    let border = take.one_of(&BORDERS);
    let behind = usize::from(take.byte());
    let piece = 1 + usize::from(take.byte());
    let mut bytes = Vec::new();
    if border > 0 {
        // A first line as long as it takes for the rest to lie across the border.
        bytes.extend(std::iter::repeat_n(b'x', border.saturating_sub(behind)));
        bytes.extend_from_slice(b";y\n");
    }
    bytes.extend_from_slice(take.rest());

    let whole = read(FOLDERS.0.path(), "rows.csv", &bytes, &format);
    let pieces = read(FOLDERS.1.path(), "rows.csv.gz", &in_pieces(&bytes, piece), &format);
    assert_eq!(whole, pieces, "pieces of {piece} bytes are read otherwise than the whole");
}

/// Folders in memory where there are such.
static FOLDERS: LazyLock<(TempDir, TempDir)> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = || {
        let folder = if memory.is_dir() { TempDir::with_prefix_in("engine-", memory) } else { TempDir::new() };
        folder.expect("a temporary folder")
    };
    (folder(), folder())
});

/// Compressed so that a reader gets a piece at a time.
fn in_pieces(bytes: &[u8], piece: usize) -> Vec<u8> {
    // As few members as show the pieces: the long first line is one.
    let (head, tail) = bytes.split_at(bytes.len().saturating_sub(64 * piece));
    let mut packed = Vec::new();
    for part in std::iter::once(head).chain(tail.chunks(piece)) {
        let mut encoder = GzEncoder::new(&mut packed, Compression::fast());
        encoder.write_all(part).expect("memory can be written");
        encoder.finish().expect("memory can be written");
    }
    packed
}

/// The rows as the quarantine would show them, without the name of the file; or the kind of the failure.
fn read(folder: &Path, name: &str, bytes: &[u8], format: &CsvFormat) -> Result<Vec<String>, SourceErrorKind> {
    std::fs::write(folder.join(name), bytes).expect("the folder can be written");
    let config = SourceConfig::Csv(CsvConfig {
        path: folder.to_owned(),
        glob: "*".to_owned(),
        settle: Duration::ZERO,
        format: format.clone(),
    });
    let connector = registry::find("csv").expect("CSV can be read");
    let mut rows = Vec::new();
    let outcome = (connector.open)(&config, &Cancel::default()).and_then(|mut source| all(&mut *source, &mut rows));
    match outcome {
        Ok(()) => Ok(rows.into_iter().map(|row| row.replace("rows.csv.gz", "rows.csv")).collect()),
        Err(error) => {
            let expected = matches!(error.kind, SourceErrorKind::Data);
            assert!(expected, "a file of any bytes is a matter of its data: {error:?}");
            assert!(!error.tried.is_empty() && !error.message.is_empty(), "{error:?}");
            Err(error.kind)
        }
    }
}

fn all(source: &mut dyn Source, rows: &mut Vec<String>) -> Result<(), SourceError> {
    source.ask(&Ask::default())?;
    let mut batch = RowBatch::new();
    while source.next(&mut batch)? == Fetched::Rows {
        assert!(!batch.is_empty() && batch.len() <= BATCH_ROWS_MAX, "{} rows", batch.len());
        rows.extend(batch.rows().map(row_json));
    }
    Ok(())
}
