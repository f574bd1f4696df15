//! The SQL Server Browser, which tells the port of a named instance over UDP (MS-SQLR).

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The port that clients ask.
pub const BROWSER_PORT: u16 = 1434;
/// How long a wait lasts before it is looked whether the service stops.
const LOOK_MS: u64 = 50;
/// Bytes of a question.
const QUESTION_BYTES_MAX: usize = 1024;
/// All instances, asked of everybody; and of one server.
const ASK_EVERYBODY: u8 = 0x02;
const ASK_ALL: u8 = 0x03;
/// One instance, by name.
const ASK_ONE: u8 = 0x04;
/// What every answer begins with.
const ANSWER: u8 = 0x05;

/// A running browser service. It stops when it is dropped.
pub struct Browser {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Browser {
    /// Starts one on 127.0.0.1, on the port that clients ask.
    pub fn start(instance: &str, port: u16) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], BROWSER_PORT)), instance, port)
    }

    /// Starts one on another address of the loopback, so that several can run beside each other.
    pub fn start_at(address: SocketAddr, instance: &str, port: u16) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "only the loopback is served"));
        }
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(LOOK_MS)))?;
        let address = socket.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let instance = instance.to_owned();
        let thread = thread::spawn(move || serve(&socket, &instance, port, &stop));
        Ok(Self { address, stopping, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the service has failed its test already.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, instance: &str, port: u16, stopping: &AtomicBool) {
    let mut question = [0; QUESTION_BYTES_MAX];
    while !stopping.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        if let Some(answer) = answer(&question[..length], instance, port) {
            // Datagrams may be lost; the client asks again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to a question. There is none where another instance is asked for, as with the real service.
fn answer(question: &[u8], instance: &str, port: u16) -> Option<Vec<u8>> {
    let (kind, name) = question.split_first()?;
    let asked = match *kind {
        ASK_EVERYBODY | ASK_ALL => true,
        ASK_ONE => name.split(|byte| *byte == 0).next()?.eq_ignore_ascii_case(instance.as_bytes()),
        _ => false,
    };
    if !asked {
        return None;
    }
    let text = format!("ServerName;STANDIN;InstanceName;{instance};IsClustered;No;Version;16.0.1000.6;tcp;{port};;");
    let mut answer = vec![ANSWER];
    answer.extend_from_slice(&(text.len() as u16).to_le_bytes());
    answer.extend_from_slice(text.as_bytes());
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_known_by_its_name_in_any_case() {
        let found = answer(b"\x04mes\0", "MES", 4711).unwrap();
        assert_eq!(found[0], 5);
        assert_eq!(usize::from(u16::from_le_bytes([found[1], found[2]])), found.len() - 3);
        assert!(found.ends_with(b";tcp;4711;;"));
        assert_eq!(answer(b"\x03", "MES", 4711), Some(found));
    }

    #[test]
    fn nobody_answers_for_another_instance() {
        for question in [&b"\x04ERP\0"[..], b"\x04", b"\x09MES", b""] {
            assert_eq!(answer(question, "MES", 4711), None, "{question:?}");
        }
    }

    #[test]
    fn a_client_is_told_the_port() {
        let browser = Browser::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), "MES", 4711).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.send_to(b"\x04MES", browser.address()).unwrap();
        let mut bytes = [0; 500];
        let length = client.recv(&mut bytes).unwrap();
        assert!(String::from_utf8_lossy(&bytes[..length]).contains("tcp;4711;"));
    }
}
