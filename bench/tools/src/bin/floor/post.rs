//! Batches of JSON lines to the sink, over one connection that stays open, from a thread of its own.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Rows of one request.
const BATCH_ROWS: usize = 5000;
/// First room for a batch, in bytes.
const BATCH_BYTES: usize = 1 << 20;
/// The longest head of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// Takes rows, and sends them when there are enough. One batch is filled while the one before is sent.
pub struct Output {
    /// Where the row is written.
    pub buffer: Vec<u8>,
    rows_of_batch: usize,
    /// All rows so far.
    pub rows: u64,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    sender: JoinHandle<Result<(), String>>,
}

impl Output {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Result<Self, Box<dyn Error>> {
        let mut connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        let (full, batches) = sync_channel::<Vec<u8>>(0);
        let (give_back, empty) = sync_channel::<Vec<u8>>(2);
        give_back.send(Vec::with_capacity(BATCH_BYTES))?;
        let host = address.to_owned();
        let sender = std::thread::spawn(move || {
            while let Ok(mut batch) = batches.recv() {
                post(&mut connection, &host, &batch).map_err(|error| error.to_string())?;
                batch.clear();
                // Nobody takes it any more after the last batch.
                let _ = give_back.send(batch);
            }
            Ok(())
        });
        Ok(Self { buffer: Vec::with_capacity(BATCH_BYTES), rows_of_batch: 0, rows: 0, full, empty, sender })
    }

    /// Ends a row.
    pub fn end_row(&mut self) -> Result<(), Box<dyn Error>> {
        self.buffer.push(b'\n');
        self.rows += 1;
        self.rows_of_batch += 1;
        if self.rows_of_batch == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        self.rows_of_batch = 0;
        let next = self.empty.recv()?;
        self.full.send(std::mem::replace(&mut self.buffer, next))?;
        Ok(())
    }

    /// Sends what is left, and waits for the last answer.
    pub fn finish(mut self) -> Result<u64, Box<dyn Error>> {
        if self.rows_of_batch > 0 {
            self.flush()?;
        }
        drop(self.full);
        self.sender.join().map_err(|_| "the sender panicked")??;
        Ok(self.rows)
    }
}

fn post(connection: &mut TcpStream, host: &str, body: &[u8]) -> Result<(), Box<dyn Error>> {
    let length = body.len();
    write!(
        connection,
        "POST /ingest HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-ndjson\r\ncontent-length: {length}\r\n\r\n"
    )?;
    connection.write_all(body)?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut had = 0;
    loop {
        let more = connection.read(&mut answer[had..])?;
        if more == 0 {
            return Err("the sink ended the connection".into());
        }
        had += more;
        let Some(end) = answer[..had].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        if !head.starts_with("http/1.1 2") {
            return Err(format!("the sink answered: {}", String::from_utf8_lossy(&answer[..had])).into());
        }
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if had >= end + 4 + length.and_then(|text| text.trim().parse().ok()).unwrap_or(0) {
            return Ok(());
        }
    }
}
