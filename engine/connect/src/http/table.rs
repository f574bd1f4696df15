//! A page of CSV: its lines as rows, read as those of a file are.

use std::collections::BTreeSet;
use std::io::Read;

use engine_core::ports::SourceErrorKind;
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use xxhash_rust::xxh3::Xxh3;

use crate::csv::{COLUMNS_MAX, Cells, Format, LINE_COLUMN, Records, next_row, open_text, read_names};
use crate::failure::Problem;

/// Characters of a foreign first line that a message quotes.
const NAMES_CHARS_SHOWN_MAX: usize = 200;

/// The lines of a page.
pub(super) struct Table<'a> {
    /// Without a byte order mark, in bytes among which ASCII is ASCII.
    bytes: Vec<u8>,
    cells: Cells,
    format: &'a Format,
    names: Vec<String>,
    /// What the page is called: the path of its address.
    place: &'a str,
}

/// The lines of a page, one after the other, as rows of a result.
pub(super) struct Rows<'t> {
    table: &'t Table<'t>,
    records: Records<&'t [u8]>,
    cells: Vec<From>,
}

/// Where the value of a column comes from.
#[derive(Clone, Copy)]
enum From {
    Field(usize),
    Line,
    Nothing,
}

impl<'a> Table<'a> {
    /// Reads the names of the columns.
    pub(super) fn read(body: &[u8], format: &'a Format, place: &'a str) -> Result<Self, Problem> {
        let wrong = |message: String| {
            Problem::new(SourceErrorKind::Data, format!("the answer to {place}: {message}"))
                .hint("Check `source.csv`: the first line names the columns, where `columns` does not.")
        };
        let mut bytes = Vec::new();
        let opened = open_text(std::io::Cursor::new(body.to_vec()), false, format.encoding);
        let mut opened = opened.map_err(|error| wrong(error.to_string()))?;
        opened.bytes.read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
        let mut table = Self { bytes, cells: opened.cells, format, names: format.columns.clone(), place };
        if table.names.is_empty() {
            let names = read_names(&mut table.records(), table.cells).map_err(|error| wrong(error.to_string()))?;
            table.names = names.transpose().map_err(wrong)?.unwrap_or_default();
        }
        if table.names.len() > COLUMNS_MAX {
            return Err(wrong(format!("there are more than {COLUMNS_MAX} columns")));
        }
        Ok(table)
    }

    /// A first line without a single column that the spec reads is a message, not a table: what a server says of its
    /// own trouble must not look like "no rows".
    pub(super) fn check(&self, named: &BTreeSet<String>) -> Result<(), Problem> {
        let is_named = |name: &String| named.iter().any(|column| column.eq_ignore_ascii_case(name));
        if self.names.is_empty() || named.is_empty() || self.names.iter().any(is_named) {
            return Ok(());
        }
        let first: String = self.names.join(", ").chars().take(NAMES_CHARS_SHOWN_MAX).collect();
        let message = format!(
            "the first line of the answer to {} names no column that the spec reads; it names: {first}",
            self.place
        );
        Err(Problem::new(SourceErrorKind::Data, message)
            .hint("Check `source.csv.delimiter`, and whether the API reports a failure in its answer."))
    }

    fn records(&self) -> Records<&[u8]> {
        Records::new(&self.bytes, self.format.dialect)
    }

    /// Hashes of the rows, in order; a broken line is one too.
    pub(super) fn items(&self) -> Vec<u64> {
        let mut rows = self.rows(&Columns::from(Vec::new()));
        let mut items = Vec::new();
        while let Some((line, broken)) = rows.next() {
            let mut hash = Xxh3::new();
            match broken {
                Some(reason) => {
                    hash.update(&line.to_le_bytes());
                    hash.update(reason.as_bytes());
                }
                None => rows.records.fields().for_each(|field| {
                    hash.update(&field.len().to_le_bytes());
                    hash.update(field);
                }),
            }
            items.push(hash.digest());
        }
        items
    }

    /// The columns that the page names, and the line on which a row begins.
    pub(super) fn columns(&self) -> Columns {
        let column = |name: &str, kind| Column { name: name.to_owned(), kind, source_type: "csv".to_owned() };
        let mut columns: Vec<Column> = self.names.iter().map(|name| column(name, Kind::Text)).collect();
        if !self.names.iter().any(|name| name.eq_ignore_ascii_case(LINE_COLUMN)) {
            columns.push(column(LINE_COLUMN, Kind::Int));
        }
        columns.into()
    }

    /// The rows, for these columns: a later page may name them in another order.
    pub(super) fn rows(&self, columns: &Columns) -> Rows<'_> {
        let mut taken = vec![false; self.names.len()];
        let mut field = |same: &dyn Fn(&str) -> bool| {
            let place = self.names.iter().enumerate().position(|(place, name)| !taken[place] && same(name))?;
            taken[place] = true;
            Some(From::Field(place))
        };
        let cells = columns.iter().map(|column| {
            let found =
                field(&|name| name == column.name).or_else(|| field(&|name| name.eq_ignore_ascii_case(&column.name)));
            found.unwrap_or(if column.name == LINE_COLUMN { From::Line } else { From::Nothing })
        });
        let cells = cells.collect();
        let mut records = self.records();
        if self.format.columns.is_empty() {
            // Seen already.
            let _ = read_names(&mut records, self.cells);
        }
        Rows { table: self, records, cells }
    }
}

impl Rows<'_> {
    fn next(&mut self) -> Option<(u64, Option<String>)> {
        let named_by = if self.table.format.columns.is_empty() { "the header has" } else { "`columns` has" };
        // Reading from memory does not fail.
        next_row(&mut self.records, &self.table.names, named_by).ok().flatten()
    }

    /// Passes over a row.
    pub(super) fn skip(&mut self) {
        self.next();
    }

    /// Appends the next row; one that only says where it stands and why it is none, where the line is broken.
    pub(super) fn push_next(&mut self, batch: &mut RowBatch) {
        let Some((line, broken)) = self.next() else { return };
        let at = |reason: &str| format!("{} line {line}: {reason}", self.table.place);
        let number = Slot::Int(i64::try_from(line).unwrap_or(i64::MAX));
        if let Some(reason) = broken {
            let last = matches!(self.cells.last(), Some(From::Line));
            batch.push_unreadable(self.cells.len() - usize::from(last), &at(&reason));
            if last {
                batch.push(number);
            }
            return;
        }
        for from in &self.cells {
            match from {
                From::Field(place) if *place < self.records.width() => {
                    self.table.format.push_cell(batch, self.table.cells, self.records.field(*place), at);
                }
                From::Line => batch.push(number),
                From::Field(_) | From::Nothing => batch.push(Slot::Null),
            }
        }
    }
}
