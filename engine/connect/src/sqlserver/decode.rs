//! From the driver's values to slots.

use std::fmt::Write as _;

use engine_core::value::{Column, Columns, Kind, RowBatch, Slot, TypeRule};
use tiberius::numeric::Numeric;
use tiberius::{ColumnData, ColumnType, Row, time as wire};

use super::bind::EPOCH_DAY;
use super::describe::Described;
use crate::slots::{DAY_SECS, push_bad, push_float};

/// Days from 1900-01-01, where `datetime` begins to count, to 1970-01-01.
const EPOCH_DAY_1900: i64 = 25_567;
/// Steps of a second in `datetime`.
const TICKS: i64 = 300;
const SECOND_NANOS: u64 = 1_000_000_000;
const MILLI_NANOS: u32 = 1_000_000;
/// Money up to here is told apart to its last digit by the driver's binary float.
const EXACT_MONEY_MAX: f64 = 9.0e11;

/// The contract of types.
pub(super) const TYPES: &[TypeRule] = &[
    TypeRule { types: &["bit"], kind: Kind::Bool, note: "" },
    TypeRule { types: &["tinyint", "smallint", "int", "bigint"], kind: Kind::Int, note: "" },
    TypeRule { types: &["real", "float"], kind: Kind::Float, note: "`real` by its shortest digits: 0.1 stays 0.1." },
    TypeRule { types: &["decimal", "numeric"], kind: Kind::Decimal, note: "Every digit, trailing zeros included." },
    TypeRule {
        types: &["money", "smallmoney"],
        kind: Kind::Decimal,
        note: "Exact, with four digits after the point. SQL Server 2008 cannot convert it: there, more than 900 billion rejects the row.",
    },
    TypeRule {
        types: &["nvarchar", "ntext", "varchar", "text", "xml"],
        kind: Kind::Text,
        note: "Text in a code page that the driver cannot read is converted by the server. A byte that is no character, or half a character of Unicode, rejects the row.",
    },
    TypeRule { types: &["nchar", "char"], kind: Kind::Text, note: "As above, without trailing blanks." },
    TypeRule { types: &["uniqueidentifier"], kind: Kind::Text, note: "In lower case, with dashes." },
    TypeRule {
        types: &["binary", "varbinary", "image", "timestamp", "a type of .NET"],
        kind: Kind::Bytes,
        note: "`timestamp` is what `rowversion` is called in results; it can be a cursor. Types of .NET (`geometry`, `hierarchyid`) come as the server stores them.",
    },
    TypeRule { types: &["date"], kind: Kind::Date, note: "" },
    TypeRule { types: &["time"], kind: Kind::Time, note: "To 100 ns." },
    TypeRule {
        types: &["smalldatetime", "datetime", "datetime2"],
        kind: Kind::Civil,
        note: "Read in `source.timezone`. `datetime` lies on a grid of 1/300 s and is read in milliseconds, as the server shows it; `datetime2` to 100 ns.",
    },
    TypeRule { types: &["datetimeoffset"], kind: Kind::Instant, note: "To 100 ns." },
    TypeRule {
        types: &["sql_variant"],
        kind: Kind::Any,
        note: "Each value is what it was stored as; money in it is a binary float.",
    },
    TypeRule { types: &["null"], kind: Kind::Any, note: "A column of nothing but nulls." },
];

/// Reads the rows of one result.
#[derive(Debug)]
pub(super) struct Decoder {
    types: Vec<ColumnType>,
    digits: String,
}

impl Decoder {
    /// `described` has the columns as the statement names them, where the server converted them or told their types.
    pub(super) fn new(columns: &[tiberius::Column], described: Option<&[Described]>) -> (Self, Columns) {
        let described = described.filter(|described| described.len() == columns.len());
        let types: Vec<ColumnType> = columns.iter().map(tiberius::Column::column_type).collect();
        let named = columns.iter().enumerate().map(|(place, column)| {
            let described = described.map(|described| &described[place]);
            Column {
                name: described.map_or(column.name(), |described| &described.name).to_owned(),
                kind: kind(column.column_type()),
                source_type: described
                    .and_then(|described| described.declared.clone())
                    .unwrap_or_else(|| name(column.column_type()).to_owned()),
            }
        });
        (Self { types, digits: String::new() }, named.collect())
    }

    /// Appends one row.
    pub(super) fn push_row(&mut self, row: Row, columns: &Columns, batch: &mut RowBatch) {
        let mut values = row.into_iter();
        for (column_type, column) in self.types.iter().zip(columns.iter()) {
            match values.next() {
                Some(value) => push(*column_type, value, column, &mut self.digits, batch),
                None => batch.push(Slot::Null),
            }
        }
    }
}

fn kind(column_type: ColumnType) -> Kind {
    match column_type {
        ColumnType::Bit | ColumnType::Bitn => Kind::Bool,
        ColumnType::Int1 | ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8 | ColumnType::Intn => Kind::Int,
        ColumnType::Float4 | ColumnType::Float8 | ColumnType::Floatn => Kind::Float,
        ColumnType::Money | ColumnType::Money4 | ColumnType::Decimaln | ColumnType::Numericn => Kind::Decimal,
        ColumnType::Datetime4 | ColumnType::Datetime | ColumnType::Datetimen | ColumnType::Datetime2 => Kind::Civil,
        ColumnType::DatetimeOffsetn => Kind::Instant,
        ColumnType::Daten => Kind::Date,
        ColumnType::Timen => Kind::Time,
        ColumnType::BigVarBin | ColumnType::BigBinary | ColumnType::Image | ColumnType::Udt => Kind::Bytes,
        ColumnType::Guid
        | ColumnType::BigVarChar
        | ColumnType::BigChar
        | ColumnType::NVarchar
        | ColumnType::NChar
        | ColumnType::Xml
        | ColumnType::Text
        | ColumnType::NText => Kind::Text,
        ColumnType::SSVariant | ColumnType::Null => Kind::Any,
    }
}

/// The type in the server's words, as far as the protocol tells it.
fn name(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Bit | ColumnType::Bitn => "bit",
        ColumnType::Int1 => "tinyint",
        ColumnType::Int2 => "smallint",
        ColumnType::Int4 | ColumnType::Intn => "int",
        ColumnType::Int8 => "bigint",
        ColumnType::Float4 => "real",
        ColumnType::Float8 | ColumnType::Floatn => "float",
        ColumnType::Money => "money",
        ColumnType::Money4 => "smallmoney",
        ColumnType::Decimaln => "decimal",
        ColumnType::Numericn => "numeric",
        ColumnType::Datetime4 => "smalldatetime",
        ColumnType::Datetime | ColumnType::Datetimen => "datetime",
        ColumnType::Datetime2 => "datetime2",
        ColumnType::DatetimeOffsetn => "datetimeoffset",
        ColumnType::Daten => "date",
        ColumnType::Timen => "time",
        ColumnType::BigVarBin => "varbinary",
        ColumnType::BigBinary => "binary",
        ColumnType::Image => "image",
        ColumnType::Udt => "a type of .NET",
        ColumnType::Guid => "uniqueidentifier",
        ColumnType::BigVarChar => "varchar",
        ColumnType::BigChar => "char",
        ColumnType::NVarchar => "nvarchar",
        ColumnType::NChar => "nchar",
        ColumnType::Xml => "xml",
        ColumnType::Text => "text",
        ColumnType::NText => "ntext",
        ColumnType::SSVariant => "sql_variant",
        ColumnType::Null => "null",
    }
}

fn push(column_type: ColumnType, value: ColumnData<'_>, column: &Column, digits: &mut String, batch: &mut RowBatch) {
    match value {
        ColumnData::Bit(Some(truth)) => batch.push(Slot::Bool(truth)),
        ColumnData::U8(Some(number)) => batch.push(Slot::Int(number.into())),
        ColumnData::I16(Some(number)) => batch.push(Slot::Int(number.into())),
        ColumnData::I32(Some(number)) => batch.push(Slot::Int(number.into())),
        ColumnData::I64(Some(number)) => batch.push(Slot::Int(number)),
        // Through the shortest digits: 0.1 as four bytes is 0.1, not 0.10000000149011612.
        ColumnData::F32(Some(number)) => {
            push_float(batch, column, number.to_string().parse().unwrap_or(f64::from(number)));
        }
        ColumnData::F64(Some(number)) if kind(column_type) == Kind::Decimal => {
            push_money(number, column, digits, batch);
        }
        ColumnData::F64(Some(number)) => push_float(batch, column, number),
        ColumnData::Numeric(Some(number)) => {
            write_decimal(digits, number);
            batch.push_decimal(digits);
        }
        ColumnData::String(Some(text)) => push_text(column_type, &text, column, batch),
        ColumnData::Xml(Some(xml)) => batch.push_text(xml.as_ref().as_ref()),
        ColumnData::Guid(Some(id)) => {
            digits.clear();
            // Writing to a string does not fail.
            let _ = write!(digits, "{id}");
            batch.push_text(digits);
        }
        ColumnData::Binary(Some(bytes)) => batch.push_bytes(&bytes),
        ColumnData::DateTime(Some(at)) => batch.push(date_time(at)),
        ColumnData::SmallDateTime(Some(at)) => {
            let secs = (i64::from(at.days()) - EPOCH_DAY_1900) * DAY_SECS + i64::from(at.seconds_fragments()) * 60;
            batch.push(Slot::Civil { secs, nanos: 0 });
        }
        ColumnData::Date(Some(date)) => batch.push(Slot::Date(epoch_day(date))),
        ColumnData::Time(Some(time)) => batch.push(Slot::Time(nanos(time) as i64)),
        ColumnData::DateTime2(Some(at)) => {
            let (secs, nanos) = seconds(at);
            batch.push(Slot::Civil { secs, nanos });
        }
        // On the wire it is in UTC, whatever its offset.
        ColumnData::DateTimeOffset(Some(at)) => {
            let (secs, nanos) = seconds(at.datetime2());
            batch.push(Slot::Instant { secs, nanos });
        }
        _ => batch.push(Slot::Null),
    }
}

fn push_text(column_type: ColumnType, text: &str, column: &Column, batch: &mut RowBatch) {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        push_bad(batch, column, "the text holds bytes that are no character of its code page, or half a character");
    } else if matches!(column_type, ColumnType::BigChar | ColumnType::NChar) {
        batch.push_padded(text);
    } else {
        batch.push_text(text);
    }
}

/// Money that the server could not convert: exact as long as the float tells its last digit.
fn push_money(number: f64, column: &Column, digits: &mut String, batch: &mut RowBatch) {
    if number.abs() > EXACT_MONEY_MAX {
        push_bad(batch, column, "so much money arrives rounded: cast it in the query, AS decimal(19, 4)");
    } else {
        write_decimal(digits, Numeric::new_with_scale((number * 10_000.0).round() as i128, 4));
        batch.push_decimal(digits);
    }
}

fn write_decimal(out: &mut String, number: Numeric) {
    out.clear();
    let scale = usize::from(number.scale());
    let sign = if number.value() < 0 { "-" } else { "" };
    // At least one digit before the point. Writing to a string does not fail.
    let _ = write!(out, "{sign}{:0width$}", number.value().unsigned_abs(), width = scale + 1);
    if scale > 0 {
        out.insert(out.len() - scale, '.');
    }
}

/// A reading of the clock on the grid of 1/300 s, rounded to milliseconds as the server shows it.
fn date_time(at: wire::DateTime) -> Slot {
    let ticks = i64::from(at.seconds_fragments());
    let millis = ((ticks % TICKS) * 10 + 1) / 3;
    let secs = (i64::from(at.days()) - EPOCH_DAY_1900) * DAY_SECS + ticks / TICKS;
    Slot::Civil { secs, nanos: millis as u32 * MILLI_NANOS }
}

fn epoch_day(date: wire::Date) -> i32 {
    date.days() as i32 - EPOCH_DAY
}

/// Nanoseconds since midnight.
fn nanos(time: wire::Time) -> u64 {
    time.increments().saturating_mul(10_u64.pow(9_u32.saturating_sub(time.scale().into())))
}

fn seconds(at: wire::DateTime2) -> (i64, u32) {
    let nanos = nanos(at.time());
    let secs = i64::from(epoch_day(at.date())) * DAY_SECS + (nanos / SECOND_NANOS) as i64;
    (secs, (nanos % SECOND_NANOS) as u32)
}

#[cfg(test)]
mod tests {
    use engine_core::value::Cell;

    use super::*;

    fn check(column_type: ColumnType, value: ColumnData<'_>, expected: Cell<'_>) {
        let columns: Columns =
            [Column { name: "c".to_owned(), kind: kind(column_type), source_type: name(column_type).to_owned() }]
                .into();
        let mut batch = RowBatch::new();
        batch.reset(&columns);
        push(column_type, value, &columns[0], &mut String::new(), &mut batch);
        match (batch.row(0).get(0), expected) {
            (Cell::Bad(why), Cell::Bad(part)) => assert!(why.contains(part), "{why}"),
            (seen, expected) => assert_eq!(seen, expected, "{column_type:?}"),
        }
    }

    fn numeric(value: i128, scale: u8) -> ColumnData<'static> {
        ColumnData::Numeric(Some(Numeric::new_with_scale(value, scale)))
    }

    const ALL: &[ColumnType] = &[
        ColumnType::Null,
        ColumnType::Bit,
        ColumnType::Int1,
        ColumnType::Int2,
        ColumnType::Int4,
        ColumnType::Int8,
        ColumnType::Datetime4,
        ColumnType::Float4,
        ColumnType::Float8,
        ColumnType::Money,
        ColumnType::Datetime,
        ColumnType::Money4,
        ColumnType::Guid,
        ColumnType::Intn,
        ColumnType::Bitn,
        ColumnType::Decimaln,
        ColumnType::Numericn,
        ColumnType::Floatn,
        ColumnType::Datetimen,
        ColumnType::Daten,
        ColumnType::Timen,
        ColumnType::Datetime2,
        ColumnType::DatetimeOffsetn,
        ColumnType::BigVarBin,
        ColumnType::BigVarChar,
        ColumnType::BigBinary,
        ColumnType::BigChar,
        ColumnType::NVarchar,
        ColumnType::NChar,
        ColumnType::Xml,
        ColumnType::Udt,
        ColumnType::Text,
        ColumnType::Image,
        ColumnType::NText,
        ColumnType::SSVariant,
    ];

    #[test]
    fn the_contract_says_what_is_decoded() {
        for column_type in ALL {
            let shown = name(*column_type);
            let rules: Vec<&TypeRule> = TYPES.iter().filter(|rule| rule.types.contains(&shown)).collect();
            assert_eq!(rules.len(), 1, "{column_type:?}, shown as {shown}, stands in {} rules", rules.len());
            assert_eq!(rules[0].kind, kind(*column_type), "{column_type:?}");
        }
        // The protocol has no type of its own for a rowversion: the server's description names it.
        let shown: Vec<&str> = ALL.iter().map(|column_type| name(*column_type)).chain(["timestamp"]).collect();
        for name in TYPES.iter().flat_map(|rule| rule.types) {
            assert!(shown.contains(name), "{name} is not decoded");
        }
    }

    #[test]
    fn numbers() {
        check(ColumnType::Bitn, ColumnData::Bit(Some(true)), Cell::Bool(true));
        check(ColumnType::Int1, ColumnData::U8(Some(255)), Cell::Int(255));
        check(ColumnType::Int8, ColumnData::I64(Some(i64::MIN)), Cell::Int(i64::MIN));
        check(ColumnType::Float4, ColumnData::F32(Some(0.1)), Cell::Float(0.1));
        check(ColumnType::Float8, ColumnData::F64(Some(0.1)), Cell::Float(0.1));
        check(ColumnType::Decimaln, numeric(0, 0), Cell::Decimal("0"));
        check(ColumnType::Decimaln, numeric(-1250, 2), Cell::Decimal("-12.50"));
        check(ColumnType::Decimaln, numeric(5, 3), Cell::Decimal("0.005"));
        check(ColumnType::Numericn, numeric(-5, 1), Cell::Decimal("-0.5"));
        check(
            ColumnType::Decimaln,
            numeric(-99_999_999_999_999_999_999_999_999_999_999_999_999, 38),
            Cell::Decimal("-0.99999999999999999999999999999999999999"),
        );
        check(ColumnType::Int4, ColumnData::I32(None), Cell::Null);
    }

    #[test]
    fn money() {
        check(ColumnType::Money, ColumnData::F64(Some(12.5)), Cell::Decimal("12.5000"));
        check(ColumnType::Money4, ColumnData::F64(Some(-214_748.364_8)), Cell::Decimal("-214748.3648"));
        check(ColumnType::Money, ColumnData::F64(Some(899_999_999_999.000_1)), Cell::Decimal("899999999999.0001"));
        check(ColumnType::Money, ColumnData::F64(Some(922_337_203_685_477.0)), Cell::Bad("decimal(19, 4)"));
    }

    #[test]
    fn text() {
        let text = |text: &'static str| ColumnData::String(Some(text.into()));
        check(ColumnType::NVarchar, text("Müller "), Cell::Text("Müller "));
        check(ColumnType::BigChar, text("M1    "), Cell::Text("M1"));
        check(ColumnType::NChar, text("M1    "), Cell::Text("M1"));
        check(ColumnType::NVarchar, text("M\u{fffd}ller"), Cell::Bad("code page"));
        check(ColumnType::BigVarBin, ColumnData::Binary(Some(vec![0, 255].into())), Cell::Bytes(&[0, 255]));
        let id = "3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11";
        check(ColumnType::Guid, ColumnData::Guid(Some(id.parse().unwrap())), Cell::Text(id));
    }

    #[test]
    fn times() {
        let day = 20_177 * DAY_SECS;
        for (ticks, millis) in [(0, 0), (1, 3), (2, 7), (299, 997), (300, 1_000)] {
            let at = ColumnData::DateTime(Some(wire::DateTime::new(25_567 + 20_177, ticks)));
            let expected = Cell::Civil { secs: day + millis / 1_000, nanos: (millis % 1_000) as u32 * MILLI_NANOS };
            check(ColumnType::Datetimen, at, expected);
        }
        let before = wire::DateTime::new(-53_690, 25_920_000 - 1);
        check(
            ColumnType::Datetime,
            ColumnData::DateTime(Some(before)),
            Cell::Civil { secs: (-53_690 - 25_567) * DAY_SECS + 86_399, nanos: 997_000_000 },
        );
        check(
            ColumnType::Datetime4,
            ColumnData::SmallDateTime(Some(wire::SmallDateTime::new(25_567, 61))),
            Cell::Civil { secs: 3_660, nanos: 0 },
        );
        check(ColumnType::Daten, ColumnData::Date(Some(wire::Date::new(719_161))), Cell::Date(-1));
        check(ColumnType::Timen, ColumnData::Time(Some(wire::Time::new(1, 7))), Cell::Time(100));
        check(ColumnType::Timen, ColumnData::Time(Some(wire::Time::new(86_399, 0))), Cell::Time(86_399_000_000_000));
        let moment = wire::DateTime2::new(wire::Date::new(719_161), wire::Time::new(863_999_999_999, 7));
        let nanos = 999_999_900;
        check(ColumnType::Datetime2, ColumnData::DateTime2(Some(moment)), Cell::Civil { secs: -1, nanos });
        check(
            ColumnType::DatetimeOffsetn,
            ColumnData::DateTimeOffset(Some(wire::DateTimeOffset::new(moment, 120))),
            Cell::Instant { secs: -1, nanos },
        );
    }
}
