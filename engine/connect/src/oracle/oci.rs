//! The driver that loads Oracle's Instant Client.
//!
//! The library is looked for when the first such source opens, once for the process. It was never run against a
//! server here: what can be tested without the library is its absence.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use engine_spec::template::Bind;
use oracle::sql_type::{IntervalDS, OracleType, Timestamp, ToSql};
use oracle::{ResultSet, Row, SqlValue, Version};
use secrecy::ExposeSecret;

use super::bind::{self, Given};
use super::descriptor::Descriptor;
use super::explain::oci as explain;
use super::moment::{Moment, Time, push_interval, push_moment};
use super::{Connection, FETCH_ROWS};
use crate::failure::Problem;
use crate::slots::{push_bad, push_float};

/// The version of the client library, or why there is none.
pub(super) fn client() -> Result<String, String> {
    static CLIENT: OnceLock<Result<String, String>> = OnceLock::new();
    let found = CLIENT.get_or_init(|| match Version::client() {
        Ok(version) => Ok(version.to_string()),
        Err(error) => Err(error.to_string()),
    });
    found.clone()
}

/// Connects.
pub(super) fn connect(descriptor: &Descriptor, limit: Duration) -> Result<Oci, Problem> {
    let password = descriptor.password.as_ref().map_or("", |password| password.expose_secret());
    let connecting = oracle::Connector::new(&descriptor.username, password, &descriptor.text).connect();
    let connection = connecting.map_err(|error| explain(&error, ""))?;
    connection.set_call_timeout(Some(limit)).map_err(|error| explain(&error, ""))?;
    Ok(Oci { connection: Arc::new(connection), reading: None })
}

/// A connection, and the answer that is being read.
pub(super) struct Oci {
    connection: Arc<oracle::Connection>,
    reading: Option<(ResultSet<'static, Row>, String)>,
}

impl Connection for Oci {
    fn execute(&mut self, sql: &str) -> Result<(), Problem> {
        self.reading = None;
        self.connection.execute(sql, &[]).map_err(|error| explain(&error, sql))?;
        Ok(())
    }

    fn ask_all(&mut self, sql: &str, rows_max: usize) -> Result<Vec<Vec<Option<String>>>, Problem> {
        let explain = |error: oracle::Error| explain(&error, sql);
        let mut rows = Vec::new();
        for row in self.connection.query(sql, &[]).map_err(explain)?.take(rows_max) {
            let row = row.map_err(explain)?;
            let texts = row.sql_values().iter().map(|value| value.get::<Option<String>>());
            rows.push(texts.collect::<Result<_, _>>().map_err(explain)?);
        }
        Ok(rows)
    }

    fn open(&mut self, sql: &str, binds: &[Bind]) -> Result<Columns, Problem> {
        self.reading = None;
        let explain = |error: oracle::Error| explain(&error, sql);
        let values = carry(&bind::given(binds)?, binds)?;
        let values: Vec<&dyn ToSql> = values.iter().map(|value| &**value).collect();
        let mut builder = self.connection.statement(sql);
        let statement = builder.fetch_array_size(FETCH_ROWS).prefetch_rows(FETCH_ROWS).build().map_err(explain)?;
        if !statement.is_query() {
            return Err(Problem::no_columns());
        }
        let rows = statement.into_result_set::<Row>(&values).map_err(explain)?;
        let columns = rows.column_info().iter().map(|column| Column {
            name: column.name().to_owned(),
            kind: kind(column.oracle_type()),
            source_type: super::source_type(&column.oracle_type().to_string()),
        });
        let columns = columns.collect();
        self.reading = Some((rows, sql.to_owned()));
        Ok(columns)
    }

    fn fill(&mut self, columns: &Columns, batch: &mut RowBatch, rows_max: usize) -> Result<bool, Problem> {
        let Some((rows, sql)) = &mut self.reading else { return Ok(false) };
        while !batch.is_full() && batch.len() < rows_max {
            let Some(row) = rows.next() else {
                self.reading = None;
                return Ok(false);
            };
            let row = row.map_err(|error| explain(&error, sql))?;
            for (value, column) in row.sql_values().iter().zip(columns.iter()) {
                push(value, column, batch).map_err(|error| explain(&error, sql))?;
            }
        }
        Ok(true)
    }

    fn set_limit(&mut self, limit: Duration) -> Result<(), Problem> {
        self.connection.set_call_timeout(Some(limit)).map_err(|error| explain(&error, ""))
    }

    fn interrupter(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        let connection = Arc::clone(&self.connection);
        Some(Box::new(move || {
            // A call that has just ended cannot be broken off, and need not be.
            let _ = connection.break_execution();
        }))
    }
}

/// Digits of a NUMBER, bound as one: as text they would be read by the session's rules.
struct Digits(String);

impl ToSql for Digits {
    fn oratype(&self, _: &oracle::Connection) -> oracle::Result<OracleType> {
        Ok(OracleType::Number(0, -127))
    }

    fn to_sql(&self, value: &mut SqlValue<'_>) -> oracle::Result<()> {
        self.0.to_sql(value)
    }
}

fn carry(given: &[Given], binds: &[Bind]) -> Result<Vec<Box<dyn ToSql>>, Problem> {
    let one = |(place, value): (usize, &Given)| -> Result<Box<dyn ToSql>, Problem> {
        Ok(match value {
            Given::Null => Box::new(None::<String>),
            Given::Int(number) => Box::new(*number),
            Given::Number(digits) => Box::new(Digits(digits.clone())),
            Given::Text(text) => Box::new(text.clone()),
            Given::Bytes(bytes) => Box::new(bytes.clone()),
            Given::Timestamp(at) => {
                let small = |number: i8| u32::from(number.unsigned_abs());
                let time = Timestamp::new(
                    at.year().into(),
                    small(at.month()),
                    small(at.day()),
                    small(at.hour()),
                    small(at.minute()),
                    small(at.second()),
                    at.subsec_nanosecond().unsigned_abs(),
                );
                Box::new(time.map_err(|error| Problem::bind(&binds[place], place + 1, &error.to_string()))?)
            }
        })
    };
    given.iter().enumerate().map(one).collect()
}

fn kind(oracle_type: &OracleType) -> Kind {
    match oracle_type {
        OracleType::Number(1..=38, 0) => Kind::Int,
        OracleType::Number(..) | OracleType::Float(_) => Kind::Decimal,
        OracleType::Int64 | OracleType::UInt64 => Kind::Int,
        OracleType::BinaryFloat | OracleType::BinaryDouble => Kind::Float,
        OracleType::Boolean => Kind::Bool,
        OracleType::Varchar2(_)
        | OracleType::NVarchar2(_)
        | OracleType::Char(_)
        | OracleType::NChar(_)
        | OracleType::Long
        | OracleType::CLOB
        | OracleType::NCLOB
        | OracleType::Rowid => Kind::Text,
        OracleType::Raw(_) | OracleType::LongRaw | OracleType::BLOB => Kind::Bytes,
        OracleType::Date | OracleType::Timestamp(_) => Kind::Civil,
        OracleType::TimestampTZ(_) | OracleType::TimestampLTZ(_) => Kind::Instant,
        OracleType::IntervalDS(..) => Kind::Time,
        _ => Kind::Any,
    }
}

fn push(value: &SqlValue<'_>, column: &Column, batch: &mut RowBatch) -> oracle::Result<()> {
    if value.is_null()? {
        batch.push(Slot::Null);
        return Ok(());
    }
    match column.kind {
        Kind::Int => {
            let digits = value.get::<String>()?;
            match digits.parse() {
                Ok(number) => batch.push(Slot::Int(number)),
                Err(_) => batch.push_decimal(&digits),
            }
        }
        Kind::Decimal => batch.push_decimal(&value.get::<String>()?),
        Kind::Float => {
            // Through the digits that the driver writes, as with every other server.
            let number = if matches!(value.oracle_type()?, OracleType::BinaryFloat) {
                value.get::<f32>()?.to_string().parse().unwrap_or(f64::NAN)
            } else {
                value.get::<f64>()?
            };
            push_float(batch, column, number);
        }
        Kind::Bool => batch.push(Slot::Bool(value.get()?)),
        Kind::Text => {
            let text = value.get::<String>()?;
            if matches!(value.oracle_type()?, OracleType::Char(_) | OracleType::NChar(_)) {
                batch.push_padded(&text);
            } else {
                batch.push_text(&text);
            }
        }
        Kind::Bytes => batch.push_bytes(&value.get::<Vec<u8>>()?),
        Kind::Civil | Kind::Instant => push_moment(moment(&value.get()?), column, batch),
        Kind::Time => {
            let interval = value.get::<IntervalDS>()?;
            push_interval(interval.days(), time(&interval), column, batch);
        }
        _ => push_bad(batch, column, "this type is not read; convert it in the query"),
    }
    Ok(())
}

fn moment(at: &Timestamp) -> Moment {
    Moment {
        year: at.year(),
        month: at.month() as u8,
        day: at.day() as u8,
        time: Time {
            hours: at.hour() as i32,
            minutes: at.minute() as i32,
            seconds: at.second() as i32,
            nanos: at.nanosecond() as i32,
        },
        offset_secs: at.tz_offset(),
    }
}

fn time(interval: &IntervalDS) -> Time {
    Time {
        hours: interval.hours(),
        minutes: interval.minutes(),
        seconds: interval.seconds(),
        nanos: interval.nanoseconds(),
    }
}

#[cfg(test)]
mod tests {
    use engine_core::value::Cell;

    use super::*;

    #[test]
    fn without_the_library_the_error_says_so() {
        if let Err(message) = client() {
            assert!(message.contains("DPI-1047"), "{message}");
        }
    }

    #[test]
    fn an_offset_is_taken_off_and_a_date_keeps_its_reading() {
        let at = Timestamp::new(2025, 3, 30, 2, 30, 0, 0).and_then(|at| at.and_tz_hm_offset(2, 0)).unwrap();
        for (kind, expected) in [
            (Kind::Instant, Cell::Instant { secs: 1_743_294_600, nanos: 0 }),
            (Kind::Civil, Cell::Civil { secs: 1_743_301_800, nanos: 0 }),
        ] {
            let columns: Columns = [Column { name: "c".to_owned(), kind, source_type: "t".to_owned() }].into();
            let mut batch = RowBatch::new();
            batch.reset(&columns);
            push_moment(moment(&at), &columns[0], &mut batch);
            assert_eq!(batch.row(0).get(0), expected);
        }
    }
}
