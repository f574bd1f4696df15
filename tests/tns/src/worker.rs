//! A thread per session runs its statements, so that the connection can look at the client while one computes, and
//! so that rows wait in a small queue until the client asks for them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use engine_standin::{Column, Outcome, Parameter, ServerError, Session, Sink, Value};

/// Rows that are handed over at once.
const BATCH_ROWS: usize = 64;
/// Bytes of text after which rows are handed over at once.
const BATCH_BYTES: usize = 64 << 10;
/// Batches that wait for the client.
const QUEUE_BATCHES: usize = 4;

/// What happens while a statement runs.
pub enum Event {
    /// A result begins.
    Columns(Vec<Column>),
    /// Rows of it.
    Rows(Vec<Vec<Value>>),
    /// A statement is done, so many rows were changed.
    Done(u64),
    /// All is done.
    End(Result<Outcome, ServerError>),
}

struct Job {
    sql: String,
    parameters: Vec<Parameter>,
    stop: Arc<AtomicBool>,
    events: SyncSender<Event>,
}

/// A session on its thread.
pub struct Worker {
    jobs: Sender<Job>,
}

/// A statement that runs or waits for its rows to be fetched. Dropping it stops it.
pub struct Running {
    /// What happens.
    pub events: Receiver<Event>,
    stop: Arc<AtomicBool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Worker {
    /// Starts the thread of a session. It ends with the worker.
    pub fn start(mut session: Box<dyn Session>) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        thread::Builder::new().name("tns session".to_owned()).spawn(move || {
            for job in waiting {
                let mut queue = Queue { events: job.events, stop: job.stop, rows: Vec::new(), bytes: 0 };
                let end = if session.is_killed() {
                    Ok(Outcome::Killed)
                } else {
                    session.run(&job.sql, &job.parameters, &mut queue)
                };
                // Nobody listens where the client has given the statement up.
                if queue.hand_over().is_continue() {
                    drop(queue.events.send(Event::End(end)));
                }
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs a statement after those that run already.
    pub fn run(&self, sql: &str, parameters: Vec<Parameter>) -> Running {
        let (events, received) = mpsc::sync_channel(QUEUE_BATCHES);
        let stop = Arc::new(AtomicBool::new(false));
        let job = Job { sql: sql.to_owned(), parameters, stop: Arc::clone(&stop), events };
        // Where the thread is gone, the queue is closed, which whoever waits for events notices.
        drop(self.jobs.send(job));
        Running { events: received, stop }
    }
}

struct Queue {
    events: SyncSender<Event>,
    stop: Arc<AtomicBool>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Queue {
    fn send(&self, event: Event) -> ControlFlow<()> {
        if self.stop.load(Ordering::Relaxed) || self.events.send(event).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        if self.rows.is_empty() {
            return ControlFlow::Continue(());
        }
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        self.send(Event::Rows(rows))
    }
}

/// About how many bytes a value takes.
pub fn weight(value: &Value) -> usize {
    let inside = match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Null | Value::Int(_) | Value::Float(_) => 0,
    };
    size_of::<Value>() + inside
}

impl Sink for Queue {
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()> {
        self.hand_over()?;
        self.send(Event::Columns(columns.to_vec()))
    }

    fn row(&mut self, row: &[Value]) -> ControlFlow<()> {
        self.bytes += row.iter().map(weight).sum::<usize>();
        self.rows.push(row.to_vec());
        if self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            return self.hand_over();
        }
        ControlFlow::Continue(())
    }

    fn done(&mut self, affected: u64) -> ControlFlow<()> {
        self.hand_over()?;
        self.send(Event::Done(affected))
    }

    fn idle(&mut self) -> ControlFlow<()> {
        self.hand_over()?;
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
