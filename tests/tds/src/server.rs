//! The server: accepts connections on the loopback, a thread for each.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use engine_standin::Backend;

use crate::faults::Faults;
use crate::login::Login;
use crate::packet::Channel;
use crate::prepared::Prepared;
use crate::serve::{Client, serve};
use crate::settings::{Encryption, Settings};
use crate::tls::Tls;
use crate::transaction::Transaction;
use crate::transport::Transport;
use crate::welcome::welcome;

/// Logins that are remembered.
const LOGINS_MAX: usize = 10_000;

/// A connection: its socket, by which it can be ended, and its thread.
type Connection = (TcpStream, JoinHandle<()>);

/// What the threads of a server have in common.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) settings: Settings,
    pub(crate) tls: Option<Tls>,
    logins: Mutex<Vec<Login>>,
    connections: Mutex<BTreeMap<u64, Connection>>,
    stopping: Arc<AtomicBool>,
}

/// A panic of one connection is a finding of its own; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Remembers a login.
    pub(crate) fn note(&self, login: Login) {
        let mut logins = lock(&self.logins);
        if logins.len() < LOGINS_MAX {
            logins.push(login);
        }
    }
}

/// A running server. It and its connections end when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on the loopback.
    pub fn start(backend: Arc<dyn Backend>, settings: Settings) -> io::Result<Self> {
        let tls = match (&settings.certificate, settings.encryption) {
            (_, Encryption::NotSupported) => None,
            (Some((chain, key)), _) => Some(Tls::load(chain, key)?),
            (None, _) => return Err(io::Error::new(ErrorKind::InvalidInput, "TLS needs a certificate")),
        };
        if !settings.address.is_loopback() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "only the loopback is served"));
        }
        let listener = TcpListener::bind((settings.address, settings.port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            backend,
            settings,
            tls,
            logins: Mutex::default(),
            connections: Mutex::default(),
            stopping: Arc::default(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { shared, address, acceptor: Some(acceptor) })
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What clients said when they logged in, in order, whether they were let in or not.
    pub fn logins(&self) -> Vec<Login> {
        lock(&self.shared.logins).clone()
    }

    /// Connections that exist at this moment.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).len()
    }

    /// The switches for what is to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.settings.faults
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // A connection of our own wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            // A panic in a thread is printed where it happens.
            let _ = acceptor.join();
        }
        let connections = std::mem::take(&mut *lock(&self.shared.connections));
        for (socket, _) in connections.values() {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        for (_, thread) in connections.into_values() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let count = AtomicU64::new(0);
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let Ok((socket, _)) = accepted else { continue };
        let Ok(kept) = socket.try_clone() else { continue };
        let number = count.fetch_add(1, Ordering::Relaxed);
        // The lock is held until the thread is kept, so that the thread cannot end before.
        let mut connections = lock(&shared.connections);
        let serving = Arc::clone(shared);
        let thread = thread::spawn(move || {
            // How a connection ended is seen by its client.
            let _ = connection(socket, &serving);
            lock(&serving.connections).remove(&number);
        });
        connections.insert(number, (kept, thread));
    }
}

fn connection(socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let transport = Transport::new(socket, Arc::clone(&shared.stopping), shared.settings.faults.clone());
    let mut channel = Channel::new(transport);
    let Some((session, login)) = welcome(&mut channel, shared)? else { return Ok(()) };
    let (prepared, transaction) = (Prepared::default(), Transaction::default());
    serve(&mut Client { channel, shared, session, login, prepared, transaction })
}
