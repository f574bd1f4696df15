//! A door in front of a server: open, shut, or silent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What the door does to whoever knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Lets everything through.
    Open,
    /// Ends connections at once.
    Shut,
    /// Takes connections and says nothing.
    Silent,
}

struct Inner {
    mode: Mode,
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
        let inner = Arc::new(Mutex::new(Inner { mode, connections: Vec::new(), knocks: 0, stopping: false }));
        let shared = Arc::clone(&inner);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut inner = lock(&shared);
                if inner.stopping {
                    return;
                }
                inner.knocks += 1;
                // A client or server that goes away is none of the door's business.
                let _ = admit(&mut inner, stream, port);
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
        for connection in inner.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
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

fn admit(inner: &mut Inner, client: TcpStream, port: u16) -> io::Result<()> {
    match inner.mode {
        Mode::Shut => client.shutdown(Shutdown::Both),
        Mode::Silent => {
            inner.connections.push(client);
            Ok(())
        }
        Mode::Open => {
            let server = TcpStream::connect(("127.0.0.1", port))?;
            for (from, to) in [(client.try_clone()?, server.try_clone()?), (server.try_clone()?, client.try_clone()?)] {
                thread::spawn(move || forward(from, to));
            }
            inner.connections.extend([client, server]);
            Ok(())
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
