//! A server on the loopback that answers every request with what it was told last.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A server. It lives as long as the process.
pub(crate) struct Serve {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
}

/// What is answered, and what was asked.
#[derive(Default)]
struct Told {
    /// Head and body of each answer, in turn; the last one again and again.
    answers: Vec<Vec<u8>>,
    asked: usize,
}

impl Serve {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let told = Arc::new(Mutex::new(Told::default()));
        let shared = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &told));
            }
        });
        Self { address, told }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers with these from now on.
    pub(crate) fn tell(&self, answers: Vec<Vec<u8>>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Told { answers, asked: 0 };
    }

    /// How often it was asked since.
    pub(crate) fn asked(&self) -> usize {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).asked
    }
}

/// A head with a length, and a body. What no head can hold is left out.
pub(crate) fn reply(status: u16, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        let value: String = value.chars().filter(|char| (' '..='~').contains(char)).collect();
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut out = out.into_bytes();
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

fn answer(stream: TcpStream, told: &Mutex<Told>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(length) = head(&mut reader) {
        if std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).is_err() {
            return;
        }
        let answer = {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let place = told.asked.min(told.answers.len().saturating_sub(1));
            told.asked += 1;
            told.answers.get(place).cloned().unwrap_or_default()
        };
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Reads a head; the length of the body.
fn head(reader: &mut impl BufRead) -> Option<u64> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some(length);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
}
