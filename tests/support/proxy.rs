//! A door in front of a server: open, shut, silent, slow, or worse.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Bytes that pass a slow door at a time.
const SLOW_BYTES: usize = 512;
/// Pause of a slow door after each of them.
const SLOW_PAUSE: Duration = Duration::from_millis(2);
/// Bytes that pass an open door at a time.
const BUFFER_BYTES: usize = 16 * 1024;

/// What the door does to whoever knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Lets everything through.
    Open,
    /// Ends connections at once.
    Shut,
    /// Takes connections and says nothing. What is under way is swallowed.
    Silent,
    /// Lets through what clients say, and swallows what the server answers.
    HalfOpen,
    /// Lets so many more bytes of the server's answers through, and then ends each connection.
    CutAnswer(usize),
    /// Lets so many more bytes of the clients' requests through, and then ends each connection.
    CutRequest(usize),
    /// Lets everything through, little by little.
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

struct Inner {
    mode: Mode,
    port: u16,
    connections: Vec<TcpStream>,
    knocks: usize,
    stopping: bool,
}

/// A TCP proxy on the loopback. It stops, and ends its connections, when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A door in front of a port of the loopback.
    pub fn start(port: u16, mode: Mode) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let inner = Arc::new(Mutex::new(Inner { mode, port, connections: Vec::new(), knocks: 0, stopping: false }));
        let shared = Arc::clone(&inner);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut inner = lock(&shared);
                if inner.stopping {
                    return;
                }
                inner.knocks += 1;
                // A client or server that goes away is none of the door's business.
                let _ = admit(&mut inner, stream, &shared);
            }
        });
        Self { address, inner, acceptor: Some(acceptor) }
    }

    /// Where to knock.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections so far.
    pub fn knocks(&self) -> usize {
        lock(&self.inner).knocks
    }

    /// Changes what it does, and ends the connections that there are.
    pub fn set(&self, mode: Mode) {
        let mut inner = lock(&self.inner);
        inner.mode = mode;
        inner.end();
    }

    /// Changes what it does, also to the connections that there are.
    pub fn turn(&self, mode: Mode) {
        lock(&self.inner).mode = mode;
    }

    /// Leads to another port from now on, and ends the connections that there are.
    pub fn lead_to(&self, port: u16) {
        let mut inner = lock(&self.inner);
        inner.port = port;
        inner.end();
    }
}

impl Inner {
    fn end(&mut self) {
        for connection in self.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// How many of these bytes go on, and whether the connection does.
    fn passes(&mut self, direction: Direction, bytes: usize) -> (usize, bool) {
        let left = match (&mut self.mode, direction) {
            (Mode::Open | Mode::Slow, _)
            | (Mode::HalfOpen | Mode::CutAnswer(_), Direction::Request)
            | (Mode::CutRequest(_), Direction::Answer) => return (bytes, true),
            (Mode::Silent, _) | (Mode::HalfOpen, Direction::Answer) => return (0, true),
            (Mode::Shut, _) => return (0, false),
            (Mode::CutAnswer(left), Direction::Answer) | (Mode::CutRequest(left), Direction::Request) => left,
        };
        let passing = bytes.min(*left);
        *left -= passing;
        (passing, *left > 0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Shut);
        lock(&self.inner).stopping = true;
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn admit(inner: &mut Inner, client: TcpStream, shared: &Arc<Mutex<Inner>>) -> io::Result<()> {
    match inner.mode {
        Mode::Shut => client.shutdown(Shutdown::Both),
        Mode::Silent => {
            inner.connections.push(client);
            Ok(())
        }
        _ => {
            let server = TcpStream::connect(("127.0.0.1", inner.port))?;
            for (from, to, direction) in [
                (client.try_clone()?, server.try_clone()?, Direction::Request),
                (server.try_clone()?, client.try_clone()?, Direction::Answer),
            ] {
                let shared = Arc::clone(shared);
                thread::spawn(move || forward(from, to, direction, &shared));
            }
            inner.connections.extend([client, server]);
            Ok(())
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, direction: Direction, shared: &Mutex<Inner>) {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        let is_slow = lock(shared).mode == Mode::Slow;
        let most = if is_slow { SLOW_BYTES } else { BUFFER_BYTES };
        let Ok(read @ 1..) = from.read(&mut buffer[..most]) else { break };
        if is_slow {
            thread::sleep(SLOW_PAUSE);
        }
        let (passing, goes_on) = lock(shared).passes(direction, read);
        if to.write_all(&buffer[..passing]).is_err() || !goes_on {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
