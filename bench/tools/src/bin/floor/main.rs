//! The floor: rows of a database, as JSON by hand, in batches to the sink. No mapping, no check, no state.
//!
//! `floor postgres|mariadb read|post`: with `read`, the rows are counted and dropped. The statement is in `FEED_SQL`, the
//! addresses are in `PG_URL`, `MY_URL` and `SINK` (host and port).

mod json;
mod post;

use std::error::Error;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use json::{Civil, KEYS};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, Row, Value};
use post::Output;
use tokio_postgres::NoTls;
use tokio_postgres::types::{FromSql, Type};

/// Place of the first of the two times among the columns; those before it are texts, but for the id.
const FIRST_TIME: usize = 5;

/// A value as the server sent it.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

async fn postgres(sql: &str, mut output: Option<&mut Output>) -> Result<u64, Box<dyn Error>> {
    let (client, connection) = tokio_postgres::connect(&variable("PG_URL")?, NoTls).await?;
    tokio::spawn(connection);
    let mut stream = pin!(client.query_raw(sql, std::iter::empty::<i32>()).await?);
    let mut rows = 0;
    while let Some(row) = stream.try_next().await? {
        rows += 1;
        let Some(output) = output.as_deref_mut() else {
            continue;
        };
        for (at, key) in KEYS.iter().enumerate() {
            output.buffer.extend_from_slice(key);
            match row.try_get::<_, Option<Raw<'_>>>(at)? {
                None => output.buffer.extend_from_slice(b"null"),
                Some(Raw(value)) if at == 0 => json::integer(&mut output.buffer, i64::from_be_bytes(value.try_into()?)),
                Some(Raw(value)) if at >= FIRST_TIME => {
                    Civil::of_postgres(i64::from_be_bytes(value.try_into()?)).write(&mut output.buffer);
                }
                Some(Raw(value)) => json::text(&mut output.buffer, value),
            }
        }
        output.buffer.push(b'}');
        output.end_row()?;
    }
    Ok(rows)
}

async fn mariadb(sql: &str, mut output: Option<&mut Output>) -> Result<u64, Box<dyn Error>> {
    let mut connection = Conn::new(Opts::from_url(&variable("MY_URL")?)?).await?;
    let mut stream = connection.exec_stream::<Row, _, _>(sql, ()).await?;
    let mut rows = 0;
    while let Some(row) = stream.try_next().await? {
        rows += 1;
        let Some(output) = output.as_deref_mut() else {
            continue;
        };
        for (at, key) in KEYS.iter().enumerate() {
            output.buffer.extend_from_slice(key);
            match row.as_ref(at) {
                Some(Value::Int(value)) => json::integer(&mut output.buffer, *value),
                Some(Value::Bytes(value)) => json::text(&mut output.buffer, value),
                Some(&Value::Date(year, month, day, hour, minute, second, micros)) => {
                    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(u32::from);
                    let parts = [year.into(), month, day, hour, minute, second, micros / 1000];
                    Civil { parts }.write(&mut output.buffer);
                }
                _ => output.buffer.extend_from_slice(b"null"),
            }
        }
        output.buffer.push(b'}');
        output.end_row()?;
    }
    Ok(rows)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, what] = arguments.as_slice() else {
        return Err("usage: floor postgres|mariadb read|post".into());
    };
    let mut output = match what.as_str() {
        "post" => Some(Output::connect(&variable("SINK")?)?),
        "read" => None,
        other => return Err(format!("{other} is neither read nor post").into()),
    };
    let sql = variable("FEED_SQL")?;
    let rows = match database.as_str() {
        "postgres" => postgres(&sql, output.as_mut()).await?,
        "mariadb" => mariadb(&sql, output.as_mut()).await?,
        other => return Err(format!("{other} is neither postgres nor mariadb").into()),
    };
    if let Some(output) = output {
        output.finish()?;
    }
    eprintln!("{rows} rows");
    Ok(())
}
