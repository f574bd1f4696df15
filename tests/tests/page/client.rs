//! A client that sends what it is told to, byte for byte.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use engine_tests::binary::PATIENCE;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.body.contains(part), "`{part}` is not in {self:#?}");
        self
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
}

/// Gets a page as a browser on the machine does.
pub fn get(address: &str, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    send(address, request.as_bytes()).unwrap_or_else(|| panic!("no answer to {request}"))
}

/// Sends bytes; `None` where the connection is closed without an answer.
pub fn send(address: &str, request: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    // A server that has seen enough closes the connection while this is written.
    let _ = stream.write_all(request);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).expect("an answer is UTF-8");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status.split(' ').nth(1)?.parse().ok()?;
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(Answer { status, headers, body: body.to_owned() })
}

/// A connection that says nothing.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("something listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    stream
}
