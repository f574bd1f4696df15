//! Oracle's own driver that needs no client library.

use std::fmt::Write as _;
use std::time::Duration;

use engine_core::ports::SourceErrorKind;
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot, TypeRule};
use engine_spec::template::Bind;
use jiff::civil::DateTime;
use oracledb::{Config, Cursor, DbType, Metadata, OracleIntervalDS, OracleNumber, OracleTimestamp, Row, ToDbValue};
use secrecy::ExposeSecret;

use super::bind::{self, Given};
use super::descriptor::Descriptor;
use super::explain::thin as explain;
use super::moment::{Moment, Time, push_interval, push_moment};
use super::{Attempt, Connection, FETCH_ROWS};
use crate::failure::Problem;
use crate::slots::{push_bad, push_float};

/// Connects; the driver bounds the way to the socket, and the caller the rest.
pub(super) fn connect(descriptor: &Descriptor, limit: Duration) -> Result<Thin, Problem> {
    let mut config = Config::default();
    if let Some(folder) = &descriptor.config_dir {
        config = config.set_config_dir(folder);
    }
    if let Some(wallet) = &descriptor.wallet {
        config = config.set_wallet_location(wallet);
    }
    let password = descriptor.password.as_ref().map_or("", |password| password.expose_secret());
    let explain = |error| explain(&error, "");
    let config = config
        .set_credentials(&descriptor.username, password)
        .set_driver_name("engine")
        .set_transport_connect_timeout(Some(limit))
        .set_program("engine")
        .and_then(|config| config.set_connect_string(&descriptor.text))
        .map_err(explain)?;
    let connection = oracledb::connect(config).map_err(explain)?;
    Ok(Thin { place: descriptor.text.clone(), connection: Some(connection), reading: None, digits: String::new() })
}

/// A connection, and the answer that is being read.
pub(super) struct Thin {
    place: String,
    /// There until the farewell.
    connection: Option<oracledb::Connection>,
    reading: Option<Reading>,
    digits: String,
}

impl Thin {
    fn connection(&self) -> Result<&oracledb::Connection, Problem> {
        let lost = || Problem::new(SourceErrorKind::Network, "the session is lost");
        self.connection.as_ref().ok_or_else(lost)
    }
}

impl Drop for Thin {
    /// The driver waits for an answer to its farewell for as long as there is none: it counts as an attempt that hangs.
    fn drop(&mut self) {
        let _attempt = Attempt::begin(&self.place);
        self.reading = None;
        drop(self.connection.take());
    }
}

struct Reading {
    cursor: Cursor,
    forms: Vec<Form>,
    sql: String,
    /// A row for which the batch had no room.
    next: Option<Row>,
}

/// The contract of types, of both drivers.
pub(super) const TYPES: &[TypeRule] = &[
    TypeRule {
        types: &["number(p)"],
        kind: Kind::Int,
        note: "A whole number of more than 64 bits is an exact decimal.",
    },
    TypeRule {
        types: &["number", "number(p,s)", "float"],
        kind: Kind::Decimal,
        note: "Every digit at any scale; the server keeps no trailing zeros. A literal and most expressions are a `number` without precision.",
    },
    TypeRule {
        types: &["binary_float", "binary_double"],
        kind: Kind::Float,
        note: "`binary_float` by its shortest digits. What is not a finite number rejects the row.",
    },
    TypeRule { types: &["boolean"], kind: Kind::Bool, note: "Of 23ai and later." },
    TypeRule {
        types: &["varchar2", "nvarchar2", "clob", "nclob", "long", "long nvarchar", "rowid", "urowid"],
        kind: Kind::Text,
        note: "An empty text is no value, as everywhere in Oracle.",
    },
    TypeRule { types: &["char", "nchar"], kind: Kind::Text, note: "Without trailing blanks." },
    TypeRule { types: &["raw", "long raw", "blob"], kind: Kind::Bytes, note: "" },
    TypeRule {
        types: &["date", "timestamp"],
        kind: Kind::Civil,
        note: "Read in `source.timezone`; a `date` has seconds. A date before the year 1 rejects the row.",
    },
    TypeRule {
        types: &["timestamp with time zone", "timestamp with local time zone"],
        kind: Kind::Instant,
        note: "The session is in UTC.",
    },
    TypeRule { types: &["interval day to second"], kind: Kind::Time, note: "May be negative or beyond 24 hours." },
    TypeRule {
        types: &["interval year to month", "json", "xmltype", "object", "vector", "cursor", "bfile"],
        kind: Kind::Any,
        note: "Not read: convert it in the query, as in `JSON_SERIALIZE(…)`, `XMLSERIALIZE(…)` or `TO_CHAR(…)`.",
    },
];

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Int,
    Number,
    Float,
    Double,
    Bool,
    Text,
    Padded,
    Bytes,
    Civil,
    Instant,
    Interval,
    /// What has no form here, and what to do about it.
    Unknown(&'static str),
}

impl Form {
    fn of(column: &Metadata) -> Self {
        let db_type: &DbType = column.db_type();
        match db_type.name() {
            "DB_TYPE_NUMBER" if column.scale() == 0 && (1..=38).contains(&column.precision()) => Self::Int,
            "DB_TYPE_NUMBER" => Self::Number,
            "DB_TYPE_BINARY_FLOAT" => Self::Float,
            "DB_TYPE_BINARY_DOUBLE" => Self::Double,
            "DB_TYPE_BOOLEAN" => Self::Bool,
            "DB_TYPE_CHAR" | "DB_TYPE_NCHAR" => Self::Padded,
            "DB_TYPE_VARCHAR"
            | "DB_TYPE_NVARCHAR"
            | "DB_TYPE_LONG"
            | "DB_TYPE_LONG_NVARCHAR"
            | "DB_TYPE_CLOB"
            | "DB_TYPE_NCLOB"
            | "DB_TYPE_ROWID"
            | "DB_TYPE_UROWID" => Self::Text,
            "DB_TYPE_RAW" | "DB_TYPE_LONG_RAW" | "DB_TYPE_BLOB" => Self::Bytes,
            "DB_TYPE_DATE" | "DB_TYPE_TIMESTAMP" => Self::Civil,
            "DB_TYPE_TIMESTAMP_TZ" | "DB_TYPE_TIMESTAMP_LTZ" => Self::Instant,
            "DB_TYPE_INTERVAL_DS" => Self::Interval,
            "DB_TYPE_INTERVAL_YM" => Self::Unknown("months have no fixed length: use EXTRACT or TO_CHAR in the query"),
            "DB_TYPE_JSON" => Self::Unknown("use JSON_SERIALIZE in the query"),
            "DB_TYPE_XMLTYPE" => Self::Unknown("use XMLSERIALIZE in the query"),
            _ => Self::Unknown("convert it in the query"),
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Int => Kind::Int,
            Self::Number => Kind::Decimal,
            Self::Float | Self::Double => Kind::Float,
            Self::Bool => Kind::Bool,
            Self::Text | Self::Padded => Kind::Text,
            Self::Bytes => Kind::Bytes,
            Self::Civil => Kind::Civil,
            Self::Instant => Kind::Instant,
            Self::Interval => Kind::Time,
            Self::Unknown(_) => Kind::Any,
        }
    }
}

impl Connection for Thin {
    fn execute(&mut self, sql: &str) -> Result<(), Problem> {
        // An answer that was not read to its end ends with the next statement.
        self.reading = None;
        self.connection()?.execute(sql, &[]).map_err(|error| explain(&error, sql))?;
        Ok(())
    }

    fn ask_all(&mut self, sql: &str, rows_max: usize) -> Result<Vec<Vec<Option<String>>>, Problem> {
        let explain = |error: oracledb::Error| explain(&error, sql);
        let mut rows = Vec::new();
        for row in self.connection()?.query(sql, &[]).map_err(explain)?.take(rows_max) {
            let row = row.map_err(explain)?;
            let texts = (0..row.columns().len()).map(|place| row.get::<Option<String>>(place));
            rows.push(texts.collect::<Result<_, _>>().map_err(explain)?);
        }
        Ok(rows)
    }

    fn open(&mut self, sql: &str, binds: &[Bind]) -> Result<Columns, Problem> {
        self.reading = None;
        let given = bind::given(binds)?;
        let values = carry(&given, binds)?;
        let values: Vec<&dyn ToDbValue> = values.iter().map(|value| &**value).collect();
        let explain = |error: oracledb::Error| explain(&error, sql);
        let statement = self.connection()?.statement(sql).map_err(explain)?;
        let statement = statement.fetch_array_size(FETCH_ROWS).prefetch_rows(FETCH_ROWS).build().map_err(explain)?;
        if !statement.is_query() {
            return Err(Problem::no_columns());
        }
        let cursor = statement.query(&values).map_err(explain)?;
        let forms: Vec<Form> = cursor.columns().iter().map(Form::of).collect();
        let columns = cursor.columns().iter().zip(&forms).map(|(column, form)| Column {
            name: column.name().to_owned(),
            kind: form.kind(),
            source_type: super::source_type(&column.data_type()),
        });
        let columns = columns.collect();
        self.reading = Some(Reading { cursor, forms, sql: sql.to_owned(), next: None });
        Ok(columns)
    }

    fn fill(&mut self, columns: &Columns, batch: &mut RowBatch, rows_max: usize) -> Result<bool, Problem> {
        let Some(reading) = &mut self.reading else { return Ok(false) };
        loop {
            let row = match reading.next.take() {
                Some(row) => row,
                None => match reading.cursor.next() {
                    Some(row) => row.map_err(|error| explain(&error, &reading.sql))?,
                    None => {
                        self.reading = None;
                        return Ok(false);
                    }
                },
            };
            if batch.is_full() || batch.len() >= rows_max {
                reading.next = Some(row);
                return Ok(true);
            }
            for (place, (form, column)) in reading.forms.iter().zip(columns.iter()).enumerate() {
                push(*form, &row, place, column, &mut self.digits, batch)
                    .map_err(|error| explain(&error, &reading.sql))?;
            }
        }
    }

    fn set_limit(&mut self, limit: Duration) -> Result<(), Problem> {
        self.connection()?.set_call_timeout(Some(limit)).map_err(|error| explain(&error, ""))
    }

    fn interrupter(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        None
    }
}

/// The values in the driver's own forms.
fn carry(given: &[Given], binds: &[Bind]) -> Result<Vec<Box<dyn ToDbValue>>, Problem> {
    let one = |(place, value): (usize, &Given)| -> Result<Box<dyn ToDbValue>, Problem> {
        Ok(match value {
            Given::Null => Box::new(None::<String>),
            Given::Int(number) => Box::new(*number),
            Given::Number(digits) => Box::new(
                digits
                    .parse::<OracleNumber>()
                    .map_err(|error| Problem::bind(&binds[place], place + 1, &error.to_string()))?,
            ),
            Given::Text(text) => Box::new(text.clone()),
            Given::Bytes(bytes) => Box::new(bytes.clone()),
            Given::Timestamp(at) => Box::new(timestamp(*at)),
        })
    };
    given.iter().enumerate().map(one).collect()
}

fn timestamp(at: DateTime) -> OracleTimestamp {
    let small = |number: i8| number.unsigned_abs();
    OracleTimestamp::new_timestamp(
        at.year(),
        small(at.month()),
        small(at.day()),
        small(at.hour()),
        small(at.minute()),
        small(at.second()),
        at.subsec_nanosecond().unsigned_abs(),
    )
}

fn push(
    form: Form,
    row: &Row,
    place: usize,
    column: &Column,
    digits: &mut String,
    batch: &mut RowBatch,
) -> Result<(), oracledb::Error> {
    match form {
        Form::Int | Form::Number => match row.get::<Option<OracleNumber>>(place)? {
            Some(number) => {
                digits.clear();
                // Writing to a string does not fail.
                let _ = write!(digits, "{number}");
                push_number(form, digits, batch);
            }
            None => batch.push(Slot::Null),
        },
        Form::Float => match row.get::<Option<f32>>(place)? {
            // Through the shortest digits: 0.1 as four bytes is 0.1, not 0.10000000149011612.
            Some(number) => push_float(batch, column, number.to_string().parse().unwrap_or(f64::from(number))),
            None => batch.push(Slot::Null),
        },
        Form::Double => match row.get::<Option<f64>>(place)? {
            Some(number) => push_float(batch, column, number),
            None => batch.push(Slot::Null),
        },
        Form::Bool => match row.get::<Option<bool>>(place)? {
            Some(truth) => batch.push(Slot::Bool(truth)),
            None => batch.push(Slot::Null),
        },
        Form::Text | Form::Padded => push_text(form, row, place, batch)?,
        Form::Bytes => match row.get::<Option<&[u8]>>(place)? {
            Some(bytes) => batch.push_bytes(bytes),
            None => batch.push(Slot::Null),
        },
        Form::Civil | Form::Instant => match row.get::<Option<OracleTimestamp>>(place)? {
            Some(at) => push_moment(moment(at), column, batch),
            None => batch.push(Slot::Null),
        },
        Form::Interval => match row.get::<Option<OracleIntervalDS>>(place)? {
            Some(interval) => push_interval(interval.days(), time(interval), column, batch),
            None => batch.push(Slot::Null),
        },
        Form::Unknown(advice) => push_bad(batch, column, &format!("this type is not read; {advice}")),
    }
    Ok(())
}

/// Digits as they are; a whole number of a column without a fraction is one.
fn push_number(form: Form, digits: &str, batch: &mut RowBatch) {
    match digits.parse() {
        Ok(number) if form == Form::Int => batch.push(Slot::Int(number)),
        _ => batch.push_decimal(digits),
    }
}

fn push_text(form: Form, row: &Row, place: usize, batch: &mut RowBatch) -> Result<(), oracledb::Error> {
    // A row id is written out by the driver; all other text is lent.
    let owned;
    let text = match row.get::<Option<&str>>(place) {
        Ok(text) => text,
        Err(_) => {
            owned = row.get::<Option<String>>(place)?;
            owned.as_deref()
        }
    };
    match text {
        Some(text) if form == Form::Padded => batch.push_padded(text),
        Some(text) => batch.push_text(text),
        None => batch.push(Slot::Null),
    }
    Ok(())
}

/// A zoned value comes in UTC.
fn moment(at: OracleTimestamp) -> Moment {
    Moment {
        year: at.year().into(),
        month: at.month(),
        day: at.day(),
        time: Time {
            hours: at.hour().into(),
            minutes: at.minute().into(),
            seconds: at.second().into(),
            nanos: at.nanoseconds() as i32,
        },
        offset_secs: 0,
    }
}

fn time(interval: OracleIntervalDS) -> Time {
    Time {
        hours: interval.hours().into(),
        minutes: interval.minutes().into(),
        seconds: interval.seconds().into(),
        nanos: interval.nanoseconds(),
    }
}

#[cfg(test)]
mod tests {
    use engine_core::value::Cell;

    use super::super::moment::tests::check;
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        for (form, digits, expected) in [
            (Form::Int, "4711", Cell::Int(4711)),
            (Form::Int, "-999999999999999999", Cell::Int(-999_999_999_999_999_999)),
            (
                Form::Int,
                "99999999999999999999999999999999999999",
                Cell::Decimal("99999999999999999999999999999999999999"),
            ),
            (Form::Number, "4711", Cell::Decimal("4711")),
            (Form::Number, "-0.000000001", Cell::Decimal("-0.000000001")),
        ] {
            check(Kind::Any, |_, batch| push_number(form, digits, batch), expected);
        }
    }

    #[test]
    fn dates_are_readings_of_a_clock_and_zoned_ones_instants() {
        let at = moment(OracleTimestamp::new_timestamp(2025, 3, 30, 2, 30, 0, 5));
        for (kind, expected) in [
            (Kind::Civil, Cell::Civil { secs: 1_743_301_800, nanos: 5 }),
            (Kind::Instant, Cell::Instant { secs: 1_743_301_800, nanos: 5 }),
        ] {
            check(kind, |column, batch| push_moment(at, column, batch), expected);
        }
        let ides = moment(OracleTimestamp::new_timestamp(-44, 3, 15, 0, 0, 0, 0));
        check(Kind::Civil, |column, batch| push_moment(ides, column, batch), Cell::Bad("no date of the calendar"));
    }

    #[test]
    fn values_are_carried_in_the_drivers_forms() {
        let binds = [Bind { origin: "params.n".to_owned(), value: engine_spec::template::BindValue::Null }];
        let types = |value: Given| carry(&[value], &binds).map(|values| values[0].db_type().name().to_owned());
        assert_eq!(types(Given::Null).unwrap(), "DB_TYPE_VARCHAR");
        assert_eq!(types(Given::Number("12.50".to_owned())).unwrap(), "DB_TYPE_NUMBER");
        assert_eq!(types(Given::Timestamp(jiff::civil::date(2025, 1, 1).at(0, 0, 0, 0))).unwrap(), "DB_TYPE_TIMESTAMP");
        let problem = types(Given::Number("many".to_owned())).unwrap_err();
        assert!(problem.message.contains("params.n"), "{}", problem.message);
    }
}
