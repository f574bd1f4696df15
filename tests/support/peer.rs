//! Database servers that refuse every login, in words of the test's choosing.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a client may take for its side of the login.
const PATIENCE: Duration = Duration::from_secs(10);
/// PostgreSQL's question whether the server speaks TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A server that refuses. It stops when it is dropped.
pub struct Refusing {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Refusing {
    /// Speaks as PostgreSQL.
    pub fn postgres(words: &str) -> Self {
        let words = words.to_owned();
        Self::start(move |stream| refuse_as_postgres(stream, &words))
    }

    /// Speaks as MySQL and MariaDB.
    pub fn mysql(words: &str) -> Self {
        let words = words.to_owned();
        Self::start(move |stream| refuse_as_mysql(stream, &words))
    }

    fn start(refuse: impl Fn(TcpStream) -> io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let patient = stream.set_read_timeout(Some(PATIENCE));
                // A client that goes away has heard enough.
                let _ = patient.and_then(|()| refuse(stream));
            }
        });
        Self { address, stopping, acceptor: Some(acceptor) }
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn refuse_as_postgres(mut stream: TcpStream, words: &str) -> io::Result<()> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    if head == SSL_REQUEST {
        stream.write_all(b"N")?;
        stream.read_exact(&mut head)?;
    }
    let rest = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    stream.read_exact(&mut vec![0; rest.saturating_sub(head.len())])?;
    let fields = [("S", "FATAL"), ("V", "FATAL"), ("C", "28P01"), ("M", words)];
    let body: String = fields.iter().map(|(kind, value)| format!("{kind}{value}\0")).collect::<String>() + "\0";
    let length = u32::try_from(body.len() + 4).expect("words are short");
    stream.write_all(&[b"E", &length.to_be_bytes()[..], body.as_bytes()].concat())
}

fn refuse_as_mysql(mut stream: TcpStream, words: &str) -> io::Result<()> {
    /// `ER_ACCESS_DENIED_ERROR`
    const DENIED: u16 = 1045;
    let body = [&[0xff][..], &DENIED.to_le_bytes(), b"#28000", words.as_bytes()].concat();
    let length = u32::try_from(body.len()).expect("words are short").to_le_bytes();
    // Three bytes of length, and the number of the packet.
    stream.write_all(&[&length[..3], &[0], &body].concat())
}
