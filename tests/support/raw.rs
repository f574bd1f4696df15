//! A server that speaks no protocol of its own: a test writes what comes back, byte for byte.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Only a broken test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port of the loopback. It lives as long as the process.
#[derive(Debug)]
pub struct Raw(SocketAddr);

impl Raw {
    /// Reads a request and lets the test answer it; an error, such as that the client has hung up, ends the answer.
    pub fn start(answer: impl Fn(&mut TcpStream, &str) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let answer = std::sync::Arc::new(answer);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let answer = std::sync::Arc::clone(&answer);
                thread::spawn(move || {
                    let _ = stream.set_write_timeout(Some(PATIENCE));
                    if let Some(line) = request(&stream) {
                        let _ = answer(&mut stream, &line);
                    }
                });
            }
        });
        Self(address)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

/// Reads a request with its body; its first line.
fn request(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    std::io::copy(&mut std::io::Read::take(&mut reader, length), &mut std::io::sink()).ok()?;
    Some(first)
}

/// Writes a head and what follows it. The connection is for one request: another on it would meet its end.
pub fn say(stream: &mut TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n\r\n").as_bytes())?;
    stream.write_all(body)
}
