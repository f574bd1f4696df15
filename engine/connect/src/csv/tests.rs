//! The connector on real files.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use engine_core::value::Cell;

use super::*;

fn config(folder: &Path) -> CsvConfig {
    CsvConfig {
        path: folder.to_owned(),
        glob: "*.csv".to_owned(),
        settle: Duration::ZERO,
        format: CsvFormat { delimiter: b';', quote: b'"', encoding: None, columns: Vec::new(), decimal: None },
    }
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn open_source(config: CsvConfig) -> Box<dyn Source> {
    open(&SourceConfig::Csv(config), &Cancel::default()).unwrap()
}

/// The answer in words: a line of column names, then `part: cells`.
fn read(source: &mut dyn Source) -> Result<Vec<String>, SourceError> {
    source.ask(&Ask::default())?;
    let mut batch = RowBatch::new();
    let mut seen = Vec::new();
    loop {
        let fetched = source.next(&mut batch)?;
        if fetched == Fetched::End {
            let names: Vec<&str> = batch.columns().iter().map(|column| column.name.as_str()).collect();
            seen.insert(0, names.join(" "));
            return Ok(seen);
        }
        for row in batch.rows() {
            let cells = (0..row.columns().len()).map(|place| match row.get(place) {
                Cell::Null => "-".to_owned(),
                Cell::Text(text) => text.to_owned(),
                Cell::Int(number) => format!("#{number}"),
                Cell::Decimal(digits) => format!("={digits}"),
                Cell::Bad(reason) => format!("<{reason}>"),
                other => panic!("{other:?} comes from no file"),
            });
            seen.push(format!("{}: {}", batch.part(), cells.collect::<Vec<_>>().join(" ")));
        }
    }
}

#[track_caller]
fn check(files: &[(&str, &[u8])], set: impl Fn(&mut CsvConfig), expected: &[&str]) {
    let folder = folder(files);
    let mut config = config(folder.path());
    set(&mut config);
    assert_eq!(read(open_source(config).as_mut()).unwrap(), expected);
}

#[test]
fn a_file_with_a_header() {
    let text = b"nr;artikel\r\n1;Blech\r\n2;\r\n\r\n3;\"a;\"\"b\"\r\n;\r\n";
    let expected = ["nr artikel _file _line", "0: 1 Blech a.csv #2", "0: 2 - a.csv #3", "0: 3 a;\"b a.csv #5"];
    check(&[("a.csv", text)], |_| (), &expected);
    check(&[("a.csv", &[b"\xef\xbb\xbf", &text[..]].concat())], |_| (), &expected);
    check(&[("a.csv", b"sep=;\r\nnr;artikel\r\n")], |_| (), &["nr artikel _file _line"]);
}

#[test]
fn names_from_the_spec() {
    let named = |config: &mut CsvConfig| config.format.columns = vec!["nr".to_owned(), "what".to_owned()];
    let expected = ["nr what _file _line", "0: 1 x a.csv #1", "0: 2 y a.csv #2"];
    check(&[("a.csv", b"1;x\n2;y")], named, &expected);
    check(&[("a.csv", b"1;x;z\n")], named, &expected_broken("3 fields where `columns` has 2"));
}

fn expected_broken(reason: &str) -> [&'static str; 2] {
    let bad = format!("<a.csv line 1: {reason}>");
    ["nr what _file _line", Box::leak(format!("0: {bad} {bad} a.csv #1").into_boxed_str())]
}

#[test]
fn encodings_and_numbers() {
    let set = |config: &mut CsvConfig| {
        config.format.encoding = Some("windows-1252".to_owned());
        config.format.decimal = Some(b',');
    };
    let expected = ["größe menge _file _line", "0: 00123 =1234.50 a.csv #2", "0: ß 1.234,5 a.csv #3"];
    check(&[("a.csv", b"gr\xf6\xdfe;menge\n00123;1234,50\n\xdf;1.234,5\n")], set, &expected);
    let utf16: Vec<u8> =
        "\u{feff}größe;menge\n00123;\"1234,50\"\nß;1.234,5\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(&[("a.csv", &utf16)], set, &expected);
}

#[test]
fn a_broken_line_costs_that_line() {
    let bad = |line: u32, reason: &str| format!("<a.csv line {line}: {reason}>");
    let (short, long) = (bad(3, "1 fields where the header has 2"), bad(4, "3 fields where the header has 2"));
    let quote = bad(6, "a quote is opened and not closed");
    check(
        &[("a.csv", b"a;b\n1;2\n3\n4;5;6\n7;8;\n\"9;10\n11;12\n")],
        |_| (),
        &[
            "a b _file _line",
            "0: 1 2 a.csv #2",
            &format!("0: {short} {short} a.csv #3"),
            &format!("0: {long} {long} a.csv #4"),
            "0: 7 8 a.csv #5",
            &format!("0: {quote} {quote} a.csv #6"),
            "0: 11 12 a.csv #7",
        ],
    );
    check(
        &[("a.csv", b"a;b\n\"1;2\n3;4\n5\";6;7\n8;9\n")],
        |_| (),
        &[
            "a b _file _line",
            &format!(
                "0: {0} {0} a.csv #2",
                bad(2, "3 fields in quotes that run over several lines where the header has 2")
            ),
            "0: 3 4 a.csv #3",
            &format!("0: {0} {0} a.csv #4", bad(4, "3 fields where the header has 2")),
            "0: 8 9 a.csv #5",
        ],
    );
    // A text that cannot be decoded costs its cell.
    check(
        &[("a.csv", b"a;b\n1;\xe4\n")],
        |_| (),
        &["a b _file _line", "0: 1 <a.csv line 2: the text is not UTF-8: byte 0xe4 at 0> a.csv #2"],
    );
}

#[test]
fn files_come_newest_first_under_the_columns_of_all() {
    check(
        &[
            ("o-2.csv", b"nr;menge\n1;5\n"),
            ("o-10.csv", b"Menge;NR;neu\n7;1;x\n"),
            ("o-9.csv", b""),
            ("other.txt", b"nr\n9\n"),
        ],
        |config| config.glob = "o-*.csv".to_owned(),
        &["Menge NR neu _file _line", "0: 7 1 x o-10.csv #2", "2: 5 1 - o-2.csv #2"],
    );
}

#[test]
fn columns_that_stand_twice_stay_apart() {
    check(&[("a.csv", b"a;a;A\n1;2;3\n")], |_| (), &["a a A _file _line", "0: 1 2 3 a.csv #2"]);
    check(&[("a.csv", b"_line;_FILE\n1;2\n")], |_| (), &["_line _FILE", "0: 1 2"]);
    check(&[("a.csv", b"a;b;\n1;2\n3;4;\n")], |_| (), &["a b  _file _line", "0: 1 2 - a.csv #2", "0: 3 4 - a.csv #3"]);
}

#[test]
fn a_compressed_file_and_one_that_is_cut() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(b"a;b\n1;2\n3;4\n").unwrap();
    let packed = packed.finish().unwrap();
    check(&[("a.csv.gz", &packed)], |_| (), &["a b _file _line", "0: 1 2 a.csv.gz #2", "0: 3 4 a.csv.gz #3"]);
    let folder = folder(&[("a.csv.gz", &packed[..packed.len() - 10]), ("b.csv", b"a;b\n5;6\n")]);
    let rows = read(open_source(config(folder.path())).as_mut()).unwrap();
    assert_eq!(rows[1], "0: 5 6 b.csv #2");
    assert!(rows.last().unwrap().contains("a.csv.gz line"), "{rows:?}");
    assert!(rows.last().unwrap().contains("cannot be read any further"), "{rows:?}");
}

#[test]
fn a_folder_without_rows() {
    check(&[], |_| (), &[""]);
    check(&[("a.csv", b"")], |_| (), &[""]);
    check(&[("a.csv", b"a;b\n")], |_| (), &["a b _file _line"]);
    check(&[], |config| config.format.columns = vec!["a".to_owned()], &["a _file _line"]);
}

#[test]
fn a_folder_that_is_not_there() {
    let folder = folder(&[]);
    let Err(error) = open(&SourceConfig::Csv(config(&folder.path().join("gone"))), &Cancel::default()) else {
        panic!("there is no such folder")
    };
    assert!(error.kind.is_environment());
    assert!(error.to_string().starts_with("opening csv folder "), "{error}");
    assert!(error.hint.unwrap().contains("source.path"));
}

#[test]
fn a_folder_says_which_it_is() {
    let folder = folder(&[]);
    std::fs::create_dir(folder.path().join("in")).unwrap();
    let source = open_source(config(&folder.path().join("in").join("..")));
    let path = folder.path().canonicalize().unwrap().display().to_string();
    assert_eq!(source.identity().facts["path"], path);
}

#[test]
fn a_file_that_grows_is_left_for_later() {
    let folder = folder(&[("a-1.csv", b"a\n1\n"), ("a-2.csv", b"a\n2")]);
    let age = |name: &str, secs: u64| {
        let file = std::fs::File::options().append(true).open(folder.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(secs)).unwrap();
        file
    };
    age("a-1.csv", 7_200);
    let mut growing = age("a-2.csv", 0);
    let mut source = open_source(CsvConfig { settle: Duration::from_secs(3_600), ..config(folder.path()) });
    assert_eq!(read(source.as_mut()).unwrap(), ["a _file _line", "0: 1 a-1.csv #2"]);
    assert!(source.left_for_later().unwrap().contains("a-2.csv"));
    growing.write_all(b"2\n").unwrap();
    age("a-2.csv", 7_200);
    assert_eq!(read(source.as_mut()).unwrap(), ["a _file _line", "0: 22 a-2.csv #2", "1: 1 a-1.csv #2"]);
    assert_eq!(source.left_for_later(), None);
}

#[test]
fn a_file_that_is_written_while_it_is_read_fails_the_run() {
    let row = b"some;text\n".repeat(200_000);
    let folder = folder(&[("a.csv", &row)]);
    let mut source = open_source(config(folder.path()));
    source.ask(&Ask::default()).unwrap();
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows);
    // The reader waits for the run, a few batches into the file.
    let mut file = std::fs::File::options().append(true).open(folder.path().join("a.csv")).unwrap();
    file.write_all(b"more;text\n").unwrap();
    let error = loop {
        match source.next(&mut batch) {
            Ok(Fetched::Rows) => {}
            Ok(Fetched::End) => panic!("a file that was read half old and half new"),
            Err(error) => break error,
        }
    };
    assert!(error.message.contains("a.csv was written while it was read"), "{error}");
    assert_eq!(read(source.as_mut()).unwrap().len(), 200_001);
}
