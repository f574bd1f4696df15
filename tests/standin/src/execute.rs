//! Runs SQLite's SQL on a thread of its own and gives the rows on as they come.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use rusqlite::{Connection, ErrorCode};

use crate::compile::Output;
use crate::errors::{self, Fallible, from_sqlite};
use crate::functions;
use crate::types::Class;
use crate::{Outcome, Parameter, Product, ServerError, Sink, Value, moment, variant};

/// How often a sink is asked while no row comes.
const IDLE: Duration = Duration::from_millis(20);
/// Rows that wait for the sink.
const ROWS_AHEAD: usize = 64;
/// How long a statement waits before it tries again for a lock.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// A statement for SQLite.
pub(crate) struct Work<'a> {
    pub product: Product,
    pub sql: &'a str,
    pub parameters: &'a [Parameter],
    pub columns: &'a [Output],
    pub zone: &'a TimeZone,
    /// How long to wait for a lock; for ever where there is none.
    pub lock_timeout: Option<Duration>,
}

/// How it ended, and how many rows came or were changed.
pub(crate) struct Ended {
    pub outcome: Outcome,
    pub rows: u64,
}

enum Message {
    Row(Vec<Value>),
    Done(u64),
    Failed(ServerError),
    Interrupted,
}

/// Runs a statement to its end, or until the sink or another session ends it.
pub(crate) fn run(
    connection: &mut Connection,
    work: &Work,
    killed: &AtomicBool,
    sink: &mut dyn Sink,
) -> Fallible<Ended> {
    let interrupt = connection.get_interrupt_handle();
    let stopped = AtomicBool::new(false);
    let (sender, receiver) = sync_channel(ROWS_AHEAD);
    std::thread::scope(|scope| {
        let given_up = &stopped;
        scope.spawn(move || worker(connection, work, given_up, &sender));
        let ended = take(&receiver, killed, sink);
        if !matches!(ended, Ok(Ended { outcome: Outcome::Complete, .. })) {
            stopped.store(true, Ordering::SeqCst);
            // The worker may be between two steps, where an interrupt has nothing to stop: ask until it has ended.
            loop {
                interrupt.interrupt();
                match receiver.recv_timeout(IDLE) {
                    Err(RecvTimeoutError::Disconnected) => break,
                    Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                }
            }
        }
        ended
    })
}

fn take(receiver: &Receiver<Message>, killed: &AtomicBool, sink: &mut dyn Sink) -> Fallible<Ended> {
    let mut rows = 0;
    let mut asked = Instant::now();
    loop {
        if asked.elapsed() >= IDLE {
            asked = Instant::now();
            if killed.load(Ordering::SeqCst) {
                return Ok(Ended { outcome: Outcome::Killed, rows });
            }
            if sink.idle() == ControlFlow::Break(()) {
                return Ok(Ended { outcome: Outcome::Cancelled, rows });
            }
        }
        match receiver.recv_timeout(IDLE) {
            Ok(Message::Row(row)) => {
                rows += 1;
                if sink.row(&row) == ControlFlow::Break(()) {
                    return Ok(Ended { outcome: Outcome::Cancelled, rows });
                }
            }
            Ok(Message::Done(changed)) => return Ok(Ended { outcome: Outcome::Complete, rows: rows.max(changed) }),
            Ok(Message::Failed(raised)) => return Err(raised),
            Ok(Message::Interrupted) | Err(RecvTimeoutError::Disconnected) => {
                return Ok(Ended { outcome: Outcome::Cancelled, rows });
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn worker(connection: &mut Connection, work: &Work, stopped: &AtomicBool, sender: &SyncSender<Message>) {
    let begun = Instant::now();
    loop {
        let message = match steps(connection, work, stopped, sender) {
            Ok(changed) => Message::Done(changed),
            Err(failure) => match failure.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => Message::Interrupted,
                // Nothing is won by waiting: the transaction has read what another has changed since.
                Some(ErrorCode::DatabaseBusy) if is_stale(&failure) => Message::Failed(errors::either(
                    work.product,
                    (3960, "Snapshot isolation transaction aborted due to update conflict.".to_owned()),
                    (8177, "can't serialize access for this transaction"),
                )),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                    if work.lock_timeout.is_none_or(|most| begun.elapsed() < most) =>
                {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    std::thread::sleep(LOCK_RETRY);
                    continue;
                }
                _ => Message::Failed(from_sqlite(work.product, &failure)),
            },
        };
        // Nobody listens where the statement was given up.
        let _ = sender.send(message);
        return;
    }
}

fn is_stale(failure: &rusqlite::Error) -> bool {
    failure.sqlite_error().is_some_and(|code| code.extended_code == rusqlite::ffi::SQLITE_BUSY_SNAPSHOT)
}

fn steps(
    connection: &Connection,
    work: &Work,
    stopped: &AtomicBool,
    sender: &SyncSender<Message>,
) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare(work.sql)?;
    for at in 1..=statement.parameter_count() {
        let value = work.parameters.get(at - 1).map_or(Value::Null, |parameter| stored(work.product, parameter));
        statement.raw_bind_parameter(at, functions::to_sqlite(value))?;
    }
    if statement.column_count() == 0 {
        return statement.raw_execute().map(|changed| changed as u64);
    }
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let cells = work.columns.iter().enumerate().map(|(at, column)| {
            let value = functions::from_sqlite(row.get_ref(at)?);
            Ok(shown(value, column, work.zone))
        });
        let cells = cells.collect::<rusqlite::Result<Vec<_>>>()?;
        if stopped.load(Ordering::SeqCst) || sender.send(Message::Row(cells)).is_err() {
            break;
        }
    }
    Ok(0)
}

/// A bound value in the form in which SQLite compares it.
fn stored(product: Product, parameter: &Parameter) -> Value {
    let ty = crate::types::Type::parse(product, &parameter.declared);
    match (&parameter.value, ty.map(|ty| ty.class())) {
        (Value::Text(text), _) if text.is_empty() && product == Product::Oracle => Value::Null,
        (Value::Int(whole), Some(Class::Decimal)) => Value::Text(whole.to_string()),
        (Value::Float(float), Some(Class::Decimal)) => crate::number::of(&Value::Float(*float))
            .map_or(Value::Null, |number| Value::Text(crate::number::trimmed(&number))),
        (Value::Int(whole), Some(Class::Float)) => Value::Float(*whole as f64),
        (value, Some(Class::Variant)) if *value != Value::Null => variant::inside(value),
        (Value::Text(text), Some(Class::Uuid)) => Value::Text(text.to_lowercase()),
        (value, _) => value.clone(),
    }
}

/// A value as the client sees it.
fn shown(value: Value, column: &Output, zone: &TimeZone) -> Value {
    match (column.ty.class(), &value) {
        (Class::Local, Value::Text(text)) => {
            let instant =
                moment::read(text, moment::DATE_ORDER).and_then(|moment| moment.instant(jiff::tz::Offset::UTC));
            instant.map_or(value, |instant| Value::Text(moment::civil(zone.to_datetime(instant))))
        }
        (Class::Variant, _) => variant::outside(value),
        (Class::Float, Value::Int(whole)) => Value::Float(*whole as f64),
        (Class::Decimal, Value::Int(whole)) => Value::Text(whole.to_string()),
        _ => value,
    }
}
