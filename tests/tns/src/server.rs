//! A server: it takes connections, each on a thread of its own.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use engine_standin::Backend;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::conversation::Conversation;
use crate::faults::{Fault, Faults, Point};
use crate::settings::{Certificate, Settings};
use crate::wire::Wire;

/// Most connections at a time.
const CONNECTIONS_MAX: usize = 256;

/// Whether a login went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It did.
    Accepted,
    /// It did not, with this error.
    Denied(u32),
}

/// A login that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The service or SID.
    pub service: String,
    /// The program of the client.
    pub program: String,
    /// The machine of the client.
    pub machine: String,
    /// The driver of the client.
    pub driver: String,
    /// Whether it went well.
    pub verdict: Verdict,
}

/// What all connections of a server share.
pub struct Shared {
    /// What answers statements.
    pub backend: Arc<dyn Backend>,
    /// How the server behaves.
    pub settings: Settings,
    /// What goes wrong.
    pub faults: Faults,
    tls: Option<Arc<ServerConfig>>,
    logins: Mutex<Vec<Login>>,
    sockets: Mutex<HashMap<u64, TcpStream>>,
    stopping: AtomicBool,
}

impl Shared {
    /// Remembers a login.
    pub fn note(&self, login: Login) {
        lock(&self.logins).push(login);
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server on a port of 127.0.0.1. Dropping it stops it and its connections.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port.
    pub fn start(backend: Arc<dyn Backend>, settings: Settings) -> io::Result<Self> {
        Self::start_at(0, backend, settings)
    }

    /// Starts a server on this port.
    pub fn start_at(port: u16, backend: Arc<dyn Backend>, settings: Settings) -> io::Result<Self> {
        let tls = settings.certificate.as_ref().map(tls).transpose().map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            backend,
            settings,
            faults: Faults::default(),
            tls,
            logins: Mutex::default(),
            sockets: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let of_listener = Arc::clone(&shared);
        let listener =
            thread::Builder::new().name("tns listener".to_owned()).spawn(move || listen(&listener, &of_listener))?;
        Ok(Self { shared, address, listener: Some(listener) })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The logins that were tried, oldest first.
    #[must_use]
    pub fn logins(&self) -> Vec<Login> {
        lock(&self.shared.logins).clone()
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for socket in lock(&self.shared.sockets).values() {
            // It may be closed already.
            drop(socket.shutdown(Shutdown::Both));
        }
        // The listener looks at the flag when it has a connection.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

fn tls(certificate: &Certificate) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?))
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, socket) in (0u64..).zip(listener.incoming()) {
        if shared.is_stopping() {
            return;
        }
        let Ok(socket) = socket else { continue };
        let Ok(other_end) = socket.try_clone() else { continue };
        {
            let mut sockets = lock(&shared.sockets);
            if sockets.len() >= CONNECTIONS_MAX {
                continue;
            }
            sockets.insert(number, other_end);
        }
        let shared_by_thread = Arc::clone(shared);
        let started = thread::Builder::new().name("tns connection".to_owned()).spawn(move || {
            serve(socket, &shared_by_thread);
            lock(&shared_by_thread.sockets).remove(&number);
        });
        if started.is_err() {
            lock(&shared.sockets).remove(&number);
        }
    }
}

fn serve(socket: TcpStream, shared: &Arc<Shared>) {
    let may_begin = match shared.faults.at(Point::Accept) {
        None => true,
        Some(Fault::Stall) => shared.stall(Point::Accept).is_ok(),
        Some(Fault::Cut | Fault::Garbage) => false,
    };
    if !may_begin {
        return;
    }
    let Ok(wire) = Wire::new(socket, shared.tls.clone()) else { return };
    let mut conversation = Conversation::new(wire, Arc::clone(shared));
    // A conversation that breaks off is the client's to notice.
    drop(conversation.run());
    conversation.close();
}
